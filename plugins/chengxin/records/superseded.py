"""Waiting rows whose record came again, mended, and was taken: they are its older versions, and wait for nobody.

Which row is which is known as refused rows are (resubmissions.py), with more care, since what waits is usable: by the
source's own number where it names the record; else by that number and all key fields, under the same name or as a
record not known before; else, where a number of documents is a key field, by these and the name, as a record not known
before. A change of a name is known by its day, what it says and the name before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from chengxin.contracts.models import Contract
from chengxin.engine.session import Session
from chengxin.engine.step import Step, identifier
from chengxin.facts import Admission
from chengxin.identity.held_links import link_files
from chengxin.identity.record_keys import RECORD_ID
from chengxin.identity.reopened_links import REOPENED, void
from chengxin.records.match_keys import RowKeys, numbered_files
from chengxin.store.layout import Layout


@dataclass(frozen=True)
class Correcting:
    """The search in one data set. mine: all its admissions, in order."""

    contract: Contract
    layout: Layout
    mine: Sequence[Admission]

    @cached_property
    def _keys(self) -> RowKeys:
        return RowKeys(self.contract)

    @cached_property
    def _numbers(self) -> list[str]:
        return [p for p in self._keys.parts if p != self._keys.name and self._keys.is_number(p)]

    @cached_property
    def _telling(self) -> list[str]:
        """The parts that, with the name, name one record: numbers; of a change of names, all that it says."""
        history = self._keys.plan.kind.name_history
        if self._keys.plan.kind.registers != "names" or history is None or history.after not in self._keys.parts:
            return self._numbers
        return [p for p in self._keys.parts if p != self._keys.name]

    @property
    def possible(self) -> bool:
        """Return whether rows of this data set can be known again at all."""
        return self._keys.has_record_id or (bool(self._telling) and self._keys.name in self._keys.parts)

    @property
    def timed(self) -> bool:
        """Return whether a row may be older than one that came before it."""
        return self.contract.delivery.mode != "full" and any(
            c.element == "source_updated_at" for c in self.contract.columns
        )

    def found(self, session: Session, waiting: Sequence[Admission], since: int) -> dict[str, pa.Table]:
        """Return, by batch, row_id, subject_id, related_subject_id, by_batch, by_file and by_row of corrected rows.

        waiting: present accounts with rows that wait. since: batches without an admission after it are not looked at.
        """
        fresh = sorted({a.batch_id for a in self.mine if a.order > since})
        if not session.leave(self._waiting(session, waiting)) or not self._come(session, fresh):
            return {}
        session.files("mine_linked", link_files(self.layout, self.mine, "linked"))
        known = """SELECT record_id, min(batch_order) AS since FROM mine_linked
            WHERE NOT waiting AND record_id IN (SELECT record_id FROM come) GROUP BY record_id"""
        session.leave(Step("known", ("mine_linked", "come"), known))
        batches = {"n": [*self._first.values()], "name": [*self._first]}
        session.rows("batches", pa.table(batches))
        sql = f"""SELECT v.name AS batch_id, p.* FROM (
                SELECT w.batch_order AS own, w.row_id, max_by(g.subject_id, {_of("g")}) AS subject_id,
                    max_by(g.related_subject_id, {_of("g")}) AS related_subject_id,
                    max_by(b.name, {_of("g")}) AS by_batch, max_by(g.source_file, {_of("g")}) AS by_file,
                    max_by(g.source_row, {_of("g")}) AS by_row
                FROM wait w JOIN come g ON {self._same()} AND {_of("g")} > {_of("w")}
                JOIN known k USING (record_id) JOIN batches b ON b.n = g.batch_order
                WHERE {self._surely()} GROUP BY w.batch_order, w.row_id) p
            JOIN batches v ON v.n = p.own ORDER BY ALL"""
        rows = session.table(Step("corrected_rows", ("wait", "come", "known", "batches"), sql))
        ids = pc.unique(rows["batch_id"]).to_pylist()
        columns = [n for n in rows.column_names if n not in {"batch_id", "own"}]
        return {b: rows.filter(pc.equal(rows["batch_id"], b)).select(columns) for b in ids}

    def _named(self) -> str:
        shown = dict.fromkeys([RECORD_ID, *map(self._keys.column, self._keys.parts)])
        return ", ".join(identifier(c, "s") for c in shown)

    @cached_property
    def _first(self) -> dict[str, int]:
        """The place in the journal of each batch, by id."""
        return {a.batch_id: a.order for a in reversed(self.mine)}

    def _standard(self, session: Session, name: str, batches: Iterable[str]) -> bool:
        """Leave the view `name`: the passed rows of these batches with their batch_order. Tell whether it has files."""
        pairs = [
            (self._first[b], p)
            for b in batches
            for p in sorted(self.layout.standard(self.contract.id, b).glob("standard-*.parquet"))
        ]
        if pairs:
            numbered_files(session, name, pairs, "batch_order")
        return bool(pairs)

    def _waiting(self, session: Session, accounts: Sequence[Admission]) -> Step:
        """Return the step `wait` with the rows that wait in these accounts."""
        session.files("wait_linked", link_files(self.layout, accounts, "linked"))
        self._standard(session, "wait_standard", (a.batch_id for a in accounts))
        sql = f"""SELECT l.row_id, l.subject_id, l.version_at, l.batch_order, {self._named()}
            FROM wait_linked l JOIN wait_standard s USING (batch_order, row_id) WHERE l.waiting"""
        return Step("wait", ("wait_linked", "wait_standard"), sql)

    def _come(self, session: Session, batches: Sequence[str]) -> bool:
        """Leave `come`: settled rows of these batches that may be one that waits; tell whether there may be any."""
        links = link_files(self.layout, [a for a in self.mine if a.batch_id in batches], "linked")
        if not links or not self._standard(session, "come_standard", batches):
            return False
        session.files("come_linked", links)
        session.files("reopened", link_files(self.layout, self.mine, "reopened"), REOPENED)
        asked = [f"s.{RECORD_ID} IN (SELECT {RECORD_ID} FROM wait)"] if self._keys.has_record_id else []
        asked += [
            f"{self._keys.text(p, 's')} IN (SELECT {self._keys.text(p, 'wait')} FROM wait)" for p in self._telling
        ]
        sql = f"""SELECT l.row_id, l.subject_id, l.related_subject_id, l.record_id, l.version_at, l.batch_order,
                s.source_file, s.source_row, {self._named()}
            FROM (SELECT * FROM come_linked l WHERE NOT waiting AND NOT {void("l")}) l
            JOIN (SELECT * FROM come_standard s WHERE {" OR ".join(asked)}) s USING (batch_order, row_id)"""
        session.leave(Step("come", ("come_linked", "come_standard", "reopened", "wait"), sql))
        return True

    def _same(self) -> str:
        """Return SQL that joins a waiting row `w` with a settled row `g`, with an equality."""
        number = f"w.{RECORD_ID} = g.{RECORD_ID}"
        if self.contract.delivery.versions_by == RECORD_ID:
            return number
        fields = [p for p in self._keys.parts if p != self._keys.name]
        said = [f"{self._keys.text(p, 'w')} IS NOT DISTINCT FROM {self._keys.text(p, 'g')}" for p in fields]
        said.append("(w.subject_id IS NULL OR w.subject_id = g.subject_id)")
        return " AND ".join(said)

    def _surely(self) -> str:
        """Return the SQL condition that `g` is what `w` should have been."""
        number = f"coalesce(w.{RECORD_ID} = g.{RECORD_ID}, false)"
        if self.contract.delivery.versions_by == RECORD_ID:
            return number
        named = self._keys.name in self._keys.parts
        name = f"coalesce({self._text('w')} = {self._text('g')}, false)" if named else "false"
        new = "k.since > w.batch_order"
        ways = [f"{number} AND ({name} OR {new})"]
        if self._telling and named:
            given = " AND ".join(f"{self._keys.text(p, 'w')} IS NOT NULL" for p in self._telling)
            ways.append(f"(w.{RECORD_ID} IS NULL OR g.{RECORD_ID} IS NULL) AND {name} AND {given} AND {new}")
        return " OR ".join(f"({w})" for w in ways)

    def _text(self, alias: str) -> str:
        assert self._keys.name is not None
        return self._keys.text(self._keys.name, alias)


def _of(alias: str) -> str:
    return "(" + ", ".join(f"{alias}.{c}" for c in ("version_at", "batch_order", "row_id")) + ")"
