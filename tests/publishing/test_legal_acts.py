"""What legal acts take out of published data: at the next publication, from a re-delivery, and back after a lifting."""

import random
import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from cases import few
from chengxin.clock import Clock
from chengxin.errors import ActRefused
from chengxin.home import Home
from chengxin.operations import backup
from chengxin.pipeline import acts
from chengxin.pipeline.acts import Target
from chengxin.publishing.reader import open_snapshot
from chengxin.publishing.suppression.sweep import sweep
from chengxin.publishing.verify import verify
from chengxin.records import acts as records_acts
from chengxin.store.manifest import Manifest
from deliveries import PENALTY, REGISTRATION, START, Office, built_once, company, penalty, uscc

PENALTIES = (*PENALTY, "penalty_class_name", "remark")
TIERS = ("government", "open")


def home(office: Office, day: float) -> Home:
    return Home(office.settings, Clock(START + timedelta(days=day)))


def fined(n: int, **more: str) -> dict[str, str]:
    return penalty(n, uscc=uscc(n), penalty_class_name="罚款", **more)


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    """Firms 1 to 4, each fined once by the same office; two publications."""
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_pen", "penalty", PENALTIES)
    office.contract("test_city", "penalty", PENALTIES)
    office.deliver("test_reg", *[company(n) for n in range(1, 5)], day=0)
    office.deliver("test_pen", *[fined(n) for n in range(1, 4)], day=0)
    office.publish(day=0)
    office.deliver("test_pen", fined(4), day=1)
    office.publish(day=1)
    return office


def enter(office: Office, act: str, n: int, *, day: float = 2) -> acts.Case:
    target = Target(identifier=uscc(n), number=f"湘示罚[2026]{n}号", authority="示例市监局")
    at = (START + timedelta(days=day)).date()
    return acts.enter(home(office, day), act, target, by="甲", document=f"修〔2026〕{n}号", day=at)


def served(office: Office) -> Manifest:
    return open_snapshot(office.settings.home).manifest


def decisions(office: Office, tier: str = "government") -> list[str]:
    return [number for (number,) in office.table("penalty", "decision_no", tier)]


def numbers(*wanted: int) -> list[str]:
    return [f"湘示罚〔2026〕{n}号" for n in wanted]


def contents(office: Office, tier: str) -> set[str]:
    folder = office.snapshot(tier)
    return {
        str(p.relative_to(folder))
        for p in folder.rglob("*.parquet")
        if not p.parent.name.endswith(("batch", "_history"))
    }


def rebuilt(office: Office, day: float) -> dict[str, set[str]]:
    """Return the files of a publication from nothing."""
    again = Office(office.folder.with_name("again"), office.contracts)
    shutil.copytree(office.folder, again.folder)
    for name in ("published", "state", "derivations"):
        shutil.rmtree(again.settings.home / name)
    again.publish(day=day)
    made = {tier: contents(again, tier) for tier in TIERS}
    shutil.rmtree(again.folder)
    return made


def test_a_repaired_record_stays_out_however_delivered_again(office):
    enter(office, "repair", 1)
    office.publish(day=2)
    for tier in TIERS:
        assert decisions(office, tier) == numbers(2, 3, 4)
        assert len(office.table("credit_record", "record_id", tier)) == 7
    office.deliver("test_pen", fined(1, remark="补"), day=3)
    office.deliver("test_city", fined(1, item_name="另"), fined(2, item_name="另"), day=3)
    office.publish(day=3)
    for tier in TIERS:
        assert decisions(office, tier) == numbers(2, 2, 3, 4), "another data set has firm 2's as well"
    assert rebuilt(office, 3) == {tier: contents(office, tier) for tier in TIERS}


@pytest.mark.slow
def test_a_lifting_brings_the_newest_version_back(office):
    case = enter(office, "repair", 1)
    office.publish(day=2)
    office.deliver("test_pen", fined(1, remark="补"), day=3)
    office.publish(day=3)
    acts.lift(home(office, 4), case.act.id, by="乙", document="复〔2026〕1号")
    office.publish(day=4)
    for tier in TIERS:
        assert decisions(office, tier) == numbers(1, 2, 3, 4)
    assert ("补",) in office.table("penalty", "remark")
    assert rebuilt(office, 4) == {tier: contents(office, tier) for tier in TIERS}


def test_a_lifting_before_any_publication_is_noticed_too(office):
    case = enter(office, "repair", 1)
    office.publish(day=2)
    acts.lift(home(office, 2), case.act.id, by="乙", document="复〔2026〕1号")
    office.publish(day=2.5)
    assert decisions(office) == numbers(1, 2, 3, 4)


def test_an_objected_record_leaves_the_open_tier_and_is_marked(office):
    case = enter(office, "objection", 2)
    office.publish(day=2)
    assert (decisions(office), decisions(office, "open")) == (numbers(1, 2, 3, 4), numbers(1, 3, 4))
    standing = office.table("credit_record", "standing_code, share_level, kind, subject_id")
    assert [row for row in standing if row[0] == "objected"] == [("objected", "government", "penalty", 2)]
    assert rebuilt(office, 2) == {tier: contents(office, tier) for tier in TIERS}
    said = {"by": "乙", "document": "答〔2026〕2号", "day": date(2026, 3, 6)}
    acts.answer(home(office, 4), case.act.id, "rejected", **said)
    office.publish(day=4)
    assert decisions(office, "open") == numbers(1, 2, 3, 4)
    assert not [row for row in office.table("credit_record", "standing_code") if row[0] == "objected"]
    assert rebuilt(office, 4) == {tier: contents(office, tier) for tier in TIERS}


def test_an_objected_record_stays_marked_when_days_pass(office):
    office.deliver("test_pen", penalty(5, uscc=uscc(4), penalty_class_name="罚款", decision_on="2025-12-10"), day=1.5)
    enter(office, "objection", 2)
    office.publish(day=2)
    (entry,) = [f for f in served(office).tables["credit_record"].files if f.part.startswith("penalty")]
    day = (date.fromisoformat(entry.extra["until"]) - START.date()).days + 1
    office.publish(day=day)
    assert rebuilt(office, day) == {tier: contents(office, tier) for tier in TIERS}
    marked = office.table("credit_record", "subject_id, standing_code, share_level")
    assert [row for row in marked if row[1] == "objected"] == [(2, "objected", "government")]
    assert decisions(office, "open") == numbers(1, 3, 4)


@pytest.mark.slow
def test_routes_show_no_row_of_a_removed_record(tmp_path):
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    for name, precedence in (("test_pen", 1), ("test_city", 2)):
        delivery = {"mode": "incremental", "options": {"folder": name}}
        office.contract(
            name, "penalty", PENALTIES, delivery={**delivery, "route": {"group": "pen", "precedence": precedence}}
        )
    office.deliver("test_reg", company(1), company(2), day=0)
    office.deliver("test_pen", fined(1), fined(2), day=0)
    office.deliver("test_city", fined(1, item_name="另"), day=0)
    office.publish(day=0)
    assert len(office.table("record_source", "record_id")) == 3
    enter(office, "repair", 1)
    office.deliver("test_city", fined(1, remark="补"), day=2)
    office.publish(day=2)
    assert decisions(office) == numbers(2)
    assert office.table("record_source", "subject_id") == [(2,)]
    assert verify(office.layout, "government") == []
    assert rebuilt(office, 2) == {tier: contents(office, tier) for tier in TIERS}


REPAIR = ("subject_name", "uscc", "decision_no", "authority_name", "repair_document_no", "repaired_on")


def repaired(n: int, **more: str) -> dict[str, str]:
    named = {"decision_no": f"湘示罚〔2026〕{n}号", "authority_name": "示例市监局"}
    return {"uscc": uscc(n), "repair_document_no": f"修〔2026〕{n}号", "repaired_on": "2026-03-03"} | named | more


@pytest.mark.slow
def test_delivered_repairs_become_acts_before_a_publication(office):
    office.contract("test_repair", "credit_repair", REPAIR, basis={"legal": "测试", "share": "不予"})
    before = {tier: [p.name for p in (office.layout.tier(tier) / "snapshots").iterdir()] for tier in TIERS}
    office.deliver("test_repair", repaired(1), repaired(2, repaired_on="2026-01-14"), day=2)
    office.deliver("test_repair", repaired(9, uscc=uscc(3)), day=2)
    office.publish(day=2)
    register = records_acts.read(office.layout)
    assert [case.state for case in register.cases.values()] == ["in_force", "waiting", "in_force"]
    for tier in TIERS:
        assert decisions(office, tier) == numbers(2, 3, 4), "one that is dated too early waits"
        hidden = open_snapshot(office.settings.home, tier).table("penalty")["decision_no"].to_pylist()
        assert sorted(hidden) == numbers(3, 4), "and is hidden meanwhile"
        left = [p.name for p in (office.layout.tier(tier) / "snapshots").iterdir()]
        assert not set(before[tier]) & set(left)
    assert not (office.snapshot() / "credit_repair").exists()
    office.deliver("test_pen", penalty(9, uscc=uscc(3), penalty_class_name="罚款"), day=3)
    office.publish(day=3)
    assert decisions(office) == numbers(2, 3, 4), "repaired before the decision came"
    assert sweep(home(office, 3)).left == {}
    office.deliver("test_repair", repaired(1), day=4)
    office.publish(day=4)
    assert len(records_acts.read(office.layout).cases) == 3


def test_a_backup_forgets_what_was_issued_again(office, tmp_path):
    target = tmp_path / "backup"
    backup.copy(office.layout, target)
    enter(office, "repair", 1)
    acts.reissue(home(office, 2))
    backup.copy(office.layout, target)
    kept = Home(replace(office.settings, home=target))
    assert sweep(kept).left == {} and sweep(kept).acts == 1
    assert open_snapshot(target).table("penalty").num_rows == 3
    assert open_snapshot(target).id.endswith("-r1")


@pytest.mark.parametrize("seed", few(1, [7, *range(7), *range(8, 16)]))
def test_random_acts_leave_what_a_rebuild_makes(office, seed):
    rng = random.Random(seed)
    for day in range(2, 8):
        for _ in range(2):
            _something(office, rng, day)
        office.publish(day=day)
        register = records_acts.read(office.layout)
        gone = {r.subject_id for r in register.removed()}
        hidden = gone | {r.subject_id for c in register.cases.values() if c.hides for r in c.records}
        for tier in TIERS:
            left = {subject for (subject,) in office.table("penalty", "subject_id", tier)}
            assert not left & gone and left | hidden == {1, 2, 3, 4}, (day, tier)
            shown = set(open_snapshot(office.settings.home, tier).table("penalty")["subject_id"].to_pylist())
            binding = [c for c in register.cases.values() if c.hides and (tier == "open" or not c.is_objection)]
            assert shown == {1, 2, 3, 4} - {r.subject_id for c in binding for r in c.records}, (day, tier)
        assert sweep(home(office, day)).left == {}
    assert rebuilt(office, 7) == {tier: contents(office, tier) for tier in TIERS}


def _something(office: Office, rng: random.Random, day: float) -> None:
    """Enter an act, end one or deliver a decision again; what is refused changes nothing."""
    n = rng.randint(1, 4)
    cases = [c.act.id for c in records_acts.read(office.layout).cases.values() if c.hides]
    said = {"by": "乙", "document": "复〔2026〕1号"}
    with suppress(ActRefused):
        match rng.choice(["repair", "withdrawal", "objection", "lift", "answer", "confirm", "deliver"]):
            case "lift" if cases:
                acts.lift(home(office, day), rng.choice(cases), **said)
            case "answer" if cases:
                outcome = rng.choice(["rejected", "corrected", "upheld"])
                at = (START + timedelta(days=day)).date()
                acts.answer(home(office, day), rng.choice(cases), outcome, day=at, **said)
            case "confirm" if cases:
                acts.confirm(home(office, day), rng.choice(cases), [], by="乙")
            case "deliver":
                office.deliver("test_pen", fined(n, remark=f"{day} {rng.random()}"), day=day)
            case "repair" | "withdrawal" | "objection" as act:
                enter(office, act, n, day=day)
