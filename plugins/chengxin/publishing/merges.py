"""Subjects that are one, as assembling follows them: links name the id that rows were linked to, tables the current id.

A row that is published under another id than its own keeps that in `linked_subject_id`, so that a judgement that is
undone moves it back. Nothing of this costs anything where nobody is superseded.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.engine.session import Session
from chengxin.errors import InvariantBroken
from chengxin.state import lookups
from chengxin.state.database import caught_up
from chengxin.store.layout import Layout
from chengxin.store.manifest import FileEntry, Manifest, TableEntry

SUPERSESSION = "subject_supersession"
TABLE = "merges"  # input: subject_id, root, part (of the root), for each id that is or was superseded, and for roots
LINKED_SUBJECT = "linked_subject_id"
LINKED = {"subject_id": LINKED_SUBJECT, "related_subject_id": "linked_related_subject_id"}


@dataclass(frozen=True)
class Merges:
    """Which ids are superseded by which. before: in the snapshot before. parts: of all ids in either."""

    roots: Mapping[int, int] = field(default_factory=dict)
    before: Mapping[int, int] = field(default_factory=dict)
    parts: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def learn(cls, layout: Layout, superseded: Sequence[Mapping[str, Any]], previous: Manifest | None) -> Self:
        """Ask the state where the subjects are. superseded: rows of subject_supersession as they hold now."""
        now, before = (_roots(rows) for rows in (superseded, previous.basis.superseded if previous else ()))
        ids = {*now, *now.values(), *before, *before.values()}
        if not ids:
            return cls()
        with caught_up(layout) as state:
            found = lookups.touched(state, "", values=(), names=(), also=ids)["subjects"]
        parts = dict(zip(found["subject_id"].to_pylist(), found["part"].to_pylist(), strict=True))
        if lost := ids - set(parts):
            raise InvariantBroken(f"合并的主体 {min(lost)} 不在登记库中；停止发布")
        return cls(now, before, parts)

    def __bool__(self) -> bool:
        return bool(self.parts)

    @property
    def changed(self) -> set[int]:
        """Return the ids that lead elsewhere than in the snapshot before."""
        return {i for i in self.parts if self.roots.get(i, i) != self.before.get(i, i)}

    @property
    def gone(self) -> set[int]:
        """Return the ids of which the snapshot before may have rows, and the draft has none."""
        return {i for i in self.changed if i in self.roots}

    @property
    def renewed(self) -> set[int]:
        """Return the current ids about which the draft has other rows than the snapshot before."""
        return {self.roots.get(i, i) for c in self.changed for i in (c, self.before.get(c, c))}

    def members(self, subjects: Iterable[int]) -> set[int]:
        """Return these current ids and all that they supersede."""
        wanted = set(subjects)
        return wanted | {i for i, root in self.roots.items() if root in wanted}

    @cached_property
    def table(self) -> pa.Table:
        """Return the input TABLE."""
        ids = sorted(self.parts)
        roots = [self.roots.get(i, i) for i in ids]
        return pa.table(
            {
                "subject_id": pa.array(ids, pa.int64()),
                "root": pa.array(roots, pa.int64()),
                "part": pa.array([self.parts[r] for r in roots], pa.string()),
            }
        )

    def attach(self, session: Session) -> None:
        """Take the input TABLE, where steps will read it."""
        if self:
            session.rows(TABLE, self.table)

    @property
    def reads(self) -> tuple[str, ...]:
        """Return what a step reads that uses `placed` or `followed`."""
        return (TABLE,) if self else ()

    def placed(self, table: str) -> str:
        """Return SQL for a table of links (subject_id, part) with the parts in which its rows are published."""
        return self._joined(table, "coalesce(m.part, l.part) AS part")

    def followed(self, table: str) -> str:
        """Return SQL for such a table under the current ids."""
        return self._joined(table, "coalesce(m.part, l.part) AS part, coalesce(m.root, l.subject_id) AS subject_id")

    def _joined(self, table: str, replaced: str) -> str:
        if not self:
            return table
        return f"""(SELECT l.* REPLACE ({replaced})
            FROM {table} l LEFT JOIN {TABLE} m ON m.subject_id = l.subject_id)"""

    def apply(self, rows: pa.Table) -> pa.Table:
        """Return rows under the current ids, with the columns LINKED; those that they have say more than the ids."""
        for name, former in LINKED.items() if self else ():
            if name not in rows.column_names:
                continue
            linked = pc.coalesce(rows[former], rows[name]) if former in rows.column_names else rows[name]
            root = pc.coalesce(self._of("root", linked), linked)
            kept = pc.if_else(pc.equal(root, linked), pa.scalar(None, pa.int64()), linked)
            rows = rows.set_column(rows.column_names.index(name), name, root)
            if former in rows.column_names:
                rows = rows.set_column(rows.column_names.index(former), former, kept)
            else:
                rows = rows.append_column(former, kept)
        return rows

    def place(self, subjects: pa.ChunkedArray, part: Any) -> Any:
        """Return the parts of rows: of those about these ids, current or not, that of the root. part: of the others."""
        return pc.coalesce(self._of("part", subjects), part) if self else part

    def _of(self, column: str, subjects: pa.ChunkedArray) -> pa.ChunkedArray:
        place = pc.index_in(subjects, value_set=self.table["subject_id"].combine_chunks())
        return self.table[column].combine_chunks().take(place)

    def asked(self, table: TableEntry) -> set[str]:
        """Return the parts of a table of the snapshot before that may have rows of changed ids."""
        held = {self.before.get(i, i) for i in self.changed}
        related = any(c.name == "related_subject_id" for c in table.schema)
        return {f.part for f in table.files if related or any(map(f.may_hold, held))}

    def touched(self, files: Iterable[tuple[Path, FileEntry]]) -> dict[str, set[int]]:
        """Return by part to which changed ids rows of these files were linked; the parts of related ones, too."""
        found: dict[str, set[int]] = {}
        changed = pa.array(sorted(self.changed), pa.int64())
        for path, entry in files:
            names = [n for pair in LINKED.items() for n in pair if n in pq.read_schema(path).names]
            rows = pq.read_table(path, columns=names, partitioning=None)
            for name in set(LINKED) & set(names):
                linked = pc.unique(pc.coalesce(rows[LINKED[name]], rows[name]))
                hit = linked.filter(pc.is_in(linked, value_set=changed)).to_pylist()
                if hit:
                    found.setdefault(entry.part, set()).update(hit if name == "subject_id" else ())
        return found


NO_MERGES = Merges()


def _roots(rows: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    return {row["subject_id"]: row["superseded_by"] for row in rows}
