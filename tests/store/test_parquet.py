import resource
import signal
import subprocess
import sys
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chengxin.store.atomic import sha256_file
from chengxin.store.parquet import ROW_GROUP, arrow_schema, column_entries, footer_problem, write_parquet

ROWS = 3 * ROW_GROUP + 1234


def sample(rows: int = ROWS) -> pa.Table:
    return pa.table(
        {
            "record_id": [f"{n:032x}" for n in range(rows)],
            "subject_id": pa.array([n // 4 for n in range(rows)], pa.int64()),
            "subject_type": ["enterprise" if n % 3 else None for n in range(rows)],
            "fine_yuan": pa.array([Decimal(n % 977) / 100 for n in range(rows)], pa.decimal128(18, 2)),
            "name": [f"湖南示例{n % 500}号有限公司" for n in range(rows)],
        }
    )


def write(source, folder, **rest):
    return write_parquet(source, folder, table="penalty", part="4301", **rest)


def test_bytes_do_not_depend_on_how_the_rows_come_in(tmp_path):
    table = sample()
    whole = write(table, tmp_path / "a")
    for n, size in enumerate((777, ROW_GROUP, 50_001)):
        streamed = write(iter(table.to_batches(max_chunksize=size)), tmp_path / str(n), schema=table.schema)
        assert streamed == whole
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=9_999))
    assert write(reader, tmp_path / "reader").sha256 == whole.sha256


def test_an_entry_describes_its_file_and_its_name_the_digest(tmp_path):
    entry = write(sample(), tmp_path, extra={"of": "x"})
    path = tmp_path / entry.name
    assert sha256_file(path) == entry.sha256 and entry.name == f"4301-{entry.sha256[:12]}.parquet"
    assert path.stat().st_size == entry.size
    assert (entry.rows, entry.min_subject, entry.max_subject) == (ROWS, 0, (ROWS - 1) // 4)
    assert entry.extra == {"of": "x"}
    assert pq.read_table(path).equals(sample())
    assert [p.name for p in tmp_path.iterdir()] == [entry.name]


def test_row_groups_are_small_and_compressed(tmp_path):
    entry = write(sample(), tmp_path)
    metadata = pq.read_metadata(tmp_path / entry.name)
    assert [metadata.row_group(n).num_rows for n in range(4)] == [ROW_GROUP] * 3 + [1234]
    column = metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"


def test_statistics_serve_to_leave_out_row_groups(tmp_path):
    table = sample().append_column("remark", pa.nulls(ROWS, pa.string()))
    group = pq.read_metadata(tmp_path / write(table, tmp_path).name).row_group(1)
    told = {group.column(n).path_in_schema: group.column(n).statistics for n in range(6)}
    assert (told["subject_id"].min, told["subject_id"].max) == (ROW_GROUP // 4, 2 * ROW_GROUP // 4 - 1)
    assert told["fine_yuan"].has_min_max
    assert told["remark"].null_count == ROW_GROUP, "a column without a value need not be read"
    assert told["name"] is None and told["record_id"] is None, "nobody prunes by texts"


def test_values_after_an_empty_beginning_are_kept(tmp_path):
    remarks = pa.array([None] * ROW_GROUP + ["补录"] * (ROWS - ROW_GROUP), pa.string())
    table = sample().append_column("remark", remarks)
    assert pq.read_table(tmp_path / write(table, tmp_path).name).equals(table)


def test_only_repeating_columns_get_a_dictionary(tmp_path):
    entry = write(sample(), tmp_path)
    group = pq.read_metadata(tmp_path / entry.name).row_group(0)
    encoded = {group.column(n).path_in_schema: group.column(n).has_dictionary_page for n in range(5)}
    assert encoded == {
        "record_id": False, "subject_id": True, "subject_type": True, "fine_yuan": True, "name": True,
    }  # fmt: skip


def test_no_rows_make_no_file(tmp_path):
    assert write(sample(0), tmp_path) is None
    assert write(iter([]), tmp_path, schema=sample(0).schema) is None
    assert list(tmp_path.iterdir()) == []


def test_range_is_none_without_subjects(tmp_path):
    table = pa.table({"subject_id": pa.nulls(3, pa.int64()), "name": ["a", "b", "c"]})
    entry = write(table, tmp_path)
    assert (entry.min_subject, entry.max_subject) == (None, None)


def test_failing_source_leaves_nothing(tmp_path):
    def source():
        yield from sample(100_000).to_batches()
        raise RuntimeError("源中断")

    with pytest.raises(RuntimeError):
        write(source(), tmp_path, schema=sample(0).schema)
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import sys, signal
from pathlib import Path
import pyarrow as pa
from chengxin.store.parquet import write_parquet
table = pa.table({"record_id": [f"{n * 7919 % 1000003:032x}" for n in range(100000)]})
try:
    write_parquet(table, Path(sys.argv[1]), table="t", part="4301")
except OSError as error:
    print("refused", type(error).__name__)
"""


def test_full_disk_is_an_error_and_leaves_nothing(tmp_path):
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused")
    assert list(tmp_path.iterdir()) == []


def test_footer_tells_other_rows_columns_and_damage(tmp_path):
    from dataclasses import replace

    table = sample(10)
    entry = write(table, tmp_path)
    path = tmp_path / entry.name
    columns = column_entries(table.schema, {})
    assert footer_problem(path, entry, columns) is None
    assert "11 行" in footer_problem(path, replace(entry, rows=11), columns)
    assert "列或类型" in footer_problem(path, entry, columns[:-1])
    path.write_bytes(path.read_bytes()[:50])
    assert "不是完整的 Parquet" in footer_problem(path, entry, columns)


def test_schema_survives_its_description():
    schema = sample(4).schema.append(pa.field("at", pa.timestamp("us", "UTC"))).append(pa.field("day", pa.date32()))
    assert arrow_schema(column_entries(schema, {"name": "名称"})) == schema
