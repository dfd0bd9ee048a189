"""Words that sources use around their values: notes, units, placeholders, paging. Read from vocabularies/*.yaml."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from chengxin.model.declarations import read_yaml

Words = tuple[str, ...]


class _Vocabulary(BaseModel):
    """One file: lists of words, and regular expressions where words have many forms. The file explains each."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Notes(_Vocabulary):
    """notes.yaml: lines of a table that are no records."""

    totals: Words
    subtotals: Words
    leads: Words
    row_counts: Words
    rows: Words
    subjects: Words
    counted: Words
    statistics: Words
    ends: Words
    unfinished: Words
    signed: Words
    notes: Words
    filling: Words
    samples: Words
    sample_sheets: Words
    closings: Words
    imprints: Words
    trailers: Words
    screen_behind: Words
    screen_before: Words
    failures: Words


class Placeholders(_Vocabulary):
    """placeholders.yaml: what stands in the place of a value."""

    nothing: frozenset[str]
    unknown: Words
    ditto: str
    elsewhere: Words
    tests: Words
    tested: Words
    answers: Words
    own: Words
    offices: Words
    levels: Words
    yes: Words
    no: Words
    open_ended: str


class Units(_Vocabulary):
    """units.yaml: units of money."""

    powers: dict[str, int]
    declared: Words
    scales: Words
    currencies: Words
    symbols: dict[str, str]
    yuan: Words
    english: tuple[tuple[str, str], ...]
    unit_columns: Words
    currency_names: Words
    amounts: Words


class Documents(_Vocabulary):
    """documents.yaml: names within JSON and XML beside the records."""

    heads: frozenset[str]
    feet: frozenset[str]
    sums: frozenset[str]
    sum_totals: frozenset[str]
    complete: frozenset[str]
    codes: frozenset[str]
    yes: frozenset[str]
    no: frozenset[str]
    counts: str
    unsure: frozenset[str]
    unit: str
    units: frozenset[str]
    currency: str
    amount: str


class Paging(_Vocabulary):
    """paging.yaml: names by which an interface speaks of its pages."""

    total: frozenset[str]
    pages: frozenset[str]
    more: frozenset[str]
    part: frozenset[str]
    faults: frozenset[str]
    messages: frozenset[str]
    last: frozenset[str]
    next_: frozenset[str] = Field(alias="next")
    around: frozenset[str]
    nothing: frozenset[str]
    cut_short: str
    size: str
    place: str


_VocabularyT = TypeVar("_VocabularyT", bound=_Vocabulary)


@cache
def vocabulary(model: type[_VocabularyT]) -> _VocabularyT:
    """Return one vocabulary, read once a process."""
    return model(**read_yaml(Path(__file__).parent / "vocabularies" / f"{model.__name__.lower()}.yaml"))


def one_of(*words: Iterable[str]) -> str:
    """Return a regular expression of these words, the longest first."""
    chosen = {word for some in words for word in some}
    return "|".join(re.escape(word) for word in sorted(chosen, key=lambda word: (-len(word), word)))
