"""总览: what arrived, what is late, what needs somebody; and static facts about the index."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from chengxin.facts import COUNTS
from chengxin.orchestration.pages import needs, open_alerts
from chengxin.orchestration.pages.access import IndexDep, ReaderDep
from chengxin.orchestration.pages.airflow_runs import PublicationDep
from chengxin.orchestration.pages.rendering import page, when

router = APIRouter()
DAYS = 30
STUCK_HOURS = 6
SHOWN = 12  # lines; the rest is folded
LOOKED = 50  # drop folders that one page looks into


@router.get("/")
def overview(request: Request, reader: ReaderDep, home: IndexDep, publication: PublicationDep) -> Response:
    """Show the overview."""
    from chengxin.operations.index import arrivals, lists, snapshots

    today, now = home.clock.today(), home.clock.now()
    since = today - timedelta(days=DAYS - 1)
    known = home.datasets() if reader.only is None else sorted(reader.only)
    with home.reading() as connection:
        heat = arrivals.heat(connection, today, DAYS, reader.only)
        overdue = arrivals.overdue(connection, today, reader.only)
        held = lists.held_unresolved(connection, reader.only)
        stuck = lists.stuck(connection, (now - timedelta(hours=STUCK_HOURS)).isoformat(), reader.only)
        growing = lists.growing(connection, today, reader.only)
        problems = lists.problems(connection)
        current = snapshots.current(home.layout, "government")
        last = snapshots.version(connection, "government", current) if current else None
        values: dict[str, Any] = {
            "totals": lists.totals(connection, reader.only),
            "datasets": len(known),
            "daily": _every_day(lists.daily(connection, since, reader.only), since),
            "unpublished": snapshots.unpublished(connection, last, reader.only),
            "refusal": snapshots.refusal(home.layout, last) if reader.only is None else None,
        }
    if publication.asked or publication.running:  # they are about to be published, or somebody is asked
        values["unpublished"] = 0
    found = needs.lines(
        needs.Seen(
            layout=home.layout, today=today, held=held, late=overdue, stuck=stuck, growing=growing, problems=problems,
            told=open_alerts.open_alerts(home.layout, reader.only), publication=publication,
            unpublished=values["unpublished"], refusal=values["refusal"], drafts=snapshots.drafts(home.layout),
            datasets=known,
            may_start=reader.may_start, may_publish=reader.may_publish(), why_late=_why_late(home),
        )
    )  # fmt: skip
    startable = [action for line in found for action in line.actions()]
    return page(
        request, reader, "overview.html.j2", section="", heat=heat, today=today, overdue=overdue, held=held, last=last,
        needs=found, shown=SHOWN, dialogs={action.name: action for action in startable}, **values,
    )  # fmt: skip


def _why_late(home: Any) -> Callable[[Any], needs.Words | None]:
    """Return what tells why a delivery is late, where that lies in its drop folder; only of the first ones."""
    from chengxin.connectors.files.leftovers import leftovers

    looked = iter(range(LOOKED))

    def leftovers_text(late: Any) -> needs.Words | None:
        with home.reading() as connection:
            contract = home.contract(connection, late.dataset)
        left = leftovers(home.home, contract) if contract and next(looked, None) is not None else None
        if left is None:
            return None
        values = {"folder": left.folder, "n": left.files, "at": when(left.newest.isoformat())}
        return needs.Words("报送目录 {folder} 里有 {n} 个未写完的文件，最后写入 {at}：多半没有传完", values)

    return leftovers_text


def _every_day(rows: list[Any], since: date) -> list[dict[str, Any]]:
    """Return one entry a day, zeros where nothing arrived."""
    known = {r["day"]: dict(r) for r in rows}
    days = [(since + timedelta(days=n)).isoformat() for n in range(DAYS)]
    nothing = dict.fromkeys(("batches", *COUNTS), 0)
    return [known.get(day) or {"day": day, **nothing} for day in days]
