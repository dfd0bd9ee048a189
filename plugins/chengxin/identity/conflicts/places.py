"""What the links folders of a batch tell of its rows, and the places of those that are told of with them.

A row that a judgement reopens is linked again in a revision of its own: what earlier ones told of it holds no longer.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.engine.session import Session
from chengxin.engine.step import Step


def write(
    session: Session,
    told: str,
    flag: str,
    target: Path,
    *,
    batches: Mapping[int, str],
    standard: Callable[[str], Sequence[Path]],
    order: int,
) -> None:
    """Write row_id, other_batch, other_file, other_row, `flag` and adm_order of the table `told`, if it has a row.

    told: row_id, other_order (place of the other row's batch in the journal), other_id (its row_id) and `flag`.
    batches: batch_order -> batch id. standard: the passed rows of a batch, by id.
    """
    others = session.fetch(Step(f"{told}_batches", (told,), f"SELECT DISTINCT other_order FROM {told}"))
    if not others:
        return
    inputs = attach(session, [n for (n,) in others], batches, standard)
    rows = " UNION ALL ".join(
        f"""SELECT {n} AS other_order, row_id AS other_id, source_file, source_row AS place FROM {table}
        WHERE row_id IN (SELECT other_id FROM {told} WHERE other_order = {n})"""
        for n, table in inputs.items()
    )
    sql = f"""SELECT t.row_id, b.batch_id AS other_batch, p.source_file AS other_file, p.place AS other_row, t.{flag},
            CAST($order AS INTEGER) AS adm_order
        FROM {told} t JOIN ({rows}) p USING (other_order, other_id)
        JOIN batch_names b ON b.batch_order = t.other_order ORDER BY t.row_id"""
    step = Step(f"{told}_file", (told, "batch_names", *inputs.values()), sql, {"order": order})
    session.write(step, target)


def attach(
    session: Session, orders: Sequence[int], batches: Mapping[int, str], standard: Callable[[str], Sequence[Path]]
) -> dict[int, str]:
    """Take as inputs the passed rows of these batches, and `batch_names` (batch_order, batch_id).

    Return the tables of the rows by batch_order.
    """
    names = {"batch_order": pa.array(orders, pa.int64()), "batch_id": pa.array([batches[n] for n in orders])}
    session.rows("batch_names", pa.table(names, pa.schema([("batch_order", pa.int64()), ("batch_id", pa.string())])))
    tables = {n: f"standard_{n}" for n in orders}
    for n, table in tables.items():
        session.files(table, standard(batches[n]))
    return tables


def read(folders: Sequence[Path], name: str) -> pa.Table | None:
    """Return what the files `name` tell, of each row (row_id) by the last revision that linked it; None: nothing.

    folders: the links folders of a batch's revisions, the oldest first.
    """
    told: list[pa.Table] = []
    for n, folder in enumerate(folders):
        if not (folder / name).exists():
            continue
        rows = pq.read_table(folder / name)
        for later in folders[n + 1 :]:
            here = pc.field("row_id").isin(rows["row_id"])
            again = pq.read_table(later / "linked.parquet", columns=["row_id"], filters=here)["row_id"]
            rows = rows.filter(pc.invert(pc.is_in(rows["row_id"], value_set=again))) if len(again) else rows
        told += [rows] if rows.num_rows else []
    return pa.concat_tables(told) if told else None
