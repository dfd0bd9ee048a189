"""Records that name their own fields (JSON, XML) -> Arrow columns: the union of the keys, in order of appearance."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from chengxin.parsing.encoding.decoder import is_damaged, original, visible
from chengxin.parsing.shapes import CHUNK_BYTES, OVERSIZE, Damaged, Nested, RawChunk, Statements, kept

Record = dict[str, str | None]
#: Rows of a chunk; narrower than for delimited text because each is a Python object for a moment.
_ROWS = 50_000


@dataclass
class Gathering:
    """Collects records until a chunk is full. encoding: of the file, to give damaged records their bytes back."""

    encoding: str
    statements: Statements = field(default_factory=Statements)  # beside the rows; handed out with the last chunk
    _names: dict[str, None] = field(default_factory=dict)
    _records: list[Record] = field(default_factory=list)
    _rows: list[int] = field(default_factory=list)
    _damaged: list[Damaged] = field(default_factory=list)
    _nested: dict[str, list[int]] = field(default_factory=dict)
    _size: int = 0

    def add(self, row: int, record: Record, raw: str, source: Callable[[], str] | None = None) -> None:
        """Add one record; a value with undecodable bytes or above 1 MiB makes it a damaged row.

        raw: its text, or all its values where `source` gives the text.
        """
        if _is_undecodable(raw) or ("\\u" in raw and _is_undecodable("".join(filter(None, record.values())))):
            self.undecodable(row, source() if source else raw)
            return
        if len(raw) > OVERSIZE // 4 and any(v is not None and len(v.encode()) > OVERSIZE for v in record.values()):
            self.damage(row, "row.oversize", source() if source else raw)
            return
        if not record.keys() <= self._names.keys():
            self._names |= dict.fromkeys(record)
        if Nested in map(type, record.values()):
            for name, value in record.items():
                if isinstance(value, Nested):
                    self._nested.setdefault(name, []).append(len(self._rows))
        self._size += len(raw)
        self._rows.append(row)
        self._records.append(record)

    def undecodable(self, row: int, raw: str) -> None:
        """Add a record whose bytes, or whose escapes, are no text."""
        shown = visible(raw).encode("utf-8", "backslashreplace").decode()
        self._damaged.append(Damaged(row, "row.undecodable", kept(shown), original(raw, self.encoding)))

    def damage(self, row: int, rule: str, raw: str) -> None:
        """Add a damaged row; undecodable bytes in it are a fault of their own."""
        if is_damaged(raw):
            self.undecodable(row, raw)
        else:
            self._damaged.append(Damaged(row, rule, kept(raw.encode("utf-8", "backslashreplace").decode())))

    def extend(self, damaged: list[Damaged]) -> None:
        """Add rows that were damaged before they could be read as records."""
        self._damaged.extend(damaged)

    def full(self) -> bool:
        """Return whether the chunk should be handed out."""
        return len(self._rows) >= _ROWS or self._size >= CHUNK_BYTES or len(self._damaged) >= _ROWS

    def take(self) -> RawChunk:
        """Return the chunk and start anew; columns seen in earlier chunks stay, so that no chunk loses one."""
        columns = {name: [record.get(name) for record in self._records] for name in self._names}
        table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
        damaged = tuple(sorted(self._damaged, key=lambda d: d.row))
        chunk = RawChunk(table, pa.array(self._rows, pa.int64()), damaged, self._nested, statements=self.statements)
        self._records, self._rows, self._damaged, self._nested, self._size = [], [], [], {}, 0
        return chunk


def _is_undecodable(text: str) -> bool:
    """Return whether a text cannot be stored: undecodable bytes, U+FFFD, or a lone surrogate (by a JSON escape)."""
    if text.isascii():
        return False
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return True
    return b"\xef\xbf\xbd" in data or (b"\xf4\x8f" in data and is_damaged(text))


def chunked(gathering: Gathering, records: Iterator[None]) -> Iterator[RawChunk]:
    """Drive `records`, which fills the gathering, and yield each full chunk and the last one (perhaps empty)."""
    for _ in records:
        if gathering.full():
            yield gathering.take()
    yield gathering.take()
