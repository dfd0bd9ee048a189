"""批次: the list, and each delivery with its account, verdict, findings, rows, feedback and its runs in Airflow."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from pydantic import BaseModel

from chengxin.facts import as_json
from chengxin.operations.alerts.holds import hold_of
from chengxin.orchestration import chunks
from chengxin.orchestration.ingest import dag_id as dag_of
from chengxin.orchestration.pages import actions
from chengxin.orchestration.pages.access import IndexDep, Reader, ReaderDep, note_values_shown
from chengxin.orchestration.pages.airflow_api import AirflowDep
from chengxin.orchestration.pages.airflow_runs import HandledDep, TaskLink, tasks_of
from chengxin.orchestration.pages.filters import DagFilterDep, FilterDep
from chengxin.orchestration.pages.home_index import HomeIndex
from chengxin.orchestration.pages.rendering import page
from chengxin.orchestration.pages.words import in_words
from chengxin.quality import evidence

router = APIRouter()
ROWS = 20
OWN_NOTES = {"sent.json"}  # beside an answer, for ourselves; so are the Parquet files
SEVERITIES = ("critical", "warning", "info")
# The report is made by us, of titles, counts and row numbers; it needs no script and gets none.
REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"


@router.get("/batches")
def batch_list(request: Request, reader: ReaderDep, home: IndexDep, wanted: FilterDep, number: int = 1) -> Response:
    """Show batches, newest first, narrowed by the filter."""
    from chengxin.operations.index import lists

    with home.reading() as connection:
        total, rows = lists.batches(connection, wanted, number)
        datasets = lists.datasets(connection, reader.only)
    pages = max(1, -(-min(total, lists.MOST) // lists.PAGE))
    return page(
        request, reader, "batches.html.j2", section="batches", total=total, most=lists.MOST, rows=rows, pages=pages,
        number=min(max(number, 1), pages), wanted=wanted, datasets=datasets, departments=lists.departments(datasets),
    )  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A batch of the index that the reader may see. row: as it stands there."""

    reader: Reader
    home: HomeIndex
    row: Any

    @property
    def dataset(self) -> str:
        """Return its data set."""
        return str(self.row["dataset"])

    @property
    def batch_id(self) -> str:
        """Return its id."""
        return str(self.row["batch_id"])


def known(reader: ReaderDep, home: IndexDep, dataset: str, batch_id: str) -> Known:
    """Find a batch in the index, and refuse others: no name from an address becomes a path otherwise."""
    from chengxin.operations.index import lists

    reader.require(dataset)
    with home.reading() as connection:
        row = lists.batch(connection, dataset, batch_id)
    if row is None:
        raise HTTPException(404, "没有这个批次 (no such batch)")
    return Known(reader, home, row)


KnownDep = Annotated[Known, Depends(known)]


async def tasks(found: KnownDep, api: AirflowDep) -> list[TaskLink]:
    """Return the tasks that handled the batch."""
    return await tasks_of(api, chunks.handled(found.home.home, found.dataset, found.batch_id))


TasksDep = Annotated[list[TaskLink], Depends(tasks)]


class Shown(BaseModel):
    """Which rows of a batch are shown. raw: as sent. after, waited: the last refused and waiting row seen so far."""

    raw: bool = False
    after: int = -1
    waited: int = -1


@router.get("/batches/{dataset}/{batch_id}")
def batch(request: Request, found: KnownDep, tasks: TasksDep, shown: Annotated[Shown, Query()]) -> Response:
    """Show one batch; with raw the rows as sent, for those who may see them, and that is noted."""
    from chengxin.operations.index import answers, lists, whereabouts
    from chengxin.operations.index.rows import Rows

    reader, home, row = found.reader, found.home, found.row
    dataset, batch_id, raw = found.dataset, found.batch_id, shown.raw
    if raw:
        reader.require_values(dataset)
        note_values_shown(reader, dataset, batch_id)
    with home.reading() as connection:
        contract = home.contract(connection, dataset)
        rules = lists.batch_rules(connection, dataset, batch_id)
        earlier = [dict(r) for r in lists.neighbours(connection, dataset, row["as_of"])]
        where = whereabouts.of_batch(connection, home.home, row, contract.kind) if contract else None
        settled_by = lists.settled_by(connection, row) if row["state"] == "held" else None
    refused, waiting = [], []
    if contract:
        with Rows(home.home) as rows:
            refused = rows.refused(contract, batch_id, after=shown.after, limit=ROWS + 1, raw=raw)
            waiting = rows.waiting(contract, batch_id, after=shown.waited, limit=ROWS + 1, raw=raw)
    told = answers.refused(home.layout.home, dataset, batch_id)
    judged = evidence.readable_verdict(home.layout.validation(dataset, batch_id))
    verdict = as_json(judged) if judged else {}
    verdict.get("findings", []).sort(key=lambda f: SEVERITIES.index(f["severity"]))
    hold = hold_of(home.layout, dataset, batch_id) if row["state"] == "held" else None
    settled = told is not None and bool(told.closed)
    startable = actions.of_batch(row, hold, settled=settled) if reader.may_start(dataset) else []
    return page(
        request, reader, "batch.html.j2", section="batches", actions=startable,
        row=row, contract=contract, verdict=verdict, settled_by=settled_by, where=where,
        hold=hold,
        receipt=_json(home.layout.landing(dataset, batch_id) / "receipt.json"), rules=in_words(rules),
        refused=refused, waiting=waiting, rows_shown=ROWS, earlier=earlier, raw=raw,
        told=told,
        may_see_values=reader.may_see_values(dataset), feedback=_feedback(home.layout.home, dataset, batch_id),
        has_report=judged is not None,
        tasks=tasks, dag=dag_of(dataset),
    )  # fmt: skip


@router.get("/batches/{dataset}/{batch_id}/validation")
def validation(request: Request, found: KnownDep) -> Response:
    """Show the report of Great Expectations in a frame of its own."""
    dataset, batch_id = found.dataset, found.batch_id
    return page(request, found.reader, "validation.html.j2", section="batches", dataset=dataset, batch_id=batch_id)


@router.get("/batches/{dataset}/{batch_id}/report")
def report(found: KnownDep) -> Response:
    """Return the report itself, shut off from everything else."""
    shown = evidence.read_page(found.home.layout.validation(found.dataset, found.batch_id))
    if shown is None:
        raise HTTPException(404, "尚无校验报告 (no report yet)")
    return HTMLResponse(shown, headers={"Content-Security-Policy": REPORT_POLICY})


@router.get("/batches/{dataset}/{batch_id}/feedback/{name}")
def feedback(found: KnownDep, name: str) -> Response:
    """Return a file that was sent back to the department: values as sent, so for those who may see them."""
    found.reader.require_values(found.dataset)
    files = {f["name"]: f["path"] for f in _feedback(found.home.layout.home, found.dataset, found.batch_id)}
    if name not in files:
        raise HTTPException(404, "没有这个文件 (no such file)")
    note_values_shown(found.reader, found.dataset, f"{found.batch_id} feedback {name}")
    return FileResponse(files[name], filename=name, media_type="application/octet-stream")


@router.get("/dags/{dag_id}")
def of_dag(request: Request, reader: ReaderDep, home: IndexDep, wanted: DagFilterDep, number: int = 1) -> Response:
    """Show the batches of one DAG: the tab on its page in Airflow."""
    if wanted is None:
        return page(request, reader, "not_ours.html.j2", section="batches")
    return batch_list(request, reader, home, wanted, number)


@router.get("/dags/{dag_id}/run")
def of_run(request: Request, reader: ReaderDep, home: IndexDep, run: HandledDep) -> Response:
    """Show the batches that one run handled: the tab on its page in Airflow."""
    from chengxin.operations.index import lists

    if run.batches is None:
        return page(request, reader, "not_ours.html.j2", section="batches")
    seen = [(dataset, name) for dataset, name in run.batches if reader.only is None or dataset in reader.only]
    with home.reading() as connection:
        rows = [row for dataset, name in seen if (row := lists.batch(connection, dataset, name))]
    return page(request, reader, "run.html.j2", section="batches", rows=rows, run_id=run.run_id)


def _json(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def _feedback(home: Path, dataset: str, batch_id: str) -> list[dict[str, Any]]:
    """Return the files sent back to the department about a batch."""
    folder = home / "feedback" / dataset / batch_id
    found = (
        [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".parquet" and p.name not in OWN_NOTES]
        if folder.is_dir()
        else []
    )
    return [
        {
            "name": p.relative_to(folder).as_posix().replace("/", "_"),
            "title": p.name,
            "time": int(p.parent.name) + 1 if p.parent.name.isdigit() else None,
            "path": p,
            "size": p.stat().st_size,
        }
        for p in found
    ]
