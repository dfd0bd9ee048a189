"""What arrived and what is late, from cadence and `late_after`. Days are those of Shanghai; public holidays are known.

A data set is late from the day after `last arrival + one period + late_after working days` until it arrives. A data set
that never arrived, or that delivers irregularly, is never late. A replay of refused rows is no delivery.
"""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt

from chengxin.contracts.cadence import PERIODS
from chengxin.model.working_days import working_days
from chengxin.operations.index.lists import allowed

Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Overdue:
    """A data set whose delivery is overdue: the day until which it was expected, working days since then."""

    dataset: str
    title: str
    department_name: str
    cadence: str
    last_day: str
    due: date
    days: int
    department: str = ""


@dataclass(frozen=True)
class Cell:
    """One department on one day: deliveries that arrived, batches held and not yet judged, data sets that are late.

    dataset: the one that is late, where it is the only one.
    """

    arrived: int = 0
    held: int = 0
    open: int = 0
    late: int = 0
    dataset: str = ""


@dataclass(frozen=True)
class Heat:
    """Departments by days. rows: (department code, name, one cell a day)."""

    days: tuple[date, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]


def due_days(last: Days, cadences: Sequence[str], late_after: Sequence[int]) -> Days:
    """Return for each arrival the last day on which the next one is in time; NaT where nothing is expected."""
    period = np.array([PERIODS.get(cadence, 0) for cadence in cadences], "timedelta64[D]")
    place = np.minimum(_worked_before(last + period) + np.asarray(late_after, "int64"), len(_worked()) - 1)
    due = _worked()[place]
    found: Days = np.where(period > np.timedelta64(0, "D"), due, np.datetime64("NaT"))
    return found


@cache
def _worked() -> Days:
    """Return every working day, ascending."""
    return (np.array(working_days().ordinals) - date(1970, 1, 1).toordinal()).astype("datetime64[D]")


def _worked_before(days: Days | np.datetime64) -> npt.NDArray[np.int64]:
    """Count for each day the working days before it."""
    return np.asarray(np.searchsorted(_worked(), days), "int64")


def overdue(connection: sqlite3.Connection, today: date, only: Collection[str] | None = None) -> list[Overdue]:
    """Return the data sets that are overdue today, the longest first."""
    clause, bound = allowed(only, "d.dataset")
    rows = connection.execute(
        f"""SELECT d.dataset, d.title, d.department, d.department_name, d.cadence, d.late_after, t.last_day
            FROM dataset d JOIN dataset_total t USING (dataset)
            WHERE t.last_day IS NOT NULL {clause} ORDER BY d.dataset""",
        bound,
    ).fetchall()
    if not rows:
        return []
    last = np.array([r["last_day"] for r in rows], "datetime64[D]")
    due = due_days(last, [r["cadence"] for r in rows], [r["late_after"] for r in rows])
    now = np.datetime64(today)
    late = np.flatnonzero(~np.isnat(due) & (due < now))
    past = _worked_before(now) - _worked_before(due[late])
    found = [
        Overdue(
            r["dataset"],
            r["title"],
            r["department_name"],
            r["cadence"],
            r["last_day"],
            d.astype(date),
            int(n),
            r["department"],
        )
        for r, d, n in zip([rows[i] for i in late], due[late], past, strict=True)
    ]
    return sorted(found, key=lambda o: (-o.days, o.dataset))


def heat(connection: sqlite3.Connection, today: date, days: int = 30, only: Collection[str] | None = None) -> Heat:
    """Return departments by the last `days` days: arrived, held, open and late."""
    shown = tuple(today - timedelta(days=days - 1 - n) for n in range(days))
    clause, bound = allowed(only, "dataset")
    facts = connection.execute(
        f"""SELECT department, department_name, dataset, cadence, late_after FROM dataset WHERE 1 {clause}
            ORDER BY department, dataset""",
        bound,
    ).fetchall()
    names: dict[str, str] = {f["department"]: f["department_name"] for f in facts}
    place = {code: n for n, code in enumerate(names)}
    department = np.array([place[f["department"]] for f in facts], "int64")
    which, day, counts = _arrivals(connection, shown[0], {f["dataset"]: n for n, f in enumerate(facts)})
    grid = np.zeros((4, len(names), days), "int64")
    column = (day - np.datetime64(shown[0])).astype("int64")
    inside = (column >= 0) & (column < days)
    for n in range(3):
        np.add.at(grid[n], (department[which[inside]], column[inside]), counts[inside, n])
    late = _late(facts, which, day, shown)
    np.add.at(grid[3], department, late)
    one = np.zeros(grid[3].shape, "int64")  # where one data set is late, its number
    np.add.at(one, department, late * np.arange(len(facts))[:, None])
    cells, ids = np.moveaxis(grid, 0, 2).tolist(), one.tolist()
    rows = [
        (
            code,
            name,
            tuple(_cell(c, facts[min(i, len(facts) - 1)]["dataset"]) for c, i in zip(of_day, of_late, strict=True)),
        )
        for (code, name), of_day, of_late in zip(names.items(), cells, ids, strict=True)
    ]
    return Heat(shown, tuple(rows))


def _cell(counts: Sequence[int], dataset: str) -> Cell:
    arrived, held, waiting, late = counts
    return Cell(arrived, held, waiting, late, dataset if late == 1 else "")


def _arrivals(
    connection: sqlite3.Connection, first: date, number: dict[str, int]
) -> tuple[npt.NDArray[np.int64], Days, npt.NDArray[np.int64]]:
    """Return data set (by number), day and counts of each arrival, from the last before the window on, in order."""
    cursor = connection.execute(
        """SELECT dataset, day, batches, held, open FROM dataset_day INDEXED BY day_dataset
           WHERE day >= :first AND batches > 0
           UNION ALL
           SELECT dataset, (SELECT max(day) FROM dataset_day x
             WHERE x.dataset = t.dataset AND day < :first AND batches > 0), 0, 0, 0
           FROM dataset_total t""",
        {"first": first.isoformat()},
    )
    cursor.row_factory = None
    rows = [row for row in cursor.fetchall() if row[1] and row[0] in number]
    which = np.array([number[row[0]] for row in rows], "int64")
    texts = {row[1] for row in rows}
    known = dict(zip(texts, np.array(list(texts), "datetime64[D]").astype("int64").tolist(), strict=True))
    day = np.array([known[row[1]] for row in rows], "int64").astype("datetime64[D]")
    counts = np.array([row[2:] for row in rows], "int64").reshape(-1, 3)
    order = np.lexsort((day, which))
    return which[order], day[order], counts[order]


def _late(
    facts: Sequence[sqlite3.Row], which: npt.NDArray[np.int64], day: Days, shown: tuple[date, ...]
) -> npt.NDArray[np.int64]:
    """Return 1 for each data set and day on which it is late: after the day due, until the next arrival."""
    edges = np.zeros((len(facts), len(shown) + 1), "int64")
    last = np.append(which[1:] != which[:-1], [True] * (len(which) > 0))
    following = np.where(last, np.datetime64(shown[-1]) + 1, np.roll(day, -1))
    due = due_days(day, [facts[n]["cadence"] for n in which], [facts[n]["late_after"] for n in which])
    known = ~np.isnat(due)
    start = np.clip((due[known] + 1 - np.datetime64(shown[0])).astype("int64"), 0, len(shown))
    end = np.clip((following[known] - np.datetime64(shown[0])).astype("int64"), 0, len(shown))
    real = start < end
    np.add.at(edges, (which[known][real], start[real]), 1)
    np.add.at(edges, (which[known][real], end[real]), -1)
    return np.cumsum(edges, axis=1)[:, :-1]
