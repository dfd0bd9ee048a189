"""Every received row is in exactly one state, after every step; a correction is a new version, a repeat a duplicate."""

import json
from pathlib import Path
from typing import Any

import pytest
from pipeline_runs import chengxin

from deliveries import PENALTY, REGISTRATION, Office, company, counts, penalty, person_doc, uscc


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    office.deliver("test_reg", company(1), company(2), day=0)
    return office


def contents(office: Office) -> list[str]:
    office.publish()
    return [content for (content,) in office.table("penalty", "penalty_content")]


def fine(n: int, content: str, **more: str) -> dict[str, str]:
    return penalty(n, uscc=uscc(1), penalty_content=content, **more)


def test_rows_of_one_file_end_in_four_states(office: Office) -> None:
    account = office.deliver(
        "test_penalty",
        penalty(1, uscc=uscc(1)),
        penalty(1, uscc=uscc(1)),
        penalty(2, uscc=uscc(77)),
        penalty(3, uscc=uscc(2), decision_on="不详"),
        penalty(4, uscc=uscc(2)),
        day=1,
    )
    assert counts(account) == (2, 1, 1, 1)
    office.publish()
    assert office.table("penalty", "decision_no, source_row") == [("湘示罚〔2026〕1号", 2), ("湘示罚〔2026〕4号", 6)]


def test_the_same_bytes_twice_are_one_batch(office: Office) -> None:
    path = office.write("test_penalty", [fine(1, "罚款")], day=1)
    first = office.ingest("test_penalty", path)
    (path.parent / "again.csv").write_bytes(path.read_bytes())
    assert office.ingest("test_penalty", path.parent / "again.csv") == first
    assert len(office.accounts()) == 2


def test_rows_sent_again_in_another_file_are_duplicates(office: Office) -> None:
    office.deliver("test_penalty", fine(1, "罚款"), fine(2, "罚款"), day=1)
    account = office.deliver("test_penalty", fine(2, "罚款"), fine(1, "罚款"), fine(3, "罚款"), day=2)
    assert counts(account) == (1, 0, 2, 0)
    assert contents(office) == ["罚款"] * 3


def test_a_correction_is_a_version_and_the_newest_is_published(office: Office) -> None:
    office.deliver("test_penalty", fine(1, "甲"), day=1)
    assert contents(office) == ["甲"]
    assert counts(office.deliver("test_penalty", fine(1, "乙"), day=2)) == (1, 0, 0, 0)
    assert contents(office) == ["乙"]


@pytest.mark.slow
def test_going_back_to_an_earlier_content_is_a_third_version(office: Office) -> None:
    for day, content in enumerate("甲乙甲", 1):
        account = office.deliver("test_penalty", fine(1, content), fine(9, str(day)), day=day)
        assert counts(account) == (2, 0, 0, 0)
    assert contents(office) == ["3", "甲"]


@pytest.mark.parametrize(("first", "second"), [("100万美元", "200万美元"), ("约五万", "约九万"), ("5万", "6万")])
def test_a_correction_to_an_unusable_amount_is_a_new_version(tmp_path: Path, first: str, second: str) -> None:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", (*REGISTRATION, "registered_capital"))
    office.deliver("test_reg", company(1, registered_capital=first), day=0)
    assert counts(office.deliver("test_reg", company(1, registered_capital=second), day=1)) == (1, 0, 0, 0)
    office.publish()
    assert office.table("registration", "registered_capital_raw") == [(second,)]


def test_the_same_amount_in_another_spelling_is_a_repetition(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", (*REGISTRATION, "registered_capital"))
    office.deliver("test_reg", company(1, registered_capital="50000"), day=0)
    assert counts(office.deliver("test_reg", company(1, registered_capital="5万元"), day=1)) == (0, 0, 1, 0)


@pytest.mark.slow
def test_an_older_correction_that_arrives_late_does_not_win(office: Office) -> None:
    office.deliver("test_penalty", fine(1, "新", source_updated_at="2026-02-03 10:00:00"), day=1)
    office.deliver("test_penalty", fine(1, "旧", source_updated_at="2026-02-01 10:00:00"), day=2)
    assert contents(office) == ["新"]
    office.deliver("test_penalty", fine(1, "更新", source_updated_at="2026-02-04 10:00:00"), day=3)
    assert contents(office) == ["更新"]


def test_a_late_correction_between_equal_versions_does_not_win(office: Office) -> None:
    office.deliver("test_penalty", fine(1, "甲", source_updated_at="2026-02-01 10:00:00"), day=1)
    repeat = office.deliver("test_penalty", fine(1, "甲", source_updated_at="2026-02-05 10:00:00"), day=2)
    assert counts(repeat) == (0, 0, 1, 0)
    between = office.deliver("test_penalty", fine(1, "乙", source_updated_at="2026-02-03 10:00:00"), day=3)
    assert counts(between) == (1, 0, 0, 0)
    assert contents(office) == ["甲"]


@pytest.mark.slow
def test_of_corrections_of_one_instant_the_later_admitted_wins(office: Office) -> None:
    at = {"source_updated_at": "2026-02-03 10:00:00"}
    for content in "甲乙丙":
        assert counts(office.deliver("test_penalty", fine(1, content, **at), day=1)) == (1, 0, 0, 0)
    assert contents(office) == ["丙"]


def test_a_correction_of_another_subject_is_another_record(office: Office) -> None:
    """One decision may have many counterparts, so an increment cannot tell that one was wrong; a full list can."""
    office.deliver("test_penalty", fine(1, "甲"), day=1)
    assert counts(office.deliver("test_penalty", penalty(1, uscc=uscc(2), penalty_content="甲"), day=2)) == (1, 0, 0, 0)
    office.publish()
    assert office.table("penalty", "subject_id") == [(1,), (2,)]
    office.contract("test_list", "penalty", PENALTY, mode="full")
    office.deliver("test_list", fine(8, "丁"), fine(9, "丁"), day=3)
    office.deliver("test_list", penalty(8, uscc=uscc(2), penalty_content="丁"), fine(9, "丁"), day=4)
    office.publish()
    assert office.table("penalty", "subject_id, dataset")[-2:] == [(2, "test_list"), (2, "test_penalty")]


def test_equal_rows_in_another_order_and_encoding_are_duplicates(office: Office) -> None:
    rows = [fine(n, "罚款") for n in (1, 2, 3)]
    office.deliver("test_penalty", *rows, day=1)
    contents(office)
    before = {p.name for p in office.snapshot().rglob("*.parquet")}
    path = office.write(
        "test_penalty", list(reversed(rows)), day=2, columns=[c for c in reversed(PENALTY) if c in rows[0]]
    )
    path.write_bytes(path.read_text("utf-8").encode("utf-16"))
    office.contract("test_penalty", "penalty", PENALTY, file={"encoding": "utf-16"})
    assert counts(office.ingest("test_penalty", path)) == (0, 0, 3, 0)
    assert office.publish() is None
    assert {p.name for p in office.snapshot().rglob("*.parquet")} == before


def test_corrections_within_one_file_leave_the_last(office: Office) -> None:
    account = office.deliver("test_penalty", fine(1, "甲"), fine(1, "乙"), fine(1, "乙"), fine(1, "丙"), day=1)
    assert counts(account) == (3, 0, 1, 0)
    assert contents(office) == ["丙"]


def test_a_decision_number_with_two_counterparts_is_two_records(office: Office) -> None:
    account = office.deliver("test_penalty", penalty(1, uscc=uscc(1)), penalty(1, uscc=uscc(2)), day=1)
    assert counts(account) == (2, 0, 0, 0)
    office.publish()
    assert office.table("penalty", "subject_id") == [(1,), (2,)]


@pytest.mark.slow
def test_a_later_unlinked_row_with_an_older_time_does_not_win(office: Office) -> None:
    """It waited while a newer version came; when its subject is found it takes its place in time."""
    office.deliver("test_penalty", penalty(1, uscc=uscc(3), penalty_content="旧"), day=1)
    office.deliver("test_penalty", penalty(1, uscc=uscc(3), penalty_content="新"), day=1)
    office.deliver("test_reg", company(3), day=2)
    assert contents(office) == ["新"]
    assert [counts(office.account("test_penalty", n)) for n in (0, 1)] == [(1, 0, 0, 0), (1, 0, 0, 0)]


@pytest.mark.slow
def test_a_waiting_row_overtakes_no_newer_one_of_its_second(office: Office) -> None:
    office.deliver("test_penalty", penalty(1, tax_no=uscc(3), penalty_content="旧"), day=1)
    office.deliver("test_reg", company(3), day=1)
    office.deliver("test_penalty", penalty(1, uscc=uscc(3), penalty_content="新"), day=1)
    assert contents(office) == ["新"]


@pytest.mark.slow
def test_a_waiting_row_can_turn_out_to_be_a_duplicate(office: Office) -> None:
    office.deliver("test_penalty", penalty(1, uscc=uscc(3)), penalty(2, uscc=uscc(1)), day=1)
    office.deliver("test_penalty", penalty(1, uscc=uscc(3)), day=2)
    office.deliver("test_reg", company(3), day=3)
    office.publish()
    assert [counts(office.account("test_penalty", n)) for n in (0, 1)] == [(2, 0, 0, 0), (0, 0, 1, 0)]
    assert len(office.table("penalty")) == 2


def test_late_subjects_are_published_by_the_next_publication(office: Office) -> None:
    office.deliver("test_penalty", *[penalty(n, uscc=uscc(n)) for n in (1, 3, 4)], day=1)
    office.publish()
    assert counts(office.account("test_penalty")) == (1, 0, 0, 2)
    assert len(office.table("penalty")) == 1
    office.deliver("test_reg", company(3), day=2)
    assert [counts(a) for a in office.retry()] == [(2, 0, 0, 1)]
    assert office.account("test_penalty").revision == 1
    office.publish()
    assert len(office.table("penalty")) == 2
    assert office.retry() == [], "the registry did not grow"
    office.deliver("test_reg", company(5), day=3)
    assert office.retry() == [], "it grew, but not by whom is waited for"
    office.deliver("test_reg", company(4), day=4)
    assert [(counts(a), a.revision) for a in office.retry()] == [((3, 0, 0, 0), 2)]


def test_repeated_registrations_do_not_retry_waiting_rows(office: Office) -> None:
    office.deliver("test_penalty", penalty(1, uscc=uscc(3)), day=1)
    office.deliver("test_reg", company(1), day=2)
    note = office.layout.batch("test_penalty", office.account("test_penalty").batch_id) / "tried.json"
    assert office.retry() == []
    assert json.loads(note.read_text()).keys() == {"sought"}  # for its mended record, once; its subject not at all


def _held(office: Office, headers: list[str], rows: list[dict[str, str]], **mended: Any) -> None:
    """A batch is held, publishes nothing, and goes through once the contract was mended."""
    names = ("subject_name", "uscc", "decision_no", "decision_on")
    strict: dict[str, Any] = {"columns": [{"source": c, "element": c} for c in names]}
    office.contract("test_penalty", "penalty", names, **strict)
    path = office.write("test_penalty", rows, day=1, columns=headers)
    settings = office.settings
    call = ("ingest", "test_penalty", "--file", str(path))
    for _ in range(2):
        done = chengxin(settings.home, settings.contracts, *call, code=3)
        (account,) = done["batches"]
        assert (account["verdict"], account["received"], counts(account)) == ("hold", 3, (0, 3, 0, 0))
    assert office.table("penalty") == []
    assert chengxin(settings.home, settings.contracts, "run")["snapshot"] is None
    office.contract("test_penalty", "penalty", names, **(strict | mended))
    done = chengxin(settings.home, settings.contracts, *call)
    assert done["batches"][0]["accepted"] == 3
    assert len(office.table("penalty")) == 3


def test_a_missing_column_holds_the_batch_until_the_mend(office: Office) -> None:
    rows = [{"uscc": uscc(1), "decision_no": f"示{n}号", "decision_on": "2026-01-15"} for n in range(3)]
    _held(office, ["uscc", "decision_no", "decision_on"], rows,
          columns=[{"source": c, "element": c} for c in ("uscc", "decision_no", "decision_on")])  # fmt: skip


def test_an_undeclared_column_holds_the_batch_until_the_mend(office: Office) -> None:
    row = {"subject_name": "湖南示例1有限公司", "uscc": uscc(1), "decision_on": "2026-01-15", "备注": "无"}
    rows = [row | {"decision_no": f"示{n}号"} for n in range(3)]
    _held(office, ["subject_name", "uscc", "decision_no", "decision_on", "备注"], rows, ignored={"备注": "不用"})


def test_a_batch_whose_dates_are_all_missing_is_held(office: Office) -> None:
    rows = [penalty(n, uscc=uscc(1), decision_on="") for n in range(30)]
    account = office.deliver("test_penalty", *rows, day=1)
    assert (account["verdict"], counts(account)) == ("hold", (0, 30, 0, 0))


def test_a_person_document_is_in_no_message_of_the_account(office: Office) -> None:
    doc = person_doc(5)
    office.deliver("test_penalty", penalty(1, person_doc_no=doc, subject_name="示例甲"), day=1)
    office.publish()
    journal = "".join(p.read_text() for p in office.layout.journal.iterdir())
    manifest = (office.snapshot() / "manifest.json").read_text()
    assert doc not in journal + manifest


def test_an_admitted_batch_stays_when_its_contract_changes(office: Office) -> None:
    path = office.write("test_penalty", [fine(1, "罚款"), fine(2, "警告")], day=1)
    first = office.ingest("test_penalty", path)
    office.publish()
    office.contract("test_penalty", "penalty", [c for c in PENALTY if c != "penalty_content"])
    assert office.ingest("test_penalty", path) == first
    office.contract("test_penalty", "penalty", PENALTY, ignored={"备注": "不用"})
    assert office.ingest("test_penalty", path) == first
    settings = office.settings
    assert chengxin(settings.home, settings.contracts, "verify")["problems"] == []
