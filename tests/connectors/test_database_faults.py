"""A PostgreSQL that dies under a pull, shows odd names and values, and must not be written to."""

import contextlib
import random
import threading
import time
from datetime import UTC, datetime

import pyarrow.csv
import pytest
import sqlalchemy

from chengxin.clock import Clock
from chengxin.connectors import landing
from chengxin.connectors.database.session import Limits, reading
from chengxin.errors import SourceUnavailable
from chengxin.home import Home
from servers import postgres_cluster

pytestmark = pytest.mark.server
CLOCK = Clock(datetime(2026, 11, 23, 8, tzinfo=UTC))
OPTIONS = {"connection": "staging", "table": "rows", "key": "k", "watermark": "t"}


@pytest.fixture(scope="module")
def cluster():
    with postgres_cluster() as cluster:
        if cluster is None:
            pytest.skip("PostgreSQL is not installed")
        yield cluster


@pytest.fixture
def engine(cluster, monkeypatch):
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", cluster.url)
    engine = sqlalchemy.create_engine(cluster.url, pool_pre_ping=True)
    yield engine
    run(engine, "DROP TABLE IF EXISTS rows")
    engine.dispose()


def run(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))


def fill(engine, rows):
    run(
        engine,
        "CREATE TABLE rows (k VARCHAR(255), t VARCHAR(255), filler TEXT)",
        f"INSERT INTO rows SELECT lpad(g::text, 8, '0'), '2026-11-01 08:00:00', repeat('字', 60) "
        f"FROM generate_series(1, {rows}) g",
    )


def pull(contract, settings):
    return [
        landing.land(Home(settings, CLOCK), contract, delivery)
        for delivery in landing.offered(Home(settings, CLOCK), contract)
    ]


def keys(settings, batch):
    return pyarrow.csv.read_csv(
        landing.payload(Home(settings, CLOCK), batch)[0],
        convert_options=pyarrow.csv.ConvertOptions(column_types={"k": "string"}),
    )["k"].to_pylist()


def kill_readers(engine):
    """End the sessions that bear our name; tell whether there were any."""
    with engine.connect() as connection:
        statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'chengxin'"
        return bool(connection.execute(sqlalchemy.text(statement)).all())


def test_a_killed_pull_leaves_nothing_and_the_next_is_exact(engine, make_contract, settings):
    fill(engine, 60_000)
    contract = make_contract("database", "incremental", **OPTIONS)
    [delivery] = landing.offered(Home(settings, CLOCK), contract)
    folder = settings.home / "landing" / "tax_arrears"

    def kill_in_the_middle():
        while not any(path.stat().st_size > 1 << 16 for path in folder.glob(".building-*/payload/rows.csv")):
            time.sleep(0.001)
        kill_readers(engine)

    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    with pytest.raises(SourceUnavailable, match="读取连接“staging”的表“rows”失败") as failure:
        landing.land(Home(settings, CLOCK), contract, delivery)
    killer.join()
    assert "字" not in str(failure.value) and "127.0.0.1" not in str(failure.value)
    assert landing.batches(Home(settings, CLOCK), "tax_arrears") == [] and list(folder.iterdir()) == []
    [batch] = pull(contract, settings)
    assert keys(settings, batch) == [f"{n:08d}" for n in range(1, 60_001)]


@pytest.mark.slow
def test_a_randomly_failing_server_gives_exact_rows_in_the_end(cluster, engine, make_contract, settings):
    """Killed sessions and restarts while rows arrive: seeded, about ten seconds."""
    fill(engine, 20_000)
    rng, stop, failures, written, pulled = random.Random(20261124), threading.Event(), 0, 20_000, 0
    contract = make_contract("database", "incremental", **OPTIONS)

    def misbehave():
        until = time.monotonic() + 5
        while time.monotonic() < until:
            if rng.random() < 0.03:
                cluster.restart()
            else:
                with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
                    kill_readers(engine)
            time.sleep(rng.uniform(0.01, 0.15))
        stop.set()

    vandal = threading.Thread(target=misbehave)
    vandal.start()
    while True:
        last = stop.is_set()
        try:
            run(engine, f"INSERT INTO rows VALUES ('{written + 1:08d}', '2026-11-01 08:00:00', 'x')")
            written += 1
        except sqlalchemy.exc.SQLAlchemyError:
            pass  # the statement failed before its commit or with it: the table says which
        try:
            pull(contract, settings)
        except SourceUnavailable:
            failures += 1
            continue
        pulled += 1
        if last and pulled > 1:
            break
    vandal.join()
    with engine.connect() as connection:
        truth = set(connection.scalars(sqlalchemy.text("SELECT k FROM rows")))
    landed = [keys(settings, batch) for batch in landing.batches(Home(settings, CLOCK), "tax_arrears")]
    assert failures > 0 and len(landed) > 1
    assert set().union(*landed) == truth
    assert all(len(set(batch)) == len(batch) for batch in landed)


def test_a_pull_is_read_only_named_and_limited(engine):
    run(engine, "CREATE TABLE rows (k INTEGER)")
    with reading("staging", "rows", Limits(statement_seconds=1)) as connection:
        shown = [
            connection.scalar(sqlalchemy.text(f"SHOW {name}"))
            for name in ("transaction_isolation", "transaction_read_only", "application_name", "TimeZone")
        ]
        assert shown == ["repeatable read", "on", "chengxin", "Asia/Shanghai"]
    with (
        pytest.raises(SourceUnavailable, match="25006"),
        reading("staging", "rows", Limits()) as connection,
    ):
        connection.execute(sqlalchemy.text("INSERT INTO rows VALUES (1)"))
    with (
        pytest.raises(SourceUnavailable, match="57014"),
        reading("staging", "rows", Limits(statement_seconds=1)) as connection,
    ):
        connection.execute(sqlalchemy.text("SELECT pg_sleep(5)"))


@pytest.mark.usefixtures("engine")
def test_the_url_decides_about_tls_and_may_rename_us(cluster, monkeypatch):
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", cluster.url + "?application_name=exchange")
    with reading("staging", "rows", Limits()) as connection:
        assert connection.scalar(sqlalchemy.text("SHOW application_name")) == "exchange"
    # this server has no TLS, so a URL that demands it must fail
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", cluster.url + "?sslmode=verify-full")
    with pytest.raises(SourceUnavailable, match="失败"), reading("staging", "rows", Limits()):
        pass


def test_odd_names_and_values_land_as_they_are(engine, make_contract, settings):
    table, columns = '前置机 "表%', ['批复文号（m2）, "x"', "a%(b)s:c", "空 值", "k"]
    quoted = ", ".join('"{}" TEXT'.format(name.replace('"', '""')) for name in columns)
    values = ['甲"乙",丙\n丁\r\n戊', "100%", "", "1"]
    name = '"{}"'.format(table.replace('"', '""'))
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        driver.execute(f"CREATE TABLE {name} ({quoted})")
        driver.execute(f"INSERT INTO {name} VALUES ({', '.join(map(repr, values))})".replace("'甲", "E'甲"))
        driver.execute(f"INSERT INTO {name} VALUES (NULL, NULL, NULL, '2')")
        driver.commit()
    try:
        contract = make_contract("database", "full", connection="staging", table=table, key="k")
        [batch] = pull(contract, settings)
        payload = landing.payload(Home(settings, CLOCK), batch)[0].read_bytes().decode()
    finally:
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            driver.execute(f"DROP TABLE {name}")
            driver.commit()
    header = '"批复文号（m2）, ""x""",a%(b)s:c,空 值,k'
    assert payload == header + '\n"甲""乙"",丙\n丁\r\n戊",100%,"",1\n,,,2\n'


def test_a_table_of_one_column_keeps_its_empty_rows(engine, make_contract, settings):
    run(engine, "CREATE TABLE rows (k TEXT)", "INSERT INTO rows VALUES ('a'), (NULL), ('')")
    contract = make_contract("database", "full", connection="staging", table="rows", key="k")
    [batch] = pull(contract, settings)
    assert landing.payload(Home(settings, CLOCK), batch)[0].read_text() == 'k\n""\n"a"\n""\n'


@pytest.mark.parametrize("encoding", ["EUC_CN", "SQL_ASCII", "UTF8"])
def test_databases_in_any_encoding_are_read_as_utf8(*, cluster, engine, make_contract, settings, monkeypatch, encoding):
    name = f"staging_{encoding.lower()}"
    make = f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sqlalchemy.text(make))
    url = cluster.url.rpartition("/")[0] + f"/{name}"
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", url)
    other = sqlalchemy.create_engine(url, connect_args={"client_encoding": "UTF8"})
    run(other, 'CREATE TABLE "行" (k VARCHAR(255), t VARCHAR(255))', "INSERT INTO \"行\" VALUES ('湖南', '2026-11-01')")
    contract = make_contract("database", "incremental", **OPTIONS | {"table": "行"})
    [batch] = pull(contract, settings)
    assert keys(settings, batch) == ["湖南"]
    if encoding == "SQL_ASCII":  # which takes any bytes
        run(other, "INSERT INTO \"行\" VALUES (convert_from('\\xbafec4cf', 'SQL_ASCII'), '2026-11-02')")
        with pytest.raises(SourceUnavailable, match="字符集不符"):
            pull(contract, settings)
    other.dispose()
