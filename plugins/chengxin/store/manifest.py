"""The manifest: what a snapshot consists of, file by file. Plain JSON; no Arrow here, so that opening one is cheap.

A manifest seals itself: its JSON carries the sha256 of the rest, so it can be judged even when the pointer is lost.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Self

from chengxin.store.journal import Head

FORMAT = 4
NAME = "manifest.json"
BATCH = "batch"  # the table of the admissions


PSEUDONYMS = 1 << 62  # subject numbers from here on are pseudonyms; the registry counts its own from 1


@dataclass(frozen=True)
class FileEntry:
    """One data file.

    part: the share of subjects it holds; name: file name, carries the first 12 hex digits of its sha256.
    size: bytes. min_subject, max_subject: range of subject_id, None where no row has one.
    extra: facts that the writer needs to judge the file later (what it was derived from, until when it holds).
    """

    table: str
    part: str
    name: str
    rows: int
    size: int
    sha256: str
    min_subject: int | None = None
    max_subject: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def has_pseudonyms(self) -> bool:
        """Return whether the subjects bear other numbers than in the registry: those of one recipient."""
        return self.min_subject is not None and self.min_subject >= PSEUDONYMS

    def may_hold(self, subject_id: int) -> bool:
        """Return whether the file can hold rows of a subject."""
        return self.min_subject is not None and self.min_subject <= subject_id <= (self.max_subject or 0)


@dataclass(frozen=True)
class ColumnEntry:
    """One column: name, Arrow type as text, Chinese title."""

    name: str
    type: str
    title: str = ""


@dataclass(frozen=True)
class TableEntry:
    """One table: rows over all files, columns in order, files sorted by part and name."""

    rows: int
    schema: tuple[ColumnEntry, ...]
    files: tuple[FileEntry, ...]

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from plain JSON values."""
        columns = tuple(ColumnEntry(**c) for c in data["schema"])
        return cls(data["rows"], columns, tuple(FileEntry(**f) for f in data["files"]))

    @classmethod
    def of(cls, schema: Iterable[ColumnEntry], files: Iterable[FileEntry]) -> Self:
        """Sort the files and add up their rows."""
        ordered = tuple(sorted(files, key=lambda f: (f.part, f.name)))
        return cls(sum(f.rows for f in ordered), tuple(schema), ordered)


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What a snapshot was made from and what people said of it; empty where it does not concern the tier.

    assembled, government: the snapshots that it was cut from. made_of, cut: digests of the government manifest and of
    the grant. key_id: of the key of its handles, or of its files.
    assembly: digest of what, when it changes, makes every file stale. sealed: data sets that are never published. acts:
    how many legal acts were judged. left_out: data set -> the last admission that readers have of it. superseded:
    subjects that are one with others, as published.
    approval: what a person said of this publication. released: batches that somebody let in, published for the first
    time. held: batches that a person saw held. rejected: publications that people rejected since the snapshot before;
    rejections_told: how many ever.
    anonymity: of the kinds with rows that are published without a name only: how many, in what classes.
    supersedes: what it was issued again in place of (snapshot, manifest_sha256, epoch), oldest first.
    """

    assembled: str = ""
    government: str = ""
    made_of: str = ""
    cut: str = ""
    key_id: str = ""
    assembly: str = ""
    sealed: list[str] = field(default_factory=list)
    acts: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    superseded: list[dict[str, Any]] = field(default_factory=list)
    approval: dict[str, Any] = field(default_factory=dict)
    released: list[dict[str, Any]] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    rejections_told: int = 0
    anonymity: dict[str, dict[str, Any]] = field(default_factory=dict)
    supersedes: list[dict[str, Any]] = field(default_factory=list)
    catalogue_sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what there is."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class Manifest:
    """One snapshot of one tier.

    as_of: the calendar day (Shanghai) on which visibility was judged. previous, sequence: place in the chain; the
    commit fills them in. journal: where the journal ended of which the government tier was made.
    batch: the admissions that the government tier was made of; no part of its content. history: versions of records
    that no longer hold, by table. sources: totals per dataset. versions: library, duckdb, pyarrow, contract and suite
    digests.
    """

    snapshot_id: str
    tier: str
    created_at: datetime
    as_of: date
    reason: str
    tables: dict[str, TableEntry]
    previous: str | None = None
    sequence: int = 0
    journal: Head | None = None
    batch: TableEntry | None = None
    history: dict[str, TableEntry] = field(default_factory=dict)
    sources: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    basis: Basis = Basis()
    format: int = FORMAT

    @classmethod
    def new(
        cls, tier: str, created_at: datetime, as_of: date, reason: str, tables: Mapping[str, TableEntry], **rest: Any
    ) -> Self:
        """Make a manifest whose id comes from its instant and its content."""
        ordered = dict(sorted(tables.items()))
        stamp = created_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        identity = f"{stamp}-{content_digest(ordered)[:6]}"
        return cls(identity, tier, created_at.astimezone(UTC), as_of, reason, ordered, **rest)

    @property
    def last_order(self) -> int:
        """The newest admission in it; -1 = none."""
        return self.journal.order if self.journal else -1

    def upto(self, dataset: str) -> int:
        """Return the last admission that readers may have of a data set; -1 = none."""
        return int(self.basis.left_out.get(dataset, self.last_order))

    def every_table(self) -> dict[str, TableEntry]:
        """Return all tables with files in the snapshot, the admissions and the history among them."""
        return {**self.tables, **({BATCH: self.batch} if self.batch else {}), **self.history}

    def files(self) -> Iterator[FileEntry]:
        """Give all data files, table by table."""
        for table in self.every_table().values():
            yield from table.files

    def rows(self) -> dict[str, int]:
        """Return rows per table."""
        return {name: table.rows for name, table in self.tables.items()}

    def same_content(self, other: "Manifest | None") -> bool:
        """Return whether both hold the same tables, columns and bytes: then there is nothing to publish."""
        return other is not None and self._content() == other._content()

    def _content(self) -> tuple[str, str]:
        return content_digest(self.tables), content_digest(self.history)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, sealed with `digest`."""
        body = asdict(self)
        body["created_at"] = self.created_at.isoformat()
        body["as_of"] = self.as_of.isoformat()
        body["basis"] = self.basis.to_json()
        return {**body, "digest": _seal(body)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `to_json`; raise ValueError when the seal is broken or the format is unknown."""
        body = {key: value for key, value in data.items() if key != "digest"}
        if data.get("digest") != _seal(body):
            raise ValueError("清单自带的摘要不符")
        if body["format"] != FORMAT:
            raise ValueError(f"清单格式 {body['format']} 未知，本程序只认 {FORMAT}")
        tables = {name: TableEntry.from_json(table) for name, table in body["tables"].items()}
        history = {name: TableEntry.from_json(table) for name, table in body["history"].items()}
        batch = TableEntry.from_json(body["batch"]) if body["batch"] else None
        created_at, as_of = datetime.fromisoformat(body["created_at"]), date.fromisoformat(body["as_of"])
        journal = Head(**body["journal"]) if body["journal"] else None
        return cls(
            **{
                **body,
                "created_at": created_at,
                "as_of": as_of,
                "tables": tables,
                "journal": journal,
                "batch": batch,
                "history": history,
                "basis": Basis(**body["basis"]),
            }
        )

    def to_bytes(self) -> bytes:
        """Return the bytes of manifest.json."""
        return (json.dumps(self.to_json(), ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Rebuild from the bytes of manifest.json; raise ValueError on any damage."""
        try:
            return cls.from_json(json.loads(data))
        except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
            raise ValueError(f"清单缺少内容或类型不对（{type(error).__name__}）") from error


def content_digest(tables: Mapping[str, TableEntry]) -> str:
    """Return the sha256 of what the tables hold: column names and types, file names and digests."""
    body = {
        name: {
            "schema": [[c.name, c.type] for c in table.schema],
            "files": sorted([f.part, f.name, f.sha256] for f in table.files),
        }
        for name, table in tables.items()
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _seal(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
