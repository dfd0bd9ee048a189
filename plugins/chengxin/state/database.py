"""The state of a home: one SQLite file, derived from the journal and the links folders. It may be deleted at any time.

    <home>/state/state.db

Writing it costs no fsync a batch: what a power cut takes from it is applied again from the journal, which is the truth.
Whoever needs it lets it catch up first; SQLite's own lock keeps two writers apart. A state that was made by another
format, by another journal (a home restored from a backup), or that is damaged, is deleted and built anew.
"""

import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from chengxin.facts import Admission, as_json
from chengxin.state import application
from chengxin.state.application import SCHEMA
from chengxin.store.layout import Layout

log = logging.getLogger(__name__)
FORMAT = 1
_SECONDS = 600.0  # to wait for another process that catches up


@contextmanager
def caught_up(layout: Layout, admissions: Sequence[Admission]) -> Iterator[sqlite3.Connection]:
    """Open the state of a home, with all of these admissions applied. admissions: the journal, from its beginning."""
    path = layout.state / "state.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _caught_up(path, layout, admissions)
    try:
        yield connection
    finally:
        connection.close()


def _caught_up(path: Path, layout: Layout, admissions: Sequence[Admission]) -> sqlite3.Connection:
    connection = _open(path)
    try:
        if _is_usable(connection, admissions):
            _catch_up(connection, layout, admissions)
            return connection
        log.info("the state of %s is of another journal or format: it is built anew", layout.home)
    except sqlite3.OperationalError:  # a full disk, a lock that nobody leaves: nothing that building anew would mend
        connection.close()
        raise
    except sqlite3.DatabaseError:
        log.warning("the state of %s is damaged: it is built anew", layout.home)
    connection.close()
    for file in path.parent.glob("state.db*"):
        file.unlink(missing_ok=True)
    connection = _open(path)
    try:
        _catch_up(connection, layout, admissions)
    except BaseException:
        connection.close()
        raise
    return connection


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA mmap_size = {1 << 40}")
        connection.execute("PRAGMA temp_store = MEMORY")
        with _writing(connection):
            if not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
                for statement in SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {FORMAT}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _is_usable(connection: sqlite3.Connection, admissions: Sequence[Admission]) -> bool:
    if connection.execute("PRAGMA user_version").fetchone() != (FORMAT,):
        return False
    applied, stamp = _applied(connection)
    return applied < 0 or (applied < len(admissions) and stamp == stamp_of(admissions[applied]))


def _catch_up(connection: sqlite3.Connection, layout: Layout, admissions: Sequence[Admission]) -> None:
    """Apply what is missing, each admission in a transaction of its own. Done by two at once, it is done once."""
    applied = _applied(connection)[0]
    while applied + 1 < len(admissions):
        with _writing(connection):
            applied = _applied(connection)[0]
            if applied + 1 < len(admissions):
                applied += 1
                application.apply(connection, layout, admissions[applied])
                values = (applied, stamp_of(admissions[applied]))
                connection.execute("UPDATE meta SET applied = ?, stamp = ?", values)


def _applied(connection: sqlite3.Connection) -> tuple[int, str]:
    applied, stamp = connection.execute("SELECT applied, stamp FROM meta").fetchone()
    return int(applied), str(stamp)


def stamp_of(admission: Admission) -> str:
    """Return by what an entry of the journal is known again."""
    return hashlib.sha256(json.dumps(as_json(admission), sort_keys=True).encode()).hexdigest()
