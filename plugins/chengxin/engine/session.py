"""The only import of DuckDB: connections with a bounded memory, and sessions that run steps."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeAlias

import duckdb
import pyarrow as pa

from chengxin.engine.step import Schema, Step, identifier, literal
from chengxin.facts import Resources
from chengxin.store.atomic import write_bytes
from chengxin.store.scratch import scratch

__all__ = ["Connection", "Session", "connect", "create_table", "literal", "parquet", "session"]

Connection: TypeAlias = duckdb.DuckDBPyConnection
log = logging.getLogger(__name__)


def connect(resources: Resources, *, spill: Path | None = None, zone: str = "UTC", ordered: bool = True) -> Connection:
    """Open an in-memory DuckDB.

    spill: folder for what does not fit into memory. zone: in which instants become days. ordered: rows come in the
    order of their files where nothing else is asked.
    """
    config: dict[str, str | int | bool] = {
        "memory_limit": f"{resources.memory_limit_mib}MiB",
        "threads": resources.threads,
        "preserve_insertion_order": ordered,
    }
    if spill is not None:
        config["temp_directory"] = str(spill)
    connection = duckdb.connect(config=config)
    connection.execute(f"SET TimeZone = {literal(zone)}")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET parquet_metadata_cache = true")  # naming files as an input reads their footers, too
    return connection


class Session:
    """Runs steps and keeps what they leave. No table is changed: a later step of its name replaces it as a whole.

    plans: folder for the plan of each step that runs, with figures (EXPLAIN ANALYZE, which runs the step twice); plans
    show values, so they are no log. None = no plans.
    """

    def __init__(self, connection: Connection, plans: Path | None = None) -> None:
        self.connection = connection
        self._plans = plans
        self._left: set[str] = set()
        self._ran = 0

    @classmethod
    def open(
        cls, resources: Resources, *, spill: Path | None = None, zone: str = "UTC", ordered: bool = True
    ) -> "Session":
        """Open a session of its own; see `connect`. Use it as a context manager, or close it."""
        return cls(connect(resources, spill=spill, zone=zone, ordered=ordered), resources.plans)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all that steps left."""
        self.connection.close()

    def branch(self) -> "Session":
        """Return a session in the same engine for another thread; it has inputs and steps of its own."""
        return Session(self.connection.cursor(), self._plans)

    def rows(self, name: str, rows: pa.Table) -> None:
        """Take an Arrow table as the input `name`."""
        create_table(self.connection, identifier(name), rows)
        self._left.add(name)

    def files(
        self, name: str, paths: Sequence[Path], schema: Schema | pa.Schema | None = None, *, filename: bool = False
    ) -> None:
        """Take Parquet files as the input `name`; where there are none, an empty table of this schema.

        filename: add the column `filename`, the path of the file of each row.
        """
        assert paths or schema, f"{name}: no file, and no schema to be empty with"
        rows = f"FROM {parquet(paths, filename=filename)}" if paths else ""
        if isinstance(schema, pa.Schema) and not paths:
            self.connection.register(f"no_{name}", schema.empty_table())
            rows = f"FROM {identifier(f'no_{name}')}"
        elif schema and not paths:
            rows = schema.empty
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {identifier(name)} AS {rows}")
        self._left.add(name)

    def leave(self, step: Step, schema: Schema | None = None) -> int:
        """Run a step and keep its rows as a table; return how many there are. schema: what its columns must be."""
        name = identifier(step.name)
        rows = int(self._run(step, f"CREATE OR REPLACE TEMP TABLE {name} AS {step.sql}").fetchall()[0][0])
        self._left.add(step.name)
        self._ended(step, rows)
        if schema:
            schema.check(step.name, self.columns(step.name))
        return rows

    def view(self, step: Step) -> None:
        """Name a step that is worked out where it is read."""
        step.check(self._left)
        if step.given:
            raise ValueError(f"step {step.name}: a view takes no values")
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {identifier(step.name)} AS {step.sql}")
        self._left.add(step.name)
        log.debug("step %s: named", step.name)

    def write(self, step: Step, path: Path, compression: str = "snappy") -> int:
        """Run a step into a Parquet file; return how many rows it has."""
        target = f"TO {literal(str(path))} (FORMAT parquet, COMPRESSION {compression})"
        rows = int(self._run(step, f"COPY ({step.sql}) {target}").fetchall()[0][0])
        self._ended(step, rows)
        return rows

    def write_any(self, step: Step, path: Path) -> list[Path]:
        """Run a step into a Parquet file that is left only where it has rows; return the files that are there."""
        if self.write(step, path):
            return [path]
        path.unlink()
        return []

    def fetch(self, step: Step) -> list[tuple[Any, ...]]:
        """Run a step and return its rows."""
        found: list[tuple[Any, ...]] = self._run(step, step.sql).fetchall()
        self._ended(step, len(found))
        return found

    def table(self, step: Step) -> pa.Table:
        """Run a step and return its rows as Arrow."""
        found = self._relation(step).to_arrow_table()
        self._ended(step, found.num_rows)
        return found

    def reader(self, step: Step, rows: int) -> pa.RecordBatchReader:
        """Run a step and stream its rows as Arrow, about so many at a time."""
        found = self._relation(step).to_arrow_reader(rows)
        log.debug("step %s: read as a stream", step.name)
        return found

    def count(self, table: str, where: str = "true") -> int:
        """Count the rows of a table."""
        query = f"SELECT count(*) FROM {identifier(table)} WHERE {where}"
        return int(self.fetch(Step(f"{table}_counted", (table,), query))[0][0])

    def columns(self, table: str) -> dict[str, str]:
        """Return the columns of a table: name -> SQL type."""
        described = self.connection.table(identifier(table))
        return {name: str(kind) for name, kind in zip(described.columns, described.types, strict=True)}

    def _relation(self, step: Step) -> duckdb.DuckDBPyRelation:
        """Ordered reads go through `sql`: `execute` gives rows in another order than asked, where order is not kept."""
        self._begun(step)
        return self.connection.sql(step.sql, params=step.given)

    def _run(self, step: Step, statement: str) -> Connection:
        self._begun(step)
        return self.connection.execute(statement, step.given)

    def _begun(self, step: Step) -> None:
        step.check(self._left)
        if self._plans is not None:
            self._ran += 1
            plan = self.connection.execute(f"EXPLAIN ANALYZE {step.sql}", step.given).fetchall()[0][1]
            self._plans.mkdir(parents=True, exist_ok=True)
            write_bytes(self._plans / f"{time.time_ns()}-{self._ran:03}-{step.name}.txt", str(plan).encode())
        self._since = time.perf_counter()

    def _ended(self, step: Step, rows: int) -> None:
        log.debug("step %s: %d rows in %.3f s", step.name, rows, time.perf_counter() - self._since)


@contextmanager
def session(work: Path, resources: Resources) -> Iterator[Session]:
    """Open a session in memory that spills below `work`. Results do not depend on its resources or the time zone."""
    with scratch(work) as spill, Session.open(resources, spill=spill, ordered=False) as opened:
        yield opened


def create_table(connection: Connection, name: str, rows: pa.Table) -> None:
    """Create the temp table `name` with these rows. Inserted row by row, each costs a millisecond."""
    connection.register("given_rows", rows)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM given_rows")
    connection.unregister("given_rows")


def parquet(paths: Sequence[Path], *, filename: bool = False) -> str:
    """Return the SQL that reads these files as one table; column names decide, not positions, nor names of folders.

    filename: add the column `filename`, the path of the file of each row.
    """
    names = ", ".join(literal(str(p)) for p in paths)
    more = ", filename = true" if filename else ""
    return f"read_parquet([{names}], union_by_name = true, hive_partitioning = false{more})"
