"""One batch as DuckDB sees it: needs answered together, failing rows, and the plain pass GX is measured against."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.engine.session import Session, parquet
from chengxin.engine.step import Step
from chengxin.errors import InvariantBroken
from chengxin.facts import Resources
from chengxin.quality.conditions import Condition, both, ident
from chengxin.quality.metrics import BATCH, Duplicates, Listing, Need, Scalar, condition_of, needs_of
from chengxin.store.repeats import Digests, repeated

RowRef = tuple[str, int]
KNOWN_SUBJECT = "is_known_subject"
DELIVERY_STATUS = "delivery_status_code"
_AT_ONCE = 122_880  # rows
_NOT_DELETED = f" WHERE {DELIVERY_STATUS} IS DISTINCT FROM '2'"


class Scan:
    """A session over the Parquet parts of one batch. Use as a context manager.

    Every need is asked once; all scalar needs that are missing at a time are one SELECT. `passes` counts those SELECTs.
    registry: identifier files of the subject registry; with them a batch has the column is_known_subject.
    without_deletions: leave out rows that the source marks as deleted: they need no more than the key of their record.
    """

    def __init__(
        self,
        parts: Sequence[Path],
        resources: Resources,
        *,
        spill: Path | None = None,
        registry: Sequence[Path] = (),
        without_deletions: bool = False,
    ) -> None:
        if not parts:
            raise InvariantBroken("没有可供校验的标准化文件")
        self._steps = Session.open(resources, spill=spill)
        self._steps.files("parts", parts)
        reads = ["parts"]
        if registry:
            self._steps.files("registry", registry)
            self._steps.leave(Step("known_subject", ("registry", "parts"), _known_sql("registry", "parts")))
            reads.append("known_subject")
        sql = _batch_sql("parts", is_related=bool(registry))
        self._steps.view(Step(BATCH, tuple(reads), sql + (_NOT_DELETED if without_deletions else "")))
        self.types: dict[str, str] = self._steps.columns(BATCH)
        self.passes = 0
        self._rows = sum(pq.read_metadata(part).num_rows for part in parts)
        self._known: dict[Need, Any] = {}
        self._suspects: dict[tuple[tuple[str, ...], str | None], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._steps.close()

    def ask(self, needs: Iterable[Need]) -> dict[Need, Any]:
        """Return the result of every need, computing those that were not asked before."""
        wanted = list(dict.fromkeys(needs))
        missing = [need for need in wanted if need not in self._known]
        scalars = [need for need in missing if isinstance(need, Scalar)]
        if scalars:
            row = self._steps.fetch(Step("aggregates", (BATCH,), scalar_sql(scalars)))[0]
            self._known.update(zip(scalars, row, strict=True))
            self.passes += 1
        for need in missing:
            if isinstance(need, Duplicates):
                suspects = self._suspected(need.keys, need.where)
                counted = Step(f"{suspects}_repeated", (suspects,), _count_repeated(suspects, need))
                self._known[need] = self._steps.fetch(counted)[0][0]
            elif isinstance(need, Listing):
                found = self._steps.fetch(Step("listed", (BATCH,), need.sql))
                self._known[need] = [value for (value,) in found]
        return {need: self._known[need] for need in wanted}

    def _suspected(self, keys: Sequence[str], where: str | None) -> str:
        """Return a table of the rows whose key may occur more than once; asked twice, it is made once."""
        asked = (tuple(keys), where)
        if asked not in self._suspects:
            name = f"suspects_{len(self._suspects)}"
            more = ", source_file AS f, source_row AS r" if {"source_file", "source_row"} <= self.types.keys() else ""
            more += ", row_id AS place" if "row_id" in self.types else ", (f, r) AS place" if more else ""
            twice = pa.table({"h": self._repeated(keys, where)})
            rows = _suspects(keys, where, more) if len(twice) else f"({_keys(keys, where, more)} LIMIT 0)"
            self._steps.rows("twice", twice)
            self._steps.leave(Step(name, (BATCH, "twice"), f"SELECT * FROM {rows}"))
            self._suspects[asked] = name
        return self._suspects[asked]

    def _repeated(self, keys: Sequence[str], where: str | None) -> Digests:
        """Return the digests of keys that more than one row has: all that have to be compared in full."""

        def share(n: int, of: int) -> Iterator[Digests]:
            mine = both(where, f"{_hash(keys)} % {of} = {n}") if of > 1 else where
            digests = Step("digests", (BATCH,), f"SELECT {_hash(keys)} AS h FROM {BATCH} {_where(mine)}")
            yield from (batch.column(0).to_numpy() for batch in self._steps.reader(digests, _AT_ONCE))

        return repeated(share, self._rows)

    def failing_rows(self, expectations: Sequence[Mapping[str, Any]], limit: int) -> list[list[RowRef]]:
        """Return for each expectation source file and row of the first rows that break it; none where no row does.

        All row rules are one scan; a uniqueness rule is a query of its own.
        """
        found: list[list[RowRef]] = [[] for _ in expectations]
        if not {"source_file", "source_row"} <= self.types.keys():
            return found
        order = "row_id" if "row_id" in self.types else "(source_file, source_row)"
        asked: dict[int, str] = {}
        for n, expectation in enumerate(expectations):
            condition = condition_of(expectation, self.types)
            if condition is not None and condition.keys:
                suspects = self._suspected(condition.keys, condition.domain)
                sql = repeated_sql(suspects, condition, limit)
                found[n] = _rows(self._steps.fetch(Step(f"{suspects}_failing", (suspects,), sql)))
            elif condition is not None:
                where = both(condition.domain, condition.unexpected)
                asked[n] = f"arg_min((source_file, source_row), {order}, {int(limit)}) FILTER (WHERE {where})"
        if asked:
            sql = f"SELECT {', '.join(asked.values())} FROM {BATCH}"
            row = self._steps.fetch(Step("failing", (BATCH,), sql))[0]
            for n, listed in zip(asked, row, strict=True):
                found[n] = _rows(listed or [])
        return found


def failing_rows(parts: Sequence[Path], expectation: Mapping[str, Any], limit: int = 20) -> list[RowRef]:
    """Return (source_file, source_row) of the first rows that break an expectation, in the order of the batch."""
    with Scan(parts, Resources(memory_limit_mib=1024)) as scan:
        return scan.failing_rows([expectation], limit)[0]


def plain_sql(suite: Mapping[str, Any], parts: Sequence[Path], registry: Sequence[Path] = ()) -> list[str]:
    """Return the same rules as plain DuckDB statements, for measuring what GX adds. Run them in order."""
    with Scan(parts, Resources(memory_limit_mib=256), registry=registry) as scan:
        needs = list(dict.fromkeys(n for e in suite["expectations"] for n in needs_of(e, scan.types)))
    scalars = [n for n in needs if isinstance(n, Scalar)]
    return [
        *_views(parts, registry),
        *([scalar_sql(scalars)] if scalars else []),
        *(duplicates_sql(n) for n in needs if isinstance(n, Duplicates)),
        *(n.sql for n in needs if isinstance(n, Listing)),
    ]


def _views(parts: Sequence[Path], registry: Sequence[Path]) -> Iterator[str]:
    """Give the statements that make the view of the batch without a session."""
    if registry:
        yield f"CREATE OR REPLACE TEMP TABLE known_subject AS {_known_sql(parquet(registry), parquet(parts))}"
    yield f"CREATE OR REPLACE TEMP VIEW {BATCH} AS {_batch_sql(parquet(parts), is_related=bool(registry))}"


def _known_sql(registry: str, parts: str) -> str:
    """Return SQL for the USCCs of the batch that the registry knows; a table, for each query scans the view anew."""
    return f"""SELECT DISTINCT identifier_value FROM {registry}
        WHERE identifier_type = 'uscc' AND identifier_value IN (SELECT uscc FROM {parts})"""


def _batch_sql(parts: str, *, is_related: bool) -> str:
    known = "CASE WHEN uscc IS NOT NULL THEN uscc IN (SELECT identifier_value FROM known_subject) END"
    return f"SELECT *{f', {known} AS {KNOWN_SUBJECT}' if is_related else ''} FROM {parts}"


def scalar_sql(needs: Sequence[Scalar]) -> str:
    """Return one SELECT for many aggregates."""
    return f"SELECT {', '.join(need.sql for need in needs)} FROM {BATCH}"


def duplicates_sql(need: Duplicates) -> str:
    """Return one query that counts rows with a key that occurs more than once.

    Keys are grouped by their hash first, which is narrow; only rows whose hash repeats are compared in full. The count
    is exact: equal keys have equal hashes.
    """
    grouped = f"SELECT {_hash(need.keys)} AS h FROM {BATCH} {_where(need.where)} GROUP BY 1 HAVING count(*) > 1"
    suspects = _suspects(need.keys, need.where, "")
    return f"WITH twice AS MATERIALIZED ({grouped}) {_count_repeated(suspects, need)}"


def _count_repeated(suspects: str, need: Duplicates) -> str:
    columns = ", ".join(ident(key) for key in need.keys)
    counted = f"SELECT count(*) AS n FROM {suspects} GROUP BY {columns} HAVING count(*) > 1"
    return f"SELECT coalesce(sum(n), 0)::BIGINT FROM ({counted})"


def repeated_sql(suspects: str, condition: Condition, limit: int) -> str:
    """Return the query for the first rows with a key that occurs more than once, among `suspects`."""
    columns = ", ".join(ident(key) for key in condition.keys)
    return (
        f"SELECT f, r FROM {suspects} "
        f"QUALIFY count(*) OVER (PARTITION BY {columns}) > 1 ORDER BY place LIMIT {int(limit)}"
    )


def _suspects(keys: Sequence[str], where: str | None, more: str) -> str:
    return f"({_keys(keys, where, more)}) AS b SEMI JOIN twice ON {_hash(keys)} = twice.h"


def _keys(keys: Sequence[str], where: str | None, more: str) -> str:
    return f"SELECT {', '.join(ident(key) for key in keys)}{more} FROM {BATCH} {_where(where)}"


def _hash(keys: Sequence[str]) -> str:
    return f"hash({', '.join(ident(key) for key in keys)})"


def _where(predicate: str | None) -> str:
    return f"WHERE {predicate}" if predicate else ""


def _rows(found: Sequence[Sequence[Any]]) -> list[RowRef]:
    return [(str(file), int(row)) for file, row in found]
