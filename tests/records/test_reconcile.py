"""Every difference between accounts, files and draft stops the publication; what is right passes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chengxin.errors import InvariantBroken
from chengxin.facts import Admission, Resources
from chengxin.publishing.assembly.assembly import Draft
from chengxin.publishing.assembly.tables import table_schema
from chengxin.publishing.reconciliation import check_batches, check_draft, check_sources, check_subjects
from chengxin.store.layout import Layout
from chengxin.store.manifest import Manifest, TableEntry
from chengxin.store.parquet import column_entries, write_parquet
from publishing.government_drafts import NOW, TODAY

RESOURCES = Resources(memory_limit_mib=256)
ACCOUNT = Admission(
    dataset="list", batch_id="list-20261120-aa", revision=0, order=0, known_from=NOW.isoformat(),
    received=10, accepted=4, quarantined=3, duplicate=2, unlinked=1, withdrawn=0,
    new_subjects=0, verdict="accept", department="T", kind="penalty", mode="incremental", share="无条件",
    received_at=NOW.isoformat(), as_of=NOW.isoformat(), files=("a.csv",), versions={},
)  # fmt: skip


def links(layout: Layout, revision: int, rows: list[tuple[int, bool]], duplicates: list[int]) -> None:
    """Write a links folder. rows: row_id and whether it waits; duplicates: row_ids."""
    folder = layout.links(ACCOUNT.dataset, ACCOUNT.batch_id, revision)
    folder.mkdir(parents=True)
    ids, waiting = zip(*rows, strict=True)
    order = pa.array([revision] * len(rows), pa.int64())
    linked = {"row_id": pa.array(ids, pa.int64()), "waiting": pa.array(waiting), "adm_order": order}
    pq.write_table(pa.table(linked), folder / "linked.parquet")
    same = {
        "row_id": pa.array(duplicates, pa.int64()),
        "adm_order": order.take(pa.array([0] * len(duplicates), pa.int8())),
    }
    pq.write_table(pa.table(same), folder / "duplicates.parquet")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A home with the files of the account above: seven rows passed in two files, three did not."""
    layout = Layout(tmp_path)
    folder = layout.standard(ACCOUNT.dataset, ACCOUNT.batch_id)
    folder.mkdir(parents=True)
    for name, rows in (("standard-0", 5), ("standard-1", 2), ("quarantine-0", 1), ("quarantine-1", 2)):
        pq.write_table(pa.table({"row_id": range(rows)}), folder / f"{name}.parquet")
    links(layout, 0, [(n, n == 6) for n in range(7)], [2, 3])
    return layout


def test_an_account_that_its_files_bear_out_passes(layout):
    check_batches(layout, [ACCOUNT], RESOURCES)
    check_batches(layout, [], RESOURCES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"received": 11},
        {"received": 11, "accepted": 5},
        {"received": 11, "quarantined": 4},
        {"accepted": 3, "duplicate": 3},
        {"accepted": 3, "unlinked": 2},
        {"duplicate": 1, "unlinked": 2},
        {"accepted": 3, "quarantined": 4},
        {"revision": 1},
    ],
)
def test_an_account_that_its_files_do_not_bear_out_stops(layout, wrong):
    with pytest.raises(InvariantBroken, match="list-20261120-aa 账目不平：收到"):
        check_batches(layout, [replace(ACCOUNT), replace(ACCOUNT, **wrong)], RESOURCES)


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("linked.parquet", "入库 0 行、重复 -1 行、未关联 -1 行"),
        ("duplicates.parquet", "入库 6 行、重复 0 行、未关联 1 行"),
    ],
)
def test_an_account_whose_links_are_gone_stops(layout, name, counted):
    (layout.links(ACCOUNT.dataset, ACCOUNT.batch_id, 0) / name).unlink()
    with pytest.raises(InvariantBroken, match=counted):
        check_batches(layout, [ACCOUNT], RESOURCES)


def test_a_row_counts_as_it_was_last_tried(layout):
    links(layout, 1, [(6, True)], [])
    check_batches(layout, [replace(ACCOUNT, revision=1)], RESOURCES)
    links(layout, 2, [(6, False)], [])
    check_batches(layout, [replace(ACCOUNT, revision=2, accepted=5, unlinked=0)], RESOURCES)
    check_batches(layout, [ACCOUNT], RESOURCES)
    for wrong in (ACCOUNT, replace(ACCOUNT, accepted=5, duplicate=1), replace(ACCOUNT, accepted=4, duplicate=3)):
        with pytest.raises(InvariantBroken):
            check_batches(layout, [replace(wrong, revision=2, unlinked=0, received=10)], RESOURCES)


def test_a_row_that_was_a_duplicate_before_is_one_no_more(layout):
    links(layout, 1, [(2, False), (6, False)], [6])
    check_batches(layout, [replace(ACCOUNT, revision=1, accepted=5, duplicate=2, unlinked=0)], RESOURCES)


def table(folder: Path, name: str, part: str, rows: list[dict[str, Any]]) -> TableEntry:
    schema = table_schema(name)
    made = write_parquet(pa.Table.from_pylist(rows, schema), folder / name, table=name, part=part)
    assert made is not None
    return TableEntry.of(column_entries(schema, {}), [made])


def counted(rows: int) -> TableEntry:
    return TableEntry(rows, (), ())


def drafted(tmp_path: Path, rows: dict[str, int], **given: Any) -> Draft:
    return Draft(tmp_path, {name: counted(n) for name, n in rows.items()}, **given)


def manifest(tables: dict[str, TableEntry]) -> Manifest:
    return Manifest.new("government", NOW, TODAY, "测试", tables)


BEFORE = {"penalty": 5, "licence": 2, "credit_record": 7, "subject": 3}
DATASETS = {"list": "penalty", "other": "penalty", "licences": "licence"}


@pytest.mark.parametrize(
    ("rows", "inserted", "removed", "wrong"),
    [
        (BEFORE, {}, {}, None),
        ({**BEFORE, "penalty": 8, "credit_record": 10}, {"list": 2, "other": 3}, {"list": 1, "other": 1}, None),
        ({**BEFORE, "penalty": 6, "credit_record": 8}, {}, {}, "表 penalty 应有 5 行，实有 6 行"),
        ({**BEFORE, "penalty": 6, "credit_record": 8}, {"licences": 1}, {}, "表 licence 应有 3 行，实有 2 行"),
        (BEFORE, {"list": 1}, {}, "表 penalty 应有 6 行，实有 5 行"),
        (BEFORE, {}, {"other": 1}, "表 penalty 应有 4 行，实有 5 行"),
        ({**BEFORE, "credit_record": 6}, {}, {}, "credit_record 有 6 行，各种类表合计 7 行"),
        ({**BEFORE, "subject": 99}, {}, {}, None),
        ({"penalty": 5, "credit_record": 5}, {}, {}, "表 licence 应有 2 行，实有 0 行"),
        ({"penalty": 5, "credit_record": 5}, {}, {"licences": 2}, None),
        ({**BEFORE, "tax_arrears": 1, "credit_record": 8}, {}, {}, "表 tax_arrears 应有 0 行，实有 1 行"),
        ({"penalty": 5, "licence": 2}, {}, {}, "credit_record 有 0 行，各种类表合计 7 行"),
    ],
)
def test_a_draft_holds_what_came_and_not_what_went(tmp_path, rows, inserted, removed, wrong):
    before = manifest({name: counted(n) for name, n in BEFORE.items()})
    draft = drafted(tmp_path, rows, base=before, inserted=inserted, removed=removed)
    if wrong is None:
        check_draft(draft, DATASETS)
    else:
        with pytest.raises(InvariantBroken, match=wrong):
            check_draft(draft, DATASETS)


def test_the_first_draft_starts_from_nothing(tmp_path):
    rows = {"penalty": 2, "credit_record": 2}
    check_draft(drafted(tmp_path, rows, inserted={"list": 2}), DATASETS)
    check_draft(drafted(tmp_path, {}), DATASETS)
    with pytest.raises(InvariantBroken, match="表 penalty 应有 1 行，实有 2 行"):
        check_draft(drafted(tmp_path, rows, inserted={"list": 1}), DATASETS)


PLACE = {"dataset": "list", "batch_id": "list-20261120-aa", "source_file": "a.csv", "source_row": 2}
OTHER = {"dataset": "other", "batch_id": "other-20261120-bb", "source_file": "b.csv", "source_row": 9}


def sources(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"record_id": "r1", "subject_id": 1, **row} for row in rows]


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        (sources({**PLACE, "is_shown": True}, {**OTHER, "is_shown": False}), None),
        (sources({**PLACE, "is_shown": True}), None),
        (
            sources({**PLACE, "is_shown": True}, {**OTHER, "is_shown": True}),
            "1 条记录并非恰好采用一个来源，1 条与总表不符",
        ),
        (sources({**PLACE, "is_shown": False}, {**OTHER, "is_shown": False}), "1 条记录并非恰好采用一个来源，0 条"),
        (sources({**PLACE, "is_shown": True}, {**PLACE, "is_shown": False}), "1 条记录并非恰好采用一个来源，0 条"),
        (sources({**PLACE, "is_shown": False}, {**OTHER, "is_shown": True}), "0 条记录并非恰好采用一个来源，1 条"),
        (sources({**PLACE, "is_shown": True, "source_row": 3}), "0 条记录并非恰好采用一个来源，1 条"),
    ],
)
def test_a_record_shows_one_of_its_sources_and_it_is_its_row(tmp_path, rows, wrong):
    layout, folder = Layout(tmp_path), tmp_path / "draft"
    record = {"record_id": "r1", "kind": "penalty", "subject_id": 1, **PLACE}
    tables = {"record_source": table(folder, "record_source", "penalty-4301", rows)}
    tables["credit_record"] = table(folder, "credit_record", "penalty-4301", [record])
    if wrong is None:
        check_sources(layout, Draft(folder, tables), RESOURCES)
    else:
        with pytest.raises(InvariantBroken, match=wrong):
            check_sources(layout, Draft(folder, tables), RESOURCES)


def test_records_may_lie_in_the_snapshot_before(tmp_path):
    """A draft holds only files that changed; here the sources' did, and the records' did not."""
    layout, folder = Layout(tmp_path), tmp_path / "draft"
    record = {"record_id": "r1", "kind": "penalty", "subject_id": 1, **PLACE}
    before = manifest({})
    kept = layout.snapshot("government", before.snapshot_id)
    tables = {"credit_record": table(kept, "credit_record", "penalty-4301", [record])}
    check_sources(layout, Draft(folder, tables, before), RESOURCES)
    tables["record_source"] = table(folder, "record_source", "penalty-4301", sources({**PLACE, "is_shown": True}))
    check_sources(layout, Draft(folder, tables, before), RESOURCES)
    tables["record_source"] = table(folder, "record_source", "penalty-4301", sources({**OTHER, "is_shown": True}))
    with pytest.raises(InvariantBroken, match="1 条与总表不符"):
        check_sources(layout, Draft(folder, tables, before), RESOURCES)


def test_every_records_subject_is_in_the_subject_table(tmp_path):
    layout, folder = Layout(tmp_path), tmp_path / "draft"
    check_subjects(layout, Draft(folder, {}), RESOURCES)
    rows = [{"record_id": f"r{n}", "kind": "penalty", "subject_id": 1 + n // 2, **PLACE} for n in range(4)]
    records = {"credit_record": table(folder, "credit_record", "penalty-4301", rows)}
    with pytest.raises(InvariantBroken, match="有信用记录而没有主体表"):
        check_subjects(layout, Draft(folder, records), RESOURCES)
    before = manifest({})
    kept = layout.snapshot("government", before.snapshot_id)
    first = table(kept, "subject", "4301", [{"subject_id": 1}])
    with pytest.raises(InvariantBroken, match="有 1 个记录主体不在主体表中"):
        check_subjects(layout, Draft(folder, {**records, "subject": first}, before), RESOURCES)
    elsewhere = table(folder, "subject", "4302", [{"subject_id": 2}])
    apart = TableEntry.of(first.schema, [*first.files, *elsewhere.files])
    with pytest.raises(InvariantBroken, match="有 1 个记录主体不在主体表中"):
        check_subjects(layout, Draft(folder, {**records, "subject": apart}, before), RESOURCES)
    second = table(folder, "subject", "4301", [{"subject_id": 2}])
    both = TableEntry.of(first.schema, [*first.files, *second.files])
    check_subjects(layout, Draft(folder, {**records, "subject": both}, before), RESOURCES)
    with pytest.raises(InvariantBroken, match="有 1 个记录主体不在主体表中"):
        check_subjects(layout, Draft(folder, {**records, "subject": second}, before), RESOURCES)
