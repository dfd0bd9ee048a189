"""Which failure of which task is which cause, and what closes it."""

import errno
import re
from datetime import date
from types import SimpleNamespace

import pytest

from chengxin import errors
from chengxin.operations.alerts.book import Book
from chengxin.operations.alerts.causes import KINDS
from chengxin.orchestration import (
    alerts,
    collect,
    completeness,
    drain,
    housekeeping,
    ingest,
    outcomes,
    scorecard,
    snapshot,
    watch,
)
from chengxin.publishing.open_tier import derivation
from chengxin.store.layout import Layout
from publishing.government_drafts import NOW, TODAY, Draft

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def book(tmp_path, monkeypatch) -> Book:
    monkeypatch.setenv("CHENGXIN_HOME", str(tmp_path))
    return Book(Layout(tmp_path))


@pytest.mark.parametrize(
    ("dag_id", "task_id", "error", "kind", "about"),
    [
        ("ingest__x", "act", errors.DeliveryCorrupt("坏"), "failed", "x"),
        ("ingest__x", "act", errors.SourceUnavailable("不在"), "source", "x"),
        ("drain__tax", "plan", errors.InvariantBroken("不平"), "broken", "drain__tax"),
        ("drain__tax", "drain", FULL, "disk", ""),
        ("housekeeping", "rehash", errors.DeliveryCorrupt("坏"), "damaged", "housekeeping"),
        ("snapshot", "publish", errors.CommitUnknown("不明"), "unpublished", "snapshot"),
        ("snapshot", "publish", errors.InvariantBroken("不平"), "broken", "snapshot"),
        ("snapshot", "publish", None, "unpublished", "snapshot"),
        ("scorecard", "issue", ValueError("430102199001010000"), "failed", "scorecard"),
    ],
)
def test_a_failure_is_of_one_kind(dag_id, task_id, error, kind, about):
    cause = alerts.of_failure(dag_id, task_id, error)
    assert (cause.kind, cause.about) == (kind, about)
    assert cause.kind in KINDS
    assert "430102199001010000" not in cause.text, "words of errors that are not ours may hold values"


def _ti(task_id: str, failed: int, dag_id: str = "drain__x", map_index: int = -1) -> SimpleNamespace:
    return SimpleNamespace(
        dag_id=dag_id, run_id="r", task_id=task_id, map_index=map_index, get_ti_count=lambda **_: failed
    )


def test_a_failed_task_is_over_when_it_or_its_run_succeeds(book):
    for task in ("plan", "drain"):
        alerts.happened(alerts.of_failure("drain__x", task, errors.ContractError("错")))
    alerts.happened(alerts.of_failure("ingest__other", "act", errors.ContractError("错")))
    alerts.recovered({"ti": _ti("plan", 1)})
    alerts.recovered({"ti": _ti("drain", 1, map_index=0)})
    alerts.recovered({"ti": _ti("settle", 1)})
    left = {(e.cause.about, e.cause.reason.split(":")[0]) for e in book.open_entries()}
    assert left == {("drain__x", "drain"), ("other", "act")}
    alerts.recovered({"ti": _ti("settle", 0)})
    assert {e.cause.about for e in book.open_entries()} == {"other"}


def test_a_task_that_lists_what_has_alerts_of_its_own_opens_none(book):
    alerts.Tell().notify({"ti": _ti("settle", 1), "exception": outcomes.AlreadyTold("两批失败")})
    assert book.open_entries() == []


def test_without_a_home_nothing_is_entered_and_nothing_fails(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("CHENGXIN_HOME", str(tmp_path / "none"))
    alerts.happened(alerts.of_failure("ingest__x", "act", errors.DeliveryCorrupt("坏了")))
    assert "坏了" in caplog.text
    assert not (tmp_path / "none").exists()


def test_a_misconfigured_channel_fails_no_task_and_is_named(book, monkeypatch, caplog):
    monkeypatch.setenv("CHENGXIN_ALERTS", "mail")
    alerts.happened(alerts.of_failure("ingest__x", "act", errors.DeliveryCorrupt("坏了")))
    assert "CHENGXIN_ALERTS_SMTP" in caplog.text
    assert len(book.open_entries()) == 1


def test_every_task_has_a_chinese_name_and_alerts():
    from chengxin.contracts.loader import load
    from chengxin.settings import PROJECT

    contracts = load(PROJECT / "dags" / "contracts").contracts
    monthly = (scorecard.build(), completeness.build(contracts.values()))
    others = (
        collect.build(["tax"]),
        drain.build("tax"),
        snapshot.build(),
        housekeeping.build(),
        watch.build(),
        *monthly,
    )
    for dag in (ingest.build(contracts["tax_arrears"]), *others):
        for task in dag.tasks:
            assert list(task.on_failure_callback) == alerts.CALLBACKS["on_failure_callback"], task.task_id
            assert task.on_success_callback, task.task_id
            word, _, name = task.task_display_name.partition(" ")
            assert re.fullmatch(r"[\u4e00-\u9fff]+", word), "operators read Chinese"
            assert name == task.task_id.rpartition(".")[2], "and find the task in the runbook"
    asked = snapshot.build().get_task("approve")
    assert [type(notifier) for notifier in asked.notifiers] == [alerts.Ask]


def test_an_open_tier_without_persons_is_told_until_it_has_them(book, tmp_path, monkeypatch):
    draft = Draft()
    draft.subject(1, "person", "张示例", born_on=date(1990, 1, 1))
    draft.record("dishonest_person", 1, case_no="(2026)湘01执1号", published_on=date(2026, 3, 1))
    government = draft.publish(tmp_path)
    (tmp_path / "contracts").mkdir()
    monkeypatch.setenv("CHENGXIN_CONTRACTS", str(tmp_path / "contracts"))
    for hour, key, kinds in ((1, None, ["unkeyed"]), (2, b"k" * 32, [])):
        now = NOW.replace(hour=hour)
        derivation.publish_open(Layout(tmp_path), government, token_key=key, now=now, today=TODAY)
        watch.look_round()
        assert [e.cause.kind for e in book.open_entries()] == kinds
