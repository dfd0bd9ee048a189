"""Lists as they are: running numbers, few different values, codes of several kinds in one column, odd headers."""

from pathlib import Path

import pytest
import yaml
from never_seen_lists import as_contract, table

from chengxin.contracts.lint import lint_contract
from chengxin.contracts.loader import read_contract
from chengxin.model.kinds import kinds
from chengxin.onboarding.contract_text import as_yaml
from chengxin.onboarding.draft import Draft, Wishes, draft
from chengxin.onboarding.sample import look_at
from deliveries import org_code, person_doc, reg_no, uscc

DEPARTMENT = ("430000-T", "测试部门")
ROWS = 1_500


def drafted(path: Path, kind: str = "", dataset: str = "") -> Draft:
    return draft(look_at(str(path)), {}, Wishes(id=dataset, kind=kind, department=DEPARTMENT))


@pytest.mark.parametrize("kind", ["", *kinds()])
def test_running_numbers_and_names_leave_no_example_empty(tmp_path, kind):
    header = ["序号", "企业名称", "统一社会信用代码", "企业类型", "处罚决定书文号", "处罚日期", "年度", "原编号"]
    rows = [[n, f"湖南样本{n}公司", uscc(n), "有限公司", f"湘样罚〔2024〕{n}号", "2024-01-05", 1980 + n % 60, 9000 + n]
            for n in range(1, ROWS)]  # fmt: skip
    found = drafted(table(tmp_path / "行政处罚名单.csv", header, rows), kind)
    if not found.body["columns"]:
        assert "columns: []  # 待办：没有一列能对应" in as_yaml(found)
        return
    contract = as_contract(as_yaml(found), tmp_path)
    assert len(contract.examples) == 3
    mapped = {column.source for column in contract.columns}
    assert not [h for e in contract.examples[:1] for h in mapped if not e.row[h]]
    assert not [h for e in contract.examples for h, value in e.row.items() if not value]


def test_a_domain_of_one_letter_is_none(tmp_path):
    path = table(tmp_path / "x.csv", ["企业名称", "信用代码"], [[f"样本{n}公司", uscc(n)] for n in range(9)])
    assert as_contract(as_yaml(drafted(path, "registration", "x_list")), tmp_path).domain == "new"


def test_headers_that_differ_in_what_nobody_sees_are_read(tmp_path):
    header = ["企业名称\u200b", "\u2028信用代码\x85", "\ufeff法定\n代表人"]
    path = table(tmp_path / "x.csv", header, [[f"样本{n}公司", uscc(n), "张某"] for n in range(9)])
    found = drafted(path, "registration")
    assert [m.element.id for m in found.chosen.matches if m.element] == ["subject_name", "uscc", "legal_rep_name"]
    assert as_contract(as_yaml(found), tmp_path)


def test_a_list_without_column_names_is_drafted_by_places(tmp_path):
    rows = [[n, f"湖南样本{n}有限公司", uscc(n), "x", n % 3] for n in range(1, 60)]
    found = drafted(table(tmp_path / "x.csv", *(rows[0], rows[1:])), "registration")
    contract = as_contract(as_yaml(found), tmp_path)
    assert contract.file.header == 0
    assert {c.source: c.element for c in contract.columns}["3"] == "uscc"
    assert contract.ignored.keys() & {"1", "4", "5"}
    assert found.refused == 0


def test_what_a_kind_that_does_not_fit_opens_is_stated(tmp_path):
    path = table(tmp_path / "x.csv", ["站点", "气温"], [["A", n] for n in range(20)])
    text = as_yaml(drafted(path))
    target = tmp_path / f"{yaml.safe_load(text)['id']}.yaml"
    target.write_text(text, "utf-8")
    _, problems = read_contract(target, tmp_path)
    assert "kind：尚未决定，请改好" in problems


@pytest.mark.parametrize("header", ["统一社会信用代码/注册号", "统一社会信用代码", "主体代码"])
@pytest.mark.parametrize("share", [9, 60])
def test_a_code_column_with_registration_numbers_is_both(tmp_path, header, share):
    rows = [[n, f"湖南样本{n}公司", reg_no(n) if n % share == 0 else uscc(n), "2024-01-05"] for n in range(ROWS)]
    found = drafted(table(tmp_path / "经营异常.csv", ["序号", "名称", header, "列入日期"], rows), "abnormal_operation")
    contract = as_contract(as_yaml(found), tmp_path)
    assert {c.element: c.one_of for c in contract.columns if c.source == header} == {
        "uscc": ("uscc", "reg_no"), "reg_no": ("uscc", "reg_no"),
    }  # fmt: skip
    assert found.refused == 0
    assert not contract.quality.fill.keys() & {"uscc", "reg_no"}


def test_all_kinds_of_codes_of_a_column_are_proposed(tmp_path):
    codes = [lambda n: uscc(n), lambda n: uscc(n + 5_000), lambda n: uscc(n + 9_000), reg_no, org_code, person_doc]
    rows = [[f"样本{n}", codes[n % 6](n), f"湘样罚〔2024〕{n}号", "2024-01-05"] for n in range(600)]
    path = table(tmp_path / "处罚.csv", ["名称", "行政相对人代码", "处罚决定书文号", "处罚日期"], rows)
    found = drafted(path, "penalty")
    contract = as_contract(as_yaml(found), tmp_path)
    named = {c.element for c in contract.columns if c.source == "行政相对人代码"}
    assert named == {"uscc", "reg_no", "org_code", "person_doc_no"}
    assert found.refused == 0
    assert not [p for p in lint_contract(contract) if p.startswith("columns[")]


def test_one_odd_number_makes_no_second_kind_of_code(tmp_path):
    rows = [[f"样本{n}公司", reg_no(n) if n == 7 else uscc(n)] for n in range(300)]
    found = drafted(table(tmp_path / "x.csv", ["企业名称", "统一社会信用代码"], rows), "registration")
    assert [c.one_of for c in as_contract(as_yaml(found), tmp_path).columns if c.element == "uscc"] == [()]


def test_a_number_with_a_column_of_its_own_is_not_of_another(tmp_path):
    rows = [[f"样本{n}公司", reg_no(n) if n % 9 == 0 else uscc(n), reg_no(n)] for n in range(300)]
    path = table(tmp_path / "x.csv", ["企业名称", "统一社会信用代码", "注册号"], rows)
    assert {c.element: c.one_of for c in as_contract(as_yaml(drafted(path, "registration")), tmp_path).columns} == {
        "subject_name": (), "uscc": (), "reg_no": (),
    }  # fmt: skip


def test_a_former_company_name_is_proposed_and_invented_as_one(tmp_path):
    rows = [[f"湖南样本{n}有限公司", uscc(n), f"湖南旧样本{n}有限公司"] for n in range(60)]
    path = table(tmp_path / "企业登记.csv", ["企业名称", "统一社会信用代码", "曾用名"], rows)
    contract = as_contract(as_yaml(drafted(path, "registration")), tmp_path)
    assert "former_name" in {c.element for c in contract.columns}
    assert str(contract.examples[0].row["曾用名"]).endswith("有限公司")
