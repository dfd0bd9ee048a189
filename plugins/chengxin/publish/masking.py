"""Column functions that take persons out of a table: names masked, numbers in free text hidden, ids made tokens.

Pure and vectorised; the same column gives the same result everywhere. When in doubt they hide more.
"""

import hashlib
import hmac

import pyarrow as pa
import pyarrow.compute as pc

HIDDEN = "〔已隐去〕"

_COMPOUND = (
    "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|宇文|长孙|司徒|司空|夏侯|轩辕|端木|百里|南宫|西门|独孤|呼延|闻人"
    "|公冶|淳于|濮阳|申屠|太史|钟离|澹台"
)
# Tried in turn: first what arrives half masked; what one has masked holds a star, which the later ones leave alone.
_NAME_MASKS = (
    (r"(?s)^(.)[^*]*[*].*$", r"\1*"),
    (rf"(?s)^({_COMPOUND})[^*]$", r"\1*"),
    (rf"(?s)^({_COMPOUND})[^*]+([^*])$", r"\1*\2"),
    (r"(?s)^([^*])[^*]$", r"\1*"),
    (r"(?s)^([^*])[^*]+([^*])$", r"\1*\2"),
    (r"(?s)^[^*]$", "*"),
)
_DIGIT = "[0-9０-９]"
# Runs of 15 digits and more are identity documents, bank accounts and the like; a masked id keeps enough to be guessed.
_LONG_NUMBER = f"{_DIGIT}{{15,}}[XxＸｘ]?|{_DIGIT}{{4,}}[*＊]+{_DIGIT}{{2,}}[XxＸｘ]?"
_MOBILE = f"[1１][3-9３-９]{_DIGIT}[- ]?{_DIGIT}{{4}}[- ]?{_DIGIT}{{4}}"
_BUSINESS = "(公司|企业|集团|商行|商店|超市|药店|饭店|酒店|中心|工厂|合作社|经营部|门市部|服务部|工作室|银行|学校|医院)"


def mask_person_names(names: pa.Array) -> pa.Array:
    """Mask names of persons: 张小明 -> 张*明, 李雷 -> 李*, 欧阳修 -> 欧阳*, 买买提·吐尔逊 -> 买*逊; nulls stay."""
    masked = names
    for pattern, mask in _NAME_MASKS:
        masked = pc.replace_substring_regex(masked, pattern, mask)
    return masked


def looks_like_person(names: pa.Array) -> pa.Array:
    """Tell which names of businesses are but a person's name: up to four characters, or with a middle dot."""
    short = pc.less_equal(pc.utf8_length(names), 4)
    dotted = pc.match_substring_regex(names, "[·•・]")
    business = pc.match_substring_regex(names, _BUSINESS)
    return pc.and_(pc.or_(short, dotted), pc.invert(business))


def redact(texts: pa.Array) -> pa.Array:
    """Hide numbers of identity documents, bank accounts and mobile phones in free text; nulls stay."""
    suspect = pc.fill_null(pc.match_substring_regex(texts, f"{_DIGIT}{{3}}"), False)
    if not pc.any(suspect).as_py():
        return texts
    hidden = pc.replace_substring_regex(texts.filter(suspect), _LONG_NUMBER, HIDDEN)
    hidden = pc.replace_substring_regex(hidden, _MOBILE, HIDDEN)
    return pc.replace_with_mask(texts, suspect, hidden)


def tokens(subject_ids: pa.Array, key: bytes | None) -> pa.Array:
    """Return HMAC-SHA256(key, decimal id) in hex for each id, null for null or without a key.

    A plain digest would be reversed in minutes; the loop runs over distinct ids only.
    """
    if key is None:
        return pa.nulls(len(subject_ids), pa.string())
    encoded = subject_ids.dictionary_encode()
    made = [hmac.digest(key, str(i).encode(), "sha256").hex() for i in encoded.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(made, pa.string())).cast(pa.string())


def key_id(key: bytes | None) -> str | None:
    """Return a short name of a token key that does not give it away."""
    return hashlib.sha256(hmac.digest(key, b"chengxin token key", "sha256")).hexdigest()[:12] if key else None
