"""What the trigger form of an ingest DAG does, on a home of files."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.contracts.loader import load
from chengxin.errors import ContractError, DeliveryCorrupt, NotClosable
from chengxin.home import Home
from chengxin.orchestration import stages
from chengxin.quality import evidence
from chengxin.settings import Settings
from chengxin.store.layout import Layout

CONTRACT = """\
format: 1
id: commerce_demo
title: 演示登记信息
department: {code: 43DEMO, name: 演示登记部门}
domain: commerce
kind: registration
basis: {legal: 演示依据, share: 无条件}
delivery: {options: {folder: demo, pattern: "*.csv"}}
columns:
  - {source: 主键, element: source_record_id}
  - {source: 名称, element: subject_name}
  - {source: 统一社会信用代码, element: uscc}
  - {source: 行政区划, element: region_code}
"""
BAD = "长沙示例二商贸有限公司,91430111MAXY00024H,四三零一"
ROWS = f"""\
主键,名称,统一社会信用代码,行政区划
1,长沙示例一科技有限公司,91430100MAXY00016P,430105
2,{BAD}
3,,92430102MAXY200174,430102
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    folder = tmp_path / "contracts" / "commerce"
    folder.mkdir(parents=True)
    (folder / "commerce_demo.yaml").write_text(CONTRACT, "utf-8")
    inbox = tmp_path / "home" / "inbox" / "demo"
    inbox.mkdir(parents=True)
    (inbox / "one.csv").write_text(ROWS, "utf-8")
    (tmp_path / "secret.csv").write_text(ROWS, "utf-8")
    monkeypatch.setenv("CHENGXIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CHENGXIN_CONTRACTS", str(tmp_path / "contracts"))
    return Settings.from_environment()


@pytest.fixture
def contract(settings: Settings):
    return load(settings.contracts).contracts["commerce_demo"]


def land_all(contract, settings):
    clock = Clock(datetime.now(UTC) + timedelta(hours=1))
    for delivery in pipeline.discover(Home(settings), contract):
        pipeline.ingest(Home(settings, clock), contract, pipeline.land(Home(settings, clock), contract, delivery))


def pending(contract):
    return [batch.batch_id for batch in pipeline.pending(Home.from_environment(), contract)]


def names(deliveries):
    return [delivery["name"] for delivery in deliveries]


@pytest.mark.usefixtures("settings")
def test_a_scheduled_run_takes_what_the_source_offers(contract):
    assert names(stages.discover(contract, {"action": "new"})) == ["one.csv"]


def test_more_than_airflow_maps_over_comes_in_several_runs(contract, settings, monkeypatch, caplog):
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")
    for number in (2, 3):
        (settings.home / "inbox" / "demo" / f"one_{number}.csv").write_text(f"{ROWS}9{number},,92430102MAXY200174,\n")
    time.sleep(2.1)  # a file that was touched just now is offered again
    first = stages.discover(contract, {"action": "new"})
    assert names(first) == ["one.csv", "one_2.csv"]
    assert "有 3 个报送待处理，本次运行只处理前 2 个" in caplog.text
    for delivery in first:
        stages.land(contract, delivery)
    assert names(stages.discover(contract, {"action": "new"})) == ["one_3.csv"]


def test_one_file_of_the_inbox_is_taken_whatever_its_name(contract, settings):
    (settings.home / "inbox" / "demo" / "late.txt").write_text(ROWS, "utf-8")
    assert names(stages.discover(contract, {"action": "file", "file": "demo/late.txt"})) == ["late.txt"]


@pytest.mark.parametrize("path", ["../../secret.csv", "/etc/hostname", "demo", "demo/none.csv"])
@pytest.mark.usefixtures("settings")
def test_no_other_file_of_the_machine_can_be_asked_for(contract, path):
    with pytest.raises(DeliveryCorrupt, match="收件箱"):
        stages.discover(contract, {"action": "file", "file": path})


@pytest.mark.usefixtures("settings")
def test_a_form_without_a_file_is_told_what_is_missing(contract):
    with pytest.raises(ContractError, match="文件"):
        stages.discover(contract, {"action": "file", "file": None})


def test_asking_again_offers_the_landed_without_a_second_batch(contract, settings):
    path = settings.home / "inbox" / "demo" / "one.csv"
    earlier = datetime.now(UTC) - timedelta(days=3)
    os.utime(path, (earlier.timestamp(), earlier.timestamp()))
    land_all(contract, settings)
    since = (earlier - timedelta(hours=1)).isoformat()
    again = stages.discover(contract, {"action": "since", "since": since})
    assert names(again) == ["one.csv"]
    assert stages.land(contract, again[0]) in {p.name for p in (settings.home / "landing" / "commerce_demo").iterdir()}
    assert pending(contract) == []
    later = (earlier + timedelta(hours=1)).isoformat()
    assert stages.discover(contract, {"action": "since", "since": later}) == []


def test_the_same_content_under_another_name_is_said_to_be_known(contract, settings, caplog):
    caplog.set_level("INFO")
    land_all(contract, settings)
    (settings.home / "inbox" / "demo" / "again.csv").write_text(ROWS, "utf-8")
    (again,) = stages.discover(contract, {"action": "file", "file": "demo/again.csv"})
    known = stages.land(contract, again)
    assert f"来文 again.csv 的内容与已收到的 one.csv 相同，不另成批次（{known}）" in caplog.text


HELD = "主键,名称,统一社会信用代码,行政区划\n" + "".join(f"{n},,92430102MAXY200174,430102\n" for n in range(3))
STRICT = "quality: {fill: {subject_name: 0.8}}\n"


@pytest.mark.usefixtures("contract")
def test_a_held_batch_is_released_with_reason_and_name(settings):
    file = settings.contracts / "commerce" / "commerce_demo.yaml"
    column = "element: subject_name"
    file.write_text(CONTRACT.replace(column, f"{column}, required: false") + STRICT, "utf-8")
    strict = load(settings.contracts).contracts["commerce_demo"]
    (settings.home / "inbox" / "demo" / "one.csv").write_text(HELD, "utf-8")
    land_all(strict, settings)
    (batch,) = [p.name for p in (settings.home / "landing" / "commerce_demo").iterdir()]
    assert pending(strict) == [], "held"
    asked = {"action": "release", "batch": batch, "reason": "已电话核实"}
    said: list[dict] = []
    assert stages.discover(strict, asked, by="zhang", say=said.append) == []
    assert said == [{"action": "release", "batch": batch}]
    assert pending(strict) == [batch]
    released = evidence.read_verdict(Layout(settings.home).validation("commerce_demo", batch)).released
    assert released and (released.reason, released.by) == ("已电话核实", "zhang")
    with pytest.raises(ContractError, match="登录的用户"):
        stages.discover(strict, asked)


@pytest.mark.parametrize(
    "asked", [{"batch": None, "reason": "已核实"}, {"batch": "commerce_demo-20261124-0123456789ab", "reason": "  "}]
)
@pytest.mark.usefixtures("settings")
def test_nothing_is_released_without_a_batch_and_a_reason(contract, asked):
    with pytest.raises(ContractError, match="批次号和理由"):
        stages.discover(contract, {"action": "release", **asked})


def test_a_refused_row_is_settled_with_reason_and_undone(settings):
    file = settings.contracts / "commerce" / "commerce_demo.yaml"
    file.write_text(CONTRACT + "quality: {quarantined: {warn: 0.9, hold: 0.95}}\n", "utf-8")
    contract = load(settings.contracts).contracts["commerce_demo"]
    land_all(contract, settings)
    (batch,) = [p.name for p in (settings.home / "landing" / contract.id).iterdir()]
    folder = Layout(settings.home).closings(contract.id)
    asked = {"batch": batch, "rows": "4", "reason": "名称确无"}
    with pytest.raises(NotClosable, match="没有这些行：1"):
        stages.discover(contract, {"action": "close", **asked, "rows": "1"}, by="zhang")
    for action, by in (("close", "zhang"), ("reopen", "li")):
        assert stages.discover(contract, {"action": action, **asked}, by=by) == []
    told = [json.loads(p.read_text("utf-8")) for p in sorted(folder.iterdir())]
    assert [(t["by"], t["reopens"], t["reason"]) for t in told] == [
        ("zhang", False, "名称确无"),
        ("li", True, "名称确无"),
    ]
    with pytest.raises(ContractError, match="批次号、行号和理由"):
        stages.discover(contract, {"action": "close", "batch": batch, "reason": "名称确无"}, by="zhang")


@pytest.mark.usefixtures("contract")
def test_replay_lands_the_refused_rows_that_pass_now(settings):
    column = "  - {source: 名称, element: subject_name"
    strict = CONTRACT.replace(f"{column}}}", f"{column}, required: true}}")
    taken = "quality: {quarantined: {warn: 0.9, hold: 0.95}}\n"  # a batch that is held has nothing to replay
    file = settings.contracts / "commerce" / "commerce_demo.yaml"
    file.write_text(strict + taken, "utf-8")
    before = load(settings.contracts).contracts["commerce_demo"]
    land_all(before, settings)
    said: list[dict] = []
    assert stages.discover(before, {"action": "replay", "batch": None}, say=said.append) == []
    assert pending(before) == [], "nothing passes yet"
    file.write_text(CONTRACT.replace(f"{column}}}", f"{column}, required: false}}") + taken, "utf-8")
    mended = load(settings.contracts).contracts["commerce_demo"]
    assert stages.discover(mended, {"action": "replay", "batch": None}, say=said.append) == []
    assert [(one["checked"], one["passed"]) for one in said] == [(2, 0), (2, 1)]
    assert len(pending(mended)) == 1
