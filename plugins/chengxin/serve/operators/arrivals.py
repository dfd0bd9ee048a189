"""What arrived and what is late, from cadence and `late_after`. Days are those of Shanghai; public holidays are known.

A data set is late from the day after `last arrival + one period + late_after working days` until it arrives. A data set
that never arrived, or that delivers irregularly, is never late.
"""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from chengxin.contracts.cadence import PERIODS
from chengxin.model.working_days import working_days
from chengxin.serve.operators.lists import allowed

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


@dataclass(frozen=True)
class Cell:
    """One department on one day: deliveries that arrived, batches held and not yet judged, data sets that are late."""

    arrived: int = 0
    held: int = 0
    open: int = 0
    late: int = 0


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
        f"""SELECT d.dataset, d.title, d.department_name, d.cadence, d.late_after, t.last_day FROM dataset d
            JOIN dataset_total t USING (dataset) WHERE t.last_day IS NOT NULL {clause} ORDER BY d.dataset""",
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
        Overdue(r["dataset"], r["title"], r["department_name"], r["cadence"], r["last_day"], d.astype(date), int(n))
        for r, d, n in zip([rows[i] for i in late], due[late], past, strict=True)
    ]
    return sorted(found, key=lambda o: (-o.days, o.dataset))


def heat(connection: sqlite3.Connection, today: date, days: int = 30, only: Collection[str] | None = None) -> Heat:
    """Return departments by the last `days` days: arrived, held, open and late."""
    shown = tuple(today - timedelta(days=days - 1 - n) for n in range(days))
    clause, bound = allowed(only, "dataset")
    datasets = connection.execute(
        f"""SELECT dataset, department, department_name, cadence, late_after FROM dataset WHERE 1 {clause}
            ORDER BY department, dataset""",
        bound,
    ).fetchall()
    names: dict[str, str] = {r["department"]: r["department_name"] for r in datasets}
    row_of = {r["dataset"]: list(names).index(r["department"]) for r in datasets}
    grid = np.zeros((4, len(names), days), "int64")
    arrivals = _arrivals(connection, shown[0], clause, bound)
    for r in arrivals:
        place = (date.fromisoformat(r["day"]) - shown[0]).days
        if r["dataset"] in row_of and 0 <= place < days:
            grid[:3, row_of[r["dataset"]], place] += (r["batches"], r["held"], r["open"])
    grid[3] = _late(datasets, arrivals, row_of, shown, len(names))
    cells = np.moveaxis(grid, 0, 2).tolist()
    return Heat(shown, tuple((code, names[code], tuple(Cell(*c) for c in cells[n])) for n, code in enumerate(names)))


def _arrivals(connection: sqlite3.Connection, first: date, clause: str, bound: Sequence[Any]) -> list[sqlite3.Row]:
    """Return every data set's days from its last arrival before the window on, in order."""
    rows = connection.execute(
        f"""SELECT dataset, day, batches, held, open FROM dataset_day WHERE day >= ? {clause}
            UNION ALL
            SELECT d.dataset, (SELECT max(day) FROM dataset_day x WHERE x.dataset = d.dataset AND x.day < ?), 0, 0, 0
            FROM dataset_total d WHERE 1 {clause.replace("dataset", "d.dataset", 1)}
            ORDER BY 1, 2""",
        [first.isoformat(), *bound, first.isoformat(), *bound],
    ).fetchall()
    return [row for row in rows if row["day"]]


def _late(
    datasets: Sequence[sqlite3.Row],
    arrivals: Sequence[sqlite3.Row],
    row_of: dict[str, int],
    shown: tuple[date, ...],
    departments: int,
) -> npt.NDArray[np.int64]:
    """Count late data sets by department and day: from the day after due to the day before the next arrival."""
    facts = {r["dataset"]: r for r in datasets}
    seen = [r for r in arrivals if r["dataset"] in facts]
    edges = np.zeros((departments, len(shown) + 1), "int64")
    if not seen:
        return edges[:, :-1]
    day = np.array([r["day"] for r in seen], "datetime64[D]")
    same = np.array([a["dataset"] == b["dataset"] for a, b in pairwise(seen)] + [False])
    following = np.where(same, np.roll(day, -1), np.datetime64(shown[-1]) + 1)
    chosen = [facts[r["dataset"]] for r in seen]
    due = due_days(day, [r["cadence"] for r in chosen], [r["late_after"] for r in chosen])
    known = ~np.isnat(due)
    row = np.array([row_of[r["dataset"]] for r in seen])[known]
    start = np.clip((due[known] + 1 - np.datetime64(shown[0])).astype("int64"), 0, len(shown))
    end = np.clip((following[known] - np.datetime64(shown[0])).astype("int64"), 0, len(shown))
    real = start < end
    np.add.at(edges, (row[real], start[real]), 1)
    np.add.at(edges, (row[real], end[real]), -1)
    return np.cumsum(edges, axis=1)[:, :-1]
