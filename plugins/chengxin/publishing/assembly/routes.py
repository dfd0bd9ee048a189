"""Records that arrive by several routes: which route's row is shown, and where else the record is on record.

Each data set decides on its own versions as ever (`steps.weigh`); then, of the data sets of a group that hold a
record now, the one of the lowest precedence is shown. Data sets without a route never come here.

Temp tables besides those of `steps`: standing (what each route holds of the touched records, with is_shown) and
restored (adm_order, row_id: rows of earlier admissions that must be written again).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from chengxin.contracts.models import Contract
from chengxin.engine.session import Connection, literal, parquet
from chengxin.facts import Admission
from chengxin.identity.held_links import link_files
from chengxin.model.kinds import Kind
from chengxin.publishing.assembly import steps
from chengxin.publishing.assembly.origins import FILES_BITS, Origins
from chengxin.publishing.assembly.tables import RECORD_SOURCE, write_parts
from chengxin.store.layout import Layout
from chengxin.store.manifest import FileEntry

LAST = 100  # precedence of a data set whose contract is gone


def decide(
    connection: Connection,
    layout: Layout,
    contracts: Mapping[str, Contract],
    mine: Sequence[Admission],
    fresh: Sequence[Admission],
    last_order: int,
) -> list[Admission]:
    """Decide the records of every group with a fresh admission; call after steps.decide, which makes the tables.

    Return the earlier admissions with rows that are shown again.
    """
    groups = sorted({a.route for a in fresh if a.route})
    if not groups:
        return []
    connection.execute("""CREATE OR REPLACE TEMP TABLE standing (record_id VARCHAR, subject_id BIGINT, part VARCHAR,
        dataset VARCHAR, precedence INTEGER, adm_order BIGINT, row_id BIGINT, is_shown BOOLEAN)""")
    connection.execute("CREATE OR REPLACE TEMP TABLE restored (adm_order BIGINT, row_id BIGINT)")
    for group in groups:
        all_of = [a for a in mine if a.route == group]
        _decide_group(connection, layout, contracts, all_of, [a for a in fresh if a.route == group])
    connection.execute(f"INSERT INTO restored SELECT adm_order, row_id FROM shown_now WHERE adm_order <= {last_order}")
    orders = {order for (order,) in connection.execute("SELECT DISTINCT adm_order FROM restored").fetchall()}
    return [a for a in mine if a.order in orders]


def _decide_group(
    connection: Connection,
    layout: Layout,
    contracts: Mapping[str, Contract],
    mine: Sequence[Admission],
    fresh: Sequence[Admission],
) -> None:
    linked = parquet(link_files(layout, fresh, "linked"))
    touched = [f"SELECT record_id, part FROM {linked} WHERE NOT waiting"]
    for name in ("withdrawn", "reopened"):
        files = link_files(layout, fresh, name)
        touched += [f"SELECT record_id, part FROM {parquet(files)}"] if files else []
    connection.execute(f"CREATE OR REPLACE TEMP TABLE touched AS {' UNION '.join(touched)}")
    connection.execute("CREATE OR REPLACE TEMP TABLE disputed AS SELECT DISTINCT record_id FROM touched")
    connection.execute("""CREATE OR REPLACE TEMP TABLE held_now (record_id VARCHAR, subject_id BIGINT, part VARCHAR,
        dataset VARCHAR, precedence INTEGER, adm_order BIGINT, row_id BIGINT)""")
    for dataset in sorted({a.dataset for a in mine}):
        steps.weigh(connection, layout, [a for a in mine if a.dataset == dataset])
        connection.execute(f"""INSERT INTO held_now SELECT record_id, subject_id, part, {literal(dataset)},
            {precedence_of(contracts, dataset)}, adm_order, row_id FROM decided WHERE NOT gone""")
    connection.execute("""CREATE OR REPLACE TEMP TABLE standing_now AS SELECT *,
        row_number() OVER (PARTITION BY record_id ORDER BY precedence, dataset) = 1 AS is_shown FROM held_now""")
    connection.execute("INSERT INTO standing SELECT * FROM standing_now")
    connection.execute("CREATE OR REPLACE TEMP VIEW shown_now AS SELECT * FROM standing WHERE is_shown")
    # All rows of touched records go, and those that are shown come: what an earlier snapshot showed need not be known.
    connection.execute(f"""INSERT INTO losers SELECT adm_order, row_id FROM {linked} WHERE NOT waiting
        AND (adm_order, row_id) NOT IN (SELECT (adm_order, row_id) FROM shown_now)""")
    connection.execute("INSERT INTO displaced SELECT record_id, part, NULL FROM touched")
    connection.execute("""INSERT INTO fresh_counts
        SELECT dataset, part, count(*) FROM standing_now WHERE is_shown GROUP BY dataset, part""")


def precedence_of(contracts: Mapping[str, Contract], dataset: str) -> int:
    """Return the precedence of a data set's route; the last where its contract is gone or says nothing."""
    contract = contracts.get(dataset)
    return contract.delivery.route.precedence if contract and contract.delivery.route else LAST


def write_sources(
    connection: Connection,
    kind: Kind,
    origins: Origins,
    mine: Sequence[Admission],
    kept: Sequence[Path],
    folder: Path,
) -> list[FileEntry]:
    """Write record_source for the parts that `touched_parts` names. kept: its files of the snapshot before."""
    firsts = ", ".join(f"({a.order}, {origins.first[a.dataset, a.batch_id]})" for a in mine)
    rows = f"""SELECT s.record_id, s.subject_id, s.precedence, s.is_shown,
            f.first + (s.row_id >> {FILES_BITS}) AS origin,
            s.row_id & ((1::BIGINT << {FILES_BITS}) - 1) AS source_row, s.part
        FROM standing s JOIN (VALUES {firsts}) f(adm_order, first) USING (adm_order)"""
    if kept:
        rows += f""" UNION ALL
            SELECT k.record_id, k.subject_id, k.precedence, k.is_shown, o.origin, k.source_row,
                regexp_extract(k.filename, '-([^/-]+)-[0-9a-f]{{12}}[.]parquet$', 1) AS part
            FROM {parquet(kept, filename=True)} k
            JOIN origins o USING (batch_id, source_file)
            WHERE record_id NOT IN (SELECT record_id FROM displaced)"""
    ordered = f"SELECT * FROM ({rows}) ORDER BY part, subject_id, origin, source_row"
    return write_parts(connection, ordered, RECORD_SOURCE, origins, folder, kind=kind.id)


def touched_parts(connection: Connection) -> set[str]:
    """Return the parts whose record_source changes: those of all records of groups that were touched."""
    found = connection.execute("SELECT DISTINCT part FROM displaced WHERE dataset IS NULL").fetchall()
    return {part for (part,) in found}
