"""总览: what arrived, what is late, what needs somebody; and static facts about the index."""

import json
from datetime import date, timedelta
from typing import Any

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Request
from fastapi.responses import Response

from chengxin.orchestration.pages import airflow_runs, alerts
from chengxin.orchestration.pages.access import OverviewDep, ReaderDep
from chengxin.orchestration.pages.rendering import page
from chengxin.orchestration.snapshot import DAG_ID as SNAPSHOT_DAG

router = APIRouter()
DAYS = 30
STUCK_HOURS = 6
SHOWN = 8


@router.get("/")
def overview(request: Request, reader: ReaderDep, home: OverviewDep, session: SessionDep) -> Response:
    """Show the overview."""
    from chengxin.serve.operators import arrivals, lists, snapshots

    today, now = home.clock.today(), home.clock.now()
    since = today - timedelta(days=DAYS - 1)
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
            "datasets": len(home.datasets()) if reader.only is None else len(reader.only),
            "daily": _every_day(lists.daily(connection, since, reader.only), since),
            "unpublished": snapshots.unpublished(connection, last, reader.only),
            "refusal": snapshots.refusal(home.layout, last) if reader.only is None else None,
        }
    publication = airflow_runs.publication(session)
    if publication.asked or publication.running:  # they are about to be published, or somebody is asked
        values["unpublished"] = 0
    told = [a for a in alerts.open_alerts(home.layout, reader.only) if a.kind != "approval" or not publication.asked]
    untold = _Untold(told)
    stopped = [row for row in held if untold("held", row["dataset"], row["batch_id"])]
    late = [one for one in overdue if untold("overdue", one.dataset)]
    growing = [row for row in growing if untold("waiting", row["dataset"])]
    problems = [row for row in problems if untold("contracts", row["path"])]
    failed = publication.failed_run if untold("unpublished", SNAPSHOT_DAG) else None
    needs = [told, problems, late, stopped, stuck, growing, publication.asked, failed, values["unpublished"]]
    reasons = {r["batch_id"]: _why_held(home, r) for r in stopped[:SHOWN]}
    return page(
        request,
        reader,
        "overview.html.j2",
        section="",
        heat=heat,
        today=today,
        overdue=overdue,
        held=held,
        alerts=alerts.by_kind(told),
        late=late,
        stopped=stopped,
        problems=problems,
        failed=failed,
        reasons=reasons,
        stuck=stuck,
        growing=growing,
        last=last,
        publication=publication,
        drafts=snapshots.drafts(home.layout),
        calm=not any(needs),
        shown=SHOWN,
        **values,
    )


class _Untold:
    """What the page sees by itself and no open alert says already; so each trouble stands there once."""

    def __init__(self, told: list[alerts.Open]) -> None:
        self._told = {(a.kind, a.about, item) for a in told for item in a.items or ("",)}

    def __call__(self, kind: str, about: str, item: str = "") -> bool:
        return (kind, about, item) not in self._told


def _why_held(home: Any, row: Any) -> str:
    """Return the first grave finding about a held batch."""
    if row["mismatch"]:
        return str(row["mismatch"])
    try:
        verdict = json.loads((home.layout.validation(row["dataset"], row["batch_id"]) / "verdict.json").read_bytes())
    except (OSError, ValueError):
        return ""
    grave = [f["message"] for f in verdict["findings"] if f["severity"] == "critical"]
    return f"{grave[0]}{'……' if len(grave) > 1 else ''}" if grave else ""


def _every_day(rows: list[Any], since: date) -> list[dict[str, Any]]:
    """Return one entry a day, zeros where nothing arrived."""
    known = {r["day"]: dict(r) for r in rows}
    days = [(since + timedelta(days=n)).isoformat() for n in range(DAYS)]
    nothing = dict.fromkeys(("batches", "received", "accepted", "quarantined", "duplicate", "unlinked"), 0)
    return [known.get(day) or {"day": day, **nothing} for day in days]
