"""The stages: each may be run again, leaves alone what others do, and says what is not right."""

from pathlib import Path

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.connectors.files.drop import file_delivery
from chengxin.errors import CommitConflict, ContractError, DeliveryCorrupt, InvariantBroken
from chengxin.home import Home
from chengxin.store import journal, lock
from chengxin.store.scratch import scratch, sweep
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    return office


def test_every_stage_may_be_run_again(office: Office) -> None:
    contract, settings, clock = office.contracts["test_reg"], office.settings, Clock()
    path = office.write("test_reg", [company(1)], day=0)
    landed = [
        pipeline.land(Home(settings, clock), contract, file_delivery(Home(settings, clock), contract, path))
        for _ in range(2)
    ]
    assert landed[0] == landed[1]
    assert pipeline.pending(Home(settings), contract) == [landed[0]]
    assert pipeline.batch(Home(settings), "test_reg", landed[0].batch_id) == landed[0]
    assert pipeline.standardise(Home(settings), contract, landed[0]) == pipeline.standardise(
        Home(settings), contract, landed[0]
    )
    assert pipeline.validate(Home(settings, clock), contract, landed[0]) == pipeline.validate(
        Home(settings, clock), contract, landed[0]
    )
    assert pipeline.admit(Home(settings, clock), contract, landed[0]) == pipeline.admit(
        Home(settings, clock), contract, landed[0]
    )
    assert pipeline.pending(Home(settings), contract) == []


def test_stages_out_of_turn_are_refused(office: Office) -> None:
    contract, settings, clock = office.contracts["test_reg"], office.settings, Clock()
    path = office.write("test_reg", [company(1)], day=0)
    landed = pipeline.land(Home(settings, clock), contract, file_delivery(Home(settings, clock), contract, path))
    with pytest.raises(InvariantBroken, match="尚未标准化"):
        pipeline.validate(Home(settings, clock), contract, landed)
    with pytest.raises(InvariantBroken, match="尚未校验"):
        pipeline.admit(Home(settings, clock), contract, landed)
    with pytest.raises(DeliveryCorrupt, match="没有名为"):
        pipeline.batch(Home(settings), "test_reg", "test_reg-20260101-000000000000")


@pytest.mark.parametrize(
    ("columns", "ignored", "told"),
    [
        (("subject_name", "uscc", "decision_no"), {}, "必需的数据元 decision_on"),
        (("decision_no", "decision_on"), {}, "没有任何标识"),
        (PENALTY, {"案件": "待定"}, "ignored.案件：尚未决定"),
    ],
)
def test_an_unfinished_contract_takes_no_delivery_in(office: Office, columns, ignored, told) -> None:
    office.contract("test_draft", "penalty", columns, ignored=ignored)
    contract = office.contracts["test_draft"]
    path = office.write("test_draft", [], day=0)
    for stage in (
        lambda: pipeline.land(Home(office.settings), contract, file_delivery(Home(office.settings), contract, path)),
        lambda: pipeline.discover(Home(office.settings), contract),
    ):
        with pytest.raises(ContractError, match=told):
            stage()
    assert not list(office.settings.home.rglob("receipt.json"))


def test_a_held_batch_is_pending_again_under_another_contract(office: Office) -> None:
    contract = office.contracts["test_penalty"]
    office.deliver("test_penalty", *[penalty(n, uscc=uscc(1), decision_on="") for n in range(3)], day=0)
    assert pipeline.pending(Home(office.settings), contract) == []
    office.contract("test_penalty", "penalty", PENALTY, title="改过的合同")
    assert len(pipeline.pending(Home(office.settings), office.contracts["test_penalty"])) == 1


def test_tidying_removes_what_a_kill_left_and_nothing_else(office: Office) -> None:
    office.deliver("test_reg", company(1), day=0)
    batch = office.layout.batch("test_reg", office.account("test_reg").batch_id)
    kept = sorted(p for p in office.settings.home.rglob("*") if p.is_file())
    for stray in (batch / ".building-standard", batch / "links-0001", office.layout.work / "left"):
        stray.mkdir(parents=True)
        (stray / "half.parquet").write_bytes(b"PAR")
    (office.layout.journal / ".building-00000001").write_bytes(b"{")
    assert pipeline.tidy(Home(office.settings)) == 4
    assert sorted(p for p in office.settings.home.rglob("*") if p.is_file()) == kept


def test_tidying_leaves_alone_what_another_process_is_busy_with(office: Office) -> None:
    office.deliver("test_reg", company(1), day=0)
    batch = office.layout.batch("test_reg", office.account("test_reg").batch_id)
    (batch / ".building-standard").mkdir()
    with scratch(office.layout.work) as spill, lock.held(office.layout, "dataset-test_reg"):
        assert pipeline.tidy(Home(office.settings)) == 0
        assert spill.is_dir()
        assert (batch / ".building-standard").is_dir()
    assert not spill.exists()
    assert pipeline.tidy(Home(office.settings)) == 1
    assert sweep(office.layout.work / "nowhere") == 0


def test_a_journal_with_a_gap_stops_everything(office: Office) -> None:
    for n in range(3):
        office.deliver("test_reg", company(n), day=n)
    (office.layout.journal / "00000001.json").unlink()
    with pytest.raises(InvariantBroken, match="缺第 1 条"):
        office.publish()
    with pytest.raises(InvariantBroken):
        office.deliver("test_reg", company(9), day=9)


def test_a_place_in_the_journal_is_taken_once(tmp_path: Path) -> None:
    journal.append(tmp_path / "j", 0, {"a": 1})
    with pytest.raises(CommitConflict):
        journal.append(tmp_path / "j", 0, {"a": 2})
    journal.append(tmp_path / "j", 1, {"b": 1})
    assert journal.entries(tmp_path / "j") == [{"a": 1}, {"b": 1}]
    assert journal.entries(tmp_path / "j", after=0) == [{"b": 1}]
    assert sorted(p.name for p in (tmp_path / "j").iterdir()) == ["00000000.json", "00000001.json"]
