"""What of a government table the open tier may hold: which rows on which day, which columns in which form.

Rules come from the record kinds (model.sharing) and the elements' sensitivity; this module turns them into
column operations. A column that no rule knows is dropped, a person whose age is not known is hidden.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.model.elements import elements
from chengxin.model.kinds import Kind
from chengxin.model.lawful_terms import LawfulTerms, lawful_terms
from chengxin.model.schema import kind_columns
from chengxin.model.sharing import SubjectType
from chengxin.publishing.disclosure import clock, judgement, standing
from chengxin.publishing.disclosure.clock import among as among_columns
from chengxin.publishing.open_tier import generalisation, masking
from chengxin.store.columns import Mask

CREDIT_RECORD = "credit_record"
PUBLIC_IDENTIFIERS = ("uscc", "org_code", "reg_no")
# A file may be called after a person. Batch, row and instant name one person's row to whoever saw the delivery.
_PROVENANCE = {
    "department_code": "keep", "dataset": "keep", "batch_id": "batch", "source_row": "organisations",
    "source_record_id": "source_id", "source_updated_at": "organisations", "received_at": "organisations",
}  # fmt: skip
_BY_SENSITIVITY = {"open": "keep", "name": "name", "person_name": "person_name", "free_text": "free_text"}
# A person's own name stands in the text about him.
_NOT_OF_PERSONS = {"organisations", "batch", "free_text", "source_id", "business_name"}
_NAMING = ("uscc", "org_code", "reg_no")  # identity parts that are public of organisations only
TOKEN, HANDLE = "subject_token", "record_handle"
_KEYED = {TOKEN: "subject_id", HANDLE: "record_id"}  # keyed digest -> what it stands for
_YEAR = 10_000  # in yyyymmdd arithmetic


@dataclass(frozen=True)
class TableRule:
    """How one table goes into the open tier.

    columns: column -> treatment (see `_treat`); what is not named is dropped. conditions: the kinds' row rules by kind
    id ('' in a typed table). until, event: columns of the term as the source gives it and of the event. veiled: the
    kinds (as in conditions) whose record_id is a digest of a key field that this tier does not show, so that it gives
    it away. terms: of the law.
    """

    name: str
    columns: Mapping[str, str]
    conditions: Mapping[str, Kind] = field(default_factory=dict)
    until: str | None = None
    event: str | None = None
    veiled: frozenset[str] = frozenset()
    terms: LawfulTerms = field(default_factory=lawful_terms)
    objected: frozenset[str] = frozenset()

    def admits_persons(self, part: str) -> bool:
        """Return whether rows about natural persons can be visible at all (credit_record: in the part of a kind)."""
        kind = part.rpartition("-")[0]
        admitting = {name for name, k in self.conditions.items() if "person" in k.open_types - k.anonymous_types}
        return self.name == "subject" or bool(admitting & {kind} if kind else admitting)

    @property
    def anonymous_types(self) -> frozenset[SubjectType]:
        """Return the subject types whose rows leave a typed table for that of anonymous rows (`anonymity`)."""
        return self.conditions[""].anonymous_types if "" in self.conditions else frozenset()

    def digest(self) -> str:
        """Return a digest of the rule and of the code that applies it."""
        kinds = {name: kind.model_dump(mode="json") for name, kind in self.conditions.items()}
        facts = [self.name, dict(self.columns), kinds, self.until, self.event, sorted(self.veiled)]
        facts.append(self.terms.digest() if self.conditions else None)
        body = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(body.encode() + _code()).hexdigest()[:16]


@cache
def _code() -> bytes:
    sources = (
        generalisation.__file__,
        masking.__file__,
        clock.__file__,
        standing.__file__,
        judgement.__file__,
        __file__,
    )
    return b"".join(Path(str(source)).read_bytes() for source in sources)


def table_rules(kinds: Mapping[str, Kind], terms: LawfulTerms | None = None) -> dict[str, TableRule]:
    """Return the rule of every table of the open tier. terms: those in force."""
    terms = terms or lawful_terms()
    shared = {name: kind for name, kind in sorted(kinds.items()) if kind.open_types}
    identity = {"record_id": "veil", "subject_id": "organisations", "subject_type": "keep"}
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
    common |= {"publicity_until_on": "keep", "publicity_class_code": "keep"}
    rules = [
        TableRule("subject", {"subject_id": "organisations", "subject_type": "keep"} | subject | _PROVENANCE),
        TableRule("subject_identifier", identifier | period | _PROVENANCE),
        TableRule("subject_name", name | period | _PROVENANCE),
        TableRule(
            CREDIT_RECORD,
            identity | common | _PROVENANCE,
            shared,
            "publicity_until_on",
            "event_on",
            frozenset(name for name, kind in shared.items() if _hides_key(kind)),
            terms,
        ),
    ]
    rules += [_typed(table, kind, identity, terms) for table, kind in shared.items()]
    return {rule.name: rule for rule in rules}


def _typed(name: str, kind: Kind, identity: Mapping[str, str], terms: LawfulTerms) -> TableRule:
    naming = {element for role in kind.roles.values() for part, element in role.identity.items() if part in _NAMING}
    columns = dict(identity)
    for column in kind_columns(kind):
        treatment = _BY_SENSITIVITY.get(column.element.sensitivity) if column.element else None
        if treatment:
            columns[column.name] = "organisations" if column.name in naming else treatment
    if kind.publicity and kind.publicity_until_on:
        columns[kind.publicity_until_on] = "until"
    veiled = frozenset({""} if _hides_key(kind) else ())
    return TableRule(name, columns | _PROVENANCE, {"": kind}, kind.publicity_until_on, kind.event_on, veiled, terms)


def _hides_key(kind: Kind) -> bool:
    return any(elements()[name].sensitivity != "open" for name in kind.key)


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


def judged_columns(rule: TableRule, available: list[str]) -> list[str]:
    """Return the columns that `visible` looks at."""
    wanted = {"subject_id", "subject_type", rule.until, rule.event}
    if "" in rule.conditions:
        wanted |= judgement.judged_elements(rule.conditions[""]) | ({"record_id"} if rule.objected else set())
    else:
        wanted |= {"share_level", "kind", "effective_to_on"}
    return [name for name in available if name in wanted]


def visible(rows: pa.Table, rule: TableRule, births: Births, today: date, horizon: Horizon) -> Mask:
    """Return which rows of a typed table or of credit_record may be seen today; narrow the horizon accordingly.

    rows: `judged_columns` only; texts may be coded.
    """
    types = rows.column("subject_type")
    columns = dict(zip(rows.column_names, rows.columns, strict=True))
    if "" in rule.conditions:
        judged = judgement.judge(rule.conditions[""], columns, rows.num_rows, today, rule.terms, objected=rule.objected)
        shown, course = judged.is_open, judged.course
    else:
        shown, course = _common(columns, rule, rows.num_rows, today)
    person = among(types, ["person"]) & shown
    if person.any():
        shown[person] = _adult(rows.filter(pa.array(person)), rule, births, today, horizon)
    if shown.any():
        horizon.narrow(course.only(shown).holds_until(today))
    return shown


def _common(
    columns: Mapping[str, pa.ChunkedArray], rule: TableRule, size: int, today: date
) -> tuple[Mask, standing.Course]:
    """Judge rows of credit_record: value and class were judged on the typed row and stand in share_level."""
    shown = among_columns(columns, "share_level", ["open"], size)
    shown &= among_columns(columns, "kind", list(rule.conditions), size)
    for name, kind in rule.conditions.items():
        if kind.anonymous_types:
            nameless = among_columns(columns, "subject_type", sorted(kind.anonymous_types), size)
            shown &= ~(nameless & among_columns(columns, "kind", [name], size))
    leaving = [name for name, kind in rule.conditions.items() if kind.publicity and kind.publicity.ended_on]
    ends = clock.days(columns, "effective_to_on", size)
    ends = np.where(among_columns(columns, "kind", leaving, size), ends, np.datetime64("NaT", "D"))
    stood = np.zeros(size, np.int8)
    course = standing.Course(stood, clock.days(columns, rule.until, size), np.full(size, "NaT", "M8[D]"), ends, True)
    return shown & (course.on(today) == standing.STANDING), course


def among(column: pa.ChunkedArray, values: list[str]) -> Mask:
    """Tell which texts, coded or not, are one of `values`; a missing one is not."""
    wanted = pa.array(values, pa.string())
    pieces = [np.zeros(0, bool)]
    for chunk in column.chunks:
        if not pa.types.is_dictionary(chunk.type):
            pieces.append(np.asarray(pc.is_in(chunk, value_set=wanted)))
            continue
        met = np.append(np.asarray(pc.is_in(chunk.dictionary, value_set=wanted)), False)
        if met.any():
            pieces.append(met[np.asarray(chunk.indices.fill_null(len(met) - 1))])
        else:
            pieces.append(np.zeros(len(chunk), bool))
    return np.concatenate(pieces)


def _adult(persons: pa.Table, rule: TableRule, births: Births, today: date, horizon: Horizon) -> Mask:
    """Tell which persons were of age at the event, or are today where its day is not known."""
    born = births.lookup(persons.column("subject_id").combine_chunks())
    event = _ymd(persons.column(rule.event)) if rule.event else np.zeros(persons.num_rows, np.int64)
    reference = np.where(event > 0, event, today.year * 10_000 + today.month * 100 + today.day)
    majority = rule.terms.terms["majority"].value * _YEAR
    adult: Mask = (born > 0) & (born + majority <= reference)
    growing = (born > 0) & ~adult & (event == 0)
    if growing.any():
        horizon.narrow(_day(int(born[growing].min()) + majority) - timedelta(days=1))
    return adult


def _ymd(days: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    parts = (pc.multiply(pc.year(days), 10_000), pc.multiply(pc.month(days), 100), pc.day(days))
    total = pc.add(pc.add(parts[0], parts[1]), parts[2])
    return np.asarray(pc.fill_null(total, 0), dtype=np.int64)


def _day(ymd: int) -> date:
    year, month, day = ymd // 10_000, ymd // 100 % 100, ymd % 100
    born_on_29 = (month, day) == (2, 29) and year % 4 != 0
    return date(year, 3, 1) if born_on_29 else date(year, month, day)


def shown_columns(rule: TableRule, available: list[str]) -> list[str]:
    """Return the open table's columns in the government table's order, keyed digests after what they stand for."""
    shown = []
    for name in available:
        if name in rule.columns:
            shown += [name, *(keyed for keyed, plain in _KEYED.items() if plain == name)]
    return shown


def veiled(rows: pa.Table, rule: TableRule) -> Mask:
    """Return which records bear a handle for their number: that is a digest, reversed where all but a part is known.

    Those about persons, those with a hidden key field, those whose number at the source is hidden or holds one that is.
    """
    hidden = among(rows.column("subject_type"), ["person"])
    kinds = rows.column("kind") if "kind" in rows.column_names else None
    if rule.veiled:
        hidden |= among(kinds, sorted(rule.veiled)) if kinds is not None else np.ones(rows.num_rows, bool)
    if "source_record_id" in rows.column_names:
        given = rows.column("source_record_id")
        hidden |= np.asarray(pc.fill_null(pc.not_equal(_each_value(given, "source_id", ""), _plain(given)), False))
    return hidden


def apply_columns(rows: pa.Table, rule: TableRule, schema: pa.Schema, key: bytes | None) -> pa.Table:
    """Bring visible rows into their open form: persons nameless and numberless, columns as in `schema`.

    rows: columns without a value may lack, texts may be coded; the result has plain texts, so nothing of a dictionary
    that served hidden rows remains. key: of the tier; without one the keyed digests are null.
    """
    bearers = _bearers(rows)
    hidden = {TOKEN: among(rows.column("subject_type"), ["person"])} if "subject_type" in rows.column_names else {}
    if "record_id" in rows.column_names:
        hidden[HANDLE] = veiled(rows, rule)
    made = []
    for field_ in schema:
        name = field_.name
        if name in _KEYED:
            made.append(_keyed(rows, _KEYED[name], hidden.get(name), key))
        elif rule.columns[name] == "until":
            made.append(_until(rows, rule))
        elif name in rows.column_names and rule.columns[name] == "veil":
            made.append(_where(~hidden[HANDLE], _plain(rows.column(name))))
        elif name in rows.column_names:
            made.append(_treat(rows.column(name), rule.columns[name], bearers))
        else:
            made.append(pa.nulls(rows.num_rows, field_.type))
    return pa.Table.from_arrays(made, schema=schema)


def _until(rows: pa.Table, rule: TableRule) -> pa.Array:
    """Return the last day of publicity by the law, in the place of what the source gave."""
    columns = dict(zip(rows.column_names, rows.columns, strict=True))
    days = clock.timing(rule.conditions[""], columns, rows.num_rows, rule.terms).until
    return pa.array(days, pa.date32(), mask=np.isnat(days))


def _keyed(rows: pa.Table, name: str, hidden: Mask | None, key: bytes | None) -> pa.Array:
    if hidden is None or not hidden.any():
        return pa.nulls(rows.num_rows, pa.string())
    return masking.handles(_where(hidden, _plain(rows.column(name))), key)


def _where(mask: Mask, values: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(mask), values, pa.scalar(None, values.type))


def _plain(column: pa.ChunkedArray) -> pa.Array:
    values = column.combine_chunks()
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


_Bearers = list[tuple[str, Mask | None]]  # who the rows are about, the later over the earlier; no mask = all rows


def _bearers(rows: pa.Table) -> _Bearers:
    if "subject_type" not in rows.column_names:
        return [("", None)]
    found: _Bearers = [("organisation", None)]
    for who in ("household", "person"):
        mask = among(rows.column("subject_type"), [who])
        if mask.all():
            found = [(who, None)]
        elif mask.any():
            found.append((who, mask))
    return found


def _treat(column: pa.ChunkedArray, treatment: str, bearers: _Bearers) -> pa.ChunkedArray:
    (who, _), *others = bearers
    made = _each_value(column, treatment, who)
    for who, mask in others:
        made = pc.if_else(pa.array(mask), _each_value(column, treatment, who), made)
    return made


def _each_value(column: pa.ChunkedArray, treatment: str, who: str) -> pa.ChunkedArray:
    """Treat a column, each value of a dictionary once."""
    plain = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    pieces = [
        _form(chunk.dictionary, treatment, who).take(chunk.indices)
        if pa.types.is_dictionary(chunk.type)
        else _form(chunk, treatment, who)
        for chunk in column.chunks
    ]
    return pa.chunked_array(pieces, plain)


def _form(values: pa.Array, treatment: str, who: str) -> pa.Array:
    """Return the open form of values in rows about `who`; '' where the table does not tell."""
    person = who == "person"
    if treatment == "keep" or (treatment in ("organisations", "prefecture") and not person):
        return values
    if person and treatment in _NOT_OF_PERSONS:
        return pa.nulls(len(values), values.type)
    if treatment == "batch":
        return masking.neutral_batches(values)
    if treatment == "prefecture":
        return pc.binary_join_element_wise(pc.utf8_slice_codeunits(values, 0, 4), "00", "")
    clean = masking.redact(values)
    if treatment == "person_name" or (treatment == "name" and person):
        return masking.mask_person_names(clean)
    if treatment in ("name", "business_name") and who != "organisation":
        alike = pc.fill_null(masking.looks_like_person(clean), False)
        return pc.if_else(alike, masking.mask_person_names(clean), clean) if pc.any(alike).as_py() else clean
    return clean
