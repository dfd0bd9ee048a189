"""The rule name_like: rows that no code, judgement or equal name links, by names that are written otherwise.

Asked are names of rows without any code that cannot be a person's; found are enterprises and other organisations. A
name that somebody bears as it stands is not linked: the rule of equal names knew him and refused.

Files of a links folder, only where names were asked:
  candidates.parquet  asked, name_key, region, legal_rep (ledger.digest), rows (how many ask), sent, is_linked,
                      is_in_review, rank, subject_id, name, log_odds, posterior, features: the first candidates of each
                      name asked, as it was `sent`; a row without subject where there is none
  identity.json       what the answers depend on beside the names: model, share of answers, cut, decoys, registry

What is asked in a later revision: names of rows that are reopened or were judged, and those waiting ones to which a
name is near (`blocking.near_keys`) that was registered since the revision before. The answers are a function of the
journal, the ledger and the program, however many threads, and however the index came about.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.engine.cascade import Cascade
from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step, literal, union
from chengxin.facts import Admission
from chengxin.identity.by_code import (
    Lookup,
    RoleLink,
    is_about,
    may_be_person,
    representative,
    stated,
    subjects_now,
    uncoded,
)
from chengxin.identity.by_name import blocking, model, registered_rows, registry_index
from chengxin.identity.by_name.hashes import Hashes, Ints
from chengxin.identity.by_name.index import Names, Pairs, rank
from chengxin.identity.by_name.linkage import REVIEW_FROM, Linkage, link
from chengxin.identity.by_name.parts import Parts, parse
from chengxin.identity.by_name.registered_rows import FOUND
from chengxin.identity.by_name.registry_index import RegistryIndex
from chengxin.identity.ledger import digest
from chengxin.identity.scope import NEAR
from chengxin.state import lookups
from chengxin.state.accounts import Accounts
from chengxin.store import atomic
from chengxin.store.layout import Layout

RULE = "name_like"
CANDIDATES, IDENTITY = "candidates.parquet", "identity.json"
_TOLD, _LEAST = 5, 0.01  # candidates of a name that are written, and from which posterior
_ASKED = Schema(
    {"row_id": "BIGINT", "name": "VARCHAR", "name_key": "VARCHAR", "region": "VARCHAR", "legal_rep": "VARCHAR"}
)
_UNIT = ("name_key", "region", "legal_rep")
_ABOUT = f"""(j.region IS NULL OR j.region = a.region)
    AND (j.legal_rep IS NULL OR j.legal_rep = {representative("a.legal_rep")})"""
Unit = tuple[str, str, str]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class NameLinks:
    """One batch. judged: name keys with a judgement. since: the admission of the revision before; None = the first one.

    state: where looking up subjects there costs less than reading all.
    """

    steps: Session
    layout: Layout
    accounts: Accounts
    dataset: str
    batch_id: str
    judged: frozenset[str]
    since: int | None
    target: Path
    state: Connection | None
    _tables: list[str] = field(default_factory=list)

    def link(self, links: Mapping[str, RoleLink], found: Mapping[str, Cascade], lookup: Lookup) -> None:
        """Add the rule to the cascades of the roles; leave `like_subject` (as Lookup.subjects) and `like_waiting`.

        Needs waiting_<role>; `undone` in a later revision.
        """
        units = self._units(links)
        if not len(units):
            self._leave_nothing()
            return
        index = registry_index.opened(self.layout, self.accounts)
        names = Names.of(units["name"].to_pylist(), _prefectures(units["region"]), units["legal_rep"].to_pylist())
        asked = self._to_ask(units, names, index)
        answers = _Answers.of(
            units.take(pa.array(asked)),
            names.take(asked),
            index,
            seed=self.batch_id,
            sure=self._sure(links, found),
            against=self._against(),
            borne=self._borne(lookup),
        )
        linked = self._add(answers, links, found)
        answers.write(self.target, linked)
        waiting = np.ones(len(units), np.bool_)
        waiting[asked[linked]] = False
        self.steps.rows("like_waiting", pa.table({"value": near_values(names.parts.take(np.flatnonzero(waiting)))}))

    def _leave_nothing(self) -> None:
        self.steps.view(Step("like_subject", (), Lookup.SUBJECTS.empty))
        self.steps.view(Step("like_waiting", (), Schema({"value": "VARCHAR"}).empty))

    def _units(self, links: Mapping[str, RoleLink]) -> pa.Table:
        """Leave asked_<role> and return the different names with what their rows state, in order."""
        for role, link_ in links.items():
            if "name" not in link_.fields or not self.steps.count(link_.waiting):
                continue
            name, key = link_.column("name"), link_.column("name_key")
            region, legal_rep = stated(link_)
            sql = f"""SELECT s.row_id, {name} AS name, {key} AS name_key, coalesce({region}, '') AS region,
                    coalesce({legal_rep}, '') AS legal_rep
                FROM {link_.waiting} s WHERE {uncoded(link_)} AND {name} IS NOT NULL AND {key} IS NOT NULL
                    AND NOT ({may_be_person(name)})
                    AND NOT EXISTS (SELECT 1 FROM judged_for j WHERE j.part = 'name_key' AND j.value = {key}
                        AND {is_about(link_)})"""
            if self.steps.leave(Step(f"asked_{role}", (link_.waiting, "judged_for"), sql), _ASKED):
                self._tables.append(f"asked_{role}")
        self.steps.view(Step("asked", tuple(self._tables), union((f"FROM {t}" for t in self._tables), _ASKED)))
        again = "row_id IN (SELECT row_id FROM undone)" if self.since is not None else "true"
        sql = f"""SELECT {", ".join(_UNIT)}, min(name) AS name, count(*) AS rows,
                bool_or({again}) AS again
            FROM asked GROUP BY ALL ORDER BY {", ".join(_UNIT)}"""
        reads = ("asked", "undone") if self.since is not None else ("asked",)
        return self.steps.table(Step("like_units", reads, sql))

    def _to_ask(self, units: pa.Table, names: Names, index: RegistryIndex) -> Ints:
        """Return which names are asked now."""
        if self.since is None:
            return np.arange(len(units))
        whole = pc.or_(
            units["again"], pc.is_in(units["name_key"], value_set=pa.array(sorted(self.judged), pa.string()))
        )
        asked = whole.to_numpy().astype(np.bool_)
        fresh = np.unique(blocking.near_keys(index.since(self.since))[1])
        row, key = blocking.near_keys(names.parts)
        asked[row[np.isin(key, fresh)]] = True
        return np.flatnonzero(asked)

    def _sure(self, links: Mapping[str, RoleLink], found: Mapping[str, Cascade]) -> int:
        """Return how many names are linked as they stand."""
        tables = [(f"{c.name}_name", links[role]) for role, c in found.items() if f"{c.name}_name" in c.tables]
        keys = [f"SELECT {k.column('name_key')} AS k FROM {t} JOIN {k.unfound} s USING (row_id)" for t, k in tables]
        if not keys:
            return 0
        reads = tuple(name for t, k in tables for name in (t, k.unfound))
        sql = f"SELECT count(DISTINCT k) FROM ({' UNION ALL '.join(keys)})"
        return int(self.steps.fetch(Step("like_sure", reads, sql))[0][0])

    def _against(self) -> Mapping[Unit, Sequence[int]]:
        """Return by name asked the subjects that it is judged not to be."""
        sql = f"""SELECT {", ".join(f"a.{n}" for n in _UNIT)}, list(DISTINCT j.subject_id) FROM asked a
            JOIN judged_against j ON j.value = a.name_key AND {_ABOUT} GROUP BY ALL"""
        return {(k, r, p): s for k, r, p, s in self.steps.fetch(Step("like_against", ("asked", "judged_against"), sql))}

    def _borne(self, lookup: Lookup) -> frozenset[Unit]:
        """Return the names asked that somebody bears as they stand."""
        sql = f"""SELECT DISTINCT {", ".join(f"a.{n}" for n in _UNIT)} FROM asked a
            JOIN registry_names n USING (name_key) JOIN {lookup.subjects} w USING (subject_id)
            WHERE w.subject_type <> 'person' AND NOT EXISTS (SELECT 1 FROM judged_against j
                WHERE j.value = n.name_key AND j.subject_id = n.subject_id AND {_ABOUT})"""
        reads = ("registry_names", lookup.subjects, "asked", "judged_against")
        return frozenset((k, r, p) for k, r, p in self.steps.fetch(Step("like_borne", reads, sql)))

    def _add(self, answers: "_Answers", links: Mapping[str, RoleLink], found: Mapping[str, Cascade]) -> Mask:
        """Add the rule to the cascades; return which of the names asked are linked: whose subject is FOUND today."""
        rows = np.flatnonzero(answers.sure)
        subjects = answers.linkage.subject[rows]
        self._leave_subjects(subjects)
        units = answers.units.select(_UNIT).take(pa.array(rows))
        place = {"subject_id": pa.array(subjects), "place": pa.array(rows)}
        self.steps.rows("like_answer", pa.table({**{n: units[n] for n in _UNIT}, **place}))
        kinds = ", ".join(map(literal, FOUND))
        sql = f"SELECT a.* FROM like_answer a JOIN like_subject w USING (subject_id) WHERE w.subject_type IN ({kinds})"
        self.steps.leave(Step("like_found", ("like_answer", "like_subject"), sql))
        linked = np.zeros(len(answers.units), np.bool_)
        places = self.steps.fetch(Step("like_places", ("like_found",), "SELECT place FROM like_found"))
        linked[[place for (place,) in places]] = True
        for role in links:
            if f"asked_{role}" in self._tables:
                sql = f"""SELECT row_id, f.subject_id, '{RULE}' AS rule
                    FROM asked_{role} JOIN like_found f USING ({", ".join(_UNIT)})"""
                found[role].add(RULE, (f"asked_{role}", "like_found"), sql)
        return linked

    def _leave_subjects(self, subjects: Ints) -> None:
        if self.state:
            touched = lookups.touched(self.state, self.dataset, values=(), names=(), also=subjects.tolist())
            self.steps.rows("like_versions", touched["subjects"])
        else:
            self.steps.rows("like_wanted", pa.table({"subject_id": pa.array(subjects)}))
            sql = "SELECT * FROM registry_subjects WHERE subject_id IN (SELECT subject_id FROM like_wanted)"
            self.steps.view(Step("like_versions", ("registry_subjects", "like_wanted"), sql))
        self.steps.leave(Step("like_subject", ("like_versions",), subjects_now("like_versions")))


@dataclass(frozen=True)
class _Answers:
    """sure: which names may be linked without a person."""

    units: pa.Table
    index: RegistryIndex
    linkage: Linkage
    sure: Mask

    @classmethod
    def of(
        cls,
        units: pa.Table,
        asked: Names,
        index: RegistryIndex,
        *,
        seed: str,
        sure: int,
        against: Mapping[Unit, Sequence[int]],
        borne: frozenset[Unit],
    ) -> "_Answers":
        keys = list(zip(*(units[name].to_pylist() for name in _UNIT), strict=True))
        judged = [(row, subject) for row, key in enumerate(keys) for subject in against.get(key, ())]
        pairs = Pairs(*(np.array(side, np.int64) for side in zip(*judged, strict=True))) if judged else None
        names = units["name"].to_pylist()
        found = link(names, asked, index.index, model=model.shipped(), seed=seed, sure=sure, against=pairs)
        refused = np.array([key in borne for key in keys], np.bool_)
        return cls(units, index, found, found.linked & ~refused)

    def write(self, target: Path, linked: Mask) -> None:
        """Write the evidence. linked: the names that were linked."""
        found, scored = self.linkage.scored.candidates, self.linkage.scored
        posterior = found.posteriors(self.linkage.share, model.shipped().prior)
        rows = np.flatnonzero((rank(found.asked) < _TOLD) & (posterior >= _LEAST))
        review = (self.linkage.posterior >= REVIEW_FROM) & ~linked
        pair, features = found.pair[rows], scored.features[found.pair[rows]]
        texts = [self.index.text(number) for number in scored.pairs.registered[pair].tolist()]
        candidates = {
            "asked": pa.array(found.asked[rows], pa.int64()),
            "rank": pa.array(rank(found.asked)[rows], pa.int64()),
            "subject_id": pa.array(found.subject[rows]),
            "name": pa.array(texts, pa.string()),
            "log_odds": pa.array(scored.log_odds[pair]),
            "posterior": pa.array(posterior[rows]),
            "features": pa.FixedSizeListArray.from_arrays(pa.array(features.ravel(), pa.int16()), features.shape[1]),
        }
        nobody = np.setdiff1d(np.arange(len(self.units)), found.asked[rows])
        none = {"asked": pa.array(nobody), "rank": pa.array(np.zeros(len(nobody), np.int64))}
        every = pa.concat_tables([pa.table(candidates), pa.table(none)], promote_options="default")
        every = every.sort_by([("asked", "ascending"), ("rank", "ascending")])
        asked = every["asked"].to_numpy()
        units = self.units.take(every["asked"])
        columns = {
            "asked": every["asked"],
            "name_key": units["name_key"],
            "region": units["region"],
            "legal_rep": pa.array([digest(name) for name in units["legal_rep"].to_pylist()], pa.string()),
            "rows": units["rows"],
            "sent": units["name"],
            "is_linked": pa.array(linked[asked]),
            "is_in_review": pa.array(review[asked]),
            **{name: every[name] for name in every.column_names[1:]},
        }
        pq.write_table(pa.table(columns), target / CANDIDATES, compression="zstd")
        atomic.write_json(target / IDENTITY, self._evidence_head(linked, review))

    def _evidence_head(self, linked: Mask, review: Mask) -> dict[str, Any]:
        cut = self.linkage.cut
        return {
            "model": model.shipped().id,
            "registered_names": len(self.index),
            "frequencies_of": self.index.base,
            "asked": len(self.units),
            "linked": int(linked.sum()),
            "in_review": int(review.sum()),
            "share": self.linkage.share,
            "cut": cut.posterior,
            "decoys": cut.drawn,
            "decoys_linked": cut.linked,
            "wrong_links_estimated": cut.wrong,
        }


def near_values(parts: Parts) -> pa.Array:
    """Return the different values by which names wait for near ones."""
    keys: Hashes = np.unique(blocking.near_keys(parts)[1] >> np.uint64(16))
    return pa.array([f"{NEAR}{key:012x}" for key in keys.tolist()], pa.string())


def awaited(layout: Layout, admissions: Sequence[Admission], batch: int = 50_000) -> Iterator[str]:
    """Give the values by which names wait for those that these admissions registered."""
    for admission in admissions:
        names = registered_rows.read(layout, admission).names
        for first in range(0, len(names), batch):
            yield from near_values(parse(names[first : first + batch])).to_pylist()


def _prefectures(regions: pa.ChunkedArray) -> Ints:
    """Return prefectures; 0 where a row gives none, or a whole province."""
    codes = (int(code) if code.isdigit() else 0 for code in regions.to_pylist())
    return np.array([code if code % 100 else 0 for code in codes], np.int64)
