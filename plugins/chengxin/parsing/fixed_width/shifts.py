"""Fixed-width lines in which a byte too many (or too few) moved the fields behind it, while blanks kept the width.

What a field looks like is learned from most lines: digits throughout, no blank in it, text that begins at its first
byte, numbers that end at its last. A line is shifted if its fields from some place on look so a few bytes further, and
not where they should be.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chengxin.contracts.models import FixedField

Mask = npt.NDArray[np.bool_]
Cells = npt.NDArray[np.uint8]  # rows x bytes
_MOST = 2 / 3  # of the lines that fill a field tell what it looks like
_FEW = 3  # lines; fewer tell nothing
_FURTHEST = 4  # bytes
_RARE = 20  # one line in so many
_SAMPLE = 4_000  # lines of a chunk


@dataclass(frozen=True)
class _Form:
    """How most lines fill a field."""

    digits: bool
    solid: bool
    left: bool
    right: bool

    @classmethod
    def of(cls, cells: Cells) -> "_Form":
        """Learn the form from the field's bytes in some lines."""
        content = ~_blank(cells).all(axis=1)
        least = max(_MOST * np.count_nonzero(content), _FEW)
        told = (_digits(cells), _solid(cells), ~_blank(cells[:, 0]), ~_blank(cells[:, -1]))
        return cls(*(bool(np.count_nonzero(each & content) >= least) for each in told))

    @property
    def is_strong(self) -> bool:
        """Tell whether hardly anything else than a value of this field looks like one."""
        return self.digits or self.solid

    def fits(self, cells: Cells) -> Mask:
        """Mark the lines that fill the field as most do, or leave it empty."""
        if self.digits:
            found = _digits(cells)
        elif self.solid:
            found = _solid(cells)
        elif self.left or self.right:
            found = ~_blank(cells[:, 0 if self.left else -1])
        else:
            return np.ones(len(cells), bool)
        rest = np.flatnonzero(~found)
        found[rest] = _blank(cells[rest]).all(axis=1)
        return found


def shifts(lines: Cells, fields: Sequence[FixedField]) -> dict[int, tuple[str, int]]:
    """Return the shifted lines: row -> name of the first field that is, and by how many bytes (below 0: to the left).

    lines: the bytes of each up to the last field's end.
    """
    fields = sorted(fields, key=lambda field: field.start)
    places = [(field.start - 1, field.start - 1 + field.length) for field in fields]
    forms = [_Form.of(lines[:_SAMPLE, a:b]) for a, b in places]
    strong = np.array([form.is_strong for form in forms])
    here = _fitting(lines, places, forms)
    rows = np.flatnonzero(~here.all(axis=1))
    here, padded = here[rows], np.full((len(rows), lines.shape[1] + 2 * _FURTHEST), 32, np.uint8)
    padded[:, _FURTHEST:-_FURTHEST] = lines[rows]
    found: dict[int, tuple[str, int]] = {}
    for by in (*range(1, _FURTHEST + 1), *range(-1, -_FURTHEST - 1, -1)):
        moved = [(a + by + _FURTHEST, b + by + _FURTHEST) for a, b in places]
        there = _fitting(padded, moved, forms)
        filled = np.stack([~_blank(padded[:, a:b]).all(axis=1) for a, b in moved], axis=1)
        gained = there & ~here & filled
        sure = gained & strong
        if by < 0:  # what stands at the field's end is the next one's; a short value has blanks there
            sure &= np.stack([~_blank(lines[rows, max(a, b + by) : b]).any(axis=1) for a, b in places], axis=1)
        enough = sure.any(axis=1) | ((by > 0) & (gained.sum(axis=1) > 1))
        for n in np.flatnonzero(enough & (here | there).all(axis=1)).tolist():
            if _hangs_together(here[n], there[n], strong):
                found.setdefault(int(rows[n]), (fields[int(np.flatnonzero(~here[n])[0])].source, by))
    found |= {row: told for row, told in _inserted(lines, fields, places, forms).items() if row not in found}
    return found


def _inserted(
    lines: Cells, fields: Sequence[FixedField], places: Sequence[tuple[int, int]], forms: Sequence[_Form]
) -> dict[int, tuple[str, int]]:
    """Return lines in which a digit too many moved others that all look like digits as well: row -> field, 1.

    It stands before a text that begins with none in the other lines, and a field of digits before it begins as those of
    nearly all lines do (00000, 2026) one place further on, and not where it should.
    """
    found: dict[int, tuple[str, int]] = {}
    for at, (start, end) in enumerate(places):
        if at == 0 or end - start < 2 or forms[at].is_strong or not forms[at].left:
            continue
        head = lines[:, start]
        rows = np.flatnonzero(((head - np.uint8(48)) < 10) & (lines[:, start + 1] > 0x7F))
        if not len(rows) or _RARE * len(rows) > len(lines):
            continue
        moved: Mask = np.zeros(len(rows), bool)
        first = np.full(len(rows), at)
        for before in range(at - 1, -1, -1):
            if not forms[before].digits or places[before][1] != places[before + 1][0]:
                break
            begin = places[before][0]
            usual = _beginning(lines[:_SAMPLE, begin : places[before][1]])
            here = (lines[rows, begin : begin + len(usual)] == usual).all(axis=1)
            there = (lines[rows, begin + 1 : begin + 1 + len(usual)] == usual).all(axis=1)
            moved |= ~here & there
            first[~here & there] = before
        found |= {int(row): (fields[n].source, 1) for row, n in zip(rows[moved], first[moved], strict=True)}
    return found


def _beginning(cells: Cells) -> Cells:
    """Return the bytes with which the field begins in nearly all lines."""
    found: list[int] = []
    for column in cells.T:
        usual = int(np.bincount(column).argmax())
        if _RARE * np.count_nonzero(column == usual) < (_RARE - 1) * len(cells):
            break
        found.append(usual)
    return np.array(found, np.uint8)


def _fitting(cells: Cells, places: Sequence[tuple[int, int]], forms: Sequence[_Form]) -> Mask:
    return np.stack([form.fits(cells[:, a:b]) for form, (a, b) in zip(forms, places, strict=True)], axis=1)


def _hangs_together(here: Mask, there: Mask, strong: Mask) -> bool:
    """Tell whether all fields from the first that does not fit fit further on, up to one whose blanks take it in."""
    bad = np.flatnonzero(~here)
    for last in range(int(bad[-1]), len(here)):
        if not there[bad[0] : last + 1].all():
            return False
        if last == len(here) - 1 or not strong[last]:
            return True
    return False


def _blank(cells: Cells) -> Mask:
    found: Mask = cells <= 32
    return found


def _digits(cells: Cells) -> Mask:
    return np.asarray(((cells - np.uint8(48)) < 10).all(axis=1))


def _solid(cells: Cells) -> Mask:
    return np.asarray(((cells - np.uint8(33)) < 94).all(axis=1))
