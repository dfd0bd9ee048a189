"""Headers that hold what JSON escapes: the refused rows below them are kept, answered, exported, shown and replayed."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlwt

from chengxin import pipeline
from chengxin.cli.quarantine import export, quarantine
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.operations.index.rows import Rows
from deliveries import REGISTRATION, START, Office, company, uscc

CLOCK = Clock(START)
HEADERS = (
    "企业\n名称",
    "统一社会\r\n信用代码",
    '年度"（公历）"',
    "纳税\\信用\t级别",
    "重复",
    "重复",
    "长" * 300,
    "a/b~c'd{e}",
)
ELEMENTS = ("subject_name", "uscc", "rating_year", "tax_grade_code")
MENDED = {"优秀": "A"} | {code: code for code in "ABCDM"}
Rows_ = Sequence[Sequence[str]]


def sheet(path: Path, rows: Rows_) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


def old_sheet(path: Path, rows: Rows_) -> None:
    book = xlwt.Workbook()
    page = book.add_sheet("表")
    for r, row in enumerate(rows):
        for c, cell in enumerate(row):
            page.write(r, c, cell)
    book.save(str(path))


def text(path: Path, rows: Rows_) -> None:
    told = io.StringIO()
    csv.writer(told, quoting=csv.QUOTE_ALL).writerows(rows)
    path.write_bytes(told.getvalue().encode())


def records(path: Path, rows: Rows_) -> None:
    heads = [f"{h}{n}" if h == "重复" else h for n, h in enumerate(rows[0])] + ["\x01\x1f", "\x00"]
    body = [dict(zip(heads, [*row, "x", "y"], strict=True)) for row in rows[1:]]
    path.write_text(json.dumps(body, ensure_ascii=False), "utf-8")


WRITERS: dict[str, Callable[[Path, Rows_], None]] = {"xlsx": sheet, "xls": old_sheet, "csv": text, "json": records}


def contract(office: Office, form: str, **codes: Any) -> None:
    file = {"format": form, **({"records": ""} if form == "json" else {})}
    columns = [{"source": h, "element": e} for h, e in zip(HEADERS, ELEMENTS, strict=False)]
    ignored = dict.fromkeys([*HEADERS[4:], "重复_2", "重复4", "重复5", "\x01", "\x01\x1f", "\x00"], "无关")
    office.contract("rat", "tax_rating", ELEMENTS, file=file, columns=columns, ignored=ignored, **codes)


@pytest.fixture(params=WRITERS)
def office(tmp_path: Path, request: pytest.FixtureRequest) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.deliver("reg", *(company(n) for n in range(1, 5)), day=0)
    contract(office, request.param)
    said = ('优"秀\\', "优\n秀", "优秀", "A")
    rows = [(f"湖南示例{n}有限公司", uscc(n), "2025", g, "一", "二", "三", "四") for n, g in enumerate(said, 1)]
    path = tmp_path / f"rat.{request.param}"
    WRITERS[request.param](path, [HEADERS, *rows])
    assert office.ingest("rat", path)["quarantined"] == 3
    office.form = request.param
    return office


def raws(office: Office) -> list[str]:
    folder = office.layout.standard("rat", office.account("rat").batch_id)
    return [raw for p in sorted(folder.glob("quarantine-*.parquet")) for raw in pq.read_table(p)["raw"].to_pylist()]


def spoil(office: Office) -> None:
    """Leave line breaks in the stored keys as they are, as earlier versions did."""
    folder = office.layout.standard("rat", office.account("rat").batch_id)
    for path in folder.glob("quarantine-*.parquet"):
        table = pq.read_table(path)
        bad = []
        for raw in table["raw"].to_pylist():
            body = json.loads(raw)
            keys = [k.replace("\\", "\\\\").replace('"', '\\"') for k in body]
            bad.append(
                "{" + ", ".join(f'"{k}": {json.dumps(v)}' for k, v in zip(keys, body.values(), strict=True)) + "}"
            )
        pq.write_table(table.set_column(table.column_names.index("raw"), "raw", pa.array(bad)), path)


@pytest.mark.parametrize("stored", ["now", "earlier"])
def test_rows_below_odd_headers_go_all_the_way(office: Office, tmp_path: Path, stored: str) -> None:
    rows = [json.loads(raw) for raw in raws(office)]
    heads = list(rows[0])
    assert [r[heads[3]] for r in rows][2] == "优秀"
    assert "\n" in heads[0]
    if stored == "earlier":
        spoil(office)
    rat = office.contracts["rat"]
    (answered,) = pipeline.answer(Home(office.settings, CLOCK), rat)
    with (answered.folder / "需更正.csv").open(encoding="utf-8-sig", newline="") as stream:
        told = list(csv.reader(stream))
    assert told[0][8:] == heads
    assert [row[9] for row in told[1:]] == [uscc(n) for n in (1, 2, 3)]
    shown = quarantine(Home(office.settings), rat, None, 0, raw=True)
    assert [json.loads(r["raw"]) for r in shown["rows"]] == rows
    assert export(Home(office.settings), rat, None, tmp_path / "all.jsonl")["rows"] == 3
    with Rows(Home(office.settings)) as page:
        assert [r.values for r in page.refused(rat, office.account("rat").batch_id, raw=True)] == rows
    contract(office, office.form, codes={"tax_grade_code": MENDED})
    assert [one.passed for one in pipeline.replay(Home(office.settings), office.contracts["rat"])] == [2]
    assert [pipeline.ingest(Home(office.settings, CLOCK), office.contracts["rat"], b)["accepted"] for b in
        pipeline.pending(Home(office.settings), office.contracts["rat"])] == [2]  # fmt: skip
    assert quarantine(Home(office.settings), office.contracts["rat"], None, 0, raw=False)["open"] == 1
