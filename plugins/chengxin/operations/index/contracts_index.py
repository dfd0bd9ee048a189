"""The contracts in the index: read again only when their file changes."""

import sqlite3
from pathlib import Path

from chengxin.contracts.loader import read_contract


def follow(connection: sqlite3.Connection, folder: Path) -> None:
    """Bring the data sets of the index up to date with the contract files below `folder`."""
    known = dict(connection.execute("SELECT path, stamp FROM dataset UNION ALL SELECT path, stamp FROM problem"))
    present: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.yaml")) if folder.is_dir() else ():
        if path.is_file() and not path.name.startswith("."):
            present[path.relative_to(folder).as_posix()] = path
    for name in known.keys() - present.keys():
        _forget(connection, name)
    for name, path in present.items():
        found = path.stat()
        stamp = f"{found.st_mtime_ns}-{found.st_size}"
        if known.get(name) != stamp:
            _forget(connection, name)
            _read(connection, folder, name, path, stamp)


def _forget(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("DELETE FROM dataset WHERE path = ?", (name,))
    connection.execute("DELETE FROM problem WHERE path = ?", (name,))


def _read(connection: sqlite3.Connection, folder: Path, name: str, path: Path, stamp: str) -> None:
    contract, wrong = read_contract(path, folder)
    if contract is None:
        connection.execute("INSERT OR REPLACE INTO problem VALUES (?, ?, ?)", (name, stamp, "；".join(wrong)))
        return
    connection.execute(
        "INSERT OR REPLACE INTO dataset VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            contract.id,
            contract.title,
            contract.department.code,
            contract.department.name,
            contract.region,
            contract.domain,
            contract.kind,
            contract.delivery.cadence,
            contract.delivery.late_after,
            contract.delivery.mode,
            contract.basis.share,
            name,
            stamp,
            contract.model_dump_json(exclude={"examples"}),
        ),
    )
