"""Records that arrive by several routes: which route's row is shown, and where else the record is on record.

Each data set decides on its own versions as ever (`steps.weigh`); then, of the data sets of a group that hold a
record now, the one of the lowest precedence is shown. Data sets without a route never come here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from chengxin.contracts.models import Contract
from chengxin.engine.session import Session
from chengxin.engine.step import Step, union
from chengxin.facts import Admission
from chengxin.identity.held_links import link_files
from chengxin.identity.reopened_links import REOPENED
from chengxin.identity.versions import WITHDRAWN
from chengxin.model.kinds import Kind
from chengxin.publishing.assembly import steps
from chengxin.publishing.assembly.origins import FILES_BITS, Origins
from chengxin.publishing.assembly.steps import STANDING, Decision
from chengxin.publishing.assembly.tables import RECORD_SOURCE, write_parts
from chengxin.publishing.merges import Merges
from chengxin.publishing.suppression.redelivery import SUPPRESSED
from chengxin.state import seals
from chengxin.store.layout import Layout
from chengxin.store.manifest import FileEntry

LAST = 100  # precedence of a data set whose contract is gone


def decide(
    decision: Decision,
    layout: Layout,
    contracts: Mapping[str, Contract],
    mine: Sequence[Admission],
    *,
    last_order: int,
) -> list[Admission]:
    """Decide the records of every group with a fresh admission, as `steps.decide` those of data sets without one.

    Return the earlier admissions with rows that are shown again.
    """
    session = decision.session
    fresh = [a for a in mine if a.order > last_order and a.route]
    for n, group in enumerate(sorted({a.route for a in fresh if a.route})):
        all_of, new = ([a for a in of if a.route == group] for of in (mine, fresh))
        seals.check(layout, all_of, seals.LINKS)
        standing = _stand(decision, layout, contracts, all_of, new)
        _place(decision, f"route_{n}", standing, last_order)
    if not decision.made["restored"]:
        return []
    tables = decision.made["restored"]
    every = " UNION ".join(f"SELECT adm_order FROM {table}" for table in tables)
    orders = {order for (order,) in session.fetch(Step("restored_orders", tuple(tables), every))}
    return [a for a in mine if a.order in orders]


def _stand(
    decision: Decision,
    layout: Layout,
    contracts: Mapping[str, Contract],
    mine: Sequence[Admission],
    fresh: Sequence[Admission],
) -> Step:
    """Leave `touched` (record_id, part), the records of a group that fresh admissions touch, and `route_linked`.

    Return the step with what each data set of the group holds of them.
    """
    session, merges = decision.session, decision.merges
    session.files("route_linked", link_files(layout, fresh, "linked"))
    session.files("route_withdrawn", link_files(layout, fresh, "withdrawn"), WITHDRAWN)
    session.files("route_reopened", link_files(layout, fresh, "reopened"), REOPENED)
    touched = f"""SELECT record_id, part FROM {merges.placed("route_linked")} WHERE NOT waiting
        UNION SELECT record_id, part FROM {merges.placed("route_withdrawn")}
        UNION SELECT record_id, part FROM route_reopened"""
    if merges:  # of whom a reopened record was is not noted: whoever of its part is superseded may have it
        touched += " UNION SELECT record_id, m.part FROM route_reopened CROSS JOIN merges m"
    reads = ("route_linked", "route_withdrawn", "route_reopened", *merges.reads)
    session.leave(Step("touched", reads, touched))
    session.leave(Step("disputed", ("touched",), "SELECT DISTINCT record_id FROM touched"))
    held: list[str] = []
    for n, dataset in enumerate(sorted({a.dataset for a in mine})):
        steps.weigh(decision, layout, [a for a in mine if a.dataset == dataset])
        sql = """SELECT record_id, subject_id, part, CAST($dataset AS VARCHAR) AS dataset,
            CAST($precedence AS INTEGER) AS precedence, adm_order, row_id FROM decided WHERE NOT gone"""
        values = {"dataset": dataset, "precedence": precedence_of(contracts, dataset)}
        session.leave(Step(f"held_now_{n}", ("decided",), sql, values))
        held.append(f"held_now_{n}")
    every = union((f"SELECT * FROM {table}" for table in held), STANDING)
    sql = f"""SELECT *, row_number() OVER (PARTITION BY record_id ORDER BY precedence, dataset) = 1 AS is_shown
        FROM ({every})"""
    return Step("standing_of_group", tuple(held), sql)


def _place(decision: Decision, name: str, standing: Step, last_order: int) -> None:
    """Leave the pieces of a group. All rows of touched records go, and those that are shown come.

    So what an earlier snapshot showed need not be known. Nobody holds what legal acts keep out.
    """
    kept = f"SELECT * FROM ({standing.sql}) WHERE record_id NOT IN (SELECT record_id FROM {SUPPRESSED})"
    held = decision.leave("standing", Step(f"standing_{name}", (*standing.reads, SUPPRESSED), kept))
    lost = f"""SELECT adm_order, row_id FROM route_linked WHERE NOT waiting
        AND (adm_order, row_id) NOT IN (SELECT (adm_order, row_id) FROM {held} WHERE is_shown)"""
    decision.leave("losers", Step(f"losers_{name}", ("route_linked", held), lost))
    gone = "SELECT record_id, part, CAST(NULL AS VARCHAR) AS dataset FROM touched"
    decision.leave("displaced", Step(f"displaced_{name}", ("touched",), gone))
    counts = f"SELECT dataset, part, count(*) AS rows FROM {held} WHERE is_shown GROUP BY dataset, part"
    decision.leave("fresh_counts", Step(f"counts_{name}", (held,), counts))
    again = f"SELECT adm_order, row_id FROM {held} WHERE is_shown AND adm_order <= $last"
    decision.leave("restored", Step(f"restored_{name}", (held,), again, {"last": last_order}))


def precedence_of(contracts: Mapping[str, Contract], dataset: str) -> int:
    """Return the precedence of a data set's route; the last where its contract is gone or states nothing."""
    contract = contracts.get(dataset)
    return contract.delivery.route.precedence if contract and contract.delivery.route else LAST


def write_sources(
    session: Session,
    kind: Kind,
    origins: Origins,
    mine: Sequence[Admission],
    *,
    kept: Sequence[Path],
    folder: Path,
    merges: Merges,
) -> list[FileEntry]:
    """Write record_source for the parts that `touched_parts` names. kept: its files of the snapshot before."""
    firsts = {"adm_order": [a.order for a in mine], "first": [origins.first(a.batch_id) for a in mine]}
    session.rows("firsts", pa.table({name: pa.array(values, pa.int64()) for name, values in firsts.items()}))
    rows = f"""SELECT s.record_id, s.subject_id, s.precedence, s.is_shown,
            f.first + (s.row_id >> {FILES_BITS}) AS origin,
            s.row_id & ((1::BIGINT << {FILES_BITS}) - 1) AS source_row, s.part
        FROM standing s JOIN firsts f USING (adm_order)"""
    if kept:
        session.files("kept_sources", kept, filename=True)
        origins.attach(session, "kept_sources")
        rows += """ UNION ALL
            SELECT k.record_id, coalesce(k.linked_subject_id, k.subject_id) AS subject_id, k.precedence, k.is_shown,
                o.origin, k.source_row,
                regexp_extract(k.filename, '-([^/-]+)-[0-9a-f]{12}[.]parquet$', 1) AS part
            FROM kept_sources k JOIN origins o USING (batch_id, source_file)
            WHERE record_id NOT IN (SELECT record_id FROM displaced)"""
    reads = ("standing", "firsts", *(["kept_sources", "origins", "displaced"] if kept else []), *merges.reads)
    linked = "CAST(NULL AS BIGINT)"
    if merges:
        linked, rows = "nullif(linked, subject_id)", merges.followed(f"(SELECT *, subject_id AS linked FROM ({rows}))")
    ordered = f"SELECT *, {linked} AS linked_subject_id FROM ({rows}) ORDER BY part, subject_id, origin, source_row"
    return write_parts(session, Step(RECORD_SOURCE, reads, ordered), origins, folder, kind=kind.id)


def touched_parts(session: Session) -> set[str]:
    """Return the parts whose record_source changes: those of all records of groups that were touched."""
    sql = "SELECT DISTINCT part FROM displaced WHERE dataset IS NULL"
    return {part for (part,) in session.fetch(Step("touched_sources", ("displaced",), sql))}
