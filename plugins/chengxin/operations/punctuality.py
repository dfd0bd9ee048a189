"""How each data set stands: when it last delivered, how many of its rows wait for their subject, whether they grow."""

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from chengxin.home import Home
from chengxin.operations import deliveries
from chengxin.operations.index.lists import GROWING
from chengxin.records import journal

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Standing:
    """One data set. waiting: all rows that wait; week, week_before: those of deliveries of the last two weeks."""

    dataset: str
    last_arrival: date
    waiting: int
    week: int
    week_before: int

    @property
    def growing(self) -> bool:
        """Return whether the last week left clearly more rows waiting than the one before."""
        return self.week >= GROWING[0] and self.week > GROWING[1] * self.week_before

    def words(self) -> str:
        """Describe in Chinese what has grown."""
        weeks = f"近 7 日到达的数据有 {self.week:,} 行未关联，前 7 日 {self.week_before:,} 行"
        return f"{weeks}；现共 {self.waiting:,} 行等待"


def standings(home: Home, today: date) -> list[Standing]:
    """Return how every data set stands that ever delivered, by its id."""
    layout = home.layout
    landed, _ = deliveries.deliveries(layout)
    waits = journal.accounts(layout).table().select(["dataset", "batch_id", "unlinked"])
    both = landed.join(waits, ["dataset", "batch_id"], join_type="left outer")
    unlinked = pc.fill_null(both["unlinked"], 0)
    recent = pc.greater(both["arrived_on"], pa.scalar(today - WEEK))
    before = pc.and_(pc.greater(both["arrived_on"], pa.scalar(today - 2 * WEEK)), pc.invert(recent))
    table = pa.table(
        {
            "dataset": both["dataset"],
            "arrived_on": pc.if_else(pc.equal(both["replay_of"], ""), both["arrived_on"], None),
            "waiting": unlinked,
            "week": pc.if_else(recent, unlinked, 0),
            "week_before": pc.if_else(before, unlinked, 0),
        }
    )
    sums = [(name, "sum") for name in ("waiting", "week", "week_before")]
    found = table.group_by("dataset").aggregate([("arrived_on", "max"), *sums]).sort_by("dataset")
    rows = found.select(["dataset", "arrived_on_max", "waiting_sum", "week_sum", "week_before_sum"]).to_pylist()
    return [Standing(*row.values()) for row in rows if row["arrived_on_max"]]
