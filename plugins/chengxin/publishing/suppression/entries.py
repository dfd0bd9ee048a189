"""The overlay's entries: what the legal acts in force hide from readers, derived from their journal."""

from collections.abc import Mapping

from chengxin.home import Home
from chengxin.publishing import pseudonyms
from chengxin.records import acts, withdrawal_notices
from chengxin.records.acts import Case, Register
from chengxin.records.withdrawal_notices import Notice
from chengxin.store import lock, overlay
from chengxin.store.overlay import Entry, Overlay


def renew(home: Home) -> Overlay | None:
    """Write the overlay, and notices to recipients, as the journal of acts stands now; None where there is no act."""
    if acts.read(home.layout).head.order < 0:
        return None
    keys = pseudonyms.all_keys(home)
    with lock.held(home.layout, "acts"):  # else an older state of the journal might be written last
        register = acts.read(home.layout)
        entries = (e for c in register.cases.values() if c.hides for e in _entries(register, c, keys))
        found = {(e.record_id, e.subject_id, e.scope): e for e in entries}
        made = overlay.write(home.layout, register.head.order, found.values())
    renew_notices(home)
    return made


def renew_notices(home: Home) -> list[Notice]:
    """Take in what the serving app wrote, and enter the notices of withdrawal that are due; return all."""
    keys = {f"{name}/{n}": key for name, held in pseudonyms.of_recipients(home).items() for n, key in enumerate(held)}

    def handles(record_id: str) -> dict[str, str]:
        found = pseudonyms.handles(record_id, keys)
        return {handle: of.partition("/")[0] for of, handle in found.items()}

    return withdrawal_notices.renew(home, handles)


def _entries(register: Register, case: Case, keys: Mapping[str, bytes]) -> list[Entry]:
    return [
        Entry(
            record_id=record.record_id,
            kind=record.kind,
            subject_id=record.subject_id,
            scope="open" if case.is_objection else "all",
            since=case.act.at[:10],
            handles=pseudonyms.handles(record.record_id, keys),
        )
        for known in case.records
        for record in register.spread(known)
        if record.record_id
    ]
