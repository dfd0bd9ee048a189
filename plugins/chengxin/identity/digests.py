"""Digests that are stored and compared in later runs. Defined here, so that every engine and release gives the same.

A digest is a number of 64 bits: the first 16 hex digits of the MD5 of a canonical text (UTF-8). It protects nothing.

Canonical text of a row: `name=value` of every field that is not NULL, in the order of the names, joined by U+001F. A
NULL field is left out, an empty text is not; a field that a kind gains later changes no digest of rows without it. No
value holds U+001F: standardise takes control characters out of all columns. Values by type (`text`):

  string                as it stands
  date32                2026-11-30
  timestamp             2026-11-30 16:00:00.000000Z, in UTC
  int64, int32          -12
  decimal2, decimal6    in hundredths, in millionths: 1250 for 12.50 in decimal2
  bool                  1 or 0
"""

from collections.abc import Mapping

from chengxin.engine.step import identifier
from chengxin.model.schema import ColumnSpec

#: Of what is stored; in the versions of every admission. 1 was DuckDB's hash(), which changes between its releases.
VERSION = "2"
KEY = "digests"  # in the versions of an admission
#: Columns of linked.parquet: by which a number that names two records is known, and a record that is written otherwise.
TWIN, NEAR = "twin", "near"

_SCALE = {"decimal2": 100, "decimal6": 1_000_000}


def text(column: ColumnSpec, alias: str) -> str:
    """Return SQL for the canonical text of a column's value; NULL stays NULL."""
    value = identifier(column.name, alias)
    match column.type:
        case "string":
            return value
        case "date32":
            return f"strftime({value}, '%Y-%m-%d')"
        case "timestamp":  # by way of a number: the session's time zone has no say
            return f"strftime(make_timestamp(epoch_us({value})), '%Y-%m-%d %H:%M:%S.%fZ')"
        case "decimal2" | "decimal6":
            return f"CAST(CAST(CAST({value} AS DECIMAL(38, 6)) * {_SCALE[column.type]} AS BIGINT) AS VARCHAR)"
        case "bool":
            return f"CASE WHEN {value} THEN '1' WHEN NOT {value} THEN '0' END"
    return f"CAST({value} AS VARCHAR)"


def row(fields: Mapping[str, str]) -> str:
    """Return SQL for the canonical text of a row. fields: name -> SQL of the value's text."""
    given = (f"'{name}=' || ({value})" for name, value in sorted(fields.items()))
    return f"concat_ws(chr(31), {', '.join(given)})"


def number(canonical: str) -> str:
    """Return SQL for the digest (UBIGINT) of a canonical text; NULL for NULL."""
    return f"CAST('0x' || left(md5({canonical}), 16) AS UBIGINT)"
