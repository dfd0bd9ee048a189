"""Tell the channels what opened, what is still open after some days, and what is over.

A channel that fails fails nothing else: it is asked again at the next occasion, at the earliest after some minutes. A
process that is killed between telling and noting tells once more.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from chengxin.clock import SHANGHAI, Clock
from chengxin.errors import CommitConflict
from chengxin.home import Home
from chengxin.operations.alerts.book import Book, Entry
from chengxin.operations.alerts.causes import KINDS
from chengxin.operations.alerts.channels import Channel, Notice, channels
from chengxin.settings import Alerts
from chengxin.store import atomic, lock

log = logging.getLogger(__name__)
WORDS = {"opened": "告警", "reminded": "仍未处理", "closed": "已恢复"}
AGAIN_AFTER = timedelta(minutes=5)


def deliver(home: Home, told_by: Sequence[Channel] | None = None) -> int:
    """Describe what is due to each channel; return how many notices went out. Never raises for a channel that fails.

    told_by: the channels, by default those of the settings. One process at a time speaks; the others leave it to it.
    """
    layout = home.layout
    book = Book(layout)
    if not book.entries():
        return 0
    try:
        with lock.held(layout, "alerts-told", seconds=0):
            told_by = channels(home.settings.alerts) if told_by is None else told_by
            return _deliver(book, told_by, home.settings.alerts, home.clock)
    except CommitConflict:
        return 0


def _deliver(book: Book, told_by: Sequence[Channel], rules: Alerts, clock: Clock) -> int:
    troubles = _Troubles(book)
    sent = 0
    for channel in told_by:
        if troubles.too_early(channel.name, clock.now()):
            continue
        try:
            for entry in book.entries():
                if what := due(entry, channel.name, rules.remind_after, clock.now()):
                    channel.tell(notice(entry, what, rules.address))
                    book.record_notice(entry.id, channel.name, what, clock.now())
                    sent += 1
            troubles.over(channel.name)
        except Exception as error:  # a channel may fail in any way, and must not fail a task
            log.warning("告警渠道 %s 未能送出（%s）；下次再送", channel.name, type(error).__name__)
            troubles.note(channel.name, type(error).__name__, clock.now())
    names = {channel.name for channel in told_by}
    for entry in book.entries():
        if entry.closed_at and not any(due(entry, n, rules.remind_after, clock.now()) for n in names):
            book.put_away(entry.id)
    return sent


def due(entry: Entry, channel: str, remind_after: timedelta, now: datetime) -> str | None:
    """Return what a channel is to be told of a cause: opened, reminded, closed; None = nothing.

    A cause that was over before the channel heard of it is not mentioned.
    """
    what, at = entry.told.get(channel, (None, ""))
    if entry.closed_at:
        return "closed" if what in ("opened", "reminded") else None
    if what is None:
        return "opened"
    return "reminded" if now - datetime.fromisoformat(at) >= remind_after else None


def notice(entry: Entry, what: str, address: str) -> Notice:
    """Return what is said of a cause: what happened, whose it is, what to press."""
    cause, kind = entry.cause, KINDS[entry.cause.kind]
    named = "｜".join(part for part in (kind.name, cause.department, cause.title or cause.about) if part)
    lines = [("发生", cause.text), ("部门", cause.department)]
    lines += [("对象", f"{cause.title}（{cause.about}）" if cause.title else cause.about)]
    lines += [("批次", "、".join(entry.items[-10:]) + (f" 等 {len(entry.items)} 个" if len(entry.items) > 10 else ""))]
    lines += [("处理", kind.press)] if what != "closed" else [("恢复", _closed(entry))]
    lines += [("时间", f"{_when(entry.opened_at)} 起，共遇到 {entry.times} 次")]
    lines += [("页面", f"{address}{cause.page}" if address and cause.page else ""), ("编号", entry.id)]
    body = "\n".join(f"{name}：{text}" for name, text in lines if text)
    return Notice(what, f"【诚信湖南】{WORDS[what]}：{named}", body, _facts(entry))


def _facts(entry: Entry) -> dict[str, Any]:
    cause = entry.cause
    return {
        "id": entry.id,
        "kind": cause.kind,
        "about": cause.about,
        "department": cause.department,
        "opened_at": entry.opened_at,
        "closed_at": entry.closed_at,
        "times": entry.times,
        "items": list(entry.items),
    }


def _closed(entry: Entry) -> str:
    return f"{_when(entry.closed_at or '')}" + (f"，由 {entry.closed_by} 处理" if entry.closed_by else "")


def _when(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


class _Troubles:
    """Which channels failed lately, so that not every task waits for a server that is down."""

    def __init__(self, book: Book) -> None:
        self._path = book.folder / "channels.json"
        self._known: dict[str, dict[str, str]] = atomic.read_json(self._path) if self._path.exists() else {}

    def too_early(self, channel: str, now: datetime) -> bool:
        known = self._known.get(channel)
        return known is not None and now - datetime.fromisoformat(known["at"]) < AGAIN_AFTER

    def note(self, channel: str, error: str, now: datetime) -> None:
        self._known[channel] = {"error": error, "at": now.isoformat()}
        atomic.write_json(self._path, self._known)

    def over(self, channel: str) -> None:
        if self._known.pop(channel, None):
            atomic.write_json(self._path, self._known)
