"""The set operations of assembling, as named SQL steps over the session of one run.

The only place of this package to port to another engine. Temp tables that they leave for each other: losers (adm_order,
row_id), displaced (record_id, part, dataset), fresh_counts (dataset, part, rows).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.contracts.models import Contract
from chengxin.engine.session import Connection, Session, literal, parquet
from chengxin.facts import Admission
from chengxin.identity.held_links import link_files
from chengxin.identity.record_keys import VERSION_ORDER
from chengxin.identity.reopened_links import REOPENED, void
from chengxin.identity.versions import create_held
from chengxin.store.layout import Layout


def decide(
    connection: Connection,
    layout: Layout,
    contracts: Mapping[str, Contract],
    mine: Sequence[Admission],
    fresh: Sequence[Admission],
    last_order: int,
) -> None:
    """Decide which version of each touched record holds now.

    Leaves `losers` (fresh rows that are not the present version), `displaced` (records whose row of the snapshot
    before, if any, no longer holds) and `fresh_counts` (rows to come).
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE losers (adm_order BIGINT, row_id BIGINT)")
    connection.execute("CREATE OR REPLACE TEMP TABLE displaced (record_id VARCHAR, part VARCHAR, dataset VARCHAR)")
    connection.execute("CREATE OR REPLACE TEMP TABLE fresh_counts (dataset VARCHAR, part VARCHAR, rows BIGINT)")
    for dataset in sorted({a.dataset for a in fresh if not a.route}):
        _decide_dataset(
            connection,
            layout,
            [a for a in mine if a.dataset == dataset],
            [a for a in fresh if a.dataset == dataset],
            last_order,
            dataset,
        )


def _decide_dataset(
    connection: Connection,
    layout: Layout,
    mine: Sequence[Admission],
    fresh: Sequence[Admission],
    last_order: int,
    dataset: str,
) -> None:
    new = f"adm_order > {last_order}"
    # Linking noted which records have more than one version; all others need no decision.
    connection.execute("CREATE OR REPLACE TEMP TABLE disputed (record_id VARCHAR)")
    for name in ("disputed", "withdrawn", "reopened"):
        files = link_files(layout, fresh, name)
        if files:
            connection.execute(f"INSERT INTO disputed SELECT record_id FROM {parquet(files)}")
    weigh(connection, layout, mine)
    connection.execute(f"""INSERT INTO losers
        SELECT h.adm_order, h.row_id FROM versions h JOIN decided d USING (record_id)
        WHERE h.{new} AND h.row_id >= 0
            AND (h.withdrawal OR d.gone OR d.adm_order <> h.adm_order OR d.row_id <> h.row_id)""")
    # A record that its number names may have been another subject's before, in another part.
    connection.execute(f"""INSERT INTO displaced SELECT DISTINCT record_id, v.part, {literal(dataset)}
        FROM versions v JOIN decided d USING (record_id) WHERE d.{new}""")
    reopened = link_files(layout, fresh, "reopened")
    if reopened:
        Session(connection).files("reopened_now", reopened, REOPENED)
        connection.execute(f"""INSERT INTO losers
            SELECT l.adm_order, l.row_id FROM {parquet(link_files(layout, fresh, "linked"))} l
            WHERE NOT waiting AND {void("l", "reopened_now")}""")
        connection.execute(f"""INSERT INTO displaced SELECT DISTINCT record_id, l.part, {literal(dataset)}
            FROM {parquet(link_files(layout, mine, "linked"))} l JOIN {parquet(reopened)} USING (record_id)""")
    _count_fresh(connection, layout, fresh, dataset)


def weigh(connection: Connection, layout: Layout, mine: Sequence[Admission]) -> None:
    """Weigh the versions of the records in `disputed` within one data set, whose admissions are `mine`.

    Leaves `versions` and `decided` (record_id, adm_order, row_id, gone, part, subject_id): what holds now.
    """
    create_held(
        Session(connection), *(link_files(layout, mine, n) for n in ("linked", "duplicates", "withdrawn", "reopened"))
    )
    order = f"({VERSION_ORDER})"
    connection.execute("""CREATE OR REPLACE TEMP TABLE versions AS
        SELECT *, payload IS NULL AS withdrawal FROM held WHERE record_id IN (SELECT record_id FROM disputed)""")
    # The newest content counts; the row that stands for it is the newest that is not a mere repetition.
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE newest AS
        SELECT record_id, max_by(withdrawal, {order}) AS gone, max_by(coalesce(payload, 0), {order}) AS content
        FROM versions GROUP BY record_id""")
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE decided AS
        SELECT record_id, max_by(adm_order, {order}) AS adm_order, max_by(row_id, {order}) AS row_id,
               any_value(gone) AS gone, max_by(part, {order}) AS part, max_by(subject_id, {order}) AS subject_id
        FROM versions JOIN newest USING (record_id)
        WHERE withdrawal = gone AND (gone OR (payload = content AND NOT duplicate)) GROUP BY record_id""")


def _count_fresh(connection: Connection, layout: Layout, fresh: Sequence[Admission], dataset: str) -> None:
    """Count the rows to come per part: linked ones, less duplicates and losers (both few)."""
    linked = parquet(link_files(layout, fresh, "linked"))
    duplicates = link_files(layout, fresh, "duplicates")
    out = "SELECT adm_order, row_id FROM losers"
    if duplicates:
        out += f" UNION SELECT adm_order, row_id FROM {parquet(duplicates)}"
    connection.execute(f"""INSERT INTO fresh_counts
        SELECT {literal(dataset)}, part, sum(n)::BIGINT FROM (
            SELECT part, count(*) AS n FROM {linked} WHERE NOT waiting GROUP BY part
            UNION ALL
            SELECT part, -count(*) FROM {linked} JOIN ({out}) USING (adm_order, row_id) GROUP BY part)
        GROUP BY part HAVING sum(n) > 0""")


def touched_parts(connection: Connection) -> set[str]:
    """Return the parts in which a row comes, changes or goes."""
    rows = connection.execute("SELECT part FROM fresh_counts UNION SELECT part FROM displaced").fetchall()
    return {r[0] for r in rows}


def count_changes(
    connection: Connection, kept: Sequence[Path], inserted: dict[str, int], removed: dict[str, int]
) -> None:
    """Add up per data set how many rows come and how many of the kept files go."""
    for dataset, rows in connection.execute(
        "SELECT dataset, sum(rows)::BIGINT FROM fresh_counts GROUP BY 1"
    ).fetchall():
        inserted[dataset] = inserted.get(dataset, 0) + rows
    if kept:
        gone = connection.execute(f"""SELECT dataset, count(*) FROM {parquet(kept)}
            WHERE record_id IN (SELECT record_id FROM displaced) GROUP BY 1""").fetchall()
        for dataset, rows in gone:
            removed[dataset] = removed.get(dataset, 0) + rows


def gone(connection: Connection, layout: Layout, admission: Admission) -> npt.NDArray[np.int64]:
    """Return the rows of a revision, ascending, that do not come: duplicates and losers."""
    duplicates = link_files(layout, [admission], "duplicates")
    out = f"SELECT row_id FROM losers WHERE adm_order = {admission.order}"
    if duplicates:
        out += f" UNION SELECT row_id FROM {parquet(duplicates)}"
    found = connection.sql(out).to_arrow_table()  # in any order, even if told one
    return np.unique(np.asarray(found.column("row_id"), np.int64))


def restored_rows(connection: Connection, admission: Admission) -> npt.NDArray[np.int64]:
    """Return the rows of an older revision, ascending, that are shown again (table `restored` of `routes`)."""
    found = connection.sql(f"SELECT row_id FROM restored WHERE adm_order = {admission.order}").to_arrow_table()
    return np.unique(np.asarray(found.column("row_id"), np.int64))


def displaced(connection: Connection) -> pa.Array:
    """Return the records whose row of the snapshot before no longer holds."""
    found = connection.sql("SELECT DISTINCT record_id FROM displaced").to_arrow_table()
    return found.column("record_id").combine_chunks()


def sample_of_subjects(
    connection: Connection, layout: Layout, fresh: Sequence[Admission], parts: Sequence[str]
) -> tuple[list[int], list[npt.NDArray[np.int64]]]:
    """Return for each part how many fresh rows there are, and the subjects of about every sixtieth."""
    counts = dict(connection.execute("SELECT part, sum(rows)::BIGINT FROM fresh_counts GROUP BY 1").fetchall())
    linked = parquet(link_files(layout, fresh, "linked"))
    found = connection.execute(f"""SELECT part, list(subject_id) FROM {linked}
        WHERE NOT waiting AND row_id % 61 = 0 GROUP BY 1""").fetchall()
    sample = {part: np.asarray(subjects, np.int64) for part, subjects in found}
    return [counts.get(p, 0) for p in parts], [sample.get(p, np.zeros(0, np.int64)) for p in parts]
