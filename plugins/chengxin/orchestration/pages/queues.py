"""疑问数据 and 未关联数据: the two queues, by data set and row by row, and as CSV."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response, StreamingResponse

from chengxin.orchestration.pages import actions
from chengxin.orchestration.pages.access import IndexDep, ReaderDep, note_values_shown
from chengxin.orchestration.pages.filters import FilterDep, Place, PlaceDep
from chengxin.orchestration.pages.rendering import page
from chengxin.orchestration.pages.words import in_words

router = APIRouter()
KINDS = {"refused": "quarantined", "waiting": "unlinked"}
MOST = 100_000  # rows of one export
RECENT = 30


@router.get("/refused")
def refused(request: Request, reader: ReaderDep, home: IndexDep, wanted: FilterDep, place: PlaceDep) -> Response:
    """Show 疑问数据."""
    return _queue(request, reader, home, wanted, place, kind="refused")


@router.get("/waiting")
def waiting(request: Request, reader: ReaderDep, home: IndexDep, wanted: FilterDep, place: PlaceDep) -> Response:
    """Show 未关联数据."""
    return _queue(request, reader, home, wanted, place, kind="waiting")


@router.get("/refused.csv")
def refused_csv(reader: ReaderDep, home: IndexDep, wanted: FilterDep, raw: bool = False) -> Response:
    """Return 疑问数据 as CSV."""
    return _export("refused", reader, home, wanted, raw)


@router.get("/waiting.csv")
def waiting_csv(reader: ReaderDep, home: IndexDep, wanted: FilterDep, raw: bool = False) -> Response:
    """Return 未关联数据 as CSV."""
    return _export("waiting", reader, home, wanted, raw)


def _permit(reader: Any, wanted: Any, raw: bool, what: str) -> None:
    if wanted.dataset:
        reader.require(wanted.dataset)
    if raw:
        if not wanted.dataset:
            raise HTTPException(400, "查看原始取值须先选定一个数据集 (choose one data set)")
        reader.require_values(wanted.dataset)
        note_values_shown(reader, wanted.dataset, what)


def _queue(request: Request, reader: Any, home: Any, wanted: Any, place: Place, *, kind: str) -> Response:
    from chengxin.operations.index import answers, lists, rows

    raw, start = place.raw, (place.skip, place.after)
    _permit(reader, wanted, raw, kind)
    with home.reading() as connection:
        batches = lists.queued(connection, KINDS[kind], wanted, start[0])
        contracts = partial(home.contract, connection)
        with rows.Rows(home.home) as files:
            if kind == "refused":
                found = rows.refused_page(files, contracts, batches, start, rule=wanted.rule, raw=raw)
            else:
                found = rows.waiting_page(files, contracts, batches, start, raw=raw)
        datasets = lists.datasets(connection, reader.only)
        since = home.clock.today() - timedelta(days=RECENT)
        values: dict[str, Any] = {
            "by_dataset": lists.queue_by_dataset(connection, KINDS[kind], wanted),
            "rules": [],
            "told": {},
        }
        if kind == "refused":
            values["rules"] = in_words(lists.rules_since(connection, since, wanted))
            values["told"] = answers.corrected(home.layout.home, ((r.dataset, r.batch_id) for r in found.rows))
    return page(
        request, reader, "queue.html.j2", section=kind, wanted=wanted, found=found, batches=batches, datasets=datasets,
        departments=lists.departments(datasets), raw=raw, titles=_titles(datasets),
        actions=_startable(kind, reader, wanted),
        may_see_values=bool(wanted.dataset) and reader.may_see_values(wanted.dataset), **values,
    )  # fmt: skip


def _startable(kind: str, reader: Any, wanted: Any) -> list[actions.Action]:
    """Return what may be started here: refused rows of one data set may be tried again, or settled."""
    if kind != "refused" or not wanted.dataset or not reader.may_start(wanted.dataset):
        return []
    return [actions.replay(wanted.dataset), actions.close(wanted.dataset)]


def _titles(datasets: list[Any]) -> dict[str, str]:
    return {r["dataset"]: r["title"] for r in datasets}


def _export(kind: str, reader: Any, home: Any, wanted: Any, raw: bool) -> Response:
    from chengxin.operations.index import tables

    _permit(reader, wanted, raw, f"{kind}.csv")
    name = f"chengxin-{kind}-{wanted.dataset or 'all'}.csv"
    return StreamingResponse(
        tables.lines(_rows(kind, home, wanted, raw)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _rows(kind: str, home: Any, wanted: Any, raw: bool) -> Iterator[Any]:
    from chengxin.operations.index import lists, rows

    with home.reading() as connection, rows.Rows(home.home) as files:
        batches = lists.queued(connection, KINDS[kind], wanted, limit=MOST)
        read = (
            partial(files.refused, rule=wanted.rule, raw=raw) if kind == "refused" else partial(files.waiting, raw=raw)
        )
        yield from rows.every(read, partial(home.contract, connection), batches, most=MOST)
