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
from chengxin.engine.session import Connection, literal, parquet
from chengxin.facts import Admission
from chengxin.identity.held_links import link_files
from chengxin.identity.record_keys import RECORD_ID
from chengxin.identity.reopened_links import void
from chengxin.records.match_keys import RowKeys
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
        """Tell whether rows of this data set can be known again at all."""
        return self._keys.has_record_id or (bool(self._telling) and self._keys.name in self._keys.parts)

    @property
    def timed(self) -> bool:
        """Tell whether a row may be older than one that came before it."""
        return self.contract.delivery.mode != "full" and any(
            c.element == "source_updated_at" for c in self.contract.columns
        )

    def found(self, connection: Connection, waiting: Sequence[Admission], since: int) -> dict[str, pa.Table]:
        """Return, by batch, row_id, subject_id, related_subject_id, by_batch, by_file and by_row of corrected rows.

        waiting: present accounts with rows that wait. since: batches without an admission after it are not looked at.
        """
        connection.execute(f"CREATE OR REPLACE TEMP TABLE wait AS {self._waiting(waiting)}")
        fresh = {a.batch_id for a in self.mine if a.order > since}
        come = self._come(fresh)
        if not come or not connection.execute("SELECT count(*) FROM wait").fetchall()[0][0]:
            return {}
        connection.execute(f"CREATE OR REPLACE TEMP TABLE come AS {come}")
        links = link_files(self.layout, self.mine, "linked")
        connection.execute(f"""CREATE OR REPLACE TEMP TABLE known AS
            SELECT record_id, min(batch_order) AS since FROM {parquet(links)}
            WHERE NOT waiting AND record_id IN (SELECT record_id FROM come) GROUP BY record_id""")
        batches = ", ".join(f"({n}, {literal(b)})" for b, n in self._first.items())
        rows = connection.sql(f"""SELECT v.name AS batch_id, p.* FROM (
                SELECT w.batch_order AS own, w.row_id, max_by(g.subject_id, {_of("g")}) AS subject_id,
                    max_by(g.related_subject_id, {_of("g")}) AS related_subject_id,
                    max_by(b.name, {_of("g")}) AS by_batch, max_by(g.source_file, {_of("g")}) AS by_file,
                    max_by(g.source_row, {_of("g")}) AS by_row
                FROM wait w JOIN come g ON {self._same()} AND {_of("g")} > {_of("w")}
                JOIN known k USING (record_id) JOIN (VALUES {batches}) b(n, name) ON b.n = g.batch_order
                WHERE {self._surely()} GROUP BY w.batch_order, w.row_id) p
            JOIN (VALUES {batches}) v(n, name) ON v.n = p.own ORDER BY ALL""").to_arrow_table()
        ids = pc.unique(rows["batch_id"]).to_pylist()
        columns = [n for n in rows.column_names if n not in {"batch_id", "own"}]
        return {b: rows.filter(pc.equal(rows["batch_id"], b)).select(columns) for b in ids}

    def _named(self) -> str:
        shown = dict.fromkeys([RECORD_ID, *map(self._keys.column, self._keys.parts)])
        return ", ".join(f"s.{c}" for c in shown)

    @cached_property
    def _first(self) -> dict[str, int]:
        """The place in the journal of each batch, by id."""
        return {a.batch_id: a.order for a in reversed(self.mine)}

    def _standard(self, batches: Iterable[str]) -> str | None:
        """Return SQL for the passed rows of these batches with their batch_order; None where there are none."""
        pairs = [
            (self._first[b], p)
            for b in batches
            for p in sorted(self.layout.standard(self.contract.id, b).glob("standard-*.parquet"))
        ]
        if not pairs:
            return None
        places = ", ".join(f"({n}, {literal(str(p))})" for n, p in pairs)
        return f"""(SELECT n.batch_order, f.* EXCLUDE (filename)
            FROM {parquet([p for _, p in pairs], filename=True)} f
            JOIN (VALUES {places}) AS n(batch_order, filename) USING (filename))"""

    def _waiting(self, accounts: Sequence[Admission]) -> str:
        """Return SQL for the rows that wait in these accounts."""
        links = link_files(self.layout, accounts, "linked")
        return f"""SELECT l.row_id, l.subject_id, l.version_at, l.batch_order, {self._named()}
            FROM {parquet(links)} l JOIN {self._standard(a.batch_id for a in accounts)} s
            USING (batch_order, row_id) WHERE l.waiting"""

    def _come(self, batches: set[str]) -> str | None:
        """Return SQL for the settled rows of these batches that may be one that waits."""
        revisions = [a for a in self.mine if a.batch_id in batches]
        links, standard = link_files(self.layout, revisions, "linked"), self._standard(sorted(batches))
        if not links or standard is None:
            return None
        reopened = [p.with_name("reopened.parquet") for p in link_files(self.layout, self.mine, "linked")]
        gone = void([p for p in reopened if p.exists()], "l")
        asked = [f"s.{RECORD_ID} IN (SELECT {RECORD_ID} FROM wait)"] if self._keys.has_record_id else []
        asked += [
            f"{self._keys.text(p, 's')} IN (SELECT {self._keys.text(p, 'wait')} FROM wait)" for p in self._telling
        ]
        return f"""SELECT l.row_id, l.subject_id, l.related_subject_id, l.record_id, l.version_at, l.batch_order,
                s.source_file, s.source_row, {self._named()}
            FROM (SELECT * FROM {parquet(links)} l WHERE NOT waiting AND NOT {gone}) l
            JOIN (SELECT * FROM {standard} s WHERE {" OR ".join(asked)}) s USING (batch_order, row_id)"""

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
        """Return SQL that tells whether `g` is what `w` should have been."""
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
