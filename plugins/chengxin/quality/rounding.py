"""Long numbers that went through a spreadsheet, which keeps 15 digits: 430102199001011234 comes back as ...011000."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chengxin.contracts.models import Contract
from chengxin.facts import Doubt
from chengxin.model.elements import Element, elements
from chengxin.model.kinds import Kind
from chengxin.quality.conditions import ident
from chengxin.quality.metrics import Listing, Need

_LOOKED_AT = 2_000  # rows with a number
_KEPT = 15  # digits that a spreadsheet keeps
_LONG = "regexp_full_match(n, '[1-9][0-9]{17,20}|[1-9][.][0-9]{4,}[Ee][+]?[0-9]+')"


def needs(contract: Contract, kind: Kind, types: Mapping[str, str], rows: str) -> dict[str, Need]:
    """Return what has to be asked of a batch, by name: long numbers in the first rows of columns of them."""
    given = {c.element for c in contract.columns}
    columns = [e for e in (*kind.element_list(), elements()["source_record_id"]) if e.id in given & types.keys()]
    return {f"rounded.{e.id}": Listing(_listing(ident(e.id), rows)) for e in columns if _is_number(e)}


def _is_number(element: Element) -> bool:
    is_text = element.type == "text" and element.id.endswith(("_no", "_id"))
    return element.type == "document_no" or is_text


def _listing(column: str, rows: str) -> str:
    first = f"SELECT {column} AS n FROM {rows} WHERE {column} IS NOT NULL LIMIT {_LOOKED_AT}"
    return f"SELECT DISTINCT n FROM ({first}) WHERE {_LONG} ORDER BY n"


def doubts(found: Mapping[str, Any], few: int) -> Iterator[Doubt]:
    """Report columns of numbers that were rounded, from `few` different numbers on. No number is shown."""
    for name in [n for n in found if n.startswith("rounded.")]:
        if len(found[name]) >= few and is_rounded(found[name]):
            element = name.removeprefix("rounded.")
            yield Doubt(rule=name, place=elements()[element].title, found=len(found[name]))


def is_rounded(numbers: Sequence[str]) -> bool:
    """Return whether all numbers of 18 digits and more are what a spreadsheet leaves, or in its scientific form.

    Numbers that have a zero in the last place kept as well were given with zeros at their end.
    """
    plain = [n for n in numbers if n.isdecimal()]
    if any(n[_KEPT:].strip("0") for n in plain):
        return False
    return 2 * sum(n[_KEPT - 1] == "0" for n in plain) < max(1, len(plain))
