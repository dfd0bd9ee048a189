import os
from pathlib import Path

import pyarrow as pa
import pytest

from chengxin.publishing import commit
from chengxin.publishing.reader import open_snapshot
from chengxin.publishing.verify import verify
from chengxin.store.layout import Layout
from chengxin.store.manifest import Manifest, TableEntry
from chengxin.store.parquet import column_entries, write_parquet
from publishing.government_drafts import NOW, TODAY, companies

GOVERNMENT = "government"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    first = companies(3).publish(tmp_path)
    companies(5).publish(tmp_path, first, now=NOW.replace(hour=4))
    return tmp_path


def problems(home: Path, **rest) -> list[str]:
    return verify(Layout(home), GOVERNMENT, **rest)


def one_file(home: Path) -> Path:
    path = next(open_snapshot(home).folder.glob("registration/*.parquet"))
    path.chmod(0o644)
    return path


def test_sound_snapshots_have_no_problem(home):
    assert problems(home) == []
    for path in (home / "published" / GOVERNMENT / "snapshots").iterdir():
        assert problems(home, snapshot_id=path.name) == []


def test_empty_home_is_told_apart(tmp_path):
    assert problems(tmp_path) == ["government 层尚未发布任何快照"]


def test_one_flipped_bit_is_found_and_keeps_readers_away(home):
    path = one_file(home)
    current = open_snapshot(home).id
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    assert open_snapshot(home).id == current, "size and ending are right: opening does not see it"
    assert problems(home, mark=False) == [f"registration/{path.name}：sha256 与清单不符"]
    assert open_snapshot(home).id == current
    assert problems(home)
    assert open_snapshot(home).id != current, "verify has marked it"
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    assert problems(home) == []
    assert open_snapshot(home).id == current, "and takes the mark away when all is well again"


def test_stray_missing_and_short_files_are_named(home):
    path = one_file(home)
    (path.parent / "left-over.parquet").write_bytes(b"x")
    os.truncate(path, 20)
    subject = next(path.parent.parent.glob("subject/*.parquet"))
    subject.unlink()
    found = problems(home)
    assert any(p.startswith(f"registration/{path.name}：大小 20") for p in found)
    assert f"subject/{subject.name}：文件缺失" in found
    assert "registration/left-over.parquet：清单中没有这个文件" in found


def test_pointer_and_manifest_damage_are_named(home):
    layout = Layout(home)
    pointer = layout.pointer(GOVERNMENT)
    content = pointer.read_bytes()
    pointer.write_bytes(content[:20])
    assert "current.json 损坏" in problems(home)[0]
    pointer.unlink()
    assert "current.json 缺失" in problems(home)[0]
    pointer.write_bytes(content)
    manifest = open_snapshot(home).folder / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_bytes(manifest.read_bytes()[:99])
    assert "manifest.json 损坏" in problems(home)[0]


def publish(home: Path, table: pa.Table, **changed) -> None:
    folder = Layout(home).drafts / GOVERNMENT
    entry = write_parquet(table, folder / "penalty", table="penalty", part="4301")
    for name, value in changed.items():
        object.__setattr__(entry, name, value)
    tables = {"penalty": TableEntry.of(column_entries(table.schema, {}), [entry])}
    commit.commit(Layout(home), Manifest.new(GOVERNMENT, NOW, TODAY, "测试", tables), folder, None)


def rows(subjects: list[int], records: list[str], name: str = "湖南示例有限公司") -> pa.Table:
    return pa.table({"record_id": records, "subject_id": pa.array(subjects, pa.int64()), "name": [name] * len(records)})


def test_damaged_characters_are_found(tmp_path):
    publish(tmp_path, rows([1], ["a"], name="湖南\ufffd\ufffd有限公司"))
    assert "name 列含有 U+FFFD" in problems(tmp_path)[0]


def test_subjects_out_of_order_are_found(tmp_path):
    publish(tmp_path, rows([2, 1], ["a", "b"]))
    assert "未按 subject_id 排序" in problems(tmp_path)[0]


def test_the_same_record_twice_is_found(tmp_path):
    publish(tmp_path, rows([1, 1], ["a", "a"]))
    assert "record_id 重复" in problems(tmp_path)[0]


def veiled(tokens: list[str], handles: list[str | None]) -> pa.Table:
    """Rows of the open tier about persons."""
    none = pa.nulls(len(tokens), pa.string())
    numbers = {"record_id": none, "subject_id": pa.nulls(len(tokens), pa.int64())}
    return pa.table(numbers | {"record_handle": pa.array(handles, pa.string()), "subject_token": tokens})


@pytest.mark.parametrize(
    ("tokens", "handles", "problem"),
    [
        (["a", "a", "b"], ["x", "y", "z"], None),
        (["a", "b"], [None, None], None),
        (["a", "b", "b"], ["x", "y", "x"], "record_handle 重复"),
        (["b", "a"], ["x", "y"], "自然人的行未按 subject_token 排序"),
        ([f"{n:05x}" for n in range(81_920)] + ["00001"], [None] * 81_921, "未按 subject_token 排序"),
    ],
)
def test_persons_lie_in_the_order_of_their_tokens(tmp_path, tokens, handles, problem):
    publish(tmp_path, veiled(tokens, handles))
    found = problems(tmp_path)
    assert found == [] if problem is None else problem in found[0]


def placed(source_rows: list[int], files: list[str]) -> pa.Table:
    table = rows([1] * len(files), [f"{9 - n}" for n in range(len(files))])
    table = table.append_column("batch_id", pa.array(["invented-1"] * len(files)))
    return table.append_column("source_file", pa.array(files)).append_column("source_row", pa.array(source_rows))


def test_rows_of_a_subject_lie_in_the_order_of_their_source(tmp_path):
    publish(tmp_path / "right", placed([5, 6, 1, 2], ["b", "b", "a", "a"]))
    assert problems(tmp_path / "right") == []
    publish(tmp_path / "wrong", placed([5, 6, 2, 1], ["b", "b", "a", "a"]))
    assert "未按 source_row 排序" in problems(tmp_path / "wrong")[0]


def test_order_is_checked_over_the_borders_of_batches(tmp_path):
    subjects = [*range(81_920), 81_000]
    publish(tmp_path / "subjects", rows(subjects, [f"{n:08x}" for n in range(len(subjects))]))
    assert "未按" in problems(tmp_path / "subjects")[0]
    subjects = [*range(81_919), 81_918, 81_918]
    publish(tmp_path / "records", rows(subjects, [f"{n:08x}" for n in range(81_919)] + ["00013ffe", "00014000"]))
    assert "重复" in problems(tmp_path / "records")[0]


def test_wrong_range_in_the_manifest_is_found(tmp_path):
    publish(tmp_path, rows([1, 2], ["a", "b"]), max_subject=1)
    assert "范围" in problems(tmp_path)[0]
