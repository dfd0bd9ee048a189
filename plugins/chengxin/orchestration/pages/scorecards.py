"""绩效考评: the issued monthly scorecards, with charts; the frozen page itself in a frame of its own."""

import json
import re
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import FileResponse, Response

from chengxin.orchestration.pages.access import OverviewDep, Reader, ReaderDep
from chengxin.orchestration.pages.batches import REPORT_POLICY
from chengxin.orchestration.pages.rendering import page

router = APIRouter()
SCOPES = (("departments", "各部门"), ("prefectures", "各市州"))
_Month = Annotated[str, Query(pattern=r"^(\d{6})?$")]


@router.get("/scorecards")
def scorecards(request: Request, reader: ReaderDep, home: OverviewDep, month: _Month = "") -> Response:
    """Show the scorecard of a month, by default the newest."""
    _whole(reader)
    months = _months(home)
    chosen = month if month in months else months[0] if months else ""
    body = json.loads((home.layout.home / "scorecards" / chosen / "scorecard.json").read_bytes()) if chosen else {}
    scopes = [(scope, title, body[scope], _bars(body[scope])) for scope, title in SCOPES if body.get(scope)]
    return page(
        request,
        reader,
        "scorecards.html.j2",
        section="scorecards",
        months=months,
        month=chosen,
        body=body,
        scopes=scopes,
    )


@router.get("/scorecards/{month}/frozen")
def frozen(reader: ReaderDep, home: OverviewDep, month: str) -> Response:
    """Return the page that was frozen when the scorecard was issued."""
    _whole(reader)
    if month not in _months(home):
        raise HTTPException(404, "该月没有已定稿的绩效考评 (no scorecard of this month)")
    path = home.layout.home / "scorecards" / month / "scorecard.html"
    return FileResponse(path, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY})


def _whole(reader: Reader) -> None:
    if reader.only is not None:
        raise HTTPException(403, "绩效考评涉及全部数据集 (the scorecard is about all data sets)")


def _months(home: Any) -> list[str]:
    paths = (home.layout.home / "scorecards").glob("*/scorecard.json")
    return sorted((p.parent.name for p in paths if re.fullmatch(r"\d{6}", p.parent.name)), reverse=True)


def _bars(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the chart of scores, the best at the top."""
    scored = sorted((e for e in entries if e["score"] is not None), key=lambda e: (e["score"], e["code"]))
    return {
        "xAxis": {"type": "value", "max": 100},
        "yAxis": {"type": "category", "data": [e["name"] for e in scored]},
        "legend": {"show": False},
        "series": [{"type": "bar", "barMaxWidth": 18, "colour": "blue", "data": [e["score"] for e in scored]}],
    }
