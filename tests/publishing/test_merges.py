"""Two subjects that are one are published as one; the judgement undone, every file is as it would have been without."""

import shutil
import subprocess
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pipeline_runs import command

from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.identity import ledger
from chengxin.pipeline import judgements
from chengxin.publishing.verify import verify
from deliveries import (
    ARREARS,
    CHANGE,
    GUARANTEE,
    PENALTY,
    REGISTRATION,
    START,
    Office,
    built_once,
    company,
    lasting,
    penalty,
    renaming,
    uscc,
)
from publishing.test_history import agree
from records.test_assembling import rebuilt

REGIONS = {1: "430102", 2: "430302", 3: "430602", 4: "430102", 5: "430602"}
ROUTED = {"test_city": 1, "test_province": 2}


def code(n: int) -> str:
    return uscc(n, region=REGIONS[n])


def firm(n: int, **more: Any) -> dict[str, Any]:
    return company(n, uscc=code(n), region_code=REGIONS[n]) | more


def guarantee(by: int, of: int) -> dict[str, Any]:
    return {"uscc": code(by), "related_uscc": code(of), "institution_code": "C1", "contract_no": f"保{by}{of}",
            "valid_from_on": "2026-01-01"}  # fmt: skip


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", (*REGISTRATION, "source_updated_at"))
    office.contract("test_change", "registration_change", CHANGE)
    office.contract("test_pen", "penalty", PENALTY)
    office.contract("test_arrears", "tax_arrears", ARREARS, mode="full")
    office.contract("test_guarantee", "guarantee", GUARANTEE)
    for dataset, precedence in ROUTED.items():
        delivery = {"options": {"folder": dataset}, "route": {"group": "both_routes", "precedence": precedence}}
        office.contract(dataset, "penalty", PENALTY, delivery=delivery)
    office.deliver("test_reg", *map(firm, REGIONS), day=0)
    office.deliver("test_pen", *(penalty(n, uscc=code(n)) for n in REGIONS), day=1)
    office.deliver("test_guarantee", guarantee(2, 3), guarantee(3, 2), guarantee(4, 2), day=1)
    office.deliver("test_arrears", *map(arrears, (1, 2, 3)), day=1)
    office.deliver("test_city", penalty(71, uscc=code(3)), penalty(72, uscc=code(2)), day=1)
    office.deliver("test_province", penalty(71, uscc=code(3)), penalty(73, uscc=code(1)), day=1)
    office.publish(1)
    return office


def arrears(n: int, balance: int = 10) -> dict[str, Any]:
    return {"uscc": code(n), "tax_type_name": "增值税", "authority_name": "示例局", "arrears_balance": balance,
            "published_on": "2026-02-01"}  # fmt: skip


def merge(office: Office, first: int, second: int) -> int:
    """Let two persons say that two subjects are one; return the judgement."""
    home = Home(office.settings, Clock(START + timedelta(days=2)))
    proposed, _ = (judgements.merge(home, (first, second), by=by, reason="登记档案") for by in "甲乙")
    return proposed.id


def undo(office: Office, judgement: int) -> None:
    ledger.undo(office.layout, judgement, at=START + timedelta(days=3), author="丙", reason="看错了")


def linked(office: Office, table: str) -> list[tuple[Any, ...]]:
    return office.table(table, "subject_id, linked_subject_id, count(*) GROUP BY ALL")


def alike(office: Office, folder: Path) -> None:
    """Check that the files are those that the same journal and ledger give at one go, and that history agrees."""
    anew = {name: data for name, data in rebuilt(office, folder).items() if not name.startswith("batch/")}
    assert anew == lasting(office.snapshot())
    for tier in ("assembly", "government"):
        agree(office, tier)


def test_what_is_about_either_is_about_the_one_that_stays(office: Office, tmp_path: Path) -> None:
    before, inodes = lasting(office.snapshot()), places(office)
    judgement = merge(office, 3, 1)
    assert office.publish(2) is not None
    assert set(office.table("penalty", "subject_id, linked_subject_id")) == {
        (1, None), (1, 3), (2, None), (4, None), (5, None),
    }  # fmt: skip
    columns = "subject_id, linked_subject_id, related_subject_id, linked_related_subject_id"
    assert office.table("guarantee", columns, "assembly") == [(1, 3, 2, None), (2, None, 1, 3), (4, None, 2, None)]
    assert set(office.table("record_source", "subject_id, linked_subject_id, dataset")) == {
        (1, 3, "test_city"), (1, 3, "test_province"), (1, None, "test_province"), (2, None, "test_city"),
    }  # fmt: skip
    for tier in ("government", "open"):
        for table in ("subject", "subject_name", "subject_identifier", "credit_record"):
            assert {s for (s,) in office.table(table, "subject_id", tier)} <= {1, 2, 4, 5}, (tier, table)
    assert {c for (c,) in office.table("subject_identifier", "identifier_value") if len(c) == 18} == set(
        map(code, REGIONS)
    )
    names = office.table("subject_name", "name, is_current", "assembly")
    assert (names[0], names[2]) == (("湖南示例1有限公司", False), ("湖南示例3有限公司", True))  # the newest statement
    assert office.table("subject_supersession", "subject_id, superseded_by") == [(3, 1)]
    after = places(office)
    assert {p for p in inodes if "4303" in p and "guarantee" not in p} == {
        p for p in inodes if "4303" in p and inodes[p] == after.get(p)
    }
    alike(office, tmp_path / "merged")
    undo(office, judgement)
    assert office.publish(3) is not None
    assert lasting(office.snapshot()) == before
    assert office.table("subject_supersession") == []


def places(office: Office) -> dict[str, int]:
    found = office.snapshot()
    return {p.relative_to(found).as_posix(): p.stat().st_ino for p in found.rglob("*.parquet")}


def later(office: Office) -> None:
    """Deliver about both: what is new, corrected, withdrawn, moved, renamed, and given by another route."""
    office.deliver("test_pen", penalty(3, uscc=code(3), penalty_content="另一"), penalty(31, uscc=code(3)), day=4)
    office.deliver("test_arrears", arrears(1, 20), arrears(2), day=4)
    office.deliver("test_reg", firm(3, region_code="430302", legal_rep_name="示例甲"), day=5)
    office.deliver("test_change", renaming(1, "湖南旧公司", "湖南示例1有限公司", uscc=code(1)), day=5)
    office.deliver("test_city", penalty(73, uscc=code(1)), penalty(71, uscc=code(3), penalty_content="另一"), day=6)


@pytest.mark.slow
def test_deliveries_after_a_merge_are_about_the_one_that_stays(office: Office, tmp_path: Path) -> None:
    judgement = merge(office, 3, 1)
    office.publish(3)
    later(office)
    assert office.publish(6) is not None
    assert not [row for row in office.table("credit_record", "subject_id") if row == (3,)]
    assert [h for s, h in office.table("credit_record", "subject_id, home_region_code") if s == 1] == ["430302"] * 9
    alike(office, tmp_path / "merged")
    undo(office, judgement)
    office.deliver("test_pen", penalty(32, uscc=code(3)), day=7)
    office.publish(7)
    alike(office, tmp_path / "undone")


@pytest.mark.slow
def test_history_tells_of_moves_within_a_part(office: Office, tmp_path: Path) -> None:
    judgement = merge(office, 4, 1)
    office.publish(2)
    alike(office, tmp_path / "merged")
    undo(office, judgement)
    office.publish(3)
    office.deliver("test_pen", penalty(4, uscc=code(4), penalty_content="另一"), day=4)
    office.publish(4)
    alike(office, tmp_path / "undone")


@pytest.mark.slow
def test_chains_and_rings_of_judgements_lead_to_the_lowest_id(office: Office, tmp_path: Path) -> None:
    before = lasting(office.snapshot())
    said = [merge(office, 3, 5), merge(office, 2, 3)]
    office.publish(2)
    said += [merge(office, 1, 2), merge(office, 5, 1)]
    office.publish(3)
    lead = {3: 1, 5: 1, 2: 1}
    assert dict(office.table("subject_supersession", "subject_id, superseded_by")) == lead
    assert {s for (s,) in office.table("credit_record", "subject_id")} == {1, 4}
    alike(office, tmp_path / "ring")
    undo(office, said[0])
    office.publish(4)
    assert dict(office.table("subject_supersession", "subject_id, superseded_by")) == lead, "the ring still holds"
    for judgement in said[1:]:
        undo(office, judgement)
    office.publish(5)
    assert lasting(office.snapshot()) == before


@pytest.mark.slow
def test_a_killed_publication_of_a_merge_is_made_again(office: Office, tmp_path: Path) -> None:
    merge(office, 3, 1)
    publish = command(office.settings.home, office.settings.contracts, "publish")
    whole = copied(office, tmp_path / "whole")
    begun = time.monotonic()
    subprocess.run(command(whole.settings.home, whole.settings.contracts, "publish"), check=True, capture_output=True)
    taken = time.monotonic() - begun
    before, after = lasting(office.snapshot()), lasting(whole.snapshot())
    for n in range(6):
        killed = subprocess.Popen(publish, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            killed.wait(taken * (4 + n) / 10)
        killed.kill()
        killed.wait()
        assert lasting(office.snapshot()) in (before, after)
    subprocess.run(publish, check=True, capture_output=True)
    assert lasting(office.snapshot()) == after
    assert verify(office.layout, "government") == []


def copied(office: Office, folder: Path) -> Office:
    shutil.copytree(office.settings.home, folder / "home")
    shutil.copytree(office.settings.contracts, folder / "contracts")
    return Office(folder, office.contracts)
