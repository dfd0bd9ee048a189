"""Names: what cannot be one, and match keys. The key is compared, never shown: the stored name stays as sent."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.kernels.placeholders import lost_values
from chengxin.cleaning.kernels.survey import BLOCK, Positions
from chengxin.parsing.buffers import (
    Bytes,
    Mask,
    Rows,
    as_strings,
    heads,
    matches,
    parts,
    replaced,
    rows_at,
    tails,
    take,
    valid,
    without,
)

_STATUS = r"[(\[〔【<](?:已注销|注销|已吊销|吊销|已?吊销,?未注销)[)\]〕】>]$"
# Blanks, zero-width marks, brackets, the dots of minority and foreign names, full stops and commas, quotes, dashes.
_DROPPED = (
    r"[\s\x{85}\x{A0}\x{AD}\x{200B}-\x{200F}\x{2010}-\x{2015}\x{2018}-\x{201F}\x{2060}\x{FEFF}"
    r"()\[\]{}<>〔〕【】《》〈〉「」『』·•・‧⋅∙．.。,，、;；:：'\"`_-]+"
)


_NUMBER = r"^[^\pL*＊]+$"
MARKUP = r"&(?:[A-Za-z]{2,6}|#[0-9]{2,6}|#[xX][0-9A-Fa-f]{2,5});|</?[A-Za-z][^<>]*>"
#: A resident id, a USCC or the number of a mobile phone within a name.
NUMBER_WITHIN = (
    r"(?:^|[^0-9])[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx](?:[^0-9Xx]|$)"
    r"|(?:^|[^0-9A-Z])[0-9ANY][0-9]{7}[0-9A-HJ-NPQRTUWXY]{10}(?:[^0-9A-Z]|$)"
    r"|(?:^|[^0-9])1[3-9][0-9]{9}(?:[^0-9]|$)"
)
# Chinese in Base64, three bytes in four letters of which the first is one of these; and \\u4e2d without its backslashes
_CODED = r"^(?:[567][0-9A-Za-z+/]{3}){3,}(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?$|(?:u[4-9][0-9a-f]{3}){2}"
_WORN = (
    r"^(?:“[^”]*”|‘[^’]*’|「[^」]*」|『[^』]*』|《[^》]*》|＂[^＂]*＂|=?\"[^\"]*\"|'[^']*'|`[^`]*`)$"
    r"|^(?:\"[^\"]*|＂[^＂]*|“[^”]*)$|^[^\"]*[^\"0-9]\"[^\"]*$|^[^“]*”$"  # half a pair; 15\" are inches
    r"|^\[\s*['\"].*['\"]\s*\]$|" + MARKUP + r"|\\[uU][0-9A-Fa-f]{4}|\\[nrt]|(?:%[0-9A-Fa-f]{2}){3}"
    r"|[¹²³⁰-⁹]$|_x[0-9A-F]{4}_|" + _CODED
)
# a lost character, Chinese bytes read as Western ones (Ê¾Àý), the rest of a name that was cut (示例有限...)
LOST = r"[?？□■]|[\x{A1}-\x{FF}]{3}|(?:\.{3}|…|。{3})$"
INVISIBLE = r"[\x{85}\x{AD}\x{2028}\x{2029}\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}\x{FEFF}]"
_MARKS = (
    r"[“”‘「『《＂\"'`&<\\%、/／;；,，|+\s¹²³⁰-⁹]|_x|" + _CODED + "|" + LOST + "|" + INVISIBLE
)  # one of them stands in whatever those look for
# one organisation behind another; a branch is named behind its company, so that 公司 长沙分公司 is one
_BODY = "(?:公司|厂|店|合作社|商行|事务所|经营部|中心|合伙企业)"
_BRANCH = r"(?:分公司|分店|分厂|分社|分中心|营业部|门店)[)）]?$"
_SEVERAL = (
    rf"{_BODY}[)）]?\s*[、/／;；,，|+]\s*.+{_BODY}[)）]?$"
    r"|(?:有限公司|有限责任公司|股份公司|集团公司)\s+[^\s]{2,}(?:有限公司|有限责任公司|股份公司|集团公司)$"
)


_COUNTED = np.zeros(256, np.bool_)
_COUNTED[[c.encode()[-1] for c in "家户人名个等"]] = True
_AND_OTHERS = _BODY + r"[)）]?等(?:[0-9一二三四五六七八九十两百]+[家户人名个])?$"
_NUMBERED = r"^(?:[0-9]{1,4}[.、．)）]|[(（][0-9]{1,3}[)）]|[①-⑳])\s*\p{Han}|^[0-9]{1,3}\s+\p{Han}{6}"


def marked_names(values: pa.StringArray) -> Rows:
    """Return the rows in which a sign stands that no name needs: a quote, part of a markup, or one that is not seen."""
    offsets, data = parts(values)
    rows = rows_at(offsets, changeable(data, int(offsets[0]), int(offsets[-1])))
    rows = rows[valid(values)[rows]]
    return rows[matches(take(values, rows), _MARKS)] if len(rows) else rows


def doubtful_names(values: pa.StringArray, marked: Rows) -> dict[str, Mask]:
    """Return by rule where something else than a name stands: a number or 同上, quotes or markup, lost characters."""
    head = heads(values)
    led: Rows = np.flatnonzero(((head < 0x41) | (head == 0xE2) | (head == 0xE3) | (head == 0xEF)) & valid(values))
    found = {rule: np.zeros(len(values), np.bool_) for rule in ("name.no_letter", "name.markup", "text.replacement")}
    for rule, rows, pattern in (
        ("name.no_letter", led, _NUMBER),
        ("name.markup", marked, _WORN),
        ("text.replacement", marked, LOST),
    ):
        if len(rows):
            found[rule][rows] = matches(take(values, rows), pattern)
    found["name.no_letter"] |= lost_values(values, booleans=False, ditto=True, elsewhere=True)
    return found


def several_names(values: pa.StringArray, marked: Rows) -> Rows:
    """Return the rows in which the names of several organisations stand."""
    if not len(marked):
        return marked
    part = take(values, marked)
    return marked[matches(part, _SEVERAL) & ~matches(part, _BRANCH)]


def and_others(values: pa.StringArray) -> Rows:
    """Return the rows in which one of several is named: 甲公司等3家."""
    rows: Rows = np.flatnonzero(_COUNTED[tails(values)] & valid(values))
    return rows[matches(take(values, rows), _AND_OTHERS)] if len(rows) else rows


def numbered_names(values: pa.StringArray) -> Rows:
    """Return the rows whose name stands behind its number in a list: 1、甲公司."""
    head = heads(values)
    led: Rows = np.flatnonzero(
        (((head - np.uint8(0x30)) < 10) | (head == 0x28) | (head == 0xE2) | (head == 0xEF)) & valid(values)
    )
    return led[matches(take(values, led), _NUMBERED)] if len(led) else led


def with_long_numbers(values: pa.StringArray) -> Rows:
    """Return the rows in which eight digits stand in a row."""
    offsets, data = parts(values)
    start, end = int(offsets[0]), int(offsets[-1])
    found = [np.zeros(0, np.int64)]
    for at in range(start, end, BLOCK):
        run = (data[at : min(at + BLOCK + 7, end)] - np.uint8(0x30)) < 10
        for step in (1, 2, 4):
            run = run[:-step] & run[step:]
        found.append(np.flatnonzero(run) + at)
    rows = rows_at(offsets, np.concatenate(found))
    return rows[valid(values)[rows]]


def name_key(raw: pa.Array) -> pa.StringArray:
    """Return the match key of each name: NFKC, upper case, without blanks, brackets and dots, without a status behind.

    Company forms and place prefixes stay: 有限公司 and 有限责任公司 may be two firms. A masked name (张*明) has no key.
    """
    values = as_strings(raw)
    offsets, data = parts(values)
    values = without(values, np.diff(offsets) == 0)
    rows: Rows = rows_at(offsets, changeable(data, int(offsets[0]), int(offsets[-1])))
    if len(rows) == 0:
        return values
    part = pc.utf8_upper(pc.utf8_normalize(take(values, rows), form="NFKC"))
    part = pc.replace_substring_regex(part, r"[\s。.]+$", "")
    part = pc.replace_substring_regex(part, _STATUS, "")
    part = pc.replace_substring_regex(part, _DROPPED, "")
    nameless = matches(part, r"\*|^$") | ~valid(part)
    return replaced(values, rows, without(part, nameless))


def changeable(data: Bytes, start: int, end: int) -> Positions:
    """Return the bytes that no name has which is its own key.

    Such a name has digits, capitals, and Chinese characters of U+4000 to U+9FFF, which NFKC keeps.
    """
    found = [np.zeros(0, np.int64)]
    for at in range(start, end, BLOCK):
        block = data[at : min(at + BLOCK, end)]
        kept = ((block - np.uint8(0x80)) < 0x40) | ((block - np.uint8(0xE4)) < 6)
        kept |= ((block - np.uint8(0x30)) < 10) | ((block - np.uint8(0x41)) < 26)
        found.append(np.flatnonzero(~kept) + at)
    return np.concatenate(found)
