"""A row whose status is 2 and that does not find its record, since its key is not that of the record: told in words."""

from pathlib import Path
from typing import Any

import pytest

from deliveries import PENALTY, REGISTRATION, Office, company, counts, penalty, uscc

STATUS = "delivery_status_code"
NUMBER = "source_record_id"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", (NUMBER, *PENALTY, STATUS))
    office.deliver("test_reg", company(1), company(2), day=0)
    return office


def fine(n: int, about: int = 1, **more: Any) -> dict[str, Any]:
    return penalty(n, uscc=uscc(about), **more)


def gone(n: int, about: int = 1, **more: Any) -> dict[str, Any]:
    return fine(n, about, **{STATUS: "2"}, **more)


def said(office: Office, n: int) -> dict[str, str]:
    batch_id = office.account("pen", n).batch_id
    verdict, page = office.verdict("pen", batch_id), office.page("pen", batch_id)
    told = {f.rule: f.message for f in verdict.findings if f.severity == "warning"}
    assert all(message in page for message in told.values())
    return {rule: told[rule] for rule in told if rule in ("deletion.missed", "record.same_number")}


def shown(office: Office) -> int:
    office.publish()
    return len(office.table("penalty", "penalty_content"))


@pytest.mark.slow
@pytest.mark.parametrize("number", ["", "P1"])
def test_a_deletion_without_a_key_field_is_reported_with_places(office: Office, number: str) -> None:
    office.deliver("pen", fine(1, **{NUMBER: number}), fine(2, **{NUMBER: "P2"}), day=1)
    account = office.deliver("pen", fine(3), gone(1, **{NUMBER: number, "authority_name": ""}), day=2)
    assert counts(account) == (2, 0, 0, 0)
    told = said(office, 1)
    assert list(told) == ["deletion.missed"]
    first = office.account("pen", 0).batch_id
    assert "有 1 行删除（数据状态 2）没有找到要删除的记录" in told["deletion.missed"]
    assert f"第 3 行（可能指 {first} 批次" in told["deletion.missed"]
    assert "第 2 行）" in told["deletion.missed"]
    assert "“decision_no”“authority_name”“decision_on”" in told["deletion.missed"]
    assert shown(office) == 3
    # sent again as it should have been
    office.deliver("pen", gone(1, **{NUMBER: number}), day=3)
    assert said(office, 2) == {}
    assert shown(office) == 2


def test_a_deletion_by_number_and_another_key_is_reported(office: Office) -> None:
    office.deliver("pen", fine(1, **{NUMBER: "P1"}), day=1)
    office.deliver("pen", gone(1, **{NUMBER: "P1", "decision_on": "2026-01-31"}), day=2)
    assert list(said(office, 1)) == ["deletion.missed"]
    assert shown(office) == 1


@pytest.mark.slow
def test_usual_deletions_raise_no_alarm(office: Office) -> None:
    # A source that never gives the authority, records deleted before they ever came, and a record deleted twice.
    bare = {"authority_name": ""}
    office.contract("pen", "penalty", (NUMBER, *PENALTY, STATUS), quality={"fill": {"authority_name": 0}})
    office.deliver("pen", fine(1, **bare), fine(2, **bare), gone(8, **bare), day=1)
    office.deliver("pen", gone(1, **bare), gone(9, **bare), gone(1, 2, **bare), gone(5, **{NUMBER: "P5"}), day=2)
    office.deliver("pen", gone(1, **bare), fine(2, **bare), gone(2, **bare), day=3)
    assert [said(office, n) for n in range(3)] == [{}, {}, {}]
    assert shown(office) == 0


def test_a_deletion_of_what_was_withdrawn_already_is_no_trouble(office: Office) -> None:
    office.deliver("pen", fine(1), day=1)
    office.deliver("pen", gone(1), day=2)
    office.deliver("pen", gone(1, authority_name=""), day=3)
    assert said(office, 2) == {}


def test_a_deletion_and_its_record_in_one_delivery(office: Office) -> None:
    office.deliver("pen", fine(1), fine(2), gone(2), gone(1, authority_name=""), day=1)
    assert "第 5 行（可能指" in said(office, 0)["deletion.missed"]
    assert shown(office) == 1
