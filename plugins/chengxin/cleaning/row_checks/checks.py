"""What is checked once all columns of a chunk are cleaned: each check sees the rows whole, and refuses or warns."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.agreement import other_subjects, slipped
from chengxin.cleaning.columns import CODES, Columns
from chengxin.cleaning.odd_numbers import serial_days
from chengxin.cleaning.row_checks.kind_checks import check_declared
from chengxin.cleaning.row_checks.roles import both_roles
from chengxin.cleaning.stated.units import units_beside
from chengxin.contracts.plan import ColumnPlan
from chengxin.errors import DeliveryMismatch
from chengxin.model.schema import element_columns
from chengxin.parsing.buffers import as_mask, as_strings, take, valid
from chengxin.parsing.shapes import UnitRows
from chengxin.parsing.workbooks.sheets import ROWS_PER_SHEET

UNIT_BESIDE, UNIT_SHOWN = "money.unit_beside", "money.unit_shown"
_TELLING = frozenset({*CODES, "date", "instant", "document_no"})
_NAME = 5  # characters of a name that is no word above a column


def check_rows(work: Columns) -> None:
    """Apply all checks; the order matters where one drops a value that another would judge."""
    for check in CHECKS:
        check(work)


def _check_units(work: Columns) -> None:
    """Refuse rows in which another unit stands than the contract's; the whole file decides whether they are too many.

    Raises DeliveryMismatch where a unit stands in a row that is no record: a line of units below the column names
    (（万元）) speaks of all rows.
    """
    for element, (hits, words) in work.unit_cells.items():
        if (hits & ~_records(work)).any():
            raise DeliveryMismatch(words)
        _count_units(work, element, hits, words)
    for hits, words, columns in units_beside(work.plan, work.chunk.table):
        for column in columns:
            _refuse_unit(work, UNIT_BESIDE, hits, column, words)
    sheet_rows = work.chunk.rows.to_numpy() % ROWS_PER_SHEET
    for element, words, rows in work.shown_otherwise:
        column = next(c for c in work.plan.columns if c.element.id == element)
        _refuse_unit(work, UNIT_SHOWN, np.isin(sheet_rows, np.array(rows, np.int64)), column, words)
    for column in work.plan.columns:  # the sound rows of this chunk count for the odd ones of another
        if column.element.type == "money" and column.constant is None:
            _count_units(work, column.element.id, np.zeros(work.rows, dtype=bool), "", sound=True)


def _refuse_unit(work: Columns, rule: str, hits: np.ndarray, column: ColumnPlan, words: str) -> None:
    """Refuse those of some rows that have an amount of a column."""
    given = hits & valid(work.values[f"{column.element.id}_raw"])
    work.log.add(rule, given, column.element.id, work.source(column), work.raw(column), refuses=True)
    work.refused |= given
    _count_units(work, column.element.id, given, words)


def _count_units(work: Columns, element: str, hits: np.ndarray, words: str, *, sound: bool = False) -> None:
    amounts = int(np.count_nonzero(valid(work.values[f"{element}_yuan"]) & ~work.refused)) if sound else 0
    if amounts or words:
        work.amounts.append(UnitRows(element, amounts, int(np.count_nonzero(hits)), words))


def _records(work: Columns) -> np.ndarray:
    """Return the rows that hold what only a record does: a number, a day or a name of some length."""
    found = np.zeros(work.rows, dtype=bool)
    for column in work.plan.columns:
        values = work.values[element_columns(column.element)[0].name]
        if column.element.type in _TELLING:
            found |= valid(values)
        elif column.element.type == "name":
            found |= as_mask(pc.greater_equal(pc.utf8_length(values), _NAME))
    return found


def _check_codes(work: Columns) -> None:
    """Warn where an organisation code or tax number of a row is not that of its USCC, which is followed."""
    for role in work.plan.kind.roles.values():
        uscc = work.values.get(role.identity.get("uscc", ""))
        for part in ("org_code", "tax_no"):
            column = next((c for c in work.plan.columns if c.element.id == role.identity.get(part)), None)
            if uscc is None or column is None:
                continue
            code = work.values[column.element.id]
            rows = np.flatnonzero(valid(uscc) & valid(code))
            differ = np.zeros(work.rows, dtype=bool)
            differ[rows] = other_subjects(take(uscc, rows), take(code, rows))
            work.log.add("subject.codes_differ", differ, column.element.id, work.source(column), work.raw(column))


def _check_roles(work: Columns) -> None:
    """Warn where both parties are one subject though the record rules it out."""
    told, other = both_roles(work.plan.kind, work.values, CODES), work.plan.kind.roles.get("related")
    if told is not None and other is not None:
        work.log.add("subject.both_roles", told, other.identity["name"], "", pa.nulls(work.rows, pa.string()))


def _check_identity(work: Columns) -> None:
    """Refuse rows in which a required role has nothing that could name its subject."""
    for name, role in work.plan.kind.roles.items():
        if not role.required:
            continue
        usable, given_bad = work.codes_of(role)
        named = work.filled(role.identity.get("name"))
        if work.plan.kind.registers == "found":  # a name alone founds nobody
            named = np.zeros(work.rows, dtype=bool)
        hopeless = ~usable & (given_bad | ~named)
        if name != "subject":  # subject and key identify the record
            hopeless &= ~work.deletes
        unnamed = hopeless & ~given_bad
        for column in work.plan.columns:  # a required code that is missing has been named as the reason already
            if column.required and column.element.type in CODES and column.element.id in role.identity.values():
                unnamed &= work.filled(column.element.id)
        none = pa.nulls(work.rows, pa.string())
        main = next(iter(role.identity.values()))
        for rule, hits in (
            ("subject.identifiers_invalid", hopeless & given_bad),
            ("subject.no_identity", unnamed),
        ):
            work.log.add(rule, hits, main, role.title, none, refuses=True)
        work.refused |= hopeless


def _check_shifted(work: Columns) -> None:
    """Refuse rows whose fields have slipped."""
    hits = slipped(work.misplaced, work.invalid.values())
    work.log.add("field.shifted", hits, "", "", pa.nulls(work.rows, pa.string()), refuses=True)
    work.refused |= hits


def _check_written_days(work: Columns) -> None:
    """Warn of day numbers of a spreadsheet where days written out make them doubtful."""
    if work.chunk.dated:  # a workbook shows itself what its days are
        return
    for column in work.plan.columns:
        if column.element.type == "date" and column.constant is None and column.date_form != "excel":
            raw = work.raw(column)
            hits = serial_days(as_strings(raw), work.values[column.element.id])
            work.log.add("date.serial", hits, column.element.id, work.source(column), raw)


def _check_end(work: Columns) -> None:
    """Warn where the file ends within its last row: its last value may be cut off."""
    if work.chunk.unended and work.rows:
        last = np.zeros(work.rows, dtype=bool)
        last[-1] = True
        work.log.add("row.last_unended", last, "", "", pa.nulls(work.rows, pa.string()))


CHECKS: tuple[Callable[[Columns], None], ...] = (
    _check_units,
    check_declared,
    _check_codes,
    _check_roles,
    _check_identity,
    _check_shifted,
    _check_written_days,
    _check_end,
)
