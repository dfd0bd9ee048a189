"""What the home consists of, as one working copy knows it: the home's log, followed into an SQLite file.

    .log/<number>.json             one entry a publication: files put (size, sha256, key), gone, and keys swept
    .checkpoints/<number>.json.gz  the whole state after an entry, so that nobody must read the log from its beginning

A file lies at the key that is its path, or, where that place was taken, at a key that nobody else ever uses
(`.versions/<token>/<path>`). A swept key was given free for deletion: it is never relied on again.
"""

import gzip
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chengxin.errors import InvariantBroken
from chengxin.store.remote.objects import Found, Objects

LOG, CHECKPOINTS, VERSIONS = ".log/", ".checkpoints/", ".versions/"
FORMAT = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS home (path TEXT PRIMARY KEY, size INTEGER, sha256 TEXT, key TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS home_content ON home (sha256);
CREATE TABLE IF NOT EXISTS held (path TEXT PRIMARY KEY, sha256 TEXT, stamp TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS swept (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_CHECKPOINT_AFTER = 2000  # changes since the last one, or as many as there are files


@dataclass(frozen=True)
class File:
    """One file of the home. key: where its object lies when that is not its path."""

    path: str
    size: int
    sha256: str
    key: str | None = None

    @property
    def place(self) -> str:
        """Return the key of its object."""
        return self.key or self.path


@dataclass(frozen=True)
class Entry:
    """One entry of the log. token: unique, so that its writer knows it again. what, host, at: for people."""

    number: int
    token: str
    put: tuple[File, ...] = ()
    gone: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()
    about: dict[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the entry as JSON."""
        body = {
            "format": FORMAT, "number": self.number, "token": self.token, **self.about,
            "put": [[f.path, f.size, f.sha256, f.key] for f in self.put], "gone": self.gone, "swept": self.swept,
        }  # fmt: skip
        return (json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Entry":
        """Read an entry; raise InvariantBroken when it is of a later format."""
        body = json.loads(data)
        if body["format"] != FORMAT:
            raise InvariantBroken(f"数据目录日志第 {body['number']} 条的格式是 {body['format']}，本版本不认识；请升级")
        put = tuple(File(*one) for one in body["put"])
        return cls(body["number"], body["token"], put, tuple(body["gone"]), tuple(body["swept"]))

    def paths(self) -> set[str]:
        """Return the files that it puts or takes away."""
        return {f.path for f in self.put} | set(self.gone)


def opened(path: Path) -> "Index":
    """Open the index of a working copy; one that a power cut has damaged is made anew."""
    try:
        return Index(path)
    except sqlite3.DatabaseError:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        index = Index(path)
        index.note_dirty(("",))
        return index


class Index:
    """The state of a home after some entry of its log, and which of its files lie in the working copy."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def head(self) -> int:
        """Return the number of the last entry that was followed; -1 before the first."""
        return self._number("head", -1)

    def follow(self, objects: Objects) -> None:
        """Take in what was added to the log."""
        found = self._listing(objects) if self.head >= 0 else []
        if self.head >= 0 and not self._recognise(found[:1]):
            self._forget()
        if self.head < 0:
            self._load(objects)
            found = self._listing(objects)
            self._recognise(found[:1])
        for one in found[1:] if self.head >= 0 else found:
            read = objects.read(one.key)
            entry = Entry.from_bytes(read[0]) if read else None
            if entry is None or entry.number != self.head + 1:
                raise InvariantBroken(f"对象存储中数据目录的日志 {LOG} 缺第 {self.head + 1} 条，请从备份恢复")
            self.apply(entry)
            self._recognise([one])

    def _listing(self, objects: Objects) -> list[Found]:
        """Return the log from the last entry that was followed on, this one included."""
        return objects.listing(LOG, after=f"{LOG}{self.head - 1:08d}.json" if self.head > 0 else LOG)[0]

    def _recognise(self, found: Sequence[Found]) -> bool:
        """Return whether this is the entry that was followed last, and note how to know it again."""
        if not found or found[0].key != f"{LOG}{self.head:08d}.json":
            return False
        seen = f"{self.head} {found[0].size} {found[0].modified.isoformat()}"
        known = self._text("seen")
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('seen', ?)", (seen,))
        return known == seen or known.partition(" ")[0] != str(self.head)

    def _forget(self) -> None:
        """Begin anew: the store was put back to an earlier state, or it is another one."""
        with self._whole() as db:
            for table in ("home", "held", "swept", "meta"):
                db.execute(f"DELETE FROM {table}")
            self._remember(head=-1)
        self.note_dirty(("",))

    def apply(self, entry: Entry) -> None:
        """Take in one entry, all of it or nothing."""
        with self._whole() as db:
            put = [(f.path, f.size, f.sha256, f.key) for f in entry.put]
            db.executemany("DELETE FROM home WHERE path = ?", [(path,) for path in entry.gone])
            db.executemany("INSERT OR REPLACE INTO home VALUES (?, ?, ?, ?)", put)
            db.executemany("INSERT OR IGNORE INTO swept VALUES (?)", [(key,) for key in entry.swept])
            changes = self._number("changes", 0) + len(entry.paths()) + len(entry.swept)
            self._remember(head=entry.number, changes=changes)

    def files(self, patterns: Sequence[str] = ("*",), but: Sequence[str] = ()) -> list[File]:
        """Return the files whose path fits one of the patterns (GLOB, `*` crosses folders) and none of `but`."""
        fits = " OR ".join(["path GLOB ?"] * len(patterns))
        query = f"SELECT path, size, sha256, key FROM home WHERE ({fits})" + " AND path NOT GLOB ?" * len(but)
        return [File(*row) for row in self._connection.execute(query, (*patterns, *but))]

    def tail(self, objects: Objects, base: int) -> list[Entry]:
        """Return the entries after `base` up to the last that was followed."""
        bodies = [objects.read(f"{LOG}{number:08d}.json") for number in range(base + 1, self.head + 1)]
        return [Entry.from_bytes(body[0]) for body in bodies if body]

    def file(self, path: str) -> File | None:
        """Return one file; None when the home has none."""
        row = self._connection.execute("SELECT path, size, sha256, key FROM home WHERE path = ?", (path,)).fetchone()
        return File(*row) if row else None

    def with_content(self, sha256: str) -> File | None:
        """Return some file with this content."""
        query = "SELECT path, size, sha256, key FROM home WHERE sha256 = ? LIMIT 1"
        row = self._connection.execute(query, (sha256,)).fetchone()
        return File(*row) if row else None

    def is_swept(self, key: str) -> bool:
        """Return whether a key was given free for deletion."""
        return self._connection.execute("SELECT 1 FROM swept WHERE key = ?", (key,)).fetchone() is not None

    def held(self) -> dict[str, tuple[str, str]]:
        """Return the files of the working copy that are known to be the home's: path -> (sha256, stamp)."""
        return {p: (s, t) for p, s, t in self._connection.execute("SELECT path, sha256, stamp FROM held")}

    def hold(self, fresh: Iterable[tuple[str, str, str]], gone: Iterable[str] = ()) -> None:
        """Note files (path, sha256, stamp) that the working copy holds now, and those that it does not any more."""
        with self._whole() as db:
            db.executemany("DELETE FROM held WHERE path = ?", [(path,) for path in gone])
            db.executemany("INSERT OR REPLACE INTO held VALUES (?, ?, ?)", fresh)

    def orphans(self) -> list[str]:
        """Return the files of the working copy that the home has not any more."""
        query = "SELECT held.path FROM held LEFT JOIN home ON home.path = held.path WHERE home.path IS NULL"
        return [path for (path,) in self._connection.execute(query)]

    def dirty(self) -> list[str]:
        """Return the folders in which a stage was at work that did not come to its end."""
        return list(json.loads(self._text("dirty") or "[]"))

    def note_dirty(self, roots: Sequence[str]) -> None:
        """Note where a stage begins to work; nowhere, when it has ended."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('dirty', ?)", (json.dumps(roots),))

    def checkpoint(self, objects: Objects) -> None:
        """Write the state to the store when much has changed since that was done last."""
        [total] = self._connection.execute("SELECT count(*) FROM home").fetchone()
        if self._number("changes", 0) < max(_CHECKPOINT_AFTER, total):
            return
        swept = [key for (key,) in self._connection.execute("SELECT key FROM swept ORDER BY key")]
        files = [[f.path, f.size, f.sha256, f.key] for f in self.files()]
        body = {"format": FORMAT, "number": self.head, "files": files, "swept": swept}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        objects.create(f"{CHECKPOINTS}{self.head:08d}.json.gz", gzip.compress(text.encode(), mtime=0))
        with self._whole():
            self._remember(changes=0)

    def _load(self, objects: Objects) -> None:
        """Begin with the newest checkpoint."""
        found = [f.key for f in objects.listing(CHECKPOINTS)[0] if re.fullmatch(r"\d{8}\.json\.gz", f.key[13:])]
        read = objects.read(found[-1]) if found else None
        if read is None:
            return
        body = json.loads(gzip.decompress(read[0]))
        entry = Entry(body["number"], "", tuple(File(*one) for one in body["files"]), (), tuple(body["swept"]))
        self.apply(entry)
        with self._whole():
            self._remember(changes=0)

    def _number(self, name: str, otherwise: int) -> int:
        return int(self._text(name) or otherwise)

    def _text(self, name: str) -> str:
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def _remember(self, **facts: int) -> None:
        self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(facts.items()))

    @contextmanager
    def _whole(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
