"""The accounts of batches, by data set, so that nobody parses the whole journal for a few: state/accounts.db.

Where the folder cannot be written (a home on a read-only disk) the same tables are built in memory.
"""

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from functools import cached_property, partial
from typing import Any

import pyarrow as pa

from chengxin.facts import COUNTS, Admission, Release, as_json
from chengxin.model.kinds import kinds
from chengxin.state.database import MEMORY, Derivation, applied, opened
from chengxin.store.journal import Head
from chengxin.store.layout import Layout

log = logging.getLogger(__name__)
#: Runs SQL with values over the tables and returns the rows.
Query = Callable[..., list[tuple[Any, ...]]]
#: Parses an entry of the journal; raises where it is damaged or of another format.
Parse = Callable[[Layout, Head, dict[str, Any]], Admission]
#: registered, founded, grown: up to this entry, how many rows registered something, how many subjects there are, and
#: the last entry that registered something. entry: as JSON.
#: files, released: as JSON, beside them.
_SHORT = (
    *("dataset", "batch_id", "revision", "department", "kind", "share", "received_at", "route", "withdrawn"),
    *COUNTS,
)
SCHEMA = (
    f"""CREATE TABLE accounts (adm_order INTEGER PRIMARY KEY, {", ".join(_SHORT)}, files, released,
        registers INTEGER NOT NULL, registered INTEGER NOT NULL, founded INTEGER NOT NULL,
        grown INTEGER NOT NULL, digest TEXT NOT NULL, entry TEXT NOT NULL)""",
    "CREATE INDEX of_dataset ON accounts (dataset, batch_id)",
    "CREATE INDEX of_route ON accounts (route) WHERE route IS NOT NULL",
    "CREATE INDEX of_register ON accounts (adm_order) WHERE registers",
    """CREATE TABLE batches (dataset TEXT, batch_id TEXT, last INTEGER NOT NULL, unlinked INTEGER NOT NULL,
        received_at TEXT NOT NULL, counts TEXT NOT NULL, PRIMARY KEY (dataset, batch_id)) WITHOUT ROWID""",
    "CREATE INDEX waiting ON batches (last) WHERE unlinked",
)
_AT_ONCE = 1_000  # entries
COUNTED = pa.schema(
    [("dataset", pa.string()), ("batch_id", pa.string()), ("order", pa.int64())]
    + [(name, pa.int64()) for name in COUNTS]
)


class _Stored(Admission):
    """An account of which the tables have the short fields (_SHORT); the rest is parsed when some of it is asked for.

    A publication asks of all batches for no more than what is short.
    """

    def __getattr__(self, name: str) -> Any:
        if entry := self.__dict__.pop("entry", None):
            self.__dict__.update(vars(Admission.from_json(json.loads(entry))))
        if name not in self.__dict__:
            raise AttributeError(name)
        return self.__dict__[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Admission) and as_json(self) == as_json(other)

    __hash__ = None  # type: ignore[assignment]


class Accounts:
    """The accounts up to one entry: what is admitted meanwhile is not seen. Several of one batch are its revisions.

    The file is open only while it is asked: a connection of Python 3.11 refers to itself, so it would stay open until
    the collector runs, and a finaliser in its place would swallow an interrupt. query: asks the tables.
    """

    def __init__(self, head: Head, query: Query) -> None:
        self.head, self._rows = head, query
        self._known: dict[str, tuple[Admission, ...]] = {}

    @property
    def next_order(self) -> int:
        """The place that the next admission takes."""
        return self.head.order + 1

    @cached_property
    def newest(self) -> Admission | None:
        """The last entry."""
        found = self._parsed("WHERE adm_order = ?", self.head.order)
        return found[0] if found else None

    def at(self, order: int) -> Head:
        """Return where the journal ended at the admission of this order; an empty journal where there is none."""
        if order == self.head.order:
            return self.head
        rows = self._rows("SELECT adm_order, digest FROM accounts WHERE adm_order = ?", order)
        return next((Head(*row) for row in rows), Head())

    def since(self, order: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Give the entries after this one as they stand in the journal, each with its place."""
        query = "SELECT adm_order, entry FROM accounts WHERE adm_order > ? AND adm_order <= ? ORDER BY 1 LIMIT ?"
        while rows := self._rows(query, order, self.head.order, _AT_ONCE):
            yield from ((number, json.loads(entry)) for number, entry in rows)
            order = rows[-1][0]

    def table(self) -> pa.Table:
        """Return the present account (COUNTED) of every admitted batch, in order."""
        query = "SELECT dataset, batch_id, last, counts FROM batches ORDER BY last"
        rows = [(*place, *json.loads(counts)) for *place, counts in self._rows(query)]
        columns = zip(*rows, strict=True) if rows else [()] * len(COUNTED)
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, COUNTED, strict=True)], schema=COUNTED)

    def sums(self) -> dict[str, dict[str, Any]]:
        """Return by data set its `batches`, the sums of their counts, and `last`, the instant that one came last."""
        found: dict[str, dict[str, Any]] = {}
        for dataset, received_at, counts in self._rows("SELECT dataset, received_at, counts FROM batches"):
            mine = found.setdefault(dataset, {"batches": 0, "last": [], **dict.fromkeys(COUNTS, 0)})
            mine["batches"] += 1
            mine["last"] = [max([*mine["last"], datetime.fromisoformat(received_at)])]
            for name, rows in zip(COUNTS, json.loads(counts), strict=True):
                mine[name] += rows
        return found

    def all(self) -> tuple[Admission, ...]:
        """Return every account in order."""
        return self._parsed("WHERE adm_order <= ? ORDER BY adm_order", self.head.order)

    def datasets(self) -> list[str]:
        """Return the data sets with accounts, sorted."""
        return [dataset for (dataset,) in self._rows("SELECT DISTINCT dataset FROM batches ORDER BY 1")]

    def batches(self, dataset: str) -> set[str]:
        """Return the admitted batches of a data set."""
        query = "SELECT DISTINCT batch_id FROM accounts WHERE dataset = ? AND adm_order <= ?"
        return {b for (b,) in self._rows(query, dataset, self.head.order)}

    def account(self, dataset: str, batch_id: str) -> Admission | None:
        """Return the present account of a batch; None while it is not admitted."""
        newest = "WHERE dataset = ? AND batch_id = ? AND adm_order <= ? ORDER BY adm_order DESC LIMIT 1"
        found = self._parsed(newest, dataset, batch_id, self.head.order)
        return found[0] if found else None

    def of(self, dataset: str) -> tuple[Admission, ...]:
        """Return all accounts of a data set, in order."""
        if dataset not in self._known:
            self._known[dataset] = self._parsed(
                "WHERE dataset = ? AND adm_order <= ? ORDER BY adm_order", dataset, self.head.order
            )
        return self._known[dataset]

    def latest(self, dataset: str) -> dict[str, Admission]:
        """Return the present account of each admitted batch of a data set."""
        return {a.batch_id: a for a in self.of(dataset)}

    def waiting(self) -> tuple[Admission, ...]:
        """Return the present accounts of batches with waiting rows, in order."""
        found = "(SELECT last FROM batches INDEXED BY waiting WHERE unlinked)"
        return self._parsed(f"WHERE adm_order IN {found} ORDER BY adm_order")

    def by_route(self, route: str) -> tuple[Admission, ...]:
        """Return the accounts of a group of routes, in order."""
        where = "INDEXED BY of_route WHERE route = ? AND adm_order <= ? ORDER BY adm_order"
        return self._parsed(where, route, self.head.order)

    def registering(self, dataset: str | None = None, *, after: int = -1) -> tuple[Admission, ...]:
        """Return the accounts after this order that may have added to the registry, in order."""
        if dataset is None:
            where = "INDEXED BY of_register WHERE registers AND adm_order > ? AND adm_order <= ? ORDER BY adm_order"
            return self._parsed(where, after, self.head.order)
        return tuple(a for a in self.of(dataset) if registers(a))

    def registered(self) -> int:
        """Return how many rows registered something."""
        return self._total("registered")

    def founded(self) -> int:
        """Return how many subjects there are."""
        return self._total("founded")

    def grown(self) -> int:
        """Return the place of the last admission that registered something; -1 before there is one."""
        return self._total("grown", -1)

    def _total(self, column: str, none: int = 0) -> int:
        rows = self._rows(f"SELECT {column} FROM accounts WHERE adm_order = ?", self.head.order)
        return int(rows[0][0]) if rows else none

    def _parsed(self, where: str, *values: Any) -> tuple[Admission, ...]:
        rows = self._rows(
            f"SELECT adm_order, {', '.join(_SHORT)}, files, released, entry FROM accounts {where}", *values
        )
        return tuple(map(_stored, rows))


def _stored(row: tuple[Any, ...]) -> Admission:
    *short, files, released, entry = row
    found = object.__new__(_Stored)
    found.__dict__.update(zip(("order", *_SHORT), short, strict=True))
    let_in = Release(**json.loads(released)) if released else None
    found.__dict__.update(files=tuple(json.loads(files)), released=let_in, entry=entry)
    return found


def accounts_of(layout: Layout, parse: Parse) -> Accounts:
    """Return the accounts of a home as they are now. Raises what `parse` and store.journal.since raise."""
    derivation = Derivation("accounts.db", 3, SCHEMA, partial(_apply, parse), _AT_ONCE)
    if layout.journal.is_dir():  # else nothing was admitted: to look creates nothing
        try:
            layout.state.mkdir(parents=True, exist_ok=True)
            return _of_file(layout, derivation)
        except (OSError, sqlite3.OperationalError) as error:
            log.info("%s cannot be written (%s): the accounts are read from the journal", layout.state, error)
    connection = opened(MEMORY, layout, derivation)
    return Accounts(applied(connection), lambda query, *values: connection.execute(query, values).fetchall())


def _of_file(layout: Layout, derivation: Derivation) -> Accounts:
    path = layout.state / derivation.name

    def ask(query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
                return connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError:  # deleted, or built anew, meanwhile
            with closing(opened(path, layout, derivation)) as connection:
                return connection.execute(query, values).fetchall()

    with closing(opened(path, layout, derivation)) as connection:
        return Accounts(applied(connection), ask)


def registers(account: Admission) -> bool:
    """Return whether an admission may have added to the registry."""
    return kinds()[account.kind].registers != "none"


def _apply(parse: Parse, connection: sqlite3.Connection, layout: Layout, head: Head, entry: dict[str, Any]) -> None:
    account = parse(layout, head, entry)
    before = connection.execute(
        "SELECT registered, founded, grown FROM accounts WHERE adm_order = ?", (head.order - 1,)
    ).fetchone()
    registered, founded, grown = before or (0, 0, -1)
    adds = registers(account)
    connection.execute(
        f"INSERT INTO accounts VALUES ({', '.join('?' * (len(_SHORT) + 9))})",
        (
            head.order,
            *(entry.get(name) for name in _SHORT),
            json.dumps(entry["files"], ensure_ascii=False),
            json.dumps(entry["released"]) if entry.get("released") else None,
            adds,
            registered + adds * account.accepted,
            founded + account.new_subjects,
            head.order if adds and account.accepted else grown,
            head.digest,
            json.dumps(entry, ensure_ascii=False, separators=(",", ":")),
        ),
    )
    connection.execute(
        "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?, ?, ?)",
        (
            account.dataset,
            account.batch_id,
            head.order,
            account.unlinked,
            account.received_at,
            json.dumps([entry[n] for n in COUNTS]),
        ),
    )
