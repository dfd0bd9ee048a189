"""What a kernel takes and gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.model.rules import rules
from chengxin.parsing.buffers import Mask, Rows, booleans

T = TypeVar("T")
Codes = npt.NDArray[np.int32]


@dataclass(frozen=True)
class CleanOptions:
    """What is declared of a column's values.

    unit: of money that carries none in the value. codes: source value -> standard code, from the contract.
    codelist: name of a file in model/codelists (columns code, name, aliases parted by `|`); code, name and alias are
    accepted, but of a column with `codes` only its words are: codes mean what the contract states.
    today: nobody is born after it; None = not looked at. date_form: of bare digits in a date; None = recognised.
    from_1904: the workbook counts days from 1904, so that a bare number of days would mean another day than elsewhere.
    measures: words that may stand behind a count. at_home: the sender is in Hunan, so a bare place name is a Hunan one.
    """

    unit: str | None = None
    codes: dict[str, str] | None = None
    codelist: str | None = None
    today: date | None = None
    date_form: str | None = None
    from_1904: bool = False
    measures: tuple[str, ...] = ()
    at_home: bool = True


@dataclass(frozen=True)
class Cleaned:
    """A cleaned column: typed values (null where absent or unusable), and per broken rule where it was broken.

    issues: rule ids of model/rules.yaml, sorted, only those with a hit. extra: further columns; of money
    `currency_code` and `raw`.
    """

    values: pa.Array
    issues: tuple[tuple[str, pa.BooleanArray], ...]
    extra: dict[str, pa.Array] = field(default_factory=dict)


class Findings:
    """Collects which rows break which rule."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._masks: dict[str, Mask] = {}

    def add(self, rule: str, where: Mask | Rows) -> None:
        """Note that a rule is broken in the rows of a mask or an index array."""
        if len(where) == 0 or (where.dtype == np.bool_ and not where.any()):
            return
        mask = self._masks.setdefault(rule, np.zeros(self.rows, np.bool_))
        mask[where] = True

    def add_from(self, other: "Findings", rows: Rows) -> None:
        """Take over findings made on a part of the column; `rows` are the part's rows here."""
        for rule, mask in other._masks.items():
            self.add(rule, rows[mask])

    def add_distinct(self, broken: Sequence[Sequence[str]], codes: Codes, rows: Rows | None = None) -> None:
        """Note the rules that each distinct value breaks; codes: which one a row holds, -1 for null."""
        for rule in sorted({rule for rules_of_one in broken for rule in rules_of_one}):
            hit = np.array([rule in rules_of_one for rules_of_one in broken] + [False], np.bool_)[codes]
            self.add(rule, hit if rows is None else rows[hit])

    def errors(self) -> Mask:
        """Return the rows that break a rule of level error."""
        found = np.zeros(self.rows, np.bool_)
        for rule, mask in self._masks.items():
            if rules()[rule].level == "error":
                found |= mask
        return found

    def issues(self) -> tuple[tuple[str, pa.BooleanArray], ...]:
        """Return the findings in the shape of `Cleaned.issues`."""
        return tuple((rule, booleans(self._masks[rule])) for rule in sorted(self._masks))


def read_distinct(values: pa.StringArray, read: Callable[[str], T]) -> tuple[list[T], Codes, pa.Array]:
    """Read each distinct text once; return the readings, which of them each row has (-1 for null), and as Arrow."""
    encoded = values.dictionary_encode()
    readings = [read(text) for text in encoded.dictionary.to_pylist()]
    return readings, indices_of(encoded), encoded.indices


def indices_of(encoded: pa.DictionaryArray) -> Codes:
    """Return which entry of the dictionary each row has, -1 for null."""
    indices = encoded.indices
    codes = indices.fill_null(-1) if indices.null_count else indices
    return np.frombuffer(codes.buffers()[1], np.int32)[codes.offset : codes.offset + len(codes)]
