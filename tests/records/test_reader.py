import json
import logging
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from chengxin.errors import SnapshotDamaged
from chengxin.publishing import commit
from chengxin.publishing.reader import open_snapshot
from chengxin.store.layout import Layout
from chengxin.store.manifest import Manifest, TableEntry
from chengxin.store.parquet import column_entries, write_parquet
from publishing.government_drafts import NOW, add_companies, companies

GOVERNMENT = "government"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    first = companies(3).publish(tmp_path)
    grown = companies(3)
    add_companies(grown, 2, first=50, part="4302")
    grown.publish(tmp_path, first, now=NOW.replace(hour=4))
    return tmp_path


def ids(home: Path) -> list[str]:
    return sorted(p.name for p in (home / "published" / GOVERNMENT / "snapshots").iterdir())


def newest(home: Path) -> Path:
    return Layout(home).snapshot(GOVERNMENT, ids(home)[-1])


def new_file(home: Path) -> Path:
    path = next(newest(home).glob("registration/4302-*.parquet"))
    path.chmod(0o644)
    return path


def zero_length_pointer(home: Path) -> None:
    Layout(home).pointer(GOVERNMENT).write_bytes(b"")


def torn_pointer(home: Path) -> None:
    path = Layout(home).pointer(GOVERNMENT)
    path.write_bytes(path.read_bytes()[:40])


def pointer_of_zero_bytes(home: Path) -> None:
    Layout(home).pointer(GOVERNMENT).write_bytes(b"\0" * 484)


def pointer_of_another_shape(home: Path) -> None:
    Layout(home).pointer(GOVERNMENT).write_text('["20261120"]')


def missing_pointer(home: Path) -> None:
    Layout(home).pointer(GOVERNMENT).unlink()


@pytest.mark.parametrize(
    "damage", [zero_length_pointer, torn_pointer, pointer_of_zero_bytes, pointer_of_another_shape, missing_pointer]
)
def test_a_lost_pointer_loses_no_snapshot_and_is_reported(home, damage, caplog):
    damage(home)
    with caplog.at_level(logging.WARNING):
        seen = open_snapshot(home)
    assert seen.id == ids(home)[-1]
    assert "current.json" in seen.warnings[0]
    assert "current.json" in caplog.text


def torn_manifest(home: Path) -> None:
    path = newest(home) / "manifest.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:300])


def empty_manifest(home: Path) -> None:
    path = newest(home) / "manifest.json"
    path.chmod(0o644)
    path.write_bytes(b"")


def changed_manifest(home: Path) -> None:
    path = newest(home) / "manifest.json"
    path.chmod(0o644)
    body = json.loads(path.read_bytes())
    body["tables"]["registration"]["rows"] += 1
    path.write_text(json.dumps(body))


def resealed_manifest(home: Path) -> None:
    """A whole manifest that is not the one the pointer was moved to."""
    path = newest(home) / "manifest.json"
    path.chmod(0o644)
    manifest = Manifest.from_bytes(path.read_bytes())
    manifest.basis.sealed.append("later")
    path.write_bytes(manifest.to_bytes())


def truncated_file(home: Path) -> None:
    path = new_file(home)
    os.truncate(path, path.stat().st_size // 2)


def emptied_file(home: Path) -> None:
    os.truncate(new_file(home), 0)


def zeroed_file(home: Path) -> None:
    path = new_file(home)
    path.write_bytes(b"\0" * path.stat().st_size)


def deleted_file(home: Path) -> None:
    new_file(home).unlink()


@pytest.mark.parametrize(
    "damage",
    [
        torn_manifest,
        empty_manifest,
        changed_manifest,
        resealed_manifest,
        truncated_file,
        emptied_file,
        zeroed_file,
        deleted_file,
    ],
)
def test_damaged_newest_snapshot_gives_way_to_the_one_before(home, damage, caplog):
    damage(home)
    with caplog.at_level(logging.WARNING):
        seen = open_snapshot(home)
    assert seen.id == ids(home)[0]
    assert seen.table("registration").num_rows == 3
    assert ids(home)[-1] in seen.warnings[0] and "损坏" in seen.warnings[0]
    assert seen.id in seen.warnings[-1]
    assert "损坏" in caplog.text
    mark = json.loads((newest(home) / "DAMAGED.json").read_bytes())
    assert mark["problems"]
    assert open_snapshot(home).id == seen.id, "the mark keeps everybody away from it"
    with pytest.raises(SnapshotDamaged):
        open_snapshot(home, snapshot=ids(home)[-1])


def test_snapshot_folder_that_vanished_gives_way_too(home):
    shutil.rmtree(newest(home))
    assert "不存在" in open_snapshot(home).warnings[0]


def test_damage_in_a_shared_file_leaves_nothing_to_serve(home):
    path = next(newest(home).glob("registration/4301-*.parquet"))
    path.chmod(0o644)
    os.truncate(path, 5)
    with pytest.raises(SnapshotDamaged, match="损坏"):
        open_snapshot(home)


def test_reading_only_does_not_mark(home):
    deleted_file(home)
    assert open_snapshot(home, mark=False).id == ids(home)[0]
    assert not (newest(home) / "DAMAGED.json").exists()


def test_home_without_snapshots_says_so(tmp_path):
    with pytest.raises(SnapshotDamaged, match="尚未发布"):
        open_snapshot(tmp_path)


def test_earlier_snapshot_stays_readable_by_name(home):
    seen = open_snapshot(home, snapshot=ids(home)[0])
    assert seen.tables["registration"] == 3


def test_lookup_returns_a_subjects_rows_from_its_part_only(home):
    seen = open_snapshot(home)
    found = seen.lookup(51)
    assert found.pop("credit_record").num_rows == 2
    assert {name: rows.num_rows for name, rows in found.items()} == dict.fromkeys(
        ("registration", "subject", "subject_identifier", "subject_name", "tax_rating"), 1
    )
    assert found["registration"].column("subject_name").to_pylist() == ["湖南示例51号有限公司"]
    assert [p.name[:4] for p in seen.files("registration", 51)] == ["4302"]
    assert seen.lookup(9_999) == {}


def test_lookup_agrees_with_a_full_scan_over_many_row_groups(tmp_path):
    numbers = [n // 3 for n in range(70_000)]
    table = pa.table({"subject_id": pa.array(numbers, pa.int64()), "name": [f"第{i}行" for i in range(70_000)]})
    folder = tmp_path / "drafts" / GOVERNMENT
    entry = write_parquet(table, folder / "subject", table="subject", part="4301")
    now = datetime(2026, 11, 20, tzinfo=UTC)
    tables = {"subject": TableEntry.of(column_entries(table.schema, {}), [entry])}
    commit.commit(Layout(tmp_path), Manifest.new(GOVERNMENT, now, now.date(), "测试", tables), folder, None)
    seen = open_snapshot(tmp_path)
    for subject in (0, 6_826, 6_827, 13_653, 23_333):  # on and around the borders of row groups
        expected = [f"第{i}行" for i in range(3 * subject, min(3 * subject + 3, 70_000))]
        assert seen.lookup(subject)["subject"].column("name").to_pylist() == expected


def test_find_by_code_in_any_form_and_by_present_or_former_name(tmp_path):
    draft = companies(3)
    draft.rows["subject_name", "4301"].append(
        {
            **draft.rows["subject_name", "4301"][1],
            "name": "湖南旧名有限公司",
            "name_key": "湖南旧名",
            "is_current": False,
        }
    )
    draft.identifier(3, "reg_no", "430102600123455")
    draft.publish(tmp_path)
    seen = open_snapshot(tmp_path)
    for question, subject in {
        "914300000000000002": 2,
        " ９１43-0000 0000000002": 2,
        "430102600123455": 3,
        "湖南示例1号有限公司": 1,
        "湖南旧名有限公司": 2,
        "湖南旧名": 2,
    }.items():
        assert seen.find(question).column("subject_id").to_pylist() == [subject], question
    assert seen.find("不存在的公司").num_rows == 0
    assert seen.find("x' OR 1=1 --").num_rows == 0


def test_sql_scan_and_views_give_the_same_rows_as_arrow(home):
    seen = open_snapshot(home)
    with seen.connect() as connection:
        joined = connection.sql(
            "SELECT count(*) FROM tax_rating t JOIN subject s USING (subject_id) WHERE tax_grade_code = 'A'"
        ).fetchall()
        assert joined == [(3,)]
        for name, rows in seen.tables.items():
            assert connection.sql(f"SELECT count(*) FROM {seen.scan(name)}").fetchall() == [(rows,)]


def test_table_without_files_is_empty_and_typed_everywhere(tmp_path):
    draft = companies(1)
    folder = tmp_path / "drafts" / GOVERNMENT
    manifest = draft.manifest(folder)
    tables = {**manifest.tables, "tax_rating": replace(manifest.tables["tax_rating"], rows=0, files=())}
    made = Manifest.new(GOVERNMENT, NOW, NOW.date(), "测试", tables)
    commit.commit(Layout(tmp_path), made, folder, None)
    seen = open_snapshot(tmp_path)
    assert seen.table("tax_rating").num_rows == 0
    with seen.connect() as connection:
        assert connection.sql("SELECT count(*), max(rating_year) FROM tax_rating").fetchall() == [(0, None)]
    assert "tax_rating" not in seen.lookup(1)
