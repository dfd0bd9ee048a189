"""What is derived from the journal and kept in SQLite. Each file may be deleted at any time; it is built anew.

    <home>/state/state.db      registry, versions of records: `caught_up`
    <home>/state/accounts.db   the accounts of batches: state.accounts

Writing them costs no fsync a batch: what a power cut takes from one is applied again from the journal, which is the
truth. Whoever needs one lets it catch up first; SQLite's own lock keeps two writers apart. A file that was made by
another format, by another journal (a home restored from a backup), or that is damaged, is deleted and built anew.
"""

import hashlib
import logging
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from chengxin.errors import InvariantBroken
from chengxin.facts import Admission
from chengxin.state import application
from chengxin.state.application import SCHEMA, TABLES
from chengxin.store import journal
from chengxin.store.journal import Head
from chengxin.store.layout import Layout

log = logging.getLogger(__name__)
MEMORY = Path(":memory:")
_SECONDS = 600.0  # to wait for another process that catches up
_ROOM = 1 << 20  # bytes: more than a transaction asks for at once
_NOW = {"meta", "waits"}  # of the newest entries only
_META = ("CREATE TABLE meta (applied INTEGER NOT NULL, digest TEXT NOT NULL)", "INSERT INTO meta VALUES (-1, '')")


@dataclass(frozen=True)
class Derivation:
    """One file: its name, format and tables, and what enters an entry of the journal, so many in a transaction."""

    name: str
    format: int
    schema: tuple[str, ...]
    apply: Callable[[sqlite3.Connection, Layout, Head, dict[str, Any]], None]
    at_once: int = 1


def _apply(connection: sqlite3.Connection, layout: Layout, _: Head, entry: dict[str, Any]) -> None:
    application.apply(connection, layout, Admission.from_json(entry))


STATE = Derivation("state.db", 2, SCHEMA, _apply)  # an admission may bring millions of rows


@contextmanager
def caught_up(layout: Layout, folder: Path | None = None) -> Iterator[sqlite3.Connection]:
    """Open the state of a home with every entry of its journal applied. folder: where it lies, if not in the home."""
    path = (folder or layout.state) / STATE.name
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = opened(path, layout, STATE)
    try:
        yield connection
    finally:
        connection.close()


def lacks(layout: Layout, rows: int) -> bool:
    """Return whether admissions of more than so many settled rows are still to be applied to the state of a home."""
    head, address = Head(), f"{(layout.state / STATE.name).absolute().as_uri()}?mode=rw"
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(address, uri=True)) as state:
        head = applied(state) if _fits(state, layout, STATE) else head
    for _, entry in journal.since(layout.journal, head):
        rows -= entry["accepted"] + entry["duplicate"]
        if rows < 0:
            return True
    return False


def differing(layout: Layout, work: Path) -> list[str]:
    """Build the state a second time below `work` and return the tables in which the home's own differs from it."""
    with caught_up(layout) as mine, caught_up(layout, work) as anew:
        # Both as they were at one moment: another process may go on admitting.
        for connection in (mine, anew):
            connection.execute("BEGIN")
        if applied(mine) != applied(anew):
            return differing(layout, work)
        return [table for table in TABLES if _digest(mine, table) != _digest(anew, table)]


def doubtful(layout: Layout, orders: Iterable[int]) -> list[int]:
    """Derive these admissions anew and return those of which the state lacks something, or holds it otherwise."""
    with caught_up(layout) as state:
        return [order for order in orders if not _holds(state, layout, order)]


def _holds(state: sqlite3.Connection, layout: Layout, order: int) -> bool:
    anew = sqlite3.connect(MEMORY, isolation_level=None)
    try:
        _set_up(anew, STATE)
        _apply(anew, layout, Head(order), journal.chained(layout.journal, order))
        return all(_has_rows(state, anew, table) for table in TABLES if table not in _NOW)
    finally:
        anew.close()


def _has_rows(state: sqlite3.Connection, anew: sqlite3.Connection, table: str) -> bool:
    """Return whether the state has all these rows, but for when a later admission ended them."""
    columns = [c for _, c, *_ in anew.execute(f"PRAGMA table_info({table})") if c != "known_to"]
    found = f"SELECT 1 FROM {table} WHERE {' AND '.join(f'{c} IS ?' for c in columns)}"
    rows = anew.execute(f"SELECT {', '.join(columns)} FROM {table}")
    return all(state.execute(found, row).fetchone() for row in rows)


def _digest(connection: sqlite3.Connection, table: str) -> str:
    columns = ", ".join(str(n) for n in range(1, len(connection.execute(f"SELECT * FROM {table}").description) + 1))
    digest = hashlib.sha256()
    for row in connection.execute(f"SELECT * FROM {table} ORDER BY {columns}"):
        digest.update(repr(row).encode())
    return digest.hexdigest()


def opened(path: Path, layout: Layout, derivation: Derivation) -> sqlite3.Connection:
    """Open one file, or MEMORY, with every entry of the journal applied; a file that does not fit is built anew."""
    connection = _usable(path, layout, derivation)
    if connection is None:
        log.warning("%s is damaged, or of another journal or format: it is built anew", path)
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink(missing_ok=True)
        connection = _usable(path, layout, derivation)
    if connection is None:
        raise InvariantBroken(f"状态库 {path} 刚重建就已损坏；请检查磁盘，删除该文件后重试")
    return connection


def _usable(path: Path, layout: Layout, derivation: Derivation) -> sqlite3.Connection | None:
    """Open the database and let it catch up; None where it is damaged or not of this journal and format."""
    # Closed by whichever thread lets go of it last.
    connection = sqlite3.connect(path, timeout=_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _set_up(connection, derivation)
        if _fits(connection, layout, derivation):
            _catch_up(connection, layout, derivation)
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
    largest = max((file.stat().st_size for file in path.parent.glob(f"{path.name}*")), default=0)
    with tempfile.TemporaryFile(dir=path.parent) as file:
        file.seek(largest)
        file.write(bytes(_ROOM))


def _set_up(connection: sqlite3.Connection, derivation: Derivation) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA mmap_size = {1 << 40}")
    connection.execute("PRAGMA temp_store = MEMORY")
    if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        return
    with _writing(connection):
        if not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
            for statement in (*_META, *derivation.schema):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {derivation.format}")


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


def _fits(connection: sqlite3.Connection, layout: Layout, derivation: Derivation) -> bool:
    if connection.execute("PRAGMA user_version").fetchone() != (derivation.format,):
        return False
    head = applied(connection)
    with suppress(FileNotFoundError):
        return head.order < 0 or head.digest == journal.digest(layout.journal, head.order)
    return False


def _catch_up(connection: sqlite3.Connection, layout: Layout, derivation: Derivation) -> None:
    """Apply what is missing. Done by two at once, it is done once."""
    entries = journal.since(layout.journal, applied(connection))
    while group := list(islice(entries, derivation.at_once)):
        with _writing(connection):
            here = applied(connection)
            for head, entry in group:
                if here.order == head.order - 1:
                    derivation.apply(connection, layout, head, entry)
                    here = head
            connection.execute("UPDATE meta SET applied = ?, digest = ?", (here.order, here.digest))


def applied(connection: sqlite3.Connection) -> Head:
    """Return the last entry that was applied."""
    return Head(*connection.execute("SELECT applied, digest FROM meta").fetchone())
