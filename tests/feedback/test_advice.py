"""What a department is asked to do: every list and every warning is named, in words that are meant for it."""

import os

import pytest
from test_answers import answer, bare, right, wrong

from deliveries import PENALTY


@pytest.mark.slow
def test_a_receipt_with_warnings_states_where_to_look(office):
    path = office.write("pen", [right(1), right(2)], day=1)
    office.ingest("pen", path)
    path = office.write("pen", [right(3), right(4)], day=2)
    whole, at = path.read_bytes().rstrip(), path.stat().st_mtime
    path.write_bytes(whole)  # the one before had its last line break
    os.utime(path, (at, at))
    office.ingest("pen", path)
    office.deliver("pen", right(5, region_code="430124"), day=3)
    told = [a.receipt for a in answer(office)]
    assert [t["verdict"] for t in told] == ["accept", "warn", "accept"]
    assert told[0]["advice"] == "无需处理。"
    assert told[1]["advice"].startswith("请看“校验意见”中的 1 条提醒")
    assert (
        told[2]["advice"] == told[2]["todo"][0] and "本批各类问题" in told[2]["advice"] and "1 处" in told[2]["advice"]
    )
    assert answer(office) == []  # nothing new to tell


def test_the_advice_in_table_and_callback_names_the_lists_too(office):
    office.deliver("pen", right(1, org_code="1234"), day=1)
    (told,) = answer(office)
    assert told.receipt["advice"].startswith("有 1 个值看不懂或不存在") and "无需处理" not in told.receipt["advice"]


def test_findings_reach_the_department_without_our_commands(office):
    office.contract("pen", "penalty", PENALTY, mode="full")
    many = [bare(right(5, decision_no=f"湘示罚〔2026〕{n}号")) for n in range(10, 40)]
    office.deliver("pen", *many, day=1)
    held = office.deliver("pen", *many[:3], day=2)
    assert held["verdict"] == "hold"
    told = next(a for a in answer(office) if a.batch_id == held["batch_id"])
    page = (told.folder / "回执.txt").read_text("utf-8-sig")
    assert "交付不完整的，请重新报送；确属减少的，请书面告知平台，由平台核实后放行" in page
    assert not any(word in page for word in ("chengxin", "提供部门", "合同 "))


@pytest.mark.slow
def test_rows_that_are_no_records_need_not_be_sent_again(office):
    path = office.write("pen", [right(1), wrong(2)], day=1)
    with path.open("a", encoding="utf-8") as stream:
        stream.write("合计：2 条\r\n")
    office.ingest("pen", path)
    office.deliver("pen", right(3), wrong(4), day=2)
    told = {len(t.receipt["todo"]): t.receipt["todo"] for t in answer(office)}
    assert "合计、说明等不是记录的行，下次删去即可" in told[2][1]
    assert all("合计" not in sentence for sentence in told[1])
