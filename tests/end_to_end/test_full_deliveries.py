"""A full delivery is the truth of its day: what it lacks is withdrawn, what it holds again is back."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.facts import as_json
from chengxin.home import Home
from deliveries import ARREARS, REGISTRATION, START, Office, company, counts, uscc


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_arrears", "tax_arrears", ARREARS, mode="full")
    office.deliver("test_reg", *[company(n) for n in range(1, 7)], day=0)
    return office


def arrears(n: int, balance: object = 100) -> dict[str, object]:
    return {"uscc": uscc(n), "tax_type_name": "增值税", "arrears_balance": balance, "authority_name": "示例税务局",
            "published_on": "2026-02-01"}  # fmt: skip


def balances(office: Office) -> dict[int, int]:
    office.publish()
    return {subject: int(amount) for subject, amount in office.table("tax_arrears", "subject_id, arrears_balance_yuan")}


def test_balances_are_replaced_and_missing_ones_withdrawn(office: Office) -> None:
    office.deliver("test_arrears", arrears(1), arrears(2), arrears(3), day=1)
    assert balances(office) == {1: 100, 2: 100, 3: 100}
    account = office.deliver("test_arrears", arrears(1), arrears(2, 250), arrears(4), day=2)
    assert counts(account) == (2, 0, 1, 0)
    assert office.account("test_arrears", 1).withdrawn == 1
    assert balances(office) == {1: 100, 2: 250, 4: 100}


@pytest.mark.slow
def test_a_returning_row_is_accepted_again(office: Office) -> None:
    office.deliver("test_arrears", arrears(1), arrears(2), day=1)
    office.deliver("test_arrears", arrears(1), day=2)
    assert balances(office) == {1: 100}
    assert counts(office.deliver("test_arrears", arrears(2), arrears(1), day=3)) == (1, 0, 1, 0)
    assert balances(office) == {1: 100, 2: 100}


def findings(office: Office) -> dict[str, str]:
    """Return what the verdict of the newest batch of arrears says, by rule; the page says it too."""
    batch_id = office.account("test_arrears", -1).batch_id
    said = as_json(office.verdict("test_arrears", batch_id))
    page = office.page("test_arrears", batch_id)
    assert [page.count(f"{f['message']} <code>{f['rule']}</code>") for f in said["findings"]] == [1] * len(
        said["findings"]
    )
    assert f'<div class="verdict {said["status"]}">' in page
    return {f["rule"]: f["message"] for f in said["findings"]}


@pytest.mark.slow
def test_a_row_whose_new_version_is_unusable_keeps_its_record(office: Office) -> None:
    office.deliver("test_arrears", *[arrears(n) for n in range(1, 5)], day=1)
    account = office.deliver("test_arrears", arrears(1), arrears(2), arrears(3, "不详"), day=2)
    assert counts(account) == (0, 1, 2, 0)
    assert office.account("test_arrears", -1).withdrawn == 1
    assert set(balances(office)) == {1, 2, 3}
    assert "共 1 条" in findings(office)["full.spared"]
    office.deliver("test_arrears", arrears(1), arrears(2), day=3)
    assert set(balances(office)) == {1, 2}


@pytest.mark.slow
def test_a_record_is_kept_while_its_new_version_waits(office: Office) -> None:
    named = [arrears(n) | {"subject_name": f"湖南示例{n}有限公司"} for n in range(1, 5)]
    office.deliver("test_arrears", *named, day=1)
    mistyped = named[2] | {"uscc": uscc(77), "arrears_balance": 300}
    account = office.deliver("test_arrears", *named[:2], mistyped, named[0] | {"uscc": uscc(78)}, day=2)
    assert counts(account) == (0, 0, 2, 2)
    assert balances(office) == {1: 100, 2: 100, 3: 100}
    assert "待关联" in findings(office)["full.spared"]
    office.deliver("test_arrears", *named[:2], mistyped | {"uscc": uscc(3)}, day=3)
    assert balances(office) == {1: 100, 2: 100, 3: 300}
    office.deliver("test_arrears", *named[:2], arrears(79), day=4)  # a new subject names no record
    assert balances(office) == {1: 100, 2: 100}


def test_another_record_of_a_refused_rows_subject_is_withdrawn(office: Office) -> None:
    other = arrears(3) | {"tax_type_name": "企业所得税"}
    office.deliver("test_arrears", *[arrears(n) for n in range(1, 4)], other, day=1)
    office.deliver("test_arrears", arrears(1), arrears(2), arrears(3, "不详"), day=2)
    office.publish()
    assert office.table("tax_arrears", "tax_type_name") == [("增值税",)] * 3


@pytest.mark.slow
def test_nothing_is_withdrawn_while_a_refused_row_may_be_anyones(office: Office) -> None:
    office.deliver("test_arrears", *[arrears(n) for n in range(1, 5)], day=1)
    nobody = arrears(3, "不详") | {"uscc": "", "tax_type_name": ""}
    account = office.deliver("test_arrears", arrears(1), arrears(2), nobody, day=2)
    assert (account["verdict"], office.account("test_arrears", -1).withdrawn) == ("warn", 0)
    assert set(balances(office)) == {1, 2, 3, 4}
    said = findings(office)["full.withheld"]
    assert "有 1 行被拒收" in said and "共 2 条" in said
    office.deliver("test_arrears", arrears(1), arrears(2), day=3)
    assert set(balances(office)) == {1, 2}


@pytest.mark.parametrize("kind", ["xml", "json", "csv", "jsonl"])
def test_a_full_file_that_ends_in_the_middle_is_held(office: Office, kind: str) -> None:
    rows = [arrears(n) for n in range(1, 9)]
    headers = list(rows[0])
    file = {"format": kind, **({"records": "D/R"} if kind == "xml" else {})}
    whole = {
        "xml": "<D>"
        + "".join("<R>" + "".join(f"<{k}>{v}</{k}>" for k, v in r.items()) + "</R>" for r in rows)
        + "</D>",
        "json": json.dumps(rows, ensure_ascii=False),
        "csv": "\n".join(",".join(map(str, r)) for r in (headers, *(r.values() for r in rows))),
        "jsonl": "\n".join(json.dumps(r, ensure_ascii=False) for r in rows),
    }[kind].encode()
    office.contract("test_arrears", "tax_arrears", ARREARS, mode="full", file=file)
    received = [office.folder / f"{n}.{kind}" for n in range(3)]
    received[0].write_bytes(whole)
    assert counts(office.ingest("test_arrears", received[0]))[1] == 0
    before = balances(office)
    for path, size in ((received[1], 30), (received[2], 18)):
        path.write_bytes(whole[:-size])
        account = office.ingest("test_arrears", path)
        assert account["verdict"] == "hold"
        said = office.verdict("test_arrears", account["batch_id"])
        assert re.search("中断|断开", said.findings[0].message)
    assert balances(office) == before


@pytest.mark.slow
def test_a_late_older_notice_withdraws_nothing_refused_later(office: Office) -> None:
    office.deliver("test_arrears", arrears(1), arrears(3), day=0)
    office.deliver("test_arrears", arrears(1), arrears(2, "不详"), day=5)
    office.deliver("test_arrears", arrears(1), arrears(2, 70), arrears(3), day=4)
    assert balances(office) == {1: 100, 2: 70}


def test_a_full_delivery_that_shrinks_to_less_than_half_is_held(office: Office) -> None:
    office.deliver("test_arrears", *[arrears(n) for n in range(1, 6)], day=1)
    account = office.deliver("test_arrears", arrears(1), arrears(2), day=2)
    assert (account["verdict"], counts(account)) == ("hold", (0, 2, 0, 0))
    assert len(balances(office)) == 5


def test_an_empty_full_delivery_is_held(office: Office) -> None:
    office.deliver("test_arrears", arrears(1), day=1)
    assert office.deliver("test_arrears", day=2)["verdict"] == "hold"
    assert balances(office) == {1: 100}


@pytest.mark.slow
def test_a_late_linked_row_of_an_old_notice_is_not_published(office: Office) -> None:
    office.deliver("test_arrears", arrears(1), arrears(9), day=1)
    office.deliver("test_arrears", arrears(1), day=2)
    office.deliver("test_reg", company(9), day=3)
    assert balances(office) == {1: 100}
    assert counts(office.account("test_arrears")) == (2, 0, 0, 0)


@pytest.mark.slow
def test_a_late_subject_gets_the_balance_of_the_newest_notice(office: Office) -> None:
    office.deliver("test_arrears", arrears(1), arrears(9, 900), day=1)
    office.deliver("test_arrears", arrears(1), arrears(9, 950), day=2)
    office.deliver("test_reg", company(9), day=3)
    assert balances(office) == {1: 100, 7: 950}


@pytest.mark.slow
def test_an_old_notice_that_waited_replaces_no_newer_balance(office: Office) -> None:
    first = arrears(1, 900) | {"uscc": "", "tax_no": "430102" + uscc(9)[8:17]}
    office.deliver("test_arrears", first, arrears(2), day=1)
    office.deliver("test_arrears", arrears(9, 950), arrears(2), day=2)
    office.deliver("test_reg", company(9), day=3)
    assert balances(office) == {2: 100, 7: 950}


def test_an_older_notice_that_arrives_late_changes_nothing(office: Office) -> None:
    office.deliver("test_arrears", arrears(1), arrears(2), day=5)
    before = balances(office)
    account = office.deliver("test_arrears", arrears(1, 70), arrears(3, 30), day=4)
    assert counts(account) == (2, 0, 0, 0)
    assert balances(office) == before


def test_a_notice_between_two_equal_ones_changes_nothing(office: Office) -> None:
    office.deliver("test_arrears", arrears(1), arrears(2), day=1)
    office.deliver("test_arrears", arrears(1), arrears(2), arrears(3), day=3)
    office.deliver("test_arrears", arrears(1, 50), arrears(3), arrears(4), day=2)
    assert balances(office) == {1: 100, 2: 100, 3: 100}


def test_a_register_without_a_subject_withdraws_its_record_only(office: Office) -> None:
    office.contract("test_full", "registration", REGISTRATION, mode="full")
    office.deliver("test_full", company(1), company(11), day=1)
    office.deliver("test_full", company(1), day=2)
    office.publish()
    assert len(office.table("registration")) == 7
    assert len(office.table("subject")) == 7


@pytest.mark.slow
def test_a_balance_of_zero_is_settled(office: Office) -> None:
    office.deliver("test_arrears", arrears(1), arrears(2), arrears(3, "0"), day=1)
    assert balances(office) == {1: 100, 2: 100}
    assert counts(office.deliver("test_arrears", arrears(1, "0.00"), arrears(2), day=2)) == (1, 0, 1, 0)
    assert balances(office) == {2: 100}
    office.deliver("test_arrears", arrears(1, 30), arrears(2), day=3)
    assert balances(office) == {1: 30, 2: 100}


def test_a_missing_balance_is_not_a_balance_of_zero(office: Office) -> None:
    office.deliver("test_arrears", arrears(1), arrears(2), day=1)
    assert counts(office.deliver("test_arrears", arrears(1, ""), arrears(2), day=2)) == (0, 1, 1, 0)
    assert balances(office) == {1: 100, 2: 100}, "kept like that of any unusable row; the department hears of it"


def test_balances_of_several_periods_and_taxes_are_own_records(office: Office) -> None:
    names = (*ARREARS, "period_from_on", "period_to_on")
    office.contract("test_periods", "tax_arrears", names, mode="full")
    first = arrears(1) | {"period_from_on": "2025-01-01", "period_to_on": "2025-03-31"}
    second = arrears(1, 40) | {"period_from_on": "2025-04-01", "period_to_on": "2025-06-30"}
    other = second | {"tax_type_name": "企业所得税", "arrears_balance": 7}
    assert counts(office.deliver("test_periods", first, second, other, day=1)) == (3, 0, 0, 0)
    office.publish()
    assert office.table("tax_arrears", "arrears_balance_yuan::INT") == [(7,), (40,), (100,)]
    assert counts(office.deliver("test_periods", second | {"arrears_balance": 15}, other, day=2)) == (1, 0, 1, 0)
    office.publish()
    assert office.table("tax_arrears", "arrears_balance_yuan::INT") == [(7,), (15,)]


def test_an_older_notice_without_balance_settles_no_newer_one(office: Office) -> None:
    office.deliver("test_arrears", arrears(1), arrears(2), day=5)
    office.deliver("test_arrears", arrears(1, 0), arrears(2), day=4)
    assert balances(office) == {1: 100, 2: 100}


@pytest.mark.slow
def test_an_old_list_that_comes_again_is_held_until_released(office: Office) -> None:
    first = office.write("test_arrears", (arrears(1), arrears(2)), day=1)
    office.ingest("test_arrears", first)
    office.deliver("test_arrears", arrears(1), arrears(2), arrears(3), day=2)
    again = first.with_name(f"copy-{first.name}")
    again.write_bytes(first.read_bytes())  # of now
    account = office.ingest("test_arrears", again)
    said = office.verdict("test_arrears", account["batch_id"])
    assert (said.status, said.findings[0].rule) == ("hold", "delivery.restated")
    assert balances(office) == {1: 100, 2: 100, 3: 100}
    contract = office.contracts["test_arrears"]
    landed = pipeline.batch(Home(office.settings), "test_arrears", account["batch_id"])
    assert landed.restates == office.account("test_arrears").batch_id
    pipeline.release(Home(office.settings, Clock(START)), contract, landed, "部门确认名单已恢复原样", "甲")
    pipeline.admit(Home(office.settings, Clock(START)), contract, landed)
    said = pipeline.Approval("发布", "已核对", "乙", START.isoformat())
    pipeline.publish(Home(office.settings, Clock(START + timedelta(days=3))), office.contracts, said)
    assert balances(office) == {1: 100, 2: 100}
