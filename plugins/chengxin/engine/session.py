"""The only import of DuckDB: connections with a bounded memory, and SQL for files and declared texts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import duckdb
import pyarrow as pa

from chengxin.store.scratch import scratch

Connection: TypeAlias = duckdb.DuckDBPyConnection


def connect(
    *, memory_limit_mib: int, threads: int = 1, spill: Path | None = None, zone: str = "UTC", ordered: bool = True
) -> Connection:
    """Open an in-memory DuckDB.

    spill: folder for what does not fit into memory. zone: in which instants become days. ordered: rows come in the
    order of their files where nothing else is asked.
    """
    config: dict[str, str | int | bool] = {
        "memory_limit": f"{memory_limit_mib}MiB",
        "threads": threads,
        "preserve_insertion_order": ordered,
    }
    if spill is not None:
        config["temp_directory"] = str(spill)
    connection = duckdb.connect(config=config)
    connection.execute(f"SET TimeZone = '{zone}'")
    return connection


@contextmanager
def session(work: Path, *, memory_limit_mib: int, threads: int) -> Iterator[Connection]:
    """Open an in-memory DuckDB that spills below `work`. Results do not depend on its threads, memory or time zone."""
    with scratch(work) as spill:
        connection = connect(memory_limit_mib=memory_limit_mib, threads=threads, spill=spill, ordered=False)
        try:
            yield connection
        finally:
            connection.close()


def create_table(connection: Connection, name: str, rows: pa.Table) -> None:
    """Create the temp table `name` with these rows. Inserted row by row, each costs a millisecond."""
    connection.register("given_rows", rows)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM given_rows")
    connection.unregister("given_rows")


def parquet(paths: Sequence[Path], *, filename: bool = False) -> str:
    """Return the SQL that reads these files as one table; column names decide, not positions.

    filename: add the column `filename`, the path of the file of each row.
    """
    names = ", ".join(literal(str(p)) for p in paths)
    return f"read_parquet([{names}], union_by_name = true{', filename = true' if filename else ''})"


def literal(text: str) -> str:
    """Quote a declared text for SQL."""
    return "'" + text.replace("'", "''") + "'"
