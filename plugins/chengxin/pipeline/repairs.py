"""Delivered repairs (kind credit_repair): each accepted row becomes a legal act before the next publication."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow.parquet as pq

from chengxin.engine.session import session
from chengxin.engine.step import Step
from chengxin.errors import ActRefused
from chengxin.facts import Admission
from chengxin.home import Home
from chengxin.identity.held_links import link_files
from chengxin.identity.supersession import Aliases
from chengxin.model.kinds import kinds
from chengxin.publishing import commit
from chengxin.publishing.reader import Snapshot
from chengxin.publishing.suppression import candidates
from chengxin.records import acts
from chengxin.records.acts import Record, number_column

log = logging.getLogger(__name__)
KIND = "credit_repair"
_COLUMNS = ("row_id", "decision_no", "authority_name", "repair_document_no", "repaired_on")


def take_in(home: Home, everything: Sequence[Admission]) -> None:
    """Enter the repairs among what was admitted since the current snapshot. Run again, it enters nothing twice."""
    now = commit.current(home.layout, "government")
    fresh = [a for a in everything if a.kind == KIND and a.order > (now.last_order if now else -1)]
    if not fresh:
        return
    known = acts.read(home.layout).sources
    snapshot = Snapshot(now, home.layout.snapshot("government", now.snapshot_id)) if now else None
    for admission in fresh:
        for row in _rows(home, admission):
            source = f"{admission.batch_id}/{row['row_id']}"
            if source not in known:
                _enter(home, snapshot, admission, row, source)


def _enter(home: Home, snapshot: Snapshot | None, admission: Admission, row: Mapping[str, Any], source: str) -> None:
    subject, number, authority = row["subject_id"], row["decision_no"], row.get("authority_name") or ""
    firm = Aliases.read(home.layout).of(subject)
    found = candidates.by_subject(snapshot, firm, number, authority) if snapshot else []
    day: date = row["repaired_on"]
    try:
        case = acts.enter(
            home.layout,
            "repair",
            found or _expected(subject, number, authority),
            at=home.clock.now(),
            by=admission.dataset,
            document=row["repair_document_no"],
            day=day,
            source=source,
            is_delivered=True,
        )
    except ActRefused as error:  # the record is under an act already
        log.info("%s 第 %s 行的修复未录入：%s", admission.batch_id, row["row_id"], error)
        return
    if case.state == "waiting":
        log.warning("第 %s 号修复对应的记录不确定，已全部停止提供，请用 chengxin acts confirm 确认", case.act.id)
    elif not found:
        log.warning("第 %s 号修复对应的决定尚未收到，到达后不会发布", case.act.id)


def _expected(subject: int, number: str, authority: str) -> list[Record]:
    """Return what names a decision that no snapshot has: it is kept out when it comes."""
    numbered = [kind for kind in kinds().values() if number_column(kind) and not kind.sealed]
    return [
        Record(record_id="", kind=kind.id, subject_id=subject, number=number, authority=authority) for kind in numbered
    ]


def _rows(home: Home, admission: Admission) -> Iterator[dict[str, Any]]:
    """Give the linked rows of an admission, each with its subject."""
    folder = home.layout.standard(admission.dataset, admission.batch_id)
    with session(home.layout.work, home.resources) as opened:
        opened.files("linked", link_files(home.layout, [admission], "linked"))
        sql = "SELECT row_id, subject_id FROM linked WHERE NOT waiting ORDER BY row_id"
        subjects = dict(opened.fetch(Step("repaired_subjects", ("linked",), sql)))
    for path in sorted(folder.glob("standard-*.parquet")):
        present = set(pq.read_schema(path).names)
        for row in pq.read_table(path, columns=[c for c in _COLUMNS if c in present], partitioning=None).to_pylist():
            if row["row_id"] in subjects:
                yield {**row, "subject_id": subjects[row["row_id"]]}
