"""Pull one source with our connector and read what landed, or with the bare library that it stands on; print rows.

    python bench/sources.py ours <source> <place>     python bench/sources.py bare <source> <place>

run.py serves the source (`serving`) and measures each call from outside; the server is not measured. Ours asks, lands
(sha256, fsync, receipt) and reads into Arrow. The bare libraries fetch into Arrow and keep nothing: no landing, no
check of totals and doubles, no salvage.
"""

import json
import os
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.csv

from chengxin.home import Home
from readers import NAMES, make, rows_of

TABLE, PAGE, FETCHED = "处罚", 5_000, 20_000
#: database: PostgreSQL, by COPY; database_general: SQLite, by the path that every other dialect takes.
SOURCES = ("database", "database_general", "http", "zip")


@contextmanager
def serving(source: str, count: int, folder: Path) -> Iterator[str | None]:
    """Fill and serve a source of so many rows; give its place (URL or path), None where PostgreSQL is not installed."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
    from servers import Answer, Api, postgres

    if source == "database":
        with postgres() as url:
            if url:
                _fill_postgres(url, count)
            yield url
    elif source == "database_general":
        yield f"sqlite:///{_sqlite(count, folder / 'sources.db')}"
    elif source == "http":
        pages = _pages(count, folder / "sources-http")
        with closing(Api(lambda query, *_: Answer((pages / f"{query['page']}.json").read_bytes()))) as api:
            yield api.url
    else:
        path = folder / "sources.zip"
        if not path.exists():
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
                package.write(make("csv", count, folder), "处罚.csv")
        yield str(path)


def _fill_postgres(url: str, count: int) -> None:
    import psycopg

    columns = ", ".join(f'"{name}" varchar(255)' for name in NAMES)
    with psycopg.connect(url.replace("+psycopg", "")) as connection, connection.cursor() as cursor:
        cursor.execute(f'CREATE TABLE "{TABLE}" ({columns}, PRIMARY KEY ("{NAMES[0]}"))')
        with cursor.copy(f'COPY "{TABLE}" FROM STDIN') as copy:
            for row in rows_of(count):
                copy.write_row(row)


def _sqlite(count: int, path: Path) -> Path:
    import sqlite3

    if not path.exists():
        with closing(sqlite3.connect(path)) as connection, connection:
            columns = ", ".join(f'"{name}" varchar(255)' for name in NAMES)
            connection.execute(f'CREATE TABLE "{TABLE}" ({columns}, PRIMARY KEY ("{NAMES[0]}"))')
            connection.executemany(f'INSERT INTO "{TABLE}" VALUES ({", ".join("?" * len(NAMES))})', rows_of(count))
    return path


def _pages(count: int, folder: Path) -> Path:
    """Write the pages of an interface, the one behind the last too."""
    if not folder.exists():
        folder.mkdir()
        rows = rows_of(count)
        for page in range(1, -(-count // PAGE) + 2):
            found = [dict(zip(NAMES, row, strict=True)) for row in islice(rows, PAGE)]
            body = json.dumps({"data": {"total": count, "rows": found}}, ensure_ascii=False)
            (folder / f"{page}.json").write_text(body, "utf-8")
    return folder


def ours(source: str, place: str) -> int:
    """Ask, land and read with the connector and the readers of the pipeline."""
    from chengxin.clock import Clock
    from chengxin.connectors import landing
    from chengxin.contracts.derivation import contract_for
    from chengxin.contracts.models import Contract
    from chengxin.parsing.archives import sources
    from chengxin.parsing.reader import plan, read
    from chengxin.settings import Settings

    os.environ["CHENGXIN_CONN_BENCH"] = place
    options: dict[str, Any] = {"connection": "bench", "table": TABLE, "key": NAMES[0]}
    file: dict[str, Any] = {}
    if source == "http":
        options = {"connection": "bench", "path": "list", "page_size": PAGE, "total": "data.total"}
        file = {"format": "json", "records": "data.rows"}
    elif source == "zip":
        options = {"pattern": Path(place).name}
    contract = Contract.model_validate(
        {
            "format": 1, "id": "bench_source", "title": "处罚", "department": {"code": "TT", "name": "测试"},
            "domain": "bench", "kind": "penalty", "basis": {"legal": "测试", "share": "无条件"}, "file": file,
            "columns": [{"source": "名称", "element": "subject_name"}],
            "delivery": {"connector": {"http": "http_api", "zip": "file_drop"}.get(source, "database"),
                         "mode": "full", "options": options},
        }
    )  # fmt: skip
    rows = 0
    with TemporaryDirectory(prefix="chengxin-bench-") as scratch:
        settings = Settings(home=Path(scratch) / "home", inbox=Path(place).parent if source == "zip" else None)
        home = Home(settings, Clock(datetime(2026, 11, 23, tzinfo=UTC)))
        for delivery in landing.offered(home, contract):
            batch = landing.land(home, contract, delivery)
            spec, payload = contract_for(contract, batch).file, landing.payload(home, batch)
            for one in sources(payload, spec, settings.limits, Path(scratch) / "unpacked"):
                for piece in plan(one.path, spec):
                    rows += sum(chunk.table.num_rows for chunk in read(piece, spec))
    return rows


def bare(source: str, place: str) -> int:
    """Fetch into Arrow with the library alone, in the way its documentation shows."""
    if source == "zip":
        options = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(NAMES, pa.string()))
        with zipfile.ZipFile(place) as package, package.open("处罚.csv") as file:
            return sum(batch.num_rows for batch in pyarrow.csv.open_csv(file, convert_options=options))
    fetched = {"database": _psycopg, "database_general": _sqlalchemy, "http": _requests}[source](place)
    return sum(_columns(rows).num_rows for rows in fetched)


def _psycopg(url: str) -> Iterator[Sequence[Any]]:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection, connection.cursor(name="rows") as cursor:
        cursor.execute(f'SELECT * FROM "{TABLE}"')
        while rows := cursor.fetchmany(FETCHED):
            yield rows


def _sqlalchemy(url: str) -> Iterator[Sequence[Any]]:
    import sqlalchemy

    with sqlalchemy.create_engine(url).connect() as connection:
        found = connection.execution_options(yield_per=FETCHED).execute(sqlalchemy.text(f'SELECT * FROM "{TABLE}"'))
        yield from found.partitions(FETCHED)


def _requests(url: str) -> Iterator[Sequence[Any]]:
    import requests

    with requests.Session() as session:
        for page in range(1, sys.maxsize):
            answer = session.get(f"{url}/list", params={"page": page, "page_size": PAGE}, timeout=60)
            rows = answer.json()["data"]["rows"]
            if rows:
                yield [list(row.values()) for row in rows]
            if len(rows) < PAGE:
                return


def _columns(rows: Sequence[Any]) -> pa.Table:
    columns = zip(NAMES, zip(*rows, strict=True), strict=True)
    return pa.table({name: pa.array(column, pa.string()) for name, column in columns})


def main() -> None:
    """Pull, as the arguments say."""
    who, source, place = sys.argv[1:]
    print({"ours": ours, "bare": bare}[who](source, place))


if __name__ == "__main__":
    main()
