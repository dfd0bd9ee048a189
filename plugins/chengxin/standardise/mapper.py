"""From string batches to standard columns: one chunk in, passed, quarantined and issue rows out. No loop over rows."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.contracts.models import Contract
from chengxin.contracts.plan import ColumnPlan, Plan, plan_of
from chengxin.errors import DeliveryMismatch
from chengxin.model.kinds import Role
from chengxin.model.rules import rules
from chengxin.model.schema import arrow_type, element_columns, kind_columns
from chengxin.standardise.issues import ISSUES, IssueLog
from chengxin.standardise.kernels import Cleaned, CleanOptions, abroad, clean, name_key, no_names, without_unknown
from chengxin.standardise.kernels.buffers import (
    as_mask,
    as_strings,
    booleans,
    has_text,
    longest,
    repeated,
    scattered,
    take,
    valid,
    without,
)
from chengxin.standardise.quarantine import damaged_table, quarantine_table
from chengxin.standardise.reader import Damaged, RawChunk
from chengxin.standardise.reading.torn import as_others, perhaps_cut
from chengxin.standardise.row_checks.agreement import MISPLACED, born_otherwise, other_subjects, slipped
from chengxin.standardise.row_checks.days import ancient, filled_down
from chengxin.standardise.row_checks.fines import in_other_unit
from chengxin.standardise.row_checks.odd_numbers import numbers_among_names, serial_days, utc_midnights
from chengxin.standardise.row_checks.roles import both_roles
from chengxin.standardise.stated.units import NOTE, check_unit_cells, check_units, ignored_units, notes_in

ROWS_PER_FILE = 1 << 40  # row_id = file number * this + source row
CODES = ("uscc", "org_code", "reg_no", "tax_no", "person_doc", "loan_card_no")
ALWAYS_QUARANTINED = frozenset({"text.replacement"})
# ids of elements whose values are words, with or without a number; certificates may be numbers alone
WORDED = ("_name", "_facts", "_basis", "_reason", "decision_no", "case_no", "basis_no")
TRUTHS = frozenset({"flag", "code"})  # types of elements that JSON's true and false may be values of
BIRTHS = ("born_on",)  # days that may lie long ago
STATUS, DELETED = "delivery_status_code", "2"  # a row of which is not known whether it deletes is refused


@dataclass(frozen=True)
class StandardChunk:
    """What came out of one chunk; shapes as in docs/architecture.md."""

    passed: pa.Table
    quarantined: pa.Table
    issues: pa.Table


class Mapper:
    """Applies one contract. `today` bounds what counts as a date in the future; `salt` keys the value digests."""

    def __init__(self, contract: Contract, *, today: date, salt: str) -> None:
        self.plan: Plan = plan_of(contract)
        self.today = today
        self.salt = hashlib.sha256(salt.encode()).digest()[:32]
        self.partial = contract.file.format in {"json", "jsonl", "xml"}
        self.role_names = [r for r, role in self.plan.kind.roles.items() if "name" in role.identity]
        self._schema = self._make_schema()

    def schema(self) -> pa.Schema:
        """Return the schema of the passed rows."""
        return self._schema

    def _make_schema(self) -> pa.Schema:
        fields = [
            ("row_id", pa.int64()),
            ("source_file", pa.string()),
            ("source_row", pa.int64()),
            ("source_record_id", pa.string()),
            ("source_updated_at", arrow_type("timestamp")),
        ]
        fields += [(c.name, arrow_type(c.type)) for c in kind_columns(self.plan.kind)]
        if any(c.element.id == STATUS for c in self.plan.columns):
            fields.append((STATUS, pa.string()))
        fields += [(f"{role}_name_key", pa.string()) for role in self.role_names]
        if self.plan.kind.name_history:
            fields += [("before_name_key", pa.string()), ("after_name_key", pa.string())]
        return pa.schema(fields)

    def run(self, chunk: RawChunk, *, file_no: int, file_name: str, from_1904: bool = False) -> StandardChunk:
        """Standardise a chunk. Raise DeliveryMismatch where its columns are not the contract's.

        from_1904: the chunk is of a workbook that counts days from 1904.
        """
        check_units(self.plan, (*(d.raw for d in chunk.damaged if len(d.raw) < NOTE), *chunk.told.units))
        if self.plan.ignored:
            check_units(self.plan, ignored_units(self.plan, chunk.table))
        work = _Work(self, chunk, file_no, file_name)
        work.clean_columns(from_1904)
        work.apply_currency()
        work.check_fines()
        work.check_places()
        work.check_codes()
        work.check_roles()
        work.check_identity()
        work.check_shifted()
        work.check_dates()
        work.check_written_days()
        work.check_end()
        work.check_torn()
        check_units(self.plan, notes_in(chunk.table, np.flatnonzero(work.refused)))
        return work.result()


class _Work:
    """The state of one chunk on its way through the mapper."""

    def __init__(self, mapper: Mapper, chunk: RawChunk, file_no: int, file_name: str) -> None:
        self.mapper, self.chunk, self.plan = mapper, chunk, mapper.plan
        self.rows = chunk.table.num_rows
        self.source_row = chunk.rows
        self.file_no, self.file_name = file_no, file_name
        self.headers = self._match()
        self.values: dict[str, pa.Array] = {}
        self.invalid: dict[str, np.ndarray] = {}  # element -> rows where a value was given and is unusable
        self.log = IssueLog(mapper.salt)
        self.refused = np.zeros(self.rows, dtype=bool)
        self.deletes = np.zeros(self.rows, dtype=bool)  # rows that need not say more than which record they mean
        self.misplaced = np.zeros(self.rows, dtype=bool)  # rows in which a number or date stands as a name

    def _match(self) -> dict[str, str]:
        names = self.chunk.table.column_names
        blank = [n for n in names if not n.strip() and not has_text(self.chunk.table[n])]
        if self.rows == 0 and not names:
            return {}
        return self.plan.match([n for n in names if n not in blank], partial=self.mapper.partial)

    def _raw(self, column: ColumnPlan) -> pa.Array:
        header = self.headers.get(column.element.id)
        if header is not None:
            return _one_chunk(self.chunk.table[header])
        if column.constant is None:
            return pa.nulls(self.rows, pa.string())
        return repeated(column.constant, self.rows)

    def clean_columns(self, from_1904: bool) -> None:
        """Clean every column and note its issues; refuse rows whose required values are absent or unusable."""
        for column in sorted(self.plan.columns, key=lambda c: c.element.id != STATUS):
            raw = self._raw(column)
            options = CleanOptions(
                unit=column.unit,
                codes=column.codes,
                codelist=column.element.codelist,
                today=self.mapper.today,
                date_form=column.date_form,
                from_1904=from_1904,
                measures=column.element.measures,
                at_home=self.plan.contract.region.startswith("43"),
            )
            cleaned = self._cleaned(column, raw, options)
            self._store(column, cleaned)
            given_bad = self._note(column, raw, cleaned)
            self.invalid[column.element.id] = given_bad
            if column.element.type == "money" and given_bad.any():
                check_unit_cells(self.plan, column, pc.unique(raw.filter(booleans(given_bad))).to_pylist())
            self._check_filled(column, raw)
            if column.element.id.endswith(WORDED) and column.element.type in {"text", "document_no"}:
                odd = numbers_among_names(cleaned.values)
                self.log.add("value.number", odd, column.element.id, self._source(column), raw)
            if column.element.id == STATUS:
                self.deletes = _mask(pc.equal(cleaned.values, DELETED))
            if column.required:
                self._require(column, raw, cleaned, given_bad)

    def _check_filled(self, column: ColumnPlan, raw: pa.Array) -> None:
        """Warn of a name or text that goes to the end of its fixed-width field."""
        rows = self.chunk.filled.get(self.headers.get(column.element.id, ""), ())
        if rows and column.element.type in {"name", "text"}:
            self.log.add("value.fills_field", self._places(rows), column.element.id, self._source(column), raw)

    def _cleaned(self, column: ColumnPlan, raw: pa.Array, options: CleanOptions) -> Cleaned:
        """Clean a column: an array is no value, true is none where no truth belongs, and a day is no name."""
        header, element = self.headers.get(column.element.id, ""), column.element
        none: dict[str, np.ndarray] = {}
        if nested := self.chunk.nested.get(header):
            none["value.nested"] = self._places(nested)
            if element.type in TRUTHS:
                none["value.nested"] &= ~_mask(pc.is_in(raw, pa.array(["true", "false"])))
        if element.type == "date" and (partial := self.chunk.partial.get(header)):
            self.log.add("date.unshown", self._places(partial), element.id, header, raw)
        is_named = element.type in {"document_no", "name"} or (element.type == "text" and element.id.endswith("_name"))
        if is_named and (dated := self.chunk.dated.get(header)):
            none["value.date"] = self._places(dated)
        for hits in none.values():
            raw = without(as_strings(raw), hits)
        cleaned = clean(raw, element.type, options=options)
        if element.type == "text" and is_named:
            values = without_unknown(cleaned.values)
            none["name.no_letter"] = no_names(values)
            cleaned = replace(cleaned, values=without(values, none["name.no_letter"]))
        return replace(cleaned, issues=(*cleaned.issues, *((rule, booleans(hits)) for rule, hits in none.items())))

    def _places(self, rows: Sequence[int]) -> np.ndarray:
        found = np.zeros(self.rows, dtype=bool)
        found[list(rows)] = True
        return found

    def _store(self, column: ColumnPlan, cleaned: Cleaned) -> None:
        specs = element_columns(column.element)
        self.values[specs[0].name] = cleaned.values
        for spec in specs[1:]:
            self.values[spec.name] = cleaned.extra[spec.name.removeprefix(column.element.id + "_")]

    def _note(self, column: ColumnPlan, raw: pa.Array, cleaned: Cleaned) -> np.ndarray:
        bad = np.zeros(self.rows, dtype=bool)
        for rule, mask in cleaned.issues:
            hits = _mask(mask)
            level = rules()[rule].level
            refuse = (level == "error" and column.required) or rule in ALWAYS_QUARANTINED
            refuse |= rule == "code.unknown" and column.element.id == STATUS
            self.log.add(rule, hits, column.element.id, self._source(column), raw, refuses=refuse)
            if refuse:
                self.refused |= hits
            if level == "error":
                bad |= hits
            if rule in MISPLACED:
                self.misplaced |= hits
        limit = column.element.max_length
        if limit and pa.types.is_string(cleaned.values.type) and longest(cleaned.values) > limit:
            long = _mask(pc.greater(pc.utf8_length(cleaned.values), limit))
            self.log.add("text.too_long", long, column.element.id, self._source(column), raw)
        return bad

    def _require(self, column: ColumnPlan, raw: pa.Array, cleaned: Cleaned, bad: np.ndarray) -> None:
        absent = ~valid(cleaned.values) & ~bad
        if column.element.id not in self.plan.kind.key:
            absent &= ~self.deletes
        explained = np.zeros(self.rows, dtype=bool)
        for _, mask in cleaned.issues:
            explained |= _mask(mask)
        for rule, hits in (
            ("field.required_unusable", absent & explained),
            ("field.required_missing", absent & ~explained),
        ):
            self.log.add(rule, hits, column.element.id, self._source(column), raw, refuses=True)
        self.refused |= absent

    def _source(self, column: ColumnPlan) -> str:
        return self.headers.get(column.element.id, column.source)

    def apply_currency(self) -> None:
        """Let a currency column speak for amounts that name none: a foreign amount is no amount in yuan."""
        currency = self.values.get("currency_code")
        if currency is None:
            return
        foreign = pc.fill_null(pc.not_equal(currency, "CNY"), False)
        for column in self.plan.columns:
            if column.element.type != "money":
                continue
            amount, code = f"{column.element.id}_yuan", f"{column.element.id}_currency_code"
            hits = pc.and_(foreign, pc.fill_null(pc.equal(self.values[code], "CNY"), False))
            if pc.any(hits).as_py():
                self.values[amount] = pc.if_else(hits, pa.scalar(None, self.values[amount].type), self.values[amount])
                self.values[code] = pc.if_else(hits, currency, self.values[code])
                self.log.add(
                    "money.foreign_currency", _mask(hits), column.element.id, self._source(column), self._raw(column)
                )

    def check_fines(self) -> None:
        """Drop amounts that are 10,000 times what the text of the penalty says, or a 10,000th."""
        sources = {c.element.id: self._source(c) for c in self.plan.columns}
        for element, hits in in_other_unit(self.values):
            name = f"{element}_yuan"
            amounts = self.values[name]
            self.values[name] = pc.if_else(booleans(hits), pa.scalar(None, amounts.type), amounts)
            raw = self.values[f"{element}_raw"]
            self.log.add("money.unit_differs", hits, element, sources[element], raw)

    def check_places(self) -> None:
        """Drop Hunan codes that were read from a bare name where the record itself points to another province."""
        column = next((c for c in self.plan.columns if c.element.id == "region_code" and c.constant is None), None)
        if column is None:
            return
        raw = self._raw(column)
        hits = abroad(raw, self.values["region_code"], self.values.get("province_name"), self.values.get("uscc"))
        if hits.any():
            self.values["region_code"] = without(self.values["region_code"], hits)
            self.log.add("region.elsewhere", hits, column.element.id, self._source(column), raw)

    def check_codes(self) -> None:
        """Warn where an organisation code or tax number of a row is not that of its USCC, which is followed."""
        for role in self.plan.kind.roles.values():
            uscc = self.values.get(role.identity.get("uscc", ""))
            for part in ("org_code", "tax_no"):
                column = next((c for c in self.plan.columns if c.element.id == role.identity.get(part)), None)
                if uscc is None or column is None:
                    continue
                code = self.values[column.element.id]
                rows = np.flatnonzero(valid(uscc) & valid(code))
                differ = np.zeros(self.rows, dtype=bool)
                differ[rows] = other_subjects(take(uscc, rows), take(code, rows))
                self.log.add("subject.codes_differ", differ, column.element.id, self._source(column), self._raw(column))

    def check_roles(self) -> None:
        """Warn where both parties are one subject though the record says that they cannot be."""
        told, other = both_roles(self.plan.kind, self.values, CODES), self.plan.kind.roles.get("related")
        if told is not None and other is not None:
            self.log.add("subject.both_roles", told, other.identity["name"], "", pa.nulls(self.rows, pa.string()))

    def check_identity(self) -> None:
        """Refuse rows in which a required role has nothing that could name its subject."""
        for name, role in self.plan.kind.roles.items():
            if not role.required:
                continue
            usable, given_bad = self._codes_of(role)
            named = self._filled(role.identity.get("name"))
            if self.plan.kind.registers == "found":  # a name alone founds nobody
                named = np.zeros(self.rows, dtype=bool)
            hopeless = ~usable & (given_bad | ~named)
            if name != "subject":  # subject and key tell which record is meant
                hopeless &= ~self.deletes
            unnamed = hopeless & ~given_bad
            for column in self.plan.columns:  # a required code that is missing has been named as the reason already
                if column.required and column.element.type in CODES and column.element.id in role.identity.values():
                    unnamed &= self._filled(column.element.id)
            none = pa.nulls(self.rows, pa.string())
            main = next(iter(role.identity.values()))
            for rule, hits in (
                ("subject.identifiers_invalid", hopeless & given_bad),
                ("subject.no_identity", unnamed),
            ):
                self.log.add(rule, hits, main, role.title, none, refuses=True)
            self.refused |= hopeless

    def _codes_of(self, role: Role) -> tuple[np.ndarray, np.ndarray]:
        usable, bad = np.zeros(self.rows, dtype=bool), np.zeros(self.rows, dtype=bool)
        for part in CODES:
            element = role.identity.get(part)  # type: ignore[call-overload]
            usable |= self._filled(element)
            if element in self.invalid:
                bad |= self.invalid[element]
        return usable, bad

    def _filled(self, element: str | None) -> np.ndarray:
        if element is None or element not in self.values:
            return np.zeros(self.rows, dtype=bool)
        return valid(self.values[element])

    def check_shifted(self) -> None:
        """Refuse rows whose fields have slipped."""
        hits = slipped(self.misplaced, self.invalid.values())
        self.log.add("field.shifted", hits, "", "", pa.nulls(self.rows, pa.string()), refuses=True)
        self.refused |= hits

    def check_dates(self) -> None:
        """Warn where a period ends before it begins, an event lies in the future, or birthdays differ."""
        kind = self.plan.kind
        none = pa.nulls(self.rows, pa.string())
        start, end = self.values.get(kind.effective_from_on or ""), self.values.get(kind.effective_to_on or "")
        if start is not None and end is not None:
            self.log.add("dates.order", _mask(pc.less(end, start)), str(kind.effective_to_on), "", none)
        event = self.values.get(kind.event_on or "")
        if event is not None and pa.types.is_date32(event.type):
            future = _mask(pc.greater(event, pa.scalar(self.mapper.today, pa.date32())))
            self.log.add("dates.future", future, str(kind.event_on), "", none)
            self.log.add("dates.filled_down", filled_down(event), str(kind.event_on), "", none)
        for column in self.plan.columns:
            if column.element.type == "date" and column.element.id not in BIRTHS:
                early = ancient(self.values[column.element.id])
                if early is not None:
                    self.log.add("dates.ancient", early, column.element.id, self._source(column), none)
        born, number = self.values.get("born_on"), self.values.get(kind.roles["subject"].identity.get("person_doc", ""))
        if born is not None and number is not None:
            self.log.add("person.born_differs", born_otherwise(born, number), "born_on", "", none)

    def check_written_days(self) -> None:
        """Warn of day numbers of a spreadsheet where days written out make them doubtful, and of days in UTC."""
        columns = [c for c in self.plan.columns if c.element.type == "date" and c.constant is None]
        raw = {c.element.id: self._raw(c) for c in columns}
        for column in columns:
            in_utc = utc_midnights(as_strings(raw[column.element.id]))
            self.log.add("date.utc", in_utc, column.element.id, self._source(column), raw[column.element.id])
        if self.chunk.dated:  # a workbook says itself what its days are
            return
        doubtful = serial_days(raw, {c.element.id: self.values[c.element.id] for c in columns})
        for column in columns:
            if column.date_form != "excel" and column.element.id in doubtful:
                hits = doubtful[column.element.id]
                self.log.add("date.serial", hits, column.element.id, self._source(column), raw[column.element.id])

    def check_end(self) -> None:
        """Warn where the file ends within its last row: its last value may be cut off."""
        if self.chunk.unended and self.rows:
            last = np.zeros(self.rows, dtype=bool)
            last[-1] = True
            self.log.add("row.last_unended", last, "", "", pa.nulls(self.rows, pa.string()))

    def check_torn(self) -> None:
        """Refuse rows beside half a line whose last, or first, value may be the other half and does not show it."""
        lines = np.array([d.row for d in self.chunk.damaged if d.fragment], np.int64)
        if not len(lines) or not self.rows:
            return
        names, rows = self.chunk.table.column_names, self.source_row.to_numpy()
        for header, beside in ((names[-1], lines - 1), (names[0], lines + 1)):
            column = next((c for c in self.plan.columns if self.headers.get(c.element.id) == header), None)
            if column is None:
                continue
            raw = self._raw(column)
            hits = np.isin(rows, beside) & valid(raw)
            for row in np.flatnonzero(hits).tolist():
                is_last = header == names[-1] and row == self.rows - 1
                hits[row] = perhaps_cut(column.element.type, raw[row].as_py()) and not (is_last and as_others(raw))
            self.log.add("value.beside_torn", hits, column.element.id, self._source(column), raw, refuses=True)
            self.refused |= hits

    def result(self) -> StandardChunk:
        """Split the rows and build the three tables."""
        row_id = pc.add(self.source_row, pa.scalar(self.file_no * ROWS_PER_FILE, pa.int64()))
        passed = self._standard(row_id)
        quarantined = quarantine_table(
            self.chunk.table, row_id, self.source_row, self.file_name, self.refused, self.log.reasons(self.refused)
        )
        issues = self.log.table(row_id, self.source_row, self.file_name)
        if self.chunk.damaged:
            bad_rows, bad_issues = damaged_table(self.chunk.damaged, self.file_no * ROWS_PER_FILE, self.file_name)
            quarantined = pa.concat_tables([quarantined, bad_rows]).sort_by("row_id")
            issues = pa.concat_tables([issues, bad_issues]).sort_by("row_id")
        return StandardChunk(passed, quarantined, issues)

    def _standard(self, row_id: pa.Array) -> pa.Table:
        schema = self.mapper.schema()
        made = {"row_id": row_id, "source_row": self.source_row}
        for role_name in self.mapper.role_names:
            made[f"{role_name}_name_key"] = self._name_key(self.plan.kind.roles[role_name])
        history = self.plan.kind.name_history
        if history:
            for which, element in (("before", history.before), ("after", history.after)):
                name = self.values.get(element)
                made[f"{which}_name_key"] = name_key(name) if name is not None else pa.nulls(self.rows, pa.string())
        passing = ~self.refused
        count, mask = int(np.count_nonzero(passing)), booleans(passing)
        columns = {}
        for name, kind in zip(schema.names, schema.types, strict=True):
            values = made.get(name, self.values.get(name))
            if values is None:
                columns[name] = pa.nulls(count, kind)
            else:
                columns[name] = values if count == self.rows else values.filter(mask)
        columns["source_file"] = repeated(self.file_name, count)
        return pa.Table.from_arrays(list(columns.values()), schema=schema)

    def _name_key(self, role: Role) -> pa.Array:
        """Match keys of names: for all rows of kinds that feed the registry, else only where they are asked for.

        That is where no code is usable, and where one may be a person's: its bearer must have that name.
        """
        name = self.values.get(role.identity["name"])
        if name is None:
            return pa.nulls(self.rows, pa.string())
        if self.plan.kind.registers == "none":
            usable, _ = self._codes_of(role)
            person = self._filled(role.identity.get("person_doc")) | self._filled(role.identity.get("tax_no"))
            person &= ~self._filled(role.identity.get("uscc"))
            rows = np.flatnonzero((~usable | person) & valid(name))
            return scattered(name_key(take(name, rows)), rows, self.rows)
        return name_key(name)


def standardise_rows(
    contract: Contract, rows: Sequence[dict[str, str | None]], *, today: date = date(2026, 11, 23)
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Standardise a few rows given as header -> text, as contract examples are. Return passed, quarantined, issues."""
    headers = list(dict.fromkeys(h for row in rows for h in row))
    table = pa.table({h: pa.array([row.get(h) for row in rows], pa.string()) for h in headers})
    chunk = RawChunk(table, pa.array(range(1, len(rows) + 1), pa.int64()), ())
    done = Mapper(contract, today=today, salt=contract.id).run(chunk, file_no=0, file_name="examples")
    return done.passed, done.quarantined, done.issues


def _mask(array: pa.Array) -> np.ndarray:
    return as_mask(array)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


__all__ = ["ISSUES", "Damaged", "DeliveryMismatch", "Mapper", "StandardChunk", "standardise_rows"]
