"""Which refused rows a later batch has mended: by replay, by the source's own key, or by name and key fields.

Lines that could not be split are known by their cells (damaged_lines.py).

Also which came once more as they were and were refused again: the newest of these is the one to be mended.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from chengxin import __version__
from chengxin.contracts.derived import replayed
from chengxin.contracts.plan import contract_digest
from chengxin.dataset import damaged_lines
from chengxin.resolve.keys import RECORD_ID
from chengxin.resolve.session import literal, parquet
from chengxin.store.atomic import BUILDING

if TYPE_CHECKING:
    from chengxin.dataset.refusals import Refusals


def work_out(refusals: "Refusals", connection: duckdb.DuckDBPyConnection, number: Mapping[str, int]) -> None:
    """Leave the tables `mends` (batch_no, row_id, mended_by) and `again` (batch_no, row_id).

    number: batch id -> batch_no.
    """
    _Mending(refusals, connection, number).work_out()


def keys_of(refusals: "Refusals", connection: duckdb.DuckDBPyConnection, batch_id: str) -> Path:
    """Return the file with the keys of a batch's refused rows; a cache, made once."""
    quarantine = refusals.files(batch_id, "quarantine")
    made_of = f"{contract_digest(refusals.contract)} {__version__} " + " ".join(
        f"{p.name} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in quarantine
    )
    name = f"keys-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}.parquet"
    target = refusals.layout.home / "feedback" / refusals.contract.id / batch_id / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        for stale in target.parent.glob("keys-*.parquet"):
            stale.unlink()
        temporary = target.with_name(BUILDING + name)
        refusals.keys.write(connection, quarantine, temporary)
        temporary.rename(target)
    return target


class _Mending:
    """The search for what came again, in one DuckDB connection."""

    def __init__(self, refusals: "Refusals", connection: duckdb.DuckDBPyConnection, number: Mapping[str, int]) -> None:
        self._all, self._connection, self._number = refusals, connection, number

    def work_out(self) -> None:
        self._connection.execute("CREATE TABLE mends (batch_no INTEGER, row_id BIGINT, mended_by INTEGER)")
        self._connection.execute("CREATE TABLE again (batch_no INTEGER, row_id BIGINT)")
        candidates = [b for b in self._all.refused if b not in self._all.overtaken]
        if not candidates:
            return
        keys = {b: keys_of(self._all, self._connection, b) for b in candidates}
        self._connection.execute(f"CREATE TEMP VIEW refused AS {self._numbered(keys.items())}")
        self._mended(candidates)
        self._came_again()

    def _mended(self, candidates: Sequence[str]) -> None:
        first = min(self._number[b] for b in candidates)
        later = [b for b in self._all.batches[first:] if b.batch_id in self._all.admitted]
        if not later:
            return
        self._replays(candidates)
        good = [
            (b.batch_id, path) for b in later if replayed(b) is None for path in self._all.files(b.batch_id, "standard")
        ]
        if good:
            self._connection.execute(f"CREATE TEMP VIEW good AS {self._numbered(good)}")
            self._by_record_id()
            self._by_parts()
            self._by_cells(candidates)

    def _numbered(self, files: Iterable[tuple[str, Path]]) -> str:
        pairs = [(self._number[b], str(p)) for b, p in files]
        places = ", ".join(f"({n}, {literal(p)})" for n, p in pairs)
        names = ", ".join(literal(p) for _, p in pairs)
        return f"""SELECT n.batch_no, f.* EXCLUDE (filename)
            FROM read_parquet([{names}], union_by_name = true, filename = true) f
            JOIN (VALUES {places}) AS n(batch_no, filename) USING (filename)"""

    def _came_again(self) -> None:
        """Note rows that a later batch brought once more, with not a character changed, and that are open still."""
        self._connection.execute("""INSERT INTO again
            WITH numbered AS (
                SELECT batch_no, row_id, content,
                    row_number() OVER (PARTITION BY batch_no, content ORDER BY row_id) AS place FROM refused)
            SELECT batch_no, row_id FROM (
                SELECT *, max(batch_no) OVER (PARTITION BY content, place) AS newest FROM numbered)
            WHERE batch_no < newest AND (batch_no, row_id) NOT IN (SELECT (batch_no, row_id) FROM mends)""")

    def _replays(self, candidates: Sequence[str]) -> None:
        for batch in self._all.batches:
            original = replayed(batch)
            files = self._all.files(batch.batch_id, "standard")
            if original and original in candidates and batch.batch_id in self._all.admitted and files:
                self._connection.execute(f"""INSERT INTO mends
                    SELECT r.batch_no, r.row_id, {self._number[batch.batch_id]} FROM refused r
                    JOIN {parquet(files)} g ON g.source_row = r.source_row
                        AND g.source_file = replace(r.source_file, '/', '／') || '.jsonl'
                    WHERE r.batch_no = {self._number[original]}
                    AND (r.batch_no, r.row_id) NOT IN (SELECT (batch_no, row_id) FROM mends)""")

    def _by_record_id(self) -> None:
        if self._all.keys.has_record_id:
            self._connection.execute(f"""INSERT INTO mends
                SELECT r.batch_no, r.row_id, min(g.batch_no) FROM refused r
                JOIN good g ON g.{RECORD_ID} = r.{RECORD_ID} AND g.batch_no > r.batch_no
                WHERE (r.batch_no, r.row_id) NOT IN (SELECT (batch_no, row_id) FROM mends) GROUP BY ALL""")

    def _by_parts(self) -> None:
        """Match by name and key fields, with what the refused row has of them.

        Rows of one batch with one key are told apart by their number: as many as come again are mended. Where a field
        is missing, usable rows of the same batch do not count as coming again.
        """
        keys = self._all.keys
        texts = {p: keys.text(p, "r") for p in keys.parts}
        if not texts:
            return
        present = ", ".join(f"{t} IS NOT NULL" for t in texts.values())
        for mask in self._connection.execute(f"SELECT DISTINCT {present} FROM refused r ORDER BY ALL").fetchall():
            parts = [p for p, there in zip(texts, mask, strict=True) if there]
            if not keys.enough(parts):
                continue
            exact = " AND ".join(
                f"{t} IS {'NOT ' if there else ''}NULL" for t, there in zip(texts.values(), mask, strict=True)
            )
            mine = f"concat_ws(chr(31), {', '.join(texts[p] for p in parts)})"
            theirs = f"concat_ws(chr(31), {', '.join(keys.text(p, 'g') for p in parts)})"
            filled = " AND ".join(f"g.{keys.column(p)} IS NOT NULL" for p in parts)
            own = "0" if len(parts) == len(texts) else "coalesce(o.n, 0)"
            self._connection.execute(f"""INSERT INTO mends
                WITH asked AS (
                    SELECT r.batch_no, r.row_id, {mine} AS key,
                        dense_rank() OVER (PARTITION BY r.batch_no, {mine} ORDER BY r.content) AS place
                    FROM refused r WHERE {exact}
                    AND (r.batch_no, r.row_id) NOT IN (SELECT (batch_no, row_id) FROM mends)),
                come AS (SELECT g.batch_no, {theirs} AS key, count(*) AS n FROM good g
                    WHERE {filled} AND {theirs} IN (SELECT key FROM asked) GROUP BY ALL)
                SELECT a.batch_no, a.row_id, min(c.batch_no) FROM asked a
                JOIN come c ON c.key = a.key AND c.batch_no > a.batch_no
                LEFT JOIN come o ON o.key = a.key AND o.batch_no = a.batch_no
                WHERE c.n >= a.place + {own} GROUP BY ALL""")

    def _by_cells(self, candidates: Sequence[str]) -> None:
        """Match lines that could not be split, by all that names a record among their cells."""
        files = {self._number[b]: self._all.files(b, "quarantine") for b in candidates}
        lines = damaged_lines.lines_of(self._all.keys, files)
        if lines is not None:
            self._connection.register("lines", lines)
            self._connection.execute(f"""INSERT INTO mends SELECT * FROM ({damaged_lines.mends(self._all.keys)})
                WHERE (batch_no, row_id) NOT IN (SELECT (batch_no, row_id) FROM mends)""")
            self._connection.unregister("lines")
