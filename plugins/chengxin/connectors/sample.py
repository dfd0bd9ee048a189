"""A first look at a source that has no contract yet: one page of an interface, some rows of a table. Lands nothing."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy import MetaData, Table, Text, cast, select
from sqlalchemy.exc import NoSuchTableError

from chengxin.connectors.base import connection_url, connection_variable
from chengxin.connectors.database.connector import DatabaseOptions
from chengxin.connectors.database.session import reading
from chengxin.connectors.http.auth import Request
from chengxin.connectors.http.session import HttpConnection, HttpSession
from chengxin.errors import SourceUnavailable
from chengxin.settings import lent

ROWS = "rows.csv"
_NAME = "网址"  # as messages call it


@dataclass(frozen=True)
class TableSample:
    """What was seen of a table: the file with its rows, the columns of its primary key, whether that was all."""

    path: Path
    key: tuple[str, ...]
    whole: bool


def sample_url(url: str, target: Path) -> Path:
    """Fetch one page by the rules of the HTTP connector (TLS verified, bounded, no other host) and return its file.

    Raises SourceUnavailable, DeliveryCorrupt.
    """
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}"
    request = Request("GET", parts.path, query=tuple(parse_qsl(parts.query, keep_blank_values=True)))
    with _connection(base), HttpSession(HttpConnection(connection=_NAME, attempts=2, page_mib=64)) as session:
        reply = session.ask(request, lambda page: page)
    path = target / "page"
    path.write_bytes(reply.body)
    return path


def sample_table(connection: str, table: str, rows: int, target: Path) -> TableSample:
    """Write the first rows of a table (`table` or `schema.table`) as CSV, every value as text.

    Raises SourceUnavailable.
    """
    schema, _, name = table.rpartition(".")
    options = DatabaseOptions.model_validate({"connection": connection, "table": name, "schema": schema or None})
    path = target / ROWS
    with reading(connection, table, options.limits) as opened, path.open("w", encoding="utf-8", newline="") as out:
        try:
            found = Table(name, MetaData(), schema=schema or None, autoload_with=opened, resolve_fks=False)
        except NoSuchTableError:
            raise SourceUnavailable(f"连接“{connection}”中没有表“{table}”") from None
        writer = csv.writer(out)
        writer.writerow([column.name for column in found.columns])
        statement = select(*(cast(c, Text).label(f"c{n}") for n, c in enumerate(found.columns))).limit(rows + 1)
        seen = [tuple(row) for row in opened.execute(statement)]
        writer.writerows(seen[:rows])
        key = tuple(column.name for column in found.primary_key.columns)
    return TableSample(path, key, len(seen) <= rows)


def is_http(connection: str) -> bool:
    """Return whether a named connection is an HTTP address. Raises SourceUnavailable where it is not set."""
    return connection_url(connection).startswith(("http://", "https://"))


@contextmanager
def _connection(url: str) -> Iterator[None]:
    """Name an address for a moment: sessions take theirs from the environment only."""
    with lent(connection_variable(_NAME), url):
        yield
