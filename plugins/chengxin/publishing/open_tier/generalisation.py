"""Rows about persons and households whom no law orders to be named: k-anonymous, in a table of their own.

All columns of that table make a row's class; a class is of at least `least` subjects. Pure: equal rows, in whatever
order, give equal tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.errors import InvariantBroken
from chengxin.model.kinds import Kind
from chengxin.store.columns import Mask
from chengxin.store.manifest import ColumnEntry

SUFFIX = "_anonymous"
PART = "all"  # of the one file; a part would be the prefecture of a household
ORIGIN = ("department_code", "dataset")
_SUBJECT, _TYPE = "subject_id", "subject_type"
_LENGTHS = {"day": 10, "month": 7, "year": 4}  # of an ISO day
_DIVISIONS = {"county": (6, ""), "prefecture": (4, "00"), "province": (2, "0000")}
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Anonymised:
    """What may be published. rows: sorted. received = rows + left_out; reached: subjects of the smallest class."""

    rows: pa.Table
    generalised: int
    left_out: int
    reached: int | None


def table_of(kind_id: str) -> str:
    """Return the name of the table with a kind's anonymous rows."""
    return kind_id + SUFFIX


def columns(kind: Kind, described: Mapping[str, ColumnEntry]) -> list[ColumnEntry]:
    """Return the columns of the table: texts all. described: those of the kind's own table."""
    names = (_TYPE, *kind.quasi_identifiers, *ORIGIN)
    return [ColumnEntry(name, "string", described[name].title) for name in names]


def read_columns(kind: Kind) -> list[str]:
    """Return the columns of the kind's own table that are needed of a row."""
    return [_SUBJECT, _TYPE, *kind.quasi_identifiers, *ORIGIN]


def schema(kind: Kind) -> pa.Schema:
    """Return the columns of what `prepare` gives."""
    texts = [(name, pa.string()) for name in (_TYPE, *kind.quasi_identifiers, *ORIGIN)]
    return pa.schema([(_SUBJECT, pa.int64()), *texts])


def prepare(rows: pa.Table, kind: Kind) -> pa.Table:
    """Bring rows of the kind's own table to the first step of each column, with their subjects: these rows are secret.

    rows: `read_columns`; those without any value may lack.
    """
    made = {_SUBJECT: rows.column(_SUBJECT).combine_chunks()}
    for name in (_TYPE, *kind.quasi_identifiers, *ORIGIN):
        found = rows.column(name).combine_chunks() if name in rows.column_names else pa.nulls(rows.num_rows)
        plain = found.dictionary_decode() if pa.types.is_dictionary(found.type) else found
        steps = kind.quasi_identifiers.get(name)
        text = plain.cast(pa.string())
        made[name] = _generalise(text, steps[0]) if steps else text
    return pa.table(made, schema(kind))


def anonymise(rows: pa.Table, ladders: Mapping[str, Sequence[str]], least: int) -> Anonymised:
    """Generalise the rows of classes that are too small, step by step; leave out those that stay so.

    rows: as `prepare` gives them, of all files. ladders: column -> steps, in the order in which they are taken.
    """
    shown = {name: rows.column(name).combine_chunks() for name in rows.column_names if name != _SUBJECT}
    subjects = np.asarray(pc.fill_null(rows.column(_SUBJECT), -1), np.int64)
    waiting: Mask = _small(shown, subjects, least)
    changed: Mask = np.zeros(rows.num_rows, bool)
    for name, step in ((name, step) for name, steps in ladders.items() for step in steps[1:]):
        if not waiting.any():
            break
        coarser = _generalise(rows.column(name).combine_chunks(), step)
        shown[name] = pc.if_else(pa.array(waiting), coarser, shown[name])
        changed |= waiting
        waiting &= _small(shown, subjects, least)
    kept = pa.array(~waiting)
    published = pa.table(shown).filter(kept)
    reached = _reached({name: c.filter(kept) for name, c in shown.items()}, subjects[~waiting])
    if reached is not None and reached < least:
        raise InvariantBroken(f"匿名表中有一类只涉及 {reached} 个主体，不足 {least} 个")
    published = published.sort_by([(name, "ascending") for name in published.column_names])
    return Anonymised(published, int((changed & ~waiting).sum()), int(waiting.sum()), reached)


def _generalise(texts: pa.Array, step: str) -> pa.Array:
    """Return a step of texts that are at a finer one; nulls stay."""
    if step == "suppressed":
        return pa.nulls(len(texts), pa.string())
    if step in _LENGTHS:
        return pc.utf8_slice_codeunits(texts, 0, _LENGTHS[step])
    if step in _DIVISIONS:
        length, rest = _DIVISIONS[step]
        return pc.binary_join_element_wise(pc.utf8_slice_codeunits(texts, 0, length), rest, "")
    return texts


def _small(shown: Mapping[str, pa.Array], subjects: Codes, least: int) -> Mask:
    """Return which rows are in a class of fewer than `least` subjects."""
    classes = _classes(shown, len(subjects))
    small: Mask = (_subjects_of(classes, subjects) < least)[classes]
    return small


def _reached(shown: Mapping[str, pa.Array], subjects: Codes) -> int | None:
    counted = _subjects_of(_classes(shown, len(subjects)), subjects)
    return int(counted.min()) if len(counted) else None


def _classes(shown: Mapping[str, pa.Array], size: int) -> Codes:
    """Number the rows by their values, equal rows alike; null is a value."""
    found = np.zeros(size, np.int64)
    for column in shown.values():
        coded = column.dictionary_encode(null_encoding="encode")
        codes = found * len(coded.dictionary) + np.asarray(coded.indices, np.int64)
        found = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return found


def _subjects_of(classes: Codes, subjects: Codes) -> Codes:
    """Return how many subjects each class has."""
    ids, who = np.unique(subjects, return_inverse=True)
    pairs = np.unique(classes * len(ids) + who)
    counted: Codes = np.bincount(pairs // max(1, len(ids)))
    return counted
