"""SQL for the keys of records: which record a row is (record_id), what it says (payload), since when (version_at).

Values that steps with this SQL give: identity, of what record ids are made besides subject and key (the data set, or
its group of routes); as_of, what the delivery counts as of (ISO 8601).
"""

from collections.abc import Collection

from chengxin.engine.step import identifier
from chengxin.facts import DeliveryMode
from chengxin.identity import digests
from chengxin.model.kinds import Kind
from chengxin.model.schema import ColumnSpec, kind_columns

STATUS, DELETED = "delivery_status_code", "2"
RECORD_ID = "source_record_id"
SUBJECT = "subject_id"

# By what the versions of one record are ordered. A row that waited takes the place of its batch.
VERSION_ORDER = "version_at, batch_order, row_id"


def record_id(kind: Kind, subject: str) -> str:
    """Return the record's id: md5 over `natural`, in hex."""
    return f"md5({natural(kind, subject)})"


def natural(kind: Kind, subject: str) -> str:
    """Return SQL that joins identity, subject and the kind's key by U+001F; '' where one is NULL.

    The texts are canonical (identity.digests). None is empty: standardise makes empty values NULL.
    """
    columns = {c.element.id: c for c in reversed(kind_columns(kind)) if c.element}
    keys = [f"coalesce({_key(columns[e])}, '')" for e in kind.key]
    return f"concat_ws(chr(31), {', '.join(['$identity', subject, *keys])})"


def one_number(kind: Kind, subject: str) -> str:
    """Return SQL that digests what alone should name one record of a subject; NULL where a part of it is missing."""
    columns = {c.element.id: c for c in reversed(kind_columns(kind)) if c.element}
    parts = {e: _key(columns[e]) for e in kind.one_number}
    given = " AND ".join(f"{p} IS NOT NULL" for p in parts.values())
    return f"CASE WHEN {given} THEN {digests.number(digests.row({SUBJECT: subject, **parts}))} END"


def compared(column: ColumnSpec, alias: str) -> str:
    """Return SQL for a key column, or a text of one, as text that is compared within a run and never stored."""
    return _brackets(column, f"CAST({identifier(column.name, alias)} AS VARCHAR)")


def _key(column: ColumnSpec) -> str:
    return _brackets(column, digests.text(column, "s"))


def _brackets(column: ColumnSpec, text: str) -> str:
    """Brackets are typed in half or full width, so in texts they are one."""
    written = column.element is not None and column.element.type in {"text", "name"}
    return f"replace(replace({text}, '（', '('), '）', ')')" if written else text  # translate() takes 20 times as long


def numbered_id(kind: Kind, subject: str) -> str:
    """Return the id of a record that the source's own number names; where there is none, its `record_id`."""
    named = f"concat_ws(chr(31), $identity, '{RECORD_ID}', s.{RECORD_ID})"
    return f"CASE WHEN s.{RECORD_ID} IS NULL THEN {record_id(kind, subject)} ELSE md5({named}) END"


def withdrawal(kind: Kind, columns: Collection[str]) -> str | None:
    """Return the SQL condition that the row `s` withdraws its record; None where no row of these columns can."""
    said = [f"s.{STATUS} = '{DELETED}'"] if STATUS in columns else []
    said += [f"s.{kind.settled_at_zero}_yuan = 0"] if kind.settled_at_zero else []
    return f"coalesce({' OR '.join(said)}, false)" if said else None


def payload(kind: Kind) -> str:
    """Return a 64-bit digest of what a row states, without where it came from.

    An amount counts as what it is worth, however it was spelled; where that is not known (foreign, unreadable), its
    text does.
    """
    return digests.number(digests.row({c.name: _value_text(c) for c in kind_columns(kind)}))


def _value_text(column: ColumnSpec) -> str:
    said = digests.text(column, "s")
    amount = column.name.removesuffix("_raw")
    return said if amount == column.name else f"CASE WHEN s.{amount}_yuan IS NULL THEN {said} END"


def version_at(mode: DeliveryMode) -> str:
    """Return since when a row's content holds: the source's own time, else what its delivery counts as of.

    A full delivery is the truth of its day as a whole, whatever times its rows bear.
    """
    as_of = "CAST($as_of AS TIMESTAMPTZ)"
    return as_of if mode == "full" else f"coalesce(s.source_updated_at, {as_of})"
