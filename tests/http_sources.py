"""A department's interface for tests: a server, a contract that names it, and what a pull brought."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from chengxin.clock import Clock
from chengxin.connectors import landing
from chengxin.contracts.models import Contract
from chengxin.facts import Batch
from chengxin.home import Home
from chengxin.settings import Settings
from servers import Answer, Api, Asked, rows_answer

CLOCK = Clock(datetime(2026, 11, 23, 8, tzinfo=UTC))
FAST = {"backoff_seconds": 0.01, "attempts": 3, "timeout_seconds": 1}
PAGES = {"page_size": 10, "first_page": 1}
ROWS = [{"id": n, "纳税人名称": f"湖南示例{n}有限公司", "余额": f"{n}.50"} for n in range(25)]


class Desk:
    """Starts servers for the connection `tax_api`, writes its contract, pulls, and reads what landed."""

    def __init__(self, settings: Settings, set_variable: Callable[[str, str], None], make: Callable[..., Contract]):
        self.settings, self.set_variable, self._make = settings, set_variable, make
        self._running: list[Api] = []
        self.now: datetime | None = None  # None: the clock

    def serve(self, behave: Callable[..., Answer], **more: Any) -> Api:
        server = Api(behave, with_asked=True, **more)
        self._running.append(server)
        self.set_variable("CHENGXIN_CONN_TAX_API", server.url)
        return server

    def contract(self, mode: str = "full", file: dict[str, Any] | None = None, **options: Any) -> Contract:
        fixed = {
            "connection": "tax_api",
            "path": "arrears",
            "page_size": 10,
            "first_page": 1,
            "total": "data.total",
            **FAST,
        }
        return self._make("http_api", mode, file or {"format": "json", "records": "data.rows"}, **fixed | options)

    def pull(self, contract: Contract) -> list[Batch]:
        offered = landing.offered(Home(self.settings, Clock(self.now)), contract)
        return [landing.land(Home(self.settings, CLOCK), contract, delivery) for delivery in offered]

    def rows(self, batch: Batch) -> list[dict[str, Any]]:
        pages = [json.loads(p.read_bytes()) for p in landing.payload(Home(self.settings), batch)]
        return [row for page in pages for row in page["data"]["rows"]]

    def leftovers(self) -> list[str]:
        """Return what pulls left lying about."""
        return [p.name for p in (self.settings.home / "landing").glob("*/.*")]

    def close(self) -> None:
        for server in self._running:
            server.close()


def page_of(rows: list[dict[str, Any]], asked: Asked) -> Answer:
    """Answer as a well-behaved interface does, paged by number."""
    size = int(asked.query["page_size"])
    start = (int(asked.query["page"]) - 1) * size
    return rows_answer(rows[start : start + size], len(rows))


def paged(rows: list[dict[str, Any]]) -> Callable[[Asked], Answer]:
    """Return what `page_of` answers for fixed rows."""
    return lambda asked: page_of(rows, asked)
