"""What needs somebody: one line a cause, the gravest first, held and late as long as they are so."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from chengxin.operations.alerts.book import Book
from chengxin.operations.alerts.causes import KINDS, Cause
from chengxin.operations.alerts.holds import hold_of
from chengxin.operations.index.arrivals import Overdue
from chengxin.orchestration import forms
from chengxin.orchestration.pages import actions
from chengxin.orchestration.pages.airflow_runs import Publication, Question
from chengxin.orchestration.pages.needs import GRAVEST, NAMES, Line, Seen, Words, lines
from chengxin.orchestration.pages.open_alerts import open_alerts
from chengxin.orchestration.pages.words import english
from chengxin.store.layout import Layout
from deliveries import write_held

TODAY = date(2026, 3, 20)
ASKED = Question("请审批：发布快照（2 项存疑）", "2026-03-19T02:00:00+00:00", "/dags/snapshot/runs/r/required_actions")
QUIET = Publication(None, (), 0, running=False)


def seen(home: Path, **more: Any) -> Seen:
    nothing = Seen(
        layout=Layout(home), today=TODAY, held=[], late=[], stuck=[], growing=[], problems=[], told=[],
        publication=QUIET, unpublished=0, refusal=None, drafts=[], datasets={"a", "pen"},
        may_start=lambda dataset: True, may_publish=True,
        why_late=lambda late: None,
    )  # fmt: skip
    return replace(nothing, told=open_alerts(Layout(home)), **more)


def told(home: Path, *causes: Cause) -> None:
    for n, cause in enumerate(causes):
        Book(Layout(home)).open(cause, datetime(2026, 3, 20, 4, tzinfo=UTC) + timedelta(minutes=n))


@dataclass(frozen=True)
class Batch:
    """A held batch in a home, with what validation left of it."""

    home: Path
    dataset: str
    day: int
    passed: int = 9
    received: int = 10

    @property
    def batch_id(self) -> str:
        return f"{self.dataset}-2026030{self.day}-000000000000"

    def row(self) -> dict[str, Any]:
        folder = Layout(self.home).batch(self.dataset, self.batch_id)
        named = {"dataset": self.dataset, "batch_id": self.batch_id}
        finding = {"rule": "fill.decision_on", "severity": "critical", "message": "填充率 0.0%（此前 99.0%）"}
        (folder / "standard").mkdir(parents=True, exist_ok=True)
        summary = {"received": self.received, "passed": self.passed, "mismatch": None}
        (folder / "standard" / "summary.json").write_text(json.dumps(summary))
        write_held(folder, {**named, "findings": [finding], "status": "hold", "digest": "0"})
        at = f"2026-03-0{self.day}T18:00:00+00:00"  # already the next day in Hunan
        return {"dataset": self.dataset, "batch_id": self.batch_id, "received_at": at, "arrived_at": at,
                "received": self.received, "title": "示例处罚", "department_name": "示例局"}  # fmt: skip


def late(dataset: str, department: str, days: int) -> Overdue:
    return Overdue(dataset, f"数据集{dataset}", department, "daily", "2026-03-01", date(2026, 3, 10), days, department)


def test_every_kind_has_its_place_and_its_name():
    assert set(GRAVEST) == set(NAMES) >= set(KINDS)


def test_approval_held_failed_late_in_that_order(tmp_path: Path):
    told(
        tmp_path,
        Cause("failed", "a", "任务失败"),
        Cause("waiting", "b", "增多"),
        Cause("broken", "snapshot", "账目不平"),
    )
    found = lines(
        seen(
            tmp_path,
            publication=replace(QUIET, asked=(ASKED,)),
            held=[Batch(tmp_path, "pen", 5).row()],
            late=[late("c", "甲局", 3)],
            unpublished=2,
        )
    )
    assert [one.kind for one in found] == ["approval", "held", "broken", "failed", "overdue", "waiting", "pending"]


def test_late_data_sets_are_one_line_a_department(tmp_path: Path):
    nine = [late(f"d{n}", "甲局" if n < 8 else "乙局", n + 1) for n in range(9)]
    many, one = sorted(lines(seen(tmp_path, late=nine)), key=lambda line: line.department != "甲局")
    assert (many.department, many.what.render(str), many.days, len(many.parts)) == ("甲局", "8 个数据集", 8, 8)
    assert (one.what.render(str), one.href, one.days) == ("数据集d8", "catalogue/d8", 9)
    assert {part.href for part in many.parts} == {f"catalogue/d{n}" for n in range(8)}
    assert many.href.startswith("catalogue?department=")
    assert not any(part.airflow for part in (*many.parts, one)), "our page of the data set, not Airflow's"
    assert many.since == date(2026, 3, 11), "since the day after the last one in time, whenever the alert was opened"


def test_a_trouble_in_both_book_and_index_is_shown_once(tmp_path: Path):
    batch = Batch(tmp_path, "pen", 5)
    told(
        tmp_path,
        Cause("held", "pen", "整批暂缓", reason="fill.decision_on", item=batch.batch_id),
        Cause("overdue", "c", "c 未到"),
        Cause("approval", "snapshot", "待批"),
    )
    asked = replace(QUIET, asked=(ASKED,))
    found = lines(seen(tmp_path, held=[batch.row()], late=[late("c", "甲局", 3)], publication=asked))
    assert [line.kind for line in found] == ["approval", "held", "overdue"]
    assert [line.kind for line in lines(seen(tmp_path))] == ["approval", "held", "overdue"], (
        "the book alone says it too"
    )


def test_a_held_batch_says_why_since_when_and_what_to_press(tmp_path: Path):
    (line,) = lines(seen(tmp_path, held=[Batch(tmp_path, "pen", 5).row()]))
    assert line.brief.render(str) == "填充率 0.0%（此前 99.0%）"
    assert (line.since, line.days) == (date(2026, 3, 6), 14)
    assert line.button and line.button.conf == {"action": forms.RELEASE, "batch": "pen-20260305-000000000000"}
    assert line.command.startswith("chengxin release pen pen-20260305-000000000000 --reason ")
    (hidden,) = lines(seen(tmp_path, held=[Batch(tmp_path, "pen", 5).row()], may_start=lambda dataset: False))
    assert hidden.button is None and hidden.command


def test_a_batch_without_a_usable_row_has_no_button(tmp_path: Path):
    (line,) = lines(seen(tmp_path, held=[Batch(tmp_path, "pen", 5, passed=0).row()]))
    assert (line.button, line.command) == (None, "") and "不能放行" in line.press


def test_the_page_of_a_held_batch_offers_what_the_overview_does(tmp_path: Path):
    for passed, received in ((3, 3), (0, 0), (0, 3)):
        batch = Batch(tmp_path / f"{passed}-{received}", "pen", 5, passed=passed, received=received)
        (line,) = lines(seen(batch.home, held=[batch.row()]))
        hold = hold_of(Layout(batch.home), "pen", batch.row()["batch_id"])
        assert actions.of_batch(batch.row(), hold) == ([line.button] if line.button else [])
        assert bool(line.button) == (passed == received), "an empty delivery may be let in, an unusable one not"


def test_batches_held_for_one_reason_are_one_line(tmp_path: Path):
    rows = [Batch(tmp_path, "pen", day).row() for day in (7, 6, 5)]
    (line,) = lines(seen(tmp_path, held=rows))
    assert "3 个批次" in line.brief.render(str) and line.button is None
    assert [part.button is not None for part in line.parts] == [True] * 3
    assert line.since == date(2026, 3, 6), "since the oldest of them"


def test_what_failed_can_be_tried_again_from_its_line(tmp_path: Path):
    told(
        tmp_path,
        Cause("source", "pen", "接口没有回应", page="/dags/ingest__pen"),
        Cause("damaged", "x", "损坏", page="/dags/x"),
    )
    found = {line.kind: line for line in lines(seen(tmp_path))}
    assert found["source"].button and found["source"].button.dag == "ingest__pen"
    assert (found["damaged"].button, found["damaged"].opens) == (None, "/dags/x")
    assert found["source"].airflow and found["source"].href == "/dags/ingest__pen"


def test_a_failed_chore_links_to_airflow_or_to_a_new_start(tmp_path: Path):
    told(
        tmp_path,
        Cause("failed", "housekeeping", "任务失败", page="/dags/housekeeping/runs/r/tasks/expire"),
        Cause("unpublished", "snapshot", "发布失败", page="/dags/snapshot/runs/r/tasks/publish"),
    )
    found = {line.kind: line for line in lines(seen(tmp_path))}
    assert found["failed"].button is None, "there is no DAG ingest__housekeeping"
    assert found["failed"].opens == "/dags/housekeeping/runs/r/tasks/expire"
    assert found["unpublished"].button and found["unpublished"].button.dag == "snapshot"


def test_words_take_values_in_both_languages():
    words = Words(
        "重新检查 {checked} 行：{passed} 行通过，{left} 行仍退回。", {"checked": 1200, "passed": 0, "left": 1200}
    )
    assert words.render(str) == "重新检查 1,200 行：0 行通过，1,200 行仍退回。"
    assert words.render(english) == "1,200 rows checked again: 0 passed, 1,200 still refused."


def test_a_value_that_looks_like_a_place_stays_a_value():
    assert (
        Words("上次答复：{decision}（{by}）：{reason}", {"decision": "不发布", "by": "{reason}", "reason": "x"}).render(
            str
        )
        == "上次答复：不发布（{reason}）：x"
    )


def test_a_line_for_several_counts_the_actions_of_all(tmp_path: Path):
    nine = [late(f"d{n}", "甲局", n + 1) for n in range(3)]
    (line,) = lines(seen(tmp_path, late=nine))
    assert isinstance(line, Line) and len(line.actions()) == 3
