"""An xlsx sheet read in pieces: what calamine makes of the whole sheet, in memory that does not depend on the rows."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import python_calamine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt
from chengxin.parsing.reader import number_formats, plan, read
from chengxin.parsing.workbooks.cell_text import cell_text
from chengxin.parsing.workbooks.number_formats import telling
from chengxin.parsing.workbooks.sheets import sheet_rows
from chengxin.parsing.workbooks.xlsx_stream import sheet_pieces

_SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PARTS = {
    "_rels/.rels": f'<Relationships><Relationship Id="r" Type="{_OFFICE}/officeDocument" '
    'Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_SPACE}" xmlns:r="{_OFFICE}"><workbookPr date1904="1"/><sheets>'
    '<sheet name="表" sheetId="1" r:id="a"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships><Relationship Id="a" Type="{_OFFICE}/worksheet" '
    f'Target="worksheets/s.xml"/>'
    f'<Relationship Id="b" Type="{_OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet xmlns="{_SPACE}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
    "</styleSheet>",
}
#: Shared texts: plain, empty, rich, with a reading aid, blanks, and what looks like marks of the format itself.
TEXTS = [
    "<t>湖南甲公司</t>",
    "<t/>",
    "<r><t>红</t></r><r><rPr><b/></rPr><t xml:space='preserve'> 字</t></r>",
    "<t>东京</t><rPh sb='0' eb='1'><t>とうきょう</t></rPh>",
    "<t xml:space='preserve'> 前后 </t>",
    '<t>t="s"&gt;&lt;v&gt;3 _x000D_ &#65534;</t>',
    "<t>#REF!</t>",
]
_CELLS = st.one_of(
    st.integers(0, len(TEXTS) - 1).map(lambda n: f'<c r="@" t="s"><v>{n}</v></c>'),
    st.integers(0, len(TEXTS) - 1).map(lambda n: f"<c t='s' r='@' s='0'>\n<v>{n}</v></c>"),
    st.integers(0, len(TEXTS) - 1).map(lambda n: f'<c r="@" t="s"><f>IF(t="s",1,2)</f><v>{n}</v></c>'),
    st.sampled_from(["3", "0.57", "1E+17", "43709"]).map(lambda v: f'<c r="@"><f>IF(t="s",1)</f><v>{v}</v></c>'),
    st.sampled_from(["3", "43709.5"]).map(lambda v: f'<c r="@" s="1"><v>{v}</v></c>'),
    st.sampled_from(["12", "", "#N/A", "t=&quot;s&quot;>"]).map(lambda v: f'<c r="@" t="str"><f>A1</f><v>{v}</v></c>'),
    st.sampled_from(['<is><t>1 t="e"</t></is>', "<is><t/></is>"]).map(lambda v: f'<c r="@" t="inlineStr">{v}</c>'),
    st.sampled_from(
        ['<c r="@" t="b"><v>1</v></c>', '<c r="@"/>', '<c r="@" t="s"/>', '<c r="@" t="s"><v></v></c>', ""]
    ),
)


def made(path: Path, sheet: str, texts: Sequence[str] = TEXTS, styles: str = "") -> Path:
    """Write a workbook of one sheet, whose XML is given."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, part in _PARTS.items():
            given = styles and name.endswith("styles.xml")
            package.writestr(name, f'<styleSheet xmlns="{_SPACE}">{styles}</styleSheet>' if given else part)
        package.writestr("xl/worksheets/s.xml", sheet)
        items = "".join(f"<si>{text}</si>" for text in texts)
        package.writestr("xl/sharedStrings.xml", f'<sst xmlns="{_SPACE}">{items}</sst>')
    return path


def sheet_of(rows: str, end: str = "") -> str:
    return f'<worksheet xmlns="{_SPACE}"><sheetData>{rows}</sheetData>{end}</worksheet>'


def whole(path: Path) -> list[list[str | None]]:
    """Return the rows as the library alone reads them."""
    sheet = python_calamine.load_workbook(str(path)).get_sheet_by_name("表")
    left = sheet.start[1] if sheet.start else 0
    return trimmed([[None] * left + [cell_text(cell) for cell in row] for row in sheet.iter_rows()])


def trimmed(rows: list[list[str | None]]) -> list[list[str | None]]:
    for row in rows:
        while row and row[-1] is None:
            row.pop()
    while rows and not rows[-1]:
        rows.pop()
    return rows


def streamed(path: Path) -> list[list[str | None]]:
    found = list(sheet_rows(path, "xlsx", "表"))
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    return trimmed([cells for _, cells in found])


@given(st.lists(st.tuples(st.integers(1, 3), st.lists(_CELLS, max_size=5)), max_size=25), st.integers(0, 2))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_are_the_whole_sheet(tmp_path, rows, left):
    number, xml = 0, []
    for step, cells in rows:
        number += step
        places = [f"{'ABCDEFGH'[left + n]}{number}" for n in range(len(cells))]
        filled = "".join(cell.replace("@", place) for cell, place in zip(cells, places, strict=True))
        xml.append(f'<row spans="1:9" r="{number}">{filled}</row>')
    path = made(tmp_path / "f.xlsx", sheet_of("".join(xml), " " * 600))
    expected = whole(path)
    assert streamed(path) == expected
    pieces = list(sheet_pieces(path, "表", block=300))
    assert len(pieces) > 1 or len("".join(xml)) < 5_000
    together: dict[int, list[str | None]] = {}
    for part in pieces:
        for at, cells in enumerate(part.cells, part.top):
            meant = part.texts
            texts = [meant[c] if meant is not None and isinstance(c, str) else cell_text(c) for c in cells]
            assert at not in together
            together[at] = [None] * part.left + texts
    assert trimmed([together.get(n, []) for n in range(max(together, default=-1) + 1)]) == expected


def test_shared_texts_of_many_pieces_keep_their_numbers(tmp_path):
    texts = [f"<t>{'湖南示例' * 20}{n}</t>" if n % 3 else "<t></t>" for n in range(40_000)]
    rows = "".join(f'<row r="{n}"><c r="B{n}" t="s"><v>{40_000 - n}</v></c></row>' for n in range(1, 40_001))
    path = made(tmp_path / "f.xlsx", sheet_of(rows), texts)
    assert streamed(path) == whole(path)


@pytest.mark.parametrize(
    "rows",
    [
        "<row><c><v>1</v></c></row>" * 9,
        '<row r="1"><c r="A1"><v>1</v></c></row><!-- <row r="2"><c r="A2"><v>5</v></c></row> -->'
        '<row r="3"><c r="A3" t="str"><v><![CDATA[</row><row r="4">]]></v></c></row>' * 1,
    ],
)
def test_what_cannot_be_cut_is_read_as_a_whole(tmp_path, rows):
    path = made(tmp_path / "f.xlsx", sheet_of(rows))
    assert len(list(sheet_pieces(path, "表", block=160))) == 1
    assert streamed(path) == whole(path)


@pytest.mark.slow
def test_merged_cells_behind_the_rows_fill_rows_of_later_pieces(tmp_path):
    lines = [
        f'<row r="{n}"><c r="A{n}" t="inlineStr"><is><t>甲{n}{"长" * 90}</t></is></c></row>' for n in range(3, 90_000)
    ]
    head = '<row r="1"><c r="A1" t="str"><v>名称</v></c><c r="B1" t="str"><v>机关</v></c></row>'
    first = '<row r="2"><c r="A2" t="str"><v>甲</v></c><c r="B2" t="str"><v>市局</v></c></row>'
    end = '<mergeCells count="1"><mergeCell ref="B2:B89000"/></mergeCells>'
    path = made(tmp_path / "f.xlsx", sheet_of(head + first + "".join(lines), end))
    spec = FileSpec(format="xlsx")
    found = [
        row for piece in plan(path, spec) for chunk in read(piece, spec) for row in chunk.table["机关"].to_pylist()
    ]
    assert found == ["市局"] * 88_999 + [None] * 999


def test_an_uncomputed_formula_in_an_empty_column_is_seen(tmp_path):
    head = '<row r="1"><c r="A1" t="str"><v>名称</v></c><c r="B1" t="str"><v>金额</v></c></row>'
    lines = [
        f'<row r="{n}"><c r="A{n}" t="str"><v>甲{n}{"长" * 90}</v></c><c r="B{n}" s="1"><f>C1</f><v/></c></row>'
        for n in range(2, 40_002)
    ]
    path = made(tmp_path / "f.xlsx", sheet_of(head + "".join(lines)))
    spec = FileSpec(format="xlsx")
    chunks = [chunk for piece in plan(path, spec) for chunk in read(piece, spec)]
    assert sum(chunk.table.num_rows for chunk in chunks) == 0
    assert {item.rule for chunk in chunks for item in chunk.damaged} == {"row.formula_error"}
    assert sum(len(chunk.damaged) for chunk in chunks) == 40_000


@pytest.mark.parametrize("place", ['r="XFD1048576"', 'r = "xfd1048576"', "r='ZZ9999999'"])
def test_a_far_cell_is_refused_however_it_is_written(tmp_path, place):
    path = made(
        tmp_path / "f.xlsx", sheet_of(f'<row r="1"><c r="A1"><v>1</v></c></row><row><c {place}><v>1</v></c></row>')
    )
    with pytest.raises(DeliveryCorrupt, match="无法放入内存"):
        streamed(path)


def test_cells_without_a_place_are_read_unless_they_lie_far(tmp_path):
    wide = '<row r="1">' + "<c><v>1</v></c>" * 400 + "</row>"
    near = made(tmp_path / "near.xlsx", sheet_of(wide + '<row r="9"><c r="B9"><v>2</v></c><c><v>3</v></c></row>'))
    assert streamed(near) == whole(near) == [["1"] * 400, *[[]] * 7, [None, "2", "3"]]
    with pytest.raises(DeliveryCorrupt, match="无法放入内存"):
        streamed(made(tmp_path / "far.xlsx", sheet_of(wide + '<row r="1048576"><c><v>1</v></c></row>')))


def test_number_formats_of_cells_without_a_place_are_seen(tmp_path):
    styles = '<numFmts><numFmt numFmtId="170" formatCode="0&quot;万&quot;"/></numFmts><cellXfs><xf numFmtId="0"/>'
    styles += '<xf numFmtId="170"/><xf numFmtId="9"/></cellXfs>'
    rows = '<row r="1"><c s="1"><v>5</v></c><c t="str"><v>金额</v></c><c t="str"><v>比例</v></c></row>'
    rows += '<row><c t="str" s="1"><v>甲</v></c><c s="1"><v>1</v></c><c s="2"/></row>'
    rows += '<row><c/><c r="C3" s="2"><v>1</v></c></row>'
    path = made(tmp_path / "f.xlsx", sheet_of(rows), styles=styles)
    spec = FileSpec(format="xlsx")
    (piece,) = plan(path, spec)
    found = {name: {form.code for form in forms} for name, forms in number_formats(piece, spec).items()}
    assert found == {"金额": {'0"万"'}, "比例": {"0%"}}


def test_built_in_formats_of_accountants_do_not_scale_amounts(tmp_path):
    numbers = [5, 6, 7, 8, *range(37, 45)]
    styles = "<cellXfs>" + "".join(f'<xf numFmtId="{n}"/>' for n in [0, *numbers]) + "</cellXfs>"
    cells = "".join(f'<c s="{n}"><v>5</v></c>' for n in range(1, len(numbers) + 1))
    head = "".join(f'<c t="str"><v>列{n}</v></c>' for n in numbers)
    path = made(tmp_path / "f.xlsx", sheet_of(f"<row>{head}</row><row>{cells}</row>"), styles=styles)
    spec = FileSpec(format="xlsx")
    assert number_formats(plan(path, spec)[0], spec) == {}
    assert (
        telling('_ ¥* #,##0.00_ ;_ ¥* \\-#,##0.00_ ;_ ¥* "-"??_ ;_ @_ ')[0].words == "¥"
    )  # 44 as a Chinese Excel states it
    assert telling("#,##0.00_);[Red](#,##0.00)") == telling('_(* #,##0_);_(* \\(#,##0\\);_(* "-"_);_(@_)') == []


def test_rows_out_of_order_beyond_a_piece_are_refused(tmp_path):
    rows = [
        f'<row r="{n}"><c r="A{n}" t="str"><v>{"长" * 900}</v></c></row>'
        for n in [*range(5_000, 9_000), *range(1, 4_000)]
    ]
    with pytest.raises(DeliveryCorrupt, match="另存"):
        streamed(made(tmp_path / "f.xlsx", sheet_of("".join(rows))))


@pytest.mark.parametrize("number", ["7", "-1", "x"])
def test_a_pointer_to_no_text_is_damage(tmp_path, number):
    path = made(tmp_path / "f.xlsx", sheet_of(f'<row r="1"><c r="A1" t="s"><v>{number}</v></c></row>'))
    with pytest.raises(DeliveryCorrupt, match="已损坏"):
        streamed(path)


_PEAK = """
import re, sys
from pathlib import Path
from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt
from chengxin.parsing.reader import plan, read
rows, spec, said = 0, FileSpec(format="xlsx"), ""
try:
    for piece in plan(Path(sys.argv[1]), spec):
        for chunk in read(piece, spec):
            rows += chunk.table.num_rows
except DeliveryCorrupt as error:
    said = str(error)
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10, rows, said)
"""


def peak_of(path: Path) -> tuple[int, int, str]:
    """Return the peak memory in MiB of a program of its own that reads a file, its rows, and the refusal."""
    done = subprocess.run([sys.executable, "-c", _PEAK, path], capture_output=True, text=True, check=True)
    peak, rows, said = done.stdout.split(" ", 2)
    return int(peak), int(rows), said.strip()


@pytest.mark.slow
def test_memory_does_not_depend_on_the_number_of_rows(tmp_path):
    def book(count: int) -> Path:
        names = "".join(f'<c r="{c}1" t="str"><v>列{c}</v></c>' for c in "ABCDEFGHIJ")
        rows = (
            f'<row r="{n}">' + "".join(f'<c r="{c}{n}" t="s"><v>{n % 7}</v></c>' for c in "ABCDEFGHI")
            + f'<c r="J{n}"><v>{n}</v></c></row>'
            for n in range(2, count + 2)
        )  # fmt: skip
        texts = [f"<t>示例{n}</t>" for n in range(7)]
        return made(tmp_path / f"{count}.xlsx", sheet_of(f'<row r="1">{names}</row>' + "".join(rows)), texts)

    some, many = (peak_of(book(count)) for count in (60_000, 240_000))
    assert (some[1], many[1]) == (60_000, 240_000)
    assert many[0] < some[0] + 60, (some, many)  # the whole sheet takes 3 KiB a row: 530 MiB more


def test_a_sheet_of_blanks_is_refused_before_it_fills_the_memory(tmp_path):
    path = made(tmp_path / "f.xlsx", sheet_of('<row r="1"><c r="A1"><v>1</v></c></row>'))
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        for name, part in parts.items():
            with package.open(name, "w") as file:
                file.write(part.removesuffix(b"</worksheet>"))
                if name.endswith("s.xml") and "sheet" in name:
                    for _ in range(5):
                        file.write(b" " * (64 << 20))
                    file.write(b"</worksheet>")
    peak, _, said = peak_of(path)
    assert re.search("不合规范", said)
    assert peak < 1_200
