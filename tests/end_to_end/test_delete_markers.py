"""A row whose status is 2 withdraws its record: whenever it comes, however often, and in the source's own words."""

from pathlib import Path
from typing import Any

import pytest

from deliveries import ARREARS, GUARANTEE, PENALTY, REGISTRATION, Office, company, counts, penalty, uscc

STATUS = "delivery_status_code"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", (*REGISTRATION, STATUS))
    office.contract("test_penalty", "penalty", (*PENALTY, STATUS))
    office.deliver("test_reg", company(1), company(2), day=0)
    return office


def fine(n: int, content: str = "罚款", at: str = "", **more: Any) -> dict[str, Any]:
    return penalty(n, uscc=uscc(1), penalty_content=content, source_updated_at=at, **more)


def gone(n: int, at: str = "", **more: Any) -> dict[str, Any]:
    return fine(n, "", at, **{STATUS: "2"}, **more)


def contents(office: Office) -> list[str]:
    office.publish()
    return [content for (content,) in office.table("penalty", "penalty_content")]


def test_a_deleted_record_is_withdrawn_and_counted(office: Office) -> None:
    office.deliver("test_penalty", fine(1, "甲"), fine(2, "乙"), day=1)
    assert contents(office) == ["乙", "甲"]
    assert counts(office.deliver("test_penalty", gone(1), day=2)) == (1, 0, 0, 0)
    assert office.account("test_penalty", 1).withdrawn == 1
    assert contents(office) == ["乙"]


@pytest.mark.slow
def test_deleting_twice_is_a_duplicate(office: Office) -> None:
    office.deliver("test_penalty", fine(1), day=1)
    office.deliver("test_penalty", gone(1), day=2)
    assert counts(office.deliver("test_penalty", gone(1), gone(1), fine(3, "丙"), day=3)) == (1, 0, 2, 0)
    assert contents(office) == ["丙"]


def test_a_deletion_needs_no_more_than_subject_and_key(office: Office) -> None:
    office.contract("test_arrears", "tax_arrears", (*ARREARS, STATUS))
    owed = {"uscc": uscc(1), "tax_type_name": "增值税", "authority_name": "示例局"}
    office.deliver("test_arrears", owed | {"arrears_balance": 5}, day=1)
    assert counts(office.deliver("test_arrears", owed | {STATUS: "2"}, day=2)) == (1, 0, 0, 0)
    office.publish()
    assert office.table("tax_arrears") == []


def test_a_deletion_without_its_key_is_refused(office: Office) -> None:
    office.deliver("test_penalty", fine(1), day=1)
    account = office.deliver("test_penalty", gone(1) | {"decision_no": ""}, fine(2), day=2)
    assert counts(account) == (1, 1, 0, 0)


@pytest.mark.slow
def test_a_deletion_before_its_older_record_keeps_it_away(office: Office) -> None:
    account = office.deliver("test_penalty", gone(1, "2026-02-05 10:00:00"), day=1)
    assert counts(account) == (1, 0, 0, 0)
    assert contents(office) == []
    office.deliver("test_penalty", fine(1, "甲", "2026-02-01 10:00:00"), day=2)
    assert contents(office) == []
    office.deliver("test_penalty", fine(1, "乙", "2026-02-06 10:00:00"), day=3)
    assert contents(office) == ["乙"]


def test_an_older_deletion_that_arrives_late_deletes_nothing(office: Office) -> None:
    office.deliver("test_penalty", fine(1, "甲", "2026-02-05 10:00:00"), day=1)
    office.deliver("test_penalty", gone(1, "2026-02-03 10:00:00"), day=2)
    assert contents(office) == ["甲"]


@pytest.mark.slow
def test_a_late_deletion_between_equal_versions_deletes_nothing(office: Office) -> None:
    office.deliver("test_penalty", fine(1, "甲", "2026-02-01 10:00:00"), day=1)
    assert counts(office.deliver("test_penalty", fine(1, "甲", "2026-02-05 10:00:00"), day=2)) == (0, 0, 1, 0)
    office.deliver("test_penalty", gone(1, "2026-02-03 10:00:00"), day=3)
    assert contents(office) == ["甲"]


@pytest.mark.slow
def test_a_record_inserted_again_after_its_deletion_is_back(office: Office) -> None:
    office.deliver("test_penalty", fine(1, "甲"), day=1)
    office.deliver("test_penalty", gone(1), day=2)
    assert contents(office) == []
    again = office.deliver("test_penalty", fine(1, "甲"), fine(2, "乙"), day=3)
    assert counts(again) == (2, 0, 0, 0)
    assert contents(office) == ["乙", "甲"]


def test_a_file_from_before_the_deletion_revives_nothing(office: Office) -> None:
    path = office.write("test_penalty", [fine(1, "甲")], day=1)
    first = office.ingest("test_penalty", path)
    office.deliver("test_penalty", gone(1), day=2)
    (path.parent / "again.csv").write_bytes(path.read_bytes())
    assert office.ingest("test_penalty", path.parent / "again.csv") == first
    assert contents(office) == []


def test_within_one_file_the_last_row_of_a_record_counts(office: Office) -> None:
    office.deliver("test_penalty", fine(1), gone(1), fine(2), gone(2), fine(2, "又罚"), gone(3), day=1)
    assert contents(office) == ["又罚"]


@pytest.mark.slow
def test_a_deletion_waits_for_its_subject_and_founds_nobody(office: Office) -> None:
    office.deliver("test_penalty", penalty(1, uscc=uscc(3), **{STATUS: "2"}), day=2)
    office.deliver("test_penalty", penalty(1, uscc=uscc(3)), day=1)
    assert counts(office.deliver("test_reg", company(9, **{STATUS: "2"}), day=3)) == (0, 0, 0, 1)
    office.deliver("test_reg", company(3), day=4)
    assert contents(office) == []
    assert len(office.table("subject")) == 3


def test_a_deleted_registration_leaves_its_subject(office: Office) -> None:
    office.deliver("test_reg", company(2, **{STATUS: "2"}), day=1)
    office.deliver("test_penalty", penalty(1, uscc=uscc(2)), day=2)
    assert contents(office) == ["罚款"]
    assert len(office.table("registration")) == 1
    assert len(office.table("subject")) == 2


@pytest.mark.parametrize("word", ["删除", "D", "1", "撤回"])
def test_the_contract_says_what_the_source_calls_a_deletion(office: Office, word: str) -> None:
    codes = {STATUS: {"D": "2", "1": "2", "N": "0", "I": "0"}}
    office.contract("test_penalty", "penalty", (*PENALTY, STATUS), codes=codes)
    office.deliver("test_penalty", fine(1, "甲", **{STATUS: "N"}), fine(2, "乙", **{STATUS: "I"}), day=1)
    office.deliver("test_penalty", fine(1, **{STATUS: word}), day=2)
    assert contents(office) == ["乙"]


def test_an_unknown_status_is_not_guessed(office: Office) -> None:
    account = office.deliver("test_penalty", fine(1, **{STATUS: "作废"}), fine(2, "乙", **{STATUS: ""}), day=1)
    assert counts(account) == (1, 1, 0, 0)
    assert contents(office) == ["乙"]


def test_a_delivery_of_deletions_alone_is_judged_by_them(office: Office) -> None:
    rows = [fine(n, "甲") for n in range(1, 41)]
    office.deliver("test_penalty", *rows, day=1)
    bare = [{c: r[c] for c in ("uscc", "decision_no", "decision_on", "authority_name")} | {STATUS: "2"} for r in rows]
    assert office.deliver("test_penalty", *bare[:39], day=2)["verdict"] == "accept"
    assert contents(office) == ["甲"]


def test_a_deletion_need_not_name_the_related_subject(office: Office) -> None:
    office.contract("test_guarantee", "guarantee", (*GUARANTEE, STATUS))
    row = {"uscc": uscc(1), "related_uscc": uscc(2), "institution_code": "示例行", "contract_no": "示保1号",
           "valid_from_on": "2026-01-01"}  # fmt: skip
    office.deliver("test_guarantee", row, day=1)
    office.publish()
    assert len(office.table("guarantee", tier="assembly")) == 1
    assert counts(office.deliver("test_guarantee", row | {"related_uscc": "", STATUS: "2"}, day=2)) == (1, 0, 0, 0)
    office.publish()
    assert office.table("guarantee", tier="assembly") == []
