"""The table of refused rows goes out, is mended as a clerk would, and comes back: as CSV or as a workbook."""

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import openpyxl
import pytest
from refusals import right, wrong

from cases import few
from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.contracts.corrections import COLUMNS, SHEET
from chengxin.home import Home
from deliveries import PENALTY, REGISTRATION, START, Office, company, uscc

CLOCK = Clock(START)
NAMES = ("source_record_id", *PENALTY, "delivery_status_code")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", NAMES)
    office.deliver("reg", *(company(n) for n in range(1, 12)), day=0)
    return office


def answer(office: Office, dataset: str = "pen", **more):
    return pipeline.answer(Home(office.settings, CLOCK), office.contracts[dataset], **more)


def newest(office: Office, batch_id: str, dataset: str = "pen"):
    answer(office, dataset)
    folder = sorted((office.settings.home / "feedback" / dataset / batch_id).glob("[0-9]*"))[-1]
    return json.loads((folder / "回执.json").read_text("utf-8"))


def table(path: Path) -> tuple[list[str], list[list[str]]]:
    head, *rows = csv.reader(io.StringIO(path.read_text("utf-8-sig")))
    return head, rows


def put(office: Office, name: str, head: list[str], rows: list[list[str]], encoding: str = "utf-8-sig") -> Path:
    path = office.folder / "back" / name
    path.parent.mkdir(exist_ok=True)
    out = io.StringIO()
    csv.writer(out).writerows([head, *rows])
    path.write_bytes(out.getvalue().encode(encoding))
    return path


def mend(head: list[str], rows: list[list[str]], numbers: dict[str, int]) -> None:
    """Type the right code into the rows of these record labels."""
    label, code = head.index("记录标识"), head.index("uscc")
    for row in rows:
        if row[label] in numbers:
            row[code] = uscc(numbers[row[label]])


def test_the_table_mended_and_returned_as_it_is_closes_its_rows(office):
    first = office.deliver("pen", *(wrong(n) for n in range(1, 9)), right(9), day=1)["batch_id"]
    (told,) = answer(office)
    head, rows = table(told.folder / "需更正.csv")
    assert head[: len(COLUMNS)] == list(COLUMNS)
    mend(head, rows, {f"k{n}": n for n in range(1, 6)})
    account = office.ingest("pen", put(office, "需更正.csv", head, rows))
    assert (account["accepted"], account["quarantined"], account["verdict"]) == (5, 3, "accept")
    assert newest(office, first)["refused"] == {
        "total": 8, "open": 0, "mended": {account["batch_id"]: 5}, "overtaken": 0, "again": 3}  # fmt: skip
    again = newest(office, account["batch_id"])
    assert again["refused"]["open"] == 3
    assert again["findings"] == []
    back, rest = table(
        sorted((office.settings.home / "feedback/pen" / account["batch_id"]).glob("0*"))[-1] / "需更正.csv"
    )
    assert back == head
    mend(back, rest, {f"k{n}": n for n in range(6, 9)})
    last = office.ingest("pen", put(office, "需更正 (1).csv", back, rest))
    assert last["accepted"] == 3
    assert newest(office, account["batch_id"])["refused"]["open"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "encoding", "change"),
    [
        ("需更正.csv", "gb18030", None),
        ("改好.csv", "utf-8-sig", "reordered"),
        ("改好.csv", "utf-8", "ours deleted"),
        ("需更正-2.csv", "utf-8-sig", "some deleted"),
    ],
)
def test_a_table_saved_in_another_way_is_taken(office, name, encoding, change):
    first = office.deliver("pen", wrong(1), wrong(2), right(9), day=1)["batch_id"]
    (told,) = answer(office)
    head, rows = table(told.folder / "需更正.csv")
    mend(head, rows, {"k1": 1, "k2": 2})
    order = list(range(len(head)))
    if change == "reordered":
        order.reverse()
    elif change:
        order = [n for n in order if head[n] not in (COLUMNS if change == "ours deleted" else COLUMNS[3:])]
    path = put(office, name, [head[n] for n in order], [[r[n] for n in order] for r in rows], encoding)
    account = office.ingest("pen", path)
    assert (account["accepted"], account["quarantined"]) == (2, 0)
    assert newest(office, first)["refused"]["open"] == 0


FORMS = {
    "header on line 3, pipes, GBK": {"format": "csv", "delimiter": "|", "encoding": "gbk", "header": 3},
    "no header": {"format": "csv", "header": 0},
    "fixed": {"format": "fixed", "header": 0, "encoding": "gb18030"},
    "json": {"format": "json", "records": "data"},
    "xml": {"format": "xml", "records": "rows/row"},
}
FEW = ("source_record_id", "subject_name", "uscc", "decision_no", "decision_on", "authority_name")


def original(form: str, rows: list[dict]) -> bytes:
    spec = FORMS[form]
    lines = [[row.get(c, "") for c in FEW] for row in rows]
    if spec["format"] == "json":
        return json.dumps({"data": rows}, ensure_ascii=False).encode()
    if spec["format"] == "xml":
        cells = ["".join(f"<{c}>{v}</{c}>" for c, v in zip(FEW, line, strict=True)) for line in lines]
        return f"<rows>{''.join(f'<row>{c}</row>' for c in cells)}</rows>".encode()
    if spec["format"] == "fixed":
        return b"".join(b"".join(v.encode("gb18030").ljust(40) for v in line) + b"\n" for line in lines)
    if not spec["header"]:
        return "".join(",".join(line) + "\n" for line in lines).encode()
    return ("标题\n\n" + "".join("|".join(line) + "\n" for line in [list(FEW), *lines])).encode("gbk")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "back"), few(len(FORMS) + 1, [(form, back) for back in ("csv", "xlsx") for form in FORMS])
)
def test_the_table_answers_a_delivery_of_any_format(office, form, back):
    spec = dict(FORMS[form])
    if spec["format"] == "fixed":
        spec["fields"] = [{"source": c, "start": 1 + 40 * n, "length": 40} for n, c in enumerate(FEW)]
    office.contract("any", "penalty", FEW, file=spec)
    path = office.folder / f"sent.{spec['format']}"
    path.write_bytes(original(form, [{c: right(n)[c] for c in FEW} for n in (1, 2)] + [{c: wrong(3)[c] for c in FEW}]))
    account = office.ingest("any", path)
    assert (account["accepted"], account["quarantined"]) == (2, 1)
    (told,) = answer(office, "any")
    name = str(1 + FEW.index("uscc")) if spec.get("header") == 0 and spec["format"] == "csv" else "uscc"
    if back == "csv":
        head, rows = table(told.folder / "需更正.csv")
        rows[0][head.index(name)] = uscc(3)
        returned = put(office, "需更正.csv", head, rows)
    else:
        book = openpyxl.load_workbook(told.folder / "需更正.xlsx")
        sheet = book["需更正"]
        sheet.cell(2, 1 + [c.value for c in sheet[1]].index(name)).value = uscc(3)
        returned = office.folder / "需更正.xlsx"
        book.save(returned)
    mended = office.ingest("any", returned)
    assert (mended["accepted"], mended["quarantined"], mended["verdict"]) == (1, 0, "accept")
    assert newest(office, account["batch_id"], "any")["refused"]["open"] == 0


@pytest.mark.slow
def test_a_correction_of_a_full_list_withdraws_nothing(office):
    office.contract("pen", "penalty", NAMES, mode="full")
    office.deliver("pen", *(right(n) for n in range(1, 9)), wrong(9), day=1)
    (told,) = answer(office)
    head, rows = table(told.folder / "需更正.csv")
    mend(head, rows, {"k9": 9})
    account = office.ingest("pen", put(office, "需更正.csv", head, rows))
    assert (account["accepted"], account["verdict"]) == (1, "accept")
    office.publish(3)
    assert len(office.table("penalty", "source_record_id")) == 9


@pytest.mark.slow
def test_columns_of_the_department_named_as_ours_stay_its_own(office):
    names = ("source_record_id", *PENALTY)
    columns = [{"source": "行号" if c == "item_name" else c, "element": c, "optional": True} for c in names]
    office.contract("pen", "penalty", names, columns=columns, ignored={"问题说明": "自己的备注"})
    sent = {("行号" if k == "item_name" else k): v for k, v in wrong(1).items()}
    path = office.write("pen", [sent, sent | {"source_record_id": "k2", "decision_no": "湘示罚〔2026〕2号"}], day=1)
    text = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([text[0] + ",问题说明", *(line + ",自己的" for line in text[1:])]) + "\n", "utf-8")
    first = office.ingest("pen", path)["batch_id"]
    (told,) = answer(office)
    head, rows = table(told.folder / "需更正.csv")
    assert (head[1], head[4]) == ("行号（反馈）", "问题说明（反馈）")
    assert rows[0][head.index("行号")] == "示例案"
    for row in rows:
        row[head.index("uscc")] = uscc(1)
    account = office.ingest("pen", put(office, "需更正.csv", head, rows))
    assert account["accepted"] == 2
    assert newest(office, first)["refused"]["open"] == 0
    office.publish(3)
    assert {n for (n,) in office.table("penalty", "item_name")} == {"示例案"}


def test_a_row_that_nothing_names_is_closed_by_its_place(office):
    path = office.write("pen", [right(1), wrong(2)], day=1)
    with path.open("a", encoding="utf-8") as stream:
        stream.write("k3,湖南示例3有限公司\n")
    first = office.ingest("pen", path)["batch_id"]
    (told,) = answer(office)
    head, rows = table(told.folder / "需更正.csv")
    damaged = next(row for row in rows if row[head.index("行号")] == "4")
    assert damaged[head.index("记录标识")] == "第 4 行"
    mend(head, rows, {"k2": 2})
    for name, value in right(5).items():  # another number and name than stand in the broken line
        damaged[head.index(name)] = value
    account = office.ingest("pen", put(office, "需更正.csv", head, rows))
    assert account["accepted"] == 2
    assert newest(office, first)["refused"]["open"] == 0


@pytest.mark.slow
def test_rows_in_which_the_department_wrote_nothing_are_no_rows(office):
    path = office.write("pen", [right(1), wrong(2)], day=1)
    with path.open("a", encoding="utf-8") as stream:
        stream.write("k3,湖南示例3有限公司\n")
    first = office.ingest("pen", path)["batch_id"]
    (told,) = answer(office)
    head, rows = table(told.folder / "需更正.csv")
    mend(head, rows, {"k2": 2})
    account = office.ingest("pen", put(office, "需更正.csv", head, rows))
    assert (account["received"], account["accepted"]) == (1, 1)
    assert newest(office, first)["refused"]["open"] == 1


@pytest.mark.slow
def test_a_place_closes_no_row_that_names_another_record(office):
    first = office.deliver("pen", wrong(1), wrong(2), right(9), day=1)["batch_id"]
    (told,) = answer(office)
    head, rows = table(told.folder / "需更正.csv")
    other = right(7)
    for name, value in other.items():
        rows[0][head.index(name)] = value
    rows[0][head.index("decision_on")] = "2026-02-02"
    rows[0][head.index("authority_name")] = "另一机关"
    account = office.ingest("pen", put(office, "需更正.csv", head, rows[:1]))
    assert account["accepted"] == 1
    assert newest(office, first)["refused"]["open"] == 2


@pytest.mark.parametrize("columns", [NAMES, ("subject_name", "uscc", "arrears_balance")])
def test_a_table_of_another_data_set_is_told_as_misplaced(office, columns):
    kind = "penalty" if columns is NAMES else "tax_arrears"
    unit = [{"source": n, "element": n} | ({"unit": "元"} if n == "arrears_balance" else {}) for n in columns]
    office.contract("oth", kind, (), columns=unit)
    office.deliver("pen", wrong(1), right(2), day=1)
    (told,) = answer(office)
    head, rows = table(told.folder / "需更正.csv")
    mend(head, rows, {"k1": 1})
    account = office.ingest("oth", put(office, "需更正.csv", head, rows))
    assert (account["verdict"], account["received"], account["quarantined"]) == ("hold", 1, 1)
    (page,) = (office.settings.home / "feedback/oth").rglob("回执.txt") if answer(office, "oth") else ()
    assert "这是数据集 pen 的“需更正”表，放错了地方" in page.read_text("utf-8-sig")


def test_a_table_put_back_is_found_whatever_the_pattern(office):
    office.contract(
        "pen", "penalty", NAMES, delivery={"mode": "incremental", "options": {"folder": "pen", "pattern": "*.xml"}}
    )
    office.deliver("pen", wrong(1), right(2), day=1)
    (told,) = answer(office)
    inbox = office.settings.home / "inbox" / "pen"
    inbox.mkdir(parents=True)
    shutil.copy(told.folder / "需更正.xlsx", inbox / "需更正.xlsx")
    (inbox / "需更正说明.txt").write_text("没有", "utf-8")
    found = pipeline.discover(Home(office.settings), office.contracts["pen"])
    assert [d.name for d in found] == ["需更正.xlsx"]
    pipeline.land(Home(office.settings, CLOCK), office.contracts["pen"], found[0])


def test_a_table_is_later_than_the_period_of_what_it_mends(office):
    how = {"mode": "incremental", "options": {"folder": "pen", "pattern": "罚{year}.csv"}}
    office.contract("pen", "penalty", NAMES, delivery=how)
    sent = office.write("pen", [wrong(1), right(2)], day=1)
    path = sent.rename(sent.with_name("罚2031.csv"))
    first = office.ingest("pen", path)["batch_id"]
    (told,) = answer(office)
    head, rows = table(told.folder / "需更正.csv")
    mend(head, rows, {"k1": 1})
    assert office.ingest("pen", put(office, "需更正.csv", head, rows))["accepted"] == 1
    assert newest(office, first)["refused"]["open"] == 0


def test_the_workbook_shows_what_is_wrong_at_the_cell(office):
    rows = [wrong(1, delivery_status_code="X7", item_name="=1+1"), wrong(2, source_record_id="202600000000000017")]
    office.deliver("pen", *rows, right(9), day=1)
    (told,) = answer(office)
    book = openpyxl.load_workbook(told.folder / "需更正.xlsx")
    sheet = book["需更正"]
    assert book[SHEET].sheet_state == "hidden"
    head = [c.value for c in sheet[1]]
    at = {name: head.index(name) + 1 for name in head}
    assert "18 位" in sheet.cell(2, at["uscc"]).comment.text or "字符" in sheet.cell(2, at["uscc"]).comment.text
    assert sheet.cell(2, at["uscc"]).fill.fgColor.rgb.endswith("FFC7CE")
    assert sheet.cell(2, at["decision_no"]).comment is None
    assert (sheet.cell(2, at["item_name"]).value, sheet.cell(2, at["item_name"]).data_type) == ("=1+1", "s")
    assert (sheet.cell(3, at["source_record_id"]).value, sheet.cell(3, at["source_record_id"]).number_format) == (
        "202600000000000017", "@")  # fmt: skip
    assert sheet.protection.sheet
    assert sheet.cell(2, 1).protection.locked
    assert not sheet.cell(2, at["uscc"]).protection.locked
    assert sheet.freeze_panes == "A2"
    (choice,) = sheet.data_validations.dataValidation
    letter = openpyxl.utils.get_column_letter(at["delivery_status_code"])
    assert str(choice.sqref) == f"{letter}2:{letter}3"
    listed = [c.value for c in book[SHEET]["A"]]
    assert listed == ["delivery_status_code", "正常", "更新", "删除"]


@pytest.mark.slow
def test_the_workbook_mended_by_another_program_closes_its_rows(office):
    office.deliver(
        "pen", *(wrong(n, item_name=v) for n, v in enumerate(("=1+1", "_x0041_", "第一\n第二"), 1)), right(9), day=1
    )
    (told,) = answer(office)
    book = openpyxl.load_workbook(told.folder / "需更正.xlsx")
    sheet = book["需更正"]
    at = [c.value for c in sheet[1]].index("uscc") + 1
    for n in (1, 2, 3):
        sheet.cell(n + 1, at).value = uscc(n)
    sheet.delete_cols(1, 2)
    sheet.move_range("A1:B4", rows=0, cols=40)
    book.save(path := office.folder / "改好的.xlsx")
    account = office.ingest("pen", path)
    assert (account["accepted"], account["verdict"]) == (3, "accept")
    assert newest(office, told.batch_id)["refused"]["open"] == 0
    office.publish(3)
    assert [n for (n,) in office.table("penalty", "item_name")] == ["=1+1", "_x0041_", "示例案", "第一\n第二"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice is not installed")
def test_the_workbook_saved_by_libreoffice_closes_its_rows(office):
    office.deliver("pen", wrong(1), wrong(2, source_record_id="202600000000000017"), right(9), day=1)
    (told,) = answer(office)
    book = openpyxl.load_workbook(told.folder / "需更正.xlsx")
    sheet = book["需更正"]
    for n in (1, 2):
        sheet.cell(n + 1, [c.value for c in sheet[1]].index("uscc") + 1).value = uscc(n)
    (office.folder / "in").mkdir()
    book.save(office.folder / "in" / "改.xlsx")
    for form in ("xlsx", "xls"):
        profile = f"-env:UserInstallation=file://{office.folder}/profile"
        command = ["soffice", profile, "--headless", "--convert-to", form, "--outdir", str(office.folder / form)]
        subprocess.run([*command, str(office.folder / "in" / "改.xlsx")], check=True, capture_output=True)
    account = office.ingest("pen", office.folder / "xlsx" / "改.xlsx")
    assert account["accepted"] == 2
    assert office.ingest("pen", office.folder / "xls" / "改.xls")["duplicate"] == 2
    assert newest(office, told.batch_id)["refused"]["open"] == 0


def test_a_row_too_long_for_a_cell_is_sent_as_csv_alone(office):
    office.deliver("pen", wrong(1, penalty_content="长" * 40_000), right(9), day=1)
    (told,) = answer(office)
    assert "需更正.csv" in told.receipt["files"]
    assert "需更正.xlsx" not in told.receipt["files"]


@pytest.mark.slow
def test_rows_resent_in_the_own_format_are_not_judged(office):
    rows = [wrong(n) for n in range(1, 9)] + [right(9, decision_no=f"湘示罚〔2026〕{n}号") for n in range(100, 400)]
    quality = {"quarantined": {"warn": 0.05, "hold": 0.3}, "rows": [100, 9999]}
    office.contract("pen", "penalty", NAMES, quality=quality)
    first = office.deliver("pen", *rows, day=1)["batch_id"]
    office.deliver("pen", *(right(10, decision_no=f"湘示罚〔2026〕{n}号") for n in range(400, 700)), day=2)
    sent = [right(n) for n in range(1, 6)] + [wrong(n, uscc=uscc(n)[:-2]) for n in range(6, 9)]
    account = office.deliver("pen", *sent, day=3)
    assert (account["accepted"], account["quarantined"], account["verdict"]) == (5, 3, "accept")
    assert newest(office, first)["refused"] == {
        "total": 8, "open": 0, "mended": {account["batch_id"]: 5}, "overtaken": 0, "again": 3}  # fmt: skip


def test_a_first_delivery_without_a_usable_row_is_held_each_time(office):
    office.contract("pen", "penalty", NAMES, quality={})
    assert office.deliver("pen", *(wrong(n) for n in range(1, 9)), day=1)["verdict"] == "hold"
    assert office.deliver("pen", *(wrong(n, item_name="又") for n in range(1, 9)), day=2)["verdict"] == "hold"


@pytest.mark.slow
def test_a_held_batch_whose_rows_came_mended_asks_for_nothing(office):
    first = office.deliver("pen", wrong(1), wrong(2), day=1)["batch_id"]
    (told,) = answer(office)
    assert "重新报送整批数据" in told.receipt["advice"]
    head, rows = table(told.folder / "需更正.csv")
    mend(head, rows, {"k1": 1})
    office.ingest("pen", put(office, "需更正.csv", head, rows[:1]))
    assert "重新报送整批数据" in newest(office, first)["advice"]
    mend(head, rows, {"k2": 2})
    office.ingest("pen", put(office, "需更正-2.csv", head, rows[1:]))
    receipt = newest(office, first)
    assert (receipt["verdict"], receipt["refused"]["open"]) == ("hold", 0)
    assert receipt["todo"] == ["无需处理：本批各条都已由其他批次更正，不必再报。"]


@pytest.mark.slow
def test_a_table_with_every_row_still_wrong_is_answered_by_row(office):
    office.contract("pen", "penalty", NAMES, quality={})
    office.deliver("pen", wrong(1), wrong(2), right(9), day=1)
    (told,) = answer(office)
    account = office.ingest("pen", shutil.copy(told.folder / "需更正.xlsx", office.folder / "需更正.xlsx"))
    assert (account["quarantined"], account["verdict"]) == (2, "accept")
    assert newest(office, told.batch_id)["refused"]["again"] == 2


@pytest.mark.slow
def test_a_unit_without_a_number_costs_a_table_its_row_only(office):
    names = (*NAMES, "fine")
    columns = [{"source": n, "element": n, "optional": True} | ({"unit": "元"} if n == "fine" else {}) for n in names]
    office.contract("pen", "penalty", (), columns=columns)
    rows = [right(n % 9 + 1, source_record_id=f"s{n}", decision_no=f"示〔2026〕{n}号", fine="500") for n in range(300)]
    first = office.deliver("pen", *rows, right(10, fine="万元"), right(11, fine="（万元）"), day=1)
    assert first["quarantined"] == 2
    (told,) = answer(office)
    head, sent = table(told.folder / "需更正.csv")
    sent[0][head.index("fine")] = "50000"
    account = office.ingest("pen", put(office, "需更正.csv", head, sent))
    assert (account["verdict"], account["accepted"], account["quarantined"]) == ("accept", 1, 1)
    assert newest(office, first["batch_id"])["refused"]["open"] == 0


@pytest.mark.slow
def test_answers_among_many_new_rows_do_not_count_in_shares(office):
    quality = {"quarantined": {"warn": 0.05, "hold": 0.3}, "min_rows": 20}
    office.contract("pen", "penalty", NAMES, quality=quality)
    bad = [wrong(n, decision_no=f"湘{n}号") for n in range(1, 41)]
    good = [right(9, source_record_id=f"g{n}", decision_no=f"好{n}号") for n in range(200)]
    office.deliver("pen", *bad, *good, day=1)
    again = [wrong(n, decision_no=f"湘{n}号", item_name="又错") for n in range(1, 41)]
    fresh = [right(10, source_record_id=f"h{n}", decision_no=f"新{n}号") for n in range(30)]
    assert office.deliver("pen", *again, *fresh, day=2)["verdict"] == "accept"
    bad = [wrong(n, source_record_id=f"b{n}", decision_no=f"坏{n}号", subject_name="") for n in range(40)]
    more = [right(11, source_record_id=f"i{n}", decision_no=f"更{n}号") for n in range(30)]
    assert office.deliver("pen", *bad, *more, day=3)["verdict"] == "hold"
