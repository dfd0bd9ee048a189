"""The index of a home: one SQLite file that holds what the pages ask for. Not a source of truth: delete it at will."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from chengxin.home import Home

VERSION = 7
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE dataset (
  dataset TEXT PRIMARY KEY, title TEXT, department TEXT, department_name TEXT, region TEXT, domain TEXT, kind TEXT,
  cadence TEXT, late_after INTEGER, mode TEXT, share TEXT, path TEXT, stamp TEXT, contract TEXT
) WITHOUT ROWID;
CREATE TABLE problem (path TEXT PRIMARY KEY, stamp TEXT, message TEXT) WITHOUT ROWID;
CREATE TABLE folder (dataset TEXT PRIMARY KEY, stamp TEXT) WITHOUT ROWID;
CREATE TABLE answered (dataset TEXT PRIMARY KEY, stamp TEXT, digest TEXT) WITHOUT ROWID;
CREATE TABLE batch (
  dataset TEXT, batch_id TEXT, as_of TEXT, arrived_at TEXT, received_at TEXT, day TEXT, delivery TEXT, origin TEXT,
  replay_of TEXT, mode TEXT, files INTEGER, bytes INTEGER, state TEXT, verdict TEXT, received INTEGER DEFAULT 0,
  accepted INTEGER DEFAULT 0, quarantined INTEGER DEFAULT 0, duplicate INTEGER DEFAULT 0, unlinked INTEGER DEFAULT 0,
  withdrawn INTEGER DEFAULT 0, new_subjects INTEGER DEFAULT 0, revision INTEGER, first_order INTEGER,
  last_order INTEGER, admitted_at TEXT, mismatch TEXT, stamp TEXT, answer TEXT, answered_open INTEGER,
  PRIMARY KEY (dataset, batch_id)
) WITHOUT ROWID;
CREATE INDEX batch_time ON batch (arrived_at DESC, batch_id DESC, delivery, state, verdict, day);
CREATE INDEX batch_dataset_time ON batch (dataset, arrived_at DESC, batch_id DESC);
CREATE INDEX batch_dataset_order ON batch (dataset, as_of, state);
CREATE INDEX batch_day ON batch (dataset, day);
CREATE INDEX batch_open ON batch (state, arrived_at DESC, batch_id DESC, as_of) WHERE state <> 'admitted';
CREATE INDEX batch_warned ON batch (arrived_at DESC, batch_id DESC) WHERE state = 'admitted' AND verdict = 'warn';
CREATE INDEX batch_refused ON batch (arrived_at DESC, batch_id DESC) WHERE quarantined > 0;
CREATE INDEX batch_waiting ON batch (arrived_at DESC, batch_id DESC) WHERE unlinked > 0;
CREATE INDEX batch_order ON batch (first_order);
CREATE TABLE batch_rule (
  dataset TEXT, batch_id TEXT, rule TEXT, level TEXT, rows INTEGER, arrived_at TEXT,
  PRIMARY KEY (dataset, batch_id, rule)
) WITHOUT ROWID;
CREATE INDEX rule_time ON batch_rule (rule, arrived_at DESC, batch_id DESC);
CREATE TABLE rule_day (
  dataset TEXT, day TEXT, rule TEXT, level TEXT, rows INTEGER, PRIMARY KEY (day, dataset, rule, level)
) WITHOUT ROWID;
CREATE INDEX rule_day_dataset ON rule_day (dataset, day);
CREATE TABLE dataset_day (
  dataset TEXT, day TEXT, batches INTEGER, held INTEGER, warned INTEGER, open INTEGER, received INTEGER,
  accepted INTEGER, quarantined INTEGER, duplicate INTEGER, unlinked INTEGER, replays INTEGER, replayed INTEGER,
  replay_unlinked INTEGER, open_refused INTEGER, PRIMARY KEY (dataset, day)
) WITHOUT ROWID;
CREATE INDEX day_dataset ON dataset_day (
  day, dataset, batches, held, open, received, accepted, quarantined, duplicate, unlinked
);
CREATE TABLE dataset_total (
  dataset TEXT PRIMARY KEY, batches INTEGER, held INTEGER, open INTEGER, received INTEGER, accepted INTEGER,
  quarantined INTEGER, duplicate INTEGER, unlinked INTEGER, open_refused INTEGER, last_arrived_at TEXT, last_day TEXT,
  last_admitted TEXT
) WITHOUT ROWID;
CREATE TABLE snapshot (
  tier TEXT, id TEXT, sequence INTEGER, previous TEXT, created_at TEXT, as_of TEXT, reason TEXT, rows INTEGER,
  records INTEGER, bytes INTEGER, last_order INTEGER, sources TEXT, versions TEXT, said TEXT, stamp TEXT,
  PRIMARY KEY (tier, id)
) WITHOUT ROWID;
CREATE TABLE snapshot_table (
  tier TEXT, id TEXT, name TEXT, rows INTEGER, bytes INTEGER, files INTEGER, names TEXT, PRIMARY KEY (tier, id, name)
) WITHOUT ROWID;
"""


def path_of(home: Home) -> Path:
    """Return the index file; its name carries the version of its tables, so an old one is simply not found."""
    folder = home.settings.cache or home.settings.home / "cache"
    return folder / f"overview-{VERSION}.sqlite"


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the index for reading only; rows come as sqlite3.Row."""
    uri = f"file:{path.as_posix().replace('?', '%3f').replace('#', '%23')}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=5, check_same_thread=False)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA mmap_size = 1073741824")
        yield connection


def made(path: Path) -> bool:
    """Return whether there is an index, if only its empty tables: they are made at once, and filled for minutes."""
    try:
        with reading(path) as connection:
            return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is not None
    except sqlite3.DatabaseError:
        return False


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the index for the one writer, making it first when it is not there; commits at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a lost index is made anew
        connection.execute("PRAGMA cache_size = -65536")
        _make(connection)
        yield connection
        connection.commit()


def _make(connection: sqlite3.Connection) -> None:
    """Make the tables where there are none; of two processes that do so at once, one finds them made."""
    made_already = "SELECT 1 FROM sqlite_master WHERE name = 'meta'"
    if not connection.execute(made_already).fetchone():
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute(made_already).fetchone():
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
        connection.commit()


def progress(connection: sqlite3.Connection) -> str | None:
    """Describe how far a first index is: `done / of`, empty while that is not known; None when it is whole."""
    if meta(connection, "complete"):
        return None
    last, batches = int(meta(connection, "last_order", "-1")) + 1, meta(connection, "batches")
    return f"{last:,} / {int(batches):,}" if batches else ""


def meta(connection: sqlite3.Connection, key: str, default: str = "") -> str:
    """Return one remembered fact."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else default


def remember(connection: sqlite3.Connection, **facts: object) -> None:
    """Remember facts as texts."""
    rows = [(key, str(value)) for key, value in facts.items()]
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)


def remove(path: Path) -> None:
    """Delete the index with what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
