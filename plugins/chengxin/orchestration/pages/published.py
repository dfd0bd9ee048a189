"""快照 and 资源目录: the versions of the published data set, and what is collected from whom on which basis."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import FileResponse, Response

from chengxin.errors import SnapshotDamaged
from chengxin.operations.alerts.causes import KINDS
from chengxin.orchestration.pages import actions
from chengxin.orchestration.pages.access import IndexDep, ReaderDep
from chengxin.orchestration.pages.rendering import language, page, when

router = APIRouter()
_Tier = Annotated[str, Query(pattern="^(government|open)$")]
_SHOWN = 60
_RECENT = 8


@router.get("/snapshots")
def snapshot_list(request: Request, reader: ReaderDep, home: IndexDep, tier: _Tier = "government") -> Response:
    """Show the versions of a tier and their rows over time."""
    from chengxin.operations.index import snapshots

    with home.reading() as connection:
        versions = snapshots.versions(connection, tier)
        history = snapshots.history(connection, tier)
    return page(
        request, reader, "snapshots.html.j2", section="snapshots", tier=tier, versions=versions[:_SHOWN],
        total=len(versions), chart=_lines(history, language(request)), current=snapshots.current(home.layout, tier),
    )  # fmt: skip


@router.get("/snapshots/{tier}/{name}")
def snapshot(request: Request, reader: ReaderDep, home: IndexDep, tier: str, name: str) -> Response:
    """Show one version and how it differs from the one before."""
    from chengxin.operations.index import lists, snapshots, whereabouts

    with home.reading() as connection:
        row = snapshots.version(connection, tier, name)
        if row is None:
            raise HTTPException(404, "没有这个快照 (no such snapshot)")
        changes = snapshots.changes(connection, tier, name, row["previous"])
        entered = snapshots.entered(connection, row)
        government = snapshots.version(connection, "government", json.loads(row["said"]).get("government") or "")
        named = {r["dataset"]: r["title"] for r in lists.datasets(connection)}
    if reader.only is not None:
        entered = [r for r in entered if r["dataset"] in reader.only]
    return page(
        request, reader, "snapshot.html.j2", section="snapshots", row=row, changes=changes,
        entered=entered, titles=_titles(), versions=json.loads(row["versions"]), tier=tier,
        anonymity=json.loads(row["said"]).get("anonymity", {}),
        said=_opinions(row, reader.only), named=named, released=_released(row, entered),
        current=snapshots.current(home.layout, tier), government=government,
        sources=[
            s for s in (whereabouts.of_snapshot(row) if tier == "government" else [])
            if reader.only is None or s.dataset in reader.only
        ],
    )  # fmt: skip


@router.get("/snapshots/{tier}/{name}/manifest.json")
def manifest(reader: ReaderDep, home: IndexDep, tier: str, name: str) -> Response:
    """Return a version's manifest as it stands on disk."""
    from chengxin.operations.index import snapshots

    if reader.only is not None:
        raise HTTPException(403, "清单列出全部数据集 (the manifest names all data sets)")
    try:
        path = snapshots.manifest_path(home.layout, tier, name)
    except SnapshotDamaged as error:
        raise HTTPException(404, str(error)) from error
    return FileResponse(path, filename=f"{name}-{tier}-manifest.json", media_type="application/json")


@router.get("/catalogue")
def catalogue(
    request: Request, reader: ReaderDep, home: IndexDep,
    department: Annotated[str, Query(max_length=100)] = "", share: Annotated[str, Query(max_length=10)] = "",
) -> Response:  # fmt: skip
    """Show what is collected."""
    from chengxin.operations.index import arrivals, lists

    with home.reading() as connection:
        every = lists.datasets(connection, reader.only)
        problems = lists.problems(connection)
        late = {one.dataset: one for one in arrivals.overdue(connection, home.clock.today(), reader.only)}
    rows = [r for r in every if department in {"", r["department"]} and share in {"", r["share"]}]
    return page(
        request, reader, "catalogue.html.j2", section="catalogue", rows=rows, department=department, share=share,
        departments=lists.departments(every), problems=problems, kinds=_kinds(), late=late,
    )  # fmt: skip


@router.get("/catalogue/{dataset}")
def entry(request: Request, reader: ReaderDep, home: IndexDep, dataset: str) -> Response:
    """Show one data set: whose, on which basis, how it comes, whether it is late, which columns become what."""
    from chengxin.connectors.files.leftovers import leftovers
    from chengxin.model.elements import elements
    from chengxin.operations.index import arrivals, lists
    from chengxin.orchestration.describe import CADENCES, CONNECTORS, MODES, TYPES

    reader.require(dataset)
    with home.reading() as connection:
        row, contract = lists.dataset(connection, dataset), home.contract(connection, dataset)
        late = next(iter(arrivals.overdue(connection, home.clock.today(), {dataset})), None)
        _, batches = lists.batches(connection, lists.Filter(dataset=dataset))
    if row is None or contract is None:
        raise HTTPException(404, "没有这个数据集 (no such data set)")
    return page(
        request, reader, "dataset.html.j2", section="catalogue", row=row, contract=contract, elements=elements(),
        kind=_kinds().get(contract.kind), words={**CADENCES, **CONNECTORS, **MODES}, types=TYPES,
        late=late, left=leftovers(home.home, contract) if late else None, batches=batches[:_RECENT],
        look=actions.look(dataset) if reader.may_start(dataset) else None, press=KINDS["overdue"].press,
    )  # fmt: skip


def _opinions(row: Any, only: frozenset[str] | None) -> list[dict[str, Any]]:
    """Return what people said of a publication, oldest first: earlier rejections, then the approval.

    For those who see all data sets: reasons may speak of any.
    """
    if only is not None:
        return []
    said = json.loads(row["said"])
    return [*said.get("rejected", []), *([said["approval"]] if "approval" in said else [])]


def _released(row: Any, entered: list[Any]) -> list[dict[str, Any]]:
    """Return who let which of the batches in that readers have for the first time, and why."""
    new = {r["batch_id"] for r in entered}
    return [one for one in json.loads(row["said"]).get("released", []) if one["batch_id"] in new]


def _lines(history: dict[str, Any], lang: str) -> dict[str, Any]:
    """Return the chart of rows over time, one line a table."""
    titles = _titles()
    return {
        "xAxis": {"type": "category", "boundaryGap": False, "data": [when(at) for at in history["instants"]]},
        "yAxis": {"type": "value"},
        "series": [
            {
                "type": "line",
                "name": titles.get(name, (name, name))[lang == "en"],
                "data": rows,
                "connectNulls": True,
                "symbolSize": 5,
            }
            for name, rows in history["series"].items()
        ],
    }


def _kinds() -> dict[str, Any]:
    from chengxin.model.kinds import kinds

    return dict(kinds())


def _titles() -> dict[str, tuple[str, str]]:
    """Return Chinese and English titles of all published tables."""
    names = {
        "subject": ("主体", "subjects"),
        "subject_identifier": ("主体标识", "identifiers of subjects"),
        "subject_name": ("主体名称", "names of subjects"),
        "subject_supersession": ("主体合并", "merged subjects"),
        "credit_record": ("信用记录总表", "all credit records"),
    }
    nameless = {
        f"{name}_anonymous": (f"{kind.title}（匿名）", f"{kind.title_en} (anonymous)")
        for name, kind in _kinds().items()
        if kind.anonymous_types
    }
    return {**{name: (kind.title, kind.title_en) for name, kind in _kinds().items()}, **nameless, **names}
