"""Delimited files: encodings, line numbers, and every kind of damage that must cost only its own rows."""

import pickle
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch
from chengxin.parsing.encoding.decoder import Text
from chengxin.parsing.layout import Layout
from chengxin.parsing.reader import Damaged, headers, plan, read
from chengxin.parsing.shapes import unique_names
from chengxin.parsing.text import csv

HEADER = "企业名称,统一社会信用代码,金额"
ROWS = [
    ("湖南甲有限公司", "914300001837757060", "5,118(万元)"),
    ("䶮𬭎商行（个体）", "92430102MA4L000000", ""),
    ("乙", "N/A", "1"),
]


def written(path: Path, body: bytes) -> Path:
    path.write_bytes(body)
    return path


def everything(path: Path, spec: FileSpec, **how: int) -> tuple[list[tuple[int, tuple]], list[Damaged]]:
    rows: list[tuple[int, tuple]] = []
    damaged: list[Damaged] = []
    for piece in plan(path, spec, **how):
        for chunk in read(pickle.loads(pickle.dumps(piece)), spec):
            assert chunk.table.column_names == list(piece.names)
            assert all(column.num_chunks == 1 for column in chunk.table.columns)
            values = [tuple(row.values()) for row in chunk.table.to_pylist()] if piece.names else []
            rows += zip(chunk.rows.to_pylist(), values, strict=True)
            damaged += chunk.damaged
    return rows, damaged


def of(body: str | bytes, tmp_path: Path, **spec: object) -> tuple[list[tuple[int, tuple]], list[tuple[int, str]]]:
    raw = body if isinstance(body, bytes) else body.encode()
    rows, damaged = everything(written(tmp_path / "f.csv", raw), FileSpec(**spec))
    assert not any("\ufffd" in item.raw for item in damaged)
    return rows, [(item.row, item.rule) for item in damaged]


def csv_of(rows: list[tuple[str, ...]], end: str = "\n") -> str:
    quoted = (",".join('"' + v.replace('"', '""') + '"' if set(v) & set('",\r\n') else v for v in row) for row in rows)
    return HEADER + end + "".join(line + end for line in quoted)


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("utf-8", "utf-8"),
        ("utf-8", "utf-8-sig"),
        ("auto", "utf-8"),
        ("auto", "gb18030"),
        ("auto", "utf-16"),
        ("gb18030", "gb18030"),
        ("gbk", "gb18030"),
        ("gb2312", "gb18030"),
        ("utf-16", "utf-16"),
        ("utf-16", "utf-16-le"),
        ("utf-16", "utf-16-be"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_encoding_gives_the_same_table(tmp_path, declared, codec, end):
    rows, damaged = of(csv_of(ROWS * 30, end).encode(codec), tmp_path, encoding=declared)
    assert [values for _, values in rows] == ROWS * 30
    assert [line for line, _ in rows] == list(range(2, 92))
    assert not damaged


def test_big5_and_a_non_ascii_delimiter(tmp_path):
    body = "名稱｜代碼\n臺灣｜1\n".encode("big5")
    assert of(body, tmp_path, encoding="big5", delimiter="｜") == ([(2, ("臺灣", "1"))], [])


def test_blanks_as_delimiter_stand_for_runs_of_blanks(tmp_path):
    body = "代号 名称  评级 \nE1 ***公司 A \n  E2   某厂  B\n\n"
    assert of(body, tmp_path, delimiter=" ") == ([(2, ("E1", "***公司", "A")), (3, ("E2", "某厂", "B"))], [])


def test_tsv_with_quoting_off_keeps_quotes(tmp_path):
    assert of('a\tb\n"x\t6" 管\n', tmp_path, format="tsv", quote="") == ([(2, ('"x', '6" 管'))], [])


def test_header_below_title_lines_with_double_and_empty_names(tmp_path):
    path = written(tmp_path / "f.csv", "处罚清单,,\r\n\r\n 名称 ,,名称\r\n甲,1,2\r\n".encode())
    spec = FileSpec(header=3)
    assert headers(path, spec) == ("名称", "2", "名称_2")
    assert everything(path, spec)[0] == [(4, ("甲", "1", "2"))]


def test_a_header_of_100_000_equal_names_costs_no_square():
    names = unique_names(["列", *["列_2"] * 2, *["列"] * 100_000])
    assert (names[:4], names[-1], len(set(names))) == (("列", "列_2", "列_2_2", "列_3"), "列_100002", 100_003)


def test_header_with_a_quoted_line_break(tmp_path):
    path = written(tmp_path / "f.csv", '名称,"金额\n(万元)"\n甲,1\n'.encode())
    assert headers(path, FileSpec()) == ("名称", "金额\n(万元)")
    assert everything(path, FileSpec())[0] == [(3, ("甲", "1"))]


def test_without_header_columns_are_numbered_by_usual_width(tmp_path):
    path = written(tmp_path / "f.csv", b"a,b,c\na,b\nd,e,f\n")
    spec = FileSpec(header=0)
    assert headers(path, spec) == ("1", "2", "3")
    rows, damaged = everything(path, spec)
    assert [line for line, _ in rows] == [1, 3]
    assert [(d.row, d.rule, d.raw) for d in damaged] == [(2, "row.width", "a,b")]


@pytest.mark.parametrize("body", [b"", b"\xef\xbb\xbf", HEADER.encode(), HEADER.encode() + b"\r\n\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "auto"])
def test_empty_file_and_lone_header_have_no_rows(tmp_path, body, encoding):
    assert of(body, tmp_path, encoding=encoding) == ([], [])


def test_lone_header_in_utf16_has_no_rows(tmp_path):
    assert of(HEADER.encode("utf-16"), tmp_path, encoding="utf-16") == ([], [])


def test_blank_lines_and_quoted_breaks_keep_line_numbers_right(tmp_path):
    body = 'a,b\n\n1,"x\n\ny"\r\n\r\n2,"z"\n3,"p\r\nq"\n4,w'
    rows, damaged = of(body, tmp_path)
    assert rows == [(3, ("1", "x\n\ny")), (7, ("2", "z")), (8, ("3", "p\r\nq")), (10, ("4", "w"))]
    assert not damaged


GOOD = "".join(f'{n},"甲{n}",丙,丁,戊\n' for n in range(3, 40))


def damage_between(
    bad: str | bytes, tmp_path: Path, encoding: str = "utf-8"
) -> tuple[list[int], list[tuple[int, str]]]:
    """Put a bad block between good rows; return the lines of the good rows and what was set aside."""
    middle = bad if isinstance(bad, bytes) else bad.encode(encoding)
    body = ("a,b,c,d,e\n" + GOOD).encode(encoding) + middle + b"\n" + GOOD.encode(encoding)
    rows, damaged = of(body, tmp_path, encoding=encoding)
    count = 37
    assert [values[0] for _, values in rows[:count]] == [str(n) for n in range(3, 40)]
    assert [values[1:] for _, values in rows[-count:]] == [(f"甲{n}", "丙", "丁", "戊") for n in range(3, 40)]
    return [line for line, _ in rows], damaged


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize(
    ("bad", "found"),
    [
        ("1,2", [(39, "row.width")]),
        ("1,2,3,4,5,6,7,8,9", [(39, "row.width")]),
        ("9,甲,丙,丁,戊9,甲,丙,丁,戊", [(39, "row.width")]),  # two rows glued
        ('9,"甲,丙,丁,戊', [(39, "row.quote_unclosed")]),
        ('9,甲,丙,丁,"戊', [(39, "row.quote_unclosed")]),
        ('9,"甲,丙\n8,"乙', [(39, "row.quote_unclosed"), (40, "row.quote_unclosed")]),
        ("a,b,c,d,e", [(39, "row.not_a_record")]),  # a second header
        ("\ufeffa,b,c,d,e", [(39, "row.not_a_record")]),
        ("\x00\x00\x00", [(39, "row.width")]),
        (b"\xff\xfe\x80\x81,\xff", [(39, "row.undecodable")]),
        (
            b"\x00\x01\xff\xff\n\xff\n\n\xff\xff,,,\xff",
            [(39, "row.undecodable"), (40, "row.undecodable"), (42, "row.undecodable")],
        ),
    ],
)
def test_a_damaged_block_loses_only_its_rows(tmp_path, bad, found, encoding):
    lines, damaged = damage_between(bad, tmp_path, encoding)
    assert damaged == found
    assert len(lines) == 74


def test_rows_with_odd_but_harmless_quotes_are_kept(tmp_path):
    lines, damaged = damage_between(
        '9,管 6",丙,丁,戊\n8,"甲" ,丙,丁,戊\n7,甲"乙"丙,丙,丁,戊\n6,"""乙""",丙,丁,戊', tmp_path
    )
    assert len(lines) == 78
    assert not damaged


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        ('8,"甲"乙,丙,丁,戊', "row.quote_unclosed"),  # Arrow would read 甲乙
        ('8,"甲"乙"丙",丙,丁,戊', "row.quote_unclosed"),
        ('8,"甲\\"乙",丙,丁,戊', "row.quote_unclosed"),  # the escape was not declared
        ("8,'甲','丙',丁,戊", "row.quote_stray"),
        ("8,'甲',丙,丁,戊", "row.quote_stray"),
        ('8, "甲",丙,丁,戊', "row.quote_stray"),
        ('8,"""甲""","""丙""",丁,戊', "row.quote_stray"),
        ('8, "称""甲""乙",丙,丁,戊', "row.quote_stray"),
    ],
)
def test_rows_whose_quotes_would_be_kept_or_lost_are_damaged(tmp_path, bad, rule):
    lines, damaged = damage_between(bad, tmp_path)
    assert damaged == [(39, rule)]
    assert len(lines) == 74


@pytest.mark.parametrize(
    ("header", "quote"),
    [("'a','b','c'", '"'), ('"a","b","c"', ""), ('"""a""","""b""",c', '"'), ('a, "b", "c"', '"')],
)
def test_a_header_that_still_wears_quotes_is_refused(tmp_path, header, quote):
    path = tmp_path / "f.csv"
    path.write_text(f"{header}\n1,2,3\n", "utf-8")
    with pytest.raises(DeliveryMismatch, match="列名带着引号"):
        plan(path, FileSpec(quote=quote))


def test_another_table_below_the_first_is_refused(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("名称,代码,列入日期\n甲,1,2024-01-01\n名称,代码,移出日期\n乙,2,2024-02-01\n", "utf-8")
    spec = FileSpec()
    with pytest.raises(DeliveryMismatch, match="第 3 行又是一行列名"):
        list(read(plan(path, spec)[0], spec))


def test_a_long_delimiter_stays_in_quoted_values(tmp_path):
    assert of('a||b\n1||"甲||乙"\n', tmp_path, delimiter="||") == ([(2, ("1", "甲||乙"))], [])
    assert of('a｜b\n1｜"甲｜乙"\n', tmp_path, delimiter="｜") == ([(2, ("1", "甲｜乙"))], [])


def test_an_escape_takes_nothing_but_quotes_and_itself(tmp_path):
    body = 'a,b\n1,"甲\\"乙"\n2,\\N\n3,C:\\\\new\n4,x\\ny\n'
    rows, damaged = of(body, tmp_path, escape="\\")
    assert [values[1] for _, values in rows] == ['甲"乙', "\\N", "C:\\new", "x\\ny"]
    assert damaged == []


def test_blank_rows_of_a_spreadsheet_are_no_records(tmp_path):
    assert of("a,b,c\n1,2,3\n,,\n , ,\u3000\n,,,,\n4,5,6\n", tmp_path) == (
        [(2, ("1", "2", "3")), (6, ("4", "5", "6"))],
        [],
    )


def test_totals_of_a_list_of_one_column_are_no_records(tmp_path):
    assert of("名称\n甲\n合计\n注：示例\n", tmp_path) == (
        [(2, ("甲",))],
        [(3, "row.not_a_record"), (4, "row.not_a_record")],
    )


def test_a_quote_open_over_thousands_of_lines_swallows_nothing(tmp_path):
    plain = "".join(f"{n},乙,丙,丁,戊\n" for n in range(10_000))
    body = f'a,b,c,d,e\n1,"甲,丙,丁,戊\n{plain}2,甲",丙,丁,戊\n'
    rows, damaged = of(body, tmp_path)
    assert len(rows) == 10_000
    assert damaged == [(2, "row.quote_unclosed"), (10_003, "row.quote_unclosed")]


def test_a_quote_that_closes_full_rows_later_swallows_nothing(tmp_path):
    rows, damaged = of('a,b,c,d,e\n1,"甲,丙,丁,戊\n2,乙,丙,丁,戊\n3,甲",丙,丁,戊\n', tmp_path)
    assert [line for line, _ in rows] == [3]
    assert damaged == [(2, "row.quote_unclosed"), (4, "row.quote_unclosed")]


@pytest.mark.parametrize(
    ("header", "lines"),
    [
        ("a,b,c,d", ['1,"甲,丙,丁', "2,乙,丙,丁", '3,甲",丙,丁']),
        ("a,b,c,d", ['"1,甲,丙,丁', '2,乙,丙,丁"']),
        ("a,b,c", ['1,甲,"丙', "2,乙,丙", '3,甲,丙"']),
        ("a,b", ['1,"甲', "2,乙", '3,甲"']),
    ],
)
def test_a_value_over_lines_like_records_is_refused_with_them(tmp_path, header, lines):
    body = "\n".join([header, *lines, ",".join("9" * (header.count(",") + 1)), ""])
    rows, damaged = of(body, tmp_path)
    assert [line for line, _ in rows] == [len(lines) + 2]
    assert damaged == [(n + 2, "row.quote_unclosed") for n in range(len(lines))]


def test_a_value_over_lines_that_are_no_records_is_read(tmp_path):
    assert of('a,b,c\n1,2,"甲\n乙,丙,丁\n戊"\n', tmp_path) == ([(2, ("1", "2", "甲\n乙,丙,丁\n戊"))], [])
    assert of('a,b\n1,"甲\n乙,丙"\n', tmp_path) == ([(2, ("1", "甲\n乙,丙"))], [])


def test_an_undecodable_line_in_quotes_joins_nothing_around_it(tmp_path):
    body = b'a,b,c\n1,"x\n\xff\xff\ny",2\n3,4,5\n'
    rows, damaged = of(body, tmp_path)
    assert rows == [(5, ("3", "4", "5"))]
    assert damaged == [(2, "row.quote_unclosed"), (3, "row.undecodable"), (4, "row.quote_unclosed")]


def test_a_file_cut_inside_its_last_line_loses_that_line(tmp_path):
    body = 'a,b\n1,"湖"\n2,"湖南'.encode()
    assert of(body, tmp_path) == ([(2, ("1", "湖"))], [(3, "row.cut_off")])
    assert of(body[:-1], tmp_path) == ([(2, ("1", "湖"))], [(3, "row.cut_off")])
    assert of(body + b"\n", tmp_path) == ([(2, ("1", "湖"))], [(3, "row.quote_unclosed")])


@pytest.mark.parametrize(("first", "second"), [("utf-8", "gb18030"), ("gb18030", "utf-8")])
def test_another_encoding_from_some_line_on_loses_those_lines(tmp_path, first, second):
    rows = [(f"湖南企业{n}有限公司", "914300001837757060", "有效") for n in range(300)]
    head, tail = csv_of(rows), csv_of(rows).partition("\n")[2]
    found, damaged = everything(
        written(tmp_path / "f.csv", head.encode(first) + tail.encode(second)), FileSpec(encoding=first)
    )
    assert [values for _, values in found] == rows
    assert [item.row for item in damaged] == list(range(302, 602))
    assert {item.rule for item in damaged} == {"row.undecodable"}
    assert damaged[0].raw_bytes == ",".join(rows[0]).encode(second)


def test_undecodable_bytes_are_kept_exactly_and_shown_as_escapes(tmp_path):
    path = written(tmp_path / "f.csv", "名称,b\n湖南,1\n湖".encode("gb18030") + b"\xff,2\n")
    (damaged,) = everything(path, FileSpec(encoding="gb18030"))[1]
    assert (damaged.raw, damaged.raw_bytes) == ("湖\\xff,2", "湖".encode("gb18030") + b"\xff,2")


def test_a_replacement_character_in_the_source_is_no_text(tmp_path):
    path = written(tmp_path / "f.csv", "a,b\n湖\ufffd,1\n南,2\n".encode())
    rows, (damaged,) = everything(path, FileSpec())
    assert rows == [(3, ("南", "2"))]
    assert (damaged.rule, damaged.raw) == ("row.undecodable", "湖\\ufffd,1")


def test_broken_utf16_loses_only_its_line(tmp_path):
    body = "a,b\n湖,1\n".encode("utf-16-le") + b"\x00\xd8,\x00x\x00\n\x00" + "南,2\n".encode("utf-16-le")
    rows, (damaged,) = everything(written(tmp_path / "f.csv", b"\xff\xfe" + body), FileSpec(encoding="utf-16"))
    assert rows == [(2, ("湖", "1")), (4, ("南", "2"))]
    assert (damaged.row, damaged.rule, damaged.raw_bytes) == (3, "row.undecodable", b"\x00\xd8,\x00x\x00")


def test_an_oversize_field_and_a_giant_line_are_set_aside(tmp_path):
    body = f"a,b\n1,2\n3,{'x' * (1 << 20)}y\n4,5\n".encode() + b"z" * (30 << 20) + b"\n6,7\n"
    rows, damaged = everything(written(tmp_path / "f.csv", body), FileSpec())
    assert [line for line, _ in rows] == [2, 4, 6]
    assert [(d.row, d.rule) for d in damaged] == [(3, "row.oversize"), (5, "row.oversize")]
    assert all(len(d.raw) < 1 << 17 for d in damaged)


def test_a_file_of_one_endless_line_is_damage_not_an_exception(tmp_path):
    rows, damaged = everything(written(tmp_path / "f.csv", b"a,b\n" + b"\x00" * (20 << 20)), FileSpec())
    assert not rows
    assert [(d.row, d.rule) for d in damaged] == [(2, "row.oversize")]


@pytest.mark.parametrize(
    ("declared", "codec", "words"),
    [
        ("utf-8", "gb18030", "不能按 utf-8 解码"),
        ("gb18030", "utf-8", "声明的编码是 gb18030.*utf-8"),
        ("utf-8", "utf-16", "声明的编码是 utf-8.*utf-16"),
        ("utf-16", "utf-8", "声明的编码是 utf-16.*utf-8"),
    ],
)
def test_evidently_another_encoding_is_refused(tmp_path, declared, codec, words):
    path = written(tmp_path / "f.csv", csv_of(ROWS * 20).encode(codec))
    with pytest.raises(DeliveryMismatch, match=words):
        plan(path, FileSpec(encoding=declared))


def test_a_workbook_declared_as_csv_is_corrupt(tmp_path):
    with pytest.raises(DeliveryCorrupt, match="zip"):
        plan(written(tmp_path / "f.csv", b"PK\x03\x04" + bytes(100)), FileSpec())


def _is_worn(value: str) -> bool:
    """Tell whether a value wears quotes at both ends: row.quote_stray, not a value as meant."""
    return value.strip()[:1] == '"' == value.strip()[-1:]


def _is_doubtful(row: tuple[str, ...]) -> bool:
    """Tell whether every line of a record over several lines looks like a record: it is refused with a reason."""
    lines = re.split(r"\r\n|\r|\n", ",".join(row))
    return len(lines) > 1 and all(line.count(",") == len(row) - 1 for line in lines)


FIELD = st.text(st.sampled_from('a1,"\n\r 湖南䶮𬭎（'), max_size=8).filter(lambda v: not _is_worn(v))
ROW = st.tuples(FIELD.map(lambda v: "x" + v), FIELD, FIELD).filter(lambda row: not _is_doubtful(row))
WHOLE = st.lists(ROW, max_size=30)


def written_out(rows: list[tuple[str, ...]], ends: list[str]) -> tuple[str, list[int]]:
    """Write CSV by hand with the given line ends and some blank lines; return it and the line of each row."""
    text, lines = "a,b,c\n", []
    for n, row in enumerate(rows):
        lines.append(text.count("\n") + text.count("\r") - text.count("\r\n") + 1)
        text += ",".join('"' + v.replace('"', '""') + '"' if set(v) & set('",\r\n') else v for v in row)
        text += ends[n % len(ends)]
    return text, lines


@settings(max_examples=150, deadline=None)
@given(
    rows=WHOLE,
    ends=st.lists(st.sampled_from(["\n", "\r\n", "\n\n", "\r\n\r\n"]), min_size=1, max_size=4),
    size=st.integers(1, 400),
    codec=st.sampled_from(["utf-8", "gb18030"]),
)
@example(rows=[("x,", "\r,1", "\r")], ends=["\n"], size=1, codec="utf-8")
def test_pieces_of_any_size_give_the_same_rows_and_line_numbers(tmp_path_factory, rows, ends, size, codec):
    text, lines = written_out(rows, ends)
    path = written(tmp_path_factory.mktemp("p") / "f.csv", text.encode(codec))
    spec = FileSpec(encoding=codec if text.isascii() or codec == "gb18030" else "utf-8")
    try:
        found, damaged = everything(path, spec, piece_bytes=size)
    except DeliveryMismatch:
        return  # too little text to tell the encodings apart
    assert [values for _, values in found] == rows
    assert [line for line, _ in found] == lines
    assert not damaged


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=300), size=st.integers(1, 200), encoding=st.sampled_from(["utf-8", "gb18030", "auto"]))
def test_garbage_never_raises_and_every_line_is_accounted_for(tmp_path_factory, body, size, encoding):
    path = written(tmp_path_factory.mktemp("g") / "f.csv", b"a,b\n1,2\n" + body)
    try:
        found, damaged = everything(path, FileSpec(encoding=encoding), piece_bytes=size)
    except DeliveryMismatch:
        return
    assert found[0] == (2, ("1", "2"))
    seen = sorted([line for line, _ in found] + [item.row for item in damaged])
    assert len(seen) == len(set(seen))
    assert not any("\ufffd" in value for _, values in found for value in values)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    bad=st.integers(0, 60),
    size=st.integers(20, 2000),
    kind=st.sampled_from(['9,"甲,丙,丁,戊', '9,甲,丙,丁,"戊', "1,2"]),
)
def test_cutting_survives_a_quote_that_never_closes(tmp_path_factory, bad, size, kind):
    good = [f'{n},"甲{n}",丙,"丁,丁",戊' for n in range(60)]
    lines = [*good[:bad], kind, *good[bad:]]
    path = written(tmp_path_factory.mktemp("q") / "f.csv", ("a,b,c,d,e\n" + "\n".join(lines) + "\n").encode())
    found, damaged = everything(path, FileSpec(), piece_bytes=size)
    assert [values[0] for _, values in found] == [str(n) for n in range(60)]
    assert [item.row for item in damaged] == [bad + 2]


_FIELDS = (
    "a",
    "bb",
    "",
    "甲乙",
    '"x"',
    '"a,b"',
    '"li\nne"',
    '"o',
    'q"',
    '"d""d"',
    '1"',
    'x"y',
    '"',
    '""',
    '"a"b',
    " ",
    "\r",
)
_records = st.lists(
    st.lists(st.sampled_from(_FIELDS[:5]) | st.sampled_from(_FIELDS), min_size=1, max_size=4).map(",".join),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@given(_records, st.sampled_from(["\n", "\r\n"]), st.sampled_from(['"', ""]), st.integers(8, 40))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_where_text_is_sliced_for_splitting_makes_no_difference(
    records: list[str], end: str, quote: str, size: int
) -> None:
    def outcome(slices_of: int) -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv, "_SLICE", slices_of)
            layout = Layout.of(FileSpec(quote=quote))
            chunk = csv.read_text(Text(end.join(records).encode()), 1, layout, ("x", "y", "z"), has_header=False)
        return chunk.table.to_pylist(), chunk.rows.to_pylist(), chunk.damaged

    assert outcome(size) == outcome(1 << 20)
