"""How records stand on a day, and until when that holds.

From the strongest: repaired (by a legal act; such a record is in no snapshot), withdrawn (by its source), ended (left
its list), expired (its publicity is over), objected (by its source or a legal act), standing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from chengxin.model.kinds import Kind
from chengxin.publishing.disclosure.clock import Codes, Columns, Days, among
from chengxin.store.columns import Mask

NAMES = ("standing", "objected", "expired", "ended", "withdrawn", "repaired")
STANDING, OBJECTED, EXPIRED, ENDED, WITHDRAWN, REPAIRED = range(len(NAMES))


def stated(kind: Kind, columns: Columns, size: int) -> Codes:
    """Return how the source itself says that its records stand, whatever the day."""
    found = np.full(size, STANDING, np.int8)
    for code, name in ((OBJECTED, "objected"), (WITHDRAWN, "withdrawn")):
        when: Mapping[str, tuple[str, ...]] = kind.standing.get(name, {})  # type: ignore[call-overload]
        for element, values in when.items():
            found[among(columns, element, list(values), size)] = code
    return found


@dataclass(frozen=True)
class Course:
    """The days that move some rows on. since: `stated`, or what they were on an earlier day.

    until: the last day of publicity. begins, ends: of being in force. leaves: whether `ends` is the day on which an
    entry leaves its list, from which on it counts no more.
    """

    since: Codes
    until: Days
    begins: Days
    ends: Days
    leaves: bool

    def only(self, rows: Mask) -> "Course":
        """Return the course of some of the rows."""
        return Course(self.since[rows], self.until[rows], self.begins[rows], self.ends[rows], self.leaves)

    def on(self, day: date) -> Codes:
        """Return how each row stands on a day."""
        today = np.datetime64(day, "D")
        left = (self.ends <= today) if self.leaves else np.zeros(len(self.since), bool)
        left |= self.since == ENDED
        over = (self.until < today) | (self.since == EXPIRED)
        found = np.where(over, np.int8(EXPIRED), self.since)
        found = np.where(left, np.int8(ENDED), found)
        return np.where(self.since >= WITHDRAWN, self.since, found)

    def in_force(self, day: date) -> Mask:
        """Tell which rows are in force on a day: neither withdrawn nor ended, within their own validity."""
        today = np.datetime64(day, "D")
        alive = self.on(day) < ENDED
        over = np.zeros(len(alive), bool) if self.leaves else self.ends < today
        return np.asarray(alive & ~(self.begins > today) & ~over)

    def holds_until(self, day: date) -> date | None:
        """Return the last day on which every row stands and is in force as on `day`; None = for ever."""
        today, before = np.datetime64(day, "D"), np.timedelta64(1, "D")
        now = self.on(day)
        open_ended = now < ENDED
        found = [self.until[(now < EXPIRED) & (self.until >= today)], self.begins[open_ended] - before]
        found.append(self.ends[open_ended] - (before if self.leaves else np.timedelta64(0, "D")))
        days = np.concatenate(found)
        coming = days[days >= today]
        return coming.min().item() if len(coming) else None


def texts(codes: Codes, names: tuple[str, ...] = NAMES) -> pa.Array:
    """Spell codes out; a negative one is missing."""
    places = pa.array(codes, mask=codes < 0)
    return pa.DictionaryArray.from_arrays(places, pa.array(names, pa.string())).dictionary_decode()
