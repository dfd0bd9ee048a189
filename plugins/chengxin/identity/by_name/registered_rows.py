"""What admissions registered, as the index of names takes it: names, founded subjects, legal representatives."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.facts import Admission
from chengxin.identity.by_name.hashes import Hashes, Ints, text_hashes
from chengxin.identity.by_name.parts import normal_form
from chengxin.store.layout import Layout

#: Types of subjects whose names may be found by one written otherwise: never a person, never a household.
FOUND = ("enterprise", "organisation")
Stated = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Names, with subject, prefecture (0 unknown) and admission. new: subjects founded, and whether they are FOUND.

    stated: subject, version_at and hash of the legal representative of each version that has one, three rows.
    """

    names: list[str] = field(repr=False)
    subject: Ints
    prefecture: Ints
    order: Ints
    new: Ints
    new_found: npt.NDArray[np.bool_]
    stated: Stated

    def take(self, rows: Ints) -> "Rows":
        """Return some of the names."""
        names = [self.names[row] for row in rows.tolist()]
        columns = (self.subject[rows], self.prefecture[rows], self.order[rows])
        return Rows(names, *columns, self.new, self.new_found, self.stated)

    def founded(self, before: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return which subjects are FOUND, by number, with those of these rows. A subject stays what it was first."""
        size = max(len(before), int(self.new.max(initial=-1)) + 1)
        after = np.zeros(size, np.uint8)
        after[self.new[::-1]] = self.new_found[::-1]
        after[: len(before)] = before
        return after

    def reps(self, founded: npt.NDArray[np.uint8]) -> Stated:
        """Return the newest version of each subject that is FOUND."""
        return newest(self.stated[:, _known(self.stated[0], founded)])

    def asked_for(self, founded: npt.NDArray[np.uint8]) -> "Rows":
        """Return the names of subjects that are FOUND."""
        return self.take(np.flatnonzero(_known(self.subject, founded)))

    def normal_forms(self) -> Hashes:
        """Return the hashes of the names in normal form."""
        return text_hashes([normal_form(name) for name in self.names])


def _known(subject: Ints, founded: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    within = subject < len(founded)
    return within & (founded[np.where(within, subject, 0)] > 0 if len(founded) else False)


def read(layout: Layout, admission: Admission) -> Rows:
    """Read what one admission registered."""
    folder = layout.links(admission.dataset, admission.batch_id, admission.revision)
    names, subjects = folder / "names.parquet", folder / "subjects.parquet"
    named = _table(names.exists() and pq.read_table(names, columns=["subject_id", "part", "name"]), _NAMES)
    named = named.filter(pc.and_(pc.is_valid(named["name"]), pc.invert(pc.starts_with(named["part"], "p"))))
    columns = ["subject_id", "subject_type", "legal_rep", "version_at", "is_new"]
    versions = _table(subjects.exists() and pq.read_table(subjects, columns=columns), _SUBJECTS)
    founded = versions.filter(versions["is_new"])
    stated = versions.filter(pc.is_valid(versions["legal_rep"]))
    return Rows(
        named["name"].to_pylist(),
        _ints(named["subject_id"]),
        _ints(pc.cast(named["part"], pa.int64())),
        np.full(len(named), admission.order, np.int64),
        _ints(founded["subject_id"]),
        pc.is_in(founded["subject_type"], value_set=pa.array(FOUND)).to_numpy(zero_copy_only=False).astype(np.bool_),
        np.stack(
            [
                _ints(stated["subject_id"]),
                _ints(pc.cast(stated["version_at"], pa.int64())),
                text_hashes(stated["legal_rep"].to_pylist()).view(np.int64),
            ]
        ),
    )


_NAMES = pa.schema([("subject_id", pa.int64()), ("part", pa.string()), ("name", pa.string())])
_SUBJECTS = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("subject_type", pa.string()),
        ("legal_rep", pa.string()),
        ("version_at", pa.timestamp("us", "UTC")),
        ("is_new", pa.bool_()),
    ]
)


def _table(found: pa.Table | bool, schema: pa.Schema) -> pa.Table:
    return found.cast(schema) if isinstance(found, pa.Table) else schema.empty_table()


def _ints(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.to_numpy(), np.int64)


def joined(several: Sequence[Rows]) -> Rows:
    """Return the rows of several admissions, one behind the other."""
    return Rows(
        [name for rows in several for name in rows.names],
        np.concatenate([rows.subject for rows in several]),
        np.concatenate([rows.prefecture for rows in several]),
        np.concatenate([rows.order for rows in several]),
        np.concatenate([rows.new for rows in several]),
        np.concatenate([rows.new_found for rows in several]),
        np.concatenate([rows.stated for rows in several], axis=1),
    )


def newest(stated: Stated) -> Stated:
    """Return the newest version of each subject, ordered by subject; of two equally new ones the later row."""
    order = np.lexsort((np.arange(stated.shape[1]), stated[1], stated[0]))
    stated = stated[:, order]
    return stated[:, np.diff(stated[0], append=-1) != 0]


def of_subjects(stated: Sequence[Stated], subject: Ints) -> Hashes:
    """Return the hash of each subject's representative, 0 unknown. stated: of `newest`, later ones behind."""
    found, at = np.zeros(len(subject), np.int64), np.full(len(subject), np.iinfo(np.int64).min)
    for subjects, versions, reps in stated:
        place = np.minimum(np.searchsorted(subjects, subject), len(subjects) - 1)
        newer = (subjects[place] == subject) & (versions[place] >= at)
        found[newer], at[newer] = reps[place[newer]], versions[place[newer]]
    return found.view(np.uint64)
