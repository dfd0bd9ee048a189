"""Where the accepted rows of a batch are now: shown by the current snapshot, or why not. Numbers that add up.

Accepted counts rows, published counts records: of the rows about one record only the newest is shown.
"""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengxin.engine.session import Connection, connect, parquet
from chengxin.operations.index import snapshots
from chengxin.store.layout import Layout

MOST_RECORDS = 3_000_000  # of a kind, up to which a page looks for each record of a batch
MOST_ROWS = 300_000  # of a batch


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """accepted = shown + repeated + newer + gone + unsplit + later + withheld.

    repeated: other rows of this batch about a record. newer: another batch's row stands for the record now. gone: the
    record is withdrawn, or is another subject's now. unsplit: these three together, where telling them apart would take
    long. later: not published yet. withheld: the data set is sealed or not shared.
    """

    accepted: int
    snapshot: str | None = None
    shown: int = 0
    repeated: int = 0
    newer: int = 0
    gone: int = 0
    unsplit: int = 0
    later: int = 0
    withheld: int = 0


def of_batch(connection: sqlite3.Connection, layout: Layout, row: Any, kind: str) -> Whereabouts | None:
    """Return where the accepted rows of an admitted batch are. kind: of its data set."""
    accepted = row["accepted"]
    if row["state"] != "admitted" or not accepted:
        return None
    current = snapshots.current(layout, "government")
    last = snapshots.version(connection, "government", current) if current else None
    if last is None:
        return Whereabouts(accepted=accepted, later=accepted)
    if row["share"] == "不予" or row["dataset"] in snapshots.said(last, "sealed"):
        return Whereabouts(accepted=accepted, snapshot=last["id"], withheld=accepted)
    upto = snapshots.upto(last, row["dataset"])
    if row["first_order"] > upto:
        return Whereabouts(accepted=accepted, snapshot=last["id"], later=accepted)
    table = snapshots.table(connection, last, kind)
    folder = layout.snapshot("government", last["id"]) / kind
    files = [folder / name for name in json.loads(table["names"])] if table else []
    with connect(memory_limit_mib=512) as engine:
        return _counted(engine, layout, row, upto, files, table["rows"] if table else 0, last["id"])


def _counted(
    engine: Connection, layout: Layout, row: Any, upto: int, files: list[Path], records: int, name: str
) -> Whereabouts:
    accepted, own = row["accepted"], row["batch_id"]
    links = sorted(layout.batch(row["dataset"], own).glob("links-*/linked.parquet"))
    repeats = sorted(layout.batch(row["dataset"], own).glob("links-*/duplicates.parquet"))
    if files:
        engine.execute(f"CREATE VIEW published AS SELECT record_id, batch_id FROM {parquet(files)}")
    else:
        engine.execute("CREATE TABLE published (record_id VARCHAR, batch_id VARCHAR)")
    shown = _one(engine, "SELECT count(*) FROM published WHERE batch_id = ?", own)
    if not links or records > MOST_RECORDS or accepted > MOST_ROWS:
        return Whereabouts(accepted=accepted, snapshot=name, shown=shown, unsplit=accepted - shown)
    engine.execute(f"""CREATE TABLE mine AS
        SELECT record_id, adm_order FROM (
            SELECT row_id, max(adm_order) AS adm_order, arg_max(waiting, adm_order) AS waiting,
              arg_max(record_id, adm_order) AS record_id FROM {parquet(links)} GROUP BY row_id)
        ANTI JOIN {parquet(repeats)} USING (row_id, adm_order) WHERE NOT waiting""")
    later = _one(engine, "SELECT count(*) FROM mine WHERE adm_order > ?", upto)
    repeated = _one(engine, "SELECT count(*) - count(DISTINCT record_id) FROM mine WHERE adm_order <= ?", upto)
    newer = _one(engine, """SELECT count(*) FROM (SELECT DISTINCT record_id FROM mine WHERE adm_order <= ?)
        SEMI JOIN (SELECT record_id FROM published WHERE batch_id <> ?) USING (record_id)""", upto, own)  # fmt: skip
    gone = accepted - later - shown - repeated - newer
    if gone < 0:  # the index and the home are of two moments
        return Whereabouts(accepted=accepted, snapshot=name, shown=shown, unsplit=accepted - shown)
    return Whereabouts(
        accepted=accepted, snapshot=name, shown=shown, repeated=repeated, newer=newer, gone=gone, later=later
    )


def _one(engine: Connection, query: str, *values: Any) -> int:
    found = engine.execute(query, list(values)).fetchone()
    return int(found[0]) if found else 0


@dataclass(frozen=True, kw_only=True)
class Source:
    """One data set in a government snapshot: accepted rows = published records + rest + withheld.

    rest: older versions, repeated rows and withdrawn records. withdrawn: how often deliveries withdrew a record.
    """

    dataset: str
    batches: int
    received: int
    accepted: int
    published: int
    rest: int
    withheld: int
    withdrawn: int


def of_snapshot(row: Any) -> list[Source]:
    """Return the data sets of a government snapshot, those with the greatest difference first."""
    sealed, found = snapshots.said(row, "sealed"), []
    for dataset, told in json.loads(row["sources"]).items():
        accepted, rows = told.get("accepted", 0), told.get("rows", 0)
        withheld = accepted - rows if dataset in sealed else 0
        found.append(
            Source(
                dataset=dataset,
                batches=told.get("batches", 0),
                received=told.get("received", 0),
                accepted=accepted,
                published=rows,
                rest=accepted - rows - withheld,
                withheld=withheld,
                withdrawn=told.get("withdrawn", 0),
            )
        )
    return sorted(found, key=lambda s: (s.published - s.accepted, s.dataset))
