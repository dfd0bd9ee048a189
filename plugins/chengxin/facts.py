"""What the stages hand to each other: frozen, small, JSON-able. Rows travel as files, never through these."""

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

DeliveryMode = Literal["full", "incremental"]
VerdictStatus = Literal["accept", "warn", "hold"]
TableFormat = Literal["csv", "tsv", "xlsx", "xls"]


@dataclass(frozen=True, kw_only=True)
class Locator:
    """Where a connector finds a delivery again; each shape adds fields of its own (connectors.locators). JSON values.

    connector: the shape that can fetch it; none for a batch that we made ourselves.
    live: a pull, which shows the source as it is now. undated: the source has no time of its own.
    arrived: when it reached us, ISO 8601, where it was not pulled. period, seq: as in its name.
    path, fingerprint: equal = surely the same bytes, once nothing `touched` them (seconds since 1970) for a moment.
    pull: a folder beside the batches, removed once the batch is there.
    """

    connector: str = ""
    live: bool = False
    undated: bool = False
    arrived: str | None = None
    period: str | None = None
    seq: int | None = None
    path: str | None = None
    fingerprint: str | None = None
    touched: float | None = None
    pull: str | None = None


@dataclass(frozen=True)
class Delivery:
    """One thing a source offers, found by `connectors.*.discover` and not yet fetched.

    name: the source's own name for it (file name, page range, watermark range).
    offered_at: by what it is ordered: the period in its name, else when the source offered it (file mtime, server
        time); becomes the batch's as_of.
    locator: what the same connector needs to open it again.
    """

    dataset: str
    name: str
    origin: str
    offered_at: datetime
    locator: Locator = field(default_factory=Locator)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `as_json`, but for the locator, which connectors.locators rebuilds."""
        return cls(**{**data, "offered_at": datetime.fromisoformat(data["offered_at"])})


@dataclass(frozen=True)
class LandedFile:
    """One received file, unchanged: name within payload/, size in bytes, sha256 in hex; rows: as in its manifest."""

    name: str
    size: int
    sha256: str
    rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A delivery whose bytes are on our disk. Written as receipt.json.

    received_at: when we took it; the day of it is "today" for what is checked. as_of: the place of its content among
    the versions of its data set, and nothing else: the period in its name, else when the source offered it.
    restates: the batch with the same bytes that a full list may be a mere copy of, where another one came in between.
    corrects: the format of our table of refused rows, where a department corrected one and sent it back.
    is_ahead: it counts as of a day (Shanghai) that had not come yet when it was received.
    """

    dataset: str
    batch_id: str
    mode: DeliveryMode
    origin: str
    delivery: str
    received_at: datetime
    as_of: datetime
    files: tuple[LandedFile, ...]
    restates: str | None = None
    corrects: TableFormat | None = None
    is_ahead: bool = False

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `as_json`."""
        files = tuple(LandedFile(**f) for f in data["files"])
        times = {name: datetime.fromisoformat(data[name]) for name in ("received_at", "as_of")}
        return cls(**{**data, **times, "files": files})


BatchLevel = Literal["critical", "warning", "info"]


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Something odd about a batch, whoever noticed it: a reader, a connector, the row checks, linking, an expectation.

    rule: an id of model/rules.yaml, which has its words. level: None = that of the rule. file, place (a column, a row,
    a role), stated (what was to be expected) and found fill the words in; none holds a personal value. rows: how many
    rows it is about, where they can be counted.
    """

    rule: str
    level: BatchLevel | None = None
    file: str = ""
    place: str = ""
    stated: str | int = ""
    found: str | int | None = None
    rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class StandardBatch:
    """The counts of a standardised batch. received = passed + quarantined.

    rules: issue rows per 'level:rule'. digest: contract + library digest under which it was made.
    mismatch: message when the whole delivery does not fit the contract (then passed = 0).
    sources: the names that `source_file` holds, by file number: received files, or members of archives.
    doubts: what the files of the delivery cast doubt on beside their rows: other numbers of records than were read, a
    page of a longer list, rows that were read with what stands in a merged cell above. sums: the one line of a file
    that adds its amounts up, by file. seals: sha256 of the files written, by name.
    """

    dataset: str
    batch_id: str
    received: int
    passed: int
    quarantined: int
    rules: dict[str, int]
    digest: str
    mismatch: str | None = None
    sources: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    sums: dict[str, str] = field(default_factory=dict)
    seals: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(self.sources))  # JSON gives a list
        doubts = tuple(d if isinstance(d, Doubt) else Doubt(**d) for d in self.doubts)
        object.__setattr__(self, "doubts", doubts)


@dataclass(frozen=True)
class Finding:
    """One doubt as a verdict keeps it, in words for people."""

    rule: str
    severity: BatchLevel
    message: str
    observed: str | None = None
    failing_rows: int | None = None


@dataclass(frozen=True)
class Release:
    """That a person let a held batch in: who, why, when (ISO 8601)."""

    by: str
    reason: str
    at: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of validation: accept, warn (accept with warnings) or hold. released: a lifted hold."""

    dataset: str
    batch_id: str
    status: VerdictStatus
    findings: tuple[Finding, ...]
    digest: str
    released: Release | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `as_json`."""
        findings = tuple(Finding(**f) for f in data["findings"])
        return cls(**{**data, "findings": findings, "released": _release(data.get("released"))})


# The states of rows, in the order in which they are shown: a received row is in exactly one of them.
STATES = ("accepted", "quarantined", "duplicate", "unlinked")


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Rows of a batch, or of several: received = accepted + quarantined + duplicate + unlinked."""

    received: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicate: int = 0
    unlinked: int = 0

    @classmethod
    def held(cls, received: int) -> Self:
        """Return the counts of a held batch: nothing of it is taken in."""
        return cls(received=received, quarantined=received)

    def adds_up(self) -> bool:
        """Return whether every received row is in exactly one state."""
        return self.received == self.accepted + self.quarantined + self.duplicate + self.unlinked

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name, received first."""
        return {name: getattr(self, name) for name in COUNTS}


COUNTS = ("received", *STATES)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a session of the engine may use. plans: folder in which its steps leave their plans; None = no plans."""

    memory_limit_mib: int
    threads: int = 1
    plans: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The account of an admitted batch at one moment; its counts add up.

    revision: 0 at admission, then one more each time waiting rows found their subject.
    order: the place of the admission among all admissions of the home; later wins where times tie.
    known_from: the instant of it (ISO 8601, UTC), never before that of the admission before.
    withdrawn: records that this delivery withdrew: a full one no longer holds them, or a row withdraws them.
    received_at, as_of: of the batch, ISO 8601.
    department ... files: what publishing needs to know of the batch, as it was on admission; files by file number, the
        members of an archive each.
    released: who let a held batch in, and why; None = it was not held. route: the group of routes its records are of.
    seals: sha256 of the batch's files, by name below its folder; see state.seals.
    """

    dataset: str
    batch_id: str
    revision: int
    order: int
    known_from: str
    received: int
    accepted: int
    quarantined: int
    duplicate: int
    unlinked: int
    withdrawn: int
    new_subjects: int
    verdict: VerdictStatus
    department: str
    kind: str
    mode: DeliveryMode
    share: str
    received_at: str
    as_of: str
    files: tuple[str, ...]
    versions: dict[str, str]
    released: Release | None = None
    route: str | None = None
    seals: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `as_json`."""
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        return cls(**{**known, "files": tuple(data["files"]), "released": _release(data.get("released"))})

    @property
    def counts(self) -> Counts:
        """Return its rows by state."""
        return Counts(**{name: getattr(self, name) for name in COUNTS})


@dataclass(frozen=True)
class TierRef:
    """One tier of a snapshot: absolute path and rows per table."""

    path: str
    tables: dict[str, int]


@dataclass(frozen=True)
class SnapshotRef:
    """A committed snapshot."""

    id: str
    tiers: dict[str, TierRef]


def _release(data: dict[str, str] | None) -> Release | None:
    return Release(**data) if data else None


def as_json(value: Any) -> Any:
    """Turn a handover dataclass into plain JSON values (instants as ISO 8601)."""
    return _plain(asdict(value))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.isoformat() if isinstance(value, datetime) else value
