"""Link one batch: give every passed row its subject and its record, or let it wait. Writes one links folder.

Files of a links folder (one a revision of the batch):
  linked.parquet       row_id, subject_id, related_subject_id, part, subject_type, rule, waiting, record_id, payload,
                       version_at, batch_order, adm_order: one row for each row that was tried; batch_order is the
                       place of the batch in the journal, adm_order that of this revision; a row without payload
                       withdraws its record (deleted at source, settled); twin: see `_twin`
  duplicates.parquet, overtaken.parquet, disputed.parquet   see identity.duplicates
  withdrawn.parquet    see identity.withdrawals; corrected.parquet  see identity.corrections
  same_number.parquet, missed.parquet, alike.parquet, misnamed.parquet   see identity.conflicts: shared_numbers,
                       unmatched_deletions, near_duplicates, name_conflicts
  reopened.parquet     record_id, part, adm_order: records that judgements are about: earlier versions, in all batches
                       of the data set, no longer count (identity.reopened_links)
  subjects/identifiers/names.parquet   what a registering kind adds to the registry (identity.registry)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.contracts.models import Contract
from chengxin.contracts.plan import plan_of
from chengxin.engine.session import Connection, parquet, session
from chengxin.errors import InvariantBroken
from chengxin.facts import Batch
from chengxin.identity import corrections as corrected
from chengxin.identity import digests, duplicates, ledger, record_keys
from chengxin.identity import withdrawals as withdrawn
from chengxin.identity.by_code import RoleLink, joined, link_role, prepare_lookup, roles_of, tell_why
from chengxin.identity.conflicts import name_conflicts, near_duplicates, shared_numbers, unmatched_deletions
from chengxin.identity.conflicts.shared_numbers import TWIN, SameNumber
from chengxin.identity.founding import found, type_by_uscc
from chengxin.identity.held_links import HeldLinks
from chengxin.identity.ledger import Judgement
from chengxin.identity.registrations import write_registry
from chengxin.identity.registry import Registry
from chengxin.identity.reopened_links import current, void
from chengxin.identity.scope import narrow
from chengxin.identity.versions import create_gone, create_held
from chengxin.model.kinds import Kind
from chengxin.model.schema import kind_columns
from chengxin.store.layout import Layout
from chengxin.store.repeats import Digests, repeated

_AT_ONCE = 122_880  # rows
#: Given a batch id, leaves the table `spared` (record_id) of those in `missing` (record_id, held_in, row_id) that the
#: batch's refused rows name, and returns how many of them name nothing.
Spare = Callable[[Connection, str], int]


@dataclass(frozen=True)
class Outcome:
    """How the rows that were tried ended: tried = accepted + duplicate + waiting.

    undone_accepted, undone_duplicate: rows among them that had been settled before. spared: records that a full
    delivery lacks and one of its refused rows names; withheld: that it lacks while `unnamed` refused rows name nothing.
    """

    tried: int
    accepted: int
    duplicate: int
    waiting: int
    withdrawn: int
    new_subjects: int
    undone_accepted: int = 0
    undone_duplicate: int = 0
    spared: int = 0
    withheld: int = 0
    unnamed: int = 0

    @property
    def undone(self) -> int:
        """How many rows had been settled before."""
        return self.undone_accepted + self.undone_duplicate


@dataclass(frozen=True, kw_only=True)
class Linking:
    """Everything linking one batch needs. `order` is the place its admission will take in the journal.

    identity: what record ids are made of besides subject and key: the data set, or its group of routes.
    again: links folder of the revision before, whose waiting rows are tried, and settled ones of reopened records; None
    = all passed rows. reopen: (record_id, part) of records to reopen in the whole data set. corrected: row_id,
    subject_id, related_subject_id, by_batch, by_file, by_row: waiting rows whose record came again, mended. spare: see
    Spare.
    """

    contract: Contract
    batch: Batch
    layout: Layout
    registry: Registry
    order: int
    identity: str
    target: Path
    again: Path | None
    judgements: tuple[Judgement, ...]
    reopen: pa.Table | None
    corrected: pa.Table | None
    spare: Spare
    memory_limit_mib: int
    threads: int

    def run(self) -> Outcome:
        """Fill `target` and count. Equal inputs give equal rows."""
        with session(self.layout.work, memory_limit_mib=self.memory_limit_mib, threads=self.threads) as connection:
            self._open(connection)
            founded = self._link(connection)
            self._write_linked(connection)
            self._write_duplicates(connection)
            create_gone(connection)
            self._write_missed(connection)
            self._write_same_number(connection)
            self._write_alike(connection)
            registers = self.kind.registers != "none"
            founds = self.kind.registers == "found"
            name_conflicts.write(
                connection, self.links["subject"], self.target, self.order, registers=registers, founds=founds
            )
            kept = self._write_withdrawn(connection)
            if registers:
                self.registry.of(self.contract.id).attach(connection, "own")
                version_at = record_keys.version_at(self.batch, self.contract.delivery.mode)
                mended = self.corrected is not None
                write_registry(connection, self.kind, self.links["subject"], version_at, self.target, corrected=mended)
            return replace(self._count(connection, founded), **kept)

    @cached_property
    def kind(self) -> Kind:
        """The record kind of the contract."""
        return plan_of(self.contract).kind

    @cached_property
    def withdrawal(self) -> str | None:
        """SQL that tells whether the row `s` withdraws its record; None where no row of this batch can."""
        return record_keys.withdrawal(self.kind, pq.read_schema(self._standard[0]).names)

    @cached_property
    def _standard(self) -> list[Path]:
        return sorted(self.layout.standard(self.batch.dataset, self.batch.batch_id).glob("standard-*.parquet"))

    @cached_property
    def _held(self) -> HeldLinks:
        return HeldLinks(self.layout, self.registry.admissions, self.batch, self.order, self._group)

    @property
    def _group(self) -> str | None:
        return self.identity if self.contract.delivery.route is not None else None

    @property
    def _reopened(self) -> list[Path]:
        own = self.target / "reopened.parquet"
        return [*self._held.files("reopened.parquet"), *([own] if own.exists() else [])]

    @cached_property
    def links(self) -> dict[str, RoleLink]:
        """The roles to link, by name, with the columns that this contract fills."""
        return roles_of(self.contract)

    def _open(self, connection: Connection) -> None:
        only = ""
        if self.again:
            self._undo(connection)
            only = f"""WHERE row_id IN (SELECT row_id FROM {parquet([self.again / "linked.parquet"])} WHERE waiting
                UNION ALL SELECT row_id FROM undone)"""
        connection.execute(f"CREATE TEMP VIEW rows AS SELECT * FROM {parquet(self._standard)} {only}")
        self.registry.attach(connection, "all")
        ledger.attach(connection, self.judgements if self.kind.registers == "none" else ())
        narrow(connection, self.links.values(), self._settled_subjects())
        prepare_lookup(connection)

    def _settled_subjects(self) -> list[int]:
        """Return the subjects that `corrected` names."""
        if self.corrected is None:
            return []
        columns = (self.corrected[name].to_pylist() for name in ("subject_id", "related_subject_id"))
        return sorted({subject for column in columns for subject in column if subject is not None})

    def _undo(self, connection: Connection) -> None:
        """Note what is reopened, and leave the table `undone` (row_id, repeated) of this batch's rows that are."""
        if self.reopen is not None and self.reopen.num_rows:
            connection.register("reopen", self.reopen)
            connection.execute(f"""COPY (SELECT record_id, part, {self.order} AS adm_order FROM reopen ORDER BY 1)
                TO '{self.target / "reopened.parquet"}' (FORMAT parquet)""")
            connection.unregister("reopen")
        batch_id = self.batch.batch_id
        linked = self._held.files("linked.parquet", batch_id)
        connection.execute(f"""CREATE TEMP TABLE undone AS
            SELECT row_id, (row_id, adm_order) IN (SELECT (row_id, adm_order)
                FROM {parquet(self._held.files("duplicates.parquet", batch_id))}) AS repeated
            FROM {current(linked)} c WHERE {void(self._reopened, "c")}""")

    def _link(self, connection: Connection) -> int:
        founded = 0
        if self.kind.registers == "found":
            founding = (
                f"row_id NOT IN (SELECT row_id FROM rows s WHERE {self.withdrawal})" if self.withdrawal else "true"
            )
            founded = found(connection, self.kind, self.links["subject"], self.registry.founded() + 1, founding)
        else:
            link_role(connection, self.links["subject"], "rows", "linked_subject")
        tell_why(connection, self.links["subject"], "linked_subject")
        if "related" in self.links:
            link_role(connection, self.links["related"], "rows", "linked_related")
            tell_why(connection, self.links["related"], "linked_related")
        return founded

    def _write_linked(self, connection: Connection) -> None:
        subject, subject_join = joined(self.links["subject"], "linked_subject", "u", "o")
        related, related_join = "CAST(NULL AS BIGINT)", ""
        if "related" in self.links:
            related, related_join = joined(self.links["related"], "linked_related", "v", "p")
        missing = f"{subject} IS NULL"
        role = self.kind.roles.get("related")
        if role and role.required:
            needed = f"AND NOT {self.withdrawal}" if self.withdrawal else ""
            missing = f"({missing} OR {related} IS NULL {needed})"
        rule = (
            "CASE WHEN u.subject_id IS NOT NULL THEN 'uscc' ELSE o.rule END"
            if "uscc" in self.links["subject"].fields
            else "o.rule"
        )
        if "related" in self.links:
            told = f"{subject} IS NOT NULL AND p.rule IS NOT NULL AND p.subject_id IS NULL"
            rule = f"CASE WHEN {told} THEN p.rule ELSE {rule} END"
        forced, renamed = "", name_conflicts.renamed(self.links["subject"], "u")
        if self.corrected is not None:
            corrected.write(connection, self.corrected, self.target, self.order)
            forced = corrected.JOIN
            subject, related = f"coalesce(k.subject_id, {subject})", f"coalesce(k.related_subject_id, {related})"
            missing = f"(k.row_id IS NULL AND {missing})"
            rule = f"CASE WHEN k.row_id IS NOT NULL THEN '{corrected.RULE}' ELSE {rule} END"
            renamed = f"(k.row_id IS NULL AND {renamed})"
        # The part and type come with the USCC lookup; only the few others need a second look.
        has_uscc = "uscc" in self.links["subject"].fields
        part = "coalesce(u.part, w.part)" if has_uscc else "w.part"
        kind_of_subject = "coalesce(u.subject_type, w.subject_type)" if has_uscc else "w.subject_type"
        if self.kind.founds == "organisation" and has_uscc:  # an old code's bearer is what its USCC says once it comes
            uscc = f"s.{self.links['subject'].fields['uscc']}"
            kind_of_subject = f"CASE WHEN {uscc} IS NOT NULL THEN {type_by_uscc(uscc)} ELSE {kind_of_subject} END"
        if self.corrected is not None:
            part, kind_of_subject = f"coalesce(n.part, {part})", f"coalesce(n.subject_type, {kind_of_subject})"
        connection.execute(f"""COPY (
            SELECT s.row_id, {subject} AS subject_id, {related} AS related_subject_id, {part} AS part,
                {kind_of_subject} AS subject_type, {rule} AS rule, {missing} AS waiting,
                CASE WHEN NOT {missing} THEN {self._record_id(subject)} END AS record_id,
                {self._payload()} AS payload, {self._twin(subject)} {self._near(subject, related)}
                {renamed} AS renamed,
                {record_keys.version_at(self.batch, self.contract.delivery.mode)} AS version_at,
                {self._held.batch_order} AS batch_order, {self.order} AS adm_order
            FROM rows s {subject_join} {related_join} {forced} LEFT JOIN subject_now w ON w.subject_id = o.subject_id
        ) TO '{self.target / "linked.parquet"}' (FORMAT parquet, COMPRESSION uncompressed)""")
        connection.execute(f"CREATE TEMP VIEW linked AS SELECT * FROM {parquet([self.target / 'linked.parquet'])}")

    def _record_id(self, subject: str) -> str:
        named = record_keys.numbered_id if self._by_number else record_keys.record_id
        return named(self.identity, self.kind, subject)

    def _twin(self, subject: str) -> str:
        """Return a column by which a number is known that names two records; none where that cannot be told, or be.

        It digests the number; where the number is the record, what the record would be without it.
        """
        if self._by_number:
            return f"{digests.number(record_keys.natural(self.identity, self.kind, subject))} AS {TWIN},"
        filled = {c.element for c in self.contract.columns}
        numbers = []
        if record_keys.RECORD_ID in filled:
            numbers.append(digests.number(f"s.{record_keys.RECORD_ID}"))
        if self.kind.one_number and filled.issuperset(self.kind.one_number):
            numbers.append(record_keys.one_number(self.kind, subject))
        return f"coalesce({', '.join(numbers)}) AS {TWIN}," if numbers else ""

    def _near(self, subject: str, related: str) -> str:
        near = near_duplicates.near(self.kind, {c.element for c in self.contract.columns}, subject, related)
        return f"{near} AS {near_duplicates.NEAR}," if near else ""

    @property
    def _by_number(self) -> bool:
        return self.contract.delivery.versions_by == record_keys.RECORD_ID

    def _write_missed(self, connection: Connection) -> None:
        unmatched_deletions.create(connection)
        # The number names the record, or what a full delivery lacks is withdrawn: then no deletion misses its record.
        no_key = self._by_number or self.contract.delivery.mode == "full"
        mapped = {c.element for c in self.contract.columns} & {*self.kind.key}
        if no_key or record_keys.STATUS not in pq.read_schema(self._standard[0]).names:
            return
        columns = [c for c in kind_columns(self.kind) if c.element and c.element.id in mapped]
        unmatched_deletions.Missed(columns, self._held.batches, self._held.standard).write(
            connection, self.target, self.order
        )

    def _write_same_number(self, connection: Connection) -> None:
        if not self._twin("0"):
            return
        linked = self._held.files("linked.parquet") if self._by_number or self.contract.delivery.mode != "full" else []
        key = record_keys.record_id(self.identity, self.kind, "''") if self.kind.key else None
        same = SameNumber(
            self._by_number,
            key,
            linked,
            void(self._reopened, "c"),
            self._held.batches,
            self._held.standard,
            lambda: self._repeated(connection, TWIN),
        )
        same.write(connection, self.target, self.order)

    def _write_alike(self, connection: Connection) -> None:
        if not self._near("0", "0"):
            return
        linked = self._held.files("linked.parquet") if self.contract.delivery.mode != "full" else []
        found = near_duplicates.Alike(
            self.kind,
            self._by_number,
            linked,
            void(self._reopened, "c"),
            self._held.routes(),
            self._held.batches,
            self._held.standard,
            lambda: self._repeated(connection, near_duplicates.NEAR),
        )
        told = self.target / shared_numbers.NAME
        found.write(connection, self.target, self.order, [told] if told.exists() else [])

    def _payload(self) -> str:
        says = record_keys.payload(self.kind)
        return f"CASE WHEN NOT {self.withdrawal} THEN {says} END" if self.withdrawal else says

    def _write_duplicates(self, connection: Connection) -> None:
        linked, said, gone = (self._held.files(f"{n}.parquet") for n in ("linked", "duplicates", "withdrawn"))
        create_held(connection, linked, said, gone, self._reopened)
        twice = self._repeated(connection, "hash(record_id)")
        any_held, withdraws = bool(linked), self.withdrawal is not None
        duplicates.write(connection, twice, self.target, self.order, any_held=any_held, withdraws=withdraws)

    def _repeated(self, connection: Connection, digest: str) -> Digests:
        """Return the digests, by this SQL, that more than one settled row of this batch has."""

        def share(n: int, of: int) -> Iterator[Digests]:
            mine = f"AND {digest} % {of} = {n}" if of > 1 else ""
            found_ids = connection.sql(
                f"SELECT {digest} AS h FROM linked WHERE NOT waiting AND {digest} IS NOT NULL {mine}"
            )
            yield from (batch.column(0).to_numpy() for batch in found_ids.to_arrow_reader(_AT_ONCE))

        return repeated(share, pq.read_metadata(self.target / "linked.parquet").num_rows)

    def _write_withdrawn(self, connection: Connection) -> dict[str, int]:
        """Withdraw what a full delivery lacks; return what is kept for its refused rows."""
        if self.contract.delivery.mode != "full" or not self._held.files("linked.parquet"):
            return {}
        newer = self._held.newer_full()
        if newer:
            missing = withdrawn.overtaken(newer)
        elif not self.again and self.batch.mode == "full":  # replayed rows are no whole list
            missing = withdrawn.lacking(self.batch, self.order)
        else:
            return {}
        spare = partial(self.spare, connection, newer.batch_id if newer else self.batch.batch_id)
        kept = withdrawn.write(connection, missing, spare, self.target, self.order)
        return {} if newer else kept

    def _deleted(self, connection: Connection) -> int:
        """Count the rows that withdraw their record and are not mere repetitions."""
        if not self.withdrawal:
            return 0
        repeated = parquet([self.target / "duplicates.parquet"])
        found_rows = connection.execute(f"""SELECT count(*) FROM linked WHERE NOT waiting AND payload IS NULL
            AND row_id NOT IN (SELECT row_id FROM {repeated})""").fetchall()
        return int(found_rows[0][0])

    def _count(self, connection: Connection, founded: int) -> Outcome:
        tried, waiting = connection.execute("SELECT count(*), count(*) FILTER (waiting) FROM linked").fetchall()[0]
        duplicate = _rows(connection, self.target / "duplicates.parquet")
        undone = (0, 0)
        if self.again:
            undone = connection.execute(
                "SELECT count(*) FILTER (NOT repeated), count(*) FILTER (repeated) FROM undone"
            ).fetchall()[0]
        outcome = Outcome(
            tried,
            tried - waiting - duplicate,
            duplicate,
            waiting,
            _rows(connection, self.target / "withdrawn.parquet") + self._deleted(connection),
            founded,
            *undone,
        )
        if tried != connection.execute("SELECT count(*) FROM rows").fetchall()[0][0]:
            raise InvariantBroken(f"{self.batch.batch_id}：关联后行数 {tried} 与标准化行数不符，停止处理")
        return outcome


def _rows(connection: Connection, path: Path) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {parquet([path])}").fetchall()[0][0]) if path.exists() else 0
