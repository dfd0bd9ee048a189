"""CSV that we wrote ourselves: quotes stand right, so a value may go over any number of lines."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengxin.contracts.derivation import OwnRows
from chengxin.contracts.models import FileSpec
from chengxin.parsing.reader import Damaged, plan, read

OWN = OwnRows()
HEADER = "p,q,r,s,t\n"  # no value below is called like a column


def line(*values: str) -> str:
    return ",".join('"' + value.replace('"', '""') + '"' for value in values) + "\n"


def all_of(path: Path, spec: FileSpec = OWN, **how: int) -> tuple[list[tuple[int, tuple]], list[Damaged]]:
    rows: list[tuple[int, tuple]] = []
    damaged: list[Damaged] = []
    for piece in plan(path, spec, **how):
        for chunk in read(pickle.loads(pickle.dumps(piece)), pickle.loads(pickle.dumps(spec))):
            values = [tuple(row.values()) for row in chunk.table.to_pylist()]
            rows += zip(chunk.rows.to_pylist(), values, strict=True)
            damaged += chunk.damaged
    return rows, damaged


def test_a_long_text_with_lines_like_records_is_one_value(tmp_path):
    text = "\n".join([*("1,2,3,4,5" for _ in range(300)), 'x\\"', "C:\\", "甲" * 40_000, '"', ""])
    rows = [("1", "x", "", "", "y"), ("2", text, "", "\n\n", "C:\\"), ("3", "x", "", "", "y")]
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "".join(line(*row) for row in rows))
    found, damaged = all_of(path)
    assert ([values for _, values in found], damaged) == (rows, [])
    assert [row for row, _ in found] == [2, 3, 3 + text.count("\n") + 3]
    found, damaged = all_of(path, FileSpec())  # from a department, quotes are not believed that far
    assert len(damaged) > 1


@pytest.mark.parametrize("size", [1_200_000, 5_000_000, 30_000_000])
@pytest.mark.parametrize("at", ["middle", "end"])
def test_an_oversize_value_costs_its_own_row_and_counts_once(tmp_path, size, at):
    before = [(str(n), "甲\n乙", "", "", "z") for n in range(500)]
    giant = ("g", "行\n" * (size // 4), "", "", 'x"')
    after = [(str(n), "甲\n乙", "", "", "z") for n in range(500)] if at == "middle" else []
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "".join(line(*row) for row in [*before, giant, *after]))
    for how in ({}, {"piece_bytes": 3_000_000}):
        found, damaged = all_of(path, **how)
        assert [values for _, values in found] == [*before, *after]
        [only] = damaged
        assert (only.row, only.rule) == (2 + 2 * 500, "row.oversize")
        assert only.raw.startswith('"g","行\n行')
        assert len(only.raw) < 70_000
        assert [row for row, _ in found][len(before) :] == [1002 + size // 4 + 1 + 2 * n for n in range(len(after))]


_VALUES = st.text(st.sampled_from('ab,"\n\r\\ 甲'), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(st.just("k"), _VALUES, _VALUES, _VALUES, st.just("z")), max_size=25),
    size=st.sampled_from([1, 40, 200, 1 << 20]),
)
def test_any_values_come_back_however_the_file_is_cut(rows, size, tmp_path_factory):
    path = tmp_path_factory.mktemp("f") / "rows.csv"
    path.write_bytes((HEADER + "".join(line(*row) for row in rows)).encode())
    found, damaged = all_of(path, piece_bytes=size)
    assert ([values for _, values in found], damaged) == (rows, [])
