"""Which lines make a record where quotes span lines or are broken: a fault costs its own line, never its neighbours."""

from dataclasses import dataclass

import numpy as np

from chengxin.parsing.layout import Ints, Layout, Lines

#: A record may span this many lines and bytes; a quote that stays open longer was never closed.
JOIN_LINES = 50
JOIN_BYTES = 64 << 10
#: From this width on, a continuation line with exactly the delimiters of a whole record is taken for a record; below
#: it, one line may have them by chance, and only a value none of whose lines lacks them is doubted.
_TELLING_WIDTH = 5


@dataclass(frozen=True)
class Records:
    """First and last line (0-based) of each record that is not blank, ascending; lines whose quote never closes."""

    first: Ints
    last: Ints
    unclosed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Block:
    """A buffer of delimited text and how it is split. width: fields of a record.

    breaks: lines that no record may span (they were undecodable and are empty).
    """

    data: bytes
    lines: Lines
    layout: Layout
    width: int
    breaks: frozenset[int] = frozenset()

    def slice(self, first: int, last: int) -> bytes:
        """Return the bytes of some lines."""
        return self.data[self.lines.starts[first] : self.lines.ends[last]]

    def is_full(self, line: int) -> bool:
        """Return whether a line has as many delimiters as a record."""
        lines = self.lines
        return self.data.count(self.layout.delimiter, lines.starts[line], lines.ends[line]) == self.width - 1


def find_records(block: Block, *, trusting: bool = True) -> Records:
    """Return the records of a block.

    trusting: a buffer whose quotes all stand right is taken as it is; otherwise each record over several lines must
    also have the right width.
    """
    data, lines, layout = block.data, block.lines, block.layout
    filled = lines.ends > lines.starts
    if not layout.quote or layout.quote not in data:
        index = np.flatnonzero(filled)
        return Records(index, index)
    quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == layout.quote[0])
    found = _well_formed(block, quotes) if trusting else None
    return found or _line_by_line(block, quotes)


def _well_formed(block: Block, quotes: Ints) -> Records | None:
    """Return the records if every quote in the buffer stands where RFC 4180 wants it and no record is suspect."""
    data, lines, layout, width = block.data, block.lines, block.layout, block.width
    buffer = np.frombuffer(data, np.uint8)
    allowed = np.zeros(256, bool)
    allowed[[10, 13, layout.quote[0], layout.delimiter[0]]] = True
    opens, closes = quotes[0::2], quotes[1::2]
    before = allowed[buffer[opens - 1]] | (opens == 0)
    after = closes + 1 == len(buffer)
    after |= allowed[buffer[np.minimum(closes + 1, len(buffer) - 1)]]
    if len(quotes) % 2 or not before.all() or not after.all():
        return None
    inside = np.searchsorted(quotes, lines.ends) % 2 == 1  # the line's break lies within quotes
    follows = np.concatenate([[False], inside[:-1]])  # the line continues the one before
    first = np.flatnonzero(~follows)
    last = np.flatnonzero(~inside)
    multi = last > first
    sizes = lines.ends[last] - lines.starts[first]
    if block.breaks and follows[list(block.breaks)].any():
        return None
    filled = multi | (lines.ends[first] > lines.starts[first])
    if layout.trusted:
        return Records(first[filled], last[filled])
    if ((last - first)[multi] >= JOIN_LINES).any() or (sizes[multi] > JOIN_BYTES).any():
        return None
    if multi.any() and width > 1:
        delimiters = np.flatnonzero(buffer == layout.delimiter[0])
        full = np.searchsorted(delimiters, lines.ends) - np.searchsorted(delimiters, lines.starts) == width - 1
        if width >= _TELLING_WIDTH:
            doubtful = (full & inside & follows).any() or (full[first[multi]] & full[last[multi]]).any()
        else:
            lacking = np.concatenate([[0], np.cumsum(~full)])
            doubtful = (lacking[last + 1] == lacking[first])[last - first >= _least(width)].any()
        if doubtful:
            return None
    return Records(first[filled], last[filled])


def _line_by_line(block: Block, quotes: Ints) -> Records:
    """Decide line by line; only lines with a quote in them are looked at."""
    lines, layout = block.lines, block.layout
    quoted = np.unique(np.searchsorted(lines.nexts, quotes, "right"))
    unclosed: list[int] = []
    joined: list[tuple[int, int]] = []
    free = 0
    strict = layout.strict_line.fullmatch
    for place, line in enumerate(quoted.tolist()):
        if line < free or strict(block.data, int(lines.starts[line]), int(lines.ends[line])):
            continue
        if not layout.walk(block.slice(line, line)).is_open:
            continue
        candidates = quoted[place + 1 : place + 1 + JOIN_LINES].tolist()
        last = _closing_line(block, line, candidates)
        if last is None or _is_suspect(block, line, last):
            if last is not None and block.width < _TELLING_WIDTH:  # lines between may be text or records
                unclosed += range(line, last + 1)
                free = last + 1
            else:
                unclosed += (line, _other_half(block, line, candidates))
        else:
            joined.append((line, last))
            free = last + 1
    single = lines.ends > lines.starts
    single[unclosed] = False
    for line, last in joined:
        single[line : last + 1] = False
    alone = np.flatnonzero(single)
    first = np.concatenate([alone, np.array([a for a, _ in joined], np.int64)])
    final = np.concatenate([alone, np.array([b for _, b in joined], np.int64)])
    order = np.argsort(first, kind="stable")
    return Records(first[order], final[order], tuple(sorted(set(unclosed))))


def _closing_line(block: Block, line: int, candidates: list[int]) -> int | None:
    """Return the line that closes the record opened at `line`, or None: too far, misused quotes, or another width."""
    for last in candidates:
        record = block.slice(line, last)
        if last - line >= JOIN_LINES or len(record) > JOIN_BYTES:
            return None
        if block.breaks and not block.breaks.isdisjoint(range(line, last + 1)):
            return None
        walk = block.layout.walk(record)
        if walk.is_open and walk.is_strict:
            continue
        if not walk.is_strict or walk.width != block.width or walk.end != len(record):
            return None
        return last
    return None


def _is_suspect(block: Block, line: int, last: int) -> bool:
    """Return whether lines inside the quotes look like whole records themselves."""
    full = [block.is_full(n) for n in range(line, last + 1)]
    if block.width < _TELLING_WIDTH:
        return all(full) and last - line >= _least(block.width)
    return any(full[1:-1]) or (full[0] and full[-1])


def _least(width: int) -> int:
    """Return how many line breaks a value has that is doubted: with one delimiter a record, one may be chance."""
    return 2 if width == 2 else 1


def _other_half(block: Block, line: int, candidates: list[int]) -> int:
    """Return the next line with an odd quote if it closes what `line` opened (a value would keep it), else `line`."""
    for other in candidates:
        text = block.slice(other, other)
        if text.count(block.layout.quote) % 2:
            return line if block.layout.walk(text).is_open else other
    return line
