"""What the mere passing of days, and a subject's move, change of the government tier; and nothing else of it."""

from pathlib import Path

import pytest

from chengxin.home import Home
from chengxin.publishing.disclosure.unclassed import unclassed
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc

ABNORMAL = ("subject_name", "uscc", "listed_reason", "listed_on", "authority_name", "removed_on")
_STANDING = "kind, subject_id, standing_code, share_level, in_force, is_negative"


def files(office: Office, tier: str = "government") -> set[str]:
    folder = office.snapshot(tier)
    beside = ("batch", "_history")
    return {str(p.relative_to(folder)) for p in folder.rglob("*.parquet") if not p.parent.name.endswith(beside)}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Two firms, one registered elsewhere than it is; a listing that ends on 2026-03-20 and one that goes on."""
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_list", "abnormal_operation", ABNORMAL)
    office.contract("test_penalty", "penalty", (*PENALTY, "penalty_class_name", "fine"))
    office.deliver("test_reg", company(1), company(2, region_code="430600"), day=0)
    listed = {"listed_on": "2026-01-05", "authority_name": "示例局", "listed_reason": "未公示年度报告"}
    rows = [{"uscc": uscc(n), **listed, "removed_on": removed} for n, removed in ((1, "2026-03-20"), (2, ""))]
    office.deliver("test_list", *rows, day=1)
    office.deliver("test_penalty", penalty(1, uscc=uscc(1), penalty_class_name="罚款", fine="100元"), day=1)
    office.publish(day=2)
    return office


@pytest.mark.slow
def test_a_later_day_renews_what_it_changed_and_nothing_else(office):
    standing = office.table("credit_record", _STANDING)
    assert standing == [
        ("abnormal_operation", 1, "standing", "open", True, True),
        ("abnormal_operation", 2, "standing", "open", True, True),
        ("penalty", 1, "standing", "open", True, True),
        ("registration", 1, "standing", "open", True, False),
        ("registration", 2, "standing", "open", True, False),
    ]
    before, shown = files(office), files(office, "open")
    assert office.publish(day=17) is None, "the day before nothing changes"
    assert office.publish(day=18) is not None
    ended = ("abnormal_operation", 1, "ended", "government", False, True)
    assert office.table("credit_record", _STANDING) == [ended, *standing[1:]]
    gone, come = before - files(office), files(office) - before
    assert len(gone) == len(come) == 1 and next(iter(come)).startswith("credit_record/abnormal_operation-")
    tables = {name.partition("/")[0] for name in shown ^ files(office, "open")}
    assert tables == {"credit_record", "abnormal_operation"}
    assert office.table("abnormal_operation", "subject_id", tier="open") == [(2,)]
    assert office.publish(day=19) is None


@pytest.mark.slow
def test_every_row_bears_the_home_of_its_subject(office):
    homes = "kind, subject_id, home_region_code"
    assert {row[1:] for row in office.table("credit_record", homes)} == {(1, "430102"), (2, "430600")}
    office.deliver("test_reg", company(1, region_code="430300"), day=3)
    office.publish(day=4)
    moved = office.table("credit_record", homes)
    assert {row[1:] for row in moved} == {(1, "430300"), (2, "430600")} and len(moved) == 5
    assert office.table("abnormal_operation", "region_code") == [(None,), (None,)]


def test_title_authority_and_amount_of_declared_elements(office):
    wanted = "kind, title, authority_name, amount_yuan::VARCHAR, publicity_class_code, publicity_until_on::VARCHAR"
    rows = {row[0]: row[1:] for row in office.table("credit_record", wanted)}
    assert rows["penalty"] == ("示例案", "示例市监局", "100.00", "general", "2027-01-15")
    assert rows["abnormal_operation"] == ("未公示年度报告", "示例局", None, "listed", None)


@pytest.mark.slow
def test_many_penalties_of_unknown_class_are_counted_by_data_set(office):
    home = Home(office.settings)
    assert unclassed(home) == []
    office.deliver("test_penalty", penalty(2, uscc=uscc(2), penalty_class_name="其他"), day=3)
    office.publish(day=4)
    assert unclassed(home) == [("test_penalty", 2, 1)]
