"""The data elements (数据元): each field once, with its type, sensitivity and source. Read from elements/*.yaml."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from chengxin.model.declarations import read_yaml

ElementType = Literal[
    "text",  # free text, stored as sent but for blanks at the ends
    "name",  # name of an organisation or a person
    "uscc",  # GB 32100
    "org_code",  # GB 11714
    "reg_no",  # GS 15
    "tax_no",  # taxpayer number, 15 to 20
    "person_doc",  # GB 11643 resident id, residence permits, other documents
    "loan_card_no",  # 中征码
    "document_no",  # decision, case, certificate numbers: brackets and blanks made alike
    "code",  # value of a code list
    "region",  # GB/T 2260 code
    "date",  # calendar day in Shanghai
    "instant",  # point in time, UTC
    "money",  # yields <id>_yuan, <id>_currency_code, <id>_raw
    "integer",
    "decimal",  # decimal(18,6)
    "year",
    "phone",
    "flag",
]

# open: anybody may see it.
# name: masked in the open tier where it names a natural person (a counterpart of any type).
# person_name: always a natural person's name, so always masked in the open tier.
# identifier: identifies a natural person; never in the open tier.
# restricted: government tier only. free_text: redacted in the open tier.
Sensitivity = Literal["open", "name", "person_name", "identifier", "restricted", "free_text"]


class ColumnLook(BaseModel):
    """What the values of a column look like, or do not (model.looks). share: of the values, at least."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    like: str | None = None
    unlike: str | None = None
    share: float = 1.0


class Element(BaseModel):
    """One data element. `id` is its column name in Parquet (money yields three columns).

    measures: words that may stand behind a count; behind a number of anything else (90天 as 逾期期数) it is no count.
    looks: what a column of it looks like; where it does not, columns have changed places.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,62}$")]
    title: str
    title_en: str
    type: ElementType
    sensitivity: Sensitivity = "open"
    codelist: str | None = None
    max_length: int | None = None
    measures: tuple[str, ...] = ()
    looks: tuple[ColumnLook, ...] = ()
    source: str | None = None
    note: str | None = None


@cache
def elements() -> dict[str, Element]:
    """Return all data elements by id, in file order."""
    found: dict[str, Element] = {}
    for path in sorted((Path(__file__).parent / "elements").glob("*.yaml")):
        for key, body in read_yaml(path).items():
            if key in found:
                raise ValueError(f"data element {key} is defined twice, again in {path.name}")
            found[key] = Element(id=key, **body)
    return found
