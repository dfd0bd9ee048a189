"""Digits that a workbook raises (m², a footnote behind a number): read as such, not as further digits."""

import re

_RUN = re.compile(
    rb"(<(?:\w+:)?rPr>(?:(?!</(?:\w+:)?rPr>).)*?<(?:\w+:)?vertAlign\s[^<>]*superscript(?:(?!</(?:\w+:)?rPr>).)*</(?:\w+:)?rPr>"
    rb"\s*<(?:\w+:)?t\b[^<>]*>)([^<]*)",
    re.DOTALL,
)
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def raised(xml: bytes) -> bytes:
    """Write raised digits in a part of a workbook as such characters; return the same object if there are none."""
    return _RUN.sub(_written, xml) if b"superscript" in xml else xml


def _written(run: re.Match[bytes]) -> bytes:
    text = run[2].decode()
    return run[1] + (text if "&" in text else text.translate(_RAISED)).encode()
