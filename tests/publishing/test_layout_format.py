"""What makes every published file stale: another layout. Another version of the library does not."""

from pathlib import Path

import pytest

import chengxin
from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.pipeline import snapshots, versions
from chengxin.publishing import commit
from chengxin.store.manifest import Manifest
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), company(2, region_code="430202"), day=0)
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(2)), day=1)
    office.publish(2)
    return office


def current(office: Office) -> Manifest:
    found = commit.current(office.layout, "government")
    assert found
    return found


def changed(office: Office) -> set[tuple[str, str]]:
    """Publish one more penalty of the first company; return table and part of the files that were written."""
    before = {f.name for f in current(office).files()}
    folder = office.snapshot()
    office.deliver("pen", penalty(3, uscc=uscc(1)), day=3)
    office.publish(4)
    after = current(office)
    same = office.snapshot()
    for f in after.files():
        if f.name in before:
            assert (same / f.table / f.name).stat().st_ino == (folder / f.table / f.name).stat().st_ino, f.name
    assert after.versions["layout_format"] == snapshots.LAYOUT_FORMAT
    return {(f.table, f.part) for f in after.files() if f.name not in before}


@pytest.mark.slow
def test_another_library_rebuilds_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (chengxin, snapshots, versions):
        monkeypatch.setattr(module, "__version__", "9.9.9")
    assert pipeline.publish(Home(office.settings, Clock(START)), office.contracts) is None
    assert changed(office) == {("penalty", "4301"), ("credit_record", "penalty-4301"), ("batch", "00000000")}
    assert current(office).versions["library"] == "9.9.9"


@pytest.mark.slow
def test_another_layout_builds_everything_anew(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    before, folder = current(office), office.snapshot("assembly")
    monkeypatch.setattr(snapshots, "LAYOUT_FORMAT", snapshots.LAYOUT_FORMAT + 1)
    office.deliver("pen", penalty(3, uscc=uscc(1)), day=3)
    office.publish(4)
    after, same = current(office), office.snapshot("assembly")
    known = {f.name for f in before.files() if f.table != "batch"}
    taken = [f for f in after.files() if f.name in known]
    assert len(taken) == 12, "seven files of each of two parts, less the penalties of one, in two tables; none by link"
    for f in taken:
        assert (same / f.table / f.name).stat().st_ino != (folder / f.table / f.name).stat().st_ino, f.name
    assert before.basis.assembly != after.basis.assembly
