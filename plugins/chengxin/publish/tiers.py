"""Derive the open tier from a committed government snapshot, file by file.

An open data file is a pure function of (government file, files it depends on, rule, token key, day). While these stay
the same and no row's visibility changes, the file of the previous open snapshot is used again.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.errors import InvariantBroken
from chengxin.model.kinds import Kind, kinds
from chengxin.publish import catalogue, masking, open_rules, snapshot
from chengxin.publish.open_rules import Births, Horizon, TableRule
from chengxin.store.columns import DataFile, Mask
from chengxin.store.layout import Layout
from chengxin.store.manifest import ColumnEntry, FileEntry, Manifest, TableEntry
from chengxin.store.parquet import arrow_schema, write_parquet

GOVERNMENT, OPEN = "government", "open"
_AT_ONCE = 8  # row groups
_REGISTRY_JUDGED = ("subject_id", "subject_type", "identifier_type")
_TOKEN = ColumnEntry("subject_token", "string", "主体代号（自然人）")


@dataclass(frozen=True)
class Derivation:
    """All that one derivation is given. folder: the government snapshot."""

    folder: Path
    government: Manifest
    rules: Mapping[str, TableRule]
    key: bytes | None
    today: date
    draft: Path
    known: Mapping[str, FileEntry | dict[str, Any]]
    digests: Mapping[str, str]


@dataclass
class Part:
    """The facts shared by the files of one part; read when first needed. records: of kinds that may show persons."""

    subjects: list[FileEntry]
    records: list[FileEntry]
    births: Births | None = None
    shown: npt.NDArray[np.int64] | None = None
    horizon: Horizon = field(default_factory=Horizon)


def publish_open(
    layout: Layout,
    government: Manifest,
    *,
    token_key: bytes | None,
    now: datetime,
    today: date,
    workers: int = 2,
) -> tuple[Manifest, bool]:
    """Derive and commit the open tier; return its current manifest and whether that is new.

    Call it also when the government tier did not change: publication ends by the calendar.
    """
    previous = snapshot.current(layout, OPEN)
    draft = layout.drafts / OPEN
    shutil.rmtree(draft, ignore_errors=True)
    manifest = derive_open(
        layout,
        government,
        previous,
        kinds_known=kinds(),
        token_key=token_key,
        today=today,
        created_at=now,
        draft=draft,
        workers=workers,
    )
    if previous and manifest.same_content(previous):
        shutil.rmtree(draft, ignore_errors=True)
        return previous, False
    draft.mkdir(parents=True, exist_ok=True)
    listed = catalogue.for_open(layout.snapshot(GOVERNMENT, government.snapshot_id), manifest)
    return snapshot.commit(layout, manifest, draft, previous, catalogue=listed), True


def _group(entry: FileEntry) -> str:
    """Return the part of the subjects; files of credit_record are named by kind and part."""
    return entry.part.rpartition("-")[2]


def _of_persons(entry: FileEntry) -> bool:
    return _group(entry).startswith("p")


def derive_open(
    layout: Layout,
    government: Manifest,
    previous_open: Manifest | None,
    *,
    kinds_known: Mapping[str, Kind],
    token_key: bytes | None,
    today: date,
    created_at: datetime,
    draft: Path,
    workers: int = 2,
) -> Manifest:
    """Write the open files that changed into `draft` and return the manifest to commit.

    With `manifest.same_content(previous_open)` there is nothing to commit. Raise InvariantBroken when the credit
    records shown are not those of the typed tables.
    """
    rules = open_rules.table_rules(kinds_known)
    job = Derivation(
        layout.snapshot(GOVERNMENT, government.snapshot_id),
        government,
        rules,
        token_key,
        today,
        draft,
        _known(previous_open),
        {name: rule.digest() for name, rule in rules.items()},
    )
    parts = sorted({_group(entry) for entry in government.files()})
    with ThreadPoolExecutor(max_workers=workers) as pool:
        results = [outcome for made in pool.map(lambda part: list(_derive_part(job, part)), parts) for outcome in made]
    files = [outcome for outcome in results if isinstance(outcome, FileEntry)]
    tables = {name: _table(job, name, files) for name in job.rules if name in government.tables}
    _agree(tables)
    manifest = Manifest.new(
        OPEN,
        created_at,
        today,
        f"由政务层快照 {government.snapshot_id} 派生",
        tables,
        sources=_sources(files),
        versions=government.versions,
        extra={
            "government": government.snapshot_id,
            "token_key": masking.key_id(token_key),
            "empty": [outcome for outcome in results if isinstance(outcome, dict)],
        },
    )
    if previous_open and previous_open.extra["government"] == government.snapshot_id:
        return manifest  # derived again, by the calendar: a snapshot of its own
    return replace(manifest, snapshot_id=government.snapshot_id)


def _known(previous: Manifest | None) -> dict[str, FileEntry | dict[str, Any]]:
    """Index the previous open files, and the notes of those that came out empty, by what they were made from."""
    if previous is None:
        return {}
    found: dict[str, FileEntry | dict[str, Any]] = {_identity(entry.extra): entry for entry in previous.files()}
    return found | {_identity(note): note for note in previous.extra.get("empty", [])}


def _identity(made_from: Mapping[str, Any]) -> str:
    return json.dumps([made_from["table"], made_from["of"], made_from["rule"], made_from["key"]])


def _derive_part(job: Derivation, part: str) -> Iterator[FileEntry | dict[str, Any]]:
    held = [entry for entry in job.government.files() if _group(entry) == part and entry.table in job.rules]
    held = [entry for entry in held if not _of_persons(entry) or job.rules[entry.table].admits_persons(entry.part)]
    facts = Part([f for f in held if f.table == "subject"], [f for f in held if f.table == open_rules.CREDIT_RECORD])
    for entry in held:
        kind = entry.part.rpartition("-")[0]
        if not kind or kind in job.rules:
            yield _derive_file(job, entry, job.rules[entry.table], facts)


def _derive_file(job: Derivation, entry: FileEntry, rule: TableRule, facts: Part) -> FileEntry | dict[str, Any]:
    persons = _of_persons(entry)
    depends = [f.sha256 for f in (facts.records if entry.table == "subject" else facts.subjects) if persons]
    made_from = {
        "table": entry.table,
        "of": [entry.sha256, *sorted(depends)],
        "rule": job.digests[entry.table],
        "key": masking.key_id(job.key) if persons else None,
    }
    known = job.known.get(_identity(made_from))
    note = known.extra if isinstance(known, FileEntry) else known
    if known is not None and note is not None and _holds(note, job.today):
        return known
    horizon = Horizon()
    counts: Counter[str] = Counter()
    schema = arrow_schema(_columns(job, rule))
    rows = _open_rows(job, entry, rule, facts, horizon, counts)
    written = write_parquet(rows, job.draft / entry.table, table=entry.table, part=entry.part, schema=schema)
    extra = {
        **made_from,
        "valid_from": job.today.isoformat(),
        "valid_until": horizon.day.isoformat() if horizon.day else None,
    }
    if written is None:
        return extra
    written.extra.update(extra, **({"counts": dict(sorted(counts.items()))} if counts else {}))
    return written


def _holds(note: Mapping[str, Any], today: date) -> bool:
    until = note["valid_until"]
    return note["valid_from"] <= today.isoformat() and (until is None or today.isoformat() <= until)


def _columns(job: Derivation, rule: TableRule) -> list[ColumnEntry]:
    described = {column.name: column for column in job.government.tables[rule.name].schema}
    shown = open_rules.shown_columns(rule, list(described))
    return [_TOKEN if name == _TOKEN.name else described[name] for name in shown]


def _open_rows(
    job: Derivation, entry: FileEntry, rule: TableRule, facts: Part, horizon: Horizon, counts: Counter[str]
) -> Iterator[pa.RecordBatch]:
    schema = arrow_schema(_columns(job, rule))
    names = [name for name in schema.names if name != _TOKEN.name]
    with DataFile(job.folder / entry.table / entry.name) as file:
        for groups, known, shown in _judged(job, file, entry, rule, facts, horizon):
            if not shown.any():
                continue
            rows = file.rows(groups, shown, names, known)
            if rule.name == open_rules.CREDIT_RECORD:
                _count(rows, counts)
            yield from open_rules.apply_columns(rows, rule, schema, job.key).to_batches()


def _judged(
    job: Derivation, file: DataFile, entry: FileEntry, rule: TableRule, facts: Part, horizon: Horizon
) -> Iterator[tuple[list[int], pa.Table, Mask]]:
    """Give row groups, a few at a time, with what was read to judge them and which of their rows are open."""
    names = open_rules.judged_columns(rule, file.names)
    names = names if rule.conditions else [n for n in file.names if n in _REGISTRY_JUDGED]
    lasting = _lasting(file, rule, job.today)
    for start in range(0, len(lasting), _AT_ONCE):
        groups = lasting[start : start + _AT_ONCE]
        rows = file.read(groups, names)
        if rule.conditions:
            shown = open_rules.visible(rows, rule, _births(job, facts), job.today, horizon)
        else:
            shown = _registry(job, rows, entry, facts, horizon)
        yield groups, rows, shown


def _lasting(file: DataFile, rule: TableRule, today: date) -> list[int]:
    """Return the row groups in which the publicity of some row has not ended for all that the file tells."""
    if not rule.until:
        return file.groups()
    last = {group: file.highest(group, rule.until) for group in file.groups()}
    return [group for group, day in last.items() if day is None or day >= today]


def _registry(job: Derivation, rows: pa.Table, entry: FileEntry, facts: Part, horizon: Horizon) -> Mask:
    """Tell which rows of the subject tables are open: organisations; of persons only those with a visible record."""
    if entry.table == "subject_identifier":
        return open_rules.among(rows.column("identifier_type"), list(open_rules.PUBLIC_IDENTIFIERS))
    if entry.table == "subject_name":
        return np.ones(rows.num_rows, bool)
    if not _of_persons(entry):
        types = rows.column("subject_type")
        known: Mask = np.asarray(types.is_valid(), dtype=bool)
        return known & ~open_rules.among(types, ["person"])
    if job.key is None:
        return np.zeros(rows.num_rows, bool)  # without a token such a row says nothing
    shown = _shown_persons(job, facts)
    horizon.narrow(facts.horizon.day)
    return np.isin(np.asarray(rows.column("subject_id")), shown)


def _shown_persons(job: Derivation, facts: Part) -> npt.NDArray[np.int64]:
    if facts.shown is None:
        found = [np.zeros(0, np.int64)]
        rule = job.rules[open_rules.CREDIT_RECORD]
        for entry in facts.records:
            with DataFile(job.folder / entry.table / entry.name) as file:
                for _, rows, shown in _judged(job, file, entry, rule, facts, facts.horizon):
                    found.append(np.unique(np.asarray(rows.column("subject_id"))[shown]))
        facts.shown = np.unique(np.concatenate(found))
    return facts.shown


def _births(job: Derivation, facts: Part) -> Births:
    if facts.births is None:
        pieces = [
            pq.read_table(job.folder / f.table / f.name, columns=["subject_id", "born_on"], partitioning=None)
            for f in facts.subjects
            if _of_persons(f)
        ]
        facts.births = Births.of(pa.concat_tables(pieces) if pieces else _NOBODY)
    return facts.births


_NOBODY = pa.table({"subject_id": pa.array([], pa.int64()), "born_on": pa.array([], pa.date32())})


def _count(rows: pa.Table, counts: Counter[str]) -> None:
    """Count the rows of each kind, department and dataset by their codes."""
    for batch in rows.select(["kind", "department_code", "dataset"]).to_batches():
        coded = [c if pa.types.is_dictionary(c.type) else c.dictionary_encode() for c in batch.columns]
        texts = [column.dictionary for column in coded]
        shape = tuple(len(text) for text in texts)
        codes = np.ravel_multi_index([np.asarray(column.indices) for column in coded], shape)
        for code, found in zip(*np.unique(codes, return_counts=True), strict=True):
            group = (text[int(n)].as_py() for text, n in zip(texts, np.unravel_index(code, shape), strict=True))
            counts["|".join(group)] += int(found)


def _table(job: Derivation, name: str, files: Iterable[FileEntry]) -> TableEntry:
    return TableEntry.of(_columns(job, job.rules[name]), [f for f in files if f.table == name])


def _sources(files: Iterable[FileEntry]) -> dict[str, dict[str, Any]]:
    """Add up the visible records of each dataset."""
    total: dict[str, dict[str, Any]] = {}
    for entry in files:
        for group, rows in entry.extra.get("counts", {}).items():
            _, department, dataset = group.split("|")
            found = total.setdefault(dataset, {"department": department, "rows": 0})
            found["rows"] += rows
    return dict(sorted(total.items()))


def _agree(tables: Mapping[str, TableEntry]) -> None:
    """Check that credit_record shows as many records of each kind as the kind's own table."""
    if open_rules.CREDIT_RECORD not in tables:
        return
    counted: Counter[str] = Counter()
    for entry in tables[open_rules.CREDIT_RECORD].files:
        for group, rows in entry.extra.get("counts", {}).items():
            counted[group.split("|")[0]] += rows
    registry = {"subject", "subject_identifier", "subject_name", open_rules.CREDIT_RECORD}
    typed = {name: table.rows for name, table in tables.items() if name not in registry}
    wrong = {k: (counted[k], typed.get(k, 0)) for k in {*counted, *typed} if counted[k] != typed.get(k, 0)}
    if wrong:
        told = "；".join(f"{kind}：总表 {a} 条，明细表 {b} 条" for kind, (a, b) in sorted(wrong.items()))
        raise InvariantBroken(f"开放层的信用记录总表与明细表不一致：{told}")
