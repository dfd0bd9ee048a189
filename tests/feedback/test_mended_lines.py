"""Lines that could not be split into fields, and the rows that mend them."""

import json
import os
import re

import openpyxl
import pytest
from test_answers import answer, bare, outbox, right, sheet

from deliveries import PENALTY, START, Office, uscc


def broken(office: Office, *lines: str, day: int, keyed: bool = True):
    """Deliver lines below the header of all columns, as they are."""
    names = [*(["source_record_id"] if keyed else []), *PENALTY]
    path = office.write("pen", [right(9)] if keyed else [bare(right(9))], day=day, columns=names)
    at = path.stat().st_mtime
    path.write_text(path.read_text("utf-8") + "".join(line + "\n" for line in lines), "utf-8")
    os.utime(path, (at, at))
    return office.ingest("pen", path)


def line(row: dict, keyed: bool = True) -> str:
    return ",".join(str(row.get(n, "")) for n in ([*(["source_record_id"] if keyed else []), *PENALTY]))


@pytest.mark.parametrize("keyed", [True, False], ids=["own_key", "no_key"])
def test_a_line_with_a_field_too_many_is_closed_by_whole_keys(office, keyed):
    office.contract("pen", "penalty", ("source_record_id", *PENALTY) if keyed else PENALTY)
    rows = [right(n) if keyed else bare(right(n)) for n in range(1, 6)]
    split = rows[2] | {"subject_name": "湖南示例,3有限公司"}  # the fault is in the name itself
    spoiled = [line(r, keyed).replace("示例案", "示例,案") for r in (rows[0], rows[1])] + [line(split, keyed)]
    account = broken(office, *spoiled, line(rows[3], keyed).replace("示例案,", ""), day=1, keyed=keyed)
    assert account["quarantined"] == 4
    mending = office.deliver("pen", rows[0], rows[2], rows[3], rows[4], day=2)["batch_id"]
    first = next(a for a in answer(office) if a.receipt["refused"]["total"])
    assert first.receipt["refused"]["mended"] == {mending: 2}
    assert [r["行号"] for r in sheet(first.folder, "需更正.csv")] == ["4", "5"]


def test_a_row_of_a_workbook_with_a_stray_cell_is_closed_too(office):
    names = ["source_record_id", *PENALTY]
    office.contract("pen", "penalty", names, file={"format": "xlsx"})
    sent = [right(1), right(2)]
    for day, more in ((1, ["", "x"]), (2, [])):
        book = openpyxl.Workbook()
        for n, cells in enumerate([names, *([row.get(c, "") for c in names] for row in sent[: 3 - day])]):
            book.active.append(cells + (more if n == 1 else []))
        path = office.folder / f"{day}.xlsx"
        book.save(path)
        mending = office.ingest("pen", path)["batch_id"]
    first = next(a for a in answer(office) if a.receipt["refused"]["total"])
    assert first.receipt["refused"]["mended"] == {mending: 1}


def test_a_line_is_not_closed_by_another_record_of_its_subject(office):
    spoiled = line(right(1)).replace("示例案", "示例,案")
    broken(office, spoiled, spoiled.replace("k1", "7"), day=1)
    other = right(1, source_record_id="k5", decision_no="湘示罚〔2026〕50号")
    office.deliver("pen", other, right(4, source_record_id="7"), day=2)
    first = next(a for a in answer(office) if a.receipt["refused"]["total"])
    assert first.receipt["refused"]["open"] == 2


def refused(office: Office) -> tuple:
    """Return how many rows of the first batch were refused, are open, and are mended by which batch."""
    answer(office)
    told = [json.loads((folder / "回执.json").read_text("utf-8")) for folder in outbox(office)]
    newest = max((t for t in told if t["refused"]["total"]), key=lambda t: t["id"])["refused"]
    return newest["total"], newest["open"], newest["mended"]


NAMES = ("source_record_id", "subject_name", "decision_no", "decision_on", "item_name", "authority_name")
WIDTHS = (6, 40, 24, 10, 12, 10)


def fixed(row: dict) -> str:
    """Return a line of GB18030 bytes, decoded byte by byte."""
    cells = [str(row[n]).encode("gb18030") for n in NAMES]
    return b"".join(c.ljust(w) for c, w in zip(cells, WIDTHS, strict=True)).decode("gb18030")


def tagged(row: dict) -> str:
    return "<row>" + "".join(f"<{n}>{row[n]}</{n}>" for n in NAMES) + "</row>"


def spoil(kind: str, row: dict) -> str:
    """Return a record that cannot be read, as whole as such faults leave one."""
    said = json.dumps({n: row[n] for n in NAMES}, ensure_ascii=False)
    return {
        "json": said.replace("示例案", '"示例"案'),
        "jsonl": said[:-1],
        "json_number": re.sub(r'"(\d+)"', r"\1", said, count=1).replace('", "item', '" "item'),
        "xml": tagged(row).replace("示例案", "示例<案"),
        "fixed": fixed(row).replace("示例案", "示例案案案"),
        "fixed_short": fixed(row).replace("2026-01-15", "2026-1-15"),
    }[kind]


def file_of(kind: str, records: list[str]) -> bytes:
    match kind:
        case "json" | "json_number":
            return ("[" + ",\n".join(records) + "]").encode()
        case "xml":
            return ("<rows>" + "\n".join(records) + "</rows>").encode()
        case "fixed" | "fixed_short":
            return ("\n".join(records) + "\n").encode("gb18030")
    return ("\n".join(records) + "\n").encode()


def whole(kind: str, row: dict) -> str:
    if kind.startswith("fixed"):
        return fixed(row)
    return tagged(row) if kind == "xml" else json.dumps({n: row[n] for n in NAMES}, ensure_ascii=False)


def spec_of(kind: str) -> dict:
    if not kind.startswith("fixed"):
        return {"format": kind.removesuffix("_number")}
    starts = [1 + sum(WIDTHS[:n]) for n in range(len(WIDTHS))]
    fields = [{"source": n, "start": s, "length": w} for n, s, w in zip(NAMES, starts, WIDTHS, strict=True)]
    return {"format": "fixed", "encoding": "gb18030", "fields": fields}


def numbered(number: str, **more) -> dict:
    """Return a record of one company, whatever its number."""
    return right(1, source_record_id=number, decision_no=f"湘示罚〔2026〕{number}号") | more


def sent(office: Office, kind: str, *records: str, day: int) -> str:
    path = office.folder / f"{day}.{kind}"
    path.write_bytes(file_of(kind, [*records, whole(kind, right(2, source_record_id=f"9{day}"))]))
    at = START.timestamp() + day * 86400
    os.utime(path, (at, at))
    return office.ingest("pen", path)["batch_id"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jsonl", "fixed", "fixed_short"])
def test_an_unreadable_record_is_closed_by_one_that_names_it(office, kind):
    office.contract("pen", "penalty", NAMES, file=spec_of(kind))
    between = whole(kind, right(2, source_record_id="90"))  # an array's faults side by side are set aside as one
    sent(office, kind, spoil(kind, numbered("123")), *[between] * 3, spoil(kind, numbered("77")), day=1)
    others = [numbered(n) for n in ("12", "1234", "23", "7", "777")]
    elsewhere = numbered("77", subject_name="湖南示例3有限公司", uscc=uscc(3))
    sent(office, kind, *(whole(kind, r) for r in (*others, elsewhere)), day=2)
    assert refused(office) == (2, 2, {})
    mending = sent(office, kind, whole(kind, numbered("123")), day=3)
    assert refused(office) == (2, 1, {mending: 1})


@pytest.mark.parametrize(("kind", "other"), [("jsonl", "{}{}"), ("fixed", "{}{}")])
def test_what_may_hold_two_records_is_not_closed_by_one_of_them(office, kind, other):
    office.contract("pen", "penalty", NAMES, file=spec_of(kind))
    inner = [whole(kind, numbered(n)).removeprefix("<row>").removesuffix("</row>") for n in ("12", "13")]
    sent(office, kind, other.format(*inner), day=1)
    sent(office, kind, whole(kind, numbered("12")), day=2)
    assert refused(office) == (1, 1, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("after", "closed"),
    [
        ('湘示罚〔2026〕123号","', 1),  # number and name
        ('湖南示例1有限公司","', 1),  # key and name
        ("湖南示例", 0),  # a key of three digits alone may be anything
    ],
)
def test_a_cut_line_is_closed_by_the_record_its_rest_names(office, after, closed):
    names = ",".join(NAMES)
    kept = '"123","湖南示例1有限公司","湘示罚〔2026〕123号","2026-01-15"'
    text = f"{names}\n" + ",".join(f'"{right(2)[n]}"' for n in NAMES) + "\n" + kept[: kept.index(after) + len(after)]
    path = office.folder / "cut.csv"
    path.write_text(text, "utf-8")
    os.utime(path, (START.timestamp() + 86400,) * 2)
    office.ingest("pen", path)
    assert refused(office) == (1, 1, {})
    office.deliver("pen", numbered("12"), numbered("1234"), right(3, source_record_id="124"), day=2)
    assert refused(office) == (1, 1, {})
    mending = office.deliver("pen", numbered("123"), day=3)["batch_id"]
    assert refused(office) == ((1, 0, {mending: 1}) if closed else (1, 1, {}))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jsonl"])
def test_a_cut_record_is_closed_by_its_own_key_under_its_name(office, kind):
    office.contract("pen", "penalty", NAMES, file=spec_of(kind))
    torn = whole(kind, numbered("1234567"))
    torn = torn[: torn.index("2026-01-15") + 6]
    data = file_of(kind, [whole(kind, right(2, source_record_id="92")), torn])
    path = office.folder / f"cut.{kind}"
    path.write_bytes(data[: data.rindex(b"2026-0") + 6])
    os.utime(path, (START.timestamp() + 86400,) * 2)
    office.ingest("pen", path)
    assert refused(office) == (1, 1, {})
    other = numbered("1234567", subject_name="湖南示例3有限公司", uscc=uscc(3))  # under the name stands another one
    sent(office, kind, whole(kind, numbered("123456")), whole(kind, other), day=2)
    assert refused(office) == (1, 1, {})
    mending = sent(office, kind, whole(kind, numbered("1234567", item_name="改")), day=3)
    assert refused(office) == (1, 0, {mending: 1})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keyed", "spoiled", "closed"),
    [(True, "示例案", True), (True, "湖南示例1有限公司", True), (False, "示例案", True),
     (False, "湖南示例1有限公司", False), (True, "k1", False), (False, "湘示罚〔2026〕1号", False)],
)  # fmt: skip
def test_an_undecodable_line_is_closed_by_its_whole_cells(office, keyed, spoiled, closed):
    office.contract("pen", "penalty", ("source_record_id", *PENALTY) if keyed else PENALTY)
    row = right(1) if keyed else bare(right(1))
    path = office.write("pen", [right(2) if keyed else bare(right(2)), row], day=1)
    at = path.stat().st_mtime
    head, _, tail = path.read_bytes().rpartition(spoiled.encode())
    path.write_bytes(head + b"\xff\xfe" + tail)
    os.utime(path, (at, at))
    assert office.ingest("pen", path)["quarantined"] == 1
    office.deliver("pen", right(3) if keyed else bare(right(3)), day=2)
    other = {"subject_name": "湖南示例4有限公司", "uscc": uscc(4)}  # another party of the decision
    if not keyed:
        office.deliver("pen", row | other, day=3)
    assert refused(office) == (1, 1, {})
    mending = office.deliver("pen", row, day=4)["batch_id"]
    assert refused(office) == ((1, 0, {mending: 1}) if closed else (1, 1, {}))
