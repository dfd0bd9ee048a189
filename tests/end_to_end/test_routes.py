"""One decision by two routes is one record with two sources: the stated precedence is shown, the other is kept."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from pipeline_runs import chengxin

from chengxin import pipeline
from chengxin.errors import ContractError
from chengxin.home import Home
from deliveries import PENALTY, REGISTRATION, Office, company, counts, lasting, penalty, uscc

STATUS = "delivery_status_code"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    routed(office, "test_province", 1)
    routed(office, "test_city", 2)
    office.deliver("test_reg", company(1), company(2), company(3, region_code="430302"), day=0)
    return office


def routed(office: Office, dataset: str, precedence: int, mode: str = "incremental") -> None:
    delivery = {"mode": mode, "options": {"folder": dataset}}
    delivery |= {"route": {"group": "penalties", "precedence": precedence}} if precedence else {}
    office.contract(dataset, "penalty", (*PENALTY, STATUS), delivery=delivery)


def fine(n: int, content: str, about: int = 1, **more: Any) -> dict[str, Any]:
    return penalty(n, uscc=uscc(about), penalty_content=content, **more)


def shown(office: Office) -> list[tuple[str, str]]:
    office.publish()
    typed = office.table("penalty", "penalty_content, dataset")
    assert office.table("credit_record", "kind").count(("penalty",)) == len(typed)
    return typed


def sources(office: Office) -> list[tuple[str, bool]]:
    return office.table("record_source", "dataset, is_shown")


@pytest.mark.slow
def test_a_delivery_that_only_repeats_a_part_is_published(office: Office) -> None:
    office.deliver("test_province", fine(1, "省"), day=1)
    office.deliver("test_city", fine(1, "市"), day=1)
    before = shown(office)
    # The sources of company 1 are written again as they were; company 3 lies in another part.
    assert counts(office.deliver("test_city", fine(1, "市"), fine(7, "新", 3), day=2)) == (1, 0, 1, 0)
    assert sorted(shown(office)) == sorted([*before, ("新", "test_city")])


def test_a_decision_by_two_routes_is_one_record_with_two_sources(office: Office) -> None:
    assert counts(office.deliver("test_city", fine(1, "市"), fine(2, "仅市"), day=1)) == (2, 0, 0, 0)
    assert counts(office.deliver("test_province", fine(1, "省"), day=2)) == (1, 0, 0, 0)
    assert shown(office) == [("仅市", "test_city"), ("省", "test_province")]
    assert sources(office) == [("test_city", False), ("test_city", True), ("test_province", True)]
    assert office.table("record_source", "DISTINCT kind, department_code, precedence, source_row") == [
        ("penalty", "T-1", 1, 2), ("penalty", "T-1", 2, 2), ("penalty", "T-1", 2, 3)]  # fmt: skip


@pytest.mark.slow
def test_neither_order_of_routes_nor_publication_matters(office: Office) -> None:
    office.deliver("test_province", fine(1, "省"), day=1)
    assert shown(office) == [("省", "test_province")]
    office.deliver("test_city", fine(1, "市"), day=2)
    assert shown(office) == [("省", "test_province")]
    assert sources(office) == [("test_city", False), ("test_province", True)]


@pytest.mark.slow
def test_withdrawal_by_one_route_leaves_the_row_of_the_other(office: Office) -> None:
    office.deliver("test_city", fine(1, "市"), day=1)
    office.deliver("test_province", fine(1, "省"), day=2)
    assert shown(office) == [("省", "test_province")]
    office.deliver("test_province", fine(1, "", **{STATUS: "2"}), day=3)
    assert shown(office) == [("市", "test_city")]
    assert sources(office) == [("test_city", True)]
    office.deliver("test_city", fine(1, "", **{STATUS: "2"}), day=4)
    assert shown(office) == []
    assert sources(office) == []
    office.deliver("test_province", fine(1, "省又"), day=5)
    assert shown(office) == [("省又", "test_province")]


@pytest.mark.slow
def test_a_full_route_withdraws_only_its_own(office: Office) -> None:
    routed(office, "test_full", 3, mode="full")
    office.deliver("test_full", fine(1, "全"), fine(2, "全"), fine(3, "全"), day=1)
    office.deliver("test_city", fine(1, "市"), day=2)
    assert [c for c, _ in shown(office)] == ["全", "全", "市"]
    office.deliver("test_full", fine(2, "全"), fine(4, "全"), day=3)
    assert shown(office) == [("全", "test_full"), ("全", "test_full"), ("市", "test_city")]
    assert sources(office) == [("test_city", True), ("test_full", True), ("test_full", True)]


@pytest.mark.slow
def test_a_correction_by_the_second_route_is_kept_and_not_shown(office: Office) -> None:
    office.deliver("test_province", fine(1, "省"), day=1)
    office.deliver("test_city", fine(1, "市"), day=2)
    shown(office)
    assert counts(office.deliver("test_city", fine(1, "市改"), day=3)) == (1, 0, 0, 0)
    assert shown(office) == [("省", "test_province")]
    rows = dict(office.table("record_source", "dataset, batch_id"))
    assert rows["test_city"] == office.account("test_city", 1).batch_id


def test_a_late_subject_brings_both_routes_together(office: Office) -> None:
    office.deliver("test_city", fine(1, "市", 9), fine(2, "市", 2), day=1)
    office.deliver("test_province", fine(1, "省", 9), day=2)
    assert shown(office) == [("市", "test_city")]
    office.deliver("test_reg", company(9), day=3)
    assert shown(office) == [("市", "test_city"), ("省", "test_province")]
    assert sources(office) == [("test_city", False), ("test_city", True), ("test_province", True)]


@pytest.mark.slow
def test_snapshot_by_snapshot_or_anew_the_bytes_are_the_same(office: Office, tmp_path: Path) -> None:
    for day, (dataset, *rows) in enumerate([
        ("test_city", fine(1, "市"), fine(2, "市", 2), fine(3, "市", 3)),
        ("test_province", fine(1, "省"), fine(4, "省", 3)),
        ("test_city", fine(1, "市改"), fine(5, "市", 3)),
        ("test_province", fine(1, "", **{STATUS: "2"}), fine(3, "省", 3)),
    ]):  # fmt: skip
        office.deliver(dataset, *rows, day=day)
        office.publish(day)
    other = Office(tmp_path / "anew", office.contracts)
    for name in ("landing", "batches", "admissions"):
        shutil.copytree(office.settings.home / name, other.settings.home / name)
    pipeline.publish(Home(other.settings), other.contracts)

    assert lasting(office.snapshot()) == lasting(other.snapshot())
    settings = office.settings
    assert chengxin(settings.home, settings.contracts, "verify")["problems"] == []
    assert chengxin(settings.home, settings.contracts, "publish")["snapshot"] is None


def test_another_precedence_shows_the_other_row_next_time(office: Office) -> None:
    office.deliver("test_city", fine(1, "市"), day=1)
    office.deliver("test_province", fine(1, "省"), day=2)
    assert shown(office) == [("省", "test_province")]
    routed(office, "test_province", 3)
    assert shown(office) == [("市", "test_city")]


def test_a_data_set_with_batches_cannot_change_its_group(office: Office) -> None:
    office.deliver("test_city", fine(1, "市"), day=1)
    routed(office, "test_city", 0)
    with pytest.raises(ContractError, match=r"delivery\.route\.group"):
        office.deliver("test_city", fine(2, "市"), day=2)


def test_without_routes_equal_decisions_stay_two_records(office: Office) -> None:
    office.contract("test_a", "penalty", PENALTY)
    office.contract("test_b", "penalty", PENALTY)
    office.deliver("test_a", fine(1, "甲"), day=1)
    office.deliver("test_b", fine(1, "乙"), day=1)
    assert len(shown(office)) == 2
    assert office.table("record_source") == []


def twins(office: Office, dataset: str, n: int = 0) -> dict[str, str]:
    said = office.verdict(dataset, office.account(dataset, n).batch_id).findings
    return {f.rule: f.observed or "" for f in said if f.rule.startswith("record.")}


@pytest.mark.parametrize("mode", ["incremental", "full"])
@pytest.mark.parametrize(
    "otherwise",
    [{"authority_name": "示例市市监局"}, {"decision_no": "湘示罚〔2026〕001号"}],
    ids=["authority", "number"],
)
def test_a_decision_written_otherwise_by_a_route_is_reported(
    office: Office, mode: str, otherwise: dict[str, Any]
) -> None:
    routed(office, "test_province", 1, mode)
    office.deliver("test_city", fine(1, "市"), fine(2, "市"), fine(3, "市", about=2), day=1)
    office.deliver("test_province", fine(1, "省", **otherwise), fine(2, "省"), fine(4, "省", about=2), day=2)
    assert (twins(office, "test_city"), twins(office, "test_province")) == ({}, {"record.twin": "1"})
    assert len(shown(office)) == 5
    answers = pipeline.answer(Home(office.settings), office.contracts["test_province"])
    (line,) = (answers[-1].folder / "主键相同.csv").read_text("utf-8-sig").splitlines()[1:]
    assert f"{office.account('test_city').batch_id} 批次 test_city-002.csv 第 2 行" in line
    assert "其他渠道" in line


def test_a_decision_the_other_route_withdrew_or_holds_is_no_twin(office: Office) -> None:
    odd = {"authority_name": "示例市市监局"}
    office.deliver("test_city", fine(1, "市"), fine(2, "市"), fine(2, "市", **odd), day=1)
    assert twins(office, "test_city") == {"record.twin": "1"}
    office.deliver("test_city", fine(1, "市", **{STATUS: "2"}), day=2)
    office.deliver("test_province", fine(1, "省", **odd), fine(2, "省"), fine(2, "省", **odd), day=3)
    assert twins(office, "test_province") == {"record.twin": "1"}  # within its own delivery
