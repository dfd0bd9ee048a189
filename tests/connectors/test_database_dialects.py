"""The general path: a database of another dialect, whose driver gives typed values and knows no tricks of ours."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from chengxin.clock import Clock
from chengxin.connectors import landing
from chengxin.home import Home

CLOCK = Clock(datetime(2026, 11, 23, 8, tzinfo=UTC))


class AnotherDialect(SQLiteDialect_pysqlite):
    """A dialect of a name we know nothing of."""

    name = "another"
    supports_statement_cache = True


registry.register("another", __name__, "AnotherDialect")
registry.register("another.file", __name__, "AnotherDialect")


@pytest.fixture(params=[sqlalchemy.DateTime(), sqlalchemy.String(50), sqlalchemy.BigInteger()], ids=str)
def staging(request, tmp_path, monkeypatch):
    url = f"another+file:///{tmp_path / 'staging.db'}"
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", url)
    engine = sqlalchemy.create_engine(url)
    columns = [sqlalchemy.Column("键", sqlalchemy.String(20)), sqlalchemy.Column("时间", request.param)]
    columns += [sqlalchemy.Column("金额", sqlalchemy.Numeric(18, 2)), sqlalchemy.Column("日期", sqlalchemy.Date)]
    table = sqlalchemy.Table("staging", sqlalchemy.MetaData(), *columns)
    table.create(engine)

    def add(key, moment):
        at = datetime.fromisoformat(moment)
        match request.param:
            case sqlalchemy.String():
                value = moment
            case sqlalchemy.BigInteger():
                value = int(at.replace(tzinfo=UTC).timestamp()) - 8 * 3600
            case _:
                value = at
        with engine.begin() as connection:
            row = {"键": key, "时间": value, "金额": Decimal("12.50"), "日期": date(2026, 9, 5)}
            connection.execute(table.insert(), row)

    yield add, "epoch_s" if isinstance(request.param, sqlalchemy.BigInteger) else "time"
    engine.dispose()


@pytest.mark.filterwarnings("ignore:Dialect .* does .not. support Decimal")
def test_another_dialect_is_pulled_like_the_known_ones(staging, make_contract, settings):
    add, form = staging
    options = {"connection": "staging", "table": "staging", "key": "键", "watermark": "时间", "watermark_form": form}
    contract = make_contract("database", "incremental", **options)

    def pull():
        [batch] = [
            landing.land(Home(settings, CLOCK), contract, d) for d in landing.offered(Home(settings, CLOCK), contract)
        ]
        lines = landing.payload(Home(settings, CLOCK), batch)[0].read_text("utf-8").splitlines()
        return [line.split(",") for line in lines]

    add("a", "2026-11-01 08:00:00")
    add("b", "2026-11-03 08:00:00")
    header, first, second = pull()
    assert header == ["键", "时间", "金额", "日期"]
    assert (first[0], first[2], first[3]) == ('"a"', '"12.50"', '"2026-09-05"') and second[0] == '"b"'
    assert landing.offered(Home(settings, CLOCK), contract) == []
    add("late", "2026-11-03 07:30:00")
    assert [row[0] for row in pull()[1:]] == ['"late"', '"b"']
    add("c", "2026-11-04 08:00:00")
    assert [row[0] for row in pull()[1:]] == ['"late"', '"b"', '"c"']
    assert landing.offered(Home(settings, CLOCK), contract) == []
