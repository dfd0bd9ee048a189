"""需要处理: what needs somebody, one line a cause, the gravest first.

Held batches and late deliveries are read from the index, so that a line stands there as long as the trouble itself;
what only Airflow's tasks could notice comes from the book of alerts. A cause that both know stands here once.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from chengxin.clock import SHANGHAI
from chengxin.operations.alerts.causes import KINDS
from chengxin.operations.alerts.holds import Hold, hold_of
from chengxin.orchestration.pages import actions, open_alerts
from chengxin.orchestration.paths import PREFIX
from chengxin.orchestration.snapshot import DAG_ID as SNAPSHOT_DAG
from chengxin.store.layout import Layout

#: First who is waited for, then what stands still, then what failed, then what is late. Within a kind the oldest first.
GRAVEST = (
    "approval", "held", "broken", "damaged", "disk", "unpublished", "failed", "aside", "imprecise", "source",
    "contracts", "stuck",
    "overdue", "unkeyed", "unclassed", "acts", "receipts", "waiting", "pending",
)  # fmt: skip
NAMES = {"stuck": "尚无结论", "pending": "尚未发布", **{name: kind.name for name, kind in KINDS.items()}}
CALM = {
    "approval",
    "stuck",
    "overdue",
    "unkeyed",
    "unclassed",
    "acts",
    "receipts",
    "waiting",
    "pending",
}  # nothing is wrong
STUCK = "看领域流程 drain__… 最近的运行在等什么；失败的任务按日志处理后清除（Clear）；挂住的先标记为失败再清除"
_PLACE = re.compile(r"{(\w+)}")
RETRIED = {"failed", "source", "stuck"}  # what a new run of the data set may correct


@dataclass(frozen=True)
class Words:
    """A text of ours with values in it: the Chinese is the key of its English, {name} a value."""

    text: str
    values: Mapping[str, object] = field(default_factory=dict)

    def render(self, translate: Callable[[str], str]) -> str:
        """Return the text in the reader's language."""
        values = {name: f"{v:,}" if isinstance(v, int) else str(v) for name, v in self.values.items()}
        return _PLACE.sub(lambda place: values.get(place[1], place[0]), translate(self.text))


@dataclass(frozen=True)
class Line:
    """One cause. what: whose trouble it is. href: our page of it, or Airflow's where `airflow`.

    since: the day on which the trouble began. days: for how long, in working days where `worked`. brief: in one line;
    texts: the rest, on demand. button: what may be started; opens: a page to go to instead. parts: the single ones,
    where a line stands for several.
    """

    kind: str
    what: Words
    brief: Words
    href: str = ""
    airflow: bool = False
    department: str = ""
    since: date | None = None
    days: int = 0
    worked: bool = False
    texts: tuple[Words, ...] = ()
    press: str = ""
    command: str = ""
    button: actions.Action | None = None
    opens: str = ""
    parts: tuple["Line", ...] = ()

    @property
    def name(self) -> str:
        """Return the kind in Chinese."""
        return NAMES[self.kind]

    @property
    def grave(self) -> bool:
        """Return whether something is wrong, and not only late or waiting for somebody."""
        return self.kind not in CALM

    def actions(self) -> list[actions.Action]:
        """Return what may be started from this line."""
        return [one.button for one in (self, *self.parts) if one.button]


@dataclass(frozen=True)
class Seen:
    """What the page found: rows of the index, the book, Airflow's publication, and who may do what."""

    layout: Layout
    today: date
    held: list[Any]
    late: list[Any]
    stuck: list[Any]
    growing: list[Any]
    problems: list[Any]
    told: list[open_alerts.Open]
    publication: Any
    unpublished: int
    refusal: Any
    drafts: list[str]
    datasets: Collection[str]
    may_start: Callable[[str], bool]
    may_publish: bool
    why_late: Callable[[Any], Words | None]


def lines(seen: Seen) -> list[Line]:
    """Return everything that needs somebody, one line a cause."""
    held, late = _held(seen), _late(seen)
    shown = {("held", r["dataset"], r["batch_id"]) for r in seen.held} | {("overdue", o.dataset, "") for o in seen.late}
    shown |= {("approval", SNAPSHOT_DAG, "")} if seen.publication.asked else set()
    told = [a for a in seen.told if not _is_shown(a, shown)]
    book = {(a.kind, a.about) for a in told}
    found = [
        *_asked(seen), *held, *late, *(_alert(seen, a) for a in told), *_failed(seen, book), *_rest(seen, book),
    ]  # fmt: skip
    return sorted(found, key=lambda line: (GRAVEST.index(line.kind), -line.days, line.department, line.what.text))


def _is_shown(alert: open_alerts.Open, shown: Collection[tuple[str, str, str]]) -> bool:
    items = alert.items if alert.kind == "held" else ("",)
    return any((alert.kind, alert.about, item) in shown for item in items)


def _days(seen: Seen, since: date) -> int:
    return max((seen.today - since).days, 0)


def day_of(instant: str) -> date:
    """Return the Shanghai day of an instant in ISO 8601."""
    return datetime.fromisoformat(instant).astimezone(SHANGHAI).date()


def _asked(seen: Seen) -> Iterable[Line]:
    for one in seen.publication.asked:
        since = day_of(one.since)
        queued = seen.publication.waiting
        brief = Words("另有 {n} 次发布排队等候", {"n": queued}) if queued else Words("核对存疑的批次，决定是否发布")
        yield Line(
            "approval", Words(one.subject), brief, one.href, airflow=True, department="信用中心", since=since,
            days=_days(seen, since), press=KINDS["approval"].press, opens=one.href,
        )  # fmt: skip


def _held(seen: Seen) -> list[Line]:
    """Return a line for each data set and set of broken rules, whose batches stand in its parts."""
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[Any, Hold]]] = {}
    for row in seen.held:
        hold = hold_of(seen.layout, row["dataset"], row["batch_id"])
        groups.setdefault((row["dataset"], hold.rules), []).append((row, hold))
    found = []
    for of in groups.values():
        batches = tuple(_batch(seen, row, hold) for row, hold in of)
        first = batches[-1]  # the oldest
        if len(batches) == 1:
            found.append(first)
            continue
        why = of[0][1].why[0] if of[0][1].why else "–"
        brief = Words("{n} 个批次因同样的问题暂缓：{why}", {"n": len(batches), "why": why})
        href = f"batches?dataset={of[0][0]['dataset']}&state=stopped"
        found.append(replace(first, brief=brief, href=href, texts=(), command="", button=None, parts=batches, press=""))
    return found


def _batch(seen: Seen, row: Any, hold: Hold) -> Line:
    since = day_of(row["received_at"])
    may = hold.releasable and seen.may_start(row["dataset"])
    rows = Words("收到 {n} 行，整批未入库", {"n": row["received"]})
    return Line(
        "held", Words(row["title"] or row["dataset"]), Words(hold.why[0]) if hold.why else rows,
        f"batches/{row['dataset']}/{row['batch_id']}", department=row["department_name"] or "", since=since,
        days=_days(seen, since), texts=(*(Words(why) for why in hold.why[1:]), rows, Words(row["batch_id"])),
        press=KINDS["held"].press if hold.releasable else "没有一行可用，不能放行：请部门更正重报，或改合同后触发流程",
        command=hold.command if hold.releasable else "",
        button=actions.release(row["dataset"], row["batch_id"]) if may else None,
    )  # fmt: skip


def _late(seen: Seen) -> list[Line]:
    """Return a line for each department, whose late data sets stand in its parts."""
    departments: dict[tuple[str, str], list[Line]] = {}
    for one in seen.late:
        departments.setdefault((one.department, one.department_name), []).append(_overdue(seen, one))
    found = []
    for (code, name), of in departments.items():
        if len(of) == 1:
            found.append(of[0])
            continue
        longest = max(of, key=lambda line: line.days)
        names = "、".join(line.what.text for line in of)
        found.append(
            Line(
                "overdue",
                Words("{n} 个数据集", {"n": len(of)}),
                Words(names),
                f"catalogue?{urlencode({'department': code})}",
                department=name,
                since=min(line.since for line in of if line.since),
                days=longest.days,
                worked=True,
                parts=tuple(of),
            )
        )
    return found


def _overdue(seen: Seen, one: Any) -> Line:
    due = {"due": one.due, "last": one.last_day}
    why = seen.why_late(one)
    brief = why or Words("应于 {due} 前送达，最近一次 {last}", due)
    texts = (Words("应于 {due} 前送达，最近一次 {last}", due),) if why else ()
    return Line(
        "overdue", Words(one.title), brief, f"catalogue/{one.dataset}", department=one.department_name,
        since=one.due + timedelta(days=1), days=one.days, worked=True, texts=texts, press=KINDS["overdue"].press,
        button=actions.look(one.dataset) if seen.may_start(one.dataset) else None,
    )  # fmt: skip


def _alert(seen: Seen, one: open_alerts.Open) -> Line:
    """Return the line of what the book knows and the index does not."""
    since, title = day_of(one.since), Words(one.title or one.about or "全部数据集")
    button = None
    if one.kind in RETRIED and one.about in seen.datasets and seen.may_start(one.about):
        button = actions.retry(one.about)
    elif one.kind in {"unpublished", "failed"} and one.about == SNAPSHOT_DAG and seen.may_publish:
        button = actions.publish()
    href = one.href.removeprefix(f"{PREFIX}/") if one.ours else one.href
    first, _, rest = one.text.partition("。")
    texts = [Words(rest)] if rest else []
    texts += [Words("已遇到 {n} 次", {"n": one.times})] if one.times > 1 else []
    return Line(
        one.kind, title, Words(first), href, airflow=bool(href) and not one.ours, department=one.department,
        since=since, days=_days(seen, since), texts=tuple(texts), press=KINDS[one.kind].press, button=button,
        opens="" if button else one.href if not one.ours else "",
    )  # fmt: skip


def _failed(seen: Seen, book: Collection[tuple[str, str]]) -> Iterable[Line]:
    """Return what stands still and no alert has told yet."""
    run = seen.publication.failed_run
    if run and ("unpublished", SNAPSHOT_DAG) not in book:
        href = f"/dags/{SNAPSHOT_DAG}/runs/{run}"
        drafts = (Words("草稿保留备查：{names}", {"names": "、".join(seen.drafts)}),) if seen.drafts else ()
        yield Line(
            "unpublished", Words("发布快照"), Words("最近一次发布失败；已发布的快照不受影响"), href, airflow=True,
            department="信用中心", texts=drafts, press=KINDS["unpublished"].press, opens=href,
            button=actions.publish() if seen.may_publish else None,
        )  # fmt: skip
    for row in seen.problems:
        if ("contracts", row["path"]) not in book:
            yield Line(
                "contracts", Words(row["path"]), Words(row["message"]), "catalogue", press=KINDS["contracts"].press
            )
    for row in seen.stuck:
        since = day_of(row["received_at"])
        yield Line(
            "stuck", Words(row["title"] or row["dataset"]), Words("收到已久，还没有校验结论"),
            f"batches/{row['dataset']}/{row['batch_id']}", department=row["department_name"] or "", since=since,
            days=_days(seen, since), texts=(Words(row["batch_id"]),), press=STUCK,
            button=actions.retry(row["dataset"]) if seen.may_start(row["dataset"]) else None,
        )  # fmt: skip


def _rest(seen: Seen, book: Collection[tuple[str, str]]) -> Iterable[Line]:
    """Return what only wants a look: rows that wait, and batches that will be published by themselves."""
    for row in seen.growing:
        if ("waiting", row["dataset"]) not in book:
            brief = Words("近 7 日 {a} 行，前 7 日 {b} 行", {"a": row["now"], "b": row["before"]})
            yield Line(
                "waiting", Words(row["title"] or row["dataset"]), brief, f"waiting?dataset={row['dataset']}",
                department=row["department_name"] or "", press=KINDS["waiting"].press,
            )  # fmt: skip
    if seen.unpublished:
        said, texts = seen.refusal, []
        if said:
            answer = {"decision": said["decision"], "by": said["by"] or "–", "reason": said["reason"] or "逾时无人作答"}
            texts = [Words("上次答复：{decision}（{by}）：{reason}", answer)]
        yield Line(
            "pending", Words("{n} 个批次", {"n": seen.unpublished}), Words("已入库，等下一次发布"), "/dags/snapshot",
            airflow=True, department="信用中心", texts=tuple(texts), opens="" if seen.may_publish else "/dags/snapshot",
            press="下次有批次入库时发布或再次送审，至迟每日 6:30；不必等的，触发发布流程。",
            button=actions.publish() if seen.may_publish else None,
        )  # fmt: skip
