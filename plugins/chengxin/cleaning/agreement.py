"""What the values of one row state of each other: two codes of one subject, a birthday and its number, a slip."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.parsing.buffers import Mask, as_mask

#: Rules that show that a name's field holds another one's value.
MISPLACED = frozenset({"name.is_identifier", "name.no_letter"})
_SLIPPED = 3  # unusable values, that of the name among them; two may have been exchanged


def other_subjects(uscc: pa.Array, code: pa.Array) -> Mask:
    """Return which codes are not those of a USCC: its places 9 to 17, also behind six digits, or itself.

    Of tax numbers with 18 characters only those of enterprises and households count: others may be a person's.
    """
    size = pc.utf8_length(code)
    inside = pc.utf8_slice_codeunits(uscc, 8, 17)
    old = pc.and_(pc.is_in(size, pa.array([9, 15], size.type)), pc.not_equal(pc.utf8_slice_codeunits(code, -9), inside))
    new = pc.and_(pc.and_(pc.equal(size, 18), pc.match_substring_regex(code, "^9[123]")), pc.not_equal(code, uscc))
    return as_mask(pc.or_(old, new))


def born_otherwise(born: pa.Array, number: pa.Array) -> Mask:
    """Return which birthdays are not those within the resident identity numbers beside them (GB 11643)."""
    is_resident = pc.match_substring_regex(number, "^[1-6][0-9]{16}[0-9X]$")
    told = pc.not_equal(pc.utf8_slice_codeunits(number, 6, 14), pc.strftime(born, format="%Y%m%d"))
    return as_mask(pc.and_(is_resident, told))


def slipped(misplaced: Mask, unusable: Iterable[Mask]) -> Mask:
    """Return which rows have fields that slipped to other columns: a name that is none, and other unusable values.

    What is left of such a row looks usable and stands in the wrong columns.
    """
    if not misplaced.any():
        return misplaced
    count = np.zeros(len(misplaced), np.int16)
    for bad in unusable:
        count += bad
    return misplaced & (count >= _SLIPPED)
