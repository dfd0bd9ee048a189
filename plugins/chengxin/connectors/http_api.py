"""Paged JSON interfaces of departments, read with GET requests. Every page is kept as it came: page-00001.json."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from chengxin.clock import SHANGHAI, Clock
from chengxin.connectors.base import Options, connection_url, read_options
from chengxin.connectors.http_session import HttpSession, Page
from chengxin.contracts.models import Contract
from chengxin.errors import DeliveryCorrupt, SourceUnavailable
from chengxin.handover import Delivery
from chengxin.settings import Settings


class HttpApiOptions(Options):
    """Options of an HTTP interface.

    connection: its base URL is in CHENGXIN_CONN_<NAME>. path: below it. query: fixed parameters.
    records: where the rows lie in a page, dotted; default the contract's file.records. total: where the number of all
        rows stands; the pull must then yield exactly that many.
    page_param, size_param, first_page, page_size: paging; page_size 0 = one page holds all.
    since_param: parameter that limits a pull to what changed since the server time of the last pull (mode incremental);
        since_format: how that instant is spelled; overlap_seconds: how far back before it to ask again.
    headers_env: HTTP header -> environment variable that holds its value (tokens).
    timeout_seconds: to connect and between bytes; page_seconds: for a whole page; attempts, backoff_seconds: per page.
    """

    connection: str
    path: str = ""
    query: dict[str, str] = Field(default_factory=dict)
    records: str | None = None
    total: str | None = None
    page_param: str = "page"
    size_param: str | None = "page_size"
    first_page: int = 1
    page_size: Annotated[int, Field(ge=0)] = 500
    max_pages: Annotated[int, Field(ge=1, le=99_999)] = 99_999
    since_param: str | None = None
    since_format: Literal["iso", "date", "datetime", "epoch_s", "epoch_ms"] = "iso"
    overlap_seconds: Annotated[int, Field(ge=0)] = 0
    headers_env: dict[str, str] = Field(default_factory=dict)
    timeout_seconds: Annotated[float, Field(gt=0)] = 30
    page_seconds: Annotated[float, Field(gt=0)] = 600
    page_mib: Annotated[int, Field(ge=1)] = 256
    attempts: Annotated[int, Field(ge=1, le=10)] = 4
    backoff_seconds: Annotated[float, Field(ge=0)] = 1.0


@dataclass(frozen=True)
class _Counts:
    """What a page says of itself."""

    rows: int
    total: int | None


class HttpApi:
    """Pulls a paged JSON interface; one pull is one delivery."""

    def options(self, contract: Contract) -> HttpApiOptions:
        """Read the options."""
        return read_options(HttpApiOptions, contract)

    def discover(self, contract: Contract, settings: Settings, cursor: dict[str, Any]) -> list[Delivery]:
        """Ask for the first page; offer one pull unless the server says that nothing is new.

        offered_at is the server's Last-Modified, else its Date: its clock, not ours, is the one that the next `since`
        is compared with.
        """
        options = self.options(contract)
        incremental = contract.delivery.mode == "incremental"
        since = cursor.get("server_time") if incremental and options.since_param else None
        with _session(options) as session:
            page = session.get(options.path, _query(options, options.first_page, since))
        counts = _counts(page, options, contract)
        modified, now = _instant(page.headers.get("Last-Modified")), _instant(page.headers.get("Date"))
        if since and (counts.rows == 0 or (modified and modified <= datetime.fromisoformat(since))):
            return []
        server_time = modified or now
        offered = server_time or Clock.from_environment().now()
        locator: dict[str, Any] = {"connector": "http_api", "live": True, "since": since}
        if server_time:
            locator["server_time"] = server_time.isoformat()
        else:
            locator["undated"] = True
        window = f"{since or '最初'}至{offered.isoformat()}" if incremental else f"全量-{offered.isoformat()}"
        name = f"{options.path.strip('/') or contract.id}@{window}"
        origin = f"http_api:{options.connection}/{options.path.lstrip('/')}"
        return [Delivery(contract.id, name, origin, offered, locator)]

    def fetch(self, delivery: Delivery, contract: Contract, settings: Settings, target: Path) -> None:
        """Write each page's body to page-00001.json ...; raise DeliveryCorrupt when rows are missing."""
        options = self.options(contract)
        received, announced, previous = 0, None, b""
        with _session(options) as session:
            for number, page in self._pages(session, options, delivery.locator.get("since")):
                counts = _counts(page, options, contract)
                if counts.rows and page.body == previous:
                    raise DeliveryCorrupt(f"接口“{options.connection}”重复返回第 {number} 页，分页参数可能无效")
                if counts.rows or number == 1:
                    (target / f"page-{number:05d}.json").write_bytes(page.body)
                received, previous = received + counts.rows, page.body
                announced = counts.total if counts.total is not None else announced
                if _is_last(counts, options, received, announced):
                    break
            else:
                raise DeliveryCorrupt(f"接口“{options.connection}”超过 {options.max_pages} 页仍未结束")
        if announced is not None and received != announced:
            raise DeliveryCorrupt(
                f"接口“{options.connection}”声明共 {announced} 行，实际收到 {received} 行；"
                "数据可能在拉取过程中变化，请重试"
            )

    @staticmethod
    def _pages(session: HttpSession, options: HttpApiOptions, since: str | None) -> Iterator[tuple[int, Page]]:
        for number in range(1, options.max_pages + 1):
            yield number, session.get(options.path, _query(options, options.first_page + number - 1, since))


def _is_last(counts: _Counts, options: HttpApiOptions, received: int, announced: int | None) -> bool:
    if options.page_size == 0 or counts.rows == 0:
        return True
    # A total tells the end; without one a short page does. A server may cap the page size, so short is not
    # the end where a total says that more is to come.
    return received >= announced if announced is not None else counts.rows < options.page_size


def _session(options: HttpApiOptions) -> HttpSession:
    headers = {}
    for header, variable in options.headers_env.items():
        value = os.environ.get(variable)
        if not value:
            raise SourceUnavailable(f"连接“{options.connection}”需要环境变量 {variable}（请求头 {header}）")
        headers[header] = value
    return HttpSession(
        connection_url(options.connection),
        label=options.connection,
        headers=headers,
        timeout=options.timeout_seconds,
        page_seconds=options.page_seconds,
        page_bytes=options.page_mib * 2**20,
        attempts=options.attempts,
        backoff=options.backoff_seconds,
    )


def _query(options: HttpApiOptions, page: int, since: str | None) -> dict[str, str]:
    query = dict(options.query)
    if options.page_size:
        query[options.page_param] = str(page)
        if options.size_param:
            query[options.size_param] = str(options.page_size)
    if since and options.since_param:
        moment = datetime.fromisoformat(since) - timedelta(seconds=options.overlap_seconds)
        query[options.since_param] = _spelled(moment, options.since_format)
    return query


def _spelled(moment: datetime, style: str) -> str:
    local = moment.astimezone(SHANGHAI)
    return {
        "iso": local.isoformat(),
        "date": local.strftime("%Y-%m-%d"),
        "datetime": local.strftime("%Y-%m-%d %H:%M:%S"),
        "epoch_s": str(int(moment.timestamp())),
        "epoch_ms": str(int(moment.timestamp() * 1000)),
    }[style]


def _counts(page: Page, options: HttpApiOptions, contract: Contract) -> _Counts:
    where = contract.file.records if options.records is None else options.records
    rows = _at(page.document, where)
    if not isinstance(rows, list):
        raise DeliveryCorrupt(f"接口“{options.connection}”的返回内容中没有记录列表“{where or '顶层'}”")
    total = _at(page.document, options.total) if options.total else None
    try:
        return _Counts(len(rows), None if total is None else int(total))
    except (TypeError, ValueError):
        raise DeliveryCorrupt(f"接口“{options.connection}”的总行数“{options.total}”不是数字") from None


def _at(document: Any, dotted: str) -> Any:
    for key in dotted.split(".") if dotted else []:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _instant(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header).astimezone(UTC) if header else None
    except ValueError:
        return None
