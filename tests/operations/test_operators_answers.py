"""What the pages say has become of refused rows is what the department was answered last."""

from pathlib import Path

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.operations.index import answers
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc


def test_a_refused_row_is_open_until_a_later_batch_mends_it(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", ("source_record_id", *PENALTY))
    office.deliver("reg", company(1), day=0)
    right = penalty(1, source_record_id="k1", uscc=uscc(1))
    sound = penalty(2, source_record_id="k2", uscc=uscc(1))
    first = office.deliver("pen", right | {"decision_on": "不详"}, sound, day=1)["batch_id"]
    home = office.settings.home
    assert answers.refused(home, "pen", first) is None, "not answered yet"
    pipeline.answer(Home(office.settings, Clock(START)), office.contracts["pen"])
    assert answers.refused(home, "pen", first) == answers.Refused(1, 1, {})
    assert answers.corrected(home, [("pen", first)]) == {}
    second = office.deliver("pen", right, day=2)["batch_id"]
    pipeline.answer(Home(office.settings, Clock(START)), office.contracts["pen"])
    assert answers.corrected(home, [("pen", first), ("pen", second)]) == {first: answers.Refused(1, 0, {second: 1})}


def test_a_damaged_answer_is_none_and_no_page_fails_for_it(tmp_path):
    folder = tmp_path / "feedback" / "pen" / "pen-20260302-000000000000" / "0000"
    folder.mkdir(parents=True)
    (folder / answers.RECEIPT).write_bytes(b"PAR1\x80")
    assert answers.refused(tmp_path, "pen", folder.parent.name) is None
