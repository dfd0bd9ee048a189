"""Builds small government drafts from rows written down in a test. All persons and companies are invented."""

from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import pyarrow as pa

from chengxin.model.kinds import kinds
from chengxin.model.lawful_terms import LawfulTerms, lawful_terms
from chengxin.publishing import commit
from chengxin.publishing.assembly.tables import CREDIT_RECORD, table_schema, titles
from chengxin.publishing.disclosure.columns import Disclosure
from chengxin.publishing.disclosure.home_regions import HomeRegions
from chengxin.store.layout import Layout
from chengxin.store.manifest import FileEntry, Manifest, TableEntry
from chengxin.store.parquet import column_entries, write_parquet

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)
ORIGIN = {
    "department_code": "hn-amr",
    "dataset": "invented",
    "batch_id": "invented-20261120-000000000000",
    "source_file": "a.csv",
    "source_row": 7,
    "source_record_id": "R-7",
    "source_updated_at": NOW,
    "received_at": NOW,
}


class Draft:
    """Collects subjects and records, then writes them as a draft and publishes it."""

    def __init__(self, terms: LawfulTerms | None = None) -> None:
        self.terms = terms or lawful_terms()
        self.rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self.subjects: dict[int, tuple[str, str]] = {}

    def subject(
        self, number: int, kind: str, name: str, *, part: str = "4301", uscc: str | None = None, **rest: Any
    ) -> None:
        part = f"p{part}" if kind == "person" else part
        self.subjects[number] = (kind, part)
        row = {
            "subject_id": number,
            "subject_type": kind,
            "name": name,
            "uscc": uscc,
            "region_code": "430102",
            **ORIGIN,
        }
        self.rows["subject", part].append({**row, **rest})
        self.rows["subject_name", part].append(
            {"subject_id": number, "name": name, "name_key": name, "is_current": True, **ORIGIN}
        )
        if uscc:
            self.identifier(number, "uscc", uscc)

    def identifier(self, number: int, kind: str, value: str) -> None:
        row = {"subject_id": number, "identifier_type": kind, "identifier_value": value, **ORIGIN}
        self.rows["subject_identifier", self.subjects[number][1]].append(row)

    def record(self, kind_id: str, number: int, **values: Any) -> None:
        kind, (subject_type, part) = kinds()[kind_id], self.subjects[number]
        count = len(self.rows[kind_id, part])
        record_id = f"{number:016x}{crc32(kind_id.encode()):08x}{count:08x}"
        head = {"record_id": record_id, "subject_id": number, "subject_type": subject_type}
        origin = {**ORIGIN, "source_row": 7 + count}
        self.rows[kind_id, part].append({**head, **values, **origin})
        times = {n: values.get(getattr(kind, n) or "") for n in ("event_on", "effective_from_on", "effective_to_on")}
        typed = pa.Table.from_pylist([self.rows[kind_id, part][-1]], schema=table_schema(kind_id)).combine_chunks()
        rows = dict(zip(typed.column_names, (c.chunk(0) for c in typed.columns), strict=True))
        judged = Disclosure(kind, part, TODAY, HomeRegions(Layout(Path()), None, {}), self.terms).columns(rows)
        self.rows[CREDIT_RECORD, f"{kind_id}-{part}"].append(
            {**head, "kind": kind_id, **times, **{n: c[0].as_py() for n, c in judged.items()}, **origin}
        )

    def write(self, folder: Path) -> dict[str, TableEntry]:
        files: dict[str, list[FileEntry]] = defaultdict(list)
        for (table, part), rows in sorted(self.rows.items()):
            rows = sorted(rows, key=lambda r: (r["subject_id"], r["source_row"]))
            content = pa.Table.from_pylist(rows, schema=table_schema(table))
            entry = write_parquet(content, folder / table, table=table, part=part)
            assert entry is not None
            files[table].append(entry)
        return {t: TableEntry.of(column_entries(table_schema(t), titles(t)), f) for t, f in files.items()}

    def manifest(self, folder: Path, *, now: datetime = NOW, **rest: Any) -> Manifest:
        return Manifest.new("government", now, TODAY, "测试", self.write(folder), **rest)

    def publish(self, home: Path, previous: Manifest | None = None, *, now: datetime = NOW) -> Manifest:
        """Write the draft, keep of it only what is new, commit it."""
        layout = Layout(home)
        folder = layout.drafts / "government"
        manifest = self.manifest(folder, now=now)
        known = {(f.table, f.name) for f in previous.files()} if previous else set()
        for entry in manifest.files():
            if (entry.table, entry.name) in known:
                (folder / entry.table / entry.name).unlink()
        return commit.commit(layout, manifest, folder, previous)


def companies(count: int = 3, *, first: int = 1, part: str = "4301", terms: LawfulTerms | None = None) -> Draft:
    """A draft with some companies, each with a registration and a tax rating."""
    draft = Draft(terms)
    add_companies(draft, count, first=first, part=part)
    return draft


def add_companies(draft: Draft, count: int, *, first: int, part: str) -> None:
    for number in range(first, first + count):
        name = f"湖南示例{number}号有限公司"
        draft.subject(number, "enterprise", name, part=part, uscc=f"9143{number:014d}")
        draft.record("registration", number, subject_name=name, uscc=f"9143{number:014d}", reg_status_code="1")
        draft.record(
            "tax_rating", number, subject_name=name, rating_year=2025, tax_grade_code="A" if number % 2 else "B"
        )
