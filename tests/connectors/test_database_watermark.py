"""What a pull sees and when: rows committed late, watermarks in every spelling, tables that change overnight."""

from datetime import UTC, datetime

import pytest
import sqlalchemy

from chengxin.clock import Clock
from chengxin.connectors import landing
from chengxin.connectors.database.watermark import moment_of, scale_of
from chengxin.errors import ContractError
from chengxin.home import Home

CLOCK = Clock(datetime(2026, 11, 23, 8, tzinfo=UTC))
SPELLINGS = [
    ("2026-11-01 08:00:00", "20261101080000"),
    ("2026-11-01T08:00:00.250", "20261101080000"),
    ("2026/11/1 8:05", "20261101080500"),
    ("2026年11月1日", "20261101000000"),
    ("2026.11.2", "20261102000000"),
    ("20261103", "20261103000000"),
    ("202611030930", "20261103093000"),
    ("20261103093015", "20261103093015"),
    ("1793664000000", "20261103080000"),
    ("1793664000", "20261103080000"),
    (" 2026-11-04 09:00:00 ", "20261104090000"),
    ("2026-11-04T01:00:00Z", "20261104090000"),
    ("2026-11-04 01:00:00.25+00", "20261104090000"),
    ("2026-11-04T09:00:00+08:00", "20261104090000"),
    ("2026-11-03 19:30:00-0530", "20261104090000"),
    ("2026-12-31T20:00:00Z", "20270101040000"),
]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    (tmp_path / "staging.db").touch()
    return f"sqlite:///{tmp_path / 'staging.db'}"


@pytest.fixture
def engine(url, monkeypatch):
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", url)
    engine = sqlalchemy.create_engine(url)
    make(engine, "VARCHAR(255)")
    yield engine
    with engine.begin() as connection:
        connection.exec_driver_sql('DROP TABLE "前置 (表)"')
    engine.dispose()


def make(engine, kind):
    with engine.begin() as connection:
        connection.exec_driver_sql('DROP TABLE IF EXISTS "前置 (表)"')
        connection.exec_driver_sql(f'CREATE TABLE "前置 (表)" ("主键" VARCHAR(64), "时间" {kind})')


def add(connection, key, at):
    statement = sqlalchemy.text('INSERT INTO "前置 (表)" ("主键", "时间") VALUES (:k, :t)')
    connection.execute(statement, {"k": key, "t": at})


def adding(engine, *rows):
    with engine.begin() as connection:
        for key, at in rows:
            add(connection, key, at)


def changing(engine, key, at):
    with engine.begin() as connection:
        statement = sqlalchemy.text('UPDATE "前置 (表)" SET "时间" = :t WHERE "主键" = :k')
        connection.execute(statement, {"k": key, "t": at})


@pytest.fixture
def pull(make_contract, settings):
    def pull(**options):
        fixed = {"connection": "staging", "table": "前置 (表)", "key": "主键", "watermark": "时间"}
        contract = make_contract("database", "incremental", **{**fixed, **options})
        found = [
            landing.land(Home(settings, CLOCK), contract, d) for d in landing.offered(Home(settings, CLOCK), contract)
        ]
        assert len(found) <= 1
        if not found:
            return None
        [path] = landing.payload(Home(settings, CLOCK), found[0])
        return [line.split(",")[0].strip('"') for line in path.read_text("utf-8").splitlines()[1:]]

    return pull


@pytest.mark.server
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ", "VARCHAR(255)"])
def test_a_row_whose_transaction_ends_late_is_not_missed(engine, pull, kind):
    make(engine, kind)
    with engine.connect() as slow:
        add(slow, "late", "2026-11-01 08:00:00")
        adding(engine, ("early", "2026-11-01 08:30:00"))
        assert pull() == ["early"]
        assert pull() is None
        slow.commit()
    assert pull() == ["late", "early"]
    assert pull() is None
    adding(engine, ("next", "2026-11-02 08:30:00"))
    assert pull() == ["late", "early", "next"]
    assert pull() is None


@pytest.mark.parametrize("at", ["2026-11-02 07:00:00", "2026-10-02"])
def test_rows_that_appear_further_back_than_the_overlap_are_pulled_with_all_others(engine, pull, at):
    adding(engine, ("a", "2026-11-01 08:00:00"), ("b", "2026-11-02 08:30:00"))
    assert pull() == ["a", "b"]
    for key in ("late", "later"):  # of two pulls with one watermark the later one counts
        adding(engine, (key, at))
        assert {*pull()} >= {"a", "b", key}
        assert pull() is None
    changing(engine, "b", "2026-11-01 09:00:00")
    assert {*pull()} == {"a", "b", "late", "later"}  # what was newest is dated back
    assert pull() is None
    adding(engine, ("c", "2026-11-03 08:00:00"), ("back", "2026-10-01 08:00:00"))
    assert {*pull()} == {"a", "b", "late", "later", "c", "back"}
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM \"前置 (表)\" WHERE \"主键\" IN ('a', 'late')")
    assert pull() is None
    adding(engine, ("d", "2026-11-03 08:10:00"))
    assert pull() == ["c", "d"]


def test_texts_with_offsets_are_placed_by_the_time_they_mean(engine, pull):
    adding(engine, ("a", "2026-11-01T18:00:00+08:00"), ("b", "2026-11-01 18:30:00+0800"))
    assert {*pull()} == {"a", "b"}
    adding(engine, ("c", "2026-11-01T11:00:00.5Z"), ("d", "2026-11-01 13:00:00-05:30"))
    assert {*pull()} == {"a", "b", "c", "d"}  # 19:00, and 02:30 of the next day
    adding(engine, ("e", "2026-11-02T02:40:00"))
    assert {*pull()} == {"d", "e"}


def test_every_spelling_of_a_time_is_placed_alike(engine):
    adding(engine, *((text, text) for text, _ in SPELLINGS))
    with engine.connect() as connection:
        table = sqlalchemy.Table("前置 (表)", sqlalchemy.MetaData(), autoload_with=connection)
        scale = scale_of(connection, table, table.c["时间"], CLOCK.now())
        found = connection.execute(sqlalchemy.select(table.c["主键"], scale.value).select_from(scale.source)).all()
    assert dict(map(tuple, found)) == dict(SPELLINGS)
    assert {text: moment_of(text) for text, _ in SPELLINGS} == dict(SPELLINGS)


def test_texts_in_several_spellings_are_pulled_in_the_order_of_time(engine, pull):
    adding(engine, ("a", "2026/10/9 08:00"), ("b", "2026-10-30 08:00:00"))
    assert set(pull()) == {"a", "b"}
    adding(engine, ("c", "20261031"), ("d", "2026年11月1日 9:00"))
    assert set(pull()) == {"b", "c", "d"}
    assert pull() is None
    adding(engine, ("e", "2026-11-01 10:00:00"))
    assert set(pull()) == {"d", "e"}


def test_rows_that_say_no_time_are_asked_for_always_and_move_nothing(engine, pull):
    odd = ["9999-12-31", "1900-01-01", "0000-00-00 00:00:00", "不详", "", None, "2099-12-31 00:00:00", "2026-13"]
    adding(engine, ("a", "2026-11-01 08:00:00"), ("b", "2026-11-03 08:00:00"))
    assert pull() == ["a", "b"]
    adding(engine, *((f"x{n}", at) for n, at in enumerate(odd)))
    assert set(pull()) == {"b", *(f"x{n}" for n in range(len(odd)))}
    adding(engine, ("c", "2026-11-04 08:00:00"))
    assert set(pull()) == {"b", "c", *(f"x{n}" for n in range(len(odd)))}
    assert pull() is None


@pytest.mark.parametrize("at", ["2026-11-03 01:00:00 PM", "2026/11/3 下午 1:00:00", "2026-11-03 1:00 p.m."])
def test_hours_of_a_half_day_clock_are_no_place_and_no_row_is_missed(engine, pull, at):
    adding(engine, ("a", "2026-11-03 11:30:00"))
    assert pull() == ["a"]
    adding(engine, ("b", at))
    assert set(pull()) == {"a", "b"}
    assert moment_of(at) is None


def test_a_day_without_a_time_among_times_may_be_any_time_of_that_day(engine, pull):
    adding(engine, ("a", "2026-11-02 23:30:00"), ("b", "2026-11-03 11:30:00"))
    assert pull() == ["a", "b"]
    adding(engine, ("c", "2026-11-03"), ("d", "2026-11-02"))
    assert set(pull()) == {"a", "b", "c", "d"}  # the day before is further back than the last pull began
    adding(engine, ("e", "2026-11-03"))
    assert set(pull()) == {"b", "c", "e"}
    assert pull() is None


def test_a_counter_is_a_watermark_too(engine, pull):
    make(engine, "INTEGER")
    adding(engine, ("a", 1), ("b", 2))
    assert pull() == ["a", "b"]
    assert pull() is None
    adding(engine, ("c", 3))
    assert pull() == ["b", "c"]


def test_a_watermark_that_changes_its_type_goes_on(engine, pull):
    adding(engine, ("a", "2026-11-01 08:00:00"), ("b", "2026-11-03 08:00:00"))
    assert pull() == ["a", "b"]
    make(engine, "TIMESTAMP")
    adding(engine, ("a", "2026-11-01 08:00:00"), ("b", "2026-11-03 08:00:00"), ("c", "2026-11-04 08:00:00"))
    assert pull() == ["b", "c"]


def test_a_renamed_column_is_found_by_its_alias_and_a_lost_one_is_named(engine, make_contract, settings):
    adding(engine, ("a", "2026-11-01 08:00:00"))
    with engine.begin() as connection:
        connection.exec_driver_sql('ALTER TABLE "前置 (表)" RENAME COLUMN "时间" TO "更新时间（新）"')
    options = {"connection": "staging", "table": "前置 (表)", "key": "主键", "watermark": "时间"}
    contract = make_contract("database", "incremental", **options)
    with pytest.raises(ContractError, match="没有合同所写的列：时间"):
        landing.offered(Home(settings, CLOCK), contract)
    known = contract.columns[0].model_copy(update={"source": "时间", "aliases": ("更新时间(新)",)})
    renamed = contract.model_copy(update={"columns": (*contract.columns, known)})
    [delivery] = landing.offered(Home(settings, CLOCK), renamed)
    assert landing.land(Home(settings, CLOCK), renamed, delivery).as_of == datetime(2026, 11, 1, tzinfo=UTC)
