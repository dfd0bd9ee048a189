"""Headers and values propose elements; what is not clear stays open. Measured on lists of other hands."""

from pathlib import Path

import pyarrow as pa
import pytest
from never_seen_lists import LISTS, expected, write

from chengxin.contracts.loader import load
from chengxin.model.elements import elements
from chengxin.model.kinds import kinds
from chengxin.onboarding.content import Evidence
from chengxin.onboarding.draft import CLEAR, Draft, Wishes, draft
from chengxin.onboarding.matches import Match, percent, proposal, propose
from chengxin.onboarding.sample import look_at
from chengxin.onboarding.vocabulary import Vocabulary, unit_of
from deliveries import person_doc, uscc

CONTRACTS = Path(__file__).resolve().parents[2] / "dags" / "contracts"


def matched(kind: str, **columns: list[str | None]) -> dict[str, Match]:
    evidence = {name: Evidence(pa.array(values, pa.string())) for name, values in columns.items()}
    return {m.header: m for m in proposal(evidence, kinds()[kind], Vocabulary()).matches}


def element_of(match: Match) -> str | None:
    return match.element.id if match.element else None


@pytest.fixture(scope="module", params=[True, False], ids=["with our contracts", "without"])
def drafts(request, tmp_path_factory) -> dict[str, Draft]:
    folder = tmp_path_factory.mktemp("lists")
    known = load(CONTRACTS).contracts if request.param else {}
    return {name: draft(look_at(str(write(name, folder))), known, Wishes()) for name in LISTS}


@pytest.mark.slow
def test_the_kind_of_every_list_is_found(drafts):
    assert {name: found.body["kind"] for name, found in drafts.items()} == {n: kind for n, (kind, _) in LISTS.items()}


def test_no_column_gets_a_wrong_element_and_most_the_right_one(drafts):
    wrong, right, total = [], 0, 0
    for name, found in drafts.items():
        wanted = expected(name)
        for match in found.chosen.matches:
            total += 1
            right += element_of(match) == wanted[match.header]
            if match.element and match.element.id != wanted[match.header]:
                wrong.append((name, match.header, match.element.id))
    assert wrong == []
    assert right >= 0.9 * total


def test_every_column_is_either_matched_or_undecided(drafts):
    for name, found in drafts.items():
        written = [c["source"] for c in found.body["columns"]] + list(found.body["ignored"])
        assert sorted(written) == sorted(expected(name))


def test_values_refute_a_header():
    found = matched("penalty", 统一社会信用代码=[f"株洲样本{i}商贸有限公司" for i in range(20)])["统一社会信用代码"]
    assert found.element is None
    assert "只有 0 % 通过校验" in found.why


def test_a_header_whose_values_mostly_pass_needs_a_look():
    values = [uscc(i) for i in range(14)] + ["不详"] * 6
    found = matched("penalty", 统一社会信用代码=values)["统一社会信用代码"]
    assert (element_of(found), found.sure, percent(found.passing)) == ("uscc", False, "70 %")


def test_masked_numbers_do_not_refute_their_header():
    values = [person_doc(i)[:6] + "********" + person_doc(i)[-4:] for i in range(20)]
    assert element_of(matched("dishonest_person", 身份证号码=values)["身份证号码"]) == "person_doc_no"


def test_codes_under_a_vague_header_are_known_by_check_digits():
    found = matched("penalty", F03=[uscc(i) for i in range(20)])["F03"]
    assert (element_of(found), found.sure, found.why) == ("uscc", False, "仅凭内容判断")


def test_the_code_of_an_authority_is_not_taken_for_the_subject():
    codes = [uscc(i % 3, kind="11") for i in range(20)]
    assert element_of(matched("penalty", 执法部门编码=codes)["执法部门编码"]) != "uscc"
    assert (
        element_of(matched("penalty", 处罚机关统一社会信用代码=codes)["处罚机关统一社会信用代码"]) == "authority_uscc"
    )


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        ("penalty", "原企业名称"), ("penalty", "举报人姓名"), ("penalty", "处罚机关联系电话"),
        ("penalty", "上级主管部门"), ("licence", "原许可证编号"), ("registration", "隶属企业名称"),
        ("registration", "实缴资本"), ("registration", "主管税务机关"), ("dishonest_person", "申请执行人名称"),
    ],
)  # fmt: skip
def test_what_belongs_to_somebody_or_something_else_is_not_taken(kind, header):
    (found,) = matched(kind, **{header: [f"某{n}" for n in range(9)]}).values()
    assert found.element is None


@pytest.mark.parametrize(
    ("kind", "header", "values"),
    [
        ("penalty", "受害人(名称)", [f"样本{n}公司" for n in range(9)]),
        ("penalty", "举报人(证件号码)", [person_doc(n) for n in range(9)]),
        ("penalty", "统一社会信用代码（法定代表人所在单位）", [uscc(n) for n in range(9)]),
        ("overdue_loan", "担保人", [f"样本{n}公司" for n in range(9)]),
        ("overdue_loan", "担保人代码", [uscc(n) for n in range(9)]),
        ("guarantee", "借款人", [f"样本{n}公司" for n in range(9)]),
        ("registration", "股东证件号码", [person_doc(n) for n in range(9)]),
        ("dishonest_person", "申请执行人证件号码", [person_doc(n) for n in range(9)]),
    ],
)
def test_a_party_of_another_role_is_never_the_subject(kind, header, values):
    assert element_of(matched(kind, **{header: values})[header]) is None


def test_digits_that_are_days_in_one_form_get_it_and_need_a_look():
    found = matched("penalty", 处罚日期=[f"2401{n + 14:02d}" for n in range(12)])["处罚日期"]
    assert (element_of(found), found.date_form, found.sure) == ("decision_on", "yymmdd", False)
    months = matched("penalty", 处罚日期=["201101", "201202", "201211"] * 4)["处罚日期"]  # 2011-01 or 2020-11-01
    assert (element_of(months), months.date_form) == (None, None)
    plain = matched("penalty", 处罚日期=[f"202401{n + 14:02d}" for n in range(12)])["处罚日期"]
    assert (plain.date_form, plain.sure) == (None, True)


def test_days_and_months_that_may_swap_are_left_to_the_sender():
    found = matched("penalty", 处罚日期=[f"{n + 1:02d}/05/2024" for n in range(9)])["处罚日期"]
    assert element_of(found) is None
    assert "看不出先后" in found.why


@pytest.mark.parametrize(
    ("header", "values", "said"),
    [
        ("企业名称", [uscc(n) for n in range(9)], "内容像是统一社会信用代码"),
        ("法定代表人", [f"样本{n}有限公司" for n in range(9)], "内容像是企业名称"),
        ("处罚机关", [f"样本{n}有限公司" for n in range(9)], "内容像是企业名称"),
        ("处罚决定书文号", [str(n + 1) for n in range(9)], "内容只是数字"),
        ("处罚日期", ["2024"] * 9, "只有年或年月"),
        ("罚款金额", [f"1390000{n:04d}" for n in range(9)], "内容像是手机号码"),
        ("违法事实", [f"示罚〔2024〕{n}号" for n in range(9)], "内容像是文书号"),
        ("cfjg", ["样本市监局"] * 9, "列名也可能是 penalty_content"),
    ],
)
def test_values_that_contradict_their_header_need_a_look(header, values, said):
    found = matched("penalty", **{header: values})[header]
    assert not found.sure
    assert said in found.why


def test_columns_without_names_are_hinted_at_by_their_values():
    found = matched(
        "penalty", **{"1": [f"样本{n}有限公司" for n in range(9)], "2": [f"示罚〔2024〕{n}号" for n in range(9)]}
    )
    assert [element_of(m) for m in found.values()] == [None, None]
    assert (found["1"].hints[:1], found["2"].hints[:1]) == (("subject_name",), ("decision_no",))


def test_an_ambiguous_header_is_what_its_values_look_like():
    assert element_of(matched("penalty", cfjg=["样本市监局", "样本公安局"] * 5)["cfjg"]) == "authority_name"
    assert element_of(matched("penalty", cfjg=["罚款五百元", "警告"] * 5)["cfjg"]) == "penalty_content"


def test_objects_of_json_are_no_values():
    found = matched("penalty", 当事人=['{"名称":"样本公司"}'] * 9)["当事人"]
    assert element_of(found) is None
    assert "JSON" in found.why


CUSTOMS = {
    "海关编码": [f"43049{n:05d}" for n in range(20)],
    "企业名称": [f"样本{n}公司" for n in range(20)],
    "统一社会信用代码": [uscc(n) for n in range(20)],
    "认定时间": [f"2024/1/{n + 1}" for n in range(20)],
}


def kinds_of(title: str, columns: dict[str, list[str]]) -> list[str]:
    evidence = {name: Evidence(pa.array(values, pa.string())) for name, values in columns.items()}
    found = propose(evidence, Vocabulary(), title=title)
    return [p.kind.id for p in found if p.score >= CLEAR]


def test_a_kind_is_not_proposed_without_a_hint_of_its_business():
    assert kinds_of("海关认证企业", CUSTOMS) == []
    assert kinds_of("非正常户认定", CUSTOMS) == ["tax_non_normal"]
    licences = {"许可证编号": [f"甲{n}" for n in range(9)], "名称": [f"样本{n}公司" for n in range(9)],
                "发证日期": [f"2024-01-0{n + 1}" for n in range(9)], "发证机关": ["样本局"] * 9}  # fmt: skip
    assert "special_industry_licence" not in kinds_of("许可证", licences)
    assert kinds_of("许可证", licences | {"发证机关": ["样本市公安局"] * 9})[0] == "special_industry_licence"


def test_of_two_columns_of_one_meaning_a_person_decides_one():
    found = matched("penalty", 处罚决定书文号=["示例〔2024〕1号"] * 9, 行政处罚决定书文号=["示例〔2024〕2号"] * 9)
    assert sorted(element_of(m) or "" for m in found.values()) == ["", "decision_no"]
    assert any("只能取一列" in m.why for m in found.values())


def test_full_width_brackets_and_units_do_not_hide_a_header():
    found = matched("penalty", **{"*罚款金额（万元）：": ["1.5"] * 9, "处罚 机关": ["示例局"] * 9})
    assert [element_of(m) for m in found.values()] == ["fine", "authority_name"]


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("罚款金额（万元）", "万元"),
        ("欠税余额(单位：元)", "元"),
        ("注册资本 万元", "万元"),
        ("金额【亿元】", "亿元"),
        ("罚款", None),
    ],
)
def test_a_unit_in_the_header_is_found(header, unit):
    assert unit_of(header) == unit


def test_shares_are_never_rounded_up():
    assert percent(0.99996) == "99.9 %"


def test_the_vocabulary_names_existing_elements_of_some_kind():
    assert Vocabulary().knows("社会信用代码")
    assert all(elements()[name] for kind in kinds().values() for name in kind.elements)


@pytest.mark.realdata
@pytest.mark.parametrize(("form", "year"), [("csv", 1997), ("json", 1999), ("xls", 1990)])
def test_a_real_registration_list_is_matched_in_every_format(shared_data, form, year):
    path = shared_data / "registration-hunan" / form / f"{year}-湖南.{form}"
    found = draft(look_at(str(path)), load(CONTRACTS).contracts, Wishes())
    assert found.body["kind"] == "registration"
    assert [c["element"] for c in found.body["columns"]] == [
        "subject_name", "uscc", "established_on", "entity_type_name", "legal_rep_name", "registered_capital",
        "business_scope", "province_name", "region_code", "address",
    ]  # fmt: skip
    assert found.body["ignored"] == {}


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name", ["court/10qualification.csv", "court/8breakfaith.csv", "bank/企业信息.csv", "tax/tax_info.csv",
             "tax/annual_report_info.csv"],
)  # fmt: skip
def test_data_of_no_known_kind_is_not_forced_into_one(shared_data, name):
    assert draft(look_at(str(shared_data / name)), load(CONTRACTS).contracts, Wishes()).body["kind"] == "待定"
