"""A unit without an amount in one row among hundreds is that row's trouble; in many, or in a line alone, the file's."""

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from cases import few
from deliveries import Office, company

NAMES = ("subject_name", "uscc", "registered_capital", "region_code")
TEXT = "registered_capital"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    columns = [{"source": n, "element": n, "optional": True} | ({"unit": "元"} if n == TEXT else {}) for n in NAMES]
    ignored = {"金额单位": "都是元"}
    office.contract("reg", "registration", NAMES, columns=columns, ignored=ignored, quality={})
    return office


def rows(n: int, odd: dict[int, str], **more: str) -> list[dict[str, Any]]:
    return [company(k, **{TEXT: odd.get(k, f"{k}000")}) | more for k in range(1, n + 1)]


def taken(office: Office, listed: list[dict[str, Any]], columns: tuple[str, ...] = NAMES) -> tuple[int, int, str]:
    """Return how many rows were accepted and quarantined, and the verdict."""
    account = office.ingest("reg", office.write("reg", listed, day=1, columns=columns))
    return account["accepted"], account["quarantined"], account["verdict"]


@pytest.mark.parametrize(
    ("place", "cell"),
    few(4, [(1, "万人民币"), (150, "（万元）"), (300, "万美元"), (150, "单位：万元"), (1, "万元"), (300, "万元")]),
)
def test_one_cell_with_a_unit_alone_refuses_its_row(office: Office, cell: str, place: int) -> None:
    assert taken(office, rows(300, {place: cell})) == (299, 1, "accept")
    assert office.issues("reg") == [(place + 1, "money.unit_only", TEXT)]


@pytest.mark.parametrize(
    ("many", "odd", "held"), [(300, 3, True), (700, 3, False), (300, 300, True), (60, 1, True), (101, 1, False)]
)
def test_few_among_hundreds_are_rows_and_more_are_the_file(office: Office, many: int, odd: int, held: bool) -> None:
    accepted, refused, verdict = taken(office, rows(many, dict.fromkeys(range(1, odd + 1), "万元")))
    assert (verdict == "hold", accepted, refused) == (held, 0 if held else many - odd, many if held else odd)


@pytest.mark.parametrize(
    "line", [["", "", "（万元）", ""], ["（户）", "", "万元", ""], ["名称", "代码", "万元", "地区"]]
)
def test_a_line_of_units_below_the_names_still_holds(office: Office, line: list[str]) -> None:
    path = office.write("reg", rows(300, {}), day=1, columns=NAMES)
    head, rest = path.read_text("utf-8").split("\n", 1)
    path.write_text(f"{head}\n{','.join(line)}\n{rest}", "utf-8")
    assert office.ingest("reg", path)["verdict"] == "hold"


def test_the_same_unit_alone_is_an_amount_that_is_missing(office: Office) -> None:
    assert taken(office, rows(300, {7: "元"}))[:2] == (300, 0)
    assert office.issues("reg") == [(8, "money.invalid", TEXT)]


@pytest.mark.parametrize(("odd", "held"), [(2, False), (4, True), (300, True)])
def test_another_unit_in_the_column_of_units_is_the_rows_own(office: Office, odd: int, held: bool) -> None:
    listed = [row | {"金额单位": "万元" if n < odd else "元"} for n, row in enumerate(rows(300, {}))]
    path = office.folder / "units.csv"
    lines = [",".join([*NAMES, "金额单位"]), *(",".join(r.get(c, "") for c in (*NAMES, "金额单位")) for r in listed)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    account = office.ingest("reg", path)
    assert (account["verdict"] == "hold", account["quarantined"]) == (held, 300 if held else odd)
    if not held:
        assert office.issues("reg") == [(n + 2, "money.unit_beside", TEXT) for n in range(odd)]


def test_the_rows_of_a_file_count_together_over_its_pieces(office: Office) -> None:
    long = "湖南示例" + "长" * 180
    listed = [row | {"subject_name": f"{long}{n}公司"} for n, row in enumerate(rows(30_000, {29_999: "万元"}))]
    assert taken(office, listed)[:2] == (29_999, 1)


@pytest.mark.parametrize("form", ["json", "xlsx"])
def test_it_is_the_same_in_every_format(office: Office, tmp_path: Path, form: str) -> None:
    columns = [{"source": n, "element": n, "optional": True} for n in NAMES]
    office.contract("reg", "registration", NAMES, columns=columns, file={"format": form}, quality={})
    listed, path = rows(300, {7: "万元"}), tmp_path / f"x.{form}"
    if form == "json":
        path.write_text(json.dumps(listed, ensure_ascii=False), "utf-8")
    else:
        book = openpyxl.Workbook()
        for row in [NAMES, *([r[n] for n in NAMES] for r in listed)]:
            book.active.append(row)
        book.save(path)
    account = office.ingest("reg", path)
    assert (account["accepted"], account["quarantined"]) == (299, 1)


@pytest.mark.parametrize(("odd", "held", "form"), few(4, [
    (2, False, '0.00"万元"'), (2, False, "0%"), (5, True, "#,##0,"), (300, True, "[$$-409]#,##0.00"),
    (300, True, '0.00"万元"'), (5, True, "0%"), (2, False, "[$$-409]#,##0.00"), (2, False, "#,##0,")]))  # fmt: skip
def test_cells_shown_in_another_unit_are_rows_or_the_file(office: Office, form: str, odd: int, held: bool) -> None:
    columns = [{"source": n, "element": n, "optional": True} for n in NAMES]
    office.contract("reg", "registration", NAMES, columns=columns, file={"format": "xlsx"}, quality={})
    book, path = openpyxl.Workbook(), office.folder / "x.xlsx"
    for row in [NAMES, *([r[n] for n in NAMES[:2]] + [int(r[TEXT]), r["region_code"]] for r in rows(300, {}))]:
        book.active.append(row)
    for n in range(odd):
        book.active.cell(3 + n, 3).number_format = form
    book.save(path)
    account = office.ingest("reg", path)
    assert (account["verdict"] == "hold", account["quarantined"]) == (held, 300 if held else odd)
    if not held:
        assert office.issues("reg") == [(3 + n, "money.unit_shown", TEXT) for n in range(odd)]
