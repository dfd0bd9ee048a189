"""The published tables: their columns, and the writer that makes a typed table and credit_record from one stream."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from queue import Queue
from threading import Thread

import pyarrow as pa

from chengxin.engine.session import Session
from chengxin.engine.step import Step
from chengxin.model.kinds import Kind, kinds
from chengxin.model.schema import PROVENANCE, ColumnSpec, arrow_type, kind_columns
from chengxin.publishing.assembly import rows as rows_of
from chengxin.publishing.assembly.origins import Origins, split_by_part
from chengxin.publishing.disclosure import columns as disclosure
from chengxin.publishing.disclosure.columns import Disclosure
from chengxin.publishing.merges import SUPERSESSION
from chengxin.store.manifest import FileEntry
from chengxin.store.parquet import write_parquet

#: Raised by hand when the same admissions give other published bytes: the next publication then writes every file anew.
LAYOUT_FORMAT = 2
CREDIT_RECORD = "credit_record"
RECORD_SOURCE = "record_source"
_BATCH = 122_880  # rows
_ENDED = None

_RECORD_ID = ColumnSpec("record_id", "string", title="记录编号")
_KIND = ColumnSpec("kind", "string", title="记录种类")
_SUBJECT_ID = ColumnSpec("subject_id", "int64", title="主体编号")
_RELATED_ID = ColumnSpec("related_subject_id", "int64", title="关联主体编号")
_LINKED_ID = ColumnSpec("linked_subject_id", "int64", title="关联时的主体编号")
_LINKED_RELATED_ID = ColumnSpec("linked_related_subject_id", "int64", title="关联时的关联主体编号")
_SUBJECT_TYPE = ColumnSpec("subject_type", "string", title="主体类型")
_NAME_TEXT = ColumnSpec("name", "string", title="名称")
_SUBJECT = [
    _SUBJECT_ID,
    _SUBJECT_TYPE,
    _NAME_TEXT,
    ColumnSpec("uscc", "string", title="统一社会信用代码"),
    ColumnSpec("region_code", "string", title="行政区划"),
    ColumnSpec("status_code", "string", title="主体状态"),
    ColumnSpec("born_on", "date32", title="出生日期"),
]
_IDENTIFIER = [
    _SUBJECT_ID,
    ColumnSpec("identifier_type", "string", title="标识类型"),
    ColumnSpec("identifier_value", "string", title="标识"),
    ColumnSpec("valid_from_on", "date32", title="有效期自"),
    ColumnSpec("valid_to_on", "date32", title="有效期至"),
]
_NAME = [
    _SUBJECT_ID,
    _NAME_TEXT,
    ColumnSpec("name_key", "string", title="名称匹配键"),
    ColumnSpec("valid_from_on", "date32", title="启用日期"),
    ColumnSpec("valid_to_on", "date32", title="停用日期"),
    ColumnSpec("is_current", "bool", title="是否现用"),
]
_COMMON = [
    _RECORD_ID,
    _KIND,
    _SUBJECT_ID,
    _RELATED_ID,
    _SUBJECT_TYPE,
    ColumnSpec("event_on", "date32", title="事件日期"),
    ColumnSpec("effective_from_on", "date32", title="有效期自"),
    ColumnSpec("effective_to_on", "date32", title="有效期至"),
    *disclosure.SPECS,
]
_SOURCE = [
    _RECORD_ID,
    _KIND,
    _SUBJECT_ID,
    _LINKED_ID,
    ColumnSpec("precedence", "int32", title="渠道次序"),
    ColumnSpec("is_shown", "bool", title="是否采用"),
    *(c for c in PROVENANCE if c.name not in {"source_record_id", "source_updated_at"}),
]
_SUPERSESSION = [
    _SUBJECT_ID,
    ColumnSpec("superseded_by", "int64", title="现行主体编号"),
    ColumnSpec("since_at", "timestamp", title="起始时间"),
    ColumnSpec("judgement", "int64", title="判断序号"),
]
FIXED = {
    "subject": [*_SUBJECT, *PROVENANCE],
    "subject_identifier": [*_IDENTIFIER, *PROVENANCE],
    "subject_name": [*_NAME, *PROVENANCE],
    CREDIT_RECORD: [*_COMMON, *PROVENANCE],
    RECORD_SOURCE: _SOURCE,
    SUPERSESSION: _SUPERSESSION,
}


def table_columns(name: str) -> list[ColumnSpec]:
    """Return the columns of a published government table."""
    if name in FIXED:
        return FIXED[name]
    kind = kinds()[name]
    related = [_RELATED_ID, _LINKED_RELATED_ID] if "related" in kind.roles else []
    head = [_RECORD_ID, _SUBJECT_ID, _LINKED_ID, *related, _SUBJECT_TYPE]
    return [*head, *kind_columns(kind), *PROVENANCE]


def table_schema(name: str) -> pa.Schema:
    """Return the Arrow schema of a published government table."""
    return pa.schema([(c.name, arrow_type(c.type)) for c in table_columns(name)])


def titles(name: str) -> dict[str, str]:
    """Return the Chinese titles of a table's columns."""
    return {c.name: c.title for c in table_columns(name)}


def write_parts(
    session: Session,
    step: Step,
    origins: Origins,
    folder: Path,
    *,
    kind: str | None = None,
    kept: Mapping[Path, FileEntry] | None = None,
    gone: Collection[int] = (),
) -> list[FileEntry]:
    """Write the rows of a step, sorted by `part`, into the table of its name, one file a part.

    kind: of all rows, where several share the table. kept: older files, whose rows are taken along but for those of
    subjects that the step has rows of, and of those that are gone.

    The rows have the table's columns without the spelled-out origin and without the kind, plus `origin` and `part`.
    """
    table = step.name
    schema = table_schema(table)
    files: list[FileEntry] = []
    part, held = "", list[pa.RecordBatch]()

    def flush() -> None:
        if part:
            older = [path for path, entry in (kept or {}).items() if entry.part == part]
            rows = rows_of.renewed(older, pa.Table.from_batches(held, schema), gone) if older else held
            entry = write_parquet(
                rows, folder / table, table=table, part=f"{kind}-{part}" if kind else part, schema=schema
            )
            files.extend([entry] if entry else [])

    for batch in session.reader(step, 20_480):
        for name, rows in split_by_part(batch):
            if name != part:
                flush()
                part, held = name, []
            columns = {n: rows.column(n) for n in rows.schema.names} | origins.columns(rows.column("origin"))
            if kind:
                columns["kind"] = pa.repeat(pa.scalar(kind), rows.num_rows)
            held.append(pa.RecordBatch.from_arrays([columns[f.name].cast(f.type) for f in schema], schema=schema))
    flush()
    for part in sorted(holding(kept or {}, gone) - {f.part for f in files}):  # noqa: B007  flush reads it
        held = []
        flush()
    return files


def holding(kept: Mapping[Path, FileEntry], subjects: Collection[int]) -> set[str]:
    """Return the parts of the files that may have rows of some subjects."""
    return {entry.part for entry in kept.values() if any(map(entry.may_hold, subjects))}


class RecordWriter:
    """Writes rows in their final order into one typed file and one credit_record file a part.

    The rows have the typed table's columns without the spelled-out origin, plus `origin`.
    """

    def __init__(self, kind: Kind, origins: Origins, folder: Path, disclose: Callable[[str], Disclosure]) -> None:
        self.kind, self.origins, self.folder, self.disclose = kind, origins, folder, disclose
        self.typed_schema, self.common_schema = table_schema(kind.id), table_schema(CREDIT_RECORD)
        self.typed: list[FileEntry] = []
        self.common: list[FileEntry] = []

    def write(self, pieces: Iterable[tuple[str, pa.Table]]) -> None:
        """Write all parts, each in one or several pieces; memory is bounded by a few batches."""
        part: str | None = None
        judged = self.disclose("")
        queues: list[Queue[pa.RecordBatch | None]] = []
        threads: list[_Write] = []
        try:
            for name, table in pieces:
                if name != part:
                    self._finish(queues, threads, judged)
                    part, (queues, threads) = name, self._start(name)
                    judged = self.disclose(name)
                for rows in table.to_batches(max_chunksize=_BATCH):
                    spelled = self._spell(rows)
                    queues[0].put(self._pick(spelled, self.typed_schema))
                    queues[1].put(self._pick(self._commons(spelled) | judged.columns(spelled), self.common_schema))
        finally:
            self._finish(queues, threads, judged)

    def _start(self, part: str) -> tuple[list["Queue[pa.RecordBatch | None]"], list["_Write"]]:
        queues: list[Queue[pa.RecordBatch | None]] = [Queue(maxsize=4), Queue(maxsize=4)]
        threads = [
            _Write(queues[0], self.folder, self.kind.id, part, self.typed_schema),
            _Write(queues[1], self.folder, CREDIT_RECORD, f"{self.kind.id}-{part}", self.common_schema),
        ]
        for thread in threads:
            thread.start()
        return queues, threads

    def _finish(
        self, queues: list["Queue[pa.RecordBatch | None]"], threads: list["_Write"], judged: Disclosure
    ) -> None:
        for queue in queues:
            queue.put(_ENDED)
        for thread in threads:
            thread.join()
        for thread, files, extra in zip(threads, (self.typed, self.common), ({}, judged.extra()), strict=False):
            entry = thread.result()
            if entry:
                files.append(replace(entry, extra=extra))

    def _spell(self, rows: pa.RecordBatch) -> dict[str, pa.Array]:
        columns = {n: rows.column(n) for n in rows.schema.names if n != "origin"}
        return {**columns, **self.origins.columns(rows.column("origin"))}

    def _commons(self, typed: dict[str, pa.Array]) -> dict[str, pa.Array]:
        size = len(typed["record_id"])
        common = dict(typed)
        common["kind"] = pa.repeat(pa.scalar(self.kind.id), size)
        for name in ("event_on", "effective_from_on", "effective_to_on"):
            element = getattr(self.kind, name)
            source = typed.get(element) if element else None
            common[name] = (
                source if source is not None and pa.types.is_date32(source.type) else pa.nulls(size, pa.date32())
            )
        if "related_subject_id" not in common:
            common["related_subject_id"] = pa.nulls(size, pa.int64())
        return common

    @staticmethod
    def _pick(columns: dict[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
        size = len(columns["record_id"])
        given = [columns[f.name] if f.name in columns else pa.nulls(size, f.type) for f in schema]
        arrays = [a if a.type == f.type else a.cast(f.type) for a, f in zip(given, schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


class _Write(Thread):
    """Writes one file from a queue, and hands on its error if it fails (draining the queue so that nobody blocks)."""

    def __init__(
        self, queue: "Queue[pa.RecordBatch | None]", folder: Path, table: str, part: str, schema: pa.Schema
    ) -> None:
        super().__init__(daemon=True)
        self.queue, self.folder, self.table, self.part, self.schema = queue, folder, table, part, schema
        self.entry: FileEntry | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        batches = iter(self.queue.get, _ENDED)  # once ended it stays so: the end may have been taken before the error
        try:
            self.entry = write_parquet(
                batches, self.folder / self.table, table=self.table, part=self.part, schema=self.schema
            )
        except BaseException as error:  # handed to the caller by result()
            self.error = error
            for _ in batches:
                pass

    def result(self) -> FileEntry | None:
        """Return what was written, or raise what stopped it. The thread has ended."""
        if self.error:
            raise self.error
        return self.entry
