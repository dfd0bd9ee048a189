"""Bytes that decode as GB18030 but are Western, Korean, Japanese, or lines of Big5: never read as Chinese."""

from pathlib import Path

import pytest

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch
from chengxin.parsing.encoding.foreign_text import foreign
from chengxin.parsing.formats import describe
from chengxin.parsing.reader import plan, read

WESTERN = "name,city\nMüller Söhne,Köln\nSociété Générale,Besançon\nNiño,Málaga\n"
KOREAN = (
    "이름,주소\n주식회사 한국예시,서울특별시 강남구\n예시무역,부산광역시 해운대구\n"
    "대한건설산업,경기도 성남시 분당구\n미래물산,인천광역시 연수구\n"
)
JAPANESE = "名称,住所\n株式会社サンプル,東京都千代田区\nれい商事のみせ,おおさか市\n"
CHINESE = [
    "名称,代码\n湖南示例科技有限公司,1\n",
    "名称\n堃喆犇玥镕赟\n",
    "名称,备注\n甲,Société Générale\n乙公司,A级\n".replace("é", "e"),
    "姓名\n䶮㛃䥽\n张某\n",
    "名称\n臺灣銀行股份有限公司\n國際貿易發展協會\n龍騰機械廠\n",
    "编号,部分\n安徽分部,八百\n北京办公部,八部\n",
    "项目\nＡ１２，（甲）“乙”·丙①②③Ⅳ\n",
]


def read_all(path: Path, **spec: object) -> tuple[list[dict[str, str | None]], list[tuple[int, str]]]:
    chunks = [c for piece in plan(path, FileSpec(**spec)) for c in read(piece, FileSpec(**spec))]
    damaged = [(item.row, item.rule) for chunk in chunks for item in chunk.damaged]
    return [row for chunk in chunks for row in chunk.table.to_pylist()], damaged


@pytest.mark.parametrize(
    ("text", "codec", "said"),
    [
        (WESTERN, "latin-1", "西文"),
        (WESTERN, "cp1252", "西文"),
        (KOREAN, "euc-kr", "韩文"),
        (JAPANESE, "shift_jis", "日文"),
    ],
)
def test_foreign_text_is_refused_with_what_it_looks_like(tmp_path, text, codec, said):
    path = tmp_path / "f.csv"
    path.write_bytes((text * 3).encode(codec))
    for declared in ("auto", "gb18030"):
        with pytest.raises(DeliveryMismatch, match=said):
            plan(path, FileSpec(encoding=declared))
    with pytest.raises(DeliveryCorrupt, match=said):
        describe(path)


@pytest.mark.parametrize("count", [20, 300])
def test_one_line_of_big5_does_not_make_a_file_korean(tmp_path, count):
    path = tmp_path / "f.csv"
    lines = [f"湖南示例{n}有限公司,市监局\n".encode("gb18030") for n in range(count)]
    lines[5] = "湖南臺灣實業股份有限公司,罰款國際貿易\n".encode("big5")
    path.write_bytes("名称,机关\n".encode("gb18030") + b"".join(lines))
    rows, damaged = read_all(path, encoding="gb18030")
    assert (len(rows), damaged) == (count - 1, [(7, "row.undecodable")])


@pytest.mark.parametrize(
    ("form", "codec", "declared", "note"),
    [
        ("csv", "gb18030", "utf-8", "按 gb18030 能读出中文"),
        ("csv", "utf-8", "gb18030", "按 utf-8 能读出中文"),
        ("json", "gb18030", "utf-8", "按 gb18030 能读出中文"),
        ("jsonl", "gb18030", "utf-8", "按 gb18030 能读出中文"),
        ("csv", "latin-1", "utf-8", ""),
    ],
)
def test_a_row_in_another_encoding_says_in_which_it_reads_as_chinese(tmp_path, form, codec, declared, note):
    text = "Société Générale" if codec == "latin-1" else "湖南示例贸易有限公司"
    shape = "%s" if form == "csv" else '{"a":"%s"}'
    rows = [(shape % f"示例{'甲乙丙丁戊己庚辛壬癸'[n % 10]}字第{n}号商行").encode(declared) for n in range(30)]
    rows[20] = (shape % text).encode(codec)
    body = b"[" + b",".join(rows) + b"]" if form == "json" else b"\n".join(([b"a"] if form == "csv" else []) + rows)
    path = tmp_path / f"f.{form}"
    path.write_bytes(body)
    spec = FileSpec(format=form, encoding=declared)
    damaged = [item for piece in plan(path, spec) for chunk in read(piece, spec) for item in chunk.damaged]
    assert [item.rule for item in damaged] == ["row.undecodable"]
    assert damaged[0].note.startswith(note) if note else not damaged[0].note


def test_under_auto_one_western_name_is_enough_where_nothing_speaks_for_chinese(tmp_path):
    path = tmp_path / "f.csv"
    path.write_bytes("name,n\nMüller,1\nSmith,2\n".encode("latin-1"))
    with pytest.raises(DeliveryMismatch, match="西文"):
        plan(path, FileSpec(encoding="auto"))


@pytest.mark.parametrize("text", CHINESE)
def test_chinese_with_rare_characters_is_read(tmp_path, text):
    path = tmp_path / "f.csv"
    path.write_bytes(text.encode("gb18030"))
    for declared in ("auto", "gb18030"):
        rows, damaged = read_all(path, encoding=declared)
        assert [list(row.values()) for row in rows] == [line.split(",") for line in text.splitlines()[1:]]
        assert not damaged
    assert describe(path).encoding == "gb18030"


@pytest.mark.parametrize("text", ["臺灣銀行股份有限公司", "中華民國九十九年度統計", "機關名稱"])
def test_big5_is_not_taken_for_another_language(text):
    assert foreign(text.encode("big5"), "big5") is None


def test_lines_of_big5_glued_in_behind_the_sample_are_set_aside(tmp_path):
    path = tmp_path / "f.csv"
    good = [f"湖南示例第{n}有限公司A级B类,91430102MA4L{n:06d},长沙市\n" for n in range(60_000)]
    lines = [line.encode("gb18030") for line in good]
    lines[50_000] = "臺灣示例實業股份有限公司,91430102MA4L050000,臺北市信義區\n".encode("big5")
    path.write_bytes("名称,代码,地址\n".encode("gb18030") + b"".join(lines))
    rows, damaged = read_all(path, encoding="gb18030")
    assert damaged == [(50_002, "row.undecodable")]
    assert len(rows) == 59_999
    assert all(row["地址"] == "长沙市" for row in rows)
