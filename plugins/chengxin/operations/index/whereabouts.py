"""Where the accepted rows of a batch are now: shown by the current snapshot, or why not. Numbers that add up.

Accepted counts rows, published counts records: of the rows about one record only the newest is shown.
"""

import json
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step
from chengxin.facts import Resources
from chengxin.home import Home
from chengxin.identity.duplicates import DUPLICATES
from chengxin.operations.index import snapshots
from chengxin.store.layout import ASSEMBLY, Layout

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


@dataclass(frozen=True)
class Published:
    """A table of a snapshot, and the last admission of the data set that is in it."""

    snapshot: str
    files: list[Path]
    records: int
    upto: int


def of_batch(connection: sqlite3.Connection, home: Home, row: Any, kind: str) -> Whereabouts | None:
    """Return where the accepted rows of an admitted batch are. kind: of its data set."""
    layout, accepted = home.layout, row["accepted"]
    if row["state"] != "admitted" or not accepted:
        return None
    current = snapshots.current(layout, ASSEMBLY)
    last = snapshots.version(connection, ASSEMBLY, current) if current else None
    if last is None:
        return Whereabouts(accepted=accepted, later=accepted)
    if row["share"] == "不予" or row["dataset"] in snapshots.stated(last, "sealed"):
        return Whereabouts(accepted=accepted, snapshot=last["id"], withheld=accepted)
    upto = snapshots.upto(last, row["dataset"])
    if row["first_order"] > upto:
        return Whereabouts(accepted=accepted, snapshot=last["id"], later=accepted)
    table = snapshots.table(connection, last, kind)
    folder = layout.snapshot(ASSEMBLY, last["id"]) / kind
    files = [folder / name for name in json.loads(table["names"])] if table else []
    published = Published(last["id"], files, table["rows"] if table else 0, upto)
    with Session.open(Resources(memory_limit_mib=512, plans=home.settings.plans)) as steps:
        return _counted(steps, layout, row, published)


def _counted(steps: Session, layout: Layout, row: Any, published: Published) -> Whereabouts:
    accepted, own = row["accepted"], row["batch_id"]
    values = {"batch": own, "upto": published.upto}
    folder = layout.batch(row["dataset"], own)
    links, repeats = (sorted(folder.glob(f"links-*/{name}.parquet")) for name in ("linked", "duplicates"))
    steps.files("published", published.files, _PUBLISHED)
    shown = steps.fetch(
        Step("shown", ("published",), "SELECT count(*) FROM published WHERE batch_id = $batch", values)
    )[0][0]
    unsplit = Whereabouts(accepted=accepted, snapshot=published.snapshot, shown=shown, unsplit=accepted - shown)
    if not links or published.records > MOST_RECORDS or accepted > MOST_ROWS:
        return unsplit
    steps.files("linked", links)
    steps.files("duplicates", repeats, DUPLICATES)
    steps.leave(_MINE)
    later, repeated, newer = steps.fetch(Step("counted", ("mine", "published"), _COUNTED, values))[0]
    gone = accepted - later - shown - repeated - newer
    if gone < 0:  # the index and the home are of two moments
        return unsplit
    return replace(unsplit, unsplit=0, repeated=repeated, newer=newer, gone=gone, later=later)


_PUBLISHED = Schema({"record_id": "VARCHAR", "batch_id": "VARCHAR"})
_MINE = Step(
    "mine",
    ("linked", "duplicates"),
    """SELECT record_id, adm_order FROM (
            SELECT row_id, max(adm_order) AS adm_order, arg_max(waiting, adm_order) AS waiting,
              arg_max(record_id, adm_order) AS record_id FROM linked GROUP BY row_id)
        ANTI JOIN duplicates USING (row_id, adm_order) WHERE NOT waiting""",
)
_COUNTED = """SELECT count(*) FILTER (adm_order > $upto),
        count(*) FILTER (adm_order <= $upto) - count(DISTINCT record_id) FILTER (adm_order <= $upto),
        (SELECT count(*) FROM (SELECT DISTINCT record_id FROM mine WHERE adm_order <= $upto)
            SEMI JOIN (SELECT record_id FROM published WHERE batch_id <> $batch) USING (record_id))
    FROM mine"""


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
    sealed, found = snapshots.stated(row, "sealed"), []
    for dataset, told in json.loads(row["sources"]).items():
        accepted, rows = told.get("accepted", 0), told.get("rows", 0)
        withheld = accepted - rows if dataset in sealed else told.get("hidden", 0)
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
