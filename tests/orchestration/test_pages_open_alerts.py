"""What the overview shows of the book of alerts: each reader his own, always as the book is now."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from chengxin.operations.alerts.book import Book
from chengxin.operations.alerts.causes import Cause
from chengxin.orchestration.pages.open_alerts import open_alerts
from chengxin.store.layout import Layout

NOW = datetime(2026, 3, 20, 4, tzinfo=UTC)


def book(home: Path, *causes: Cause) -> Layout:
    layout = Layout(home)
    for n, cause in enumerate(causes):
        Book(layout).open(cause, NOW + timedelta(minutes=n))
    return layout


def test_a_reader_hears_of_his_data_sets_only(tmp_path: Path):
    layout = book(tmp_path, Cause("source", "mine", "x"), Cause("source", "other", "x"), Cause("disk", "", "满"))
    assert [a.about for a in open_alerts(layout, {"mine"})] == ["mine"]


def test_what_is_closed_or_met_again_shows_at_once(tmp_path: Path):
    layout = book(tmp_path, Cause("source", "mine", "一"))
    assert [(a.text, a.times) for a in open_alerts(layout)] == [("一", 1)]
    Book(layout).open(Cause("source", "mine", "二"), NOW + timedelta(hours=1))
    assert [(a.text, a.times) for a in open_alerts(layout)] == [("二", 2)]
    Book(layout).close(lambda entry: True, NOW + timedelta(hours=2))
    assert open_alerts(layout) == []


def test_a_page_of_ours_is_told_from_one_of_airflows(tmp_path: Path):
    layout = book(
        tmp_path,
        Cause("held", "a", "x", page="/chengxin/batches/a/b"),
        Cause("failed", "a", "x", page="/dags/ingest__a"),
    )
    assert [(a.kind, a.ours) for a in open_alerts(layout)] == [("held", True), ("failed", False)]
