"""What the plugin registers with Airflow: one app and entries in the navigation. Cheap to import: every task does."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from chengxin.orchestration.paths import PREFIX, base_path

START_SECONDS = 10.0  # the API server waits so long at most until the pages are loaded
_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class LazyApp:
    """The ASGI app, built when it is needed: only the API server pays for it, not every task process."""

    def __init__(self) -> None:
        self._app: Any = None
        self._building = threading.Lock()

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Hand the request to the app."""
        await (self._app or await asyncio.to_thread(self.built))(scope, receive, send)

    def built(self) -> Any:
        """Return the app, building it the first time."""
        with self._building:
            if self._app is None:
                from chengxin.orchestration.pages.app import create_app

                self._app = create_app()
            return self._app


PAGES = LazyApp()


def apps() -> list[dict[str, Any]]:
    """Return the plugin's FastAPI apps."""
    return [{"app": PAGES, "url_prefix": PREFIX, "name": "诚信湖南"}]


def root_middlewares() -> list[dict[str, Any]]:
    """Return a middleware that adds nothing: Airflow makes it when an API server starts, and nowhere else."""
    return [{"name": "诚信湖南", "middleware": _starting}]


def _starting(app: Any) -> Any:
    warming = threading.Thread(target=_warm, name="chengxin-warm", daemon=True)
    warming.start()
    warming.join(START_SECONDS)  # a store that does not answer must not keep Airflow from starting
    return app


def _warm() -> None:
    """Load what the first page needs, and look at the home, before somebody waits for it."""
    try:
        from chengxin.orchestration.pages.app import warm

        warm(PAGES.built())
    except Exception:
        logging.getLogger(__name__).exception("页面未能预先载入；首个请求时再载入")


def external_views() -> list[dict[str, Any]]:
    """Return the entries in the navigation, and the tab on the pages of a DAG and of a run."""
    entries = [
        ("诚信总览", "", True),
        ("批次", "batches", False),
        ("疑问数据", "refused", False),
        ("未关联数据", "waiting", False),
        ("身份核对", "identity", False),
        ("快照", "snapshots", False),
        ("资源目录", "catalogue", False),
        ("绩效考评", "scorecards", False),
    ]
    base = base_path()
    icons = {"icon": f"{base}{PREFIX}/static/mark.svg", "icon_dark_mode": f"{base}{PREFIX}/static/mark-dark.svg"}
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "href": f"{base}{PREFIX}/{path}",
            "destination": "nav",
            "url_route": f"chengxin-{path or 'overview'}",
            **icons,
            **({"nav_top_level": True} if top else {"category": "browse"}),
        }
        for name, path, top in entries
    ]
    tab = {"name": "批次与账目", **icons}
    return [
        *found,
        {**tab, "href": f"{base}{PREFIX}/dags/{{DAG_ID}}", "destination": "dag", "url_route": "chengxin-dag"},
        {
            **tab,
            "href": f"{base}{PREFIX}/dags/{{DAG_ID}}/run?run_id={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "chengxin-run",
        },
    ]
