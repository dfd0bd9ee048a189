"""One batch as DuckDB sees it: needs answered together, failing rows, and the plain pass GX is measured against."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import duckdb

from chengxin.errors import InvariantBroken
from chengxin.validate.conditions import Condition, ident, text_literal
from chengxin.validate.metrics import BATCH, Duplicates, Listing, Need, Scalar, condition_of, needs_of


class Scan:
    """A DuckDB connection over the Parquet parts of one batch. Use as a context manager.

    Every need is asked once; all scalar needs that are missing at a time are one SELECT. `passes` counts those SELECTs.
    """

    def __init__(
        self, parts: Sequence[Path], *, memory_limit_mib: int, threads: int, spill: Path | None = None
    ) -> None:
        config: dict[str, Any] = {"memory_limit": f"{memory_limit_mib}MiB", "threads": threads}
        if spill is not None:
            config["temp_directory"] = str(spill)
        self._connection = duckdb.connect(config=config)
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET enable_progress_bar = false")
        self._connection.execute(f"CREATE TEMP VIEW {BATCH} AS SELECT * FROM {_relation(parts)}")
        rows = self._connection.execute(f"DESCRIBE {BATCH}").fetchall()
        self.types: dict[str, str] = {row[0]: row[1] for row in rows}
        self.passes = 0
        self._known: dict[Need, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, needs: Iterable[Need]) -> dict[Need, Any]:
        """Return the result of every need, computing those that were not asked before."""
        wanted = list(dict.fromkeys(needs))
        missing = [need for need in wanted if need not in self._known]
        scalars = [need for need in missing if isinstance(need, Scalar)]
        if scalars:
            row = self._connection.execute(scalar_sql(scalars)).fetchone()
            assert row is not None
            self._known.update(zip(scalars, row, strict=True))
            self.passes += 1
        for need in missing:
            if isinstance(need, Duplicates):
                row = self._connection.execute(duplicates_sql(need)).fetchone()
                assert row is not None
                self._known[need] = row[0]
            elif isinstance(need, Listing):
                found = self._connection.execute(need.sql).fetchall()
                self._known[need] = [value for (value,) in found]
        return {need: self._known[need] for need in wanted}

    def failing_rows(self, expectation: Mapping[str, Any], limit: int) -> list[tuple[str, int]]:
        """Return source file and row of the first rows that break a map rule; nothing for other rules."""
        condition = condition_of(expectation, self.types)
        if condition is None or not {"source_file", "source_row"} <= self.types.keys():
            return []
        order = "row_id" if "row_id" in self.types else "source_file, source_row"
        query = f"SELECT source_file, source_row FROM {_failing(condition)} ORDER BY {order} LIMIT {int(limit)}"
        return [(str(file), int(row)) for file, row in self._connection.execute(query).fetchall()]


def failing_rows(parts: Sequence[Path], expectation: Mapping[str, Any], limit: int = 20) -> list[tuple[str, int]]:
    """Return (source_file, source_row) of the first rows that break an expectation, in the order of the batch."""
    with Scan(parts, memory_limit_mib=1024, threads=1) as scan:
        return scan.failing_rows(expectation, limit)


def plain_sql(suite: Mapping[str, Any], parts: Sequence[Path]) -> list[str]:
    """Return the same rules as plain DuckDB statements, for measuring what GX adds. Run them in order."""
    with Scan(parts, memory_limit_mib=256, threads=1) as scan:
        needs = list(dict.fromkeys(n for e in suite["expectations"] for n in needs_of(e, scan.types)))
    scalars = [n for n in needs if isinstance(n, Scalar)]
    return [
        f"CREATE OR REPLACE TEMP VIEW {BATCH} AS SELECT * FROM {_relation(parts)}",
        *([scalar_sql(scalars)] if scalars else []),
        *(duplicates_sql(n) for n in needs if isinstance(n, Duplicates)),
        *(n.sql for n in needs if isinstance(n, Listing)),
    ]


def scalar_sql(needs: Sequence[Scalar]) -> str:
    """Return one SELECT for many aggregates."""
    return f"SELECT {', '.join(need.sql for need in needs)} FROM {BATCH}"


def duplicates_sql(need: Duplicates) -> str:
    """Return the query that counts rows with a key that occurs more than once.

    Keys are grouped by their hash first, which is narrow; only rows whose hash repeats are compared in full. The count
    is exact: equal keys have equal hashes.
    """
    columns = ", ".join(ident(key) for key in need.keys)
    where = f"WHERE {need.where}" if need.where else ""
    return (
        f"WITH twice AS MATERIALIZED (SELECT hash({columns}) AS h FROM {BATCH} {where} GROUP BY 1 HAVING count(*) > 1) "
        f"SELECT coalesce(sum(n), 0)::BIGINT FROM (SELECT count(*) AS n "
        f"FROM (SELECT {columns} FROM {BATCH} {where}) AS b SEMI JOIN twice ON hash({columns}) = twice.h "
        f"GROUP BY {columns} HAVING count(*) > 1)"
    )


def _failing(condition: Condition) -> str:
    where = f"WHERE {condition.domain}" if condition.domain else ""
    if not condition.keys:
        clause = (
            f"({condition.unexpected})" if not condition.domain else f"({condition.domain}) AND {condition.unexpected}"
        )
        return f"(SELECT * FROM {BATCH} WHERE {clause})"
    columns = ", ".join(ident(key) for key in condition.keys)
    same = " AND ".join(f"b.{ident(key)} IS NOT DISTINCT FROM k.{ident(key)}" for key in condition.keys)
    repeated = f"SELECT {columns} FROM {BATCH} {where} GROUP BY {columns} HAVING count(*) > 1"
    return f"(SELECT b.* FROM (SELECT * FROM {BATCH} {where}) AS b SEMI JOIN ({repeated}) AS k ON {same})"


def _relation(parts: Sequence[Path]) -> str:
    if not parts:
        raise InvariantBroken("没有可供校验的标准化文件")
    return f"read_parquet([{', '.join(text_literal(str(part)) for part in parts)}])"
