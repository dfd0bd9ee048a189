"""Every type that a column of a staging table may have: read as the text it is, or refused by its name."""

import csv
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
import sqlalchemy
from sqlalchemy.dialects import mysql, registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from chengxin.clock import Clock
from chengxin.connectors import landing
from chengxin.errors import DeliveryMismatch
from chengxin.home import Home

CLOCK = Clock(datetime(2026, 11, 23, 8, tzinfo=UTC))
NAME = "纳税人 名称"
MADE = """
    DROP SCHEMA IF EXISTS staging CASCADE; CREATE SCHEMA staging; SET search_path TO staging, public;
    CREATE TYPE level AS ENUM ('甲级', '乙级'); CREATE TYPE place AS (city text, street text);
    CREATE TYPE span AS RANGE (subtype = numeric);
    CREATE DOMAIN several AS text[]; CREATE DOMAIN code AS varchar(18) CHECK (VALUE <> '');
    CREATE DOMAIN inner_code AS code; CREATE DOMAIN price AS money
"""


@pytest.fixture
def engine(postgres_url, monkeypatch):
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", postgres_url)
    engine = sqlalchemy.create_engine(postgres_url)
    yield engine
    engine.dispose()


def fill(engine, kind, value):
    with engine.begin() as connection:
        for statement in MADE.split(";"):
            connection.execute(sqlalchemy.text(statement))
        connection.execute(sqlalchemy.text(f'CREATE TABLE "o""dd %" (k INTEGER, "{NAME}" {kind})'))
        connection.execute(sqlalchemy.text(f'INSERT INTO "o""dd %" VALUES (1, CAST({value} AS {kind})), (2, NULL)'))


def pull(contract, settings):
    [batch] = [
        landing.land(Home(settings, CLOCK), contract, delivery)
        for delivery in landing.offered(Home(settings, CLOCK), contract)
    ]
    with landing.payload(Home(settings, CLOCK), batch)[0].open(encoding="utf-8", newline="") as rows:
        return [row[1] for row in csv.reader(rows)][1:]


OPTIONS = {"connection": "staging", "table": 'o"dd %', "schema": "staging", "key": "k"}


@pytest.mark.server
@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("level", "'甲级'", "甲级"),
        ("code", "'430102'", "430102"),
        ("inner_code", "'007'", "007"),
        ("money", "'1234.5'", "1234.50"),
        ("price", "'-1234.5'", "-1234.50"),
        ("interval", "'1 year 3 days 2 hours'", "1 year 3 days 02:00:00"),
        ("bit(4)", "'0101'", "0101"),
        ("bit varying(8)", "'01'", "01"),
        ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("char(6)", "'甲'", "甲"),
        ("numeric", "'NaN'", "NaN"),
        ("numeric(30,2)", "'12345678901234567890.10'", "12345678901234567890.10"),
        ("real", "'0.1'", "0.1"),
        ("double precision", "'Infinity'", "Infinity"),
        ("timestamp", "'infinity'", "infinity"),
        ("timestamptz", "'2026-01-01 00:00:00+00'", "2026-01-01 08:00:00+08"),
        ("date", "'0044-03-15 BC'", "0044-03-15 BC"),
        ("time", "'24:00'", "24:00:00"),
        ("boolean", "'t'", "true"),
        ("inet", "'10.0.0.1'", "10.0.0.1/32"),
        ("text", "repeat('长', 300000)", "长" * 300_000),
    ],
)
def test_single_values_are_read_as_the_text_that_they_are(*, engine, make_contract, settings, kind, value, text):
    fill(engine, kind, value)
    csv.field_size_limit(1 << 24)
    assert pull(make_contract("database", "full", **OPTIONS), settings) == [text, ""]


@pytest.mark.server
@pytest.mark.parametrize(
    ("kind", "value", "named"),
    [
        ("text[]", "'{甲,乙}'", "text[]"),
        ("json", """'{"a": 1}'""", "json"),
        ("jsonb", """'{"a": 1}'""", "jsonb"),
        ("xml", "'<a>甲</a>'", "xml"),
        ("bytea", r"'\xe7bdb0'", "bytea"),
        ("int4range", "'[1,5)'", "int4range"),
        ("nummultirange", "'{[1,5)}'", "nummultirange"),
        ("span", "'[1,5)'", "staging.span"),
        ("place", "'(甲,乙)'", "staging.place"),
        ("several", "'{甲,乙}'", "staging.several"),
        ("level[]", "'{甲级}'", "staging.level[]"),
        ("point", "'(1,2)'", "point"),
        ("tsvector", "'甲 乙'", "tsvector"),
        ("varchar(5)[]", "'{甲}'", "character varying(5)[]"),
    ],
)
def test_a_column_whose_values_are_no_single_ones_is_refused_by_name_where_the_contract_uses_it(
    *, engine, make_contract, settings, kind, value, named
):
    fill(engine, kind, value)
    contract = make_contract("database", "full", **OPTIONS)
    with pytest.raises(DeliveryMismatch) as told:
        pull(contract, settings)
    assert f"“{NAME}”是 {named} 类型" in str(told.value)
    assert landing.batches(Home(settings, CLOCK), "tax_arrears") == []
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f'ALTER TABLE staging."o""dd %" RENAME COLUMN "{NAME}" TO 别的'))
    assert len(pull(contract, settings)) == 2


@pytest.mark.parametrize("kind", ["BLOB", "JSON"])
def test_bytes_and_json_of_sqlite_are_refused(tmp_path, monkeypatch, make_contract, settings, kind):
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", f"sqlite:///{tmp_path / 'staging.db'}")
    with sqlite3.connect(tmp_path / "staging.db") as table:
        table.execute(f'CREATE TABLE rows (k INTEGER, "{NAME}" {kind})')
        table.execute("INSERT INTO rows VALUES (1, x'b9d8')")
    with pytest.raises(DeliveryMismatch, match=f"“{NAME}”是 {kind} 类型"):
        pull(make_contract("database", "full", connection="staging", table="rows"), settings)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12345678901234.56, "12345678901234.56"),
        ("12345678901234.56", "12345678901234.56"),
        (-98765432109876.5, "-98765432109876.5"),
        (1234567.89, "1234567.89"),
        (0.1, "0.1"),
        (10, "10"),
        (None, ""),
    ],
)
def test_an_amount_in_sqlite_keeps_its_fen(*, tmp_path, monkeypatch, make_contract, settings, value, text):
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", f"sqlite:///{tmp_path / 'staging.db'}")
    with sqlite3.connect(tmp_path / "staging.db") as table:
        table.execute(f'CREATE TABLE rows (k INTEGER, "{NAME}" NUMERIC(18,2))')
        table.execute("INSERT INTO rows VALUES (1, ?)", [value])
    assert pull(make_contract("database", "full", connection="staging", table="rows"), settings) == [text]


class Inventive(SQLiteDialect_pysqlite):
    """A dialect whose driver makes Python values of its own; reflected types as the test says."""

    name = "inventive"
    supports_statement_cache = True
    kind: sqlalchemy.types.TypeEngine = sqlalchemy.Text()

    def get_columns(self, *args, **kwargs):
        return [c | {"type": self.kind} if c["name"] == NAME else c for c in super().get_columns(*args, **kwargs)]


registry.register("inventive", __name__, "Inventive")


class Value(sqlalchemy.types.TypeDecorator):
    """A type whose every value is the one given."""

    impl = sqlalchemy.Text
    cache_ok = False

    def __init__(self, given):
        super().__init__()
        self.given = given

    def process_result_value(self, *_):
        return self.given


@pytest.fixture
def inventive(tmp_path, monkeypatch, make_contract, settings):
    with sqlite3.connect(tmp_path / "staging.db") as table:
        table.execute(f'CREATE TABLE rows (k INTEGER, "{NAME}" TEXT)')
        table.execute("INSERT INTO rows VALUES (1, '')")
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", f"inventive:///{tmp_path / 'staging.db'}")

    def take(kind):
        monkeypatch.setattr(Inventive, "kind", kind)
        return pull(make_contract("database", "full", connection="staging", table="rows"), settings)

    return take


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1E+2"), "100"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (timedelta(hours=8, minutes=5), "08:05:00"),
        (-timedelta(hours=30), "-30:00:00"),
        (True, "true"),
        (12, "12"),
        ("甲", "甲"),
    ],
)
def test_python_values_of_other_drivers_become_plain_text(inventive, value, text):
    assert inventive(Value(value)) == [text]


@pytest.mark.parametrize("value", [{"甲"}, ["甲"], {"a": 1}, b"\xe7", memoryview(b"x"), object()])
def test_python_values_that_are_no_single_ones_are_refused(inventive, value):
    with pytest.raises(DeliveryMismatch, match=f"{type(value).__name__} 类型的值"):
        inventive(Value(value))


@pytest.mark.parametrize("kind", [mysql.SET("a", "b"), mysql.BIT(1), sqlalchemy.LargeBinary(), sqlalchemy.JSON()])
def test_columns_of_other_databases_that_hold_no_single_values_are_refused(inventive, kind):
    with pytest.raises(DeliveryMismatch, match=f"“{NAME}”是 .* 类型"):
        inventive(kind)
