"""The state of a home: one SQLite file, derived from the journal and the links folders. It may be deleted at any time.

    <home>/state/state.db

Writing it costs no fsync a batch: what a power cut takes from it is applied again from the journal, which is the truth.
Whoever needs it lets it catch up first; SQLite's own lock keeps two writers apart. A state that was made by another
format, by another journal (a home restored from a backup), or that is damaged, is deleted and built anew.
"""

import hashlib
import logging
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chengxin.errors import InvariantBroken
from chengxin.facts import Admission
from chengxin.state import application
from chengxin.state.application import SCHEMA, TABLES
from chengxin.store import journal
from chengxin.store.journal import Head
from chengxin.store.layout import Layout

log = logging.getLogger(__name__)
FORMAT = 1
_SECONDS = 600.0  # to wait for another process that catches up
_ROOM = 1 << 20  # bytes: more than a transaction asks for at once


@contextmanager
def caught_up(layout: Layout, folder: Path | None = None) -> Iterator[sqlite3.Connection]:
    """Open the state of a home with every entry of its journal applied. folder: where it lies, if not in the home."""
    path = (folder or layout.state) / "state.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _caught_up(path, layout)
    try:
        yield connection
    finally:
        connection.close()


def differing(layout: Layout, work: Path) -> list[str]:
    """Build the state a second time below `work` and return the tables in which the home's own differs from it."""
    with caught_up(layout) as mine, caught_up(layout, work) as anew:
        # Both as they were at one moment: another process may go on admitting.
        for connection in (mine, anew):
            connection.execute("BEGIN")
        if _applied(mine) != _applied(anew):
            return differing(layout, work)
        return [table for table in TABLES if _digest(mine, table) != _digest(anew, table)]


def _digest(connection: sqlite3.Connection, table: str) -> str:
    columns = ", ".join(str(n) for n in range(1, len(connection.execute(f"SELECT * FROM {table}").description) + 1))
    digest = hashlib.sha256()
    for row in connection.execute(f"SELECT * FROM {table} ORDER BY {columns}"):
        digest.update(repr(row).encode())
    return digest.hexdigest()


def _caught_up(path: Path, layout: Layout) -> sqlite3.Connection:
    connection = _usable(path, layout)
    if connection is None:
        log.warning("the state of %s is damaged, or of another journal or format: it is built anew", layout.home)
        for file in path.parent.glob("state.db*"):
            file.unlink(missing_ok=True)
        connection = _usable(path, layout)
    if connection is None:
        raise InvariantBroken(f"状态库 {path} 刚重建就已损坏；请检查磁盘，删除该文件后重试")
    return connection


def _usable(path: Path, layout: Layout) -> sqlite3.Connection | None:
    """Open the database and let it catch up; None where it is damaged or not of this journal and format."""
    connection = sqlite3.connect(path, timeout=_SECONDS, isolation_level=None)
    try:
        _set_up(connection)
        if _fits(connection, layout):
            _catch_up(connection, layout)
            return connection
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # a full disk, a lock that nobody leaves: no damage of the file
            connection.close()
            _probe(path)
            raise
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def _probe(path: Path) -> None:
    """Write beside the database as SQLite may have, which calls a full disk a "disk I/O error". Raises OSError."""
    largest = max((file.stat().st_size for file in path.parent.glob("state.db*")), default=0)
    with tempfile.TemporaryFile(dir=path.parent) as file:
        file.seek(largest)
        file.write(bytes(_ROOM))


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA mmap_size = {1 << 40}")
    connection.execute("PRAGMA temp_store = MEMORY")
    if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        return
    with _writing(connection):
        if not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT}")


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _fits(connection: sqlite3.Connection, layout: Layout) -> bool:
    if connection.execute("PRAGMA user_version").fetchone() != (FORMAT,):
        return False
    head = _applied(connection)
    with suppress(FileNotFoundError):
        return head.order < 0 or head.digest == journal.digest(layout.journal, head.order)
    return False


def _catch_up(connection: sqlite3.Connection, layout: Layout) -> None:
    """Apply what is missing, each entry in a transaction of its own. Done by two at once, it is done once."""
    for head, entry in journal.since(layout.journal, _applied(connection)):
        with _writing(connection):
            if _applied(connection).order == head.order - 1:
                application.apply(connection, layout, Admission.from_json(entry))
                connection.execute("UPDATE meta SET applied = ?, digest = ?", (head.order, head.digest))


def _applied(connection: sqlite3.Connection) -> Head:
    return Head(*connection.execute("SELECT applied, digest FROM meta").fetchone())
