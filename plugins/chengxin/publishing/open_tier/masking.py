"""Column functions that take persons out of a table: names masked, numbers in free text hidden, ids made handles.

Pure and vectorised; the same column gives the same result everywhere. When in doubt they hide more.
"""

import hmac

import pyarrow as pa
import pyarrow.compute as pc

HIDDEN = "〔已隐去〕"

_SURNAMES = (  # of two characters each
    "欧阳司马上官诸葛东方皇甫尉迟公孙慕容令狐宇文长孙司徒司空夏侯轩辕端木百里南宫西门独孤呼延闻人公冶淳于濮阳申屠太史"
    "钟离澹台"
)
_COMPOUND = pa.array([_SURNAMES[n : n + 2] for n in range(0, len(_SURNAMES), 2)])
_DIGIT = "[0-9０-９]"
# Runs of 15 digits and more are identity documents, bank accounts and the like; a masked id keeps enough to be guessed.
_LONG_NUMBER = f"{_DIGIT}{{15,}}[XxＸｘ]?|{_DIGIT}{{4,}}[*＊]+{_DIGIT}{{2,}}[XxＸｘ]?"
_MOBILE = f"[1１][3-9３-９]{_DIGIT}[- ]?{_DIGIT}{{4}}[- ]?{_DIGIT}{{4}}"
# Found fast, replaced slowly: a superset of the two above.
_SUSPECT = f"{_DIGIT}{{11}}|{_DIGIT}[- ]{_DIGIT}{{4}}|{_DIGIT}{{4,}}[*＊]"
_BATCH = "^([a-z0-9_]+-[0-9]{8})-.*$"
_BUSINESS = "(公司|企业|集团|商行|商店|超市|药店|饭店|酒店|中心|工厂|合作社|经营部|门市部|服务部|工作室|银行|学校|医院)"


def mask_person_names(names: pa.Array) -> pa.Array:
    """Mask names of persons: 张小明 -> 张*明, 李雷 -> 李*, 欧阳修 -> 欧阳*, 买买提·吐尔逊 -> 买*逊; nulls stay.

    What arrives half masked keeps its surname only.
    """
    length = pc.utf8_length(names)
    head = pc.utf8_slice_codeunits(names, 0, 2)
    compound = pc.and_(pc.is_in(head, value_set=_COMPOUND), pc.greater(length, 2))
    surname = pc.if_else(compound, head, pc.utf8_slice_codeunits(names, 0, 1))
    given = pc.subtract(length, pc.utf8_length(surname))
    ends = pc.and_(pc.greater(given, 1), pc.invert(pc.match_substring(names, "*")))
    last = pc.if_else(ends, pc.utf8_slice_codeunits(names, -1, None), "")
    masked = pc.binary_join_element_wise(surname, "*", last, "")
    return pc.if_else(pc.greater(length, 1), masked, pc.if_else(pc.equal(length, 1), "*", names))


def looks_like_person(names: pa.Array) -> pa.Array:
    """Tell which names of businesses are but a person's name: up to four characters, or with a middle dot."""
    short = pc.less_equal(pc.utf8_length(names), 4)
    dotted = pc.match_substring_regex(names, "[·•・]")
    business = pc.match_substring_regex(names, _BUSINESS)
    return pc.and_(pc.or_(short, dotted), pc.invert(business))


def redact(texts: pa.Array) -> pa.Array:
    """Hide numbers of identity documents, bank accounts and mobile phones in free text; nulls stay."""
    suspect = pc.fill_null(pc.match_substring_regex(texts, _SUSPECT), False)
    if not pc.any(suspect).as_py():
        return texts
    hidden = pc.replace_substring_regex(texts.filter(suspect), _LONG_NUMBER, HIDDEN)
    hidden = pc.replace_substring_regex(hidden, _MOBILE, HIDDEN)
    return pc.replace_with_mask(texts, suspect, hidden)


def neutral_batches(batch_ids: pa.Array) -> pa.Array:
    """Return data set and day of each batch id without the digest of what was received: short content is guessed."""
    known = pc.match_substring_regex(batch_ids, _BATCH)
    return pc.if_else(known, pc.replace_substring_regex(batch_ids, _BATCH, r"\1"), pa.scalar(None, batch_ids.type))


def handles(values: pa.Array, key: bytes | None) -> pa.Array:
    """Return HMAC-SHA256(key, value as text) in 32 hex digits for each value, null for null or without a key.

    A plain digest of a small number would be reversed in seconds; the loop runs over distinct values only.
    """
    if key is None:
        return pa.nulls(len(values), pa.string())
    coded = values.dictionary_encode()
    made = [handle(v, key) for v in coded.dictionary.to_pylist()]
    return pa.array(made, pa.string()).take(coded.indices)


def handle(value: object, key: bytes | None) -> str | None:
    """Return the handle of one value, None without a key."""
    return hmac.digest(key, str(value).encode(), "sha256").hex()[:32] if key else None
