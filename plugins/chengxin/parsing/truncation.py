"""Which values would show that a line break cut them in two, and which would not."""

import re

import pyarrow as pa
import pyarrow.compute as pc

_FEW = 5  # values; fewer show nothing in common
#: Codes with a check character, and words of a list: half of one fails its own check.
_CHECKED = frozenset({"uscc", "org_code", "reg_no", "person_doc", "loan_card_no", "code", "flag", "region", "year"})
_WHOLE_DAY = re.compile(r"\d{4}([-/.]?)\d{2}\1\d{2}(?:[ T].*)?|.*日.*")


def perhaps_cut(element_type: str, value: str) -> bool:
    """Return whether a value may be half of the one that was sent without failing its check."""
    value = value.strip()
    if not value or element_type in _CHECKED:
        return False
    if element_type in {"date", "instant"}:
        return _WHOLE_DAY.fullmatch(value) is None
    return True


def as_others(column: pa.Array) -> bool:
    """Return whether those before it show that the last value is whole: one is the same, or all end like it.

    The same one counts only where none goes on behind it, and a digit at the end is nothing to go by.
    """
    last, before = column[-1].as_py().strip(), pc.drop_null(column[:-1])
    if len(before) < _FEW:
        return False
    before = pc.utf8_trim_whitespace(before)
    goes_on = pc.and_(pc.starts_with(before, last), pc.not_equal(before, last))
    if pc.any(pc.equal(before, last)).as_py() and not pc.any(goes_on).as_py():
        return True
    return not last[-1].isdigit() and bool(pc.all(pc.ends_with(before, last[-1])).as_py())
