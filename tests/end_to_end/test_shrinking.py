"""A full delivery that shrank suspiciously waits for a person, who may let it in with a reason."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from pipeline_runs import chengxin

from chengxin.operations.alerts.holds import hold_of
from deliveries import ARREARS, REGISTRATION, START, Office, built_once, company, counts, uscc

SMALL = {"quality": {"min_rows": 1, "quarantined": {"warn": 0.9, "hold": 0.95}}}  # few rows count here


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_arrears", "tax_arrears", ARREARS, mode="full", **SMALL)
    office.deliver("test_reg", *[company(n) for n in range(1, 31)], day=0)
    office.deliver("test_arrears", *[arrears(n) for n in range(1, 31)], day=1)
    return office


def arrears(n: int) -> dict[str, object]:
    return {"uscc": uscc(n), "tax_type_name": "增值税", "arrears_balance": 100, "authority_name": "示例税务局",
            "published_on": "2026-02-01"}  # fmt: skip


def published(office: Office) -> int:
    office.publish()
    return len(office.table("tax_arrears"))


def findings(office: Office, account: dict[str, object]) -> dict[str, str]:
    shown = chengxin(office.settings.home, office.settings.contracts, "quarantine", "test_arrears")
    held = [r for r in shown["rows"] if r.get("held") and r["batch_id"] == account["batch_id"]]
    return {r["rule"]: r["zh"] for h in held for r in h["reasons"]}


def test_a_held_full_delivery_states_missing_rows_and_remedy(office: Office) -> None:
    account = office.deliver("test_arrears", *[arrears(n) for n in range(1, 11)], day=2)
    assert (account["verdict"], counts(account)) == ("hold", (0, 10, 0, 0))
    said = findings(office, account)
    assert list(said) == ["volume.shrink"]
    assert "本次 10 行，比上一次全量的 30 行少 20 行（66.7%）" in said["volume.shrink"]
    assert "chengxin release" in said["volume.shrink"]
    assert published(office) == 30


def test_a_released_delivery_is_admitted_once_with_its_reason(office: Office) -> None:
    held = office.deliver("test_arrears", *[arrears(n) for n in range(1, 11)], day=2)["batch_id"]
    settings = office.settings
    call = ("release", "test_arrears", held, "--reason", "已电话核实，<清欠>专项行动")
    assert "暂缓，待处理" in office.page("test_arrears", held)
    done = chengxin(settings.home, settings.contracts, *call, "--by", "甲", code=3)
    page = office.page("test_arrears", held)
    assert "已人工放行" in page
    assert "已电话核实，&lt;清欠&gt;专项行动" in page
    assert "暂缓，待处理" not in page
    assert "本次 10 行，比上一次全量的 30 行少 20 行" in page  # what the person has looked at stays
    assert (done["batches"][0]["verdict"], counts(done["batches"][0])) == ("warn", (0, 0, 10, 0))
    account = office.account("test_arrears", 1)
    assert account.released
    assert (account.released.reason, account.released.by) == ("已电话核实，<清欠>专项行动", "甲")
    assert account.withdrawn == 20
    again = chengxin(settings.home, settings.contracts, *call[:-1], "又一次", "--by", "丙", code=3)
    assert (again["batches"], again["snapshot"]) == (done["batches"], None)
    assert office.account("test_arrears", 1) == account
    assert office.page("test_arrears", held) == page
    assert chengxin(settings.home, settings.contracts, "verify")["problems"] == []


def test_another_person_approves_what_was_released(office: Office) -> None:
    assert published(office) == 30
    held = office.deliver("test_arrears", *[arrears(n) for n in range(1, 11)], day=2)["batch_id"]
    settings = office.settings
    said = ("release", "test_arrears", held, "--reason", "已电话核实", "--by", "甲")
    done = chengxin(settings.home, settings.contracts, *said, code=3)
    assert done["snapshot"] is None, "released, and so far one person has looked at it"
    assert [(a["batch_id"], a["released"]["by"]) for a in done["awaiting"]] == [(held, "甲")]
    assert len(office.table("tax_arrears")) == 30
    approve = ("publish", "--reason", "已对照公告核对")
    for wrong in (("--approve-as", "甲"), ()):
        chengxin(settings.home, settings.contracts, *approve, *wrong, code=2)
    assert chengxin(settings.home, settings.contracts, "publish", code=3)["snapshot"] is None
    assert chengxin(settings.home, settings.contracts, *approve, "--approve-as", "乙")["snapshot"] is not None
    assert len(office.table("tax_arrears")) == 10
    extra = json.loads((office.snapshot() / "manifest.json").read_text())["basis"]
    assert (extra["approval"]["by"], extra["approval"]["reason"]) == ("乙", "已对照公告核对")


def test_the_delivery_after_a_release_is_compared_with_it(office: Office) -> None:
    held = office.deliver("test_arrears", *[arrears(n) for n in range(1, 11)], day=2)["batch_id"]
    assert office.deliver("test_arrears", *[arrears(n) for n in range(1, 10)], day=3)["verdict"] == "hold"
    settings = office.settings
    chengxin(settings.home, settings.contracts, "release", "test_arrears", held, "--reason", "核实", "--no-publish")
    assert office.deliver("test_arrears", *[arrears(n) for n in range(2, 12)], day=4)["verdict"] == "accept"
    assert published(office) == 30, "nobody else has approved it"
    chengxin(settings.home, settings.contracts, "publish", "--approve-as", "乙", "--reason", "已核对")
    assert len(office.table("tax_arrears")) == 10


def test_a_small_loss_is_a_warning_or_more_by_contract(office: Office) -> None:
    assert office.deliver("test_arrears", *[arrears(n) for n in range(1, 26)], day=2)["verdict"] == "warn"
    assert published(office) == 25
    strict = {"quality": {"min_rows": 1, "shrink": {"warn": 0.01, "hold": 0.1}}}
    office.contract("test_arrears", "tax_arrears", ARREARS, mode="full", **strict)
    assert office.deliver("test_arrears", *[arrears(n) for n in range(1, 22)], day=3)["verdict"] == "hold"


def test_a_late_full_delivery_is_compared_with_its_predecessor(office: Office) -> None:
    office.deliver("test_arrears", *[arrears(n) for n in range(1, 29)], day=5)
    office.deliver("test_arrears", *[arrears(n) for n in range(1, 31)], day=3)
    late = office.deliver("test_arrears", *[arrears(n) for n in range(1, 30)], day=4)
    assert late["verdict"] == "accept"
    assert published(office) == 28


def test_an_empty_full_delivery_can_be_released(office: Office) -> None:
    held = office.deliver("test_arrears", day=2)
    assert (held["verdict"], held["received"]) == ("hold", 0)
    settings = office.settings
    assert hold_of(office.layout, "test_arrears", held["batch_id"]).releasable, "the pages offer it"
    done = chengxin(
        settings.home, settings.contracts, "release", "test_arrears", held["batch_id"], "--reason", "全部清缴", code=3
    )
    assert done["batches"][0]["verdict"] == "warn"
    chengxin(settings.home, settings.contracts, "publish", "--approve-as", "乙", "--reason", "已核对")
    assert office.table("tax_arrears") == []


def test_a_batch_without_a_usable_row_cannot_be_released(office: Office) -> None:
    rows = [arrears(n) | {"arrears_balance": "不详"} for n in range(1, 31)]
    held = office.deliver("test_arrears", *rows, day=2)["batch_id"]
    settings = office.settings
    chengxin(settings.home, settings.contracts, "release", "test_arrears", held, "--reason", "试", code=1)
    assert published(office) == 30


ENDS_IN_WORDS = ("uscc", "tax_type_name", "arrears_balance", "published_on", "authority_name")


def cut(office: Office, day: int, *, rows: int, within: int = 0) -> dict[str, object]:
    """Deliver the list as it arrives when only so many rows come through, and of the last one not the end."""
    path = office.write("test_arrears", [arrears(n) for n in range(1, rows + 1)], day=day, columns=ENDS_IN_WORDS)
    path.write_bytes(path.read_bytes()[:-within] if within else path.read_bytes())
    at = (START + timedelta(days=day)).timestamp()
    os.utime(path, (at, at))
    return office.ingest("test_arrears", path)


def test_a_full_list_torn_in_its_last_value_lacking_rows_is_held(office: Office) -> None:
    account = cut(office, 2, rows=29, within=5)
    assert (account["verdict"], counts(account)) == ("hold", (0, 29, 0, 0))
    said = findings(office, account)["delivery.unended"]
    assert "没有以换行结束（上一次全量的有），并比上一次少 1 行" in said and "chengxin release" in said
    assert published(office) == 30


def test_a_list_that_never_ends_its_last_row_may_get_shorter(office: Office) -> None:
    assert cut(office, 2, rows=30, within=2)["verdict"] == "accept"
    assert cut(office, 3, rows=29, within=2)["verdict"] == "accept"
    assert published(office) == 29


def test_a_list_cut_at_a_row_end_is_seen_by_its_size_only(office: Office) -> None:
    assert cut(office, 2, rows=14)["verdict"] == "hold"
    assert cut(office, 3, rows=26)["verdict"] == "warn"
    assert cut(office, 4, rows=25)["verdict"] == "accept"
    assert published(office) == 25
