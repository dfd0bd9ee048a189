"""A line break within a value leaves half of it in the row beside, which is refused where the half does not show."""

import os
from pathlib import Path
from typing import Any

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.contracts.models import FileSpec
from chengxin.home import Home
from chengxin.parsing.reader import plan, read
from deliveries import PENALTY, REGISTRATION, START, Office, company, counts, penalty, uscc

BY_CONTENT = ("uscc", "decision_no", "decision_on", "authority_name", "penalty_content")
BY_NAME = ("authority_name", "uscc", "decision_no", "penalty_content", "decision_on")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), day=0)
    return office


def row(n: int) -> dict[str, Any]:
    found = penalty(n, uscc=uscc(1), penalty_content=f"罚款{n}万元整", authority_name=f"示例{n}市监局")
    return {name: found[name] for name in BY_CONTENT}


def send(office: Office, names: tuple[str, ...], found: str, put: str) -> dict[str, Any]:
    """Deliver three rows in whose text `put` stands in the place of `found`."""
    path = office.write("pen", [row(n) for n in (1, 2, 3)], day=1, columns=names)
    text = path.read_text("utf-8").replace("\r\n", "\n")
    assert text.count(found) == 1
    at = path.stat().st_mtime
    path.write_text(text.replace(found, put), "utf-8")
    os.utime(path, (at, at))
    return office.ingest("pen", path)


def refused(office: Office) -> list[tuple[int, str]]:
    told = {"row.width", "row.not_a_record", "value.beside_torn"}
    return [(line, rule) for line, rule, _ in office.issues("pen") if rule in told]


def test_half_a_last_value_is_refused_and_a_checked_code_is_not(office: Office) -> None:
    assert counts(send(office, BY_CONTENT, "罚款2万元整", "罚款2\n万元整")) == (2, 2, 0, 0)
    assert refused(office) == [(3, "value.beside_torn"), (4, "row.width")]


def test_half_a_first_value_is_refused(office: Office) -> None:
    assert counts(send(office, BY_NAME, "示例2市监局", "示例2\n市监局")) == (2, 2, 0, 0)
    assert refused(office) == [(3, "row.width"), (4, "value.beside_torn")]


@pytest.mark.parametrize(("day", "passed"), [("2026-01-15", 3), ("2026-01-1", 2)])
def test_of_dates_only_one_that_may_be_half_is_refused(office: Office, day: str, passed: int) -> None:
    names = ("uscc", "decision_no", "authority_name", "penalty_content", "decision_on")
    account = send(office, names, "罚款2万元整,2026-01-15\n", f"罚款2万元整,{day}\n5\n")
    assert counts(account) == (passed, 4 - passed, 0, 0)


@pytest.mark.parametrize(
    "line",
    [
        "（截至2026年3月）",
        "单位：元",
        "----------",
        "合计",
        "END",
        "导出完毕",
        "本表由系统自动生成",
        "以上数据来源于示例平台",
    ],
)
def test_a_line_that_is_a_remark_costs_no_row(office: Office, line: str) -> None:
    assert counts(send(office, BY_CONTENT, "罚款3万元整\n", f"罚款3万元整\n{line}\n")) == (3, 1, 0, 0)


@pytest.mark.parametrize(
    ("values", "passed"),
    [
        (["罚款9万元整"] * 6, 6),  # seen before, and nowhere longer
        (["警告", "警告", "警告并处罚款", "罚款", "罚款", "警告"], 5),
        ([f"罚款{n}万元整" for n in range(1, 7)], 6),  # all end alike
        ([f"罚款{n}万元整" for n in range(1, 6)] + ["罚款6万"], 5),
        ([f"{n}00" for n in range(1, 7)], 5),  # digits show nothing
        ([f"罚款{n}万元整" for n in range(1, 4)], 2),  # too few
    ],
)
def test_an_unknown_last_line_costs_a_row_whose_end_may_be_torn(office: Office, values: list[str], passed: int) -> None:
    rows = [row(n) | {"penalty_content": value} for n, value in enumerate(values, 1)]
    path = office.write("pen", rows, day=1, columns=BY_CONTENT)
    at = path.stat().st_mtime
    path.write_text(path.read_text("utf-8") + "示例省信用信息中心汇编\n", "utf-8")
    os.utime(path, (at, at))
    assert counts(office.ingest("pen", path)) == (passed, len(values) - passed + 1, 0, 0)


def test_a_row_broken_in_the_middle_costs_only_itself(office: Office) -> None:
    names = ("uscc", "decision_no", "authority_name", "penalty_content", "decision_on")
    assert counts(send(office, names, "示例2市监局", "示例2\n市监局")) == (2, 2, 0, 0)
    assert refused(office) == [(3, "row.width"), (4, "row.width")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("torn", [["湖南三,3,罚", "款3元"], ["湖南", "三,3,罚款3元"], ["湖南三,3,罚", "款", "3元"]])
def test_half_a_line_is_the_same_wherever_chunks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: list[str], quoted: bool, end: str
) -> None:
    lines = ["名称,序号,内容", *(f"湖南{c},{n},罚款{n}元" for n, c in enumerate("一二", 1)), *torn]
    lines += [f"湖南{c},{n},罚款{n}元" for n, c in enumerate("四五", 4)]
    lines += ['"湖南六",6,"罚款6元"'] if quoted else ["湖南六,6,罚款6元"]
    path = tmp_path / "f.csv"
    path.write_text(end.join([*lines, ""]), "utf-8", newline="")
    beside = {4 + n for n in range(len(torn)) if "," in torn[n]}
    for size in range(1, path.stat().st_size + 1):
        monkeypatch.setattr("chengxin.parsing.text.file._chunk_size", lambda _, size=size: size)
        spec = FileSpec(format="csv")
        for pieces in (plan(path, spec), plan(path, spec, piece_bytes=size)):
            chunks = [chunk for piece in pieces for chunk in read(piece, spec)]
            assert sorted(n for c in chunks for n in [*c.rows.to_pylist(), *(d.row for d in c.damaged)]) == list(
                range(2, len(lines) + 1)
            )
            for chunk in chunks:
                for damaged in chunk.damaged:
                    if damaged.fragment:
                        assert beside <= {*chunk.rows.to_pylist(), *(d.row for d in chunk.damaged)}


def test_a_torn_row_sent_again_as_one_line_closes_the_refusal(office: Office) -> None:
    send(office, BY_CONTENT, "罚款2万元整", "罚款2\n万元整")
    [told] = pipeline.answer(Home(office.settings, Clock(START)), office.contracts["pen"])
    assert "接回一行后重新报送该记录" in (told.folder / "需更正.csv").read_text("utf-8-sig")
    assert counts(office.deliver("pen", row(2), day=2)) == (1, 0, 0, 0)
    [again] = [a for a in pipeline.answer(Home(office.settings, Clock(START)), office.contracts["pen"])
               if a.batch_id == told.batch_id]  # fmt: skip
    assert again.receipt["refused"]["open"] == 1  # the half line alone, which names nothing
