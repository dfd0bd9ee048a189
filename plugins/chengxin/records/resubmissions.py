"""Which refused rows a later batch has mended: by replay, by the source's own key, or by name and key fields.

Lines that could not be split are known by their cells (damage/lines.py). A row of our own table that came back says
which row it answers; that holds where something else of the two agrees, or where nothing names the refused one.

Also which came once more, as they were or in our table, and were refused again: the newest of these is to be corrected.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from chengxin import __version__
from chengxin.contracts.derivation import replayed
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import contract_digest
from chengxin.engine.cascade import Cascade
from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step, identifier
from chengxin.facts import Admission, Batch
from chengxin.identity.record_keys import RECORD_ID
from chengxin.records.damage import lines as damaged_lines
from chengxin.records.match_keys import RowKeys, numbered_files
from chengxin.store.atomic import BUILDING
from chengxin.store.layout import Layout


class Quarantined(Protocol):
    """What is asked of the quarantined rows of a data set; see records.refused.Refusals."""

    @property
    def contract(self) -> Contract: ...  # noqa: D102

    @property
    def layout(self) -> Layout: ...  # noqa: D102

    @property
    def keys(self) -> RowKeys: ...  # noqa: D102

    @property
    def batches(self) -> Sequence[Batch]: ...  # noqa: D102

    @property
    def admitted(self) -> Mapping[str, Admission]: ...  # noqa: D102

    @property
    def refused(self) -> dict[str, int]: ...  # noqa: D102

    @property
    def overtaken(self) -> frozenset[str]: ...  # noqa: D102

    def files(self, batch_id: str, name: str) -> list[Path]: ...  # noqa: D102


def work_out(refusals: Quarantined, session: Session, number: Mapping[str, int]) -> None:
    """Leave the tables `mends` (batch_no, row_id, mended_by) and `again` (batch_no, row_id, again_in).

    number: batch id -> batch_no.
    """
    _Mending(refusals, session, number).work_out()


def keys_of(refusals: Quarantined, session: Session, batch_id: str) -> Path:
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
        refusals.keys.write(session, quarantine, temporary)
        temporary.rename(target)
    return target


_ROW = ("batch_no", "row_id")
MENDS = Schema({"batch_no": "INTEGER", "row_id": "BIGINT", "mended_by": "INTEGER"})
AGAIN = Schema({"batch_no": "INTEGER", "row_id": "BIGINT", "again_in": "INTEGER"})
_CAME_AGAIN = """WITH numbered AS (
        SELECT batch_no, row_id, content,
            row_number() OVER (PARTITION BY batch_no, content ORDER BY row_id) AS place FROM refused)
    SELECT r.batch_no, r.row_id, r.newest AS again_in FROM (
        SELECT *, max(batch_no) OVER (PARTITION BY content, place) AS newest FROM numbered) r
    WHERE r.batch_no < r.newest"""


class _Mending:
    """The search for what came again, in one session."""

    def __init__(self, refusals: Quarantined, session: Session, number: Mapping[str, int]) -> None:
        self._all, self._session, self._number = refusals, session, number
        self._mends = Cascade(session, "mends", MENDS, _ROW)
        self._again = Cascade(session, "again", AGAIN, _ROW)

    def work_out(self) -> None:
        candidates = [b for b in self._all.refused if b not in self._all.overtaken]
        answers: list[tuple[str, Path]] = []
        if candidates:
            self._view("refused", [(b, keys_of(self._all, self._session, b)) for b in candidates])
            answers = [
                (b.batch_id, f) for b in self._all.batches if b.corrects for f in self._all.files(b.batch_id, "answers")
            ]
        if answers:
            self._read_answers(answers)
        if candidates:
            self._add_corrections(candidates, has_answers=bool(answers))
        self._mends.close()
        if candidates:
            left = self._mends.left("r")
            self._again.add("unchanged", ("refused", *self._mends.tables), f"{_CAME_AGAIN} AND {left}")
            if answers:
                self._refused_again()
            self._again_by_key()
        self._again.close()

    def _view(self, name: str, files: Sequence[tuple[str, Path]]) -> None:
        """Leave the view `name` of these files by batch id, with their batch_no."""
        numbered_files(self._session, name, [(self._number[b], path) for b, path in files], "batch_no")

    def _read_answers(self, tables: Sequence[tuple[str, Path]]) -> None:
        """Leave the table `answered` (batch_no, row_id, by_no, by_row): which rows of our tables answer which."""
        self._view("our_tables", tables)
        ids = {"n": pa.array([*self._number.values()], pa.int32()), "batch_id": [*self._number]}
        self._session.rows("batch_numbers", pa.table(ids))
        sql = """SELECT r.batch_no, r.row_id, a.batch_no AS by_no, a.row_id AS by_row
            FROM our_tables a JOIN batch_numbers i USING (batch_id)
            JOIN refused r ON r.batch_no = i.n AND r.source_file = a.source_file AND r.source_row = a.source_row
            WHERE a.batch_no > r.batch_no"""
        self._session.leave(Step("answered", ("our_tables", "batch_numbers", "refused"), sql))

    def _agree(self, other: str) -> str:
        """Return the SQL condition that a refused row `r` may be the row of `other` that says it answers it."""
        keys = self._all.keys
        pairs = [(f"r.{RECORD_ID}", f"{other}.{RECORD_ID}")] if keys.has_record_id else []
        pairs += [(keys.text(p, "r"), keys.text(p, other)) for p in keys.parts]
        same = " OR ".join(["false", *(f"coalesce({a} = {b}, false)" for a, b in pairs)])
        nothing = " AND ".join(["true", *(f"{a} IS NULL" for a, _ in pairs)])
        return f"(r.damaged OR ({nothing}) OR {same})"

    def _refused_again(self) -> None:
        """Note open rows that came back in our table and were refused again."""
        sql = f"""SELECT r.batch_no, r.row_id, max(a.by_no) AS again_in FROM answered a
            JOIN refused r USING (batch_no, row_id) JOIN refused q ON q.batch_no = a.by_no AND q.row_id = a.by_row
            WHERE {self._mends.left("r")} AND {self._again.left("r")} AND {self._agree("q")} GROUP BY ALL"""
        self._again.add("in_our_table", ("answered", "refused", *self._mends.tables), sql)

    def _again_by_key(self) -> None:
        """Note open rows whose record was sent once more, changed, and was refused again: known by all that names it.

        Rows of one batch with one key are distinguished by their number, as in `_by_parts`.
        """
        keys = self._all.keys
        whole = [keys.text(p, "r") for p in keys.parts] if keys.enough(keys.parts) else []
        ways = {"by_record_id": [f"r.{RECORD_ID}"] if keys.has_record_id else [], "by_parts": whole}
        for way, named in ways.items():
            if named:
                filled = " AND ".join(f"{text} IS NOT NULL" for text in named)
                sql = f"""WITH keyed AS (
                        SELECT *, row_number() OVER (PARTITION BY batch_no, key ORDER BY row_id) AS place FROM (
                            SELECT r.batch_no, r.row_id, concat_ws(chr(31), {", ".join(named)}) AS key
                            FROM refused r WHERE {filled}))
                    SELECT r.batch_no, r.row_id, r.newest AS again_in FROM (
                        SELECT *, max(batch_no) OVER (PARTITION BY key, place) AS newest FROM keyed) r
                    WHERE r.batch_no < r.newest AND {self._mends.left("r")} AND {self._again.left("r")}"""
                self._again.add(way, ("refused", *self._mends.tables), sql)

    def _add_corrections(self, candidates: Sequence[str], *, has_answers: bool) -> None:
        first = min(self._number[b] for b in candidates)
        later = [b for b in self._all.batches[first:] if b.batch_id in self._all.admitted]
        if not later:
            return
        self._replays(candidates)
        good = [
            (b.batch_id, path) for b in later if replayed(b) is None for path in self._all.files(b.batch_id, "standard")
        ]
        if good:
            self._view("good", good)
            self._by_record_id()
            self._by_parts()
            self._by_cells(candidates)
            if has_answers:
                self._by_place()

    def _replays(self, candidates: Sequence[str]) -> None:
        for batch in self._all.batches:
            original = replayed(batch)
            files = self._all.files(batch.batch_id, "standard")
            if original and original in candidates and batch.batch_id in self._all.admitted and files:
                replay = self._number[batch.batch_id]
                self._session.files(f"replay_{replay}", files)
                sql = f"""SELECT DISTINCT r.batch_no, r.row_id, CAST($replay AS INTEGER) AS mended_by FROM refused r
                    JOIN replay_{replay} g ON g.source_row = r.source_row
                        AND g.source_file = replace(r.source_file, '/', '／') || '.jsonl'
                    WHERE r.batch_no = $original AND {self._mends.left("r")}"""
                values = {"replay": replay, "original": self._number[original]}
                self._mends.add(f"replay_{replay}", ("refused", f"replay_{replay}"), sql, values)

    def _by_record_id(self) -> None:
        if self._all.keys.has_record_id:
            sql = f"""SELECT r.batch_no, r.row_id, min(g.batch_no) AS mended_by FROM refused r
                JOIN good g ON g.{RECORD_ID} = r.{RECORD_ID} AND g.batch_no > r.batch_no
                WHERE {self._mends.left("r")} GROUP BY ALL"""
            self._mends.add("record_id", ("refused", "good"), sql)

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
        sql = f"SELECT DISTINCT {present} FROM refused r ORDER BY ALL"
        for n, mask in enumerate(self._session.fetch(Step("parts_given", ("refused",), sql))):
            parts = [p for p, there in zip(texts, mask, strict=True) if there]
            if not keys.enough(parts):
                continue
            exact = " AND ".join(
                f"{t} IS {'NOT ' if there else ''}NULL" for t, there in zip(texts.values(), mask, strict=True)
            )
            mine = f"concat_ws(chr(31), {', '.join(texts[p] for p in parts)})"
            theirs = f"concat_ws(chr(31), {', '.join(keys.text(p, 'g') for p in parts)})"
            filled = " AND ".join(f"{identifier(keys.column(p), 'g')} IS NOT NULL" for p in parts)
            own = "0" if len(parts) == len(texts) else "coalesce(o.n, 0)"
            sql = f"""WITH asked AS (
                    SELECT r.batch_no, r.row_id, {mine} AS key,
                        dense_rank() OVER (PARTITION BY r.batch_no, {mine} ORDER BY r.content) AS place
                    FROM refused r WHERE {exact} AND {self._mends.left("r")}),
                come AS (SELECT g.batch_no, {theirs} AS key, count(*) AS n FROM good g
                    WHERE {filled} AND {theirs} IN (SELECT key FROM asked) GROUP BY ALL)
                SELECT a.batch_no, a.row_id, min(c.batch_no) AS mended_by FROM asked a
                JOIN come c ON c.key = a.key AND c.batch_no > a.batch_no
                LEFT JOIN come o ON o.key = a.key AND o.batch_no = a.batch_no
                WHERE c.n >= a.place + {own} GROUP BY ALL"""
            self._mends.add(f"parts_{n}", ("refused", "good"), sql)

    def _by_cells(self, candidates: Sequence[str]) -> None:
        """Match lines that could not be split, by all that names a record among their cells."""
        files = {self._number[b]: self._all.files(b, "quarantine") for b in candidates}
        lines = damaged_lines.lines_of(self._all.keys, files)
        if lines is not None:
            self._session.rows("lines", lines)
            sql = f"SELECT r.* FROM ({damaged_lines.mends(self._all.keys)}) r WHERE {self._mends.left('r')}"
            self._mends.add("cells", ("lines", "good"), sql)

    def _by_place(self) -> None:
        sql = f"""SELECT r.batch_no, r.row_id, min(a.by_no) AS mended_by FROM answered a
            JOIN refused r USING (batch_no, row_id) JOIN good g ON g.batch_no = a.by_no AND g.row_id = a.by_row
            WHERE {self._mends.left("r")} AND {self._agree("g")} GROUP BY ALL"""
        self._mends.add("place", ("answered", "refused", "good"), sql)
