"""绩效考评: the place for the departments' monthly scorecards. None are issued yet."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from chengxin.orchestration.pages.access import ReaderDep
from chengxin.orchestration.pages.rendering import page

router = APIRouter()


@router.get("/scorecards")
def scorecards(request: Request, reader: ReaderDep) -> Response:
    """Show the scorecards."""
    return page(request, reader, "scorecards.html.j2", section="scorecards")
