"""Every version that was ever published: as_of an instant gives the rows that the snapshot of that instant had."""

import random
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from chengxin.cli.inspect import show
from chengxin.clock import Clock
from chengxin.errors import Withheld
from chengxin.home import Home
from chengxin.model.kinds import kinds
from chengxin.pipeline import acts
from chengxin.pipeline.acts import Target
from chengxin.publishing.history.table import table_of
from chengxin.publishing.reader import Snapshot, open_snapshot
from chengxin.publishing.suppression.sweep import sweep
from chengxin.publishing.verify import verify
from chengxin.store import pointer
from chengxin.store.layout import ASSEMBLY
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, person_doc, uscc

ANALYSTS = Path(__file__).parents[2] / "docs" / "analysts"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION, mode="full")
    office.contract("pen", "penalty", (*PENALTY, "decision_status_code"))
    office.deliver("reg", *(company(n) for n in range(1, 5)), day=0)
    return office


def snapshots(office: Office, tier: str = "government") -> Iterator[Snapshot]:
    for name in pointer.snapshot_ids(office.layout, tier):
        yield open_snapshot(office.settings.home, tier, name)


def rows(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=str)


def agree(office: Office, tier: str = "government") -> None:
    """Check what the current snapshot knows of each earlier one, row for row."""
    now = open_snapshot(office.settings.home, tier)
    for earlier in snapshots(office, tier):
        told = now.as_of(known=earlier.manifest.created_at)
        for kind in kinds():
            there = rows(earlier.table(kind)) if kind in earlier.tables else []
            assert rows(told[kind] if kind in told else pa.table({})) == there, (kind, earlier.id, now.id)
    assert verify(office.layout, tier) == []


def causes(office: Office, kind: str) -> list[str]:
    now = open_snapshot(office.settings.home)
    table = now.manifest.history.get(table_of(kind))
    folder = now.folder / table_of(kind)
    return sorted(
        c for f in (table.files if table else ()) for c in pq.read_table(folder / f.name)["change_code"].to_pylist()
    )


def test_every_version_is_as_it_was_published(office):
    fine = penalty(1, uscc=uscc(1))
    office.deliver("pen", fine, penalty(2, uscc=uscc(9)), penalty(3, uscc=uscc(2)), day=1)
    office.publish(1)
    assert open_snapshot(office.settings.home).manifest.history == {}
    office.deliver("pen", penalty(1, uscc=uscc(1), penalty_content="罚款减半"), day=2)
    office.publish(2)
    office.deliver("reg", *(company(n) for n in (1, 2, 3, 9)), day=3)  # 4 is gone, 9 is there: its penalty is linked
    office.publish(3)
    office.deliver("reg", *(company(n, legal_rep_name="李示例") for n in (1, 2, 3, 4, 9)), day=4)
    office.publish(4)
    office.deliver("pen", penalty(1, uscc=uscc(1), penalty_content="不予处罚"), day=5)
    office.publish(5)
    agree(office)
    assert causes(office, "penalty") == ["corrected", "corrected", "waited"]
    for page in ANALYSTS.glob("*.md"):
        (code,) = re.findall(r"```python\n(# history\n.*?)```", page.read_text("utf-8"), re.S)
        scope = {"snapshot": open_snapshot(office.settings.home)}
        exec(code, scope)
        assert scope["every"].num_rows == 5 and scope["in_force"].num_rows == 0, page.name
    shown = show(Home(office.settings), uscc(1), "government", (START + timedelta(days=2)).date())
    assert [r["penalty_content"] for r in shown["subjects"][0]["tables"]["penalty"]] == ["罚款减半"]
    assert len(shown["subjects"][0]["tables"]["credit_record"]) == 2
    assert causes(office, "registration") == ["corrected", "corrected", "corrected", "corrected", "withdrawn"]
    versions = open_snapshot(office.settings.home).versions("penalty").every()
    mine = versions.filter(pc.match_substring(versions["decision_no"], "〕1号"))
    assert mine.sort_by("known_from_at")["penalty_content"].to_pylist() == ["罚款", "罚款减半", "不予处罚"]
    assert mine.sort_by("known_from_at")["known_from_at"][1:] == mine.sort_by("known_from_at")["known_to_at"][:-1]


@pytest.mark.slow
def test_files_of_history_without_a_new_version_are_kept(office):
    far = company(7, uscc=uscc(7, region="430202"), region_code="430202")
    office.deliver("reg", *(company(n) for n in range(1, 5)), far, day=1)
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(7, uscc=far["uscc"]), day=1)
    office.publish(1)
    office.deliver("pen", penalty(7, uscc=far["uscc"], penalty_content="另一"), day=2)
    office.publish(2)
    before = {f.part: f for f in open_snapshot(office.settings.home).manifest.history["penalty_history"].files}
    office.deliver("pen", penalty(1, uscc=uscc(1), penalty_content="另一"), day=3)
    office.publish(3)
    after = {f.part: f for f in open_snapshot(office.settings.home).manifest.history["penalty_history"].files}
    assert len(before) == 1 and len(after) == 2 and before.items() < after.items()
    agree(office)


@pytest.mark.slow
def test_history_goes_on_when_everything_is_assembled_anew(office, monkeypatch):
    office.deliver("pen", penalty(1, uscc=uscc(1)), day=1)
    office.publish(1)
    office.deliver("pen", penalty(1, uscc=uscc(1), penalty_content="另一"), day=2)
    office.publish(2)
    monkeypatch.setattr("chengxin.pipeline.snapshots.LAYOUT_FORMAT", 99)
    office.deliver("pen", penalty(1, uscc=uscc(1), penalty_content="再一"), day=3)
    office.publish(3)
    agree(office)
    assert causes(office, "penalty") == ["corrected", "corrected"]


def test_a_data_set_that_is_sealed_leaves_history_as_well(office):
    office.deliver("pen", penalty(1, uscc=uscc(1)), day=1)
    office.publish(1)
    office.deliver("pen", penalty(1, uscc=uscc(1), penalty_content="另一"), day=2)
    office.publish(2)
    office.contract("pen", "penalty", PENALTY, basis={"legal": "测试", "share": "不予"})
    office.publish(3)
    for tier in (ASSEMBLY, "government"):
        found = pointer.locate(office.layout, tier).manifest
        assert found and "penalty_history" not in found.history and "penalty" not in found.tables


def test_a_version_is_given_only_as_the_record_is_today(office):
    """A revoked decision is withdrawn from its readers, and so is what it said before."""
    person = {"person_doc_no": person_doc(1), "subject_name": "张示例"}
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(2, **person), day=1)
    office.publish(1)
    office.deliver("pen", penalty(1, uscc=uscc(1), decision_status_code="2"), day=2)
    office.publish(2)
    assembled = open_snapshot(office.settings.home, ASSEMBLY).manifest
    assert assembled.history["penalty_history"].rows == 1
    for tier in ("government", "open"):
        assert "penalty_history" not in open_snapshot(office.settings.home, tier).manifest.history


@pytest.mark.slow
def test_valid_leaves_out_what_does_not_hold_on_the_day(office):
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(2), decision_on="2025-06-01"), day=1)
    office.publish(1)
    now = open_snapshot(office.settings.home)
    found = now.as_of(known=now.manifest.created_at, valid=date(2025, 12, 31))["penalty"]
    assert found["decision_no"].to_pylist() == ["湘示罚〔2026〕2号"]


def test_a_repaired_record_leaves_history_with_all_its_versions(office):
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(3, uscc=uscc(3)), day=1)
    office.publish(1)
    office.deliver("pen", *(penalty(n, uscc=uscc(n), penalty_content="另一") for n in (1, 3)), day=2)
    office.publish(2)
    home = Home(office.settings, Clock(START + timedelta(days=3)))
    target = Target(identifier=uscc(1), number="湘示罚〔2026〕1号", authority="示例市监局")
    acts.enter(home, "repair", target, by="甲", document="修〔2026〕1号", day=home.clock.today())
    hidden = open_snapshot(office.settings.home)
    assert hidden.versions("penalty").every().num_rows == 2, "at once, before any file is written again"
    with pytest.raises(Withheld):
        hidden.files("penalty_history")
    office.publish(3)
    assert sweep(home).left == {}
    for tier in (ASSEMBLY, "government"):
        assert open_snapshot(office.settings.home, tier).manifest.history["penalty_history"].rows == 1
    agree(office)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_any_series_of_deliveries_is_known_as_it_was_published(tmp_path, seed):
    dice = random.Random(seed)
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION, mode="full")
    office.contract("pen", "penalty", PENALTY, mode=dice.choice(["full", "incremental"]))
    for day in range(6):
        if day == 0 or dice.random() < 0.5:
            known = dice.sample(range(1, 9), dice.randint(3, 8))
            office.deliver("reg", *(company(n, legal_rep_name=dice.choice("甲乙")) for n in known), day=day)
        fines = [
            penalty(n, uscc=uscc(dice.randint(1, 9)), penalty_content=dice.choice(["罚款", "警告"]))
            for n in dice.sample(range(1, 9), dice.randint(1, 8))
        ]
        office.deliver("pen", *fines, day=day + 0.2)
        office.publish(day + 0.5)
    agree(office)
