"""A line below the rows that adds their amounts up is compared with them."""

import json
import os
import re

import pytest

from deliveries import Office, penalty, uscc

NAMES = ("subject_name", "uscc", "decision_no", "decision_on", "authority_name", "fine", "confiscated")
STATED = re.compile("写明合计 (.*?)，而")
FINES = ("1000.50", "2000.25", "300")


def said(tmp_path, *lines, unit="元", refused=False):
    """Return what is said of a list of three fines below which these lines stand."""
    office = Office(tmp_path)
    columns = [{"source": n, "element": n, **({"unit": unit} if n in {"fine", "confiscated"} else {})} for n in NAMES]
    office.contract("list", "penalty", NAMES, columns=columns)
    rows = [penalty(n, subject_name=f"湖南示例{n}有限公司", uscc=uscc(n), fine=fine) for n, fine in enumerate(FINES)]
    rows += [rows[0] | {"decision_on": "", "decision_no": "湘示罚〔2026〕9号"}] if refused else []
    path = office.write("list", [{n: r.get(n, "") for n in NAMES} for r in rows], day=1)
    at = path.stat().st_mtime
    path.write_text(path.read_text("utf-8") + "".join(f"{line}\n" for line in lines), "utf-8")
    os.utime(path, (at, at))
    account = office.ingest("list", path)
    found = office.verdict("list", account["batch_id"]).findings
    return {f.rule: STATED.findall(f.message)[0] for f in found if f.rule == "sum.total"}


@pytest.mark.parametrize(
    "line",
    [
        "合计,,,,,3300.75,",
        '合计,,,,,"3,300.75",',
        "合计：3300.75",
        "合计,,3,,,3300.75元,",
        "总计：0.330075万元",
        "合计,3,,,,,",
        "小计,,,,,300.25,",
        "合计 3 条",
        "本页合计：300.25",
    ],
)
def test_a_sum_that_adds_up_is_not_told(tmp_path, line):
    assert said(tmp_path, line) == {}


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("合计,,,,,4300.75,", "4,300.75"),
        ("合计：4300.75", "4,300.75"),
        ('总计,,,,,"4,300.75",', "4,300.75"),
        ("合计金额：5000元", "5,000"),
    ],
)
def test_a_sum_that_does_not_add_up_is_told(tmp_path, line, shown):
    assert said(tmp_path, line) == {"sum.total": shown}


@pytest.mark.slow
def test_the_columns_unit_counts_and_refused_rows_leave_it_open(tmp_path):
    assert said(tmp_path / "unit", "合计,,,,,3300.75,", unit="万元") == {}
    assert said(tmp_path / "other", "合计,,,,,3400.75,", unit="万元") == {"sum.total": "3,400.75"}
    assert said(tmp_path / "refused", "合计,,,,,4300.75,", refused=True) == {}
    assert said(tmp_path / "two tables", "合计：1000.50", "合计：2300.25") == {}


def said_beside(tmp_path, beside, *, both=False):
    """Return what is said of a JSON list of three fines beside which this stands."""
    office = Office(tmp_path)
    columns = [{"source": n, "element": n, **({"unit": "元"} if n in {"fine", "confiscated"} else {})} for n in NAMES]
    file = {"format": "json", "records": "rows"}
    office.contract("list", "penalty", NAMES, columns=columns, file=file)
    rows = [penalty(n, subject_name=f"湖南示例{n}有限公司", uscc=uscc(n), fine=fine) for n, fine in enumerate(FINES)]
    rows = [{n: r.get(n) for n in NAMES} | {"confiscated": "7" if both else None} for r in rows]
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"rows": rows, **beside}, ensure_ascii=False), "utf-8")
    account = office.ingest("list", path)
    assert account["unlinked"] == len(FINES)
    found = office.verdict("list", account["batch_id"]).findings
    return {f.rule: STATED.findall(f.message)[0] for f in found if f.rule == "sum.total"}


@pytest.mark.parametrize(
    "beside",
    [
        {"total_amount": 3300.75},
        {"合计金额": "0.330075万元"},
        {"data": {"totalAmount": 9}},
        {"totalAmount": 0},
        {"totalAmount": 9000, "pageNo": 1},
        {"totalAmount": 9000, "sumAmount": 3300.75},
        {"amount": 9000},
    ],
)
def test_an_amount_beside_json_that_adds_up_is_not_reported(tmp_path, beside):
    assert said_beside(tmp_path, beside) == {}


def test_an_amount_beside_json_of_a_column_must_add_up(tmp_path):
    assert said_beside(tmp_path / "a", {"total_amount": 4300}) == {"sum.total": "4,300"}
    assert said_beside(tmp_path / "b", {"summary": {"罚款合计": "4,300.75"}}) == {"sum.total": "4,300.75"}
    assert said_beside(tmp_path / "c", {"total_amount": 4300}, both=True) == {}
