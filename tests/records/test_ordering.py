from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from chengxin.publishing.assembly import order
from chengxin.publishing.assembly.rows import Window


def windows(seed: int, sizes: list[int], *, one_source: bool) -> list[Window]:
    draw = np.random.default_rng(seed)
    made, row = [], 0
    for size in sizes:
        part, subject = draw.integers(0, 3, size), draw.integers(1, 500, size)
        origin = np.zeros(size, np.int64) if one_source else draw.integers(0, 4, size)
        at = np.sort(draw.choice(size * 2, size, replace=False))
        numbers = np.full(size * 2, -1)
        numbers[at] = np.arange(row, row + size)
        row += size
        texts = [f"行{n}" for n in numbers]
        kinds = pa.array([["enterprise", "person"][n % 2] for n in range(size)]).dictionary_encode()
        more = pa.table({"origin": origin, "subject_id": subject, "subject_type": kinds})
        made.append(Window(pa.table({"source_row": numbers, "text": texts}), at, part, subject, more))
    return made


def expected(made: list[Window]) -> list[tuple]:
    rows = []
    for w in made:
        numbers = w.rows.column("source_row").to_pylist()
        for n, at in enumerate(w.at):
            more = [w.more.column(c)[n].as_py() for c in ("origin", "subject_type")]
            rows.append((int(w.part[n]), int(w.subject[n]), more[0], numbers[at], more[1], f"行{numbers[at]}"))
    return sorted(rows)


@pytest.mark.parametrize("memory", [1 << 30, 1])
@pytest.mark.parametrize("one_source", [True, False])
@pytest.mark.parametrize("bucket", [order.BUCKET, 50])
def test_rows_come_in_the_order_of_part_subject_and_origin(
    tmp_path: Path, memory: int, one_source: bool, bucket: int
) -> None:
    made = windows(3, [400, 1, 700], one_source=one_source)
    part = np.concatenate([w.part for w in made])
    subject = np.concatenate([w.subject for w in made])
    counts, sample = [int((part == p).sum()) for p in range(3)], [subject[part == p][::7] for p in range(3)]
    begins = order.borders(counts, sample, bucket)
    assert (len(begins) == 3) == (bucket > 1000)
    found = []
    for place, table in order.in_order(made, begins, tmp_path, memory_bytes=memory, threads=2):
        names = ("subject_id", "origin", "source_row", "subject_type", "text")
        found += [(place, *row) for row in zip(*(table.column(n).to_pylist() for n in names), strict=True)]
    assert found == expected(made)
    assert not list(tmp_path.iterdir()), "what was put on disk is gone"


def test_a_subject_is_never_in_two_buckets() -> None:
    begins = order.borders([5_000_000], [np.full(1000, 7)])
    assert len(begins) <= 2 and begins[0] == 0
