"""Quotes that do not stand as the contract says: what they enclose would be cut or kept wrongly, and unsaid."""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.standardise.reading.layout import Ints, Layout, Lines

Mask = npt.NDArray[np.bool_]
_MARKS = ("'", '"', "`")
_WRAPPED = re.compile(r"""[ \t\u3000]*(['"`])(?:(?!\1).)+\1[ \t\u3000]*""", re.S)
_BLANK_FIRST = re.compile(r"""[ \t\u3000]+['"`]""")


def stray_quote(names: list[str]) -> str | None:
    """Return the quote that most column names still wear after they were read as the contract says, or None."""
    worn = [found[1] for name in names if (found := _WRAPPED.fullmatch(name))]
    return max(worn, key=worn.count) if worn and 2 * len(worn) >= len(names) else None


def misquoted(data: bytes, places: Ints, layout: Layout) -> Mask:
    r"""Mark rows with a quoted value that goes on after its quote: "甲"乙, or \" undeclared. Arrow drops the quote.

    data: as sent, in UTF-8. places: the 0-based line of each row.
    """
    hit = np.zeros(len(places), bool)
    if layout.trusted or not layout.quote or not len(places) or layout.quote not in data:
        return hit
    text = layout.prepared(data)
    at = _interior(text, layout)
    lines = Lines.of(text)
    for line in _odd_lines(text, lines, layout):
        row = int(np.searchsorted(places, line, "left"))
        if row < len(places) and places[row] == line:
            hit[row] = _ends_in_stray(text[lines.starts[line] : lines.ends[line]], layout)
    if not len(at):
        return hit
    for line in np.unique(np.searchsorted(lines.nexts, at, "right")).tolist():
        if not layout.fair_line.fullmatch(text, int(lines.starts[line]), int(lines.ends[line])):
            row = int(np.searchsorted(places, line, "right")) - 1
            hit[row] |= row >= 0
    return hit


def _odd_lines(data: bytes, lines: Lines, layout: Layout) -> list[int]:
    """Return the lines with an odd number of quotes, where the file has more quotes at ends than at beginnings."""
    buffer = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(buffer == layout.quote[0])
    edge = np.zeros(256, bool)
    edge[[10, 13, layout.delimiter[0]]] = True
    opens = edge[buffer[np.maximum(quotes - 1, 0)]] | (quotes == 0)
    closes = edge[buffer[np.minimum(quotes + 1, len(buffer) - 1)]] | (quotes == len(buffer) - 1)
    if np.count_nonzero(opens) >= np.count_nonzero(closes):
        return []
    counted = np.bincount(np.searchsorted(lines.nexts, quotes, "right"), minlength=len(lines))
    found: list[int] = np.flatnonzero(counted % 2).tolist()
    return found


def _ends_in_stray(line: bytes, layout: Layout) -> bool:
    """Tell whether a field of a line that reads well ends in a quote that none opened; 15" is a measure."""
    if not layout.fair_line.fullmatch(line):
        return False
    quote, mark = re.escape(layout.quote), re.escape(layout.delimiter)
    line = re.sub(rb"(^|%b)%b(?:[^%b]|%b%b)*+%b[ \t]*(?=%b|$)" % (mark, *[quote] * 5, mark), rb"\1", line)
    return any(
        field.endswith(layout.quote) and not field.startswith(layout.quote) and not field[-2:-1].isdigit()
        for field in line.split(layout.delimiter)
    )


def _interior(data: bytes, layout: Layout) -> Ints:
    r"""Return the quotes that neither begin nor end a field nor are doubled, and those behind a backslash."""
    buffer = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(buffer == layout.quote[0])
    edge = np.zeros(256, bool)
    edge[[10, 13, layout.quote[0], layout.delimiter[0]]] = True
    before = buffer[np.maximum(quotes - 1, 0)]
    after = buffer[np.minimum(quotes + 1, len(buffer) - 1)]
    opens = edge[before] | (quotes == 0)
    closes = edge[after] | (quotes == len(buffer) - 1)
    inner = ~(opens | closes)
    if not layout.escape:
        inner |= before == 0x5C
    found: Ints = quotes[inner]
    return found


def wrapped(table: pa.Table, data: bytes, layout: Layout) -> Mask:
    """Mark rows whose values still wear quotes: two of them, or one whose quote is not the contract's or comes late.

    A single value in the contract's own quotes may mean them: three quotes on each side say so.
    """
    found = np.zeros(len(table), bool)
    if layout.trusted or not any(mark.encode() in data for mark in _MARKS):
        return found
    worn = np.zeros(len(table), np.int16)
    for column in table.columns:
        for row in _ending_in_quotes(column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)):
            text = column[row].as_py()
            if match := _WRAPPED.fullmatch(text):
                worn[row] += 1
                found[row] |= match[1].encode() != layout.quote or bool(_BLANK_FIRST.match(text))
    return found | (worn > 1)


def _ending_in_quotes(column: pa.Array) -> list[int]:
    """Return the rows whose last byte is a quote, or a blank behind one; their first decides later."""
    _, offsets, values = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    if values is None or not len(values) or not len(column):
        return []
    buffer = np.frombuffer(values, np.uint8)
    marks = np.zeros(256, bool)
    marks[[ord(mark) for mark in _MARKS]] = True
    marks[[0x20, 0x09]] = True
    rows = np.flatnonzero(marks[buffer[np.maximum(ends[1:] - 1, 0)]] & (np.diff(ends) > 1))
    return [int(n) for n in rows[marks[buffer[ends[rows]]]]]
