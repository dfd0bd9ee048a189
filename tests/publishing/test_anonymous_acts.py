"""An anonymous record through deliveries, a repair and its lifting: its class comes and goes with it."""

from datetime import timedelta

import pytest

from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.pipeline import acts
from chengxin.publishing import commit
from chengxin.publishing.suppression.sweep import sweep
from chengxin.publishing.verify import verify
from deliveries import REGISTRATION, START, Office, company, uscc

LISTED = ("subject_name", "uscc", "identified_on", "authority_name", "region_code")


def listed(n: int) -> dict[str, str]:
    shop = {"subject_name": f"示例{n}号小吃店", "uscc": uscc(n, kind="92"), "region_code": "430102"}
    return {**shop, "identified_on": f"2026-01-{n:02d}", "authority_name": "示例市税务局"}


@pytest.fixture
def office(tmp_path):
    """Five shops, of which four are listed as non-normal taxpayers; a fifth comes a day later."""
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_non", "tax_non_normal", LISTED)
    shops = [company(n, uscc=uscc(n, kind="92"), subject_name=f"示例{n}号小吃店") for n in range(1, 6)]
    office.deliver("test_reg", *shops, day=0)
    office.deliver("test_non", *[listed(n) for n in range(1, 5)], day=0)
    office.publish(day=0)
    return office


def shown(office: Office) -> tuple[int, int, int]:
    """Return rows of the anonymous table, rows left out, and rows by name in table and credit_record."""
    opened = commit.current(office.layout, "open")
    facts = opened.basis.anonymity["tax_non_normal"]
    assert facts["rows"] == opened.tables["tax_non_normal_anonymous"].rows
    return facts["rows"], facts["left_out"], opened.tables["tax_non_normal"].rows


@pytest.mark.slow
def test_a_class_comes_with_its_fifth_record_and_goes_again(office):
    assert shown(office) == (0, 4, 0)
    office.deliver("test_non", listed(5), day=1)
    office.publish(day=1)
    assert shown(office) == (5, 0, 0)
    (record,) = next(r for r in office.table("tax_non_normal", "record_id, uscc") if r[1] == uscc(5, kind="92"))[:1]
    home = Home(office.settings, Clock(START + timedelta(days=2)))
    day = (START + timedelta(days=2)).date()
    case = acts.enter(home, "repair", acts.Target(record_id=record), by="甲", document="修〔2026〕5号", day=day)
    office.publish(day=2)
    assert len(office.table("tax_non_normal", "record_id")) == 4
    assert shown(office) == (0, 4, 0)
    assert sweep(home).left == {}
    acts.lift(home, case.act.id, by="乙", document="复〔2026〕1号")
    office.publish(day=3)
    assert shown(office) == (5, 0, 0)
    assert verify(office.layout, "open") == []
