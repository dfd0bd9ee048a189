"""DuckDB connections with a bounded memory and a spill folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from chengxin.store.scratch import scratch


@contextmanager
def session(work: Path, *, memory_limit_mib: int, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory DuckDB that spills below `work`. Results do not depend on its threads, memory or time zone."""
    with scratch(work) as spill:
        connection = duckdb.connect(
            config={
                "memory_limit": f"{memory_limit_mib}MiB",
                "threads": threads,
                "temp_directory": str(spill),
                "preserve_insertion_order": False,
            }
        )
        try:
            connection.execute("SET TimeZone = 'UTC'")  # a key may hold an instant, and is compared as text
            yield connection
        finally:
            connection.close()


def create_table(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Create the temp table `name` with these rows. Inserted row by row, each costs a millisecond."""
    connection.register("given_rows", rows)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM given_rows")
    connection.unregister("given_rows")


def parquet(paths: Sequence[Path]) -> str:
    """Return the SQL that reads these files as one table; column names decide, not positions."""
    names = ", ".join("'" + str(p).replace("'", "''") + "'" for p in paths)
    return f"read_parquet([{names}], union_by_name = true)"


def literal(text: str) -> str:
    """Quote a declared text for SQL."""
    return "'" + text.replace("'", "''") + "'"
