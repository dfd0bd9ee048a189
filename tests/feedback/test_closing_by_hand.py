"""Refused rows that a person settles: who, when and why is kept, the account stays, and it can be undone."""

import json
import zipfile

import pytest
from test_answers import CLOCK, answer, outbox, right, sheet, wrong

from chengxin import pipeline
from chengxin.cli.quarantine import quarantine
from chengxin.errors import NotClosable
from chengxin.feedback.answers import newest
from chengxin.home import Home
from deliveries import PENALTY, Office


def close(office: Office, batch_id: str, *rows: str, reason: str = "已电话核实，原表合计行", **more):
    contract = office.contracts["pen"]
    landed = pipeline.batch(Home(office.settings), "pen", batch_id)
    done = pipeline.close(Home(office.settings, CLOCK), contract, landed, rows, by="张三", reason=reason, **more)
    answer(office)
    return done


def receipt(office: Office, batch_id: str) -> dict:
    return json.loads((newest(office.layout, "pen", batch_id) / "回执.json").read_text("utf-8"))


def entries(office: Office) -> list[dict]:
    return [json.loads(p.read_text("utf-8")) for p in sorted(office.layout.closings("pen").glob("*.json"))]


def test_a_settled_row_is_not_open_and_still_counts_as_refused(office):
    batch = office.deliver("pen", right(1), wrong(2), wrong(3), wrong(4), day=1)["batch_id"]
    answer(office)
    before = office.account("pen")
    done = close(office, batch, "3，4")
    assert (done.changed, done.already) == (2, 0)
    assert office.account("pen") == before
    told = receipt(office, batch)
    assert told["counts"]["quarantined"] == 3
    assert (told["refused"]["total"], told["refused"]["open"]) == (3, 1)
    assert told["refused"]["closed"] == {"已电话核实，原表合计行": 2}
    folder = newest(office.layout, "pen", batch)
    page = (folder / "回执.txt").read_text("utf-8-sig")
    assert "2 条经平台核实办结" in page and "已电话核实" in page and "张三" not in page
    assert [r["行号"] for r in sheet(folder, "需更正.csv")] == ["5"]
    (entry,) = entries(office)
    assert (entry["by"], entry["reason"], entry["batch_id"]) == ("张三", "已电话核实，原表合计行", batch)
    shown = quarantine(Home(office.settings), office.contracts["pen"], None, 0, raw=False)
    assert (shown["total"], shown["open"]) == (3, 1)
    assert [bool(r["closed"]) for r in shown["rows"]] == [True, True, False]
    assert shown["rows"][0]["closed"].startswith("张三 2026-")


@pytest.mark.slow
def test_settling_is_idempotent_and_undoing_reopens_the_row(office):
    batch = office.deliver("pen", right(1), wrong(2), wrong(3), day=1)["batch_id"]
    close(office, batch, "3")
    revisions = len(outbox(office))
    done = close(office, batch, "3")
    assert (done.changed, done.already, len(entries(office)), len(outbox(office))) == (0, 1, 1, revisions)
    done = close(office, batch, "3-4", reopen=True, reason="弄错了")
    assert (done.changed, done.already) == (1, 1)
    told = receipt(office, batch)
    assert told["refused"]["open"] == 2 and "closed" not in told["refused"]
    close(office, batch, "3")
    assert receipt(office, batch)["refused"]["open"] == 1
    assert [e["reopens"] for e in entries(office)] == [False, True, False]


def test_rows_never_refused_are_named_and_nothing_is_settled(office):
    batch = office.deliver("pen", right(1), wrong(2), day=1)["batch_id"]
    with pytest.raises(NotClosable, match="没有这些行：2、9"):
        close(office, batch, "2,3,9")
    with pytest.raises(NotClosable, match="看不懂行号"):
        close(office, batch, "三")
    with pytest.raises(NotClosable, match="为何"):
        close(office, batch, "3", reason=" ")
    assert entries(office) == []


def test_rows_of_several_files_are_told_apart_by_name(office):
    parts = [office.write("pen", [right(n), wrong(n + 1)], day=1) for n in (1, 3)]
    path = office.folder / "两份.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in zip(("甲.csv", "乙.csv"), parts, strict=True):
            archive.write(part, name)
    batch = office.ingest("pen", path)["batch_id"]
    with pytest.raises(NotClosable, match=r"第 3 行在 .*甲\.csv.* 中都有"):
        close(office, batch, "3")
    shown = quarantine(Home(office.settings), office.contracts["pen"], batch, 0, raw=False)["rows"]
    first, second = sorted(r["file"] for r in shown)
    assert close(office, batch, f"{first}:3").changed == 1
    with pytest.raises(NotClosable, match=r"别的\.csv:3"):
        close(office, batch, f"{second}:3", "别的.csv:3")
    assert receipt(office, batch)["refused"]["open"] == 1


def test_a_held_batch_is_not_settled_row_by_row(office):
    batch = office.deliver("pen", wrong(1), wrong(2), day=1)["batch_id"]
    with pytest.raises(NotClosable, match="整批暂缓"):
        close(office, batch, "2")


@pytest.mark.slow
def test_a_settled_row_mended_after_all_counts_as_mended(office):
    batch = office.deliver("pen", right(1), wrong(2), wrong(3), wrong(4), day=1)["batch_id"]
    close(office, batch, "3-5")
    mending = office.deliver("pen", right(2), wrong(3), day=2)["batch_id"]
    answer(office)
    refused = receipt(office, batch)["refused"]
    assert refused["mended"] == {mending: 1} and refused["again"] == 1
    assert refused["closed"] == {"已电话核实，原表合计行": 1} and refused["open"] == 0
    assert receipt(office, mending)["refused"]["open"] == 1


def test_a_newer_full_list_overtakes_settled_rows_too(office):
    office.contract("full", "penalty", ("source_record_id", *PENALTY), mode="full")
    batch = office.deliver("full", right(1), wrong(2), wrong(3), day=1)["batch_id"]
    landed = pipeline.batch(Home(office.settings), "full", batch)
    contract = office.contracts["full"]
    pipeline.close(Home(office.settings, CLOCK), contract, landed, ["3"], by="张三", reason="核实")
    office.deliver("full", right(1), right(2), right(3), day=2)
    answer(office, "full")
    folder = newest(office.layout, "full", batch)
    refused = json.loads((folder / "回执.json").read_text("utf-8"))["refused"]
    assert (refused["overtaken"], refused["open"]) == (2, 0) and "closed" not in refused


def test_settled_rows_are_not_replayed(office):
    columns = [{"source": c, "element": c, "optional": True} for c in ("source_record_id", *PENALTY)]
    strict = [c | ({"required": True, "optional": False} if c["element"] == "legal_rep_name" else {}) for c in columns]
    office.contract("pen", "penalty", (), columns=strict, quality={"quarantined": {"warn": 0.9, "hold": 0.95}})
    rows = (right(1, legal_rep_name="某甲"), right(2, legal_rep_name=""), right(3, legal_rep_name=""))
    batch = office.deliver("pen", *rows, day=1)["batch_id"]
    close(office, batch, "3")
    office.contract("pen", "penalty", (), columns=columns)
    (done,) = pipeline.replay(Home(office.settings), office.contracts["pen"])
    assert (done.checked, done.passed) == (1, 1)
