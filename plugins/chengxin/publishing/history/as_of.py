"""Rows of a kind as they were in the snapshot of an earlier instant, and as they hold on a day of the world."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from chengxin.model.kinds import Kind
from chengxin.publishing.history import table as tables

STATED = "stated"  # a version that holds today
END = datetime.fromisoformat("9999-12-31T00:00:00+00:00")


@dataclass(frozen=True)
class Versions:
    """All versions of a kind that a reader may see. present: its table; former: its history; batch: the admissions."""

    kind: Kind
    present: pa.Table
    former: pa.Table
    batch: pa.Table

    @classmethod
    def of(cls, kind: Kind, present: pa.Table | None, former: pa.Table | None, batch: pa.Table) -> Self:
        """Take what there is of a kind; a table without a row where there is none."""
        if present is None:
            assert former is not None
            present = former.slice(0, 0).drop_columns([tables.FROM, tables.TO, tables.CHANGE])
        if former is None:
            former = tables.schema(present.schema).empty_table()
        return cls(kind, present, former, batch)

    def every(self) -> pa.Table:
        """Return all versions, present ones without end, with the columns of history."""
        at = self.present.num_rows
        more = [
            (tables.FROM, self._begins()),
            (tables.TO, pa.repeat(pa.scalar(END, pa.timestamp("us", "UTC")), at)),
            (tables.CHANGE, pa.repeat(pa.scalar(STATED), at)),
        ]
        rows = self.present
        for name, values in more:
            rows = rows.append_column(self.former.schema.field(name), values)
        return pa.concat_tables([rows, self.former.filter(pc.not_equal(self.former[tables.CHANGE], tables.WAITED))])

    def known(self, instant: datetime) -> pa.Table:
        """Return the rows that the snapshot of an instant had, in the order of the kind's table."""
        rows = self.every()
        at = pa.scalar(instant, pa.timestamp("us", "UTC"))
        held = rows.filter(pc.and_(pc.less_equal(rows[tables.FROM], at), pc.greater(rows[tables.TO], at)))
        return held.select(self.present.column_names)

    def _begins(self) -> pa.ChunkedArray:
        """Return since when the present rows hold: since their batch, or since the version before ended."""
        batches = self.batch.group_by("batch_id").aggregate([("published_at", "min")])
        ended = self.former.group_by("record_id").aggregate([(tables.TO, "max")])
        of_batch = pc.index_in(self.present["batch_id"], value_set=batches["batch_id"])
        of_record = pc.index_in(self.present["record_id"], value_set=ended["record_id"])
        begun = batches["published_at_min"].take(of_batch)
        return tables.later(begun, ended[f"{tables.TO}_max"].take(of_record))


def valid(rows: pa.Table, kind: Kind, day: date) -> pa.Table:
    """Return the rows that hold on a day of the world: begun by then, not ended before. A row without days holds."""
    for name, holds in (
        (kind.effective_from_on or kind.event_on, pc.less_equal),
        (kind.effective_to_on, pc.greater_equal),
    ):
        if name and name in rows.column_names and pa.types.is_date32(rows.schema.field(name).type):
            rows = rows.filter(pc.fill_null(holds(rows[name], pa.scalar(day)), True))
    return rows
