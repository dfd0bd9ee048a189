"""Notices of withdrawal over HTTP: each holder of a token sees its own, and answers each by a receipt."""

import json
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from chengxin.clock import SHANGHAI, Clock
from chengxin.records import access_log, withdrawal_notices
from chengxin.records.withdrawal_notices import Notice
from chengxin.store import line_log

MOST = 100  # notices in one answer
_Institution = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]


class Receipt(BaseModel):
    """When a record was deleted, and which institutions it had been handed on to."""

    model_config = ConfigDict(extra="forbid")
    deleted_at: AwareDatetime
    onward: tuple[_Institution, ...] = Field(default=(), max_length=20, description="已转交的机构；勿写个人")


class UnknownNotice(Exception):
    """There is no such notice for this holder."""


@dataclass
class Withdrawals:
    """The notices of a home. served: the file that names them; folder: where receipts are written."""

    served: Path
    folder: Path
    clock: Clock
    _stamp: Any = None
    _notices: dict[str, list[Notice]] = field(default_factory=dict)
    _read: Any = None
    _receipts: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._log = line_log.LineLog(self.folder / access_log.RECEIPTS, self.clock)

    def of(self, holder: str, after: int) -> list[dict[str, Any]]:
        """Return a holder's notices after a number, without a reason; at most MOST."""
        found = [n for n in self._of(holder) if n.number > after][:MOST]
        receipts = self._known_receipts()
        return [_shown(n, receipts.get((n.number, holder)), self.clock.today()) for n in found]

    def suspending(self, holder: str) -> Notice | None:
        """Return the first notice for whose lack of a receipt a holder is answered no more."""
        today = self.clock.today()
        late = [n for n in self._of(holder) if n.state(today) == "suspended"]
        receipts = self._known_receipts() if late else {}
        return next((n for n in late if (n.number, holder) not in receipts), None)

    def receive(self, holder: str, number: int, receipt: Receipt) -> dict[str, Any]:
        """Enter a receipt durably; a second one changes nothing. Return the notice as it stands then.

        Raise UnknownNotice where the holder has no such notice, ValueError for a day before the notice or to come,
        OSError where it cannot be written.
        """
        notice = next((n for n in self._of(holder) if n.number == number), None)
        if notice is None:
            raise UnknownNotice
        with self._lock:
            known = self._known_receipts().get((number, holder))
            if known is None:
                self._check(notice, receipt.deleted_at)
                body = {"at": self.clock.now().isoformat(), "by": holder, "notice": number}
                known = body | receipt.model_dump(mode="json")
                self._log.append(known)
        return _shown(notice, known, self.clock.today())

    def _check(self, notice: Notice, deleted_at: datetime) -> None:
        if deleted_at.astimezone(SHANGHAI).date() < date.fromisoformat(notice.day):
            raise ValueError("deleted_at 早于通知之日 (before the day of the notice)")
        if deleted_at > self.clock.now().replace(microsecond=999999):
            raise ValueError("deleted_at 晚于现在 (in the future)")

    def _of(self, holder: str) -> list[Notice]:
        try:
            seen = self.served.stat()
        except FileNotFoundError:
            return []
        stamp = (seen.st_ino, seen.st_mtime_ns, seen.st_size)
        if stamp != self._stamp:
            found: dict[str, list[Notice]] = {}
            for one in json.loads(self.served.read_bytes())["notices"]:
                found.setdefault(one["holder"], []).append(Notice(**one))
            self._notices, self._stamp = found, stamp
        return self._notices.get(holder, [])

    def _known_receipts(self) -> dict[tuple[int, str], dict[str, Any]]:
        """Return all receipts here, also those that another process of this machine entered."""
        stamp = line_log.stamp(self.folder / access_log.RECEIPTS)
        if stamp != self._read:
            self._receipts, self._read = withdrawal_notices.receipts_in(self.folder), stamp
        return self._receipts


def _shown(notice: Notice, receipt: dict[str, Any] | None, today: date) -> dict[str, Any]:
    state = notice.state(today)
    received = receipt["deleted_at"] if receipt else notice.received or None
    return {
        "number": notice.number,
        "record_id": notice.handle or notice.record_id,
        "kind": notice.kind,
        "tier": notice.tier,
        "day": notice.day,
        "delete_by": notice.due,
        "state": state if state == "void" or not received else "received",
        "deleted_at": received,
    }
