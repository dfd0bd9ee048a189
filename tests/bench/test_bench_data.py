"""The bench's data are what its README says; the measuring programs run."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from stdnum.cn import uscc

BENCH = Path(__file__).resolve().parents[2] / "bench"
ROWS = 2_000


def generated(folder: Path) -> Path:
    program = (
        "import sys; from pathlib import Path; import generate as g; g.BUILD = Path(sys.argv[1]); "
        f"print(g.generate({ROWS}))"
    )
    command = [sys.executable, "-c", program, str(folder)]
    return Path(subprocess.run(command, cwd=BENCH, check=True, capture_output=True, text=True).stdout.strip())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated(tmp_path_factory.mktemp("bench"))


def rows_of(path: Path, encoding: str = "utf-8") -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding).splitlines()))


def test_twin_holds_the_same_text(files: Path) -> None:
    assert rows_of(files / "penalty.gb18030.csv", "gb18030") == rows_of(files / "penalty.utf8.csv")


def test_registry_codes_are_valid_and_distinct(files: Path) -> None:
    codes = [row["统一社会信用代码"] for row in rows_of(files / "registry.csv")]
    assert len(set(codes)) == len(codes) == ROWS // 10
    assert all(uscc.is_valid(code) for code in codes)


def test_shares_of_dirt_are_as_described(files: Path) -> None:
    rows = rows_of(files / "penalty.utf8.csv")
    assert len(rows) == ROWS
    distinct = {tuple(row.values()) for row in rows}
    assert 0.01 < 1 - len(distinct) / ROWS < 0.03
    registry = {row["统一社会信用代码"] for row in rows_of(files / "registry.csv")}
    known = sum(row["统一社会信用代码"].strip().upper() in registry for row in rows)
    assert 0.90 < known / ROWS < 0.97


def test_delta_concerns_one_prefecture(files: Path) -> None:
    rows = rows_of(files / "delta.utf8.csv")
    assert len(rows) == ROWS // 100
    assert {row["行政区划代码"][:4] for row in rows} == {"4306"}


def test_spread_brings_new_records_of_all_prefectures(files: Path) -> None:
    rows = rows_of(files / "spread.utf8.csv")
    assert len(rows) == ROWS // 100
    assert len({row["行政区划代码"][:4] for row in rows}) > 5
    known = {row["行政处罚决定书文号"] for name in ("penalty", "delta") for row in rows_of(files / f"{name}.utf8.csv")}
    assert not known & {row["行政处罚决定书文号"] for row in rows}


def test_same_files_every_time(files: Path, tmp_path: Path) -> None:
    again = generated(tmp_path)
    assert all((again / p.name).read_bytes() == p.read_bytes() for p in files.glob("*.csv"))


def test_pandas_way_accounts_for_every_row(files: Path, tmp_path: Path) -> None:
    command = [sys.executable, "baseline_pandas.py", files / "penalty.gb18030.csv", files / "registry.csv", tmp_path]
    done = subprocess.run(list(map(str, command)), cwd=BENCH, check=True, capture_output=True, text=True)
    counts = json.loads(done.stdout)
    assert counts.pop("received") == ROWS == sum(counts.values())
