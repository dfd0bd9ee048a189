"""The publicity clock: the class of each record of a negative kind and the last day of its publicity.

Of other kinds the day is the one that the source gives. All over columns of a typed table, texts coded or not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.model.kinds import Kind, Publicity
from chengxin.model.lawful_terms import UNKNOWN, LawfulTerms, Span
from chengxin.store.columns import Mask

Columns = Mapping[str, pa.Array]  # chunked or not
Days = npt.NDArray[np.datetime64]
Codes = npt.NDArray[np.int8]
_NONE = -1


@dataclass(frozen=True)
class Timing:
    """What the clock shows for some rows. classes: places in `names`, -1 = not a negative kind.

    until: the last day of publicity, NaT = none. is_public: whether the class may be public and has the end it needs.
    """

    names: tuple[str, ...]
    classes: Codes
    until: Days
    is_public: Mask


def timing(kind: Kind, columns: Columns, size: int, terms: LawfulTerms) -> Timing:
    """Return class and end of publicity of rows of a kind: the source's day, but no later than the law allows."""
    names = tuple(terms.classes)
    source = days(columns, kind.publicity_until_on, size)
    clock = kind.publicity
    if clock is None:
        return Timing(names, np.full(size, _NONE, np.int8), source, np.ones(size, bool))
    classes = _classes(kind, clock, columns, size, terms)
    start = np.full(size, "NaT", "M8[D]")
    for name in clock.start:
        start = np.where(np.isnat(start), days(columns, name, size), start)
    until, public = source, np.ones(size, bool)
    for n, name in enumerate(names):
        met = classes == n
        usual, longest = terms.spans(name, kind.id)
        if longest is not None and usual is not None and met.any():
            here = np.where(np.isnat(source), later(start, usual), np.fmin(source, later(start, longest)))
            until = np.where(met, here, until)
            public &= ~(met & np.isnat(until))
        if not terms.classes[name].is_open:
            public &= ~met
    if clock.conduct_ended_on:
        term = terms.terms["bad_information"]
        assert term.unit != "working_day"
        ended = later(days(columns, clock.conduct_ended_on, size), Span(value=term.value, unit=term.unit))
        until = np.where(among(columns, "subject_type", ["person"], size), np.fmin(until, ended), until)
    return Timing(names, classes, until, public)


def _classes(kind: Kind, clock: Publicity, columns: Columns, size: int, terms: LawfulTerms) -> Codes:
    order = list(terms.classes)
    if not clock.class_by:
        return np.full(size, order.index(terms.kinds[kind.id].code), np.int8)
    found = np.full(size, _NONE, np.int8)
    for name in clock.class_by:
        if name in columns:
            texts = coded(columns[name])
            known = [terms.class_of(text or "") for text in texts.dictionary.to_pylist()]
            places = np.array([_NONE if code == UNKNOWN else order.index(code) for code in known] + [_NONE], np.int8)
            found = np.maximum(found, places[np.asarray(texts.indices.fill_null(len(known)))])
    return np.where(found == _NONE, np.int8(order.index(UNKNOWN)), found)


def coded(column: pa.Array) -> pa.DictionaryArray:
    """Return a column as places in one dictionary."""
    column = pa.chunked_array(column.chunks, column.type) if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
        column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    return column


def days(columns: Columns, name: str | None, size: int) -> Days:
    """Return a column of days; NaT where it lacks or has no value."""
    column = columns.get(name) if name else None
    if column is None or not pa.types.is_date32(column.type):
        return np.full(size, "NaT", "M8[D]")
    return np.asarray(column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy())


def among(columns: Columns, name: str, values: list[str], size: int) -> Mask:
    """Tell which texts of a column are one of `values`; a missing one is not."""
    if name not in columns:
        return np.zeros(size, bool)
    texts = coded(columns[name])
    met = np.append(np.asarray(pc.is_in(texts.dictionary, value_set=pa.array(values, pa.string()))), False)
    return np.asarray(met[np.asarray(texts.indices.fill_null(len(met) - 1))], bool)


def later(start: Days, span: Span) -> Days:
    """Return the days a span after others; the last of the month where that has fewer days."""
    if span.unit == "day":
        return start + np.timedelta64(span.value, "D")
    months = start.astype("M8[M]")
    target = months + np.timedelta64(span.value * (12 if span.unit == "year" else 1), "M")
    last = np.asarray((target + np.timedelta64(1, "M")).astype("M8[D]") - np.timedelta64(1, "D"))
    return np.asarray(np.minimum(target.astype("M8[D]") + (start - months.astype("M8[D]")), last))
