"""What of a government table the open tier may hold: which rows on which day, which columns in which form.

Rules come from the record kinds (model.kinds.OpenRule) and the elements' sensitivity; this module turns them into
column operations. A column that no rule knows is dropped, a person whose age is not known is hidden.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.model.kinds import Kind
from chengxin.model.schema import kind_columns
from chengxin.publish import masking

CREDIT_RECORD = "credit_record"
PUBLIC_IDENTIFIERS = ("uscc", "org_code", "reg_no")
_PROVENANCE = {
    "department_code": "keep", "dataset": "keep", "batch_id": "keep", "source_file": "redact", "source_row": "keep",
    "source_record_id": "source_id", "source_updated_at": "keep", "received_at": "keep",
}  # fmt: skip
_BY_SENSITIVITY = {"open": "keep", "name": "name", "person_name": "person_name", "free_text": "free_text"}
_ADULT = 18 * 10_000  # years in yyyymmdd arithmetic


@dataclass(frozen=True)
class TableRule:
    """How one table goes into the open tier.

    columns: column -> treatment (see `_treat`); what is not named is dropped. conditions: the kinds' row rules by kind
    id ('' in a typed table). until, event: columns of the publicity term and of the event.
    """

    name: str
    columns: Mapping[str, str]
    conditions: Mapping[str, Kind] = field(default_factory=dict)
    until: str | None = None
    event: str | None = None

    def admits_persons(self, part: str) -> bool:
        """Tell whether rows about natural persons can be visible at all (credit_record: in the part of a kind)."""
        kind = part.rpartition("-")[0]
        admitting = {name for name, k in self.conditions.items() if "person" in k.open.subject_types}
        return self.name == "subject" or bool(admitting & {kind} if kind else admitting)

    def digest(self) -> str:
        """Return a digest of the rule and of the code that applies it."""
        kinds = {name: kind.model_dump(mode="json") for name, kind in self.conditions.items()}
        body = json.dumps([self.name, dict(self.columns), kinds, self.until, self.event], sort_keys=True)
        return hashlib.sha256(body.encode() + _code()).hexdigest()[:16]


@cache
def _code() -> bytes:
    return b"".join(Path(str(source)).read_bytes() for source in (masking.__file__, __file__))


def table_rules(kinds: Mapping[str, Kind]) -> dict[str, TableRule]:
    """Return the rule of every table of the open tier."""
    shared = {name: kind for name, kind in sorted(kinds.items()) if kind.open.share and not kind.sealed}
    identity = {"record_id": "keep", "subject_id": "organisations", "subject_type": "keep"}
    subject = {
        "name": "business_name",
        "uscc": "organisations",
        "region_code": "prefecture",
        "status_code": "organisations",
    }
    period = {"valid_from_on": "keep", "valid_to_on": "keep"}
    identifier = {"subject_id": "keep", "identifier_type": "keep", "identifier_value": "keep"}
    name = {"subject_id": "keep", "name": "name", "is_current": "keep"}
    common = dict.fromkeys(("kind", "share_level", "event_on", "effective_from_on", "effective_to_on"), "keep")
    common |= {"publicity_until_on": "keep"}
    rules = [
        TableRule("subject", {"subject_id": "organisations", "subject_type": "keep"} | subject | _PROVENANCE),
        TableRule("subject_identifier", identifier | period | _PROVENANCE),
        TableRule("subject_name", name | period | _PROVENANCE),
        TableRule(CREDIT_RECORD, identity | common | _PROVENANCE, shared, "publicity_until_on", "event_on"),
    ]
    rules += [_typed(table, kind, identity) for table, kind in shared.items()]
    return {rule.name: rule for rule in rules}


def _typed(name: str, kind: Kind, identity: Mapping[str, str]) -> TableRule:
    columns = dict(identity)
    for column in kind_columns(kind):
        treatment = _BY_SENSITIVITY.get(column.element.sensitivity) if column.element else None
        if treatment:
            columns[column.name] = treatment
    return TableRule(name, columns | _PROVENANCE, {"": kind}, until=kind.publicity_until_on, event=kind.event_on)


@dataclass(frozen=True)
class Births:
    """Birth days of the persons of one part: ids ascending, yyyymmdd as integers, 0 = unknown."""

    ids: npt.NDArray[np.int64]
    days: npt.NDArray[np.int64]

    @classmethod
    def of(cls, subjects: pa.Table) -> "Births":
        """Take them from rows of the subject table."""
        ids = subjects.column("subject_id").to_numpy()
        days = _ymd(subjects.column("born_on")) if "born_on" in subjects.column_names else np.zeros(len(ids), np.int64)
        order = np.argsort(ids, kind="stable")
        return cls(ids[order], days[order])

    def lookup(self, subject_ids: pa.Array) -> npt.NDArray[np.int64]:
        """Return the birth day of each id, 0 where unknown."""
        wanted = pc.fill_null(subject_ids, -1).to_numpy(zero_copy_only=False)
        if not len(self.ids):
            return np.zeros(len(wanted), np.int64)
        place = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[place] == wanted, self.days[place], 0)


@dataclass
class Horizon:
    """The last day on which what was decided still holds; None = for ever."""

    day: date | None = None

    def narrow(self, day: date | None) -> None:
        """Note that something changes after `day`."""
        if day is not None and (self.day is None or day < self.day):
            self.day = day


def visible(batch: pa.Table, rule: TableRule, births: Births, today: date, horizon: Horizon) -> pa.Array:
    """Return which rows of a typed table or of credit_record may be seen today; narrow the horizon accordingly."""
    types = batch.column("subject_type")
    shown = _conditions(batch, rule, types)
    if "share_level" in batch.column_names:
        shown = pc.and_(shown, _is(batch.column("share_level"), ["open"]))
    if rule.until:
        last = batch.column(rule.until)
        shown = pc.and_(shown, pc.fill_null(pc.greater_equal(last, pa.scalar(today, pa.date32())), True))
    person = _is(types, ["person"])
    if pc.any(pc.and_(shown, person)).as_py():
        shown = pc.and_(
            shown, pc.or_(pc.invert(person), _adult(batch, rule, births, today, pc.and_(shown, person), horizon))
        )
    if rule.until:
        horizon.narrow(pc.min(pc.filter(batch.column(rule.until), shown)).as_py())
    return shown


def _conditions(batch: pa.Table, rule: TableRule, types: pa.Array) -> pa.Array:
    shown = pa.array(np.zeros(batch.num_rows, bool))
    for name, kind in rule.conditions.items():
        met = _is(types, list(kind.open.subject_types))
        if name:  # credit_record: `when` was judged on the typed row and stands in share_level
            met = pc.and_(met, _is(batch.column("kind"), [name]))
        else:
            for element, values in kind.open.when.items():
                met = pc.and_(met, _is(batch.column(element), list(values)))
        shown = pc.or_(shown, met)
    return shown


def _is(column: pa.Array, values: list[str]) -> pa.Array:
    return pc.fill_null(pc.is_in(column, value_set=pa.array(values, pa.string())), False)


def _adult(
    batch: pa.Table, rule: TableRule, births: Births, today: date, candidates: pa.Array, horizon: Horizon
) -> pa.Array:
    """Tell which persons were of age at the event, or are today where its day is not known."""
    born = births.lookup(batch.column("subject_id").combine_chunks())
    event = _ymd(batch.column(rule.event)) if rule.event else np.zeros(batch.num_rows, np.int64)
    reference = np.where(event > 0, event, today.year * 10_000 + today.month * 100 + today.day)
    adult = (born > 0) & (born + _ADULT <= reference)
    growing = candidates.to_numpy(zero_copy_only=False) & (born > 0) & ~adult & (event == 0)
    if growing.any():
        horizon.narrow(_day(int(born[growing].min()) + _ADULT) - timedelta(days=1))
    return pa.array(adult)


def _ymd(days: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    parts = (pc.multiply(pc.year(days), 10_000), pc.multiply(pc.month(days), 100), pc.day(days))
    total = pc.add(pc.add(parts[0], parts[1]), parts[2])
    return np.asarray(pc.fill_null(total, 0), dtype=np.int64)


def _day(ymd: int) -> date:
    year, month, day = ymd // 10_000, ymd // 100 % 100, ymd % 100
    return date(year, 3, 1) if (month, day) == (2, 29) and not _leap(year) else date(year, month, day)


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def shown_columns(rule: TableRule, available: list[str]) -> list[str]:
    """Return the open table's columns in the government table's order, the token after the subject."""
    kept = [name for name in available if name in rule.columns]
    place = kept.index("subject_id") + 1
    return [*kept[:place], "subject_token", *kept[place:]]


def apply_columns(rows: pa.Table, rule: TableRule, columns: list[str], key: bytes | None) -> pa.Table:
    """Bring visible rows into their open form: persons nameless and numberless, columns in the given order."""
    types = rows.column("subject_type") if "subject_type" in rows.column_names else None
    person = _is(types, ["person"]).combine_chunks() if types is not None else pa.array(np.zeros(rows.num_rows, bool))
    household = _is(types, ["household"]).combine_chunks() if types is not None else None
    made: dict[str, Any] = {}
    for name in columns:
        if name == "subject_token":
            ids = rows.column("subject_id").combine_chunks()
            made[name] = masking.tokens(pc.if_else(person, ids, pa.scalar(None, ids.type)), key)
        else:
            made[name] = _treat(rows.column(name).combine_chunks(), rule.columns[name], person, household)
    return pa.table(made)


def _treat(column: pa.Array, treatment: str, person: pa.Array, household: pa.Array | None) -> pa.Array:
    nothing = pa.scalar(None, column.type)
    if treatment == "keep":
        return column
    if treatment == "organisations":
        return pc.if_else(person, nothing, column)
    if treatment == "prefecture":
        return pc.if_else(person, pc.binary_join_element_wise(pc.utf8_slice_codeunits(column, 0, 4), "00", ""), column)
    clean = masking.redact(column)
    if treatment in ("free_text", "source_id"):  # a person's own name stands in the text about him
        return pc.if_else(person, nothing, clean)
    if treatment == "person_name":
        return masking.mask_person_names(clean)
    if treatment == "business_name":
        clean = pc.if_else(person, nothing, clean)
    if treatment in ("name", "business_name"):
        alike = pc.fill_null(masking.looks_like_person(clean), False)
        hide = pc.or_(person, alike if household is None else pc.and_(household, alike))
        if not pc.any(hide).as_py():
            return clean
        return pc.replace_with_mask(clean, hide, masking.mask_person_names(clean.filter(hide)))
    return clean
