"""What Chinese text in unknown bytes most resembles: decoding without an error proves nothing between GB18030 and Big5.

Each encoding is a model that gives every character a probability by its class (first-level, second-level, sign, rare,
private). The sum of logarithms over the words of a sample, each word counted once, is comparable between encodings
because all models explain the same bytes. Classes follow GB/T 2312 and GB 18030 (rows of the table) and Big5 (ETEN).
"""

import math
import re
from collections import Counter
from functools import cache
from itertools import islice

#: Natural logarithms by which one reading must beat the other before a declaration is doubted (e^12: 160,000 to 1).
CLEAR = 12.0
_WORDS = 4_000
_LONGEST = 4_096
_BREAKS = re.compile(rb"[\x00-\x2f]+")
_GB = re.compile(rb"[\x81-\xfe][\x30-\x39][\x81-\xfe][\x30-\x39]|[\x81-\xfe][\x40-\x7e\x80-\xfe]|[\x80-\xff]")
_BIG5 = re.compile(rb"[\x81-\xfe][\x40-\x7e\xa1-\xfe]|[\x80-\xff]")
_HAN_IN_UTF8 = re.compile(rb"[\xe3-\xe9\xef][\x80-\xbf]{2}")
# class -> (its share of a text, how many characters share it)
_GB_CLASSES = {
    "first": (0.93, 3755),
    "second": (0.03, 3008),
    "sign": (0.03, 300),
    "rare": (0.009, 14_500),
    "four": (0.0008, 40_000),
    "private": (0.0001, 2_000),
    "broken": (0.0001, 128),
}
_BIG5_CLASSES = {
    "first": (0.93, 5401),
    "second": (0.03, 7652),
    "sign": (0.03, 300),
    "private": (0.0001, 6_000),
    "broken": (0.0001, 128),
}
_UTF8_CLASSES = {"first": (0.96, 7_500), "second": (0.03, 14_000), "sign": (0.01, 1_000), "broken": (1e-6, 128)}


def words(sample: bytes) -> list[bytes]:
    """Return the distinct words with non-ASCII bytes in them, in order, at most some thousands."""
    found = dict.fromkeys(word[:_LONGEST] for word in _BREAKS.split(sample) if not word.isascii())
    return list(islice(found, _WORDS))


def likeness(found: list[bytes], encoding: str) -> float:
    """Return the logarithm of how probable these words are as Chinese text in `encoding` (utf-8, gb18030, big5)."""
    if encoding == "utf-8":
        return _utf8(found)
    grammar, classes = (_GB, _GB_CLASSES) if encoding == "gb18030" else (_BIG5, _BIG5_CLASSES)
    class_of = _gb_class if encoding == "gb18030" else _big5_class
    counts: Counter[bytes] = Counter()
    for word in found:
        counts.update(grammar.findall(word))
    return sum(count * _log(classes, class_of(code)) for code, count in counts.items())


def codes(found: list[bytes], encoding: str) -> set[bytes]:
    """Return the distinct characters of the words, read as gb18030 or big5, as bytes."""
    grammar = _GB if encoding == "gb18030" else _BIG5
    return {code for word in found for code in grammar.findall(word)}


def ranked(sample: bytes) -> list[tuple[str, float]]:
    """Return utf-8, gb18030 and big5 with their logarithms, the likeliest first; empty for plain ASCII."""
    found = words(sample)
    scores = [(name, likeness(found, name)) for name in ("utf-8", "gb18030", "big5")] if found else []
    return sorted(scores, key=lambda item: -item[1])


def clearly_other(sample: bytes, encoding: str) -> str | None:
    """Return big5 where `encoding` is gb18030 but the sample clearly reads as Big5, and the reverse; else None."""
    other = {"gb18030": "big5", "big5": "gb18030"}.get(encoding)
    if other is None:
        return None
    found = words(sample)
    return other if likeness(found, other) - likeness(found, encoding) > CLEAR else None


def reads_as(raw: bytes) -> str | None:
    """Return the encoding in which bytes read as common Chinese, or None."""
    for other in ("utf-8", "gb18030", "big5"):
        text = raw.decode(other, "ignore")
        han = [char for char in text if "\u4e00" <= char <= "\u9fff"]
        lost = len(raw) - len(text.encode(other))
        common = sum(_utf8_class(char) == "first" for char in han)
        if len(han) > 1 and not lost and 10 * common >= 9 * len(han):
            return other
    return None


def misread(text: str) -> str | None:
    """Tell how a text that decodes well was garbled before it was stored, or None.

    gb18030: UTF-8 was read as GBK and saved again (娴峰崡); latin-1: Chinese bytes were read as Western (æ¹–å).
    """
    foreign = "".join(dict.fromkeys(re.findall(r"[^\x00-\x7f]+", text)))[:20_000]
    if len(foreign) < 12:
        return None
    western = sum(0x80 <= ord(c) < 0x250 or c in "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ" for c in foreign)
    if 10 * western >= 9 * len(foreign):
        return "latin-1"
    raw = foreign.encode("gb18030", "replace")
    covered = sum(3 for _ in _HAN_IN_UTF8.finditer(raw))
    return "gb18030" if 10 * covered >= 8 * len(raw) else None


@cache
def _gb_class(code: bytes) -> str:
    if len(code) == 1:
        return "broken"
    if len(code) == 4:
        return "four"
    lead, trail = code
    if trail >= 0xA1:
        if 0xB0 <= lead <= 0xD7:
            return "private" if code >= b"\xd7\xfa" and lead == 0xD7 else "first"
        if 0xD8 <= lead <= 0xF7:
            return "second"
        if 0xA1 <= lead <= 0xA3:
            return "sign"
        return "private" if lead >= 0xAA else "rare"
    return "private" if 0xA1 <= lead <= 0xA7 else "rare"


@cache
def _big5_class(code: bytes) -> str:
    if len(code) == 1:
        return "broken"
    lead = code[0]
    if code < b"\xa1\x40" or code > b"\xf9\xfe" or b"\xc6\xa1" <= code < b"\xc9\x40":
        return "private"
    if lead <= 0xA3:
        return "sign"
    return "first" if code <= b"\xc6\x7e" else "second"


def _utf8(found: list[bytes]) -> float:
    counts: Counter[str] = Counter()
    for word in found:
        counts.update(c for c in word.decode("utf-8", "surrogateescape") if c >= "\x80")
    return sum(count * _log(_UTF8_CLASSES, _utf8_class(char)) for char, count in counts.items())


@cache
def _utf8_class(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        return "broken"
    if not "\u3400" <= char <= "\u9fff":
        return "sign"
    gb, big5 = char.encode("gb18030"), char.encode("big5", "replace")
    common = _gb_class(gb) == "first" or (len(big5) == 2 and _big5_class(big5) == "first")
    return "first" if common else "second"


def _log(classes: dict[str, tuple[float, int]], name: str) -> float:
    share, size = classes[name]
    return math.log(share / size)
