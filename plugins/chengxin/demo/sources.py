"""Put the demo deliveries where each contract's connector looks for them."""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from chengxin.clock import Clock
from chengxin.connectors import connector_for
from chengxin.connectors.base import connection_variable
from chengxin.connectors.database.connector import DatabaseOptions
from chengxin.connectors.files.options import FileDropOptions
from chengxin.connectors.http.connector import HttpApiOptions
from chengxin.contracts.models import Contract
from chengxin.demo.rounds import Delivered, before_renaming, deliveries
from chengxin.demo.timetable import CUT_OFF_KIND, Timetable
from chengxin.demo.world import Sizes, World, make_world
from chengxin.demo.writers import file_bytes, objects
from chengxin.home import Home
from chengxin.model.working_days import working_days
from chengxin.publishing import key as open_key
from chengxin.store.atomic import read_json, write_bytes, write_json

SEED = 20261123


@dataclass(frozen=True)
class DemoSources:
    """Where the demo deliveries of a home are.

    environment: variables to set for a run: the inbox and the connections to databases (`DemoServer.environment` has
    these and the HTTP interfaces). interfaces: folder that DemoServer serves; connections: their names.
    """

    home: Path
    environment: dict[str, str]
    files: tuple[Path, ...]
    interfaces: Path
    connections: tuple[str, ...]
    rows: dict[str, int]


def make_demo(home: Home, contracts: Iterable[Contract], *, seed: int = SEED, round: int) -> DemoSources:  # noqa: A002
    """Write what the sources deliver in a round (1 or 2), in full size. Run again over a home, the same bytes.

    The home gets a key of its own for the open tier, so that persons can be shown there.
    """
    open_key.make(home.settings.home)
    return write_sources(home, contracts, seed=seed, number=round, sizes=Sizes())


def write_sources(
    home: Home, contracts: Iterable[Contract], *, seed: int = SEED, number: int, sizes: Sizes
) -> DemoSources:
    """Write the deliveries of round `number` for a world of the given sizes.

    They are dated from the instant at which the demo of this home was first made (the clock, or CHENGXIN_NOW), which
    stands in `<home>/demo`.
    """
    folder = home.settings.home.resolve()
    world, timetable = _world(seed, sizes), _timetable(folder, home.clock)
    world = before_renaming(world) if number == 1 else world
    environment = {"CHENGXIN_INBOX": str(folder / "inbox")}
    (folder / "inbox").mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    connections: set[str] = set()
    rows: dict[str, int] = {}
    for contract in sorted(contracts, key=lambda c: c.id):
        options = connector_for(contract).options(contract)
        delivered = deliveries(contract, world, seed, number, timetable)
        if isinstance(options, HttpApiOptions):
            connections.add(options.connection)
        if isinstance(options, DatabaseOptions):
            environment |= _staging(folder, options)
        if not delivered:
            continue
        rows[contract.id] = sum(len(part) for _, part in delivered)
        if isinstance(options, FileDropOptions):
            files += _drop(folder / "inbox", contract, options, delivered, timetable)
        elif isinstance(options, HttpApiOptions):
            _offer(_interfaces(folder), contract, options, delivered[-1][1])
        elif isinstance(options, DatabaseOptions):
            _stage(folder / "demo" / f"{options.connection}.db", options, delivered[-1][1], number)
    return DemoSources(folder, environment, tuple(files), _interfaces(folder), tuple(sorted(connections)), rows)


def made_sources(home: Path, contracts: Iterable[Contract]) -> DemoSources | None:
    """Return the sources of a home that the demo made, as its last round left them; None for any other home."""
    home = home.resolve()
    if not (home / "demo").is_dir():
        return None
    environment = {"CHENGXIN_INBOX": str(home / "inbox")}
    connections: set[str] = set()
    for contract in contracts:
        options = connector_for(contract).options(contract)
        if isinstance(options, HttpApiOptions):
            connections.add(options.connection)
        if isinstance(options, DatabaseOptions):
            environment |= _staging(home, options)
    return DemoSources(home, environment, (), _interfaces(home), tuple(sorted(connections)), {})


def _staging(home: Path, options: DatabaseOptions) -> dict[str, str]:
    path = home / "demo" / f"{options.connection}.db"
    return {connection_variable(options.connection): f"sqlite:///{path}"}


@lru_cache(maxsize=4)
def _world(seed: int, sizes: Sizes) -> World:
    return make_world(seed, sizes)


def _timetable(home: Path, clock: Clock) -> Timetable:
    """Return when the departments of this home deliver; the first call decides it."""
    path = home / "demo" / "timetable.json"
    if not path.exists():
        write_json(path, {"now": clock.now().isoformat()})
    return Timetable(datetime.fromisoformat(read_json(path)["now"]))


def _interfaces(home: Path) -> Path:
    return home / "demo" / "interfaces"


def _drop(
    inbox: Path,
    contract: Contract,
    options: FileDropOptions,
    delivered: Sequence[tuple[date, Delivered]],
    timetable: Timetable,
) -> list[Path]:
    """Write the files of a source; of one whose upload broke off also the beginning of the next."""
    files, last = [], delivered[-1][0]
    for day, part in delivered:
        data = file_bytes(contract, part)
        if day == last and day < timetable.today and contract.kind == "registration" and contract.file.format == "csv":
            data = with_damaged_tail(data)
        files.append(inbox / options.folder / _file_name(contract, options.pattern, day))
        _write(files[-1], data, timetable.moment(contract, day))
    if contract.kind == CUT_OFF_KIND:
        day = working_days().after(timetable.today, -1)
        path = inbox / options.folder / f"{_file_name(contract, options.pattern, day)}.part"
        _write(path, data[: len(data) * 2 // 3], timetable.moment(contract, day))
    return files


def _write(path: Path, data: bytes, moment: datetime) -> None:
    """Write a file of that age. What is there already stays untouched, so that a run sees that nothing is new."""
    at = int(moment.timestamp())
    if not path.is_file() or path.stat().st_mtime != at or path.read_bytes() != data:
        write_bytes(path, data)
        os.utime(path, (at, at))


def _file_name(contract: Contract, pattern: str, on: date) -> str:
    day = f"{on:%Y%m%d}"
    ending = pattern.rpartition(".")[2] if "." in pattern else contract.file.format
    for name in (
        pattern.replace("*", f"{contract.title}_{day}", 1).replace("*", ""),
        f"{contract.title}_{day}.{ending}",
    ):
        if fnmatchcase(name, pattern):
            return name
    return pattern


def with_damaged_tail(data: bytes) -> bytes:
    """Append what a broken transfer leaves, out of the last rows: one cut short, two run together, one undecodable."""
    lines = data.rstrip(b"\r\n").split(b"\r\n")
    if len(lines) < 6:
        return data
    last = lines[-4:]
    damaged = [
        last[0][: len(last[0]) // 3],
        last[1] + b"," + last[2],
        last[2][:40] + b"\xff\xfe\xff\xff" + last[2][40:],
        last[3][: len(last[3]) // 2],
    ]
    return b"\r\n".join([*lines, *damaged])


def _offer(folder: Path, contract: Contract, options: HttpApiOptions, delivered: Delivered) -> None:
    newest = max(delivered.updated)
    interface = {
        "path": f"{options.connection}/{options.path.strip('/')}",
        "contract": contract.model_dump(mode="json", exclude={"examples"}),
        "modified": newest.astimezone(UTC).isoformat(),
        "updated": [moment.isoformat() for moment in delivered.updated],
        "rows": objects(delivered),
    }
    write_json(folder / f"{contract.id}.json", interface)


def _stage(path: Path, options: DatabaseOptions, delivered: Delivered, number: int) -> None:
    """Fill a staging table: text columns under the contract's headers, as departments build them.

    Round 2 changes rows in place and adds new ones; rows of round 1 that it does not touch stay.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    table = _quoted(options.table)
    columns = ", ".join(f"{_quoted(h)} VARCHAR(255)" for h in delivered.headers)
    keys = " AND ".join(f"{_quoted(key)} = ?" for key in options.keys)
    at = [delivered.headers.index(key) for key in options.keys]
    with closing(sqlite3.connect(path)) as connection, connection:
        if number == 1:
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        rows = delivered.rows()
        if keys:
            connection.executemany(f"DELETE FROM {table} WHERE {keys}", [[row[i] for i in at] for row in rows])
        marks = ", ".join("?" * len(delivered.headers))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
