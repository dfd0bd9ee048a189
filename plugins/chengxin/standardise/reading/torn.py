"""Which values would show that a line break cut them in two, and which would not."""

import re

#: Codes with a check character, and words of a list: half of one is none, and is told as such.
_CHECKED = frozenset({"uscc", "org_code", "reg_no", "person_doc", "loan_card_no", "code", "flag", "region", "year"})
_WHOLE_DAY = re.compile(r"\d{4}([-/.]?)\d{2}\1\d{2}(?:[ T].*)?|.*日.*")


def perhaps_cut(element_type: str, value: str) -> bool:
    """Tell whether a value may be half of the one that was sent without failing its check."""
    value = value.strip()
    if not value or element_type in _CHECKED:
        return False
    if element_type in {"date", "instant"}:
        return _WHOLE_DAY.fullmatch(value) is None
    return True
