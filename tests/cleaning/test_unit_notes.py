"""Units of money that are stated beside the table: in titles, in names of files, beside the rows of JSON and XML."""

import json

import pytest

from deliveries import Office, penalty, uscc

NAMES = ("subject_name", "uscc", "decision_no", "decision_on", "fine", "authority_name")
ROWS = [
    {n: penalty(k, subject_name=f"湖南示例{k}有限公司", uscc=uscc(k), fine="5000")[n] for n in NAMES} for k in range(3)
]


def delivered(tmp_path, form, name, text, **more):
    """Return the mismatch of a delivery of three rows whose contract says yuan; None where it is taken."""
    office = Office(tmp_path)
    office.contract("notes", "penalty", NAMES, file={"format": form, **more}, quality={})
    path = tmp_path / name
    path.write_text(text, "utf-8")
    account = office.ingest("notes", path)
    findings = office.verdict("notes", account["batch_id"]).findings
    found = [f.message for f in findings if f.severity == "critical"]
    assert bool(found) == (account["verdict"] == "hold")
    return found[0] if found else None


def csv_text():
    """Return the rows as a table."""
    return "\n".join([",".join(NAMES), *(",".join(r.values()) for r in ROWS)]) + "\n"


@pytest.mark.parametrize(("unit", "held"), [("万元", True), ("元", False)])
def test_units_beside_the_rows_are_compared(tmp_path, unit, held):
    rows = "".join(f"<ROW>{''.join(f'<{k}>{v}</{k}>' for k, v in r.items())}</ROW>" for r in ROWS)
    told = [
        delivered(tmp_path / "csv", "csv", f"处罚（{unit}）.csv", csv_text()),
        delivered(tmp_path / "top", "json", "a.json", json.dumps({"amountUnit": unit, "rows": ROWS}), records="rows"),
        delivered(tmp_path / "end", "json", "a.json", json.dumps({"rows": ROWS, "单位": unit}), records="rows"),
        delivered(tmp_path / "xml", "xml", "a.xml", f"<D><unit>{unit}</unit>{rows}</D>", records="D/ROW"),
        delivered(tmp_path / "attr", "xml", "a.xml", f'<D unit="{unit}">{rows}</D>', records="D/ROW"),
    ]
    assert [bool(words and f"单位：{unit}" in words) for words in told] == [held] * 5


@pytest.mark.parametrize(
    ("beside", "word"),
    [
        ({"meta": {"amountUnit": "万元"}}, "万元"),
        ({"meta": {"unit": "千元"}}, "千元"),
        ({"fineUnit": "万元"}, "万元"),
        ({"units": {"fine": "万元"}}, "万元"),
        ({"amountUnit": "USD"}, "USD"),
        ({"currency": "USD"}, "USD"),
        ({"unit": "10k yuan"}, "10k yuan"),
        ({"unit": "thousand"}, "thousand"),
        ({"currency": "CNY", "amount_unit": "yuan", "unit": "RMB"}, None),
        ({"reportUnit": "示例局", "unit": "户", "币种": "人民币"}, None),
    ],
)
def test_units_and_currencies_in_any_words(tmp_path, beside, word):
    told = delivered(tmp_path, "json", "a.json", json.dumps({**beside, "rows": ROWS}), records="rows")
    assert (told and f"单位：{word}" in told) == (None if word is None else True)


@pytest.mark.parametrize(
    "note", ["单位：美元", "Unit: 10k yuan", "币种：美元,,,,,", "(in RMB thousands),,,,,", "单位:千元,,,,,"]
)
def test_units_below_the_rows_are_compared(tmp_path, note):
    assert delivered(tmp_path, "csv", "a.csv", csv_text() + note + "\n")


def test_other_values_beside_the_rows_say_nothing(tmp_path):
    beside = {"unit": "示例市市场监督管理局", "dw": "长沙", "remark": "报送单位：示例局", "rows": ROWS}
    assert delivered(tmp_path, "json", "a.json", json.dumps(beside), records="rows") is None


@pytest.mark.parametrize(("unit", "held"), [("万元", True), ("元", False)])
def test_a_column_of_units_that_is_left_out_is_compared(tmp_path, unit, held):
    office = Office(tmp_path)
    office.contract("notes", "penalty", NAMES, ignored={"金额单位": "都是元"}, quality={})
    text = csv_text().replace("\n", f",{unit}\n").replace(f",{unit}", ",金额单位", 1)
    (tmp_path / "a.csv").write_text(text, "utf-8")
    account = office.ingest("notes", tmp_path / "a.csv")
    assert (account["verdict"] == "hold") == held


def test_a_title_contradicts_headers_that_all_name_another_unit(tmp_path):
    office = Office(tmp_path)
    columns = [{"source": n if n != "fine" else "罚款（元）", "element": n, "optional": True} for n in NAMES]
    office.contract("notes", "penalty", (), columns=columns, file={"format": "csv", "header": 2}, quality={})
    text = csv_text().replace("fine", "罚款（元）", 1)
    (tmp_path / "a.csv").write_text("单位：万元\n" + text, "utf-8")
    (tmp_path / "b.csv").write_text("单位：元\n" + text, "utf-8")
    assert office.ingest("notes", tmp_path / "a.csv")["verdict"] == "hold"
    assert office.ingest("notes", tmp_path / "b.csv")["verdict"] != "hold"
