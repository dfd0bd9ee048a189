import csv
import sqlite3
import traceback
from datetime import UTC, datetime

import pyarrow.csv
import pytest
import sqlalchemy

from chengxin.clock import Clock
from chengxin.connectors import landing
from chengxin.connectors.database.connector import Database
from chengxin.contracts.derivation import contract_for
from chengxin.errors import ContractError, SourceUnavailable
from chengxin.home import Home
from chengxin.parsing.reader import plan, read

CLOCK = Clock(datetime(2026, 11, 23, 8, tzinfo=UTC))
COLUMNS = '"主键" VARCHAR(64), "姓名" TEXT, "金额" NUMERIC(18,2), "更新时间" {time}'


class Source:
    """A staging table in a real database."""

    def __init__(self, url, time):
        self.engine = sqlalchemy.create_engine(url)
        self.run(f"CREATE TABLE staging ({COLUMNS.format(time=time)})")

    def run(self, statement, **values):
        with self.engine.begin() as connection:
            connection.execute(sqlalchemy.text(statement), values)

    def add(self, key, name="某甲", amount=None, at="2026-11-01 08:00:00"):
        values = {"k": key, "n": name, "m": amount, "t": at}
        self.run("INSERT INTO staging VALUES (:k, :n, :m, :t)", **values)


@pytest.fixture(params=["sqlite-text", "sqlite-datetime", pytest.param("postgresql", marks=pytest.mark.server)])
def source(request, tmp_path, monkeypatch):
    if request.param == "postgresql":
        url, time = request.getfixturevalue("postgres_url"), "TIMESTAMP"
    else:
        url = f"sqlite:///{tmp_path / 'staging.db'}"
        time = "VARCHAR(255)" if request.param == "sqlite-text" else "DATETIME"
    monkeypatch.setenv("CHENGXIN_CONN_POLICE_STAGING", url)
    table = Source(url, time)
    yield table
    table.run("DROP TABLE staging")
    table.engine.dispose()


@pytest.fixture
def contract(make_contract):
    def make(mode="incremental", **options):
        fixed = {"connection": "police_staging", "table": "staging", "key": "主键", "watermark": "更新时间"}
        wanted = {k: v for k, v in {**fixed, **options}.items() if v is not None}
        return make_contract("database", mode, **wanted)

    return make


def pull(contract, settings):
    return [landing.land(Home(settings, CLOCK), contract, d) for d in landing.offered(Home(settings, CLOCK), contract)]


def rows_of(settings, batch):
    [path] = landing.payload(Home(settings, CLOCK), batch)
    names = next(csv.reader([path.read_text("utf-8").splitlines()[0]]))
    options = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, "string"),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.read_csv(path, convert_options=options, parse_options=parse).to_pylist()


def keys_of(settings, batch):
    return [row["主键"] for row in rows_of(settings, batch)]


def test_every_value_lands_as_text_or_null(source, contract, settings):
    source.add("a", "欧阳·买买提", "12.50")
    source.add("b", None, None)
    [batch] = pull(contract(), settings)
    first, second = rows_of(settings, batch)
    assert list(first) == ["主键", "姓名", "金额", "更新时间"]
    assert first["姓名"] == "欧阳·买买提"
    assert isinstance(first["金额"], str) and float(first["金额"]) == 12.5
    assert first["更新时间"] == "2026-11-01 08:00:00"
    assert second["姓名"] is None and second["金额"] is None
    assert [f.name for f in batch.files] == ["rows.csv"]
    # eight in the morning in Shanghai
    assert batch.as_of == datetime(2026, 11, 1, 0, tzinfo=UTC)


def test_continues_after_the_last_watermark_and_never_skips_a_late_row(source, contract, settings):
    source.add("b")
    source.add("a")
    [first] = pull(contract(), settings)
    assert keys_of(settings, first) == ["a", "b"]
    assert pull(contract(), settings) == []
    source.add("0", at="2026-11-01 08:00:00")
    [second] = pull(contract(), settings)
    assert keys_of(settings, second) == ["0", "a", "b"]
    source.add("c", at="2026-11-02 09:30:00")
    [third] = pull(contract(), settings)
    assert keys_of(settings, third) == ["0", "a", "b", "c"]
    source.add("d", at="2026-11-03 09:30:00")
    [fourth] = pull(contract(), settings)
    assert keys_of(settings, fourth) == ["c", "d"]
    assert pull(contract(), settings) == []
    assert landing.batches(Home(settings, CLOCK), "tax_arrears") == [first, second, third, fourth]


def test_rows_without_a_watermark_are_not_lost(source, contract, settings):
    source.add("a")
    pull(contract(), settings)
    source.add("b", at=None)
    [batch] = pull(contract(), settings)
    assert "b" in keys_of(settings, batch)
    assert pull(contract(), settings) == []


def test_a_full_pull_shows_what_was_withdrawn_and_what_came_back(source, contract, settings):
    source.add("a")
    source.add("b", at="2026-11-02 08:00:00")
    full = contract("full")
    [first] = pull(full, settings)
    assert pull(full, settings) == [first]
    source.run("DELETE FROM staging WHERE \"主键\" = 'a'")
    [second] = pull(full, settings)
    assert keys_of(settings, second) == ["b"]
    source.add("a")
    [third] = pull(full, settings)
    assert third.files == first.files and third.batch_id != first.batch_id
    assert landing.batches(Home(settings, CLOCK), "tax_arrears") == [first, second, third]


def test_a_table_without_watermark_is_dated_by_the_clock(source, contract, settings):
    source.add("a")
    [batch] = pull(contract("full", watermark=None), settings)
    assert batch.as_of == CLOCK.now()
    assert pull(contract("full", watermark=None), settings) == [batch]


@pytest.mark.usefixtures("source")
def test_an_empty_table_is_a_delivery_when_all_is_delivered(contract, settings):
    assert pull(contract(), settings) == []
    [batch] = pull(contract("full"), settings)
    assert rows_of(settings, batch) == []


@pytest.mark.usefixtures("source")
def test_missing_table_and_columns_are_named(contract, settings):
    with pytest.raises(SourceUnavailable, match="没有表“no_such”"):
        pull(contract(table="no_such"), settings)
    with pytest.raises(ContractError, match="没有合同所写的列：编号"):
        pull(contract(key="编号"), settings)


def test_reads_more_rows_than_are_held_in_memory(source, contract, settings):
    for number in range(23):
        source.add(f"{number:03d}")
    [batch] = pull(contract(chunk=5), settings)
    assert keys_of(settings, batch) == [f"{n:03d}" for n in range(23)]


def test_a_value_that_is_no_utf8_costs_only_itself(contract, settings, tmp_path, monkeypatch):
    path = tmp_path / "staging.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE staging ({COLUMNS.format(time='TEXT')})")
        row = "INSERT INTO staging VALUES (?, CAST(? AS TEXT), NULL, '2026-11-01 08:00:00')"
        connection.executemany(row, [("a", "甲".encode("gbk")), ("b", "乙".encode())])
    monkeypatch.setenv("CHENGXIN_CONN_POLICE_STAGING", f"sqlite:///{path}")
    [batch] = pull(contract(), settings)
    payload = landing.payload(Home(settings, CLOCK), batch)[0].read_bytes()
    assert "甲".encode("gbk") in payload and "乙".encode() in payload


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "请设置环境变量 CHENGXIN_CONN_POLICE_STAGING"),
        ("sqlite:////no/such/file.db", "不存在"),
        ("oracle://u:secret@h/db", "没有安装“oracle”的数据库驱动"),
        ("dm+dmPython://u:secret@h/db", "方言"),
        ("not a url", "不是有效的数据库地址"),
        ("postgresql+psycopg://u:secret@127.0.0.1:1/db", "失败"),
    ],
)
def test_a_connection_that_cannot_work_is_named_without_its_password(contract, settings, monkeypatch, url, words):
    monkeypatch.setenv("CHENGXIN_CONN_POLICE_STAGING", url)
    with pytest.raises(SourceUnavailable, match=words) as failure:
        Database().discover(Home(settings, CLOCK), contract())
    shown = "".join(traceback.format_exception(failure.value))
    assert "secret" not in shown


@pytest.mark.server
def test_a_wrong_path_never_creates_an_empty_database(contract, settings, monkeypatch, tmp_path):
    monkeypatch.setenv("CHENGXIN_CONN_POLICE_STAGING", f"sqlite:///{tmp_path / 'typo.db'}")
    with pytest.raises(SourceUnavailable):
        Database().discover(Home(settings, CLOCK), contract())
    assert not (tmp_path / "typo.db").exists()


def test_values_over_many_lines_are_read_back_whole(source, settings, contract):
    long = "\n".join(f'{n},"某甲",\\,' for n in range(400))
    for key, name in (("k1", "某甲"), ("k2", long), ("k3", 'a\\"\n')):
        source.add(key, name)
    [batch] = pull(contract(), settings)
    spec = contract_for(contract(), batch).file
    [path] = landing.payload(Home(settings, CLOCK), batch)
    chunks = [chunk for piece in plan(path, spec) for chunk in read(piece, spec)]
    assert [c.damaged for c in chunks] == [()] * len(chunks)
    assert [v for c in chunks for v in c.table["姓名"].to_pylist()] == ["某甲", long, 'a\\"\n']


def test_a_poll_that_finds_nothing_new_goes_over_the_table_once(source, settings, contract):
    passes: list[str] = []

    def note(_connection, _cursor, statement, *_rest):
        passes.extend([statement] if "staging" in statement and statement.startswith("SELECT") else [])

    source.add("k1")
    source.add("k2", at="9999-12-31 00:00:00")
    pull(contract(), settings)
    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", note)
    try:
        assert landing.offered(Home(settings, CLOCK), contract()) == []
        assert len([s for s in passes if not s.startswith("SELECT count(*)")]) == 1  # and one that only counts
        assert len(passes) == 2
        source.run("UPDATE staging SET \"姓名\" = '某乙', \"更新时间\" = '2026-11-01 07:30:00' WHERE \"主键\" = 'k1'")
        source.add("k3", at="2026-11-01 07:59:00")
        assert len(landing.offered(Home(settings, CLOCK), contract())) == 1  # came late, within the overlap
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("at", ["2026-11-01 08:00:00", None])
def test_a_row_that_changes_without_its_watermark_is_seen_within_the_overlap(source, settings, contract, at):
    source.add("k1", at="2026-11-01 08:00:00")
    source.add("k2", at=at)
    pull(contract(), settings)
    assert landing.offered(Home(settings, CLOCK), contract()) == []
    source.run("UPDATE staging SET \"姓名\" = '某乙' WHERE \"主键\" = 'k2'")
    [batch] = pull(contract(), settings)
    assert "某乙" in landing.payload(Home(settings, CLOCK), batch)[0].read_text("utf-8")
    assert landing.offered(Home(settings, CLOCK), contract()) == []
