"""Read one generated file with our reader, or with the bare library it stands on; print rows.

    python bench/readers.py make <format> <rows> <folder>
    python bench/readers.py ours <format> <file>      python bench/readers.py bare <format> <file>

run.py measures each call from outside. The bare readers do no more than make columns of text: no line numbers, no
salvage of damaged rows, no check of the encoding.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import python_calamine
from lxml import etree

from chengxin.contracts.models import FileSpec
from chengxin.parsing.reader import plan, read

NAMES = ("决定书文号", "名称", "代码", "代表人", "类别", "金额", "日期", "机关", "区划", "更新时间")
WIDTHS = (28, 36, 18, 8, 8, 12, 10, 24, 6, 19)
XLS_ROWS = 60_000  # a sheet of the old format ends at 65,536
#: CSV beside the UTF-8 one: format -> encoding. In Big5 the text is written in traditional characters.
ENCODED = {"csv_gb18030": "gb18030", "csv_utf16": "utf-16", "csv_big5": "big5"}
_TRADITIONAL = str.maketrans("监罚号张长场决书称码类别额机关区划时间", "監罰號張長場決書稱碼類別額機關區劃時間")
#: Formats whose readers hold a part of the file only; that of xls holds a whole sheet.
STREAMED = ("csv", *ENCODED, "tsv", "jsonl", "json", "xml", "fixed", "xlsx")
FORMATS = (*STREAMED, "xls")


def spec_of(kind: str) -> FileSpec:
    """Return how the generated file of a kind is laid out."""
    if kind == "fixed":
        at, fields = 1, []
        for name, width in zip(NAMES, WIDTHS, strict=True):
            fields.append({"source": name, "start": at, "length": width})
            at += width
        return FileSpec.model_validate({"format": "fixed", "encoding": "gb18030", "fields": fields})
    options: dict[str, Any] = {
        **{name: {"format": "csv", "encoding": encoding} for name, encoding in ENCODED.items()},
        "xml": {"records": "ROWDATA/ROW"},
        "json": {"records": "data.rows"},
    }
    return FileSpec.model_validate({"format": kind} | options.get(kind, {}))


def rows_of(count: int) -> Iterator[tuple[str, ...]]:
    """Invent rows; row n is a pure function of n."""
    for n in range(count):
        yield (
            f"湘市监罚〔{n % 9 + 2018}〕{n}号",
            f"湖南示例第{n * 7919 % count}有限公司",
            f"91430102MA4L{n % 10**6:06d}",
            f"张某{n % 97}",
            "罚款",
            f"{n % 5000}.50",
            f"20{n % 9 + 18}-{n % 12 + 1:02d}-{n % 28 + 1:02d}",
            "长沙市市场监督管理局",
            "430102",
            "2026-11-20 08:00:00",
        )


def make(kind: str, count: int, folder: Path) -> Path:
    """Write the file of a kind, once."""
    path = folder / f"readers.{kind}"
    if not path.exists():
        building = folder / f"building.{kind}"
        if kind in {"xlsx", "xls"}:
            _write_book(kind, count, building)
        else:
            encoding = ENCODED.get(kind, "gb18030" if kind == "fixed" else "utf-8")
            with building.open("w", encoding=encoding, newline="") as file:
                file.writelines(_lines(kind, count))
        building.rename(path)
    return path


def _lines(kind: str, count: int) -> Iterator[str]:
    if kind == "csv_big5":
        yield from (line.translate(_TRADITIONAL) for line in _lines("csv", count))
    elif kind in {"csv", "tsv", *ENCODED}:
        mark = "\t" if kind == "tsv" else ","
        yield mark.join(NAMES) + "\n"
        yield from (mark.join(row) + "\n" for row in rows_of(count))
    elif kind in {"json", "jsonl"}:
        texts = (json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=False) for row in rows_of(count))
        yield '{"data":{"rows":[' if kind == "json" else ""
        for n, text in enumerate(texts):
            yield text + "\n" if kind == "jsonl" else ("," if n else "") + text
        yield "]}}" if kind == "json" else ""
    elif kind == "xml":
        yield "<ROWDATA>\n"
        for row in rows_of(count):
            yield "<ROW>" + "".join(f"<{n}>{v}</{n}>" for n, v in zip(NAMES, row, strict=True)) + "</ROW>\n"
        yield "</ROWDATA>\n"
    else:
        for row in rows_of(count):
            cells = (v + " " * (w - len(v.encode("gb18030"))) for v, w in zip(row, WIDTHS, strict=True))
            yield "".join(cells) + "\n"


def _write_book(kind: str, count: int, path: Path) -> None:
    if kind == "xlsx":
        import openpyxl

        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("s")
        sheet.append(NAMES)
        for row in rows_of(count):
            sheet.append(row)
        book.save(path)
        return
    import xlwt

    old = xlwt.Workbook()
    page = old.add_sheet("s")
    for n, cells in enumerate((NAMES, *rows_of(min(count, XLS_ROWS)))):
        for m, cell in enumerate(cells):
            page.write(n, m, cell)
    old.save(str(path))


def ours(kind: str, path: Path) -> int:
    """Read with the reader of the pipeline."""
    spec = spec_of(kind)
    return sum(chunk.table.num_rows + len(chunk.damaged) for piece in plan(path, spec) for chunk in read(piece, spec))


def bare(kind: str, path: Path) -> int:
    """Read with the library alone, in the way its documentation shows."""
    if kind in {"csv", "tsv", *ENCODED}:
        encoding = ENCODED.get(kind, "utf8")
        reader = pyarrow.csv.open_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(encoding=encoding, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(delimiter="\t" if kind == "tsv" else ","),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(
                    (n.translate(_TRADITIONAL) if kind == "csv_big5" else n for n in NAMES), pa.string()
                )
            ),
        )
        return sum(batch.num_rows for batch in reader)
    if kind in {"xlsx", "xls"}:
        sheet = python_calamine.load_workbook(str(path)).get_sheet_by_index(0)
        return len(_columns([[str(cell) for cell in row] for row in sheet.to_python()[1:]]))
    if kind == "jsonl":
        with path.open(encoding="utf-8") as file:
            return len(_columns([list(json.loads(line).values()) for line in file]))
    if kind == "json":
        return len(_columns([list(row.values()) for row in json.loads(path.read_text("utf-8"))["data"]["rows"]]))
    if kind == "xml":
        rows = []
        for _, node in etree.iterparse(str(path), tag="ROW", resolve_entities=False, no_network=True):
            rows.append([child.text for child in node])
            node.clear()
            while node.getprevious() is not None:
                del node.getparent()[0]
        return len(_columns(rows))
    with path.open("rb") as lines:
        return len(_columns([_cut(line) for line in lines]))


def _cut(line: bytes) -> list[str]:
    at, cells = 0, []
    for width in WIDTHS:
        cells.append(line[at : at + width].decode("gb18030").strip())
        at += width
    return cells


def _columns(rows: list[list[Any]]) -> pa.Table:
    return pa.table(
        {name: pa.array(column, pa.string()) for name, column in zip(NAMES, zip(*rows, strict=True), strict=True)}
    )


def main() -> None:
    """Make or read, as the first argument says."""
    what, kind, *rest = sys.argv[1:]
    if what == "make":
        print(make(kind, int(rest[0]), Path(rest[1])))
    else:
        print({"ours": ours, "bare": bare}[what](kind, Path(rest[0])))


if __name__ == "__main__":
    main()
