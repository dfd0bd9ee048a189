"""Reconciliation: every received row is in exactly one state, and the draft holds exactly the accepted rows."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from chengxin.engine.session import Session, session
from chengxin.engine.step import Step
from chengxin.errors import InvariantBroken
from chengxin.facts import Admission, Resources
from chengxin.identity.duplicates import DUPLICATES
from chengxin.publishing.assembly.assembly import Draft
from chengxin.publishing.assembly.tables import CREDIT_RECORD, FIXED, RECORD_SOURCE
from chengxin.store.layout import Layout


def check_batches(layout: Layout, accounts: Sequence[Admission], resources: Resources) -> None:
    """Recount admitted batches from their files. Raise InvariantBroken where an account does not add up."""
    with session(layout.work, resources) as opened:
        for a in accounts:
            passed = _rows(layout.standard(a.dataset, a.batch_id), "standard")
            quarantined = _rows(layout.standard(a.dataset, a.batch_id), "quarantine")
            duplicate, settled, waiting = _linked(opened, layout, a)
            found = (passed, quarantined, duplicate, settled - duplicate, waiting)
            if not a.counts.adds_up() or found != (
                a.received - a.quarantined,
                a.quarantined,
                a.duplicate,
                a.accepted,
                a.unlinked,
            ):
                raise InvariantBroken(
                    f"{a.batch_id} 账目不平：收到 {a.received}，入库 {a.accepted}，疑问 {a.quarantined}，"
                    f"重复 {a.duplicate}，未关联 {a.unlinked}；文件中通过 {passed} 行、疑问 {quarantined} 行、"
                    f"入库 {settled - duplicate} 行、重复 {duplicate} 行、未关联 {waiting} 行。停止发布，请联系维护人员"
                )


def _linked(opened: Session, layout: Layout, a: Admission) -> tuple[int, int, int]:
    """Count duplicates, settled rows (duplicates among them) and waiting rows: each row as last tried."""
    folders = [layout.links(a.dataset, a.batch_id, revision) for revision in range(a.revision + 1)]
    if not all((f / "linked.parquet").exists() for f in folders):
        return -1, -1, -1
    opened.files("linked", [f / "linked.parquet" for f in folders])
    repeats = [path for f in folders if (path := f / "duplicates.parquet").exists()]
    opened.files("repeats", repeats, DUPLICATES)
    if a.revision == 0:
        query = """SELECT (SELECT count(*) FROM repeats), count(*) FILTER (NOT waiting), count(*) FILTER (waiting)
            FROM linked"""
    else:
        query = """SELECT count(*) FILTER (NOT waiting AND d.row_id IS NOT NULL), count(*) FILTER (NOT waiting),
                count(*) FILTER (waiting)
            FROM (SELECT row_id, max_by(waiting, adm_order) AS waiting, max(adm_order) AS adm_order
                  FROM linked GROUP BY row_id) l LEFT JOIN repeats d USING (row_id, adm_order)"""
    duplicate, settled, waiting = opened.fetch(Step("account", ("linked", "repeats"), query))[0]
    return duplicate, settled, waiting


def check_draft(draft: Draft, datasets: Mapping[str, str]) -> None:
    """Compare a draft with what came and went. datasets: data set -> kind. Raise InvariantBroken on any difference."""
    before = draft.base.rows() if draft.base else {}
    after = {name: table.rows for name, table in draft.tables.items()}
    kinds = sorted({*before, *after} - set(FIXED))
    for kind in kinds:
        mine = [d for d, k in datasets.items() if k == kind]
        expected = before.get(kind, 0) + sum(draft.inserted.get(d, 0) - draft.removed.get(d, 0) for d in mine)
        if after.get(kind, 0) != expected:
            raise InvariantBroken(f"表 {kind} 应有 {expected} 行，实有 {after.get(kind, 0)} 行；停止发布")
    total = sum(after.get(k, 0) for k in kinds)
    if after.get(CREDIT_RECORD, 0) != total:
        raise InvariantBroken(f"credit_record 有 {after.get(CREDIT_RECORD, 0)} 行，各种类表合计 {total} 行；停止发布")


def check_sources(layout: Layout, draft: Draft, resources: Resources) -> None:
    """Check that each record with sources shows just one of them, and that it is the row in credit_record."""
    if not any((draft.folder / RECORD_SOURCE).glob("*.parquet")):
        return
    parts = {f.part for f in draft.tables[RECORD_SOURCE].files}
    sources, records = (_files(layout, draft, table, parts) for table in (RECORD_SOURCE, CREDIT_RECORD))
    with session(layout.work, resources) as opened:
        opened.files("sources", sources)
        opened.files("records", records)
        place = "record_id, dataset, batch_id, source_file, source_row"
        found = f"SELECT {place} FROM sources WHERE is_shown EXCEPT SELECT {place} FROM records"
        sql = f"""SELECT (SELECT count(*) FROM (SELECT record_id FROM sources
                GROUP BY record_id HAVING count(*) FILTER (is_shown) <> 1 OR count(*) <> count(DISTINCT dataset))),
            (SELECT count(*) FROM ({found}))"""
        wrong = opened.fetch(Step("wrong_sources", ("sources", "records"), sql))[0]
    if any(wrong):
        raise InvariantBroken(
            f"多渠道记录的来源不符：{wrong[0]} 条记录并非恰好采用一个来源，{wrong[1]} 条与总表不符；停止发布"
        )


def check_subjects(layout: Layout, draft: Draft, resources: Resources) -> None:
    """Check that every new record's subject is in the subject table, in its part. Raise InvariantBroken otherwise."""
    records = sorted((draft.folder / CREDIT_RECORD).glob("*.parquet"))
    if not records:
        return
    written = {path.name for path in records}
    parts = {f.part.rpartition("-")[2] for f in draft.tables[CREDIT_RECORD].files if f.name in written}
    subjects = _files(layout, draft, "subject", parts)
    if not subjects:
        raise InvariantBroken("有信用记录而没有主体表；停止发布")
    with session(layout.work, resources) as opened:
        opened.files("records", records)
        opened.files("subjects", subjects)
        sql = """SELECT DISTINCT subject_id FROM records
            WHERE subject_id NOT IN (SELECT subject_id FROM subjects)"""
        orphans = opened.leave(Step("orphans", ("records", "subjects"), sql))
    if orphans:
        raise InvariantBroken(f"有 {orphans} 个记录主体不在主体表中；停止发布")


def _files(layout: Layout, draft: Draft, table: str, parts: Collection[str] | None = None) -> list[Path]:
    """Return the files of a table, each once: a part that was written again as it was has its old name."""
    kept = layout.snapshot(draft.base.tier, draft.base.snapshot_id) if draft.base else draft.folder
    entry = draft.tables.get(table)
    named = [f"{table}/{f.name}" for f in entry.files if parts is None or f.part in parts] if entry else []
    return [draft.folder / n if (draft.folder / n).exists() else kept / n for n in named]


def _rows(folder: Path, kind: str) -> int:
    return sum(pq.read_metadata(p).num_rows for p in folder.glob(f"{kind}-*.parquet"))
