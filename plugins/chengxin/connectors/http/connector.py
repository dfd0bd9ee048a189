"""Paged interfaces of departments, JSON or XML (SOAP), by GET or POST. Every page lands as it came: page-00001.json."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from requests.structures import CaseInsensitiveDict

from chengxin.clock import SHANGHAI, Clock
from chengxin.connectors.base import NOWHERE, connection_url, masked, read_options
from chengxin.connectors.http.options import HttpApiOptions
from chengxin.connectors.http.pages import Page, Shape, read_reply
from chengxin.connectors.http.paginator import Paging
from chengxin.connectors.http.pull import Ask, Limits, Pull, new_folder, open_pull
from chengxin.connectors.http.replies import Reply
from chengxin.connectors.http.request import bare_link, linked_request, request_for
from chengxin.connectors.http.session import HttpSession
from chengxin.connectors.locators import HttpLocator
from chengxin.contracts.models import Contract
from chengxin.errors import ContractError
from chengxin.facts import Delivery, Locator
from chengxin.home import Home

__all__ = ["HttpApi", "HttpApiOptions"]


class HttpApi:
    """Pulls a paged interface; one pull is one delivery."""

    def options(self, contract: Contract) -> HttpApiOptions:
        """Read the options."""
        if contract.file.format not in ("json", "xml"):
            raise ContractError(f"合同 {contract.id}：接口返回 JSON 或 XML，file.format 应为 json 或 xml")
        options = read_options(HttpApiOptions, contract)
        if options.unwrap and contract.file.format != "xml":
            raise ContractError(f"合同 {contract.id}：delivery.options.unwrap 只用于 file.format: xml")
        return options

    def discover(self, home: Home, contract: Contract, cursor: Locator = NOWHERE) -> list[Delivery]:
        """Offer the pull that was cut short, else begin one; nothing when the server has nothing since then.

        A pull that begins keeps its first page below landing/<dataset>/.pull-*, so that no page is asked for twice.
        offered_at is the server's Last-Modified, else its Date: its clock, not ours, is the one that the next `since`
        is compared with (with `until_param` it is the moment that we asked up to).
        """
        options = self.options(contract)
        landing = home.layout.landing(contract.id, "")
        incremental = contract.delivery.mode == "incremental"
        last = cursor.server_time if isinstance(cursor, HttpLocator) else None
        since = last if incremental and options.since_param else None
        wanted = {"since": since, "asked": _asked(options, contract)}
        kept = open_pull(landing, wanted, timedelta(hours=options.resume_hours))
        if kept:
            return [_delivery(contract, options, *kept)]
        until = home.clock.now().isoformat() if options.until_param else None
        header: dict[str, Any] = {**wanted, "until": until}
        folder = new_folder(landing)
        pull = _pull(folder, contract, options, (since, until))
        with HttpSession(options) as session:
            replies: list[CaseInsensitiveDict[str]] = []
            walk = pull.begin(
                _ask(session, contract, options, replies),
                lambda: header.update(_times(replies[0], until, home.clock)) or header,
            )
        # Rows count, whatever the server's headers state of them: a gateway may send one Last-Modified for ever.
        if incremental and not walk.rows:
            pull.discard()
            return []
        return [_delivery(contract, options, folder.name, header)]

    def fetch(self, home: Home, delivery: Delivery, contract: Contract, target: Path) -> None:
        """Write each page's body to page-00001.json ...; raise DeliveryCorrupt when rows are missing."""
        options = self.options(contract)
        at = delivery.locator
        assert isinstance(at, HttpLocator) and at.pull
        pull = _pull(home.layout.landing(contract.id, "") / at.pull, contract, options, (at.since, at.until))
        with HttpSession(options) as session:
            pull.finish(_ask(session, contract, options, []), target)


def _ask(
    session: HttpSession, contract: Contract, options: HttpApiOptions, headers: list[CaseInsensitiveDict[str]]
) -> Ask:
    shape = _shape(contract, options)

    def ask(parameters: dict[str, str | int], link: str | None) -> tuple[bytes, Page]:
        def read(reply: Reply) -> tuple[bytes, Page]:
            page = read_reply(reply, shape)
            headers.append(reply.headers)
            if shape.link_header and page.next:
                page = replace(page, next=bare_link(options, page.next))
            return reply.body, page

        if link:
            return session.ask(linked_request(options, session.below(link), is_xml=shape.is_xml), read)
        return session.ask(request_for(options, parameters, is_xml=shape.is_xml), read)

    return ask


def _delivery(contract: Contract, options: HttpApiOptions, pull: str, header: dict[str, Any]) -> Delivery:
    offered = datetime.fromisoformat(header["offered"])
    incremental = contract.delivery.mode == "incremental"
    window = f"{header['since'] or '最初'}至{offered.isoformat()}" if incremental else f"全量-{offered.isoformat()}"
    name = f"{options.path.strip('/') or contract.id}@{window}"
    at = header["server_time"] or None
    window_of = {"since": header["since"], "until": header["until"]}
    locator = HttpLocator(live=True, undated=at is None, pull=pull, server_time=at, **window_of)
    origin = f"http_api:{options.connection}/{options.path.lstrip('/')}"
    return Delivery(contract.id, name, origin, offered, locator)


def _times(headers: CaseInsensitiveDict[str], until: str | None, clock: Clock) -> dict[str, str | None]:
    modified, now = _instant(headers.get("Last-Modified")), _instant(headers.get("Date"))
    server_time = until or (modified or now or "") or None
    return {
        "server_time": server_time,
        "offered": modified or now or until or clock.now().isoformat(),
    }


def _pull(folder: Path, contract: Contract, options: HttpApiOptions, window: tuple[str | None, str | None]) -> Pull:
    """Return a pull of what changed within a window, from and to, ISO 8601."""
    since, until = (datetime.fromisoformat(text) if text else None for text in window)
    if since is None and options.start:
        since = datetime.combine(options.start, datetime.min.time(), SHANGHAI)
    paging = Paging(
        label=options.connection,
        path=f"{urlsplit(connection_url(options.connection)).path.rstrip('/')}/{options.path.lstrip('/')}",
        style=options.paging,
        size=options.page_size,
        page_param=options.page_param,
        size_param=options.size_param,
        offset_param=options.offset_param,
        cursor_param=options.cursor_param,
        since_param=options.since_param,
        until_param=options.until_param,
        since_format=options.since_format,
        first_page=options.first_page,
        overlap_rows=options.overlap_rows,
        max_pages=options.max_pages,
        has_key=bool(options.key),
        has_total=bool(options.total),
        next=options.next,
        next_omitted=options.next_omitted,
        since=since,
        until=until,
        window=timedelta(hours=options.window_hours) if options.window_hours else None,
        # The first pull begins where the contract states, not before.
        overlap=timedelta(seconds=options.overlap_seconds if window[0] else 0),
    )
    limits = Limits(options.pull_mib, options.passes, options.backoff_seconds)
    return Pull(folder, paging, _shape(contract, options), limits)


def _shape(contract: Contract, options: HttpApiOptions) -> Shape:
    return Shape(
        label=options.connection,
        is_xml=contract.file.format == "xml",
        records=contract.file.records if options.records is None else options.records,
        key=options.key,
        total=options.total,
        next=options.next,
        status_end=options.status_end,
        code_end=options.code_end,
        link_header=options.paging == "link" and not options.next,
        code=options.code,
        code_ok=options.code_ok,
        code_busy=options.code_busy,
        unwrap=options.unwrap,
    )


def _asked(options: HttpApiOptions, contract: Contract) -> str:
    """Return a digest of what is asked for, where and how: pages that answer another question are of no use."""
    told = [masked(connection_url(options.connection)), options.model_dump(mode="json")]
    told += [contract.file.format, contract.file.records]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _instant(header: str | None) -> str | None:
    try:
        return parsedate_to_datetime(header).astimezone(UTC).isoformat() if header else None
    except ValueError:
        return None
