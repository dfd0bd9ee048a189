"""Legal acts on published records: entered, confirmed, answered, lifted. Each is in the overlay when this returns."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from chengxin.errors import ActRefused, SnapshotDamaged
from chengxin.home import Home
from chengxin.pipeline import at_home
from chengxin.publishing import commit, reader
from chengxin.publishing.suppression import candidates, entries
from chengxin.publishing.suppression import reissue as reissuing
from chengxin.publishing.suppression import sweep as sweeping
from chengxin.publishing.suppression.sweep import Swept
from chengxin.records import acts
from chengxin.records.acts import ActName, Case, Outcome, Record
from chengxin.store import lock
from chengxin.store.layout import ASSEMBLY

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Target:
    """What names the record of an act: its number, or the subject's identifier with the decision's number.

    authority: of the decision; without one, a number that several authorities use names several records.
    """

    record_id: str = ""
    identifier: str = ""
    number: str = ""
    authority: str = ""


@at_home.publication
def enter(home: Home, act: ActName, target: Target, *, by: str, document: str, day: date) -> Case:
    """Enter a repair, a withdrawal or an objection. Raise ActRefused where it cannot be entered as it stands."""
    found = _find(home, target)
    case = acts.enter(home.layout, act, found, at=home.clock.now(), by=by, document=document, day=day)
    entries.renew(home)
    return case


def _find(home: Home, target: Target) -> list[Record]:
    """Return what a target may mean in the current snapshot."""
    try:
        now = reader.open_snapshot(home.settings.home, ASSEMBLY, mark=False)
    except SnapshotDamaged as error:
        raise ActRefused(f"尚无可查找记录的快照：{error}") from error
    if target.record_id:
        return candidates.by_id(now, target.record_id)
    return candidates.by_decision(now, target.identifier, target.number, target.authority)


@at_home.publication
def confirm(home: Home, number: int, records: Sequence[str], *, by: str) -> Case:
    """Confirm a proposed withdrawal, or choose the records that an act is about; see records.acts.confirm."""
    case = acts.confirm(home.layout, number, records, at=home.clock.now(), by=by)
    entries.renew(home)
    return case


@at_home.publication
def answer(home: Home, number: int, outcome: Outcome, *, by: str, document: str, day: date) -> Case:
    """Answer an objection; see records.acts.answer."""
    case = acts.answer(home.layout, number, outcome, at=home.clock.now(), by=by, document=document, day=day)
    entries.renew(home)
    return case


@at_home.publication
def lift(home: Home, number: int, *, by: str, document: str) -> Case:
    """End an act; the next publication brings its records back. See records.acts.lift."""
    case = acts.lift(home.layout, number, at=home.clock.now(), by=by, document=document)
    entries.renew(home)
    return case


@at_home.publication
def reissue(home: Home, *, everything: bool = True) -> dict[str, list[str]]:
    """Issue again every snapshot that holds a removed record; return by tier the ids that are gone.

    everything: also look for records that an earlier run found to be gone.
    """
    with lock.held(home.layout, "publish"):
        for tier in reissuing.tiers(home.layout):
            for message in commit.resume(home.layout, tier).messages:
                log.warning("%s", message)
        return reissuing.run(home, everything=everything)


@at_home.publication
def sweep(home: Home) -> Swept:
    """Read every published file for removed records."""
    return sweeping.sweep(home)
