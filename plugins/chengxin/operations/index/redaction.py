"""Hide values that could name or identify a natural person, for readers who need not see them. When in doubt, hide.

Not the masking of the open tier: that one runs over columns that standardisation has made sound. Here the values are as
sent, in the wrong column perhaps, so each is judged by what it looks like as well as by what its column should hold.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

from chengxin.contracts.headers import fold_header
from chengxin.contracts.models import Contract
from chengxin.model.elements import Element, elements
from chengxin.model.identifiers import is_resident_id, is_uscc

How = Literal["plain", "name", "person", "secret", "text", "unknown"]
_LONG = re.compile(r"(?<![0-9A-Za-z])(?:[0-9]{6,}[0-9Xx*]*|[0-9]{4,}[*]+[0-9Xx*]*)(?![0-9A-Za-z])")
_EMBEDDED = re.compile(r"[0-9]{11,}[Xx]?")
_BUSINESS = re.compile(
    "公司|企业|集团|商行|商店|超市|药店|饭店|酒店|中心|工厂|合作社|经营部|门市部|服务部|工作室|银行|学校|医院|[店铺厂行社院所局馆部]$"
)
_PLAIN_TYPES = {"code", "region", "date", "instant", "money", "integer", "decimal", "year", "flag"}
_TELLS_NO_ONE = {"code", "money", "integer", "decimal", "year", "flag"}
_CODES = {"uscc", "org_code", "reg_no", "tax_no", "loan_card_no"}
LONGEST = 60


def ways(contract: Contract) -> dict[str, How]:
    """Return how to hide each source column of a contract, by folded header and folded alias."""
    found: dict[str, How] = {}
    for column in contract.columns:
        how = _way(elements().get(column.element))
        for header in map(fold_header, (column.source, *column.aliases)):
            found[header] = "secret" if found.get(header) == "secret" else how  # of a column that holds either
    return found


def element_ways() -> dict[str, How]:
    """Return how to hide each data element."""
    return {name: _way(element) for name, element in elements().items()}


def _way(element: Element | None) -> How:
    if element is None:
        return "unknown"
    if element.sensitivity == "identifier" or (
        element.sensitivity == "restricted" and element.type not in _TELLS_NO_ONE
    ):
        return "secret"
    if element.sensitivity == "person_name":
        return "person"
    if element.type == "name":
        return "name"
    return "plain" if element.type in _PLAIN_TYPES | _CODES | {"document_no"} else "text"


def hide(value: str | None, how: How) -> str | None:
    """Return what may be shown of a value. Deterministic; nulls and empty texts stay."""
    if value is None or not value.strip():
        return value
    text = unicodedata.normalize("NFKC", value).strip()
    if how == "plain" or (how == "secret" and _is_code_of_business(text)):
        return _numbers(text)
    if how == "name" and _BUSINESS.search(text):
        return _numbers(text)
    if how in {"name", "person"}:
        return _person(text)
    if how == "text":
        return _shortened(_numbers(text))
    return _shape(text)


def _numbers(text: str) -> str:
    """Hide what looks like a number of a document, an account or a phone; sound credit codes and short numbers stay."""
    if _is_code_of_business(text) or (len(text) <= 10 and not text.isdecimal()):
        return text
    hidden = _LONG.sub(lambda m: m[0] if len(m[0]) <= 8 else _shape(m[0]), text)
    return _EMBEDDED.sub(lambda m: _shape(m[0]), hidden)


def _is_code_of_business(text: str) -> bool:
    return is_uscc(text.upper()) and not is_resident_id(text.upper())


def _person(text: str) -> str:
    if text.isascii() or len(text) > 12:
        return _shape(text)
    return text[0] + "*" * (len(text) - 1)


def _shape(text: str) -> str:
    """Keep the first two characters of a long text, one of a short one, and its length."""
    kept = 2 if len(text) >= 8 else 1
    rest = len(text) - kept
    return f"{text[:kept]}{'*' * min(rest, 16)}" + (f"〔{len(text)} 字〕" if rest > 16 else "")


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…〔{len(text)} 字〕"


def hide_row(row: Mapping[str, str | None], how: Mapping[str, How]) -> dict[str, str | None]:
    """Hide a row as sent: header -> text. A column that the contract does not know is hidden."""
    return {name: hide(value, how.get(fold_header(name), "unknown")) for name, value in row.items()}
