"""The overlay's entries: what the legal acts in force hide from readers, derived from their journal."""

from chengxin.home import Home
from chengxin.publishing import key
from chengxin.publishing.open_tier import masking
from chengxin.records import acts, withdrawal_notices
from chengxin.records.acts import Case, Register
from chengxin.store import lock, overlay
from chengxin.store.overlay import Entry, Overlay


def renew(home: Home) -> Overlay | None:
    """Write the overlay, and notices to recipients, as the journal of acts stands now; None where there is no act."""
    if acts.read(home.layout).head.order < 0:
        return None
    open_key = key.derive(key.master(home))
    with lock.held(home.layout, "acts"):  # else an older state of the journal might be written last
        register = acts.read(home.layout)
        entries = (e for c in register.cases.values() if c.hides for e in _entries(register, c, open_key))
        found = {(e.record_id, e.subject_id, e.scope): e for e in entries}
        made = overlay.write(home.layout, register.head.order, found.values())
    withdrawal_notices.renew(home)
    return made


def _entries(register: Register, case: Case, open_key: bytes | None) -> list[Entry]:
    return [
        Entry(
            record_id=record.record_id,
            kind=record.kind,
            subject_id=record.subject_id,
            scope="open" if case.is_objection else "all",
            since=case.act.at[:10],
            handle=masking.handle(record.record_id, open_key),
        )
        for known in case.records
        for record in register.spread(known)
        if record.record_id
    ]
