"""Quotes that do not stand as the contract declares: what they enclose would be cut or kept wrongly, unnoticed."""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.parsing.layout import Ints, Layout, Lines, places_of

Mask = npt.NDArray[np.bool_]
_MARKS = ("'", '"', "`")
_WRAPPED = re.compile(r"""[ \t\u3000]*(['"`])(?:(?!\1).)+\1[ \t\u3000]*""", re.S)
_DOUBLED = re.compile(r"""[ \t\u3000]*(['"`])(?:(?!\1).)*(?:\1\1(?:(?!\1).)*)+\1[ \t\u3000]*""", re.S)  # never unpacked
_BLANK_FIRST = re.compile(r"""[ \t\u3000]+['"`]""")


def stray_quote(names: list[str]) -> str | None:
    """Return the quote that most column names still wear after they were read as the contract declares, or None."""
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
    quotes = places_of(text, layout.quote[0])
    inner, more_close = _read_quotes(text, quotes, layout)
    if not (len(inner) or more_close):
        return hit
    lines = Lines.of(text)
    if more_close:
        counted = np.bincount(np.searchsorted(lines.nexts, quotes, "right"), minlength=len(lines))
        for line in np.flatnonzero(counted % 2).tolist():
            row = int(np.searchsorted(places, line, "left"))
            if row < len(places) and places[row] == line:
                hit[row] = _ends_in_stray(text[lines.starts[line] : lines.ends[line]], layout)
    for line in np.unique(np.searchsorted(lines.nexts, inner, "right")).tolist():
        if not layout.fair_line.fullmatch(text, int(lines.starts[line]), int(lines.ends[line])):
            row = int(np.searchsorted(places, line, "right")) - 1
            hit[row] |= row >= 0
    return hit


def _read_quotes(data: bytes, quotes: Ints, layout: Layout) -> tuple[Ints, bool]:
    r"""Return the quotes within a value, and whether more quotes close a field than open one.

    Those within a value neither begin nor end a field nor are doubled, or stand behind a backslash.
    """
    buffer = np.frombuffer(data, np.uint8)
    edge = np.zeros(256, bool)
    edge[[10, 13, layout.delimiter[0]]] = True
    before, after = buffer[np.maximum(quotes - 1, 0)], buffer[np.minimum(quotes + 1, len(buffer) - 1)]
    opens, closes = edge[before] | (quotes == 0), edge[after] | (quotes == len(buffer) - 1)
    inner = ~(opens | closes | (before == layout.quote[0]) | (after == layout.quote[0]))
    if not layout.escape:
        inner |= before == 0x5C
    return quotes[inner], bool(np.count_nonzero(opens) < np.count_nonzero(closes))


def _ends_in_stray(line: bytes, layout: Layout) -> bool:
    """Return whether a field of a line that reads well ends in a quote that none opened; 15" is a measure."""
    if not layout.fair_line.fullmatch(line):
        return False
    quote, mark = re.escape(layout.quote), re.escape(layout.delimiter)
    line = re.sub(rb"(^|%b)%b(?:[^%b]|%b%b)*+%b[ \t]*(?=%b|$)" % (mark, *[quote] * 5, mark), rb"\1", line)
    return any(
        field.endswith(layout.quote) and not field.startswith(layout.quote) and not field[-2:-1].isdigit()
        for field in line.split(layout.delimiter)
    )


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
            found[row] |= bool(_DOUBLED.fullmatch(text))
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
