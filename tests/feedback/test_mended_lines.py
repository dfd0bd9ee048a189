"""Lines that could not be split into fields, and the rows that mend them."""

import os

import openpyxl
import pytest
from test_answers import answer, bare, right, sheet
from test_answers import office as office

from deliveries import PENALTY, Office


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
def test_a_line_with_a_field_too_many_is_closed_by_the_row_whose_keys_stand_in_it_whole(office, keyed):
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


def test_a_line_is_not_closed_by_another_record_of_its_subject_nor_by_a_number_alone(office):
    spoiled = line(right(1)).replace("示例案", "示例,案")
    broken(office, spoiled, spoiled.replace("k1", "7"), day=1)
    other = right(1, source_record_id="k5", decision_no="湘示罚〔2026〕50号")
    office.deliver("pen", other, right(4, source_record_id="7"), day=2)
    first = next(a for a in answer(office) if a.receipt["refused"]["total"])
    assert first.receipt["refused"]["open"] == 2
