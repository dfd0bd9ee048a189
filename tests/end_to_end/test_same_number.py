"""One number, two keys: where the source's number names the record it is replaced, elsewhere both rows are told."""

import csv
from pathlib import Path
from typing import Any

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.contracts.lint import lint_contract
from chengxin.errors import ContractError
from chengxin.home import Home
from chengxin.identity import ledger
from deliveries import PENALTY, REGISTRATION, START, Office, company, counts, penalty, uscc

NAMES = ("source_record_id", *PENALTY, "delivery_status_code")


def office_by(folder: Path, versions_by: str, **delivery: Any) -> Office:
    office = Office(folder)
    office.contract("test_reg", "registration", REGISTRATION)
    columns = [{"source": n, "element": n, "optional": n != "source_record_id"} for n in NAMES]
    columns[0]["required"] = True
    delivery = {"options": {"folder": "pen"}, "versions_by": versions_by} | delivery
    office.contract("pen", "penalty", NAMES, columns=columns, delivery=delivery)
    office.deliver("test_reg", company(1), company(2, region_code="430302"), day=0)
    return office


@pytest.fixture
def numbered(tmp_path: Path) -> Office:
    return office_by(tmp_path, "source_record_id")


@pytest.fixture
def keyed(tmp_path: Path) -> Office:
    return office_by(tmp_path, "key")


def fine(number: str, n: int, about: int = 1, **more: Any) -> dict[str, Any]:
    return penalty(n, source_record_id=number, uscc=uscc(about), **more)


def shown(office: Office) -> list[tuple[str, str]]:
    office.publish()
    found = office.table("penalty", "source_record_id, regexp_extract(decision_no, '(\\d+)号', 1)")
    assert len(office.table("credit_record", "record_id")) == len(found) + 2
    return found


def findings(office: Office, n: int = 0) -> dict[str, str]:
    batch_id = office.account("pen", n).batch_id
    verdict, page = office.verdict("pen", batch_id), office.page("pen", batch_id)
    said = {f.rule: f.message for f in verdict.findings if f.rule.startswith("record.")}
    assert all(message in page for message in said.values())
    return said


def told(office: Office) -> list[tuple[str, str, str]]:
    answers = pipeline.answer(Home(office.settings, Clock(START)), office.contracts["pen"])
    path = answers[-1].folder / "主键相同.csv"
    if not path.exists():
        return []
    lines = list(csv.reader(path.read_text("utf-8-sig").splitlines()))[1:]
    return [(line[1], line[4], line[5]) for line in lines]


@pytest.mark.slow
def test_a_corrected_key_field_replaces_the_record_of_its_number(numbered: Office) -> None:
    numbered.deliver("pen", fine("k1", 1), fine("k2", 2), day=1)
    assert shown(numbered) == [("k1", "1"), ("k2", "2")]
    assert counts(numbered.deliver("pen", fine("k1", 11), day=2)) == (1, 0, 0, 0)
    assert shown(numbered) == [("k1", "11"), ("k2", "2")]
    assert list(findings(numbered, 1)) == ["record.replaced"]
    first = numbered.account("pen", 0).batch_id
    assert [(row, rule, first in words) for row, rule, words in told(numbered)] == [("2", "record.replaced", True)]


def test_another_subject_under_the_number_replaces_and_reports(numbered: Office) -> None:
    numbered.deliver("pen", fine("k1", 1), day=1)
    assert shown(numbered) == [("k1", "1")]
    numbered.deliver("pen", fine("k1", 1, about=2), day=2)
    assert shown(numbered) == [("k1", "1")]
    by_name = {number: name for name, number in numbered.table("subject", "name, subject_id")}
    assert [by_name[s] for (s,) in numbered.table("penalty", "subject_id")] == ["湖南示例2有限公司"]
    assert list(findings(numbered, 1)) == ["record.number_reused"]
    assert numbered.account("pen", 1).verdict == "warn"


@pytest.mark.slow
def test_the_old_key_is_deleted_and_sent_again_by_its_number(numbered: Office) -> None:
    numbered.deliver("pen", fine("k1", 1), day=1)
    numbered.deliver("pen", fine("k1", 11, delivery_status_code="2"), day=2)
    assert shown(numbered) == []
    assert counts(numbered.deliver("pen", fine("k1", 12), day=3)) == (1, 0, 0, 0)
    assert counts(numbered.deliver("pen", fine("k1", 12), fine("k3", 3), day=4)) == (1, 0, 1, 0)
    assert shown(numbered) == [("k1", "12"), ("k3", "3")]
    assert [findings(numbered, n) for n in (0, 1, 3)] == [{}, {}, {}]


def test_an_older_version_that_comes_late_replaces_nothing(numbered: Office) -> None:
    numbered.deliver("pen", fine("k1", 2, source_updated_at="2026-02-05 10:00:00"), day=1)
    numbered.deliver("pen", fine("k1", 1, source_updated_at="2026-02-01 10:00:00"), day=2)
    assert shown(numbered) == [("k1", "2")]


@pytest.mark.slow
def test_a_full_delivery_withdraws_by_number(tmp_path: Path) -> None:
    office = office_by(tmp_path, "source_record_id", mode="full")
    office.deliver("pen", fine("k1", 1), fine("k2", 2), fine("k3", 3), day=1)
    office.deliver("pen", fine("k1", 1), fine("k2", 22), day=2)
    assert shown(office) == [("k1", "1"), ("k2", "22")]
    assert office.account("pen", 1).withdrawn == 1


@pytest.mark.slow
def test_a_waiting_correction_replaces_once_its_subject_is_known(numbered: Office) -> None:
    numbered.deliver("pen", fine("k1", 1), day=1)
    assert counts(numbered.deliver("pen", fine("k1", 1, about=7), day=2)) == (0, 0, 0, 1)
    assert shown(numbered) == [("k1", "1")]
    numbered.deliver("test_reg", company(7), day=3)
    numbered.publish()
    assert len(numbered.table("penalty")) == 1
    assert list(findings(numbered, 1)) == ["record.number_reused"]


@pytest.mark.slow
def test_a_judgement_moves_a_record_with_versions_in_many_parts(numbered: Office) -> None:
    numbered.deliver("pen", penalty(1, source_record_id="k1", org_code="", subject_name="某某示例厂"), day=1)
    numbered.deliver("pen", fine("k1", 1, about=2, source_updated_at="2026-01-20 10:00:00"), day=2)
    assert shown(numbered) == [("k1", "1")]
    subject = dict(numbered.table("subject", "uscc, subject_id"))[uscc(1)]
    said = ledger.Said(subject_id=subject, part="name_key", value="某某示例厂", outcome="same", reason="r")
    ledger.judge(numbered.layout, said, at=START, author="a")
    numbered.publish()
    assert [s for (s,) in numbered.table("penalty", "subject_id")] == [subject]
    ledger.undo(numbered.layout, 0, at=START, author="a", reason="r")
    numbered.publish()
    assert len(numbered.table("penalty")) == 1


@pytest.mark.slow
def test_without_it_both_stand_and_both_are_named(keyed: Office) -> None:
    keyed.deliver("pen", fine("k1", 1), fine("k2", 2), day=1)
    account = keyed.deliver("pen", fine("k1", 11), fine("k2", 2), fine("k3", 3), day=2)
    assert (counts(account), account["verdict"]) == ((2, 0, 1, 0), "warn")
    assert shown(keyed) == [("k1", "1"), ("k1", "11"), ("k2", "2"), ("k3", "3")]
    assert "有 1 行" in findings(keyed, 1)["record.same_number"]
    first = keyed.account("pen", 0).batch_id
    [(row, rule, words)] = told(keyed)
    assert (row, rule) == ("2", "record.same_number")
    assert first in words and "第 2 行" in words and "关键字段不同" in words


@pytest.mark.slow
def test_a_row_moved_by_judgements_is_reported_once(keyed: Office) -> None:
    def judge(subject: int) -> ledger.Judgement:
        said = {"subject_id": subject, "part": "name_key", "value": "湖南别名公司", "outcome": "same"}
        return ledger.judge(keyed.layout, ledger.Said(**said, reason="营业执照扫描件"), at=START, author="审核员甲")

    keyed.deliver("test_reg", company(3), day=0)
    first = judge(1)
    keyed.deliver("pen", fine("k1", 1, about=2), day=1)
    keyed.deliver("pen", fine("k1", 5) | {"uscc": "", "subject_name": "湖南别名公司"}, day=2)
    other = keyed.account("pen", 0).batch_id
    for made in (first, None, 3):
        if isinstance(made, int):
            judge(made)
        elif made is None:
            ledger.undo(keyed.layout, first.id, at=START, author="审核员乙", reason="看错了")
        keyed.retry()
        expected = [] if made is None else [("2", "record.same_number", True)]
        assert [(row, rule, other in words) for row, rule, words in told(keyed)] == expected
        assert ("有 1 行" in findings(keyed, 1).get("record.same_number", "")) == bool(expected)


def test_what_was_deleted_beside_it_is_no_second_record(keyed: Office) -> None:
    keyed.deliver("pen", fine("k1", 1), day=1)
    keyed.deliver("pen", fine("k1", 1, delivery_status_code="2"), fine("k1", 11), day=2)
    assert (shown(keyed), findings(keyed, 1)) == ([("k1", "11")], {})


def test_only_two_keys_of_one_subjects_decision_are_reported(keyed: Office) -> None:
    keyed.deliver("pen", fine("k1", 1), fine("k1", 1, about=2), day=1)
    assert findings(keyed) == {}
    keyed.deliver("pen", fine("k5", 5), fine("k5", 6), day=2)
    assert list(findings(keyed, 1)) == ["record.same_number"]


def test_two_records_with_one_number_are_kept_and_reported(keyed: Office) -> None:
    account = keyed.deliver("pen", fine("k1", 1), fine("k1", 2, about=2), fine("k2", 3), day=1)
    assert (counts(account), account["verdict"]) == ((3, 0, 0, 0), "warn")
    [(row, rule, words)] = told(keyed)
    assert (row, rule) == ("3", "record.same_number") and "第 2 行" in words and "主体不同" in words
    assert shown(keyed) == [("k1", "1"), ("k1", "2"), ("k2", "3")]


def test_a_number_on_very_many_records_is_reported_of_each(keyed: Office) -> None:
    keyed.deliver("pen", *(fine("n", n) for n in range(1, 3001)), day=1)
    assert findings(keyed)["record.same_number"].count("2999") == 1
    assert [row for row, _, _ in told(keyed)] == [str(n) for n in range(3, 3002)]


def test_a_full_delivery_reports_shared_numbers_not_corrections(tmp_path: Path) -> None:
    office = office_by(tmp_path, "key", mode="full")
    joint = (fine("k3", 3), fine("k3", 3, about=2))
    office.deliver("pen", fine("k1", 1), fine("k1", 2), fine("k2", 4), *joint, day=1)
    assert "有 1 行" in findings(office)["record.same_number"]
    assert [row for row, _, _ in told(office)] == ["3"]
    office.deliver("pen", fine("k1", 1), fine("k2", 5), *joint, day=2)
    assert findings(office, 1) == {}
    assert shown(office) == [("k1", "1"), ("k2", "5"), ("k3", "3"), ("k3", "3")]


@pytest.mark.parametrize("days", [(1, 1), (1, 2)])
def test_a_number_with_two_dates_is_reported_without_source_key(tmp_path: Path, days: tuple[int, int]) -> None:
    office = office_by(tmp_path, "key")
    office.contract("pen", "penalty", NAMES[1:])
    rows = [penalty(1, uscc=uscc(1)), penalty(1, uscc=uscc(1), decision_on="2026-01-16")]
    another = penalty(1, uscc=uscc(1), authority_name="示例税务局", decision_on="2026-01-17")
    others = [penalty(1, uscc=uscc(2)), another, penalty(2, uscc=uscc(1))]
    if days == (1, 1):
        office.deliver("pen", *rows, *others, day=1)
    else:
        office.deliver("pen", rows[0], day=1)
        office.deliver("pen", rows[1], *others, day=2)
    last = days[1] - 1
    assert "decision_no" in findings(office, last)["record.same_number"]
    [(row, rule, words)] = told(office)
    assert (row, rule, words[:3]) == ({1: "3", 2: "2"}[days[1]], "record.same_number", "文号与")
    office.publish()
    assert len(office.table("penalty")) == 5


def test_what_names_the_records_cannot_change_once_there_are_any(keyed: Office) -> None:
    keyed.deliver("pen", fine("k1", 1), day=1)
    other = office_by(keyed.folder / "other", "source_record_id")
    keyed.contracts["pen"] = other.contracts["pen"]
    with pytest.raises(ContractError, match=r"delivery\.versions_by"):
        keyed.deliver("pen", fine("k1", 2), day=2)


@pytest.mark.parametrize(
    ("dataset", "kind", "more"),
    [("pen", "penalty", {"route": {"group": "penalties", "precedence": 1}}), ("reg", "registration", {})],
)
def test_the_linter_refuses_numbers_that_cannot_name_a_record(
    tmp_path: Path, dataset: str, kind: str, more: dict[str, Any]
) -> None:
    names = ("source_record_id", *(PENALTY if kind == "penalty" else REGISTRATION))
    columns = [{"source": n, "element": n, "required": n == "source_record_id" or None} for n in names]
    delivery = {"options": {"folder": "x"}, "versions_by": "source_record_id"} | more
    office = Office(tmp_path)
    office.contract(dataset, kind, names, columns=columns, delivery=delivery)
    assert any("versions_by" in m for m in lint_contract(office.contracts[dataset]))
    office.contract("pen", "penalty", names[:1] + PENALTY, delivery={k: v for k, v in delivery.items() if k != "route"})
    assert any("required: true" in m for m in lint_contract(office.contracts["pen"]))


def test_brackets_of_either_width_in_authorities_are_one_record(keyed: Office) -> None:
    keyed.deliver("pen", fine("k1", 1, authority_name="示例市（高新区）市监局"), day=1)
    account = keyed.deliver("pen", fine("k1", 1, authority_name="示例市(高新区)市监局"), day=2)
    assert counts(account) == (1, 0, 0, 0)
    assert (shown(keyed), findings(keyed, 1)) == ([("k1", "1")], {})
    assert keyed.table("penalty", "authority_name") == [("示例市(高新区)市监局",)]
