"""The set operations of assembling, as named steps over the session of one run.

Each data set, and each group of routes, leaves tables of its own; `Decision.close` names them together: losers
(adm_order, row_id), displaced (record_id, part, dataset), fresh_counts (dataset, part, rows), standing (what each route
holds of the touched records) and restored (adm_order, row_id: rows of earlier admissions that must be written again).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step, union
from chengxin.facts import Admission
from chengxin.identity.duplicates import DUPLICATES
from chengxin.identity.held_links import link_files
from chengxin.identity.record_keys import VERSION_ORDER
from chengxin.identity.registry import WORTH
from chengxin.identity.reopened_links import REOPENED, void
from chengxin.identity.versions import WITHDRAWN, held_by_files, versions_by_state
from chengxin.publishing.merges import NO_MERGES, Merges
from chengxin.publishing.suppression.redelivery import SUPPRESSED
from chengxin.state import seals
from chengxin.state.database import caught_up, lacks
from chengxin.store.layout import Layout

_ORDER = f"({VERSION_ORDER})"
_PLACE = {"adm_order": "INTEGER", "row_id": "BIGINT"}
STANDING = Schema(
    {
        "record_id": "VARCHAR",
        "subject_id": "BIGINT",
        "part": "VARCHAR",
        "dataset": "VARCHAR",
        "precedence": "INTEGER",
        **_PLACE,
        "is_shown": "BOOLEAN",
    }
)
TABLES = {
    "losers": Schema(_PLACE),
    "displaced": Schema({"record_id": "VARCHAR", "part": "VARCHAR", "dataset": "VARCHAR"}),
    "fresh_counts": Schema({"dataset": "VARCHAR", "part": "VARCHAR", "rows": "BIGINT"}),
    "standing": STANDING,
    "restored": Schema(_PLACE),
}
_SAMPLED = Schema({"row_id": "BIGINT", "subject_id": "BIGINT", "part": "VARCHAR", "waiting": "BOOLEAN"})
_DISPUTED = Schema({"record_id": "VARCHAR"})
DEAR = (
    20  # rows of links that are read in the time in which the state takes in one: a bulk load is weighed by its files
)


@dataclass
class Decision:
    """What was decided of one kind, table by table of TABLES: the steps that make it up."""

    session: Session
    merges: Merges = NO_MERGES
    made: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in TABLES})

    def leave(self, table: str, step: Step) -> str:
        """Run a step that is a piece of `table`; return its name."""
        if self.session.leave(step, TABLES[table]):
            self.made[table].append(step.name)
        return step.name

    def close(self) -> None:
        """Leave the views of TABLES."""
        for table, steps in self.made.items():
            every = union((f"SELECT * FROM {step}" for step in steps), TABLES[table])
            self.session.view(Step(table, tuple(steps), every))


def decide(decision: Decision, layout: Layout, mine: Sequence[Admission], *, last_order: int) -> None:
    """Decide which version of each touched record holds now, in the data sets that have no route.

    Leaves pieces of `losers` (fresh rows that are not the present version), `displaced` (records whose row of the
    snapshot before, if any, no longer holds) and `fresh_counts` (rows to come). last_order: of that snapshot.
    Reads the input `suppressed`.
    """
    fresh = [a for a in mine if a.order > last_order and not a.route]
    for n, dataset in enumerate(sorted({a.dataset for a in fresh})):
        own, new = ([a for a in of if a.dataset == dataset] for of in (mine, fresh))
        _decide_dataset(decision, layout, own, new, values={"last": last_order, "dataset": dataset, "n": n})


def _decide_dataset(
    decision: Decision,
    layout: Layout,
    mine: Sequence[Admission],
    fresh: Sequence[Admission],
    *,
    values: dict[str, int | str],
) -> None:
    session, merges, n = decision.session, decision.merges, values["n"]
    seals.check(layout, fresh, seals.LINKS)
    # Linking noted which records have more than one version; all others need no decision.
    session.files("noted_disputed", link_files(layout, fresh, "disputed"), _DISPUTED)
    session.files("noted_withdrawn", link_files(layout, fresh, "withdrawn"), WITHDRAWN)
    session.files("noted_reopened", link_files(layout, fresh, "reopened"), REOPENED)
    noted = ("noted_disputed", "noted_withdrawn", "noted_reopened")
    disputed = " UNION ALL ".join(f"SELECT record_id FROM {table}" for table in noted)
    session.leave(Step("disputed", noted, disputed), _DISPUTED)
    weigh(decision, layout, mine)
    session.files("fresh_linked", link_files(layout, fresh, "linked"))
    losers = """SELECT h.adm_order, h.row_id FROM versions h JOIN decided d USING (record_id)
        WHERE h.adm_order > $last AND h.row_id >= 0
            AND (h.withdrawal OR d.gone OR d.adm_order <> h.adm_order OR d.row_id <> h.row_id)"""
    void_now = f"""SELECT l.adm_order, l.row_id FROM fresh_linked l
        WHERE NOT waiting AND {void("l", "noted_reopened")}"""
    removed = "SELECT adm_order, row_id FROM fresh_linked WHERE record_id IN (SELECT record_id FROM suppressed)"
    asked = ("versions", "decided", "fresh_linked", "noted_reopened", SUPPRESSED)
    every = f"{losers} UNION ALL {void_now} UNION ALL {removed}"
    lost = decision.leave("losers", Step(f"losers_{n}", asked, every, values))
    # A record that its number names may have been another subject's before, in another part.
    displaced = f"""SELECT DISTINCT record_id, v.part, CAST($dataset AS VARCHAR) AS dataset
        FROM versions v JOIN decided d USING (record_id) WHERE d.adm_order > $last
        UNION ALL SELECT DISTINCT record_id, l.part, $dataset
        FROM {merges.placed("held_linked")} l JOIN noted_reopened USING (record_id)"""
    reads = ("versions", "decided", "held_linked", "noted_reopened", *merges.reads)
    decision.leave("displaced", Step(f"displaced_{n}", reads, displaced, values))
    # The rows to come: linked ones, less duplicates and losers (both few).
    session.files("fresh_duplicates", link_files(layout, fresh, "duplicates"), DUPLICATES)
    placed = merges.placed("fresh_linked")
    counts = f"""SELECT CAST($dataset AS VARCHAR) AS dataset, part, CAST(sum(n) AS BIGINT) AS rows FROM (
            SELECT part, count(*) AS n FROM {placed} WHERE NOT waiting GROUP BY part
            UNION ALL
            SELECT part, -count(*) FROM {placed} JOIN (SELECT adm_order, row_id FROM {lost}
                UNION SELECT adm_order, row_id FROM fresh_duplicates) USING (adm_order, row_id) GROUP BY part)
        GROUP BY part HAVING sum(n) > 0"""
    reads = ("fresh_linked", lost, "fresh_duplicates", *merges.reads)
    decision.leave("fresh_counts", Step(f"counts_{n}", reads, counts, values))


def weigh(decision: Decision, layout: Layout, mine: Sequence[Admission]) -> None:
    """Weigh the versions of the records in `disputed` within one data set, whose admissions are `mine`.

    Leaves `versions` and `decided` (record_id, adm_order, row_id, gone, part, subject_id): what holds now. Parts are
    those in which rows are published, ids those that they were linked to.
    """
    session, merges = decision.session, decision.merges
    records = [record for (record,) in session.fetch(_ASKED)]
    if not records:
        session.files("reopened", [], REOPENED)
        held_by_files(session, lambda _: [])
    elif (held := sum(a.accepted for a in mine)) > WORTH * len(records) and not lacks(layout, held // DEAR):
        with caught_up(layout) as state:
            orders = [a.order for a in mine]
            versions_by_state(session, state, mine[0].dataset, records=records, orders=orders)
    else:
        seals.check(layout, mine, seals.LINKS)
        session.files("reopened", link_files(layout, mine, "reopened"), REOPENED)
        held_by_files(session, partial(link_files, layout, mine))
    sql = f"""SELECT *, payload IS NULL AS withdrawal FROM {merges.placed("held")}
        WHERE record_id IN (SELECT record_id FROM disputed)"""
    session.leave(Step("versions", ("held", "disputed", *merges.reads), sql))
    for step in _WEIGH:
        session.leave(step)


_ASKED = Step("asked_records", ("disputed",), "SELECT DISTINCT record_id FROM disputed")
_WEIGH = (
    # The newest content counts; the row that stands for it is the newest that is not a mere repetition.
    Step(
        "newest",
        ("versions",),
        f"""SELECT record_id, max_by(withdrawal, {_ORDER}) AS gone, max_by(coalesce(payload, 0), {_ORDER}) AS content
            FROM versions GROUP BY record_id""",
    ),
    Step(
        "decided",
        ("versions", "newest"),
        f"""SELECT record_id, max_by(adm_order, {_ORDER}) AS adm_order, max_by(row_id, {_ORDER}) AS row_id,
               any_value(gone) AS gone, max_by(part, {_ORDER}) AS part, max_by(subject_id, {_ORDER}) AS subject_id
            FROM versions JOIN newest USING (record_id)
            WHERE withdrawal = gone AND (gone OR (payload = content AND NOT duplicate)) GROUP BY record_id""",
    ),
)


def touched_parts(session: Session) -> set[str]:
    """Return the parts in which a row comes, changes or goes."""
    sql = "SELECT part FROM fresh_counts UNION SELECT part FROM displaced"
    return {part for (part,) in session.fetch(Step("touched_parts", ("fresh_counts", "displaced"), sql))}


def count_changes(session: Session, kept: Sequence[Path], inserted: dict[str, int], removed: dict[str, int]) -> None:
    """Add up per data set how many rows come and how many of the kept files go."""
    sql = "SELECT dataset, CAST(sum(rows) AS BIGINT) FROM fresh_counts GROUP BY 1"
    for dataset, rows in session.fetch(Step("inserted", ("fresh_counts",), sql)):
        inserted[dataset] = inserted.get(dataset, 0) + rows
    if kept:
        session.files("kept", kept)
        sql = """SELECT dataset, count(*) FROM kept
            WHERE record_id IN (SELECT record_id FROM displaced) GROUP BY 1"""
        for dataset, rows in session.fetch(Step("removed", ("kept", "displaced"), sql)):
            removed[dataset] = removed.get(dataset, 0) + rows


def gone(session: Session, layout: Layout, admission: Admission) -> npt.NDArray[np.int64]:
    """Return the rows of a revision, ascending, that do not come: duplicates and losers."""
    session.files("own_duplicates", link_files(layout, [admission], "duplicates"), DUPLICATES)
    sql = "SELECT row_id FROM losers WHERE adm_order = $order UNION SELECT row_id FROM own_duplicates"
    return _rows(session, Step("gone_rows", ("losers", "own_duplicates"), sql, {"order": admission.order}))


def restored_rows(session: Session, admission: Admission) -> npt.NDArray[np.int64]:
    """Return the rows of an older revision, ascending, that are shown again (table `restored`)."""
    sql = "SELECT row_id FROM restored WHERE adm_order = $order"
    return _rows(session, Step("restored_rows", ("restored",), sql, {"order": admission.order}))


def _rows(session: Session, step: Step) -> npt.NDArray[np.int64]:
    return np.unique(np.asarray(session.table(step).column("row_id"), np.int64))  # in any order, even if told one


def displaced(session: Session) -> pa.Array:
    """Return the records whose row of the snapshot before no longer holds."""
    found = session.table(Step("displaced_records", ("displaced",), "SELECT DISTINCT record_id FROM displaced"))
    return found.column("record_id").combine_chunks()


def sample_of_subjects(
    session: Session, layout: Layout, fresh: Sequence[Admission], parts: Sequence[str]
) -> tuple[list[int], list[npt.NDArray[np.int64]]]:
    """Return for each part how many fresh rows there are, and the subjects of about every sixtieth."""
    sql = "SELECT part, CAST(sum(rows) AS BIGINT) FROM fresh_counts GROUP BY 1"
    counts = dict(session.fetch(Step("fresh_rows", ("fresh_counts",), sql)))
    session.files("sampled", link_files(layout, fresh, "linked"), _SAMPLED)
    sql = "SELECT part, list(subject_id) FROM sampled WHERE NOT waiting AND row_id % 61 = 0 GROUP BY 1"
    found = session.fetch(Step("sample", ("sampled",), sql))
    sample = {part: np.asarray(subjects, np.int64) for part, subjects in found}
    return [counts.get(p, 0) for p in parts], [sample.get(p, np.zeros(0, np.int64)) for p in parts]
