"""The contract that docs/adding-a-source.md shows works as shown, on its own example and on real published lists."""

import csv
import os
import re
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from chengxin.cleaning.mapper import Mapper, standardise_rows
from chengxin.contracts.lint import lint
from chengxin.contracts.loader import load
from chengxin.contracts.models import Contract
from chengxin.parsing.reader import plan, read

PROJECT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CHENGXIN_SHARED") or PROJECT.parent / "shared")
LISTS = SHARED / "data" / "registration-hunan"
HEADERS = {  # of the JSON list; XLS has those of the CSV
    "企业名称": "name",
    "统一社会信用代码": "code",
    "注册日期": "registrationDay",
    "企业类型": "character",
    "法人代表": "legalRepresentative",
    "注册资金": "capital",
    "经营范围": "businessScope",
    "所在省份": "province",
    "地区": "city",
    "注册地址": "address",
}
FILES = {"csv": "{format: csv, encoding: auto}", "xls": "{format: xls}", "json": "{format: json, records: erDataList}"}


def documented_contract() -> str:
    """Return the first complete contract of the page."""
    text = (PROJECT / "docs" / "adding-a-source.md").read_text("utf-8")
    return next(block for block in re.findall(r"```yaml\n(.*?)```", text, re.S) if block.startswith("format: 1"))


def loaded(folder: Path, text: str) -> Contract:
    path = folder / "association" / "association_members.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    result = load(folder)
    assert result.problems == ()
    assert lint(result.contracts, PROJECT / "expectations") == ()
    return result.contracts["association_members"]


def in_format(folder: Path, layout: str) -> Contract:
    """Rewrite the documented contract for another format, as the page says: `file` and the headers change."""
    text = documented_contract().split("examples:")[0]
    text = text.replace("{format: csv, encoding: auto}", FILES[layout])
    if layout == "json":
        for shown, key in HEADERS.items():
            text = text.replace(f"source: {shown},", f"source: {key},")
    return loaded(folder, text)


def test_documented_contract_does_what_its_example_says(tmp_path):
    contract = loaded(tmp_path, documented_contract())
    example = contract.examples[0]
    passed, quarantined, issues = standardise_rows(contract, [example.row])
    assert (passed.num_rows, quarantined.num_rows, issues.num_rows) == (1, 0, 0)
    row = passed.to_pylist()[0]
    assert {n: None if row[n] is None else str(row[n]) for n in example.expect.values} == example.expect.values


@pytest.fixture(scope="module")
def standardised(tmp_path_factory):
    return {layout: rows_by_year(in_format(tmp_path_factory.mktemp(layout), layout), layout) for layout in FILES}


@pytest.mark.realdata
@pytest.mark.skipif(not LISTS.is_dir(), reason="shared data folder is absent")
class TestPublishedLists:
    """Real registration lists in three formats through the documented contract."""

    @pytest.mark.parametrize("layout", FILES)
    def test_distinct_enterprises_are_those_expected(self, standardised, layout):
        with (LISTS / "expected-by-year.csv").open(encoding="utf-8-sig") as lines:
            expected = list(csv.DictReader(lines))
        seen: set[str] = set()
        for year in expected:
            passed, quarantined = standardised[layout][year["year"]]
            seen |= set(passed["uscc"].to_pylist()) - {None}
            assert (passed.num_rows, quarantined) == (int(year["rows_valid_uscc"]), int(year["rows_to_quarantine"]))
            assert len(seen) == int(year["cumulative_distinct_uscc"]), year["year"]

    @pytest.mark.parametrize("layout", ["xls", "json"])
    def test_formats_yield_equal_rows(self, standardised, layout):
        for year, (passed, _) in standardised["csv"].items():
            assert facts(standardised[layout][year][0]) == facts(passed), year


def rows_by_year(contract: Contract, layout: str) -> dict[str, tuple[pa.Table, int]]:
    mapper = Mapper(contract, today=date(2026, 11, 23), salt="test")
    found = {}
    for path in sorted((LISTS / layout).glob(f"*.{layout}")):
        done = [
            mapper.run(chunk, file_no=0, file_name=path.name)
            for piece in plan(path, contract.file)
            for chunk in read(piece, contract.file)
        ]
        passed = pa.concat_tables([chunk.passed for chunk in done])
        found[path.name[:4]] = (passed, sum(chunk.quarantined.num_rows for chunk in done))
    return found


def facts(table: pa.Table) -> list[tuple]:
    """Return the business values of each row, in one order."""
    kept = [name for name in table.column_names if name not in {"row_id", "source_row", "source_file"}]
    return sorted(map(repr, zip(*(table[name].to_pylist() for name in kept), strict=True)))
