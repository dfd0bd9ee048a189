"""Derive the open tier from a committed government snapshot, file by file.

An open data file is a pure function of (government file, files it depends on, rule, key, day). While these stay the
same and no row's visibility changes, the file of the previous open snapshot is used again (`derivations`).
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.home import Home
from chengxin.model.kinds import Kind, kinds
from chengxin.model.lawful_terms import LawfulTerms
from chengxin.publishing import catalogue, commit
from chengxin.publishing import key as open_key
from chengxin.publishing.open_tier import anonymous_table, derivations, generalisation, order
from chengxin.publishing.open_tier import rules as open_rules
from chengxin.publishing.open_tier.derivations import Derivation, Known
from chengxin.publishing.open_tier.job import Job, Part, Seen
from chengxin.publishing.open_tier.rules import HANDLE, TOKEN, Births, Horizon, TableRule
from chengxin.records.acts import Record
from chengxin.store.columns import DataFile, Mask
from chengxin.store.layout import ASSEMBLY, Layout
from chengxin.store.manifest import Basis, ColumnEntry, FileEntry, Manifest, TableEntry
from chengxin.store.parquet import arrow_schema, write_parquet

GOVERNMENT, OPEN = "government", "open"
_AT_ONCE = 8  # row groups
_REGISTRY_JUDGED = ("subject_id", "subject_type", "identifier_type")
_ADDED = {
    TOKEN: ColumnEntry(TOKEN, "string", "主体代号（自然人）"),
    HANDLE: ColumnEntry(HANDLE, "string", "记录代号"),
}


def publish_open(
    layout: Layout,
    government: Manifest,
    *,
    token_key: bytes | None,
    now: datetime,
    today: date,
    workers: int = 2,
    terms: LawfulTerms | None = None,
    objected: Sequence[Record] = (),
) -> tuple[Manifest, bool]:
    """Derive and commit the open tier; return its current manifest and whether that is new.

    Call it also when the government tier did not change: publication ends by the calendar. token_key: the master; None
    leaves persons out. objected: records with an open objection.
    """
    previous = commit.current(layout, OPEN)
    draft = layout.drafts / OPEN
    shutil.rmtree(draft, ignore_errors=True)
    manifest, made = derive_open(
        layout,
        government,
        previous,
        kinds_known=kinds(),
        token_key=token_key,
        today=today,
        created_at=now,
        draft=draft,
        workers=workers,
        terms=terms,
        objected=objected,
    )
    if previous and manifest.same_content(previous):
        shutil.rmtree(draft, ignore_errors=True)
        derivations.write(layout, OPEN, made)
        return previous, False
    listed = catalogue.for_tier(layout.snapshot(GOVERNMENT, government.snapshot_id), manifest)
    committed = commit.commit(layout, manifest, draft, previous, catalogue=listed)
    derivations.write(layout, OPEN, made)
    return committed, True


def withheld(home: Home) -> str | None:
    """Return in Chinese what the tiers lack for want of a key, and what to do; None when they lack nothing."""
    layout = home.layout
    persons = withholds_persons(commit.current(layout, GOVERNMENT), commit.current(layout, OPEN))
    if not persons and not _withholds_authorised(layout):
        return None
    return open_key.problem(home) or "密钥已设置；下次发布时补上所缺的记录"


def _withholds_authorised(layout: Layout) -> bool:
    """Return whether there are records to be had by consent only, and no authorised tier."""
    assembled = commit.current(layout, ASSEMBLY)
    if assembled is None or commit.current(layout, "authorised") is not None:
        return False
    return any("authorised" in kind.levels for name, kind in kinds().items() if name in assembled.tables)


def withholds_persons(government: Manifest | None, opened: Manifest | None) -> bool:
    """Return whether the open tier has no rows about persons for want of a key, although there are some to show."""
    if government is None or opened is None or opened.basis.key_id:
        return False
    rules = open_rules.table_rules(kinds())
    records = [f for f in government.files() if f.table == open_rules.CREDIT_RECORD and _of_persons(f)]
    return any(rules[f.table].admits_persons(f.part) for f in records)


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
    terms: LawfulTerms | None = None,
    objected: Sequence[Record] = (),
) -> tuple[Manifest, list[Derivation]]:
    """Write the open files that changed into `draft`; return the manifest to commit and what each file was made from.

    With `manifest.same_content(previous_open)` there is nothing to commit. Raise InvariantBroken when the credit
    records shown are not those of the typed tables.
    """
    plain = open_rules.table_rules(kinds_known, terms)
    rules = {
        name: replace(rule, objected=frozenset(r.record_id for r in objected if r.kind == name))
        for name, rule in plain.items()
    }
    job = Job(
        layout,
        layout.snapshot(GOVERNMENT, government.snapshot_id),
        government,
        rules,
        open_key.derive(token_key),
        today,
        draft,
        Known(layout, previous_open),
        {name: rule.digest() for name, rule in rules.items()},
        objected,
    )
    parts = sorted({_group(entry) for entry in government.files()})
    with ThreadPoolExecutor(max_workers=workers) as pool:
        made = [outcome for found in pool.map(lambda part: list(_derive_part(job, part)), parts) for outcome in found]
    nameless = [rule for rule in rules.values() if rule.anonymous_types and rule.name in government.tables]
    made += [anonymous_table.derive(job, rule, made) for rule in nameless]
    files = [outcome.entry for outcome in made if outcome.entry]
    tables = {name: _table(job, name, files) for name in job.rules if name in government.tables}
    tables |= {generalisation.table_of(rule.name): anonymous_table.listed(job, rule, files) for rule in nameless}
    derivations.agree(tables, made)
    manifest = Manifest.new(
        OPEN,
        created_at,
        today,
        f"由政务层快照 {government.snapshot_id} 派生",
        tables,
        sources=derivations.sources(made),
        versions=government.versions,
        basis=Basis(
            government=government.snapshot_id,
            key_id=open_key.key_id(job.key) or "",
            anonymity={one.table.removesuffix(generalisation.SUFFIX): one.anonymity for one in made if one.anonymity},
        ),
    )
    if previous_open and previous_open.basis.government == government.snapshot_id:
        return manifest, made  # derived again, by the calendar: a snapshot of its own
    return replace(manifest, snapshot_id=government.snapshot_id), made


def _derive_part(job: Job, part: str) -> Iterator[Derivation]:
    present = [entry for entry in job.government.files() if _group(entry) == part and entry.table in job.rules]
    held = [entry for entry in present if not _of_persons(entry) or _admits(job, entry)]
    records = [f for f in held if f.table == open_rules.CREDIT_RECORD]
    facts = Part([f for f in present if f.table == "subject"], records)
    for entry in held:
        kind = entry.part.rpartition("-")[0]
        if not kind or kind in job.rules:
            yield _derive_file(job, entry, facts)


def _admits(job: Job, entry: FileEntry) -> bool:
    """Return whether a file of persons is derived at all: without a key there is nothing to distinguish persons by."""
    rule = job.rules[entry.table]
    return (job.key is not None and rule.admits_persons(entry.part)) or "person" in rule.anonymous_types


def _derive_file(job: Job, entry: FileEntry, facts: Part) -> Derivation:
    persons = _of_persons(entry)
    depends = [f.sha256 for f in (facts.records if entry.table == "subject" else facts.subjects) if persons]
    of, digest, key_id = (entry.sha256, *sorted(depends)), job.digest(entry), open_key.key_id(job.key)
    known = job.known.get(entry.table, of, digest, key_id, job.today)
    if known is not None:
        return known
    seen = Seen(keyed=persons)
    schema = arrow_schema(_columns(job, job.rules[entry.table]))
    rows = _open_rows(job, entry, facts, seen)
    if persons:
        rows = order.shuffled(rows, schema, entry.rows, job.draft)
    written = write_parquet(rows, job.draft / entry.table, table=entry.table, part=entry.part, schema=schema)
    until = seen.horizon.day.isoformat() if seen.horizon.day else None
    key = (key_id or "") if seen.keyed else None
    counts = dict(sorted(seen.counts.items()))
    aside = anonymous_table.set_aside(job, entry, seen.aside)
    return Derivation(entry.table, of, digest, key, job.today.isoformat(), until, counts, written, aside)


def _columns(job: Job, rule: TableRule) -> list[ColumnEntry]:
    described = {column.name: column for column in job.government.tables[rule.name].schema}
    return [_ADDED.get(name) or described[name] for name in open_rules.shown_columns(rule, list(described))]


def _open_rows(job: Job, entry: FileEntry, facts: Part, seen: Seen) -> Iterator[pa.RecordBatch]:
    rule = job.rules[entry.table]
    schema = arrow_schema(_columns(job, rule))
    names = [name for name in schema.names if name not in _ADDED]
    with DataFile(job.folder / entry.table / entry.name) as file:
        for groups, known, shown in _judged(job, file, entry, facts, seen.horizon):
            if rule.anonymous_types and shown.any():
                nameless = shown & open_rules.among(known.column("subject_type"), sorted(rule.anonymous_types))
                if nameless.any():
                    kind = rule.conditions[""]
                    rows = file.rows(groups, nameless, generalisation.read_columns(kind), known)
                    seen.aside.append(generalisation.prepare(rows, kind))
                shown &= ~nameless
            if not shown.any():
                continue
            rows = file.rows(groups, shown, names, known)
            if rule.name == open_rules.CREDIT_RECORD:
                derivations.count(rows, seen.counts)
            made = open_rules.apply_columns(rows, rule, schema, job.key)
            seen.keyed |= "record_id" in names and made.column("record_id").null_count > 0
            yield from made.to_batches()


def _judged(
    job: Job, file: DataFile, entry: FileEntry, facts: Part, horizon: Horizon
) -> Iterator[tuple[list[int], pa.Table, Mask]]:
    """Give row groups, a few at a time, with what was read to judge them and which of their rows are open."""
    rule = job.rules[entry.table]
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
    """Return the row groups in which the publicity of some row has not ended by the statistics of the file."""
    if not rule.until:
        return file.groups()
    last = {group: file.highest(group, rule.until) for group in file.groups()}
    return [group for group, day in last.items() if day is None or day >= today]


def _registry(job: Job, rows: pa.Table, entry: FileEntry, facts: Part, horizon: Horizon) -> Mask:
    """Return which rows of the subject tables are open: organisations; of persons only those with a visible record."""
    if entry.table == "subject_identifier":
        return open_rules.among(rows.column("identifier_type"), list(open_rules.PUBLIC_IDENTIFIERS))
    if entry.table == "subject_name":
        return np.ones(rows.num_rows, bool)
    if not _of_persons(entry):
        types = rows.column("subject_type")
        known: Mask = np.asarray(types.is_valid(), dtype=bool)
        return known & ~open_rules.among(types, ["person"])
    shown = _shown_persons(job, facts)
    horizon.narrow(facts.horizon.day)
    return np.isin(np.asarray(rows.column("subject_id")), shown)


def _shown_persons(job: Job, facts: Part) -> npt.NDArray[np.int64]:
    if facts.shown is None:
        found = [np.zeros(0, np.int64)]
        for entry in facts.records:
            with DataFile(job.folder / entry.table / entry.name) as file:
                for _, rows, shown in _judged(job, file, entry, facts, facts.horizon):
                    found.append(np.unique(np.asarray(rows.column("subject_id"))[shown]))
        facts.shown = np.unique(np.concatenate(found))
    return facts.shown


def _births(job: Job, facts: Part) -> Births:
    if facts.births is None:
        pieces = [
            pq.read_table(job.folder / f.table / f.name, columns=["subject_id", "born_on"], partitioning=None)
            for f in facts.subjects
            if _of_persons(f)
        ]
        facts.births = Births.of(pa.concat_tables(pieces) if pieces else _NOBODY)
    return facts.births


_NOBODY = pa.table({"subject_id": pa.array([], pa.int64()), "born_on": pa.array([], pa.date32())})


def _table(job: Job, name: str, files: Iterable[FileEntry]) -> TableEntry:
    return TableEntry.of(_columns(job, job.rules[name]), [f for f in files if f.table == name])
