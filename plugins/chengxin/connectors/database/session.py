"""Connections to departments' databases: found by name, limited in time, silent about secrets when they fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from chengxin.connectors.base import connection_url, connection_variable
from chengxin.errors import SourceUnavailable

APPLICATION = "chengxin"
_LOST = "；连接中断，稍后会自动重试"
_GARBLED = "；库中文字与其字符集不符（SQL_ASCII 库里常见）。请提供部门核对字符集，改用 UTF-8 的库，或用视图转换后给出"


@dataclass(frozen=True)
class Limits:
    """How long the other side may take, in seconds: to connect, for one statement. PostgreSQL keeps to both."""

    connect_seconds: int = 15
    statement_seconds: int = 3_600


@contextmanager
def reading(name: str, table: str, limits: Limits) -> Iterator[Connection]:
    """Open one read-only transaction that sees one state of the database; put driver errors into our words.

    Repeatable read and read only on PostgreSQL; on others as far as their default goes. Raises SourceUnavailable.
    """
    with _opened(name, f"读取连接“{name}”的表“{table}”失败", limits) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            _limit(connection, limits)
        elif connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")
            # the driver opens no transaction for a SELECT, and each statement would see another state
            connection.exec_driver_sql("BEGIN")
        yield connection


@contextmanager
def writing(name: str, table: str, limits: Limits) -> Iterator[Connection]:
    """Open one transaction that is committed at the end, or leaves nothing. Raises SourceUnavailable."""
    with _opened(name, f"写入连接“{name}”的表“{table}”失败", limits) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            _limit(connection, limits)
        yield connection


@contextmanager
def _opened(name: str, failure: str, limits: Limits) -> Iterator[Connection]:
    engine = _engine(name, limits)
    try:
        with engine.connect() as connection:
            yield connection
    except (SQLAlchemyError, UnicodeError, engine.dialect.loaded_dbapi.Error) as error:
        # The driver's own text may quote a row or a connection string.
        more = _LOST if _was_lost(error) else _GARBLED if _is_garbled(error) else ""
        raise SourceUnavailable(f"{failure}（{_kind(error)}）{more}") from None
    finally:
        engine.dispose()


def _limit(connection: Connection, limits: Limits) -> None:
    connection.execute(text("SET LOCAL TimeZone = 'Asia/Shanghai'"))
    connection.execute(text("SET LOCAL DateStyle = 'ISO, YMD'"))
    connection.execute(text("SET LOCAL IntervalStyle = 'postgres'"))
    connection.execute(text("SET LOCAL extra_float_digits = 1"))
    connection.execute(text(f"SET LOCAL statement_timeout = {limits.statement_seconds * 1000}"))


def _kind(error: Exception) -> str:
    origin = getattr(error, "orig", None) or error
    state = getattr(origin, "sqlstate", None)
    return type(origin).__name__ + (f" {state}" if state else "")


def _is_garbled(error: Exception) -> bool:
    """Return whether a text could not be turned into UTF-8, by us or by PostgreSQL."""
    origin = getattr(error, "orig", None) or error
    return isinstance(origin, UnicodeError) or getattr(origin, "sqlstate", None) in {"22021", "22P05"}


def _was_lost(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        return bool(error.connection_invalidated)
    state = getattr(error, "sqlstate", None) or ""
    return state.startswith(("08", "57P"))


def _engine(name: str, limits: Limits) -> Engine:
    variable = connection_variable(name)
    try:
        url = make_url(connection_url(name))
    except ArgumentError:
        raise SourceUnavailable(f"环境变量 {variable} 不是有效的数据库地址") from None
    if url.get_backend_name() == "sqlite" and (not url.database or not Path(url.database).is_file()):
        # SQLite would make an empty database out of a wrong path.
        raise SourceUnavailable(f"环境变量 {variable} 所指的 SQLite 文件不存在")
    try:
        return _created(url, limits)
    except NoSuchModuleError:
        raise SourceUnavailable(
            f"环境变量 {variable}：没有“{url.drivername}”的 SQLAlchemy 方言，请安装对应的方言包"
        ) from None
    except ImportError:
        raise SourceUnavailable(f"环境变量 {variable}：没有安装“{url.drivername}”的数据库驱动") from None
    except (SQLAlchemyError, TypeError, ValueError):
        raise SourceUnavailable(f"环境变量 {variable}：数据库地址中有驱动不认识的参数") from None


def _created(url: URL, limits: Limits) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, hide_parameters=True)
        event.listen(engine, "connect", _forgive_broken_text)
        return engine
    if url.get_backend_name() != "postgresql":
        return create_engine(url, hide_parameters=True)
    named: dict[str, Any] = {"connect_timeout": limits.connect_seconds, "client_encoding": "UTF8"}
    # TLS options (sslmode, sslrootcert, ...) and another application_name stand in the URL and go first.
    named |= {"application_name": APPLICATION, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    named = {key: value for key, value in named.items() if key not in url.query}
    return create_engine(url.set(drivername="postgresql+psycopg"), hide_parameters=True, connect_args=named)


def _forgive_broken_text(connection: Any, _record: object) -> None:
    """Let a key or a watermark that is no UTF-8 through: its row is quarantined later, the others are not lost."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
