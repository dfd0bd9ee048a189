"""Records that name their own fields (JSON, XML) -> Arrow columns: the union of the keys, in order of appearance."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from chengxin.parsing.encoding.decoder import is_damaged, original, undecodable, visible
from chengxin.parsing.shapes import CHUNK_BYTES, CUT_OFF, OVERSIZE, Damaged, Nested, RawChunk, Told, kept

Record = dict[str, str | None]
#: Rows of a chunk; narrower than for delimited text because each is a Python object for a moment.
_ROWS = 50_000


@dataclass
class Gathering:
    """Collects records until a chunk is full. encoding: of the file, to give damaged records their bytes back."""

    encoding: str
    told: Told = field(default_factory=Told)  # what the file says beside its rows; for the last chunk
    _columns: dict[str, list[str | None]] = field(default_factory=dict)
    _rows: list[int] = field(default_factory=list)
    _damaged: list[Damaged] = field(default_factory=list)
    _nested: dict[str, list[int]] = field(default_factory=dict)
    _size: int = 0

    def add(self, row: int, record: Record, raw: str) -> None:
        """Add one record; a value with undecodable bytes or above 1 MiB makes it a damaged row."""
        texts = "".join(filter(None, (*record, *record.values())))
        if is_damaged(raw) or not _is_text(texts):
            self.undecodable(row, raw)
            return
        if len(raw) > OVERSIZE // 4 and any(v is not None and len(v.encode()) > OVERSIZE for v in record.values()):
            self.damage(row, "row.oversize", raw)
            return
        self._size += len(raw)
        done = len(self._rows)
        self._rows.append(row)
        for name, value in record.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = [None] * done
            elif len(column) < done:
                column.extend([None] * (done - len(column)))
            column.append(value)
            if isinstance(value, Nested):
                self._nested.setdefault(name, []).append(done)

    @property
    def names(self) -> list[str]:
        """Return the columns seen so far."""
        return list(self._columns)

    def undecodable(self, row: int, raw: str, rule: str = "row.undecodable") -> None:
        """Add a record whose bytes, or whose escapes, are no text."""
        shown = visible(raw).encode("utf-8", "backslashreplace").decode()
        self._damaged.append(undecodable(row, kept(shown), original(raw, self.encoding), rule))

    def damage(self, row: int, rule: str, raw: str) -> None:
        """Add a damaged row; undecodable bytes in it are a fault of their own, but where a cut made them."""
        if is_damaged(raw):
            self.undecodable(row, raw, rule if rule == CUT_OFF else "row.undecodable")
        else:
            self._damaged.append(Damaged(row, rule, kept(raw.encode("utf-8", "backslashreplace").decode())))

    def extend(self, damaged: list[Damaged]) -> None:
        """Add rows that were damaged before they could be read as records."""
        self._damaged.extend(damaged)

    def full(self) -> bool:
        """Tell whether the chunk should be handed out."""
        return len(self._rows) >= _ROWS or self._size >= CHUNK_BYTES or len(self._damaged) >= _ROWS

    def take(self) -> RawChunk:
        """Return the chunk and start anew; columns seen in earlier chunks stay, so that no chunk loses one."""
        count = len(self._rows)
        for column in self._columns.values():
            column.extend([None] * (count - len(column)))
        names = list(self._columns)
        table = pa.table({n: pa.array(self._columns[n], pa.string()) for n in names})
        damaged = tuple(sorted(self._damaged, key=lambda d: d.row))
        rows = pa.array(self._rows, pa.int64())
        chunk = RawChunk(table, rows, damaged, self._nested, told=self.told)
        self._columns = {name: [] for name in names}
        self._rows, self._damaged, self._nested, self._size = [], [], {}, 0
        return chunk


def _is_text(values: str) -> bool:
    """Tell whether the values can be stored: no lone surrogate, no U+FFFD (JSON escapes can write both)."""
    if values.isascii():
        return True
    try:
        values.encode()
    except UnicodeEncodeError:
        return False
    return "\ufffd" not in values


def chunked(gathering: Gathering, records: Iterator[None]) -> Iterator[RawChunk]:
    """Drive `records`, which fills the gathering, and yield each full chunk and the last one (perhaps empty)."""
    for _ in records:
        if gathering.full():
            yield gathering.take()
    yield gathering.take()
