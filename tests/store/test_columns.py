"""Parts of a data file: what its statistics say, and never more than that."""

from pathlib import Path

import pyarrow as pa
import pytest

from chengxin.store.columns import DataFile, coded
from chengxin.store.parquet import ROW_GROUP, write_parquet


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two row groups; in the second one a number is missing, and `late` has a value only there."""
    rows = ROW_GROUP + 2
    table = pa.table(
        {
            "number": pa.array([*range(rows - 1), None], pa.int64()),
            "late": pa.array([None] * ROW_GROUP + [7, None], pa.int64()),
            "never": pa.nulls(rows, pa.string()),
            "word": ["甲"] * rows,
            "text": [f"第{n}号" for n in range(rows)],
        }
    )
    entry = write_parquet(table, tmp_path, table="t", part="4301")
    return tmp_path / entry.name


def test_the_highest_value_is_told_only_where_none_is_missing(path):
    with DataFile(path) as file:
        assert file.highest(0, "number") == ROW_GROUP - 1
        assert file.highest(1, "number") is None
        assert file.highest(0, "text") is None, "of texts no statistics are kept"


def test_columns_without_a_value_are_left_out(path):
    names = ["number", "late", "never", "word"]
    with DataFile(path) as file:
        assert file.filled([0], names) == ["number", "word"]
        assert file.filled([1], names) == file.filled([0, 1], names) == ["number", "late", "word"]


def test_texts_that_repeat_are_known_as_coded(path):
    with DataFile(path) as file:
        assert coded(file.metadata) == ["word"]
        assert pa.types.is_dictionary(file.read([1], ["word"]).schema.field("word").type)
