"""Where a delimited file may be cut: at a line break outside quotes near a wanted size, whatever broke before it."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chengxin.parsing.layout import Layout
from chengxin.parsing.text.salvage import JOIN_BYTES, JOIN_LINES

Buffer = bytes | mmap.mmap
_WINDOW = 2 * JOIN_BYTES
_STEP = 1 << 16
#: A line longer than this is handed out alone, so that nothing around it has to be held with it.
GIANT = 4 << 20


@dataclass(frozen=True)
class Span:
    """Bytes start..end of a buffer, and how many line ends lie before `start`."""

    start: int
    end: int
    lines: int


def spans(
    data: Buffer, start: int, end: int, size: int, *, layout: Layout | None = None, width: int = 0
) -> Iterator[Span]:
    """Cut start..end into spans of about `size` bytes, each beginning with a record.

    layout: None where a line break always ends a record (JSON Lines, fixed width). Quotes are counted from span to
    span; where the count leads nowhere (a quote that never closes), a line that reads as a record decides, and
    counting starts anew. A single line (a record, where quotes are trusted) above 4 MiB becomes a span of its own.
    """
    lines = 0
    while start < end:
        target = start + size
        counted, quotes = _count(data, start, min(target, end), layout)
        if target >= end:
            stop = _before_giant(data, start, end, layout) if end - start > GIANT else end
        else:
            stop = _cut(data, start, target, end, parity=quotes % 2, layout=layout, width=width)
        yield Span(start, stop, lines)
        if stop <= target:
            lines += counted - _count(data, stop, min(target, end), None)[0]
        else:
            lines += counted + _count(data, target, stop, None)[0]
        start = stop


def _count(data: Buffer, start: int, end: int, layout: Layout | None) -> tuple[int, int]:
    """Return the line ends and the quotes in start..end, by blocks that fit the cache."""
    breaks = quotes = 0
    view = np.frombuffer(data, np.uint8)
    for at in range(start, end, _STEP):
        stop = min(at + _STEP, end)
        block = view[at:stop]
        breaks += int(np.count_nonzero(block == 10))
        if (block == 13).any():
            returns = np.flatnonzero(block == 13) + at + 1
            following = view[np.minimum(returns, len(view) - 1)]
            breaks += int(np.count_nonzero((following != 10) | (returns == len(view))))
        if layout and layout.quote:
            quotes += int(np.count_nonzero(block == layout.quote[0]))
    return breaks, quotes


def _cut(data: Buffer, start: int, target: int, end: int, *, parity: int, layout: Layout | None, width: int) -> int:
    """Return the place after a line break near `target`."""
    if layout and layout.trusted:
        return _between_records(data, start, target, end, parity=parity, quote=layout.quote)
    window = data[target : min(target + _WINDOW, end)]
    ends = _line_ends(window, target + len(window) == end)
    if not ends:
        return _around_giant(data, start, target, end)
    if layout is None:
        return target + ends[0]
    candidates = ends[: JOIN_LINES + 1]
    groups = [candidates]
    is_quoted = bool(layout.quote) and (parity == 1 or layout.quote in window)
    if is_quoted:
        balanced = [place for place in candidates if (parity + window.count(layout.quote, 0, place)) % 2 == 0]
        groups = [group for group in (balanced, candidates) if group]
    # The first that is balanced and readable, else readable, else balanced; as a rule the very first one is.
    for group in groups:
        fitting = [place for place in group if _reads(window, place, layout, width)] if is_quoted else group
        if fitting:
            return target + fitting[0]
    return target + groups[0][0]


def _line_ends(window: bytes, is_last: bool) -> list[int]:
    """Return the offsets after each line break; a CR at the very end may be half of a CRLF and does not count."""
    ends: list[int] = []
    place = 0
    while len(ends) <= JOIN_LINES:
        lf, cr = window.find(b"\n", place), window.find(b"\r", place)
        if cr >= 0 and (lf < 0 or cr < lf):
            if cr + 1 == len(window) and not is_last:
                break
            place = cr + (2 if window[cr + 1 : cr + 2] == b"\n" else 1)
        elif lf >= 0:
            place = lf + 1
        else:
            break
        ends.append(place)
    return ends


def _reads(window: bytes, place: int, layout: Layout, width: int) -> bool:
    """Return whether the next records, up to three, read as records of the right width."""
    for _ in range(3):
        while window[place : place + 1] in (b"\r", b"\n"):
            place += 1
        if place >= len(window):
            break
        walk = layout.walk(layout.prepared(window[place : place + JOIN_BYTES]))
        if walk.is_open or not walk.is_strict or walk.width != width:
            return False
        place += walk.end
    return True


def _around_giant(data: Buffer, start: int, target: int, end: int) -> int:
    """Cut where no line break follows soon: before the giant line if something stands before it, else after it."""
    after = data.find(b"\n", target, end)
    after = end if after < 0 else after + 1
    if after - target <= GIANT:
        return after
    before = data.rfind(b"\n", start, target) + 1
    return before if before > start else after


def _between_records(data: Buffer, start: int, target: int, end: int, *, parity: int, quote: bytes) -> int:
    """Cut trusted text at the first record end after `target`; a giant record is cut off from what stands before it."""
    view = np.frombuffer(data, np.uint8)
    stop = end
    for at in range(target, end, _STEP):
        block = view[at : min(at + _STEP, end)]
        quotes, breaks = np.flatnonzero(block == quote[0]), np.flatnonzero(block == 10)
        free = breaks[(np.searchsorted(quotes, breaks) + parity) % 2 == 0]
        if len(free):
            stop = at + int(free[0]) + 1
            break
        parity = (parity + len(quotes)) % 2
    before = _record_start(data, start, target, quote) if stop - target > GIANT else start
    return before if before > start else stop


def _record_start(data: Buffer, start: int, end: int, quote: bytes) -> int:
    """Return where the last record of trusted text begins that begins before `end`."""
    view = np.frombuffer(data, np.uint8)
    found, parity = start, 0
    for at in range(start, end, _STEP):
        block = view[at : min(at + _STEP, end)]
        quotes, breaks = np.flatnonzero(block == quote[0]), np.flatnonzero(block == 10)
        free = breaks[(np.searchsorted(quotes, breaks) + parity) % 2 == 0]
        found = at + int(free[-1]) + 1 if len(free) else found
        parity = (parity + len(quotes)) % 2
    return found


def _before_giant(data: Buffer, start: int, end: int, layout: Layout | None) -> int:
    """Cut a last span before a giant line, or trusted record, that is not alone in it."""
    if layout and layout.trusted:
        tail = _record_start(data, start, end - 1, layout.quote)
        return tail if start < tail and end - tail > GIANT else end
    tail = max(data.rfind(b"\n", start, end - 1), data.rfind(b"\r", start, end - 1)) + 1
    return tail if start < tail and end - tail > GIANT else end
