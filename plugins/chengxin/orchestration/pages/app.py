"""The FastAPI app of the pages. Every route stands behind Airflow's session; who has none is sent to log in."""

from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from chengxin.home import Home
from chengxin.orchestration.pages import (
    airflow_api,
    batches,
    error_pages,
    identity_page,
    overview_page,
    published,
    queues,
    rendering,
    run_results,
    scorecard_page,
    sharing_page,
)
from chengxin.orchestration.pages.home_index import HomeIndex
from chengxin.orchestration.paths import PREFIX

STATIC = {
    "pages.css": "text/css",
    "pages.js": "text/javascript",
    "echarts.common.min.js": "text/javascript",
    "mark.svg": "image/svg+xml",
    "mark-dark.svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " frame-src 'self'; frame-ancestors 'self'; form-action 'self'; base-uri 'none'"
)


def warm(app: FastAPI) -> None:
    """Import what the pages import when asked, compile the templates, and begin to look at the home."""
    from chengxin.model.kinds import kinds
    from chengxin.operations.index import answers, arrivals, rows, scorecards, snapshots, tables  # noqa: F401

    kinds()
    rendering.warm()
    app.state.index.datasets()


def create_app(over: Home | None = None) -> FastAPI:
    """Build the app over a home; without arguments over the one of the environment."""
    app = FastAPI(title="诚信湖南", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(get_user)])
    app.state.index = HomeIndex((over or Home.from_environment()).opened())
    app.state.airflow = airflow_api.client()

    @app.middleware("http")
    async def guarded(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        if response.status_code == 401 and error_pages.wants_page(request):
            there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            airflow = str(request.scope.get("root_path", "")).removesuffix(PREFIX)
            response = RedirectResponse(f"{airflow}/api/v2/auth/login?{urlencode({'next': there})}")
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404)
        body = files("chengxin.orchestration.pages").joinpath("static", name).read_bytes()
        return Response(body, media_type=STATIC[name], headers={"Cache-Control": "private, max-age=86400"})

    error_pages.install(app)
    for part in (overview_page, batches, queues, identity_page, published, sharing_page, scorecard_page, run_results):
        app.include_router(part.router)
    return app
