"""Link one batch: give every passed row its subject and its record, or let it wait. Writes one links folder.

Files of a links folder (one a revision of the batch):
  linked.parquet       row_id, subject_id, related_subject_id, part, subject_type, rule, waiting, record_id, payload,
                       version_at, adm_order: one row for each row that was tried
  duplicates.parquet   row_id, adm_order: rows that say what is already held
  disputed.parquet     record_id: records of this batch with more than one version, here or held before
  withdrawn.parquet    record_id, subject_id, part, adm_order: records a full delivery no longer holds
  subjects/identifiers/names.parquet   what a registering kind adds to the registry (resolve.registry)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb

from chengxin.contracts.models import Contract
from chengxin.contracts.plan import plan_of
from chengxin.errors import InvariantBroken
from chengxin.handover import Batch
from chengxin.model.kinds import Kind
from chengxin.resolve import keys
from chengxin.resolve.founding import found
from chengxin.resolve.linker import RoleLink, link_role, prepare_lookup
from chengxin.resolve.registering import write_registry
from chengxin.resolve.registry import Registry
from chengxin.resolve.session import parquet, session
from chengxin.store.layout import Layout


@dataclass(frozen=True)
class Outcome:
    """How the rows that were tried ended: tried = accepted + duplicate + waiting."""

    tried: int
    accepted: int
    duplicate: int
    waiting: int
    withdrawn: int
    new_subjects: int


@dataclass(frozen=True)
class Linking:
    """Everything linking one batch needs. `order` is the place its admission will take in the journal.

    again: links folder of the revision before, whose waiting rows are tried; None = all passed rows.
    """

    contract: Contract
    batch: Batch
    layout: Layout
    registry: Registry
    order: int
    target: Path
    again: Path | None
    memory_limit_mib: int
    threads: int

    def run(self) -> Outcome:
        """Fill `target` and count. Equal inputs give equal rows."""
        with session(self.layout.work, memory_limit_mib=self.memory_limit_mib, threads=self.threads) as connection:
            self._open(connection)
            founded = self._link(connection)
            self._write_linked(connection)
            self._write_duplicates(connection)
            self._write_withdrawn(connection)
            if self.kind.registers != "none":
                write_registry(connection, self.kind, self.links["subject"], self.batch, self.target)
            return self._count(connection, founded)

    @cached_property
    def kind(self) -> Kind:
        """The record kind of the contract."""
        return plan_of(self.contract).kind

    @cached_property
    def links(self) -> dict[str, RoleLink]:
        """The roles to link, by name, with the columns that this contract fills."""
        filled = {c.element.id for c in plan_of(self.contract).columns}
        return {role: RoleLink.of(role, declared, filled) for role, declared in self.kind.roles.items()}

    def _open(self, connection: duckdb.DuckDBPyConnection) -> None:
        parts = sorted(self.layout.standard(self.batch.dataset, self.batch.batch_id).glob("standard-*.parquet"))
        only = ""
        if self.again:
            only = f"WHERE row_id IN (SELECT row_id FROM {parquet([self.again / 'linked.parquet'])} WHERE waiting)"
        connection.execute(f"CREATE TEMP VIEW rows AS SELECT * FROM {parquet(parts)} {only}")
        self.registry.attach(connection)
        prepare_lookup(connection)

    def _link(self, connection: duckdb.DuckDBPyConnection) -> int:
        founded = 0
        if self.kind.registers == "found":
            founded = found(connection, self.kind, self.links["subject"], self.registry.founded() + 1)
        else:
            link_role(connection, self.links["subject"], "rows", "linked_subject")
        if "related" in self.links:
            link_role(connection, self.links["related"], "rows", "linked_related")
        return founded

    def _write_linked(self, connection: duckdb.DuckDBPyConnection) -> None:
        subject, subject_join = _joined(self.links["subject"], "linked_subject", "u", "o")
        related, related_join = "CAST(NULL AS BIGINT)", ""
        if "related" in self.links:
            related, related_join = _joined(self.links["related"], "linked_related", "v", "p")
        missing = f"{subject} IS NULL"
        role = self.kind.roles.get("related")
        if role and role.required:
            missing = f"({missing} OR {related} IS NULL)"
        rule = (
            "CASE WHEN u.subject_id IS NOT NULL THEN 'uscc' ELSE o.rule END"
            if "uscc" in self.links["subject"].fields
            else "o.rule"
        )
        # The part and type come with the USCC lookup; only the few others need a second look.
        has_uscc = "uscc" in self.links["subject"].fields
        part = "coalesce(u.part, w.part)" if has_uscc else "w.part"
        kind_of_subject = "coalesce(u.subject_type, w.subject_type)" if has_uscc else "w.subject_type"
        connection.execute(f"""COPY (
            SELECT s.row_id, {subject} AS subject_id, {related} AS related_subject_id, {part} AS part,
                {kind_of_subject} AS subject_type, {rule} AS rule, {missing} AS waiting,
                CASE WHEN NOT {missing} THEN {keys.record_id(self.contract.id, self.kind, subject)} END AS record_id,
                {keys.payload(self.kind)} AS payload,
                {keys.version_at(self.batch.received_at.isoformat())} AS version_at, {self.order} AS adm_order
            FROM rows s {subject_join} {related_join} LEFT JOIN subject_now w ON w.subject_id = o.subject_id
        ) TO '{self.target / "linked.parquet"}' (FORMAT parquet, COMPRESSION lz4)""")
        connection.execute(f"CREATE TEMP VIEW linked AS SELECT * FROM {parquet([self.target / 'linked.parquet'])}")

    def _held_files(self, name: str) -> list[Path]:
        found_files = (
            self.layout.links(a.dataset, a.batch_id, a.revision) / name
            for a in self.registry.admissions
            if a.dataset == self.contract.id
        )
        return [f for f in found_files if f.exists()]

    def _write_duplicates(self, connection: duckdb.DuckDBPyConnection) -> None:
        create_held(connection, *(self._held_files(f"{n}.parquet") for n in ("linked", "duplicates", "withdrawn")))
        order = version_order(self.contract)
        # Narrow first: only records that occur twice here, or that are already held, can be duplicates.
        connection.execute("""CREATE TEMP TABLE repeated AS
            SELECT hash(record_id) AS h FROM linked WHERE NOT waiting GROUP BY h HAVING count(*) > 1""")
        connection.execute("""CREATE TEMP TABLE mine AS
            SELECT record_id, payload, version_at, adm_order, row_id, true AS here FROM linked
            WHERE NOT waiting AND hash(record_id) IN (FROM repeated)""")
        if self._held_files("linked.parquet"):
            connection.execute("""CREATE TEMP TABLE known AS
                SELECT record_id, payload, version_at, adm_order, row_id, false AS here FROM held
                WHERE record_id IN (SELECT record_id FROM linked WHERE NOT waiting)""")
            connection.execute("""INSERT INTO mine
                SELECT record_id, payload, version_at, adm_order, row_id, true FROM linked
                WHERE NOT waiting AND record_id IN (SELECT record_id FROM known)
                AND row_id NOT IN (SELECT row_id FROM mine)""")
            connection.execute("INSERT INTO mine SELECT * FROM known")
        connection.execute(f"""COPY (
            SELECT row_id, adm_order FROM (
                SELECT *, lag(payload) OVER w AS before, lead(payload) OVER w AS after, lead(here) OVER w AS after_here
                FROM mine WINDOW w AS (PARTITION BY record_id ORDER BY {order}))
            WHERE here AND (payload = before OR (payload = after AND NOT after_here)) ORDER BY row_id
        ) TO '{self.target / "duplicates.parquet"}' (FORMAT parquet)""")
        connection.execute(f"""COPY (SELECT DISTINCT record_id FROM mine ORDER BY record_id)
            TO '{self.target / "disputed.parquet"}' (FORMAT parquet)""")

    def _write_withdrawn(self, connection: duckdb.DuckDBPyConnection) -> None:
        if self.again or self.contract.delivery.mode != "full" or not self._held_files("linked.parquet"):
            return
        connection.execute(f"""COPY (
            SELECT record_id, subject_id, part, {self.order} AS adm_order FROM (
                SELECT record_id, arg_max(subject_id, adm_order) AS subject_id, arg_max(part, adm_order) AS part,
                       arg_max(payload IS NULL, adm_order) AS gone
                FROM held GROUP BY record_id)
            WHERE NOT gone AND record_id NOT IN (SELECT record_id FROM linked WHERE NOT waiting) ORDER BY record_id
        ) TO '{self.target / "withdrawn.parquet"}' (FORMAT parquet)""")

    def _count(self, connection: duckdb.DuckDBPyConnection, founded: int) -> Outcome:
        tried, waiting = connection.execute("SELECT count(*), count(*) FILTER (waiting) FROM linked").fetchall()[0]
        duplicate = _rows(connection, self.target / "duplicates.parquet")
        outcome = Outcome(
            tried,
            tried - waiting - duplicate,
            duplicate,
            waiting,
            _rows(connection, self.target / "withdrawn.parquet"),
            founded,
        )
        if tried != connection.execute("SELECT count(*) FROM rows").fetchall()[0][0]:
            raise InvariantBroken(f"{self.batch.batch_id}：关联后行数 {tried} 与标准化行数不符，停止处理")
        return outcome


def create_held(
    connection: duckdb.DuckDBPyConnection, linked: Sequence[Path], duplicates: Sequence[Path], withdrawn: Sequence[Path]
) -> None:
    """Create the view `held`: every version and withdrawal (payload NULL) of a data set's records ever admitted."""
    columns = "record_id, payload, version_at, adm_order, row_id, subject_id, part"
    selects = []
    if linked:
        versions = f"SELECT {columns} FROM {parquet(linked)} l WHERE NOT waiting"
        if duplicates:
            versions += f""" AND NOT EXISTS (SELECT 1 FROM {parquet(duplicates)} d
                WHERE d.row_id = l.row_id AND d.adm_order = l.adm_order)"""
        selects.append(versions)
    if withdrawn:
        selects.append(f"""SELECT record_id, CAST(NULL AS UBIGINT), TIMESTAMPTZ 'infinity', adm_order, -1, subject_id,
            part FROM {parquet(withdrawn)}""")
    empty = """SELECT '' AS record_id, CAST(0 AS UBIGINT) AS payload, TIMESTAMPTZ 'epoch' AS version_at, 0 AS adm_order,
        CAST(0 AS BIGINT) AS row_id, CAST(0 AS BIGINT) AS subject_id, '' AS part WHERE false"""
    connection.execute(f"CREATE OR REPLACE TEMP VIEW held AS {' UNION ALL '.join(selects) or empty}")


def version_order(contract: Contract) -> str:
    """Return by what versions of one record are ordered: a full delivery is the truth of its day; else time decides."""
    return "adm_order, row_id" if contract.delivery.mode == "full" else "version_at, adm_order, row_id"


def _joined(link: RoleLink, others: str, by_uscc: str, by_other: str) -> tuple[str, str]:
    """Return (subject_id expression, joins) of a role over the row `s`."""
    join = f"LEFT JOIN {others} {by_other} ON {by_other}.row_id = s.row_id"
    if "uscc" not in link.fields:
        return f"{by_other}.subject_id", join
    join = f"LEFT JOIN lookup_uscc {by_uscc} ON {by_uscc}.uscc = s.{link.fields['uscc']} {join}"
    return f"coalesce({by_uscc}.subject_id, {by_other}.subject_id)", join


def _rows(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {parquet([path])}").fetchall()[0][0]) if path.exists() else 0
