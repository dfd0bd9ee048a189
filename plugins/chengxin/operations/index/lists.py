"""Lists and totals with filters, read from the index alone."""

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from chengxin.clock import SHANGHAI

PAGE = 50
MOST = 10_000  # batches that a list counts and pages through; beyond them the filter has to say more
SEARCHED = 92  # days that a search in names looks back when the filter says no day
GROWING = (20, 1.5)  # waiting rows of a week worth a word, and by what factor more than the week before
_UNSETTLED = "b.as_of >= coalesce((SELECT last_admitted FROM dataset_total t WHERE t.dataset = b.dataset), '')"


@dataclass(frozen=True)
class Filter:
    """What a list is narrowed to; empty = everything. only: the data sets the reader may see, None = all of them.

    state: that of a batch, or `warn` (admitted with warnings), `stopped` (held, and none of its data set came after).
    """

    dataset: str = ""
    department: str = ""
    state: str = ""
    rule: str = ""
    since: str = ""
    until: str = ""
    text: str = ""
    only: frozenset[str] | None = None


def allowed(only: Collection[str] | None, column: str) -> tuple[str, list[str]]:
    """Return the SQL condition (beginning with AND) and its value that leave only permitted data sets."""
    if only is None:
        return "", []
    return f"AND {column} IN (SELECT value FROM json_each(?))", [json.dumps(sorted(only))]


def _where(wanted: Filter) -> tuple[str, list[Any]]:
    clause, bound = allowed(wanted.only, "b.dataset")
    parts: list[str] = [clause] if clause else []
    simple = {"b.dataset =": wanted.dataset, "b.arrived_at >=": _midnight(wanted.since, 0)}
    simple["b.arrived_at <"] = _midnight(wanted.until, 1)
    if wanted.state != "warn":
        simple["b.state ="] = "held" if wanted.state == "stopped" else wanted.state
    for condition, value in simple.items():
        if value:
            parts.append(f"AND {condition} ?")
            bound.append(value)
    if wanted.state == "warn":
        parts.append("AND b.state = 'admitted' AND b.verdict = 'warn'")  # as the partial index says it
    if wanted.state == "stopped":
        parts.append(f"AND {_UNSETTLED}")
    if wanted.state in {"held", "stopped", "open"}:
        parts.append("AND b.state <> 'admitted'")  # says it so that the partial index is used
    if wanted.department:
        parts.append("AND b.dataset IN (SELECT dataset FROM dataset WHERE department = ?)")
        bound.append(wanted.department)
    if wanted.text:
        if not wanted.since:
            parts.append("AND b.arrived_at >= date((SELECT max(arrived_at) FROM batch), ?)")
            bound.append(f"-{SEARCHED} days")
        parts.append("AND (b.batch_id LIKE ? ESCAPE '~' OR b.delivery LIKE ? ESCAPE '~')")
        escaped = wanted.text.replace("~", "~~").replace("%", "~%").replace("_", "~_")
        bound += [f"%{escaped}%"] * 2
    return " ".join(parts), bound


def _midnight(day: str, more: int) -> str:
    """Return the instant at which a Shanghai day begins, or one `more` days later; nothing for no day, or none."""
    try:
        at = datetime.combine(date.fromisoformat(day) + timedelta(days=more), time(), SHANGHAI) if day else None
    except (ValueError, OverflowError):  # 31 February: nothing is after it, nothing before
        return "0" if more else "9"
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else ""


def _source(wanted: Filter) -> tuple[str, list[Any], str]:
    """Return FROM ... WHERE with its values, and the order, newest first; a rule is looked up in its own index."""
    where, bound = _where(wanted)
    if not wanted.rule:
        return f"batch b WHERE 1 {where}", bound, "b.arrived_at DESC, b.batch_id DESC"
    source = "batch_rule r CROSS JOIN batch b ON b.dataset = r.dataset AND b.batch_id = r.batch_id"
    return f"{source} WHERE r.rule = ? {where}", [wanted.rule, *bound], "r.arrived_at DESC, r.batch_id DESC"


def batches(connection: sqlite3.Connection, wanted: Filter, page: int = 1) -> tuple[int, list[sqlite3.Row]]:
    """Return how many batches the filter leaves (MOST + 1 = more than MOST), and one page of them, newest first."""
    source, bound, order = _source(wanted)
    counted = f"SELECT count(*) FROM (SELECT 1 FROM {source} LIMIT ?)"
    total = connection.execute(counted, [*bound, MOST + 1]).fetchone()[0]
    rows = connection.execute(
        f"""SELECT b.*, d.title, d.department_name
            FROM (SELECT b.dataset, b.batch_id FROM {source} ORDER BY {order} LIMIT ? OFFSET ?)
            JOIN batch b USING (dataset, batch_id) LEFT JOIN dataset d USING (dataset)
            ORDER BY b.arrived_at DESC, b.batch_id DESC""",
        [*bound, PAGE, (min(max(page, 1), MOST // PAGE) - 1) * PAGE],
    ).fetchall()
    return total, rows


def batch(connection: sqlite3.Connection, dataset: str, batch_id: str) -> sqlite3.Row | None:
    """Return one batch with its data set's title and department."""
    return connection.execute(  # type: ignore[no-any-return]
        """SELECT b.*, d.title, d.department_name, d.cadence, d.share FROM batch b LEFT JOIN dataset d USING (dataset)
           WHERE b.dataset = ? AND b.batch_id = ?""",
        (dataset, batch_id),
    ).fetchone()


def settled_by(connection: sqlite3.Connection, row: sqlite3.Row) -> str | None:
    """Return the first batch of its data set that was admitted although it came after this one; None without such."""
    query = """SELECT batch_id FROM batch WHERE dataset = ? AND as_of > ? AND state = 'admitted'
               ORDER BY as_of LIMIT 1"""
    found = connection.execute(query, (row["dataset"], row["as_of"])).fetchone()
    return str(found[0]) if found else None


def batch_rules(connection: sqlite3.Connection, dataset: str, batch_id: str) -> list[sqlite3.Row]:
    """Return the rules that rows of a batch broke, most first."""
    query = (
        "SELECT rule, level, rows FROM batch_rule WHERE dataset = ? AND batch_id = ? ORDER BY level, rows DESC, rule"
    )
    return connection.execute(query, (dataset, batch_id)).fetchall()


def neighbours(connection: sqlite3.Connection, dataset: str, as_of: str, count: int = 30) -> list[sqlite3.Row]:
    """Return the last batches of a data set up to an instant, oldest first, for a look at its history."""
    query = """SELECT batch_id, day, state, received, accepted, quarantined, duplicate, unlinked FROM batch
               WHERE dataset = ? AND as_of <= ? ORDER BY as_of DESC, batch_id DESC LIMIT ?"""
    return connection.execute(query, (dataset, as_of, count)).fetchall()[::-1]


def queued(connection: sqlite3.Connection, kind: str, wanted: Filter, skip: int = 0, limit: int = 200) -> list[Any]:
    """Return batches with rows in a queue (`quarantined` or `unlinked`), newest first."""
    source, bound, order = _source(wanted)
    query = f"""SELECT b.dataset, b.batch_id, b.state FROM {source} AND b.{_queue(kind)} > 0
        ORDER BY {order} LIMIT ? OFFSET ?"""
    return connection.execute(query, [*bound, limit, skip]).fetchall()


def queue_by_dataset(connection: sqlite3.Connection, kind: str, wanted: Filter) -> list[sqlite3.Row]:
    """Return the queue's rows by data set, most first; period and rule of the filter do not count here.

    waiting: those that are open now; ever: with those that were closed since (unlinked: none, they leave the queue).
    """
    clause, bound = allowed(wanted.only, "t.dataset")
    for column, value in (("t.dataset", wanted.dataset), ("d.department", wanted.department)):
        if value:
            clause, bound = f"{clause} AND {column} = ?", [*bound, value]
    waiting = "t.open_refused" if kind == "quarantined" else "t.unlinked"
    return connection.execute(
        f"""SELECT t.dataset, d.title, d.department_name, {waiting} AS waiting, t.{_queue(kind)} AS ever, t.received
            FROM dataset_total t LEFT JOIN dataset d USING (dataset) WHERE ever > 0 {clause}
            ORDER BY waiting DESC, ever DESC, t.dataset""",
        bound,
    ).fetchall()


def _queue(kind: str) -> str:
    if kind not in {"quarantined", "unlinked"}:
        raise ValueError(kind)
    return kind


def rules_since(connection: sqlite3.Connection, since: date, wanted: Filter, limit: int = 15) -> list[sqlite3.Row]:
    """Return the rules broken since a day, by number of rows, most first."""
    clause, bound = allowed(wanted.only, "dataset")
    if wanted.dataset:
        clause, bound = f"{clause} AND dataset = ?", [*bound, wanted.dataset]
    if wanted.department:
        clause += " AND dataset IN (SELECT dataset FROM dataset WHERE department = ?)"
        bound = [*bound, wanted.department]
    query = f"""SELECT rule, level, sum(rows) AS rows FROM rule_day WHERE day >= ? {clause}
                GROUP BY rule, level ORDER BY rows DESC, rule LIMIT ?"""
    return connection.execute(query, [since.isoformat(), *bound, limit]).fetchall()


def totals(connection: sqlite3.Connection, only: Collection[str] | None = None) -> sqlite3.Row:
    """Return the sums over all data sets."""
    clause, bound = allowed(only, "dataset")
    return connection.execute(  # type: ignore[no-any-return]
        f"""SELECT count(*) AS datasets, coalesce(sum(batches), 0) AS batches, coalesce(sum(held), 0) AS held,
              coalesce(sum(open), 0) AS open, coalesce(sum(received), 0) AS received,
              coalesce(sum(accepted), 0) AS accepted, coalesce(sum(quarantined), 0) AS quarantined,
              coalesce(sum(duplicate), 0) AS duplicate, coalesce(sum(unlinked), 0) AS unlinked,
              coalesce(sum(open_refused), 0) AS open_refused,
              max(last_arrived_at) AS last_arrived_at FROM dataset_total WHERE 1 {clause}""",
        bound,
    ).fetchone()


def daily(connection: sqlite3.Connection, since: date, only: Collection[str] | None = None) -> list[sqlite3.Row]:
    """Return rows received, accepted, quarantined and waiting day by day."""
    clause, bound = allowed(only, "dataset")
    query = f"""SELECT day, sum(batches) AS batches, sum(received) AS received, sum(accepted) AS accepted,
                  sum(quarantined) AS quarantined, sum(duplicate) AS duplicate, sum(unlinked) AS unlinked
                FROM dataset_day WHERE day >= ? {clause} GROUP BY day ORDER BY day"""
    return connection.execute(query, [since.isoformat(), *bound]).fetchall()


def held_unresolved(connection: sqlite3.Connection, only: Collection[str] | None = None) -> list[sqlite3.Row]:
    """Return held batches after which nothing of the same data set was admitted, newest first."""
    clause, bound = allowed(only, "b.dataset")
    return connection.execute(
        f"""SELECT b.*, d.title, d.department_name FROM batch b LEFT JOIN dataset d USING (dataset)
            WHERE b.state = 'held' AND b.state <> 'admitted' {clause} AND {_UNSETTLED}
            ORDER BY b.arrived_at DESC, b.batch_id DESC""",
        bound,
    ).fetchall()


def stuck(connection: sqlite3.Connection, before: str, only: Collection[str] | None = None) -> list[sqlite3.Row]:
    """Return batches received before an instant that have no outcome yet, oldest first."""
    clause, bound = allowed(only, "b.dataset")
    return connection.execute(
        f"""SELECT b.*, d.title, d.department_name FROM batch b LEFT JOIN dataset d USING (dataset)
            WHERE b.state = 'open' AND b.state <> 'admitted' AND b.received_at < ? {clause}
            ORDER BY b.arrived_at LIMIT 200""",
        [before, *bound],
    ).fetchall()


def growing(connection: sqlite3.Connection, today: date, only: Collection[str] | None = None) -> list[sqlite3.Row]:
    """Return data sets whose deliveries of the last seven days left clearly more rows waiting than those before."""
    clause, bound = allowed(only, "x.dataset")
    week, before = (today - timedelta(days=6)).isoformat(), (today - timedelta(days=13)).isoformat()
    return connection.execute(
        f"""SELECT x.dataset, d.title, d.department_name,
              sum(CASE WHEN day >= ? THEN unlinked ELSE 0 END) AS now,
              sum(CASE WHEN day < ? THEN unlinked ELSE 0 END) AS before
            FROM dataset_day x LEFT JOIN dataset d USING (dataset) WHERE day >= ? {clause}
            GROUP BY x.dataset HAVING now >= ? AND now > ? * before ORDER BY now DESC""",
        [week, week, before, *bound, *GROWING],
    ).fetchall()


def problems(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    """Return the contract files that cannot be used."""
    return connection.execute("SELECT path, message FROM problem ORDER BY path").fetchall()


def datasets(connection: sqlite3.Connection, only: Collection[str] | None = None) -> list[sqlite3.Row]:
    """Return all data sets with their sums, by department."""
    clause, bound = allowed(only, "d.dataset")
    return connection.execute(
        f"""SELECT d.dataset, d.title, d.department, d.department_name, d.region, d.domain, d.kind, d.cadence,
              d.late_after, d.mode, d.share, t.batches, t.accepted, t.last_arrived_at FROM dataset d
            LEFT JOIN dataset_total t USING (dataset) WHERE 1 {clause} ORDER BY d.department, d.dataset""",
        bound,
    ).fetchall()


def dataset(connection: sqlite3.Connection, name: str) -> sqlite3.Row | None:
    """Return one data set with its contract and its sums."""
    query = "SELECT d.*, t.batches, t.accepted, t.last_arrived_at FROM dataset d LEFT JOIN dataset_total t"
    return connection.execute(f"{query} USING (dataset) WHERE d.dataset = ?", (name,)).fetchone()  # type: ignore[no-any-return]


def departments(rows: Sequence[sqlite3.Row]) -> dict[str, str]:
    """Return department code -> name of these data sets."""
    return {r["department"]: r["department_name"] for r in rows}
