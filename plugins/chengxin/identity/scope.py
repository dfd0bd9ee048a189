"""What of the registry linking a batch works on: what its rows can touch, or all, where they can touch most of it."""

import sqlite3
from collections.abc import Collection, Iterable, Sequence

from chengxin.engine.session import Session
from chengxin.engine.step import Step
from chengxin.identity.by_code import RoleLink
from chengxin.identity.conflicts.name_conflicts import key_of
from chengxin.identity.registry import TABLES
from chengxin.state import lookups

#: Values by which a name waits for a near one: no identifier and no name begins so.
NEAR = "~"


def narrow(
    session: Session,
    state: sqlite3.Connection,
    links: Collection[RoleLink],
    *,
    dataset: str,
    also: Sequence[int],
) -> None:
    """Leave registry_<table> and own_<table>, what the data set itself has added, for the tables of the registry.

    Needs `rows` and `judged_for`. also: subjects that are touched whatever the rows state.
    """
    session.leave(_distinct("touched_value", (value for link in links for value in link.values())))
    session.leave(_distinct("touched_name", (key for link in links for key in _keys(link))))
    found = lookups.touched(
        state,
        dataset,
        values=_fetched(session, "touched_value"),
        names=_fetched(session, "touched_name"),
        also=[*also, *(subject for (subject,) in session.fetch(_JUDGED))],
    )
    for table in TABLES:
        rows = found[table]
        session.rows(f"registry_{table}", rows)
        if "own" in rows.column_names:
            session.view(Step(f"own_{table}", (f"registry_{table}",), f"SELECT * FROM registry_{table} WHERE own"))


def waiting_values(links: Collection[RoleLink], *, near: bool) -> Step:
    """Return the step `waiting_values`: what the waiting rows are looked up by. Needs `rows` and `linked`.

    near: also by what `like_waiting` holds.
    """
    values = (sql for link in links for sql in (*link.values(), *_keys(link)))
    among = "WHERE row_id IN (SELECT row_id FROM linked WHERE waiting)"
    step = _distinct("waiting_values", values, among, ("rows", "linked"))
    if not near:
        return step
    both = f"SELECT value FROM ({step.sql}) UNION SELECT value FROM like_waiting ORDER BY 1"
    return Step(step.name, (*step.reads, "like_waiting"), both)


_JUDGED = Step(
    "judged_here",
    ("judged_for", "touched_value", "touched_name"),
    """SELECT DISTINCT subject_id FROM judged_for
        WHERE value IN (SELECT value FROM touched_value UNION ALL SELECT value FROM touched_name)""",
)


def _fetched(session: Session, table: str) -> list[str]:
    return [value for (value,) in session.fetch(Step(f"{table}_fetched", (table,), f"SELECT value FROM {table}"))]


def _keys(link: RoleLink) -> list[str]:
    return [link.column("name_key"), key_of(link.column("name"))] if "name" in link.fields else []


def _distinct(table: str, values: Iterable[str], among: str = "", reads: tuple[str, ...] = ("rows",)) -> Step:
    """Return the step with the different values of these columns of `rows`, sorted; the rows are read once."""
    every = f"SELECT unnest([{', '.join(['CAST(NULL AS VARCHAR)', *values])}]) AS value FROM rows s {among}"
    return Step(table, reads, f"SELECT DISTINCT value FROM ({every}) WHERE value IS NOT NULL ORDER BY 1")
