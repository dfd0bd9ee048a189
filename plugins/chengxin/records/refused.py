"""What has become of refused rows (疑问数据): still open, corrected by a later batch, come again or overtaken.

Nothing is recorded: the account of a batch never changes, and which rows are open follows from the batches that are
there. A refused row is corrected when a later admitted batch holds a usable row with the same key, or by its replay.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.cleaning.quarantine import QUARANTINE
from chengxin.contracts.derivation import mode_for, replayed
from chengxin.contracts.headers import fold_header
from chengxin.contracts.models import Contract
from chengxin.engine.session import Session, session
from chengxin.engine.step import Step, identifier
from chengxin.facts import Admission, Batch
from chengxin.home import Home
from chengxin.identity.registry import Registry
from chengxin.records import closings, journal
from chengxin.records.closings import Closing
from chengxin.records.match_keys import RowKeys
from chengxin.records.quarantine import stored, text_under
from chengxin.records.reasons import BY_ROW, CLOSED, EVERYTHING, EXPLAINED, HEADERS, NO_ROW, TOLD
from chengxin.records.resubmissions import keys_of, work_out
from chengxin.records.suggestions import codes as codes_by_name
from chengxin.store.layout import Layout

_STREAM = 50_000  # rows
_NO_CODES = {"name", "legal_rep", "region"}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How many rows of a batch were refused, and what became of them.

    mended: by batch id. again: came once more and were refused again, so a later refusal stands for them; again_in: by
    its batch id. closed: how many of those that nothing else has settled a person did, by reason.
    """

    refused: int = 0
    mended: Mapping[str, int] = field(default_factory=dict)
    overtaken: int = 0
    again: int = 0
    closed: Mapping[str, int] = field(default_factory=dict)
    again_in: Mapping[str, int] = field(default_factory=dict)

    @property
    def open(self) -> int:
        """How many still wait to be corrected."""
        return self.refused - self.overtaken - self.again - sum(self.mended.values()) - sum(self.closed.values())


@dataclass(frozen=True)
class BatchParts:
    """Where a batch's issues, passed rows and links lie; links: one folder a revision, none while it is held."""

    issues: Sequence[Path]
    standard: Sequence[Path]
    links: Sequence[Path]


@dataclass(frozen=True)
class Refusals:
    """The refused rows of one data set. batches: all landed ones with an outcome, in order; admitted: by batch id."""

    home: Home
    contract: Contract
    batches: Sequence[Batch]
    admitted: Mapping[str, Admission]

    @cached_property
    def layout(self) -> Layout:
        """The folders of the home."""
        return self.home.layout

    @cached_property
    def keys(self) -> RowKeys:
        """By what rows are known again."""
        return RowKeys(self.contract)

    @cached_property
    def refused(self) -> dict[str, int]:
        """How many rows each batch refused; batches without any, and replays, are left out."""
        found: dict[str, int] = {}
        for batch in self.batches:
            if replayed(batch) is None:
                rows = sum(pq.read_metadata(p).num_rows for p in self.files(batch.batch_id, "quarantine"))
                found |= {batch.batch_id: rows} if rows else {}
        return found

    @cached_property
    def overtaken(self) -> frozenset[str]:
        """The batches that a newer full delivery has overtaken: what it does not hold needs no correction."""
        full = [
            n
            for n, b in enumerate(self.batches)
            if b.batch_id in self.admitted and mode_for(self.contract, b) == "full"
        ]
        last = max(full, default=0)
        return frozenset(b.batch_id for b in self.batches[:last] if replayed(b) is None)

    @cached_property
    def closed(self) -> dict[str, dict[int, Closing]]:
        """The rows that people have settled by hand, by batch."""
        return closings.in_force(closings.read(self.layout, self.contract.id))

    @cached_property
    def registry(self) -> Registry:
        """The subject registry."""
        return Registry(self.layout, journal.accounts(self.layout))

    def files(self, batch_id: str, name: str) -> list[Path]:
        """Return the Parquet parts `name` of a batch."""
        return sorted(self.layout.standard(self.contract.id, batch_id).glob(f"{name}-*.parquet"))

    def parts(self, batch_id: str) -> BatchParts:
        """Return where the parts of a batch lie."""
        account = self.admitted.get(batch_id)
        revisions = range(account.revision + 1) if account else ()
        links = [self.layout.links(self.contract.id, batch_id, r) for r in revisions]
        return BatchParts(self.files(batch_id, "issues"), self.files(batch_id, "standard"), links)

    @contextmanager
    def opened(self) -> Iterator["OpenRefusals"]:
        """Work out what became of the refused rows, and give what can be asked about them."""
        with session(self.layout.work, self.home.resources) as steps:
            yield OpenRefusals(self, steps)


class OpenRefusals:
    """The refused rows with their standing, in one session."""

    def __init__(self, refusals: Refusals, steps: Session) -> None:
        self._all, self._steps = refusals, steps
        self._number = {b.batch_id: n for n, b in enumerate(refusals.batches)}
        work_out(refusals, steps, self._number)
        self._by_hand()

    def _by_hand(self) -> None:
        """Leave the table `closed` (batch_no, row_id, reason, told): settled by a person and by nothing else."""
        rows = [
            (self._number[b], row, c.reason, c.told)
            for b, settled in self._all.closed.items()
            if b in self._number and b not in self._all.overtaken
            for row, c in settled.items()
        ]
        names = ("batch_no", "row_id", "reason", "told")
        types = (pa.int32(), pa.int64(), pa.string(), pa.string())
        said = {n: pa.array([r[i] for r in rows], t) for i, (n, t) in enumerate(zip(names, types, strict=True))}
        self._steps.rows("closed_by_hand", pa.table(said))
        self._steps.leave(CLOSED)

    def standing(self) -> dict[str, Standing]:
        """Return the standing of every batch that refused rows, by batch id."""
        ids = [b.batch_id for b in self._all.batches]

        def counts(table: str, column: str) -> dict[str, dict[Any, int]]:
            found: dict[str, dict[Any, int]] = {}
            query = f"SELECT batch_no, {column}, count(*) FROM {table} GROUP BY ALL ORDER BY ALL"
            for n, by, rows in self._steps.fetch(Step(f"{table}_by_batch", (table,), query)):
                found.setdefault(ids[n], {})[by if table == "closed" else ids[by]] = rows
            return found

        mended, again, closed = counts("mends", "mended_by"), counts("again", "again_in"), counts("closed", "reason")
        return {
            b: Standing(
                refused=n,
                mended=mended.get(b, {}),
                overtaken=n if b in self._all.overtaken else 0,
                again=sum(again.get(b, {}).values()),
                closed=closed.get(b, {}),
                again_in=again.get(b, {}),
            )
            for b, n in self._all.refused.items()
        }

    def _batch(self, batch_id: str) -> dict[str, int]:
        return {"batch": self._number[batch_id]}

    def by_hand(self, batch_id: str) -> dict[int, str]:
        """Return who settled which rows of a batch by hand, when and why, by row_id."""
        sql = "SELECT row_id, told FROM closed WHERE batch_no = $batch"
        return dict(self._steps.fetch(Step("closed_of_batch", ("closed",), sql, self._batch(batch_id))))

    def where(self, batch_id: str) -> pa.Table:
        """Return (row_id, mended_by) of a batch's corrected rows; mended_by is a batch id."""
        ids = pa.array([b.batch_id for b in self._all.batches], pa.string())
        sql = "SELECT row_id, mended_by FROM mends WHERE batch_no = $batch ORDER BY 1"
        found = self._steps.table(Step("mends_of_batch", ("mends",), sql, self._batch(batch_id)))
        return found.set_column(1, "mended_by", ids.take(found["mended_by"].combine_chunks().cast(pa.int32())))

    def rows(self, batch_id: str, limit: int | None) -> pa.Table:
        """Return the first refused rows of a batch, mended ones too: row_id, source_file, source_row, raw, reasons."""
        self._steps.files("quarantine", self._all.files(batch_id, "quarantine"), QUARANTINE)
        most = "" if limit is None else "LIMIT $limit"
        sql = f"""SELECT row_id, source_file, source_row, raw, reasons
            FROM ({stored("quarantine")}) ORDER BY row_id {most}"""
        return self._steps.table(Step("first_refused", ("quarantine",), sql, {"limit": limit}))

    def open_rows(self, batch_id: str) -> pa.RecordBatchReader:
        """Stream the open rows of a batch by row_id: row_id, source_file, source_row, damaged, label, raw, reasons."""
        self._take(batch_id)
        sql = "SELECT row_id, source_file, source_row, damaged, label, raw, reasons FROM taken ORDER BY row_id"
        return self._steps.reader(Step("open_rows", ("taken",), sql), _STREAM)

    def reasons(self, batch_id: str) -> list[tuple[str, str]]:
        """Return the different (rule, element) among the reasons of a batch's open rows."""
        self._take(batch_id)
        sql = "SELECT DISTINCT rule, element FROM told ORDER BY ALL"
        return [(rule, element) for rule, element in self._steps.fetch(Step("reasons_told", ("told",), sql))]

    def explained(self, batch_id: str, words: pa.Table) -> pa.RecordBatchReader:
        """Stream one line a reason: source_file, source_row, label, source_column, rule, problem, remedy; by row.

        words: rule, element, problem, remedy.
        """
        self._take(batch_id)
        self._steps.rows("words", words)
        return self._steps.reader(EXPLAINED, _STREAM)

    def sheet(self, batch_id: str, words: pa.Table, headers: Sequence[str]) -> pa.RecordBatchReader:
        """Stream one line a row: source_file, source_row, label, fields, problem, remedy, rules, line, bytes, c0 ...

        words: as of `explained`. line: the text of a row that could not be split, bytes: those that are no text;
        c0, c1 ...: what stood under `headers`.
        """
        self._take(batch_id)
        self._steps.rows("words", words)
        under = {f"h{n}": header for n, header in enumerate(headers)}
        cells = "".join(f", CASE WHEN NOT damaged THEN {text_under(f'$h{n}')} END AS c{n}" for n in range(len(headers)))
        sql = f"""{BY_ROW}
            SELECT source_file, source_row, label, fields, problem, remedy, rules,
                CASE WHEN damaged THEN raw END AS line, raw_bytes AS bytes{cells}
            FROM taken JOIN by_row USING (row_id) ORDER BY row_id"""
        return self._steps.reader(Step("sheet", ("taken", "told", "words"), sql, under), _STREAM)

    def suggested(self, batch_id: str) -> dict[tuple[str, int], str]:
        """Return place -> the registered USCC of the company that an open row names, where its code is unusable."""
        keys, identity = self._all.keys, self._all.keys.plan.kind.roles["subject"].identity
        if keys.name not in keys.parts or "uscc" not in identity:
            return {}
        self._take(batch_id)
        codes = [element for part, element in identity.items() if part not in _NO_CODES]
        person = identity.get("person_doc", "")
        documents = [h for h in self.headers(batch_id) if person and fold_header(h) in keys.folded_of(person)]
        under = {f"h{n}": header for n, header in enumerate(documents)}
        given = " OR ".join(f"trim(coalesce({text_under(f'${h}')}, '')) <> ''" for h in under) or "false"
        sql = f"""SELECT t.row_id, CASE WHEN NOT ({given}) THEN k.{identifier(keys.column(str(keys.name)))} END AS name
            FROM taken t JOIN taken_keys k USING (row_id) WHERE row_id IN (SELECT row_id FROM told
                WHERE list_contains($codes, element) OR rule LIKE 'subject.%')"""
        reads = ("taken", "taken_keys", "told")
        found = codes_by_name(self._steps, self._all.registry, Step("asked", reads, sql, {**under, "codes": codes}))
        places = Step("places", ("taken",), "SELECT row_id, source_file, source_row FROM taken")
        return {(file, row): found[n] for n, file, row in (self._steps.fetch(places) if found else ()) if n in found}

    def waiting_suggested(self, account: Admission) -> dict[int, str]:
        """Return row_id -> the registered USCC of the company that a waiting row names."""
        keys, identity = self._all.keys, self._all.keys.plan.kind.roles["subject"].identity
        if keys.name not in keys.parts or "uscc" not in identity:
            return {}
        self._read_waiting(account)
        filled = {c.element.id for c in keys.plan.columns}
        person = identity.get("person_doc")
        given = f"s.{identifier(person)} IS NOT NULL" if person in filled else "false"
        sql = f"""SELECT row_id, CASE WHEN NOT ({given}) THEN s.{identifier(keys.column(str(keys.name)))} END AS name
            FROM linked l JOIN standard s USING (row_id) WHERE l.waiting AND l.subject_id IS NULL"""
        return codes_by_name(self._steps, self._all.registry, Step("asked", ("linked", "standard"), sql))

    def _read_waiting(self, account: Admission) -> None:
        """Take as inputs `linked` and `standard` of a batch."""
        links = self._all.layout.links(account.dataset, account.batch_id, account.revision) / "linked.parquet"
        self._steps.files("linked", [links])
        self._steps.files("standard", self._all.files(account.batch_id, "standard"))

    def everything(self, batch_id: str, words: pa.Table) -> pa.RecordBatchReader:
        """Stream all refused rows of a batch, corrected ones too.

        Columns: source_file, source_row, label, fields, problem, remedy, rules, mended_by (a batch id), closed (who
        settled it by hand, when and why), raw.
        """
        self._take(batch_id, also_closed=True)
        self._steps.rows("words", words)
        names = [b.batch_id for b in self._all.batches]
        ids = {"n": pa.array(range(len(names)), pa.int32()), "name": pa.array(names, pa.string())}
        self._steps.rows("batch_names", pa.table(ids))
        reads = ("taken", "told", "words", "mends", "batch_names", "closed")
        return self._steps.reader(Step("everything", reads, EVERYTHING, self._batch(batch_id)), _STREAM)

    def damaged(self, batch_id: str) -> bool:
        """Return whether some open row of a batch could not be split into fields."""
        self._take(batch_id)
        return bool(self._steps.count("taken", "damaged"))

    def headers(self, batch_id: str) -> list[str]:
        """Return the headers that the readable open rows of a batch have, in the order in which they were sent."""
        self._take(batch_id)
        return [h for (h,) in self._steps.fetch(HEADERS)]

    def _take(self, batch_id: str, *, also_closed: bool = False) -> None:
        """Leave `taken`, a batch's open rows (closed ones too where asked), and `told`, their reasons."""
        self._steps.files("taken_quarantine", self._all.files(batch_id, "quarantine"), QUARANTINE)
        self._steps.files("taken_keys", [keys_of(self._all, self._steps, batch_id)])
        settled = [] if also_closed else ["mends", "again", "closed"]
        gone = " UNION ALL ".join(f"SELECT row_id FROM {table} WHERE batch_no = $batch" for table in settled)
        self._steps.leave(Step("taken_gone", tuple(settled), gone or NO_ROW.empty, self._batch(batch_id)))
        overtaken = batch_id in self._all.overtaken and not also_closed
        taken = f"""SELECT q.*, k.damaged, k.label FROM ({stored("taken_quarantine")}) q
            JOIN taken_keys k USING (row_id)
            WHERE NOT {str(overtaken).lower()} AND row_id NOT IN (SELECT row_id FROM taken_gone)"""
        self._steps.view(Step("taken", ("taken_quarantine", "taken_keys", "taken_gone"), taken))
        self._steps.view(TOLD)

    def ordered(self, lines: Path, passed: Sequence[Path] = ()) -> pa.RecordBatchReader:
        """Stream source_file, source_row, line of a Parquet file in this order; only rows that replayed parts hold."""
        self._steps.files("lines_kept", [lines])
        only = ""
        if passed:
            self._steps.files("passed", passed)
            only = """WHERE (replace(source_file, '/', '／') || '.jsonl', source_row) IN
                (SELECT (source_file, source_row) FROM passed)"""
        sql = f"SELECT source_file, source_row, line FROM lines_kept {only} ORDER BY source_file, source_row"
        return self._steps.reader(Step("ordered", ("lines_kept", *(["passed"] if passed else [])), sql), _STREAM)

    def waiting(self, account: Admission) -> pa.RecordBatchReader:
        """Stream the rows of a batch that wait for a subject.

        Columns: row_id, source_file, source_row, label, code_given (whether some identifier is given for a role whose
        subject is not known), related (whether that role is the other one), rule ('' or why, see identity.by_code).
        """
        keys = self._all.keys
        self._read_waiting(account)
        columns = {c.element.id: c for c in keys.plan.columns}
        titles = {f"t{n}": f"{columns[part].source}：" for n, part in enumerate(keys.parts)}
        shown = [
            f"$t{n} || CAST({identifier(keys.column(part), 's')} AS VARCHAR)" for n, part in enumerate(keys.parts)
        ] or ["NULL"]
        own = "s.source_record_id" if keys.has_record_id else "NULL"
        codes = {
            role: [e for part, e in declared.identity.items() if part not in _NO_CODES and e in columns]
            for role, declared in keys.plan.kind.roles.items()
        }
        given = {r: " OR ".join(f"{identifier(e, 's')} IS NOT NULL" for e in es) or "false" for r, es in codes.items()}
        related = f"(l.subject_id IS NOT NULL AND ({given['related']}))" if "related" in given else "false"
        sql = f"""SELECT row_id, s.source_file, s.source_row,
                coalesce({own}, concat_ws('；', {", ".join(shown)})) AS label,
                (l.subject_id IS NULL AND ({given["subject"]})) OR {related} AS code_given,
                l.subject_id IS NOT NULL AS related,
                coalesce(l.rule, '') AS rule
            FROM linked l JOIN standard s USING (row_id)
            WHERE l.waiting ORDER BY row_id"""
        return self._steps.reader(Step("waiting_rows", ("linked", "standard"), sql, titles), _STREAM)
