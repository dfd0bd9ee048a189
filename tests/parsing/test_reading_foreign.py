"""Lines that are not in the declared encoding cost themselves only; rare characters are no damage."""

import pytest

from chengxin.contracts.models import FileSpec
from chengxin.parsing.formats import describe
from chengxin.parsing.reader import plan, read

CHINESE = [
    "名称,代码\n湖南示例科技有限公司,1\n",
    "名称\n堃喆犇玥镕赟\n",
    "名称,备注\n甲,Societe Generale\n乙公司,A级\n",
    "姓名\n䶮㛃䥽\n张某\n",
    "名称\n臺灣銀行股份有限公司\n國際貿易發展協會\n龍騰機械廠\n",
    "编号,部分\n安徽分部,八百\n北京办公部,八部\n",
    "项目\nＡ１２，（甲）“乙”·丙①②③Ⅳ\n",
]


@pytest.mark.parametrize(
    ("form", "codec", "declared"),
    [
        ("csv", "gb18030", "utf-8"),
        ("csv", "utf-8", "gb18030"),
        ("json", "gb18030", "utf-8"),
        ("jsonl", "gb18030", "utf-8"),
        ("csv", "latin-1", "utf-8"),
    ],
)
def test_a_row_in_another_encoding_costs_itself_only(tmp_path, form, codec, declared):
    text = "Société Générale" if codec == "latin-1" else "湖南示例贸易有限公司"
    shape = "%s" if form == "csv" else '{"a":"%s"}'
    rows = [(shape % f"示例{'甲乙丙丁戊己庚辛壬癸'[n % 10]}字第{n}号商行").encode(declared) for n in range(30)]
    rows[20] = (shape % text).encode(codec)
    body = b"[" + b",".join(rows) + b"]" if form == "json" else b"\n".join(([b"a"] if form == "csv" else []) + rows)
    path = tmp_path / f"f.{form}"
    path.write_bytes(body)
    spec = FileSpec(format=form, encoding=declared)
    chunks = [chunk for piece in plan(path, spec) for chunk in read(piece, spec)]
    damaged = [item for chunk in chunks for item in chunk.damaged]
    assert [(item.rule, item.raw_bytes) for item in damaged] == [("row.undecodable", rows[20])]
    assert sum(chunk.table.num_rows for chunk in chunks) == 29


@pytest.mark.parametrize("text", CHINESE)
def test_chinese_with_rare_characters_is_read(tmp_path, text):
    path = tmp_path / "f.csv"
    path.write_bytes(text.encode("gb18030"))
    for declared in ("auto", "gb18030"):
        spec = FileSpec(encoding=declared)
        chunks = [chunk for piece in plan(path, spec) for chunk in read(piece, spec)]
        rows = [list(row.values()) for chunk in chunks for row in chunk.table.to_pylist()]
        assert rows == [line.split(",") for line in text.splitlines()[1:]]
        assert not any(chunk.damaged for chunk in chunks)
    assert describe(path).encoding == "gb18030"


@pytest.mark.realdata
@pytest.mark.parametrize(("folder", "encoding"), [("GB2312", "gb18030"), ("Big5", "big5")])
def test_the_draft_has_the_encoding_of_real_pages_in_two_guesses(shared_data, tmp_path, folder, encoding):
    path, missed = tmp_path / "f.csv", []
    pages = sorted((shared_data / "encodings" / folder).iterdir())
    for page in pages:
        lines = [line for line in page.read_bytes().splitlines() if not line.isascii() and b"<" not in line]
        path.write_bytes(b"name\n" + b"\n".join(lines) + b"\n")
        found = describe(path)
        if lines and found.encoding != encoding and encoding not in found.alternatives:
            missed.append(page.name)
    assert not missed
