import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from chengxin.store.journal import Head
from chengxin.store.manifest import ColumnEntry, FileEntry, Manifest, TableEntry

NOW = datetime(2026, 11, 20, 2, 0, 5, tzinfo=UTC)


def entry(part: str = "4301", sha: str = "ab" * 32, rows: int = 3) -> FileEntry:
    return FileEntry("subject", part, f"{part}-{sha[:12]}.parquet", rows, 100, sha, 1, 9, {"valid_until": "2027-01-01"})


def manifest(*files: FileEntry, title: str = "主体编号") -> Manifest:
    table = TableEntry.of([ColumnEntry("subject_id", "int64", title)], files or [entry()])
    return Manifest.new(
        "government",
        NOW,
        date(2026, 11, 20),
        "测试",
        {"subject": table},
        batch=TableEntry.of([], []),
        journal=Head(3, "ab" * 32),
    )


def test_survives_the_way_through_json():
    made = replace(manifest(), previous="20261119T000000Z-abcdef", sequence=4)
    assert Manifest.from_bytes(made.to_bytes()) == made


def test_id_is_instant_and_content():
    made = manifest()
    assert made.snapshot_id.startswith("20261120T020005Z-")
    assert manifest(entry(sha="cd" * 32)).snapshot_id != made.snapshot_id
    assert manifest(title="编号").snapshot_id == made.snapshot_id, "a title is no content"


def test_table_adds_up_rows_and_orders_files():
    table = manifest(entry("4302", rows=2), entry("4301", rows=5)).tables["subject"]
    assert table.rows == 7
    assert [f.part for f in table.files] == ["4301", "4302"]


def test_same_content_ignores_time_and_sequence_but_not_bytes():
    made = manifest()
    assert made.same_content(replace(made, created_at=datetime(2027, 1, 1, tzinfo=UTC), sequence=9))
    assert not made.same_content(manifest(entry(sha="cd" * 32)))
    assert not made.same_content(None)


@pytest.mark.parametrize("position", [0.1, 0.5, 0.9])
def test_any_torn_manifest_is_refused(position):
    data = manifest().to_bytes()
    with pytest.raises(ValueError):
        Manifest.from_bytes(data[: int(len(data) * position)])


def test_a_changed_number_breaks_the_seal():
    body = json.loads(manifest().to_bytes())
    body["tables"]["subject"]["rows"] = 4
    with pytest.raises(ValueError, match="摘要不符"):
        Manifest.from_bytes(json.dumps(body).encode())


@pytest.mark.parametrize("data", [b"", b"\0" * 484, b"[]", b"null", b"{}", b'{"digest": "x"}', b"\xff\xfe"])
def test_what_is_no_manifest_is_refused_by_one_error(data):
    with pytest.raises(ValueError):
        Manifest.from_bytes(data)


def test_later_format_is_refused_by_name():
    with pytest.raises(ValueError, match="清单格式 5"):
        Manifest.from_bytes(replace(manifest(), format=5).to_bytes())


def test_file_range_tells_which_subjects_it_may_hold():
    assert [entry().may_hold(n) for n in (0, 1, 9, 10)] == [False, True, True, False]
    assert not replace(entry(), min_subject=None, max_subject=None).may_hold(5)


@pytest.mark.parametrize("digest", ["0" * 64, "f" * 64, None])
def test_any_other_seal_is_refused(digest):
    with pytest.raises(ValueError, match="摘要"):
        Manifest.from_json({**manifest().to_json(), "digest": digest})


@pytest.mark.parametrize("number", [0, 1, 3, 5])
def test_any_other_format_is_refused(number):
    with pytest.raises(ValueError, match=f"清单格式 {number} 未知"):
        Manifest.from_bytes(replace(manifest(), format=number).to_bytes())


def test_bytes_are_readable_and_in_one_order():
    text = manifest().to_bytes().decode()
    assert '\n "reason": "测试",\n' in text
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert manifest().sequence == 0 and json.loads(text)["format"] == 4
