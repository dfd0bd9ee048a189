"""The routes. Snapshots are found by the names in their manifests; no name from an address ever becomes a path."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import jinja2
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from chengxin import __version__
from chengxin.clock import SHANGHAI, Clock
from chengxin.errors import SnapshotDamaged
from chengxin.publishing.reader import Snapshot
from chengxin.records.access_log import AccessLog, QuotaExceeded, Reading
from chengxin.sharing.http.access import Gate
from chengxin.sharing.http.match import Asked, Matcher, note
from chengxin.sharing.http.snapshots import TIERS, Opened, Superseded, Unknown
from chengxin.sharing.http.withdrawal_receipts import MOST, Receipt, UnknownNotice, Withdrawals
from chengxin.store import manifest as manifests
from chengxin.store.layout import Layout
from chengxin.store.pointer import CATALOGUE

MOST_ROWS = 1000  # of one table in one answer
BODY = 4096  # bytes of a question
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# Whoever keeps an answer asks again soon: a legal act may have taken a record out of it.
CACHE = {"open": "public, max-age=300", "government": "private, max-age=300"}
FOR_RECIPIENTS = "private, no-cache"  # a grant may end any day

log = logging.getLogger(__name__)
Tier = Literal["government", "authorised", "open"]


class NotNoted(Exception):
    """It could not be written down to whom something is handed over, so it is not."""


class Question(BaseModel):
    """What a subject is looked for by. In the body, never in an address: addresses are logged."""

    model_config = ConfigDict(extra="forbid")
    identifier_or_name: str = Field(min_length=2, max_length=200, description="标识（如统一社会信用代码）或完整名称")


def create_app(
    home: Path,
    known_tokens: tuple[bytes, ...],
    match_log: Path | None = None,
    *,
    accesses: Path | None = None,
    clock: Clock | None = None,
) -> FastAPI:
    """Build the app over the published snapshots of a home.

    match_log: who asked for names; None = nobody may. accesses: where it is noted what is handed to whom.
    """
    app = FastAPI(title="诚信湖南 · 已发布数据", version=__version__, docs_url=None, redoc_url=None)
    layout, clock = Layout(home), clock or Clock()
    accesses = accesses or layout.accesses
    app.state.clock = clock
    app.state.handovers = AccessLog(accesses, clock)
    app.state.withdrawals = Withdrawals(layout.served_notices, accesses, clock)
    app.state.opened = Opened(home)
    app.state.gate = Gate(known_tokens, layout.served_recipients, app.state.withdrawals, clock)
    app.state.matcher, app.state.match_log = Matcher(home), match_log
    app.middleware("http")(_guarded)
    app.add_exception_handler(Unknown, lambda _, __: _problem(404, "没有这个快照 (no such snapshot)"))
    app.add_exception_handler(Superseded, _superseded)
    app.add_exception_handler(FileNotFoundError, lambda _, __: _problem(503, "快照正在重新签发，请重试 (try again)"))
    app.add_exception_handler(NotNoted, lambda _, __: _problem(503, "无法记录，不予提供 (not noted, not given)"))
    app.add_exception_handler(QuotaExceeded, _exceeded)
    app.add_exception_handler(UnknownNotice, lambda _, __: _problem(404, "没有这件通知 (no such notice)"))
    app.add_exception_handler(SnapshotDamaged, lambda _, error: _problem(503, str(error)))
    # The usual answer repeats what was sent; that may be somebody's number.
    app.add_exception_handler(RequestValidationError, lambda _, __: _problem(422, "请求不合要求 (see /openapi.json)"))
    for path, route, words in (
        ("/health", health, "运行状态 (state)"),
        ("/v1/tiers", tiers, "共享层与当前快照 (tiers)"),
        ("/v1/{tier}/snapshots", snapshots, "快照列表 (snapshots, newest first)"),
        ("/v1/{tier}/current", current, "转到当前快照 (redirect to the current snapshot)"),
        ("/v1/{tier}/snapshots/{snapshot}", manifest, "清单：表、列、文件、sha256 (manifest)"),
        ("/v1/{tier}/snapshots/{snapshot}/catalogue", catalogue, "资源目录 (catalogue)"),
        ("/v1/{tier}/snapshots/{snapshot}/dictionary", dictionary, "数据字典 (columns of every table)"),
        (
            "/v1/{tier}/snapshots/{snapshot}/files/{table}/{name}",
            file,
            "下载数据文件，可断点续传 (a file; ranges)",
        ),
        ("/v1/{tier}/subjects/{subject_id}", subject, "一个主体的全部记录 (all records of one subject)"),
    ):
        _add(app, path, route, methods=["GET", "HEAD"], summary=words)
    _add(app, "/v1/{tier}/find", find, methods=["POST"], summary="按标识或名称查主体")
    _add(app, "/v1/withdrawals", withdrawals, methods=["GET"], summary="给本接收方的撤回通知 (notices of withdrawal)")
    _add(app, "/v1/withdrawals/{number}/receipt", receipt, methods=["POST"], summary="删除回执 (a receipt)")
    _add(app, "/match", match, methods=["GET"], summary="名称是哪一家：候选、把握和理由 (which firm is a name)")
    app.add_api_route("/", landing, methods=["GET"], include_in_schema=False, response_model=None)
    return app


def _add(app: FastAPI, path: str, route: Callable[..., Any], *, methods: list[str], summary: str) -> None:
    """Add a route. Every path below a tier is guarded, and a question about a subject takes one from the bucket."""
    guards = [Depends(_permitted)] if "{tier}" in path else []
    guards += [Depends(_asked)] if route in {find, subject, match, withdrawals, receipt} else []
    app.add_api_route(path, route, methods=methods, summary=summary, dependencies=guards, response_model=None)


async def _guarded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    if int(request.headers.get("content-length") or 0) > BODY or "chunked" in request.headers.get(
        "transfer-encoding", ""
    ):
        return _problem(413, "请求过大 (too large)")
    response = await call_next(request)
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _problem(status: int, text: str) -> JSONResponse:
    return JSONResponse({"detail": text}, status)


def _exceeded(request: Request, _: Exception) -> Response:
    """Refuse what exceeds the rows of a day, and state when the next day of China begins."""
    now = request.app.state.clock.now().astimezone(SHANGHAI)
    rest = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0) - now
    answer = _problem(429, "超出授权的每日行数，请于次日再取 (more rows than the grant allows in a day)")
    answer.headers["Retry-After"] = str(int(rest.total_seconds()))
    return answer


def _superseded(request: Request, error: Exception) -> Response:
    """Lead to the snapshot that was issued in the place of one; a file that went with it is gone."""
    assert isinstance(error, Superseded)
    table, name = (request.path_params.get(part) for part in ("table", "name"))
    held = error.by.manifest.every_table().get(table) if table else None
    if table and not (held and any(f.name == name for f in held.files)):
        return _gone()
    path = request.url.path.replace(f"/snapshots/{error.snapshot}", f"/snapshots/{error.by.id}", 1)
    return RedirectResponse(f"{_base(request)}{path}", 301)


def _gone() -> JSONResponse:
    return _problem(410, "该文件已重新签发，请重新读取清单 (gone: read the manifest again)")


def _opened(request: Request) -> Opened:
    found: Opened = request.app.state.opened
    return found


def _permitted(request: Request, tier: Tier) -> str:
    """Return the tier that is read: that of the grant where the token is a recipient's."""
    found: str = request.app.state.gate.tier(request, tier)
    return found


def _asked(request: Request) -> None:
    request.app.state.gate.question(request)


OpenedDep = Annotated[Opened, Depends(_opened)]
ReadDep = Annotated[str, Depends(_permitted)]


def _named(opened: OpenedDep, tier: ReadDep, snapshot: str) -> Snapshot:
    return opened.named(tier, snapshot)


NamedDep = Annotated[Snapshot, Depends(_named)]


def health(opened: OpenedDep) -> Any:
    """Return which snapshot of each tier is served; a damaged newest one makes the state degraded."""
    found = {tier: _state(opened, tier) for tier in TIERS}
    whole = all(state["snapshot"] and not state["warnings"] for state in found.values())
    return {"status": "ok" if whole else "degraded", "version": __version__, "tiers": found}


def _state(opened: Opened, tier: str) -> dict[str, Any]:
    try:
        now = opened.current(tier)
    except SnapshotDamaged:
        return {"snapshot": None, "warnings": 1}
    return {"snapshot": now.id, "warnings": len(now.warnings)}


def tiers(opened: OpenedDep) -> Any:
    """Return the tiers; the government tier is read with a token."""
    return [{"tier": tier, "token": tier != "open", **_state(opened, tier)} for tier in TIERS]


def snapshots(opened: OpenedDep, tier: ReadDep) -> Any:
    """Return the snapshots that may be read. Of the open tier that is the current one."""
    now = opened.current(tier)
    return {"current": now.id, "warnings": list(now.warnings), "snapshots": opened.ids(tier)}


def current(request: Request, opened: OpenedDep, tier: ReadDep) -> Response:
    """Lead to the current snapshot's own address."""
    asked = request.path_params["tier"]
    return RedirectResponse(f"{_base(request)}/v1/{asked}/snapshots/{opened.current(tier).id}")


def manifest(request: Request, found: NamedDep, tier: ReadDep) -> Response:
    """Return the manifest as it stands on disk."""
    return _static(request, tier, found.folder / manifests.NAME, f"m-{found.manifest.to_json()['digest'][:24]}")


def catalogue(request: Request, found: NamedDep, tier: ReadDep) -> Response:
    """Return which data sets feed the snapshot: whose, on what basis, with which columns."""
    sealed = found.manifest.basis.catalogue_sha256
    if not sealed:
        raise HTTPException(404, "该快照没有资源目录 (no catalogue)")
    return _static(request, tier, found.folder / CATALOGUE, f"c-{sealed[:24]}")


def dictionary(found: NamedDep) -> Any:
    """Return every table with its columns."""
    return {
        name: {"rows": table.rows, "columns": [asdict(column) for column in table.schema]}
        for name, table in found.manifest.tables.items()
    }


def file(request: Request, found: NamedDep, tier: ReadDep, table: str, name: str) -> Response:
    """Return one data file of the manifest."""
    held = found.manifest.every_table().get(table)
    entry = next((f for f in held.files if f.name == name), None) if held else None
    if entry is None:
        raise HTTPException(404, "清单中没有这个文件 (no such file)")
    if found.withholds(entry):
        return _gone()
    path = found.folder / entry.table / entry.name
    answer = _static(request, tier, path, entry.sha256)
    if answer.status_code == 200 and request.method == "GET":
        _noted(request, found, lambda handovers, reading: handovers.note_file(reading, entry, path))
    return answer


def _noted(request: Request, found: Snapshot, note: Callable[[AccessLog, Reading], None]) -> None:
    """Note what a token's holder is about to be given, durably; raise NotNoted where that cannot be done.

    What everybody may have is not noted.
    """
    if found.manifest.tier == "open":
        return
    holder = request.app.state.gate.holder(request)
    try:
        reading = Reading(holder.name, found.manifest.tier, found.id, holder.rows_per_day)
        note(request.app.state.handovers, reading)
    except OSError as error:
        log.error("向谁提供了什么无法记录：%s", error)
        raise NotNoted from error


def _static(request: Request, tier: str, path: Path, digest: str) -> Response:
    headers = {"ETag": f'"{digest}"', "Cache-Control": CACHE.get(tier, FOR_RECIPIENTS)}
    known = request.headers.get("if-none-match", "").split(",")
    if headers["ETag"] in (tag.strip().removeprefix("W/") for tag in known):
        return Response(status_code=304, headers=headers)
    kind = "application/json" if path.suffix == ".json" else "application/vnd.apache.parquet"
    return FileResponse(path, headers=headers, media_type=kind)


def find(request: Request, opened: OpenedDep, tier: ReadDep, question: Question) -> Any:
    """Return the subjects that bear an identifier or exactly a name."""
    now = opened.current(tier)
    found = _rows(now.find(question.identifier_or_name))
    subjects = {row["subject_id"] for row in found["rows"] if row["subject_id"]}
    if subjects:
        _noted(
            request, now, lambda handovers, reading: handovers.note_answer(reading, subjects, (), len(found["rows"]))
        )
    return {"snapshot": now.id, **found}


def subject(request: Request, opened: OpenedDep, tier: ReadDep, subject_id: Annotated[int, InPath(ge=1)]) -> Any:
    """Return all rows about one subject, table by table; of one that is superseded, lead to the one that stays."""
    now = opened.current(tier)
    found = {name: _rows(table) for name, table in now.lookup(subject_id).items()}
    if not found:
        stays = opened.current_id(tier, subject_id)
        if stays != subject_id and now.lookup(stays):
            return RedirectResponse(f"{_base(request)}/v1/{request.path_params['tier']}/subjects/{stays}", 301)
        raise HTTPException(404, "没有这个主体 (no such subject)")
    records = {number for table in found.values() for row in table["rows"] if (number := row.get("record_id"))}
    rows = sum(len(table["rows"]) for table in found.values())
    _noted(request, now, lambda handovers, reading: handovers.note_answer(reading, {subject_id}, records, rows))
    return {"snapshot": now.id, "tables": found}


def withdrawals(request: Request, after: Annotated[int, Query(ge=0)] = 0) -> Any:
    """Return the notices to the token's holder that follow a number; `next` is where the next page begins."""
    holder = request.app.state.gate.holder(request)
    found = request.app.state.withdrawals.of(holder.name, after)
    return {"notices": found, "next": found[-1]["number"] if len(found) == MOST else None}


def receipt(request: Request, number: int, body: Receipt) -> Any:
    """Take in that a record was deleted as a notice asks for. Sent again, it changes nothing."""
    holder = request.app.state.gate.holder(request)
    try:
        return request.app.state.withdrawals.receive(holder.name, number, body)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
    except OSError as error:
        log.error("回执无法记录：%s", error)
        raise HTTPException(503, "回执无法记录，请稍后再交 (not recorded, try again)") from error


def match(
    request: Request,
    opened: OpenedDep,
    *,
    name: Annotated[str, Query(min_length=2, max_length=200)],
    purpose: Annotated[str, Query(min_length=1, max_length=200)],
    region: Annotated[str, Query(pattern=r"^([0-9]{4}([0-9]{2})?)?$")] = "",
    least: Annotated[float, Query(ge=0.01, le=1)] = 0.5,
) -> Any:
    """Return the firms that a name may mean, from a posterior of `least` on, each with the reasons. Never persons."""
    state = request.app.state
    holder = state.gate.matching(request, purpose)
    asked = Asked(name, int(region[:4] or 0), least)
    if state.match_log is None:
        raise HTTPException(503, "未设置 CHENGXIN_MATCH_LOG，查询无处记录，不予回答 (no log, no answer)")
    try:
        note(state.match_log, at=state.clock.now(), by=holder.recipient, purpose=purpose, asked=asked)
    except OSError as error:
        raise HTTPException(503, "查询无法记录，不予回答 (no log, no answer)") from error
    now = opened.current(holder.tier)
    found = state.matcher.match(asked, now)
    if found is None:
        raise HTTPException(503, "本机没有名称索引 (no index of names on this machine)")
    return {"snapshot": now.id, "candidates": found}


def _rows(table: Any) -> dict[str, Any]:
    rows = [{k: _plain(v) for k, v in row.items()} for row in table.slice(0, MOST_ROWS).to_pylist()]
    return {"total": table.num_rows, "rows": rows}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)  # money stays exact
    return value.isoformat() if isinstance(value, date) else value


def landing(request: Request, opened: OpenedDep) -> HTMLResponse:
    """Show what there is and how to query it, in Chinese and English; loads nothing from anywhere."""
    text = files("chengxin.sharing.http").joinpath("landing.html.j2").read_text("utf-8")
    template = jinja2.Environment(autoescape=True).from_string(text)
    paths = request.app.openapi()["paths"]
    return HTMLResponse(template.render(tiers=tiers(opened), paths=paths, base=_base(request), version=__version__))


def _base(request: Request) -> str:
    return str(request.scope.get("root_path", ""))
