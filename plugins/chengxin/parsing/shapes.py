"""What the readers hand out, and the unit of work they take."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\x00]")
#: A field or line above this many bytes is damage, not data.
OVERSIZE = 1 << 20
#: A chunk holds about this much text and at most this many rows: it stays in the cache while it is decoded and split.
CHUNK_BYTES = 8 << 20
CHUNK_ROWS = 200_000
#: The rule of the row within, or before, which a file ends that was not received whole.
CUT_OFF = "row.cut_off"
#: A damaged row longer than this is kept by its beginning only.
RAW_KEPT = 64 << 10


class Nested(str):
    """The text of an array, an object or a truth value that stands where a text or a number belongs."""

    __slots__ = ()


class Dated(str):
    """The text of a day that a workbook holds as such."""

    __slots__ = ()


class Partial(Dated):
    """The text of such a day whose cell shows no day, or no year, which the spreadsheet put in."""

    __slots__ = ()


@dataclass(frozen=True)
class Damaged:
    r"""A row that could not be read into fields.

    row: 1-based line of the file (text formats), sheet row (xlsx, xls) or record ordinal (json, xml).
    rule: row.width, row.undecodable, row.quote_unclosed, row.quote_stray, row.oversize, row.formula_error, row.merged,
        row.key_twice, row.cut_off (the file ends within or before it) or row.not_a_record.
    raw: the text; bytes that are no text stand as \xNN, so it never holds U+FFFD.
    raw_bytes: the exact bytes where the text cannot be decoded, else None. note: what was counted, for people.
    """

    row: int
    rule: str
    raw: str
    raw_bytes: bytes | None = None
    note: str = ""


class UnitRows(NamedTuple):
    """How many rows have an amount of an element, and in how many another unit stands; words: what to say of these."""

    element: str
    sound: int
    odd: int
    words: str


@dataclass(frozen=True)
class Statements:
    """What a file states of its rows outside them.

    stated: how many it holds; least: how many at least. longer: name and number of all rows of a list of which it is a
    page. units: notes on the unit of its amounts; sums: lines that add them up. unfinished: what says that it is one
    page, or a failed answer; torn: what says that it was not written to its end. merged: rows that were read with what
    stands in a merged cell above, in words. amounts: rows with another unit.
    """

    stated: tuple[int, ...] = ()
    least: tuple[int, ...] = ()
    longer: tuple[tuple[str, int], ...] = ()
    units: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    amounts: tuple[UnitRows, ...] = ()

    def __add__(self, other: "Statements") -> "Statements":
        """Return the statements of both."""
        return Statements(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True)
class RawChunk:
    """Some consecutive rows of a file.

    table: all columns string, named by the source headers (trimmed, doubles suffixed _2, _3), one Arrow chunk a column.
    rows: int64, the 1-based source row of each table row, ascending. damaged: ascending by row. nested: column ->
    indices of rows where an array, an object, true or false stands as its value. dated: the same of days in cells
    of a workbook; partial: of such days as the cell shows in part. unended: the last row is the file's and has no line
    break. statements: what the file states of its rows beside them, where it is known with this chunk.
    """

    table: pa.Table
    rows: pa.Array
    damaged: tuple[Damaged, ...] = ()
    nested: Mapping[str, Sequence[int]] = field(default_factory=dict)
    dated: Mapping[str, Sequence[int]] = field(default_factory=dict)
    partial: Mapping[str, Sequence[int]] = field(default_factory=dict)
    unended: bool = False
    statements: Statements = Statements()


@dataclass(frozen=True)
class Piece:
    """A picklable unit of work: the bytes start..end of a file; `line` is the 1-based line that starts there.

    encoding: the one found, never "auto". names: the columns, empty where each record names its own. blank: positions
    (0-based) of columns without name and content, which are left out. sheet: the 1-based number of a workbook's sheet.
    from_1904: whether its bare numbers of days count from 1904. shown: columns whose cells are read as the sheet shows
    them. odd: elements of money, what to say of cells that show another unit, and their sheet rows.
    """

    path: str
    index: int
    start: int
    end: int
    line: int
    encoding: str
    names: tuple[str, ...]
    blank: tuple[int, ...] = ()
    sheet: int = 1
    from_1904: bool = False
    shown: frozenset[str] = frozenset()
    odd: tuple[tuple[str, str, tuple[int, ...]], ...] = ()

    @property
    def width(self) -> int:
        """Return how many fields a row has."""
        return len(self.names) + len(self.blank)


def row_numbers(rows: npt.NDArray[np.int64]) -> pa.Array:
    """Return row numbers as int64 (by buffer: pa.array of a numpy array would import pandas in every worker)."""
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows, np.int64))])


def kept(text: str) -> str:
    """Return the text as a damaged row keeps it: bounded, and without U+FFFD."""
    if len(text) > RAW_KEPT:
        text = f"{text[:RAW_KEPT]}…（原文共 {len(text)} 字，此处截断）"
    return text.replace("\ufffd", "\\ufffd")


def miscounted(expected: int, found: int, what: str = "个字段") -> str:
    """Describe how many fields (or bytes) a row has and should have; nothing where they could not be counted."""
    if not found:
        return ""
    torn = "；若是上一行或下一行的值中有换行，请接回一行，连同那一行重新报送" if found == 1 and what == "个字段" else ""
    return f"应有 {expected} {what}，实有 {found} {what[0]}{torn}"


def joined_header(block: Sequence[Sequence[str | None]]) -> list[str]:
    """Join a header over several rows: a group's name stands before the names below it (处罚信息_金额)."""
    rows = [[(cell or "").strip(" \t\r\n\u3000\ufeff\xa0") for cell in row] for row in block]
    width = max(map(len, rows), default=0)
    rows = [row + [""] * (width - len(row)) for row in rows]
    for upper, lower in pairwise(rows):
        group = ""
        for n in range(width):
            group = upper[n] or (group if lower[n] else "")
            if lower[n]:
                upper[n] = group
            elif upper[n]:
                group = ""
    return ["_".join(dict.fromkeys(part for row in rows if (part := row[n]))) for n in range(width)]


def unique_names(raw: list[str]) -> tuple[str, ...]:
    """Return headers trimmed; an empty one is named by its position, a double gets _2, _3 and so on."""
    counts: dict[str, int] = {}
    for position, name in enumerate((_INVISIBLE.sub("", text).strip(" \t\r\n\u3000\xa0") for text in raw), 1):
        base = name = name or str(position)
        while name in counts:
            counts[base] += 1
            name = f"{base}_{counts[base]}"
        counts[name] = 1
    return tuple(counts)
