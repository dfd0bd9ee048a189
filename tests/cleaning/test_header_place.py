"""A header that stands on another line than the contract says: held, and told where it stands and what to do."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest

from chengxin.cleaning.run import run
from chengxin.contracts.models import Contract
from chengxin.facts import Batch, LandedFile

HEADER = ["文号", "名称", "代码", "日期"]
ROWS = [["甲罚〔2025〕1号", "虚构一公司", "", "2025-03-01"], ["乙罚〔2025〕2号", "虚构二公司", "", "2025-03-02"]]
TITLE = ["行政处罚信息公示表"]
UNIT = ["填报单位：测试部门", "", "", "2025年3月31日"]


def contract(**file: object) -> Contract:
    names = zip(HEADER, ("decision_no", "subject_name", "uscc", "decision_on"), strict=True)
    return Contract.model_validate(
        {
            "format": 1, "id": "t_red", "title": "测试", "department": {"code": "TT", "name": "测试部门"},
            "domain": "test", "kind": "penalty", "basis": {"legal": "测试", "share": "无条件"},
            "delivery": {"options": {"folder": "t"}}, "file": file,
            "columns": [{"source": s, "element": e} for s, e in names],
        }
    )  # fmt: skip


def money(unit: str | None, source: str = "金额", **file: object) -> Contract:
    column = {"source": source, "element": "fine"} | ({"unit": unit} if unit else {})
    made = contract(**file).model_dump(exclude_defaults=True)
    return Contract.model_validate(made | {"columns": [*made["columns"], column]})


def told(
    tmp_path: Path, lines: list[list[str]], agreed: Contract | None = None, sheet: str = "Sheet1", **file: object
) -> str | None:
    kind = str(file.get("format", "csv"))
    path = tmp_path / "payload" / f"来文.{kind}"
    path.parent.mkdir(exist_ok=True)
    if kind == "csv":
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows(lines)
    else:
        book = openpyxl.Workbook()
        book.active.title = sheet
        for line in lines:
            book.active.append(line)
        book.save(path)
    at = datetime(2026, 11, 23, tzinfo=UTC)
    files = (LandedFile(path.name, path.stat().st_size, "0" * 64),)
    batch = Batch(
        dataset="t_red",
        batch_id="b",
        mode="incremental",
        origin="file_drop:x",
        delivery=path.name,
        received_at=at,
        as_of=at,
        files=files,
    )
    done = run(agreed or contract(**file), batch, path.parent, tmp_path / "standard", workers=1)
    assert done.received == done.passed + done.quarantined
    return done.mismatch


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("declared", "lines", "words"),
    [
        (1, [TITLE, HEADER, *ROWS], "表头在第 2 行而不是第 1 行（合同 file.header: 1）。这次来文多了标题行"),
        (2, [TITLE, UNIT, HEADER, *ROWS], "表头在第 3 行而不是第 2 行"),
        (3, [TITLE, HEADER, *ROWS], "表头在第 2 行而不是第 3 行（合同 file.header: 3）。这次来文少了标题行"),
        (2, [HEADER, *ROWS], "表头在第 1 行而不是第 2 行"),
    ],
)
def test_says_on_which_line_the_header_stands_and_what_to_do(tmp_path, kind, declared, lines, words):
    message = told(tmp_path, lines, header=declared, format=kind) or ""
    assert words in message
    assert "按原样式重报" in message
    assert f"file.header 改为 {words.split()[1]} 后重跑" in message
    assert "虚构" not in message
    assert told(tmp_path, lines, header=int(words.split()[1]), format=kind) is None


def test_says_what_else_does_not_fit_there(tmp_path):
    message = told(tmp_path, [TITLE, ["文号", "名称", "代码", "决定日期", "备注"], *ROWS]) or ""
    assert "表头在第 2 行而不是第 1 行" in message
    assert "缺少列：日期；合同未声明的列：决定日期、备注" in message


def test_a_row_in_place_of_a_missing_header_is_not_quoted(tmp_path):
    message = told(tmp_path, ROWS) or ""
    assert "第 1 行看来是数据而不是表头" in message
    assert "虚构" not in message
    assert "file.header: 0" in message


def test_a_header_in_its_place_with_other_names_is_told_as_before(tmp_path):
    message = told(tmp_path, [["文号", "名称", "代码", "决定日期"], *ROWS]) or ""
    assert message.startswith("t_red：缺少列：日期；合同未声明的列：决定日期。")


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("unit", "source", "stated", "held"),
    [
        (None, "金额", "单位：万元", True),
        ("元", "金额", "（计量单位:人民币万元）", True),
        ("万元", "金额", "单位：万元", False),
        ("万元", "金额", "单位：元", True),
        (None, "金额", "金额均以万元为单位", True),
        (None, "金额", "罚款按万元计", True),
        ("万元", "金额", "以万元为单位", False),
        (None, "金额", "以5万元为限", False),
        (None, "金额", "单位：元江示例公司", False),
        (None, "金额", "填报单位：测试部门", False),
        (None, "金额（元）", "单位：万元", True),  # no other column of money is there that it could mean
    ],
)
def test_a_unit_stated_above_the_header_is_compared_with_the_contract(*, tmp_path, kind, unit, source, stated, held):
    lines = [TITLE, ["", "", "", "", stated], [*HEADER, source], *([*row, "5"] for row in ROWS)]
    agreed = money(unit, source, header=3, format=kind)
    message = told(tmp_path, lines, agreed, format=kind)
    assert bool(message) is held
    if held:
        assert "来文写明“单位：" in str(message)
    lines = [[*HEADER, source], *([*row, "5"] for row in ROWS), [f"注：{stated}"]]
    message = told(tmp_path, lines, money(unit, source, format=kind), format=kind)
    assert bool(message) is held


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("unit", "cell", "held"),
    [
        (None, "（万元）", True),
        (None, "万元", True),
        (None, "元", False),
        ("万元", "(单位：万元)", False),
        (None, "5万元", False),
    ],
)
def test_a_line_of_units_below_the_header_is_compared_with_the_contract(tmp_path, kind, unit, cell, held):
    lines = [[*HEADER, "金额"], [*[""] * len(HEADER), cell], *([*row, "5"] for row in ROWS)]
    message = told(tmp_path, lines, money(unit, format=kind), format=kind)
    assert bool(message) is held
    if held:
        assert "有一格只写单位 万元" in str(message)


def test_a_note_that_was_no_note_by_its_beginning_states_a_unit_too(tmp_path):
    lines = [[*HEADER, "金额"], *([*row, "5"] for row in ROWS), ["2. 金额单位为万元", "", "", "", ""]]
    assert "来文写明“单位：万元”" in str(told(tmp_path, lines, money(None)))
    assert told(tmp_path, lines, money("万元")) is None


@pytest.mark.parametrize(("unit", "held"), [("元", True), ("万元", False)])
def test_a_unit_in_the_name_of_a_sheet_is_compared_with_the_contract(tmp_path, unit, held):
    lines = [[*HEADER, "金额"], *([*row, "5"] for row in ROWS)]
    message = told(tmp_path, lines, money(unit, format="xlsx"), sheet="名单（单位：万元）", format="xlsx")
    assert bool(message) is held


def test_a_header_where_none_was_agreed_on_is_refused(tmp_path):
    assert told(tmp_path, ROWS, header=0) is None
    message = told(tmp_path, [HEADER, *ROWS], header=0) or ""
    assert "第 1 行却是列名" in message
    assert "file.header 改为 1" in message
