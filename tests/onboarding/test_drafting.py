"""A draft is a contract that a person can finish: nothing left out, nothing guessed, no real value in it."""

import re
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import openpyxl
import pytest
from never_seen_lists import LISTS, as_contract, expected, table, values, write

from chengxin.cleaning.mapper import standardise_rows
from chengxin.contracts.lint import lint_contract
from chengxin.contracts.loader import load
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch, SourceUnavailable
from chengxin.model.codelists import codelists
from chengxin.model.regions import code_of_name
from chengxin.onboarding.contract_text import as_yaml
from chengxin.onboarding.draft import Draft, Wishes, draft
from chengxin.onboarding.sample import look_at
from deliveries import uscc
from servers import Answer, Api, postgres

KNOWN = load(Path(__file__).resolve().parents[2] / "dags" / "contracts").contracts
WISHES = Wishes(department=("430000-T", "测试部门"))
PENALTY = Wishes(kind="penalty", department=("430000-T", "测试部门"))


def drafted(path: Path, wishes: Wishes = WISHES) -> Draft:
    return draft(look_at(str(path)), KNOWN, wishes)


@pytest.fixture(scope="module", params=sorted(LISTS))
def listed(request, tmp_path_factory) -> tuple[str, str, Path]:
    folder = tmp_path_factory.mktemp("draft")
    path = write(request.param, folder)
    return request.param, as_yaml(drafted(path)), folder


def test_a_draft_is_read_by_the_loader_and_refused_by_lint_until_decided(listed):
    name, text, folder = listed
    contract = as_contract(text, folder)
    problems = list(lint_contract(contract))
    assert any(p.startswith("basis.legal：尚未决定") for p in problems)
    undecided = {p.split("：")[0].removeprefix("ignored.") for p in problems if p.startswith("ignored.")}
    assert undecided == set(contract.ignored)
    assert {c.source for c in contract.columns} | undecided == set(expected(name))


def test_the_region_of_a_list_is_that_of_its_department(tmp_path):
    path = table(
        tmp_path / "名单.csv", ["企业名称", "地区"], [["示例一有限公司", "永定区"], ["示例二有限公司", "上杭县"]]
    )
    for code, region in (("350000-XH", "350000"), ("430000-XH", "430000"), ("XH", "430000"), ("330009-XH", "430000")):
        text = as_yaml(drafted(path, Wishes(kind="registration", department=(code, "示例协会"))))
        assert as_contract(text, tmp_path).region == region


def test_a_decided_draft_lints_and_its_examples_come_out_as_stated(listed):
    _, text, folder = listed
    contract = as_contract(text, folder, decided=True)
    lacking = list(lint_contract(contract))  # only what the list itself does not hold, and the draft said so
    assert all(words.startswith("columns：缺少") and f"# 待办：{words}" in text for words in lacking)
    assert len(contract.examples) == 3
    everything = dict.fromkeys(c.source for c in contract.columns)
    for example in contract.examples:
        passed, refused, issues = standardise_rows(contract, [everything | example.row])
        assert (passed.num_rows == 1) == (example.expect.state == "passed")
        assert passed.num_rows + refused.num_rows == 1
        assert set(issues["rule"].to_pylist()) == set(example.expect.rules)
        for column, value in example.expect.values.items():
            assert str(passed[column][0].as_py()) == str(value)


def test_no_value_of_the_sample_stands_in_the_draft(listed):
    name, text, _ = listed
    words = {t for entries in codelists().values() for e in entries.values() for t in (e.code, e.name, *e.aliases)}
    told = text.replace(name, "").replace(name.split(".")[0], "")
    for header in expected(name):
        told = told.replace(header, "")
    leaked = {
        value
        for row in values(name)
        for value in row
        if len(value) > 3 and value not in words and not code_of_name(value) and value in told
    }
    assert leaked == set()


def test_a_password_in_the_sample_stays_there(tmp_path):
    rows = [["甲样本公司", uscc(n), f"pw-{n}x"] for n in range(9)]
    path = table(tmp_path / "x.csv", ["企业名称", "信用代码", "口令"], rows)
    text = as_yaml(drafted(path))
    assert "口令: 待定" in text
    assert "pw-" not in text


def test_layout_found_is_layout_written(tmp_path):
    contract = as_contract(as_yaml(drafted(write("行政处罚信息公示表.csv", tmp_path))), tmp_path)
    assert (contract.file.encoding, contract.file.header) == ("gb18030", 2)
    assert next(c.unit for c in contract.columns if c.element == "fine") == "元"


def test_an_unstated_unit_is_said_to_be_unknown(tmp_path):
    rows = [["湘示罚〔2026〕1号", "2026-01-05", uscc(n), str(n * 100 + 7)] for n in range(9)]
    text = as_yaml(drafted(table(tmp_path / "处罚.csv", ["处罚决定书文号", "处罚日期", "信用代码", "罚款"], rows)))
    assert "待办：单位未写明，请问清是元还是万元\n" in text
    told = lint_contract(as_contract(text, tmp_path))
    assert any("“罚款”的单位尚未决定" in line for line in told)


def test_what_speaks_for_a_unit_that_nothing_states_is_said(tmp_path):
    rows = [["湘示罚〔2026〕1号", "2026-01-05", uscc(n), f"0.{n}123", f"{n}"] for n in range(1, 9)]
    header = ["处罚决定书文号", "处罚日期", "信用代码", "没收违法所得", "CF_NR_FK"]
    text = as_yaml(drafted(table(tmp_path / "处罚.csv", header, rows)))
    assert "是元还是万元，小数多于两位，多半是万元" in text
    assert "是元还是万元，双公示标准为万元" in text


def test_a_unit_above_the_header_is_taken(tmp_path):
    rows = [["湘示罚〔2026〕1号", "2026-01-05", uscc(n), str(n * 100 + 7)] for n in range(9)]
    header = ["处罚决定书文号", "处罚日期", "信用代码", "罚款"]
    path = table(tmp_path / "处罚.csv", ["行政处罚公示表", "", "", ""], [["", "", "", "单位：万元"], header, *rows])
    contract = as_contract(as_yaml(drafted(path)), tmp_path)
    assert contract.file.header == 3
    assert next(c.unit for c in contract.columns if c.element == "fine") == "万元"


def test_code_words_of_the_source_are_asked_for(tmp_path):
    rows = [["湘示罚〔2026〕1号", "2026-01-05", uscc(n), "示例局", ["有效", "甲类"][n % 2]] for n in range(20)]
    path = table(tmp_path / "处罚.csv", ["处罚决定书文号", "处罚日期", "信用代码", "处罚机关", "处罚状态"], rows)
    contract = as_contract(as_yaml(drafted(path)), tmp_path)
    assert contract.codes == {"decision_status_code": {"甲类": "待定"}}
    assert any("codes.decision_status_code.甲类" in p for p in lint_contract(contract))


def test_a_file_of_no_known_kind_gets_none(tmp_path):
    path = table(tmp_path / "weather.csv", ["站点", "气温", "雨量"], [["A", str(n), "0.5"] for n in range(20)])
    found = drafted(path)
    assert found.body["kind"] == "待定"
    assert "没有一种记录种类明显符合" in as_yaml(found)


def test_a_given_kind_is_kept(tmp_path):
    path = write("A级纳税人.csv", tmp_path)
    assert drafted(path, Wishes(id="tax_list", kind="registration")).body["kind"] == "registration"


def test_headers_with_yaml_signs_survive(tmp_path):
    header = ["企业\n名称", "信用代码", "# 备注: {甲}, [乙]", "- 'x\""]
    path = table(tmp_path / "odd.csv", header, [["甲样本公司", uscc(n), "a", "b"] for n in range(9)])
    contract = as_contract(as_yaml(drafted(path, Wishes(kind="registration"))), tmp_path)
    assert {c.source for c in contract.columns} | set(contract.ignored) == set(header)


def test_a_large_file_is_looked_at_in_part(tmp_path):
    line = ",".join(["株洲样本商贸有限公司", uscc(1), "2024-01-08", "样" * 200])
    path = tmp_path / "big.csv"
    path.write_text("企业名称,信用代码,成立日期,经营范围\n" + (line + "\n") * 20_000, "utf-8")
    sample = look_at(str(path))
    assert not sample.whole
    assert sample.table.num_rows < 20_000
    assert sample.damaged == 0


def test_a_zip_is_looked_into(tmp_path):
    inner = write("A级纳税人.csv", tmp_path)
    packed = tmp_path / "来文.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(inner, "2024/A级纳税人.csv")
        archive.writestr("说明.docx", b"not data")
    body = drafted(packed).body
    assert (body["kind"], body["file"]["member"]) == ("tax_rating", "*.csv")
    assert body["delivery"]["options"]["pattern"] == "*.zip"


def test_members_of_an_archive_with_other_columns_are_named(tmp_path):
    packed = tmp_path / "来文.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(write("A级纳税人.csv", tmp_path), "a.csv")
        archive.write(write("失信被执行人.csv", tmp_path), "b.csv")
    assert "其中 b.csv 的列名不同" in as_yaml(drafted(packed))


def test_an_archive_within_an_archive_is_named_in_the_refusal(tmp_path):
    packed = tmp_path / "来文.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner.zip", b"PK\x03\x04")
    with pytest.raises(DeliveryMismatch, match=r"只有“inner\.zip”"):
        look_at(str(packed))


def test_a_failed_answer_is_named_by_its_fields_and_by_nothing_that_may_be_somebodys(tmp_path):
    path = tmp_path / "list.json"
    path.write_text('{"430102000000000000": {"code": 500}, "示例人": 1, "msg": "x"}', encoding="utf-8")
    with pytest.raises(DeliveryCorrupt, match=r"样本顶层有 msg：") as said:
        drafted(path)
    assert not re.search("430102|示例人", str(said.value))


def workbook(path: Path, **sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        sheet.sheet_state = "hidden" if name.startswith("旧") else "visible"
    book.save(path)
    return path


TAXED: list[list[object]] = [["纳税人识别号", "纳税人名称", "评价年度", "等级"],
    *([uscc(n), f"样本{n}公司", "2024", "A"] for n in range(9))]  # fmt: skip


@pytest.mark.parametrize(
    ("sheets", "expected"),
    [
        ({"封面": [["纳税信用等级"], ["填报单位：样本局"]], "数据": TAXED}, "数据"),
        ({"一月": TAXED, "二月": TAXED}, "*"),
        ({"一月": TAXED, "二月": TAXED, "字典": [["代码", "名称"], ["A", "甲"]]}, ("一月", "二月")),
        ({"旧表": TAXED[:3], "新表": TAXED}, "新表"),
    ],
)
def test_the_sheets_that_hold_the_list_are_chosen_and_read(tmp_path, sheets, expected):
    found = drafted(workbook(tmp_path / "等级.xlsx", **sheets))
    contract = as_contract(as_yaml(found), tmp_path)
    assert (contract.file.sheet, contract.kind) == (expected, "tax_rating")


def test_groups_above_the_column_names_are_read_as_a_header_of_two_rows(tmp_path):
    rows = [[f"示罚〔2026〕{n}号", f"2026-01-{n + 1:02d}", f"样本{n}公司", uscc(n)] for n in range(9)]
    path = table(tmp_path / "处罚.csv", ["决定", "", "当事人", ""], [["处罚文号", "处罚日期", "名称", "代码"], *rows])
    contract = as_contract(as_yaml(drafted(path, PENALTY)), tmp_path)
    assert contract.file.header_rows == 2
    assert {c.source: c.element for c in contract.columns} == {
        "决定_处罚文号": "decision_no", "决定_处罚日期": "decision_on", "当事人_名称": "subject_name",
        "当事人_代码": "uscc",
    }  # fmt: skip


def test_a_kind_that_is_not_sure_is_to_be_looked_at(tmp_path):
    rows = [[f"样本{n}公司", uscc(n), f"湘CB{n:05d}", "样本局"] for n in range(9)]
    path = table(tmp_path / "经营许可.csv", ["企业名称", "信用代码", "许可证编号", "发证机关"], rows)
    assert "# 请核对 kind：缺少必需的列" in as_yaml(drafted(path))
    assert "请核对 kind" not in as_yaml(drafted(path, Wishes(kind="licence")))


def test_a_table_is_looked_at_through_its_connection(tmp_path, monkeypatch):
    database = tmp_path / "front.db"
    with sqlite3.connect(database) as connection:
        connection.execute(
            "CREATE TABLE nsr (ID INTEGER PRIMARY KEY, 纳税人识别号 TEXT, 纳税人名称 TEXT, 评价年度 TEXT, 等级 TEXT)"
        )
        rows = [(n, uscc(n), f"样本{n}公司", "2024", "A") for n in range(9)]
        connection.executemany("INSERT INTO nsr VALUES (?,?,?,?,?)", rows)
    monkeypatch.setenv("CHENGXIN_CONN_FRONT", f"sqlite:///{database}")
    found = draft(look_at("connection:front/nsr"), KNOWN, WISHES)
    options = {"connection": "front", "table": "nsr", "key": "ID"}
    assert found.body["delivery"] == {"connector": "database", "options": options}
    assert found.body["kind"] == "tax_rating"
    assert str(database) not in as_yaml(found)
    with pytest.raises(SourceUnavailable, match="没有表“nope”"):
        look_at("connection:front/nope")


def test_a_table_is_drafted_with_what_may_be_its_watermark_and_the_number_of_its_records(tmp_path, monkeypatch):
    database = tmp_path / "front.db"
    with sqlite3.connect(database) as connection:
        names = '"纳税人识别号" TEXT, "纳税人名称" TEXT, "评价年度" TEXT, "等级" TEXT, "更新时间" TEXT'
        connection.execute(f'CREATE TABLE nsr ("内码" TEXT PRIMARY KEY, {names})')
        rows = [(f"k{n}", uscc(n), f"样本{n}公司", "2024", "A", f"2026-01-0{n + 1} 10:00:00") for n in range(9)]
        connection.executemany("INSERT INTO nsr VALUES (?,?,?,?,?,?)", rows)
    monkeypatch.setenv("CHENGXIN_CONN_FRONT", f"sqlite:///{database}")
    text = as_yaml(draft(look_at("connection:front/nsr"), KNOWN, WISHES))
    assert "watermark 可能是“更新时间”" in text
    assert "“内码”是该表的主键" in text


def test_a_table_of_postgresql_in_a_schema_is_looked_at(monkeypatch):
    import psycopg

    with postgres() as url:
        if url is None:
            pytest.skip("PostgreSQL is not installed")
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute('CREATE SCHEMA "前置"')
            columns = (
                '"纳税人识别号" varchar(255), "纳税人名称" varchar(255), "评价年度" varchar(255), "等级" varchar(255)'
            )
            connection.execute(f'CREATE TABLE "前置"."纳税信用" ("ID" varchar(40) PRIMARY KEY, {columns})')
            rows = [(f"k{n}", uscc(n), f"样本{n}公司,\n第{n}分部", "2024", "A") for n in range(9)]
            with connection.cursor() as cursor:
                cursor.executemany('INSERT INTO "前置"."纳税信用" VALUES (%s,%s,%s,%s,%s)', rows)
        monkeypatch.setenv("CHENGXIN_CONN_FRONT", url)
        sample = look_at("connection:front/前置.纳税信用")
        with pytest.raises(SourceUnavailable, match=r"没有表“前置\.nope”"):
            look_at("connection:front/前置.nope")
    assert sorted(sample.table["纳税人名称"].to_pylist()) == [row[2] for row in rows]
    found = draft(sample, KNOWN, WISHES)
    options = {"connection": "front", "table": "纳税信用", "schema": "前置", "key": "ID"}
    assert found.body["delivery"] == {"connector": "database", "options": options}
    assert found.body["kind"] == "tax_rating"
    assert url not in as_yaml(found)


def test_a_page_of_an_interface_is_looked_at_without_keeping_its_parameters(tmp_path):
    body = write("失信人名单.json", tmp_path).read_bytes()
    with closing(Api(lambda *_: Answer(body, headers={"Content-Type": "application/json"}))) as api:
        found = draft(look_at(f"{api.url}/list?token=GEHEIM"), KNOWN, WISHES)
        assert [query for _, query, _ in api.requests] == [{"token": "GEHEIM"}]
    text = as_yaml(found)
    assert found.body["file"]["records"] == "data.rows"
    assert found.body["delivery"]["options"]["path"] == "/api/list"
    assert "GEHEIM" not in text
    assert "token" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("空.csv", b""),
        ("x.pdf", b"%PDF-1.7\n..."),
        ("网页.xls", b"<html><body><table></table></body></html>"),
        ("图.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(64))),
    ],
)
def test_what_is_no_data_is_refused_in_words(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DeliveryCorrupt, match=name.split(".")[0]):
        look_at(str(tmp_path / name))


WIDTHS = {"示罚文号": 26, "名称": 30, "代码": 18, "类别": 8, "金额": 12, "日期": 8, "机关": 20, "更新": 19}


def fixed(path: Path, *, names: bool = False, right: bool = False) -> Path:
    """Write a list as a mainframe does: GB18030, fields padded to their width and not told apart by anything."""
    rows = [
        (f"示罚〔2026〕{n}号", f"湖南示例{n * n}有限公司", uscc(n), "罚款", f"{n * 70}.50", f"202601{n + 1:02d}",
         "示例市监局", f"2026-02-01 08:00:{n:02d}")
        for n in range(1, 21)
    ]  # fmt: skip
    lines = []
    for row in [tuple(WIDTHS), *rows] if names else rows:
        cells = [value.encode("gb18030") for value in row]
        padded = [
            cell.rjust(width) if right and n == 4 else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(cells, WIDTHS.values(), strict=True))
        ]
        lines.append(b"".join(padded) + b"\n")
    path.write_bytes(b"".join(lines))
    return path


def test_a_fixed_width_file_is_drafted_with_its_places(tmp_path):
    found = drafted(fixed(tmp_path / "处罚.txt"), PENALTY)
    fields = found.body["file"]["fields"]
    assert (found.body["file"]["format"], [f["length"] for f in fields]) == ("fixed", [*WIDTHS.values()])
    assert [f["source"] for f in fields if not f["source"].startswith("字段")] == ["统一社会信用代码", "日期", "时间"]
    contract = as_contract(as_yaml(found), tmp_path)
    assert {c.source: c.element for c in contract.columns}["统一社会信用代码"] == "uscc"
    named = drafted(fixed(tmp_path / "有列名.txt", names=True)).body["file"]["fields"]
    assert [(f["source"], f["length"]) for f in named] == [*WIDTHS.items()]


def test_places_that_are_not_sure_are_to_be_decided_and_refused_until_they_are(tmp_path):
    text = as_yaml(drafted(fixed(tmp_path / "处罚.txt", right=True), PENALTY))
    assert text.count("# 待办：起止位置没有把握") == 2
    told = lint_contract(as_contract(text, tmp_path))
    assert sum("起止位置尚未决定" in line for line in told) == 2


def test_columns_apart_by_one_blank_are_no_fixed_width(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("".join(f"{uscc(n)} 2026-01-{n:02d}\n" for n in range(1, 20)))
    assert drafted(path).body["file"]["format"] == "csv"


def test_bare_numbers_of_a_code_column_are_asked_for(tmp_path):
    rows = [["湘示罚〔2026〕1号", "2026-01-05", uscc(n), "示例局", str(n % 2)] for n in range(20)]
    path = table(tmp_path / "处罚.csv", ["处罚决定书文号", "处罚日期", "信用代码", "处罚机关", "处罚状态"], rows)
    contract = as_contract(as_yaml(drafted(path)), tmp_path)
    assert contract.codes == {"decision_status_code": {"0": "待定", "1": "待定"}}
