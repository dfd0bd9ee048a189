"""Link one batch: give every passed row its subject and its record, or let it wait. Writes one links folder.

Files of a links folder (one a revision of the batch):
  linked.parquet       row_id, subject_id, related_subject_id, part, subject_type, rule, waiting, record_id, payload,
                       version_at, batch_order, adm_order: one row for each row that was tried; batch_order is the
                       place of the batch in the journal, adm_order that of this revision; a row without payload
                       withdraws its record (deleted at source, settled); twin: see linked_rows
  waiting.parquet      value: the identifiers and name keys that the waiting rows are looked up by, where any waits
  duplicates.parquet, overtaken.parquet, disputed.parquet   see identity.duplicates
  withdrawn.parquet    see identity.withdrawals; corrected.parquet  see identity.corrections
  candidates.parquet, identity.json   see identity.name_links
  same_number.parquet, missed.parquet, alike.parquet, misnamed.parquet   see identity.conflicts: shared_numbers,
                       unmatched_deletions, near_duplicates, name_conflicts
  reopened.parquet     record_id, part, adm_order: records that judgements are about: earlier versions, in all batches
                       of the data set, no longer count (identity.reopened_links)
  subjects/identifiers/names.parquet   what a registering kind adds to the registry (identity.registry)
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from sqlite3 import Connection
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.contracts.models import Contract
from chengxin.engine.cascade import Cascade
from chengxin.engine.session import Session, session
from chengxin.engine.step import Step
from chengxin.errors import InvariantBroken
from chengxin.facts import Batch, Resources
from chengxin.identity import corrections as corrected
from chengxin.identity import duplicates, ledger, record_keys, registry
from chengxin.identity import withdrawals as withdrawn
from chengxin.identity.by_code import explain_waiting, leave_waiting, link_role, prepare_lookup
from chengxin.identity.conflicts import name_conflicts, near_duplicates, shared_numbers, unmatched_deletions
from chengxin.identity.digests import NEAR, TWIN
from chengxin.identity.founding import found
from chengxin.identity.held_links import HeldLinks
from chengxin.identity.ledger import Judgement
from chengxin.identity.linked_rows import LinkedRows
from chengxin.identity.precision import measured
from chengxin.identity.registrations import write_registry
from chengxin.identity.registry import Registry
from chengxin.identity.reopened_links import REOPENED, current, void
from chengxin.identity.scope import narrow, waiting_values
from chengxin.identity.versions import create_gone, held_by_files, held_by_state
from chengxin.model.schema import ColumnSpec, kind_columns
from chengxin.state import lookups
from chengxin.state.database import caught_up
from chengxin.store.layout import Layout
from chengxin.store.repeats import Digests, repeated

if TYPE_CHECKING:
    from chengxin.identity.name_links import NameLinks

_AT_ONCE = 122_880  # rows
_REOPENED_NOW = "SELECT record_id, part, CAST($order AS INTEGER) AS adm_order FROM reopen ORDER BY 1"
_REOPENED = "SELECT * FROM reopened_before UNION ALL SELECT * FROM reopened_now"
#: Given a batch id, leaves the table `spared` (record_id) of those in `missing` (record_id, held_in, row_id) that the
#: batch's refused rows name, and returns how many of them name nothing.
Spare = Callable[[Session, str], int]


@dataclass(frozen=True, kw_only=True)
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
    = all passed rows. since: its place in the journal, if names were asked then. reopen: (record_id, part) to reopen.
    corrected: waiting rows that came again (row_id, subject_id, related_subject_id, by_batch, by_file, by_row).
    """

    contract: Contract
    batch: Batch
    layout: Layout
    registry: Registry
    order: int
    identity: str
    target: Path
    again: Path | None
    since: int | None
    judgements: tuple[Judgement, ...]
    reopen: pa.Table | None
    corrected: pa.Table | None
    spare: Spare
    resources: Resources

    def run(self) -> Outcome:
        """Fill `target` and count. Equal inputs give equal rows."""
        with ExitStack() as stack:
            steps = stack.enter_context(session(self.layout.work, self.resources))
            state = stack.enter_context(caught_up(self.layout)) if self._by_state else None
            self._open(steps, state)
            self._attach(steps, state)
            founded = self._link(steps, state)
            self._write_linked(steps)
            self._write_duplicates(steps, state)
            create_gone(steps)
            self._write_conflicts(steps)
            kept = self._write_withdrawn(steps)
            if self._registers:
                write_registry(
                    steps,
                    self._rows.kind,
                    self._rows.links["subject"],
                    version_at=self._rows.version_at,
                    as_of=self._rows.as_of,
                    target=self.target,
                )
            return replace(self._count(steps, founded), **kept)

    @cached_property
    def _rows(self) -> LinkedRows:
        columns = tuple(pq.read_schema(self._standard[0]).names)
        return LinkedRows(contract=self.contract, batch=self.batch, identity=self.identity, columns=columns)

    @property
    def _registers(self) -> bool:
        return self._rows.kind.registers != "none"

    @property
    def _founds(self) -> bool:
        return self._rows.kind.registers == "found"

    @property
    def _full(self) -> bool:
        return self.contract.delivery.mode == "full"

    @cached_property
    def _standard(self) -> list[Path]:
        return sorted(self.layout.standard(self.batch.dataset, self.batch.batch_id).glob("standard-*.parquet"))

    @cached_property
    def _held(self) -> HeldLinks:
        group = self.identity if self.contract.delivery.route is not None else None
        return HeldLinks(self.layout, self.registry.accounts, self.batch, self.order, group)

    @cached_property
    def _passed(self) -> int:
        return sum(pq.read_metadata(part).num_rows for part in self._standard)

    @cached_property
    def _subjects_by_state(self) -> bool:
        """Whether the subjects that the rows can touch are few of all there are."""
        return self.registry.outnumbers(self._passed)

    @cached_property
    def _records_by_state(self) -> bool:
        """Whether the records of the rows are few of those that the data set holds. A full delivery is about all."""
        return not self._full and self._held.rows() > registry.WORTH * self._passed

    @property
    def _by_state(self) -> bool:
        return self._subjects_by_state or self._records_by_state

    def _open(self, steps: Session, state: Connection | None) -> None:
        """Leave `rows` and what was reopened."""
        reopened = Step("reopened_file", ("reopen",), _REOPENED_NOW, {"order": self.order})
        own = self.target / "reopened.parquet"
        if self.reopen is not None and self.reopen.num_rows:
            steps.rows("reopen", self.reopen)
            steps.write(reopened, own)
        mine = [own] if own.exists() else []
        if state and self._records_by_state:
            steps.rows("reopened_before", lookups.reopened(state, self.contract.id))
        else:
            steps.files("reopened_before", self._held.files("reopened"), REOPENED)
        steps.files("reopened_now", mine, REOPENED)
        steps.view(Step("reopened", ("reopened_before", "reopened_now"), _REOPENED))
        steps.files("standard", self._standard)
        if self.again:
            self._undo(steps, self.again)
        else:
            steps.view(Step("rows", ("standard",), "SELECT * FROM standard"))

    def _attach(self, steps: Session, state: Connection | None) -> None:
        """Leave registry_*, own_* and the judgements."""
        ledger.attach(steps, () if self._registers else self.judgements)
        if state and self._subjects_by_state:
            also = self._settled_subjects()
            narrow(steps, state, self._rows.links.values(), dataset=self.contract.id, also=also)
        else:
            self.registry.files().attach(steps)
            self.registry.files(self.contract.id).attach(steps, "own")

    def _settled_subjects(self) -> list[int]:
        """Return the subjects that `corrected` names."""
        if self.corrected is None:
            return []
        columns = (self.corrected[name].to_pylist() for name in ("subject_id", "related_subject_id"))
        return sorted({subject for column in columns for subject in column if subject is not None})

    def _undo(self, steps: Session, again: Path) -> None:
        """Leave `undone` (row_id, repeated), this batch's rows that are reopened; `rows` are these and waiting ones."""
        batch_id = self.batch.batch_id
        steps.files("linked_before", self._held.files("linked", batch_id))
        steps.files("repeated_before", self._held.files("duplicates", batch_id), duplicates.DUPLICATES)
        steps.files("tried_before", [again / "linked.parquet"])
        undone = f"""SELECT row_id, (row_id, adm_order) IN (SELECT (row_id, adm_order)
                FROM repeated_before) AS repeated
            FROM {current("linked_before")} c WHERE {void("c")}"""
        steps.leave(Step("undone", ("linked_before", "repeated_before", "reopened"), undone))
        rows = """SELECT * FROM standard WHERE row_id IN (SELECT row_id FROM tried_before WHERE waiting
            UNION ALL SELECT row_id FROM undone)"""
        steps.view(Step("rows", ("standard", "tried_before", "undone"), rows))

    def _link(self, steps: Session, state: Connection | None) -> int:
        """Leave linked_<role> and, as they are now, `lookup_uscc` and `subject_now`. Return how many were founded."""
        founded, lookup, cascades = 0, prepare_lookup(steps), dict[str, Cascade]()
        confirmed = self._registers or self.contract.linking.by_name == "confirmed"
        for role, link in self._rows.links.items():
            if role == "subject" and self._founds:
                gone = self._rows.withdrawal
                founding = f"row_id NOT IN (SELECT row_id FROM rows s WHERE {gone})" if gone else "true"
                next_id = self.registry.founded() + 1
                founded, lookup, cascades[role] = found(
                    steps, self._rows.kind, link, lookup, next_id=next_id, founding=founding
                )
            else:
                cascades[role] = link_role(steps, link, lookup, confirmed=confirmed)
        left = {role: leave_waiting(link, cascades[role]) for role, link in self._rows.links.items()}
        subjects = f"SELECT * FROM {lookup.subjects}"
        steps.view(Step("lookup_uscc", (lookup.uscc,), f"SELECT * FROM {lookup.uscc}"))
        if any(left.values()) and self._by_name:
            self._name_links(steps, state).link(self._rows.links, cascades, lookup)
            known = f"SELECT subject_id FROM {lookup.subjects}"
            also = f"UNION ALL SELECT * FROM like_subject WHERE subject_id NOT IN ({known})"
            steps.view(Step("subject_now", (lookup.subjects, "like_subject"), f"{subjects} {also}"))
        else:
            steps.view(Step("subject_now", (lookup.subjects,), subjects))
        for role, link in self._rows.links.items():
            if left[role]:
                explain_waiting(link, lookup, cascades[role])
        return founded

    @cached_property
    def _by_name(self) -> bool:
        off = self._registers or self.contract.linking.by_name != "alike"
        return not (off or measured(self.judgements).is_stopped)

    def _name_links(self, steps: Session, state: Connection | None) -> "NameLinks":
        from chengxin.identity.name_links import NameLinks  # where all rows have codes, nothing of it is loaded

        return NameLinks(
            steps=steps,
            layout=self.layout,
            accounts=self.registry.accounts,
            dataset=self.batch.dataset,
            batch_id=self.batch.batch_id,
            judged=frozenset(j.value for j in self.judgements if j.part == "name_key"),
            since=self.since,
            target=self.target,
            state=state if self._subjects_by_state else None,
        )

    def _write_linked(self, steps: Session) -> None:
        corrected.write(steps, self.corrected, self.target, self.order)
        step = self._rows.step(batch_order=self._held.batch_order, order=self.order)
        path = self.target / "linked.parquet"
        steps.write(step, path, "uncompressed")
        steps.files("linked", [path])
        if steps.count("linked", "waiting"):
            steps.write_any(
                waiting_values(self._rows.links.values(), near=self._by_name), self.target / "waiting.parquet"
            )

    def _write_duplicates(self, steps: Session, state: Connection | None) -> None:
        any_held, withdraws = self._hold(steps, state), self._rows.withdrawal is not None
        twice = self._repeated(steps, "hash(record_id)")
        duplicates.write(steps, twice, self.target, self.order, any_held=any_held, withdraws=withdraws)

    def _hold(self, steps: Session, state: Connection | None) -> bool:
        """Leave `held` and, for the digests of the rows, <digest>_before; return whether anything is held."""
        digests = [digest for digest in (TWIN, NEAR) if self._rows.has(digest)]
        if state and self._records_by_state:
            deletes = self._deleted_by is not None
            return held_by_state(steps, state, self.contract.id, digests, deletes=deletes)
        # What a full delivery names otherwise, it lacks under the old key; where the number is the key, it does not.
        compared = [d for d in digests if not self._full or (d == TWIN and self._rows.by_number)]
        return held_by_files(steps, self._held.files, digests, compared)

    def _repeated(self, steps: Session, digest: str) -> Digests:
        """Return the digests, by this SQL, that more than one settled row of this batch has."""

        def share(n: int, of: int) -> Iterator[Digests]:
            mine = f"AND {digest} % {of} = {n}" if of > 1 else ""
            sql = f"SELECT {digest} AS h FROM linked WHERE NOT waiting AND {digest} IS NOT NULL {mine}"
            read = steps.reader(Step("digests", ("linked",), sql), _AT_ONCE)
            yield from (batch.column(0).to_numpy() for batch in read)

        return repeated(share, pq.read_metadata(self.target / "linked.parquet").num_rows)

    def _write_conflicts(self, steps: Session) -> None:
        """Write what contradicts other records or subjects; leave `missed` and `misnamed`."""
        rows, batches, standard = self._rows, self._held.batches, self._held.standard
        unmatched_deletions.Missed(key=self._deleted_by, batches=batches, standard=standard).write(
            steps, self.target, self.order
        )
        if rows.has(TWIN):
            shared_numbers.SameNumber(
                replaces=rows.by_number,
                key=record_keys.record_id(rows.kind, "''") if rows.kind.key else None,
                identity=self.identity,
                batches=batches,
                standard=standard,
                repeated=partial(self._repeated, steps, TWIN),
            ).write(steps, self.target, self.order)
        if rows.has(NEAR):
            told = self.target / shared_numbers.NAME
            near_duplicates.Alike(
                kind=rows.kind,
                by_number=rows.by_number,
                routes=self._held.routes(),
                batches=batches,
                standard=standard,
                repeated=partial(self._repeated, steps, NEAR),
                told=[told] if told.exists() else [],
            ).write(steps, self.target, self.order)
        name_conflicts.write(
            steps, rows.links["subject"], self.target, self.order, registers=self._registers, founds=self._founds
        )

    @property
    def _deleted_by(self) -> list[ColumnSpec] | None:
        """The key columns by which a deletion means a record; None where no deletion misses its record.

        None does where the number names the record, or where what a full delivery lacks is withdrawn.
        """
        if self._rows.by_number or self._full or record_keys.STATUS not in self._rows.columns:
            return None
        mapped = {c.element for c in self.contract.columns} & {*self._rows.kind.key}
        return [c for c in kind_columns(self._rows.kind) if c.element and c.element.id in mapped]

    def _write_withdrawn(self, steps: Session) -> dict[str, int]:
        """Withdraw what a full delivery lacks; return what is kept for its refused rows."""
        if not self._full or not self._held.files("linked"):
            return {}
        newer = self._held.newer_full()
        if newer:
            missing = withdrawn.overtaken(newer)
        elif not self.again and self.batch.mode == "full":  # replayed rows are no whole list
            missing = withdrawn.lacking(self.batch, self.order)
        else:
            return {}
        spare = partial(self.spare, steps, newer.batch_id if newer else self.batch.batch_id)
        kept = withdrawn.write(steps, missing, spare, self.target, self.order)
        return {} if newer else kept

    def _count(self, steps: Session, founded: int) -> Outcome:
        tried, waiting = steps.count("linked"), steps.count("linked", "waiting")
        duplicate, gone = steps.count("duplicates"), self.target / "withdrawn.parquet"
        withdrawn_rows = pq.read_metadata(gone).num_rows if gone.exists() else 0
        if self._rows.withdrawal:  # rows that withdraw their record and are not mere repetitions
            deleted = """SELECT count(*) FROM linked WHERE NOT waiting AND payload IS NULL
                AND row_id NOT IN (SELECT row_id FROM duplicates)"""
            withdrawn_rows += int(steps.fetch(Step("deleted", ("linked", "duplicates"), deleted))[0][0])
        if tried != steps.count("rows"):
            raise InvariantBroken(f"{self.batch.batch_id}：关联后行数 {tried} 与标准化行数不符，停止处理")
        return Outcome(
            tried=tried,
            accepted=tried - waiting - duplicate,
            duplicate=duplicate,
            waiting=waiting,
            withdrawn=withdrawn_rows,
            new_subjects=founded,
            undone_accepted=steps.count("undone", "NOT repeated") if self.again else 0,
            undone_duplicate=steps.count("undone", "repeated") if self.again else 0,
        )
