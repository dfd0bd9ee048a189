"""The delivery options of connector database."""

from typing import Annotated

from pydantic import Field

from chengxin.connectors.base import Options
from chengxin.connectors.database.session import Limits
from chengxin.connectors.database.watermark import Form


class DatabaseOptions(Options):
    """Options of a database table or view.

    connection: its URL is in CHENGXIN_CONN_<NAME>, e.g. sqlite:///path or postgresql+psycopg://user@host/db?sslmode=...
    table, schema: what to read. key: columns that order the rows (and name them). watermark: column that grows with
        every change; a pull (mode incremental) starts `overlap` minutes before the last value seen, so that rows
        whose transaction ended late are not missed. They come twice and are deduplicated. Where rows appear further
        back than that, the next pull is of all rows.
    watermark_form: how the column is written: time (also a column of times, the default), date, digits
        (YYYYMMDDHHMMSS), epoch_s, epoch_ms, or counter (a number that is no time).
    whole_days: after so many days the next pull that finds a change is of all rows, whatever their watermark.
    chunk: rows held in memory at a time. connect_seconds, statement_seconds: limits of PostgreSQL.
    """

    connection: str
    table: str
    schema_name: Annotated[str | None, Field(alias="schema")] = None
    key: str | tuple[str, ...] = ()
    watermark: str | None = None
    watermark_form: Form = "time"
    overlap: Annotated[int, Field(ge=0)] = 60
    whole_days: Annotated[int, Field(ge=1)] = 30
    chunk: Annotated[int, Field(ge=1)] = 20_000
    connect_seconds: Annotated[int, Field(ge=1)] = 15
    statement_seconds: Annotated[int, Field(ge=1)] = 3_600

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the key columns."""
        return (self.key,) if isinstance(self.key, str) else self.key

    @property
    def limits(self) -> Limits:
        """Return how long the database may take."""
        return Limits(self.connect_seconds, self.statement_seconds)
