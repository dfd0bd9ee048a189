"""Column headers as they are compared."""

import unicodedata

_UNSEEN = "\v\f\x1c\x1d\x1e\x1f\x85\u200b\u2028\u2029\ufeff"
_DROPPED = dict.fromkeys(map(ord, _UNSEEN + " \t\r\n　_-()[]{}【】〔〕〈〉《》「」:;.、，,*\"'“”"))


def fold_header(text: str) -> str:
    """Return the form under which headers are compared: NFKC, lower case, without blanks, brackets and punctuation."""
    return unicodedata.normalize("NFKC", text).lower().translate(_DROPPED)
