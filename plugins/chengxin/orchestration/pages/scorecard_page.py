"""绩效考评: the issued monthly scorecards, with charts; the frozen page itself in a frame of its own."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import FileResponse, Response

from chengxin.orchestration.pages.access import IndexDep, Reader, ReaderDep
from chengxin.orchestration.pages.batches import REPORT_POLICY
from chengxin.orchestration.pages.rendering import page

router = APIRouter()
SCOPES = (("departments", "各部门"), ("prefectures", "各市州"))


@dataclass(frozen=True)
class Scope:
    """Departments or prefectures: the month's entries, the chart, and the months with the scores in them."""

    title: str
    entries: list[dict[str, Any]]
    chart: dict[str, Any]
    months: list[str]
    history: list[dict[str, Any]]


_Month = Annotated[str, Query(pattern=r"^(\d{6})?$")]


@router.get("/scorecards")
def scorecards(request: Request, reader: ReaderDep, home: IndexDep, month: _Month = "") -> Response:
    """Show the scorecard of a month, by default the newest, and the months before it."""
    from chengxin.operations.index import scorecards as kept

    _whole(reader)
    months = kept.months(home.layout)
    chosen = month if month in months else months[0] if months else ""
    body = kept.issued(home.layout, chosen) if chosen else {}
    scopes = []
    for scope, title in SCOPES if chosen else ():
        if body.get(scope):
            shown, entries = kept.history(home.layout, chosen, scope)
            chart = _lines(shown, entries) if len(shown) > 1 else _bars(body[scope])
            scopes.append(Scope(title, body[scope], chart, shown, entries))
    return page(
        request, reader, "scorecards.html.j2", section="scorecards", months=months, month=chosen, body=body,
        scopes=scopes,
    )  # fmt: skip


@router.get("/scorecards/{month}/frozen")
def frozen(reader: ReaderDep, home: IndexDep, month: str) -> Response:
    """Return the page that was frozen when the scorecard was issued."""
    _whole(reader)
    from chengxin.operations.index import scorecards as kept

    if month not in kept.months(home.layout):
        raise HTTPException(404, "该月没有已定稿的绩效考评 (no scorecard of this month)")
    path = home.layout.home / "scorecards" / month / "scorecard.html"
    return FileResponse(path, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY})


def _whole(reader: Reader) -> None:
    if reader.only is not None:
        raise HTTPException(403, "绩效考评涉及全部数据集 (the scorecard is about all data sets)")


def _lines(months: list[str], entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the chart of scores over months, a line for each entry."""
    return {
        "xAxis": {"type": "category", "boundaryGap": False, "data": [f"{m[:4]}-{m[4:]}" for m in months]},
        "yAxis": {"type": "value", "max": 100, "scale": True},
        "series": [
            {
                "type": "line",
                "name": entry["name"],
                "data": [cell and cell["score"] for cell in entry["cells"]],
                "connectNulls": True,
                "symbolSize": 6,
            }
            for entry in entries
        ],
    }


def _bars(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the chart of scores, the best at the top."""
    scored = sorted((e for e in entries if e["score"] is not None), key=lambda e: (e["score"], e["code"]))
    return {
        "xAxis": {"type": "value", "max": 100},
        "yAxis": {"type": "category", "data": [e["name"] for e in scored]},
        "legend": {"show": False},
        "series": [{"type": "bar", "barMaxWidth": 18, "colour": "blue", "data": [e["score"] for e in scored]}],
    }
