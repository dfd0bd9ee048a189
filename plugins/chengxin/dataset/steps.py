"""The set operations of assembling, as named SQL steps over the session of one run.

The only place of this package to port to another engine. Temp tables that they leave for each other: losers (adm_order,
row_id), displaced (record_id, part, dataset), fresh_counts (dataset, part, rows).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from chengxin.contracts.models import Contract
from chengxin.dataset.origins import FILES_BITS, Origins
from chengxin.handover import Admission
from chengxin.model.kinds import Kind
from chengxin.model.schema import kind_columns
from chengxin.resolve.keys import VERSION_ORDER
from chengxin.resolve.linking import create_held
from chengxin.resolve.reopening import void
from chengxin.resolve.session import literal, parquet
from chengxin.store.layout import Layout


def decide(
    connection: duckdb.DuckDBPyConnection,
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
    connection: duckdb.DuckDBPyConnection,
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
    connection.execute(f"""INSERT INTO displaced
        SELECT record_id, part, {literal(dataset)} FROM decided WHERE {new}""")
    reopened = link_files(layout, fresh, "reopened")
    if reopened:
        connection.execute(f"""INSERT INTO losers
            SELECT l.adm_order, l.row_id FROM {parquet(link_files(layout, fresh, "linked"))} l
            WHERE NOT waiting AND {void(reopened, "l")}""")
        connection.execute(f"INSERT INTO displaced SELECT record_id, part, {literal(dataset)} FROM {parquet(reopened)}")
    _count_fresh(connection, layout, fresh, dataset)


def weigh(connection: duckdb.DuckDBPyConnection, layout: Layout, mine: Sequence[Admission]) -> None:
    """Weigh the versions of the records in `disputed` within one data set, whose admissions are `mine`.

    Leaves `versions` and `decided` (record_id, adm_order, row_id, gone, part, subject_id): what holds now.
    """
    create_held(connection, *(link_files(layout, mine, n) for n in ("linked", "duplicates", "withdrawn", "reopened")))
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


def _count_fresh(
    connection: duckdb.DuckDBPyConnection, layout: Layout, fresh: Sequence[Admission], dataset: str
) -> None:
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


def link_files(layout: Layout, admissions: Sequence[Admission], name: str) -> list[Path]:
    """Return the existing `<name>.parquet` of these admissions' links folders."""
    files = (layout.links(a.dataset, a.batch_id, a.revision) / f"{name}.parquet" for a in admissions)
    return [f for f in files if f.exists()]


def touched_parts(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the parts in which a row comes, changes or goes; leaves them as the type part_code, in order."""
    rows = connection.execute("SELECT part FROM fresh_counts UNION SELECT part FROM displaced ORDER BY 1").fetchall()
    connection.execute("DROP TYPE IF EXISTS part_code")
    if rows:
        connection.execute(f"CREATE TYPE part_code AS ENUM ({', '.join(literal(r[0]) for r in rows)})")
    return {r[0] for r in rows}


def count_changes(
    connection: duckdb.DuckDBPyConnection, kept: Sequence[Path], inserted: dict[str, int], removed: dict[str, int]
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


def rows_of_kind(
    layout: Layout,
    kind: Kind,
    origins: Origins,
    mine: Sequence[Admission],
    fresh: Sequence[Admission],
    kept: Sequence[Path],
    present: set[str],
    restored: Sequence[Admission] = (),
) -> str:
    """Return the query of all rows of the touched parts: kept ones that nothing displaced, and the fresh winners.

    present: the kind's columns that can hold a value; the others are not carried through the sort. restored: older
    admissions with rows that are shown again (table `restored` of dataset.routes).
    """
    columns = [c.name for c in kind_columns(kind) if c.name in present]
    related = ["related_subject_id"] if "related" in kind.roles else []
    head = ["record_id", "subject_id", *related, "subject_type"]
    tail = ["source_row", "source_record_id", "source_updated_at"]
    selects = [_fresh_rows(layout, a, origins, [*columns, *tail], head) for a in fresh]
    selects += [_fresh_rows(layout, a, origins, [*columns, *tail], head, again=True) for a in restored]
    if kept:
        selects.append(f"""SELECT {", ".join(f"k.{c}" for c in [*head, *columns, *tail])}, o.origin,
                regexp_extract(k.filename, '([^/]+)-[0-9a-f]{{12}}[.]parquet$', 1) AS part
            FROM (SELECT * FROM {parquet(kept).replace("union_by_name", "filename = true, union_by_name")}
                  WHERE record_id NOT IN (SELECT record_id FROM displaced)) k
            JOIN origins o USING (batch_id, source_file)""")
    # Sorting compares numbers only: the part as a code, and the place of origin where subjects are equal.
    return f"""SELECT * REPLACE (CAST(part AS part_code) AS part), {share_level(kind)} AS share_level
        FROM ({" UNION ALL ".join(selects)}) r ORDER BY part, subject_id, origin, source_row"""


def _fresh_rows(
    layout: Layout, admission: Admission, origins: Origins, columns: list[str], head: list[str], *, again: bool = False
) -> str:
    standard = sorted(layout.standard(admission.dataset, admission.batch_id).glob("standard-*.parquet"))
    first = origins.first[admission.dataset, admission.batch_id]
    duplicates = link_files(layout, [admission], "duplicates")
    wanted = f"AND row_id NOT IN (SELECT row_id FROM {parquet(duplicates)})" if duplicates else ""
    wanted += f" AND row_id NOT IN (SELECT row_id FROM losers WHERE adm_order = {admission.order})"
    if again:
        wanted = f"AND row_id IN (SELECT row_id FROM restored WHERE adm_order = {admission.order})"
    return f"""SELECT {", ".join([f"l.{c}" for c in head] + [f"s.{c}" for c in columns])},
            {first} + (s.row_id >> {FILES_BITS}) AS origin, l.part
        FROM {parquet(standard)} s JOIN (
            SELECT * FROM {parquet(link_files(layout, [admission], "linked"))} WHERE NOT waiting {wanted}) l
            USING (row_id)"""


def share_level(kind: Kind) -> str:
    """Return SQL that says whether a row may go to the open tier, publication clock apart: 'open' or 'government'."""
    if not kind.open.share or kind.sealed:
        return "'government'"
    conditions = [f"subject_type IN ({', '.join(map(literal, kind.open.subject_types))})"]
    conditions += [f"{e} IN ({', '.join(map(literal, values))})" for e, values in kind.open.when.items()]
    return f"CASE WHEN {' AND '.join(conditions)} THEN 'open' ELSE 'government' END"
