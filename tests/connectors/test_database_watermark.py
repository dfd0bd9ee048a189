"""What a pull sees and when: rows committed late, watermarks of every form, tables that change overnight."""

from datetime import UTC, datetime

import pytest
import sqlalchemy

from chengxin.clock import Clock
from chengxin.connectors import landing
from chengxin.errors import ContractError
from chengxin.home import Home

CLOCK = Clock(datetime(2026, 11, 23, 8, tzinfo=UTC))
#: form, type of the column, watermarks in the order of time; the first two lie within the hour before the third.
FORMS = [
    ("time", "TEXT", ["2026-11-01 08:00:00", "2026-11-01T08:30:00.250", "2026-11-01 08:40:00", "2026-11-02 09:00:00"]),
    ("time", "TIMESTAMP", ["2026-11-01 08:00:00", "2026-11-01 08:30:00", "2026-11-01 08:40:00", "2026-11-02 09:00:00"]),
    ("date", "VARCHAR(255)", ["2026-11-01", "2026-11-01", "2026-11-01", "2026-11-03"]),
    ("date", "DATE", ["2026-11-01", "2026-11-01", "2026-11-01", "2026-11-03"]),
    ("digits", "VARCHAR(255)", ["20261101080000", "20261101083000", "20261101084000", "20261102090000"]),
    ("digits", "BIGINT", [20261101080000, 20261101083000, 20261101084000, 20261102090000]),
    ("epoch_s", "VARCHAR(255)", ["1793491200", "1793493000", "1793493600", "1793581200"]),
    ("epoch_s", "BIGINT", [1793491200, 1793493000, 1793493600, 1793581200]),
    ("epoch_ms", "BIGINT", [1793491200000, 1793493000000, 1793493600250, 1793581200000]),
]  # fmt: skip


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
    def pull(now=CLOCK, **options):
        fixed = {"connection": "staging", "table": "前置 (表)", "key": "主键", "watermark": "时间"}
        contract = make_contract("database", "incremental", **{**fixed, **options})
        found = [
            landing.land(Home(settings, CLOCK), contract, d) for d in landing.offered(Home(settings, now), contract)
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


@pytest.mark.parametrize("at", ["2026-11-02 07:00:00", "2026-10-02 00:00:00"])
def test_rows_from_before_the_overlap_cause_a_whole_pull(engine, pull, at):
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


@pytest.mark.parametrize(("form", "kind", "at"), FORMS, ids=[f"{form}-{kind}" for form, kind, _ in FORMS])
def test_each_form_goes_on_from_its_overlap(engine, pull, form, kind, at):
    make(engine, kind)
    adding(engine, ("a", at[0]), ("c", at[2]))
    assert pull(watermark_form=form) == ["a", "c"]
    assert pull(watermark_form=form) is None
    adding(engine, ("b", at[1]))  # committed late
    assert {*pull(watermark_form=form)} == {"a", "b", "c"}
    assert pull(watermark_form=form) is None
    adding(engine, ("d", at[3]))
    assert {*pull(watermark_form=form)} == {"a", "b", "c", "d"}
    assert pull(watermark_form=form) is None
    changing(engine, "a", at[3])
    assert {*pull(watermark_form=form)} == {"a", "d"}


@pytest.mark.parametrize("kind", ["VARCHAR(255)", "INTEGER"])
def test_a_form_that_the_column_cannot_have_is_refused(engine, pull, kind):
    make(engine, kind)
    with pytest.raises(ContractError, match="声明 watermark_form"):
        pull(watermark_form="counter" if kind != "INTEGER" else "time")


@pytest.mark.parametrize(
    "at",
    ["2026-11-01T11:00:00.5Z", "2026-11-01 11:00:00+08:00", "2026/11/1 8:05", "2026年11月1日", "20261103", "2026-11-03",
     "2026-11-03 01:00:00 PM", "2026-11-03 下午 1:00:00", " 2026-11-03 01:00:00", "2026-11-03 01:00:00.x"],
)  # fmt: skip
def test_a_watermark_text_of_another_form_loses_no_row(engine, pull, at):
    adding(engine, ("a", "2026-11-01 08:00:00"), ("b", "2026-11-03 11:30:00"))
    assert pull() == ["a", "b"]
    adding(engine, ("x", at))
    assert {*pull()} == {"b", "x"}
    assert pull() is None
    adding(engine, ("c", "2026-11-04 11:30:00"))
    assert {*pull()} == {"b", "c", "x"}


def test_a_late_row_no_count_shows_comes_with_a_whole_pull(engine, pull):
    adding(engine, ("a", "2026-11-01 08:00:00"), ("b", "2026-11-01 09:00:00"), ("c", "2026-11-03 08:00:00"))
    assert pull() == ["a", "b", "c"]
    adding(engine, ("late", "2026-11-01 08:30:00"))
    changing(engine, "a", "2026-11-03 09:00:00")  # one came, one left
    assert {*pull()} == {"a", "c"}
    later = Clock(datetime(2026, 12, 24, 8, tzinfo=UTC))
    assert pull(later) is None  # nothing has changed that a pull would show
    adding(engine, ("d", "2026-12-23 08:00:00"))
    assert {*pull(later)} == {"late", "b", "c", "a", "d"}
    adding(engine, ("e", "2026-12-23 09:00:00"))
    assert pull(later) == ["d", "e"]


def test_rows_without_a_time_are_always_pulled_and_move_nothing(engine, pull):
    odd = ["9999-12-31", "1900-01-01", "0000-00-00 00:00:00", "不详", "", None, "2099-12-31 00:00:00", "2026-13"]
    adding(engine, ("a", "2026-11-01 08:00:00"), ("b", "2026-11-03 08:00:00"))
    assert pull() == ["a", "b"]
    adding(engine, *((f"x{n}", at) for n, at in enumerate(odd)))
    assert set(pull()) == {"b", *(f"x{n}" for n in range(len(odd)))}
    adding(engine, ("c", "2026-11-04 08:00:00"))
    assert set(pull()) == {"b", "c", *(f"x{n}" for n in range(len(odd)))}
    assert pull() is None


def test_a_counter_is_a_watermark_too(engine, pull):
    make(engine, "INTEGER")
    adding(engine, ("a", 1), ("b", 2))
    assert pull(watermark_form="counter") == ["a", "b"]
    assert pull(watermark_form="counter") is None
    adding(engine, ("c", 3))
    assert pull(watermark_form="counter") == ["b", "c"]


def test_a_watermark_that_changes_its_type_goes_on(engine, pull):
    adding(engine, ("a", "2026-11-01 08:00:00"), ("b", "2026-11-03 08:00:00"))
    assert pull() == ["a", "b"]
    make(engine, "TIMESTAMP")
    adding(engine, ("a", "2026-11-01 08:00:00"), ("b", "2026-11-03 08:00:00"), ("c", "2026-11-04 08:00:00"))
    assert pull() == ["b", "c"]


def test_a_renamed_column_is_found_by_alias_a_lost_one_is_named(engine, make_contract, settings):
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
