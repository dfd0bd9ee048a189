"""Whether bytes that decode as Chinese are Western, Korean or Japanese: nearly any bytes decode as GB18030.

Each encoding is a model as in likelihood.py, and explains the same bytes. Nothing is read in these encodings: a file of
them is refused, and told what it looks like.
"""

import math
import re
from collections.abc import Callable

from chengxin.parsing.encoding.likelihood import CLEAR, codes, likeness, words

_RUN = re.compile(rb"[\x80-\xff]+[\x40-\x7e]?")
_LETTER = re.compile(rb"(?<=[A-Za-z])[\xc0-\xff](?![\x80-\xff])|[\xc0-\xff](?=[a-z])")
_KANA = re.compile(rb"\x82[\x9f-\xf1]|\x83[\x40-\x96]")
_KOREAN = re.compile(rb"[\xa1-\xfe]{2}|[\x80-\xff][\x40-\x7e]?")
_JAPANESE = re.compile(rb"[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]|[\x80-\xff]")
_WESTERN = "西文（Latin-1、Windows-1252）"
_ASCII = math.log(1 / 52)
_NEVER = math.log(1e-4 / 128)


def foreign(sample: bytes, encoding: str, certain: bool = True) -> str | None:
    """Return what a sample read as gb18030 or big5 evidently is instead, in words, or None.

    certain: False also tells where nothing but accented letters among others speaks, be it one.
    """
    if encoding not in {"gb18030", "big5"} or not (found := words(sample)):
        return None
    chinese = likeness(found, encoding)
    high = sum(len(word) - len(word.decode("ascii", "ignore")) for word in found)
    letters = sum(len(_LETTER.findall(word)) for word in found)
    if 2 * letters > high and _score(_RUN, found, _western) - chinese > CLEAR:
        return _WESTERN
    kana = sum(len(_KANA.findall(word)) for word in found)
    if 5 * kana >= sum(map(len, found)) // 2 and _score(_JAPANESE, found, _japanese) - chinese > CLEAR:
        return "日文（Shift-JIS）"
    # Korean differs in little but which characters there are, so each counts once
    singles = list(codes(found, encoding))
    if _score(_KOREAN, singles, _korean) - likeness(singles, encoding) > CLEAR and _is_mostly_korean(found, encoding):
        return "韩文（EUC-KR）"
    return _WESTERN if not certain and high == letters else None


def _is_mostly_korean(found: list[bytes], encoding: str) -> bool:
    """Tell whether most words speak for it: in a file of few characters one line of Big5 has many that seem Korean."""
    like = sum(_score(_KOREAN, [word], _korean) > likeness([word], encoding) for word in found)
    return 2 * like > len(found)


def _score(grammar: re.Pattern[bytes], found: list[bytes], value: Callable[[bytes], float]) -> float:
    return sum(value(code) for word in found for code in grammar.findall(word))


def _western(run: bytes) -> float:
    """Letters with accents stand alone among others: two high bytes in a row are rare."""
    high = len(run) - (run[-1] < 0x80)
    ascii_too = _ASCII if high % 2 and high < len(run) else 0.0  # a reader of GB18030 takes this letter too
    if high > 1:
        return high * math.log(0.05 / 128) + ascii_too
    return math.log((0.9 if run[0] >= 0xC0 else 0.05) / 64) + ascii_too


def _korean(code: bytes) -> float:
    return _NEVER if len(code) == 1 or code[1] < 0xA1 else _korean_pair(code[0])


def _korean_pair(lead: int) -> float:
    if 0xB0 <= lead <= 0xC8:
        return math.log(0.95 / 2350)
    return math.log(0.04 / 900) if lead < 0xB0 else math.log(0.01 / 4888)


def _japanese(code: bytes) -> float:
    if len(code) == 1:
        return math.log(0.01 / 63) if 0xA1 <= code[0] <= 0xDF else _NEVER
    if _KANA.fullmatch(code):
        return math.log(0.45 / 169)
    if code[0] == 0x81:
        return math.log(0.07 / 147)
    return math.log(0.45 / 2965) if b"\x88\x9f" <= code <= b"\x98\x72" else math.log(0.02 / 3800)
