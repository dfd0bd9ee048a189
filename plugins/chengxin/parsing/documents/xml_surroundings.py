"""What an XML file holds beside its rows: text, values that count them, and elements that may be rows themselves."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chengxin.model.paging import AROUND, fold
from chengxin.parsing.documents.outline import FEET, HEADS, NUMBER, SUMS, is_sum

Place = tuple[str, ...]
BLANK = " \t\r\n\u3000\xa0\ufeff\x00\x1a"
_ATTRIBUTE = re.compile(r"""\s([^\s=<>"'/]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_MOST = 2_000  # elements and values that are remembered
_LONGEST = 64 << 10  # characters of a text that are kept
_ROW_LIKE = frozenset({"row", "record", "rec", "item", "entry", "记录", "行", "条"})


@dataclass
class Beside:
    """Remembers the elements outside rows, whether they stand before or behind the first row."""

    _parts: dict[Place, set[str]] = field(default_factory=dict)  # element -> names of its attributes and parts
    _values: list[tuple[Place, str]] = field(default_factory=list)
    _texts: list[tuple[Place, str]] = field(default_factory=list)  # before the first row: where, and what

    def element(self, within: Sequence[str], name: str, tag: str) -> None:
        """Note the start tag of an element outside rows."""
        if len(self._parts) >= _MOST:
            return
        place = (*within, name)
        parts = self._parts.setdefault(place, set())
        given = name
        for attribute, double, single in _ATTRIBUTE.findall(tag):
            local = attribute.rpartition(":")[2]
            if attribute.startswith(("xmlns", "xsi:")):
                continue
            given = (double or single) if local.lower() == "name" else given
            parts.add(local)
            if len(self._values) < _MOST:
                self._values.append(((*place, local), double or single))
        if (above := self._parts.get(place[:-1])) is not None:
            above.add(given)

    def text(self, within: Sequence[str], text: str) -> None:
        """Note text outside rows: the value of an element, or text that belongs to none."""
        if len(self._values) < _MOST:
            self._values.append((tuple(within), text))
            self._texts.append((tuple(within), text[:_LONGEST]))

    def loose(self, place: Place) -> list[str]:
        """Return what stands between the elements of the place, of what was noted up to now."""
        found = [text for where, text in self._texts if where == place]
        self._texts.clear()
        return found

    def like_a_row(self, place: Place, row: str, columns: Sequence[str] | None) -> str | None:
        """Return the name of an element at the rows' place that may be a row under another name, or None.

        Its name says so, or it has the columns of the rows: two at least, half of theirs and of its own. columns: None
        where nobody said how the rows are called, so that any may be one.
        """
        known = {re.split("[/@]", column)[0] for column in columns or ()}
        for where, parts in self._parts.items():
            if where[:-1] != place or where[-1] == row:
                continue
            if columns is None:
                return where[-1]
            if where[-1].lower() in HEADS | SUMS:
                continue
            shared = len(parts & known)
            named = _stem(where[-1]) == _stem(row) or (_stem(where[-1]) in _ROW_LIKE and len(parts) > 1)
            if named or (parts and parts == known) or (shared > 1 and 2 * shared >= max(len(parts), len(known))):
                return where[-1]
        return None

    def elsewhere(self, place: Place, path: Sequence[str], columns: Sequence[str]) -> Place | None:
        """Return the path of an element away from the rows that may be one of them, or None.

        One of the row's own name that has a column, unless `path` names a place that was chosen among such; or one of
        another name with half of the columns and a number in it: labels of columns and an echoed question have none.
        """
        known = {re.split("[/@]", column)[0] for column in columns}
        row, chosen = path[-1], path[-2:-1] if len(path) > 2 else [""]
        for where, parts in self._parts.items():
            within = where[:-1]
            if within == place or where == place[: len(where)] or not parts or any(map(_speaks_of_rows, within)):
                continue
            shared = len(parts & known)
            if where[-1] == row:
                is_row = list(within[-1:]) != chosen and bool(shared or not known)
            else:
                is_row = shared > 2 and 2 * shared >= max(len(parts), len(known)) and self._has_number(where)
            if is_row and not _speaks_of_rows(where[-1]):
                return where
        return None

    def _has_number(self, place: Place) -> bool:
        return any(where[: len(place)] == place and NUMBER.search(text) for where, text in self._values)

    def near(self, place: Place) -> Iterator[tuple[str, str, bool]]:
        """Yield name and text of the values beside the rows, above them and in a head or foot, and whether beside."""
        for (*within, name), text in self._values:
            head = bool(within) and (within[-1].lower() in HEADS | FEET or fold(within[-1]) in AROUND)
            holder = within[:-1] if head else within
            if tuple(holder) == place[: len(holder)] and not (head and is_sum(within[-1], name)):
                yield name, text, tuple(within) == place


def _speaks_of_rows(name: str) -> bool:
    return name.lower() in HEADS | FEET | SUMS or fold(name) in AROUND


def _stem(name: str) -> str:
    return re.sub(r"[\W\d_]+$", "", name.lower())
