"""Files with one fault each, named after it, in the manner of benchmarks of polluted CSV; all values are invented.

Each comes with how the contract's `file` block describes it (written for the clean file) and with what must
become of it: `right` = every row as it was meant; `refused` = the whole delivery held, with words that match; `rows` =
good rows right, the others set aside under a rule that matches.
"""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import openpyxl
import xlwt
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from chengxin.model.identifiers import org_code_check_character, uscc_check_character

HEADER = ("文号", "名称", "代码", "罚款", "日期", "机关")
Row = tuple[str, ...]


def uscc(n: int) -> str:
    body = f"MAXY{n:04d}"
    head = "91430100" + body + org_code_check_character(body)
    return head + uscc_check_character(head)


TRUTH: tuple[Row, ...] = tuple(
    (f"示罚〔2024〕{n}号", f"示例第{n}有限公司", uscc(n), f"{n * 10}.50", f"2024-03-{n:02d}", "示例市场监管局")
    for n in range(1, 13)
)


@dataclass(frozen=True)
class Polluted:
    """One file. words: of the refusal, or of the rules of the rows set aside; meant: values beside those of TRUTH."""

    name: str
    body: bytes
    outcome: str
    words: str = ""
    spec: dict[str, Any] = field(default_factory=dict)
    meant: tuple[str, ...] = ()

    def holds(self, words: str) -> bool:
        """Tell whether the file holds a text, in whatever encoding; a workbook holds all of TRUTH."""
        packed = self.body.startswith((b"PK", b"\xd0\xcf"))
        return packed or any(words.encode(code) in self.body for code in ("utf-8", "gb18030", "utf-16-le"))


def text(rows: Any = TRUTH, header: Any = HEADER, mark: str = ",", end: str = "\n") -> str:
    return "".join(mark.join(row) + end for row in ((header, *rows) if header else rows))


def changed(n: int, column: int, value: str) -> list[Row]:
    rows = [list(row) for row in TRUTH]
    rows[n][column] = value
    return [tuple(row) for row in rows]


def between(line: str, after: int = 6) -> str:
    lines = text().splitlines(keepends=True)
    return "".join([*lines[:after], line, *lines[after:]])


def quoted(mark: str, blank: str = "") -> str:
    return "".join(("," + blank).join(f"{mark}{v}{mark}" for v in row) + "\n" for row in (HEADER, *TRUTH))


def csv_files() -> Iterator[Polluted]:
    def made(name: str, body: str | bytes, outcome: str, words: str = "", **spec: Any) -> Polluted:
        meant = spec.pop("meant", ())
        return Polluted(f"csv_{name}", body if isinstance(body, bytes) else body.encode(), outcome, words, spec, meant)

    second = [(f"示罚〔2023〕{n}号", *TRUTH[n][1:4], "2023-01-05", "示例局") for n in range(5)]
    yield made("clean", text(), "right")
    yield made("no_header", text(header=None), "refused", "第 1 行看来是数据")
    yield made("header_only", text(rows=()), "right")
    yield made("empty", "", "refused", "文件是空的")
    yield made("header_though_none_agreed", text(), "refused", "第 1 行却是列名", header=0)
    yield made("extra_named_column", text([(*r, "x") for r in TRUTH], (*HEADER, "备注")), "refused", "未声明的列：备注")
    yield made("extra_nameless_column", text([(*r, "x") for r in TRUTH], (*HEADER, "")), "refused", "未声明的列")
    yield made("extra_blank_column", text([(*r, "") for r in TRUTH], (*HEADER, "")), "right")
    yield made("missing_column", text([r[:-1] for r in TRUTH], HEADER[:-1]), "refused", "缺少列：机关")
    yield made("columns_in_another_order", text([r[::-1] for r in TRUTH], HEADER[::-1]), "right")
    yield made("header_twice_alike", text([(*r, r[3]) for r in TRUTH], (*HEADER, "罚款：")), "refused", "只差括号")
    yield made(
        "header_twice_same", text([(*r, r[3]) for r in TRUTH], (*HEADER, "罚款")), "refused", "未声明的列：罚款_2"
    )
    yield made("header_with_blanks", text(header=tuple(f" {h}： " for h in HEADER)), "right")
    yield made("wrong_delimiter", text(mark=";"), "refused", "分隔符")
    yield made("long_delimiter", text(mark="|+|"), "right", delimiter="|+|")
    yield made(
        "long_delimiter_in_value",
        text(changed(3, 1, '"示例||公司"'), mark="||"),
        "right",
        delimiter="||",
        meant=("示例||公司",),
    )
    yield made("undeclared_long_delimiter", text(mark="||"), "refused", "分隔符|缺少列")
    yield made("delimiter_of_some_rows", between(";".join(TRUTH[0]) + "\n"), "rows", "row.width")
    yield made("other_quote", quoted("'"), "refused", "引号")
    yield made("quotes_undeclared", quoted('"'), "refused", "引号", quote="")
    yield made("quotes_twice", quoted('"""'), "refused", "引号")
    yield made("blank_before_quotes", quoted('"', " "), "refused", "引号")
    yield made("quoted_all", quoted('"'), "right")
    yield made("other_quote_in_a_row", between(",".join(f"'{v}'" for v in second[0]) + "\n"), "rows", "row.quote_stray")
    yield made("text_behind_quotes", text(changed(4, 1, '"示例"第5有限公司')), "rows", "row.quote_unclosed")
    yield made("quote_only_behind", text(changed(4, 5, '示例市场监管局"')), "rows", "row.quote_unclosed")
    yield made("measure_in_inches", text(changed(4, 1, '示例5"管件公司')), "right", meant=('示例5"管件公司',))
    inches = [(*r[:1], f'"{r[1]},分店"', *r[2:5], '示例管15"') for r in TRUTH]
    meant = ('示例管15"', *(f"{r[1]},分店" for r in TRUTH))
    yield made("measure_in_inches_behind_quotes", text(inches), "right", meant=meant)
    yield made("undeclared_escape", text(changed(4, 1, '"示例\\"第5\\"有限公司"')), "rows", "row.quote_unclosed")
    yield made("unclosed_quote", text(changed(4, 1, '"示例第5有限公司')), "rows", "row.quote_unclosed")
    yield made("line_break_in_quotes", text(changed(4, 5, '"示例市场\n监管局"')), "right", meant=("示例市场\n监管局",))
    yield made("line_break_in_name", text(changed(4, 1, '"示例第5\n有限公司"')), "rows", "text.control")
    yield made("title_above", "行政处罚公示表,,,,,\n" + text(), "refused", "表头在第 2 行")
    yield made("title_agreed", "行政处罚公示表,,,,,\n" + text(), "right", header=2)
    yield made("unit_above_changed", "单位：万元,,,,,\n" + text(), "refused", "单位：万元", header=2)
    yield made("unit_below_changed", text() + "注：单位：万元,,,,,\n", "refused", "单位：万元")
    yield made(
        "unit_in_header_changed", text(header=(*HEADER[:3], "罚款（万元）", *HEADER[4:])), "refused", "罚款（万元）"
    )
    yield made("footer", text() + "合计,,,1234.00,,\n注：示例,,,,,\n制表人：某某\n", "rows", "^row.not_a_record$")
    yield made("blank_rows", text() + ",,,,,\n" * 200 + "\n\n,,,,,,,,\n", "right")
    yield made("end_of_file_sign", text() + "\x1a", "right")
    yield made("header_again", text() + text(second), "rows", "row.not_a_record")
    yield made("another_table", text() + text(second, (*HEADER[:4], "移出日期", "机关")), "refused", "又是一行列名")
    yield made("another_table_of_other_width", text() + "名称,代码\n甲,1\n", "rows", "row.width")
    yield made("mixed_line_ends", text().replace("\n", "\r\n", 4) + ",".join(second[0]) + "\r", "right")
    yield made("carriage_returns", text(end="\r"), "right")
    yield made("null_bytes", text(changed(4, 1, "示例第5\x00有限公司")), "rows", "text.control")
    yield made("null_byte_block", between("\x00" * 40 + "\n"), "rows", "row.width")
    yield made("bom_within", between("\ufeff"), "right")
    yield made("bom_before", "\ufeff" + text(), "right")
    yield made("overlong_value", text(changed(4, 1, "甲" * 400_000)), "rows", "row.oversize")
    yield made("shifted_left", between(",".join(TRUTH[0][1:]) + "\n"), "rows", "row.width")
    yield made("shifted_right", between("," + ",".join(second[0]) + "\n"), "rows", "row.width")
    yield made("shifted_within_width", between("," + ",".join(second[0][:5]) + "\n"), "rows", "field.required")
    yield made("gb18030_though_utf8_agreed", text().encode("gb18030"), "refused", "不能按 utf-8 解码")
    yield made("utf8_though_gb18030_agreed", text(), "refused", "utf-8", encoding="gb18030")
    yield made("gb18030", text().encode("gb18030"), "right", encoding="auto")
    yield made("utf16", text().encode("utf-16"), "right", encoding="auto")
    yield from utf16_files(made)
    mixed = text().encode() + ",".join(second[0]).encode("gb18030") + b"\n"
    yield made("gb18030_row_in_utf8", mixed, "rows", "row.undecodable")
    mixed = text().encode("gb18030") + ",".join(second[0]).encode() + b"\n"
    yield made("utf8_row_in_gb18030", mixed, "rows", "row.undecodable", encoding="gb18030")
    for form, value in (
        ("yymmdd", "240305"),
        ("hours", "2024030508"),
        ("typo", "202403055"),
        ("american", "03/05/2024"),
        ("month", "2024.1"),
    ):
        yield made(f"date_{form}", text(changed(4, 4, value)), "rows", "date.ambiguous|date.invalid")
    yield made("code_in_scientific_form", text(changed(4, 2, "9.143E+17")), "rows", "identifier.scientific")
    yield made("amount_in_words_of_another_unit", text(changed(4, 3, "0.00505万元")), "right")
    yield made("amount_with_stray_bracket", text(changed(4, 3, "00000005050}")), "rows", "money.invalid")
    yield made("amount_in_brackets_of_code", text(changed(4, 3, "{50.50}")), "rows", "money.invalid")
    yield made("amount_with_bracket_behind", text(changed(4, 3, "50.50)")), "rows", "money.invalid")
    yield made("name_marked_as_text", text(changed(4, 1, "'" + TRUTH[4][1])), "right")
    yield made("name_marked_as_text_wide", text(changed(4, 1, "‘" + TRUTH[4][1])), "right")
    yield made("name_in_quotes_of_its_own", text(changed(4, 1, "'示例'公司")), "right", meant=("'示例'公司",))
    yield made(
        "rows_end_delimited", text(header=None).replace("\n", ",\n").join((",".join(HEADER) + "\n", "")), "right"
    )
    yield made("a_row_ends_delimited", between(",".join(second[0]) + ",\n"), "rows", "row.width")
    yield made("cut_within_last_value", text()[:-3], "rows", "row.last_unended", meant=("示例市场监",))
    yield made("amount_with_separators", text(changed(4, 3, '"50,50"')), "rows", "money.invalid")
    yield made("workbook_named_csv", xlsx(lambda _: None), "refused", "压缩包")
    yield made("web_page", "<html><body>请登录</body></html>", "refused", "缺少列")
    yield made("cut_off", text()[:-20], "rows", "row.cut_off|field.required|date")


def utf16_files(made: Callable[..., Polluted]) -> Iterator[Polluted]:
    """Lost, added and foreign bytes: all that follows reads as one row of nonsense, or as none."""
    for order, mark in (("le", b"\xff\xfe"), ("be", b"\xfe\xff")):
        whole, other = text().encode(f"utf-16-{order}"), text().encode("utf-16-be" if order == "le" else "utf-16-le")
        half = len("".join(text().splitlines(keepends=True)[:6]).encode("utf-16-le"))
        bodies = {
            "byte_lost": whole[: half + 21] + whole[half + 22 :],
            "byte_added": whole[: half + 21] + b"\0" + whole[half + 21 :],
            "other_order": whole[:half] + other[half:],
        }
        if order == "le":  # in the other order a lone line feed may be half of a Chinese character
            bodies["utf8_row"] = whole[:half] + ",".join(TRUTH[0]).encode() + b"\n" + whole[half:]
        for name, body in bodies.items():
            yield made(f"utf16_{order}_{name}", mark + body, "refused", "字节错位", encoding="utf-16")
        yield made(f"utf16_{order}_wrong_mark", mark + other, "refused", "字节序标记", encoding="utf-16")


def filled(book: openpyxl.Workbook) -> Any:
    sheet = book.active
    for row in (HEADER, *TRUTH):
        sheet.append((*row[:3], float(row[3]) if row is not HEADER else row[3], *row[4:]))
    return sheet


def xlsx(change: Callable[[openpyxl.Workbook], object]) -> bytes:
    book = openpyxl.Workbook()
    filled(book)
    change(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def xlsx_files() -> Iterator[Polluted]:
    def made(name: str, change: Callable[[Any], object], outcome: str, words: str = "", **spec: Any) -> Polluted:
        return Polluted(f"xlsx_{name}", xlsx(change), outcome, words, {"format": "xlsx", **spec})

    def put(**cells: Any) -> Callable[[Any], None]:
        def change(book: Any) -> None:
            for place, value in cells.items():
                book.active[place] = value

        return change

    def another(*rows: Row) -> Callable[[Any], None]:
        def change(book: Any) -> None:
            sheet = book.create_sheet("续")
            for row in rows:
                sheet.append(row)

        return change

    def merge(cells: str, *also: str) -> Callable[[Any], None]:
        return lambda book: [book.active.merge_cells(place) for place in (cells, *also)]

    more = ("示罚〔2023〕1号", *TRUTH[0][1:])
    yield made("clean", lambda _: None, "right")
    yield made("title_above", lambda book: book.active.insert_rows(1), "refused", "表头在第 2 行")
    yield made("footer", put(A14="合计", D14=999, A15="注：示例"), "rows", "row.not_a_record")
    sums = put(A14="汇总", D14=999, A15="平均值", D15=9, A16="其中：企业", D16=99)
    yield made("sums_of_other_names", sums, "rows", "^row.not_a_record$")
    yield made("unit_below_changed", put(A15="注：单位：万元"), "refused", "单位：万元")
    yield made("extra_column", put(G1="备注", G2="x"), "refused", "未声明的列：备注")
    yield made("stray_cell", put(H5="x"), "rows", "row.width")
    yield made("rows_of_blanks", put(A30=" ", B31="\u3000"), "right")
    yield made("header_again", another_header, "rows", "row.not_a_record")
    yield made("sheet_alike", another(HEADER, more), "refused", "列名相同或相连")
    yield made("sheet_alike_but_colons", another(tuple(h + "：" for h in HEADER), more), "refused", "列名相同或相连")
    yield made("sheet_goes_on", another(more), "refused", "列名相同或相连")
    yield made("sheet_of_notes", another(("填表说明",), ("示例",)), "right")
    yield made("sheet_hidden", hide_first, "refused", "隐藏")
    yield made("merged_text", merge("F2:F13"), "right")
    yield made("merged_amount", merge("D2:D4"), "rows", "row.merged")
    yield made("merged_columns", merge("B3:C3"), "rows", "row.merged")
    yield made("merged_block", merge("B3:C4"), "rows", "row.merged")
    yield made("merged_footer", footer_merged, "rows", "^row.not_a_record$")
    yield made("sheet_alike_below_a_title", another(("补充名单",), (), HEADER, more), "refused", "列名相同或相连")
    yield made("formula_not_computed", put(D5="=1+1"), "rows", "row.formula_error")
    yield made("month_as_number", put(E5=2024.1), "rows", "date.ambiguous")
    yield made("code_as_number", put(C5=914301000000000000), "rows", "identifier.scientific")
    yield made("amount_shown_in_its_unit", shown('#,##0.00"元"'), "right")
    yield made("amount_in_yuan_shown_in_wan", shown('0!.0,"万"'), "right")
    yield made("amount_in_qian_shown_in_wan", shown('0!.0"万"'), "refused", "数字格式.*显示 万")
    yield made("amount_in_wan", shown('0.00"万元"'), "refused", "数字格式.*单位 万元")
    yield made("amount_shown_in_thousands", shown("#,##0,"), "refused", "数字格式.*缩小")
    yield made("amount_as_percentage", shown("0%"), "refused", "数字格式.*百分比")
    yield made("document_numbers_in_their_format", numbered('"示罚〔2024〕"0"号"'), "right")
    yield made("document_numbers_by_condition", numbered('[<9]"示罚"0"号";0'), "refused", "设为“文本”格式")
    yield made("amount_in_dollars", shown("[$$-409]#,##0.00"), "refused", "数字格式.*USD")
    escaped = xlsx(put(B5="示例第4_x000D_\n有限公司"))
    yield Polluted("xlsx_escaped_line_break", escaped, "rows", "text.control", {"format": "xlsx"})
    yield made("days_from_1904", days_from_1904, "rows", "date.ambiguous")
    yield made("csv_named_xlsx", lambda _: None, "right")
    yield Polluted("xlsx_text_inside", text().encode(), "refused", "不是 Excel", {"format": "xlsx"})
    yield Polluted("xlsx_cut_off", xlsx(lambda _: None)[:3000], "refused", "损坏", {"format": "xlsx"})


def footer_merged(book: Any) -> None:
    for n, value in enumerate(("合计", None, None, 999.5, None, "示例"), 1):
        book.active.cell(14, n, value)
    book.active.merge_cells("A14:C14")
    book.active.cell(15, 1, "注：示例")
    book.active.merge_cells("A15:F15")


def another_header(book: Any) -> None:
    book.active.insert_rows(7)
    for n, name in enumerate(HEADER, 1):
        book.active.cell(7, n, name)


def shown(code: str) -> Callable[[Any], None]:
    """Give the amounts a number format."""

    def change(book: Any) -> None:
        for cell in book.active["D"][1:]:
            cell.number_format = code

    return change


def numbered(code: str) -> Callable[[Any], None]:
    """Put numbers in place of the document numbers, shown by a format."""

    def change(book: Any) -> None:
        for n, cell in enumerate(book.active["A"][1:], 1):
            cell.value, cell.number_format = n, code

    return change


def days_from_1904(book: Any) -> None:
    book.epoch = CALENDAR_MAC_1904
    for n, cell in enumerate(book.active["E"][1:], 1):
        cell.value = 43890 + n  # from 1904 on it is 2024-03, from 1900 on 2020


def hide_first(book: Any) -> None:
    book.create_sheet("说明").append(("示例",))
    book.worksheets[0].sheet_state = "hidden"
    book.active = 1


def xls_files() -> Iterator[Polluted]:
    def made(name: str, outcome: str, words: str = "", *, shown: str = "General", from_1904: bool = False) -> Polluted:
        book = xlwt.Workbook()
        book.dates_1904 = from_1904
        style = xlwt.easyxf(num_format_str=shown)
        sheets = [book.add_sheet("一")] + ([book.add_sheet("二")] if name == "sheet_alike" else [])
        blank = {"merged_text": (5, range(1, 13)), "merged_amount": (3, range(1, 4))}.get(name, (0, range(0)))
        for sheet in sheets:
            for n, row in enumerate((HEADER, *TRUTH)):
                for m, value in enumerate(row):
                    if m == blank[0] and n in blank[1]:
                        continue
                    if n and m == 3:
                        sheet.write(n, m, float(value), style)
                    else:
                        sheet.write(n, m, 43890 + n if n and m == 4 and from_1904 else value)
        if name == "merged_text":
            sheets[0].write_merge(1, 12, 5, 5, TRUTH[0][5])
        if name == "merged_amount":
            sheets[0].write_merge(1, 3, 3, 3, 10.5)
        out = io.BytesIO()
        book.save(out)
        return Polluted(f"xls_{name}", out.getvalue(), outcome, words, {"format": "xls"})

    yield made("clean", "right")
    yield made("sheet_alike", "refused", "列名相同")
    yield made("merged_text", "right")
    yield made("merged_amount", "rows", "row.merged")
    yield made("amount_shown_in_its_unit", "right", shown='#,##0.00"元"')
    yield made("amount_as_accountants_write", "right", shown='_("¥"* #,##0.00_);_("¥"* "-"??_)')
    yield made("amount_in_yuan_shown_in_wan", "right", shown='0!.0,"万"')
    yield made("amount_in_qian_shown_in_wan", "refused", "数字格式.*显示 万", shown='0!.0"万"')
    yield made("amount_in_wan", "refused", "数字格式.*单位 万元", shown='0.00"万元"')
    yield made("amount_shown_in_thousands", "refused", "数字格式.*缩小", shown="#,##0,")
    yield made("amount_as_percentage", "refused", "数字格式.*百分比", shown="0.00%")
    yield made("amount_in_dollars", "refused", "数字格式.*USD", shown="[$$-409]#,##0.00")
    yield made("days_from_1904", "rows", "date.ambiguous", from_1904=True)


def json_files() -> Iterator[Polluted]:
    def made(name: str, body: str, outcome: str, words: str = "", **spec: Any) -> Polluted:
        return Polluted(f"json_{name}", body.encode(), outcome, words, {"format": "json", "records": "rows", **spec})

    rows = [dict(zip(HEADER, row, strict=True)) for row in TRUTH]
    whole = json.dumps({"rows": rows}, ensure_ascii=False)
    one = json.dumps(rows[0], ensure_ascii=False)
    yield made("clean", whole, "right")
    yield made("bare_array", json.dumps(rows), "right")
    yield made("empty", "", "refused", "文件是空的")
    yield made("no_rows", '{"rows":[]}', "refused", "文件是空的")
    yield made("two_documents", whole + "\n" + whole, "refused", "第 2 行第 1 列不符合 JSON")
    lists = json.dumps([list(row.values()) for row in rows], ensure_ascii=False)
    yield made("array_of_arrays", f'{{"rows":{lists}}}', "refused", "没有能读出的记录.*JSON 对象")
    yield made("array_twice", whole[:-1] + "," + whole[1:], "refused", "rows 出现两次")
    yield made("two_arrays", whole[:-1] + ',"more":' + json.dumps(rows) + "}", "refused", "几个记录数组", records="")
    yield made("record_beside", whole[:-1] + f',"last":{one}}}', "right")
    yield made("other_path", whole.replace("rows", "list"), "refused", "找不到记录数组")
    yield made("extra_key", whole.replace('"机关"', '"x":"1","机关"', 1), "refused", "未声明的列：x")
    yield made("keys_alike", whole.replace('"机关"', '"罚款：":"1","机关"', 1), "refused", "只差括号")
    yield made("key_twice", whole.replace('"罚款"', '"罚款":"9","罚款"', 1), "rows", "row.key_twice")
    yield made("cut_off", whole[:-90], "refused", r"第 1 行第 \d+ 列")
    yield made("broken_element", whole.replace("}, {", "}, {{", 1), "refused", r"第 1 行第 \d+ 列不符合 JSON")
    yield made("nested_amount", whole.replace('"10.50"', '{"值":"10.50","单位":"万元"}'), "rows", "value.nested")
    name = json.dumps(TRUTH[2][1], ensure_ascii=False)
    yield made("array_as_name", whole.replace(name, f'[{name}, "示例"]'), "rows", "value.nested")
    yield made("object_as_name", whole.replace(name, f'{{"name": {name}}}'), "rows", "value.nested")
    for word in ("true", "false"):
        yield made(f"{word}_as_name", whole.replace(name, word), "rows", "value.nested")
        yield made(f"{word}_as_amount", whole.replace('"10.50"', word), "rows", "value.nested")
    yield made("object_word_as_name", whole.replace(name, '"[object Object]"'), "rows", "value.lost")
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    yield Polluted("jsonl_clean", lines.encode(), "right", "", {"format": "jsonl"})
    broken = lines + "\n" + one[:-9] + "\n"
    yield Polluted("jsonl_cut_off", broken.encode(), "rows", "row.not_a_record", {"format": "jsonl"})


def xml_files() -> Iterator[Polluted]:
    def made(name: str, body: str, outcome: str, words: str = "", **spec: Any) -> Polluted:
        return Polluted(f"xml_{name}", body.encode(), outcome, words, {"format": "xml", "records": "D/R", **spec})

    cells = ["".join(f"<{h}>{v}</{h}>" for h, v in zip(HEADER, row, strict=True)) for row in TRUTH]
    rows = "".join(f"<R>{cell}</R>" for cell in cells)
    yield made("clean", f"<D>{rows}</D>", "right")
    yield made("attributes", "<D>" + rows.replace("<罚款>", "<罚款 unit='万元'>") + "</D>", "refused", "罚款@unit")
    yield made("text_and_parts", f"<D>{rows.replace('</罚款>', '<u>万元</u></罚款>')}</D>", "refused", "罚款/u")
    yield made("deleted_rows", f"<m><D>{rows}</D><x><D><R>{cells[0]}</R></D></x></m>", "refused", "两处记录")
    yield made("row_outside", f"<m><D>{rows}</D><R>{cells[0]}</R></m>", "right")
    yield made("row_of_another_list", f"<m><D>{rows}</D><E><S>{cells[0]}</S></E></m>", "right")
    yield made("rows_of_another_name", f"<D>{rows}<r>{cells[0]}</r></D>", "right")
    yield made("two_kinds", f"<D>{rows}<S>{cells[0]}</S></D>", "refused", "还有 S", records="")
    yield made("other_path", f"<E>{rows.replace('R>', 'Q>')}</E>", "refused", "没有约定的记录|缺少列")
    yield made("extra_part", f"<D>{rows.replace('</R>', '<x>1</x></R>', 1)}</D>", "refused", "未声明的列：x")
    yield made("cut_off", f"<D>{rows}</D>"[:-60], "refused", "XML 没有结束")
    yield made("entities", f'<!DOCTYPE D [<!ENTITY a "b">]><D>{rows}</D>', "refused", "DTD")
    yield made("part_twice", f"<D>{rows.replace('</罚款>', '</罚款><罚款>9</罚款>', 1)}</D>", "refused", "罚款_2")


def every_file() -> list[Polluted]:
    return [*csv_files(), *xlsx_files(), *xls_files(), *json_files(), *xml_files()]
