"""A column that holds one of several identifiers: which one is decided value by value, and the row goes by it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chengxin import pipeline
from chengxin.cleaning.mapper import standardise_rows
from chengxin.clock import Clock
from chengxin.contracts.lint import lint_contract
from chengxin.contracts.models import Contract
from chengxin.home import Home
from chengxin.model.identifiers import reg_no_check_digit
from chengxin.store import atomic
from deliveries import START, Office, company, counts, org_code, penalty, person_doc, reg_no, uscc

PENALTY = (
    "subject_name",
    "decision_no",
    "decision_on",
    "authority_name",
    "item_name",
    "penalty_content",
    "region_code",
)
REGISTRATION = ("subject_name", "former_name", "uscc", "reg_no", "region_code")


def with_codes(office: Office, dataset: str, kind: str, names: tuple[str, ...], codes: Any, **more: Any) -> None:
    """Declare a data set whose column `代码` holds `codes`."""
    plain = [{"source": name, "element": name, "optional": True} for name in names]
    office.contract(dataset, kind, names, columns=[{"source": "代码", "element": codes} | more, *plain])


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    first = [company(1, reg_no=reg_no(1)), company(2, reg_no=reg_no(2)), company(3, uscc="", reg_no=reg_no(3))]
    office.deliver("test_reg", *first, day=0)
    return office


def fine(n: int, code: str, **more: Any) -> dict[str, Any]:
    return penalty(n, **more) | {"代码": code}


@pytest.mark.slow
def test_rows_are_linked_by_whichever_code_they_have(office: Office) -> None:
    with_codes(office, "pen", "penalty", PENALTY, ["uscc", "reg_no"])
    rows = [fine(1, uscc(1)), fine(2, f" {reg_no(2)} "), fine(3, reg_no(3)), fine(4, reg_no(9)), fine(5, "430102")]
    assert counts(office.deliver("pen", *rows, day=1)) == (3, 1, 0, 1)
    assert office.linked("pen") == [(2, 1, "uscc"), (3, 2, "reg_no"), (4, 3, "reg_no"), (5, 0, "waits")]
    assert (6, "uscc.length", "uscc") in office.issues("pen")
    office.publish()
    assert office.table("penalty", "uscc, reg_no") == [(uscc(1), None), (None, reg_no(2)), (None, reg_no(3))]


def test_a_list_founds_subjects_by_either_code(office: Office) -> None:
    with_codes(office, "other", "registration", ("subject_name", "region_code"), ["uscc", "reg_no"])
    rows = [{"subject_name": f"湖南新{n}公司", "代码": code} for n, code in enumerate([uscc(7), reg_no(8), reg_no(1)])]
    assert counts(office.deliver("other", *rows, day=1)) == (3, 0, 0, 0)
    assert [subject for _, subject, _ in office.linked("other")] == [4, 5, 1]


@pytest.mark.slow
def test_which_codes_come_may_change_from_batch_to_batch(office: Office) -> None:
    with_codes(office, "pen", "penalty", PENALTY, ["uscc", "reg_no"])
    for day in (1, 2, 3):
        half = [fine(n + 100 * day, reg_no(1) if n % 2 else uscc(1), subject_name=NAME) for n in range(60)]
        office.deliver("pen", *half, day=day)
    only = office.deliver("pen", *[fine(n + 900, uscc(1), subject_name=NAME) for n in range(60)], day=4)
    assert only["verdict"] == "accept"
    assert office.verdict("pen", office.account("pen", 3).batch_id).findings == ()


def test_a_required_column_needs_one_of_its_codes(office: Office) -> None:
    with_codes(office, "pen", "penalty", PENALTY, ["uscc", "reg_no"], required=True)
    rows = [fine(1, uscc(1)), fine(2, reg_no(2)), fine(3, "", subject_name="湖南示例1有限公司"), fine(4, "无")]
    assert counts(office.deliver("pen", *rows, day=1)) == (2, 2, 0, 0)
    told = [rule for row, rule, _ in office.issues("pen") if row in {4, 5}]
    assert told.count("field.required_missing") == 2


def contract(codes: Any, *more: dict[str, Any], kind: str = "penalty") -> Contract:
    names = ("subject_name", "decision_no", "decision_on", "authority_name")
    return Contract.model_validate(
        {"format": 1, "id": "xx_list", "title": "测试", "department": {"code": "T-1", "name": "测试部门"},
         "domain": "xx", "kind": kind, "basis": {"legal": "测试", "share": "无条件"},
         "columns": [{"source": "代码", "element": codes}, *({"source": n, "element": n} for n in names), *more]}
    )  # fmt: skip


NAME = "湖南示例1有限公司"
ALL = ["uscc", "reg_no", "org_code", "person_doc_no"]


@pytest.mark.parametrize(
    ("value", "element", "rules"),
    [
        (uscc(1), "uscc", []),
        (uscc(1).lower(), "uscc", []),
        (reg_no(1), "reg_no", []),
        (f"'{reg_no(1)}", "reg_no", []),
        (f"{reg_no(1)}.0", "reg_no", []),
        (org_code(1), "org_code", []),
        (person_doc(1), "person_doc_no", []),
        ("430102850102001", "person_doc_no", ["person_doc.upgraded"]),
        ("4301021234567", "reg_no", ["reg_no.old_form"]),
        ("E1234567", "person_doc_no", []),
        (uscc(1)[:-1] + ("1" if uscc(1)[-1] != "1" else "2"), None, ["uscc.check", "subject.identifiers_invalid"]),
        (
            reg_no(1)[:-1] + ("1" if reg_no(1)[-1] != "1" else "2"),
            None,
            ["reg_no.check", "subject.identifiers_invalid"],
        ),
        ("9.14301E+17", None, ["identifier.scientific", "subject.identifiers_invalid"]),
        ("430102********1234", None, ["identifier.masked"]),
        ("", None, []),
    ],
)
@pytest.mark.parametrize("order", [ALL, ALL[::-1]])
def test_length_and_check_digit_decide_value_by_value(value, element, rules, order):
    row = {"代码": value, "subject_name": "示例某", "decision_no": "湘示罚〔2026〕1号", "decision_on": "2026-01-05",
        "authority_name": "示例局"}  # fmt: skip
    passed, _, issues = standardise_rows(contract(order), [row])
    assert sorted(issues["rule"].to_pylist()) == sorted(rules)
    given = {name for name in ALL if passed.num_rows and passed[name][0].as_py()}
    assert given == ({element} if element else set())


def test_fifteen_digits_maybe_of_a_resident_are_no_open_number():
    row = {
        "subject_name": "示例某",
        "decision_no": "湘示罚〔2026〕1号",
        "decision_on": "2026-01-05",
        "authority_name": "局",
    }
    head = "43010285010210"
    both = head + reg_no_check_digit(head)
    assert standardise_rows(contract("reg_no"), [row | {"代码": both}])[0]["reg_no"].to_pylist() == [both]
    for order in (["reg_no", "person_doc_no"], ["person_doc_no", "reg_no"]):
        passed, _, _ = standardise_rows(contract(order), [row | {"代码": both}])
        assert (passed["reg_no"].to_pylist(), passed["person_doc_no"].null_count) == ([None], 0)


@pytest.mark.parametrize(
    ("element", "value", "rule", "named"),
    [
        ("uscc", reg_no(1), "uscc.is_reg_no", "15 位工商注册号，数据合同在此栏不收工商注册号"),
        ("uscc", org_code(1), "uscc.is_org_code", "9 位组织机构代码，数据合同在此栏不收组织机构代码"),
        ("org_code", reg_no(1), "org_code.is_reg_no", "15 位工商注册号，数据合同在此栏不收工商注册号"),
        ("reg_no", org_code(1), "reg_no.is_org_code", "9 位组织机构代码，数据合同在此栏不收组织机构代码"),
    ],
)
def test_a_code_that_a_contract_does_not_take_is_named(office: Office, element, value, rule, named) -> None:
    with_codes(office, "pen", "penalty", PENALTY, element)
    good = {"uscc": uscc(1), "org_code": org_code(1), "reg_no": reg_no(1)}[element]
    assert counts(office.deliver("pen", fine(1, value), *[fine(n, good) for n in range(2, 9)], day=1)) == (7, 1, 0, 0)
    assert (2, rule, element) in office.issues("pen")
    [answer] = pipeline.answer(Home(office.settings, Clock(START)), office.contracts["pen"])
    assert named in (answer.folder / "需更正.csv").read_text("utf-8-sig")


@pytest.mark.usefixtures("office")
def test_a_list_of_elements_is_linted() -> None:
    assert list(lint_contract(contract(ALL))) == []
    told = [list(lint_contract(contract(codes))) for codes in (["uscc", "tax_no"], ["uscc", "item_name"])]
    assert "分不清" in told[0][0] and "同一主体的几种标识" in told[1][0]
    assert "没有名为 nope" in " ".join(lint_contract(contract(["uscc", "nope"])))
    assert contract(["uscc"]).columns[0].one_of == ()
    with pytest.raises(ValueError, match="数据元对应了不止一次：reg_no"):
        contract(["uscc", "reg_no"], {"source": "注册号", "element": "reg_no"})
    with pytest.raises(ValueError, match="请写成一处"):
        contract(["uscc", "reg_no"], {"source": "代码", "element": "org_code"})


def test_a_list_of_elements_survives_yaml_and_places(office: Office, tmp_path: Path) -> None:
    one = contract(["uscc", "reg_no"])
    again = Contract.model_validate(yaml.safe_load(yaml.safe_dump(one.model_dump(mode="json"), allow_unicode=True)))
    assert again == one
    columns = [{"source": "代码", "element": ["uscc", "reg_no"]}, *({"source": c, "element": c} for c in PENALTY)]
    office.contract("pen", "penalty", PENALTY, columns=columns, file={"format": "csv", "header": 0})
    path = tmp_path / "x.csv"
    path.write_text(
        f"{reg_no(2)},,湘示罚〔2026〕1号,2026-01-05,局,案,罚款,430102\n{uscc(1)},,湘示罚〔2026〕2号,2026-01-05,局,案,罚款,430102\n",
        "utf-8",
    )
    office.ingest("pen", path)
    assert [subject for _, subject, _ in office.linked("pen")] == [2, 1]


def test_a_refused_number_is_mended_under_the_same_contract(office: Office) -> None:
    with_codes(office, "pen", "penalty", PENALTY, ["uscc", "reg_no"])
    bad = fine(1, reg_no(2)[:-1] + ("1" if reg_no(2)[-1] != "1" else "2"), subject_name="湖南示例2有限公司")
    assert counts(office.deliver("pen", bad, fine(2, uscc(1)), day=1)) == (1, 1, 0, 0)
    office.deliver("pen", bad | {"代码": reg_no(2)}, day=2)
    answer = pipeline.answer(Home(office.settings, Clock(START)), office.contracts["pen"])[0]
    assert atomic.read_json(answer.folder / "回执.json")["refused"]["open"] == 0


@pytest.mark.slow
def test_a_former_name_of_a_registration_is_one_of_the_subject(office: Office) -> None:
    office.deliver("test_reg", company(4, former_name="湖南旧名有限公司"), day=1)
    office.publish()
    assert ("湖南旧名有限公司", False) in office.table("subject_name", "name, is_current")
    office.contract("named", "penalty", PENALTY)
    office.deliver("named", penalty(1, subject_name="湖南旧名有限公司"), day=2)
    assert office.linked("named") == [(2, 4, "name")]
