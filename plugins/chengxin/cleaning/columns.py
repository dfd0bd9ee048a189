"""The columns of one chunk, cleaned one by one: values, their issues, and which rows they make unusable."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.agreement import MISPLACED
from chengxin.cleaning.issues import IssueLog
from chengxin.cleaning.kernels import Cleaned, CleanOptions, among, clean, no_names, separate, without_unknown
from chengxin.cleaning.stated.units import unit_cells
from chengxin.contracts.plan import PARTIAL, ColumnPlan, Plan
from chengxin.model.elements import elements
from chengxin.model.kinds import Role
from chengxin.model.rules import rules
from chengxin.model.schema import element_columns
from chengxin.parsing.buffers import as_mask, as_strings, booleans, has_text, longest, repeated, valid, without
from chengxin.parsing.reader import RawChunk
from chengxin.parsing.shapes import UnitRows

UNIT_ONLY = "money.unit_only"
CODES = ("uscc", "org_code", "reg_no", "tax_no", "person_doc", "loan_card_no")
ALWAYS_QUARANTINED = frozenset({"text.replacement", UNIT_ONLY})
TRUTHS = frozenset({"flag", "code"})  # types of elements that JSON's true and false may be values of
STATUS, DELETED = "delivery_status_code", "2"  # a row of which is not known whether it deletes is refused


class Columns:
    """Cleans a chunk by a plan. `today` bounds what counts as a date in the future; `salt` keys the value digests.

    values: column of the kind -> cleaned values. refused: rows that cannot be used. log: the issues of values.
    """

    def __init__(self, plan: Plan, chunk: RawChunk, *, today: date, salt: bytes) -> None:
        self.plan, self.chunk, self.today = plan, chunk, today
        self.rows = chunk.table.num_rows
        self.headers = self._match()
        self.values: dict[str, pa.Array] = {}
        self.invalid: dict[str, np.ndarray] = {}  # element -> rows where a value was given and is unusable
        self.log = IssueLog(salt)
        self.refused = np.zeros(self.rows, dtype=bool)
        self.deletes = np.zeros(self.rows, dtype=bool)  # rows that need not say more than which record they mean
        self.unit_cells: dict[str, tuple[np.ndarray, str]] = {}  # money element -> rows with a unit alone, what to say
        self.shown_otherwise: Sequence[tuple[str, str, tuple[int, ...]]] = ()  # as Piece.odd
        self.amounts: list[UnitRows] = []
        self._separated: dict[tuple[str, ...], list[np.ndarray]] = {}
        self.misplaced = np.zeros(self.rows, dtype=bool)  # rows in which a number or date stands as a name

    def _match(self) -> dict[str, str]:
        names = self.chunk.table.column_names
        blank = [n for n in names if not n.strip() and not has_text(self.chunk.table[n])]
        if self.rows == 0 and not names:
            return {}
        return self.plan.match([n for n in names if n not in blank], partial=self.plan.contract.file.format in PARTIAL)

    def raw(self, column: ColumnPlan) -> pa.Array:
        """Return the texts of a column as they were sent, or its constant."""
        header = self.headers.get(column.element.id)
        if header is not None:
            return _one_chunk(self.chunk.table[header])
        if column.constant is None:
            return pa.nulls(self.rows, pa.string())
        return repeated(column.constant, self.rows)

    def clean_columns(self, from_1904: bool) -> None:
        """Clean every column and note its issues; refuse rows whose required values are absent or unusable."""
        for column in sorted(self.plan.columns, key=lambda c: c.element.id != STATUS):
            raw = self.raw(column)
            if column.one_of:
                raw = without(as_strings(raw), ~self._own(column, raw))
            options = CleanOptions(
                unit=column.unit,
                codes=column.codes,
                codelist=column.element.codelist,
                today=self.today,
                date_form=column.date_form,
                from_1904=from_1904,
                measures=column.element.measures,
                at_home=self.plan.contract.region.startswith("43"),
            )
            cleaned = self._cleaned(column, raw, options)
            if column.element.type == "money":
                cleaned = self._without_units(column, raw, cleaned)
            self._store(column, cleaned)
            given_bad = self._note(column, raw, cleaned)
            self.invalid[column.element.id] = given_bad
            if column.element.id == STATUS:
                self.deletes = as_mask(pc.equal(cleaned.values, DELETED))
            if column.required:
                self._require(column, raw, cleaned, given_bad)

    def _without_units(self, column: ColumnPlan, raw: pa.Array, cleaned: Cleaned) -> Cleaned:
        """Say of cells that hold another unit than the contract's, and no amount, that they do."""
        bad = next((as_mask(mask) for rule, mask in cleaned.issues if rule == "money.invalid"), None)
        found = (
            unit_cells(self.plan, column, pc.unique(raw.filter(booleans(bad))).to_pylist()) if bad is not None else {}
        )
        if not found or bad is None:
            return cleaned
        hits = as_mask(pc.is_in(raw, pa.array(list(found), pa.string())))
        self.unit_cells[column.element.id] = hits, next(iter(found.values()))
        others = [(rule, mask) for rule, mask in cleaned.issues if rule != "money.invalid"]
        issues = (*others, ("money.invalid", booleans(bad & ~hits)), (UNIT_ONLY, booleans(hits)))
        return replace(cleaned, issues=issues)

    def _own(self, column: ColumnPlan, raw: pa.Array) -> np.ndarray:
        """Return the rows of a column of several identifiers that are this element's, or empty and it is the first."""
        if column.one_of not in self._separated:
            kinds = [elements()[name].type for name in column.one_of]
            self._separated[column.one_of] = separate(as_strings(raw), kinds, self.today)
        return self._separated[column.one_of][column.one_of.index(column.element.id)]

    def _cleaned(self, column: ColumnPlan, raw: pa.Array, options: CleanOptions) -> Cleaned:
        """Clean a column: an array is no value, true is none where no truth belongs, and a day is no name."""
        header, element = self.headers.get(column.element.id, ""), column.element
        none: dict[str, np.ndarray] = {}
        if nested := self.chunk.nested.get(header):
            none["value.nested"] = self.places(nested)
            if element.type in TRUTHS:
                none["value.nested"] &= ~as_mask(pc.is_in(raw, pa.array(["true", "false"])))
        if element.type == "date" and (partial := self.chunk.partial.get(header)):
            self.log.add("date.unshown", self.places(partial), element.id, header, raw)
        is_named = element.type in {"document_no", "name"} or (element.type == "text" and element.id.endswith("_name"))
        if is_named and (dated := self.chunk.dated.get(header)):
            none["value.date"] = self.places(dated)
        for hits in none.values():
            raw = without(as_strings(raw), hits)
        cleaned = clean(raw, element.type, options=options)
        if is_named and element.type != "document_no":
            values = without_unknown(cleaned.values) if element.type == "text" else cleaned.values
            titles = among(values, pa.array([header or element.title, element.title]))
            none["name.no_letter"] = titles | no_names(values) if element.type == "text" else titles
            cleaned = replace(cleaned, values=without(values, none["name.no_letter"]))
        return replace(cleaned, issues=(*cleaned.issues, *((rule, booleans(hits)) for rule, hits in none.items())))

    def places(self, rows: Sequence[int]) -> np.ndarray:
        """Return a mask of some rows."""
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
            hits = as_mask(mask)
            level = rules()[rule].level
            refuse = (level == "error" and column.required) or rule in ALWAYS_QUARANTINED
            refuse |= rule == "code.unknown" and column.element.id == STATUS
            self.log.add(rule, hits, column.element.id, self.source(column), raw, refuses=refuse)
            if refuse:
                self.refused |= hits
            if level == "error":
                bad |= hits
            if rule in MISPLACED:
                self.misplaced |= hits
        limit = column.element.max_length
        if limit and pa.types.is_string(cleaned.values.type) and longest(cleaned.values) > limit:
            long = as_mask(pc.greater(pc.utf8_length(cleaned.values), limit))
            self.log.add("text.too_long", long, column.element.id, self.source(column), raw)
        return bad

    def _require(self, column: ColumnPlan, raw: pa.Array, cleaned: Cleaned, bad: np.ndarray) -> None:
        absent = ~valid(cleaned.values) & ~bad
        if column.one_of:
            absent &= self._own(column, raw)
        if column.element.id not in self.plan.kind.key:
            absent &= ~self.deletes
        explained = np.zeros(self.rows, dtype=bool)
        for _, mask in cleaned.issues:
            explained |= as_mask(mask)
        for rule, hits in (
            ("field.required_unusable", absent & explained),
            ("field.required_missing", absent & ~explained),
        ):
            self.log.add(rule, hits, column.element.id, self.source(column), raw, refuses=True)
        self.refused |= absent

    def source(self, column: ColumnPlan) -> str:
        """Return what the source calls a column."""
        return self.headers.get(column.element.id, column.source)

    def codes_of(self, role: Role) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows in which a role has a usable code, and those in which it has a bad one."""
        usable, bad = np.zeros(self.rows, dtype=bool), np.zeros(self.rows, dtype=bool)
        for part in CODES:
            element = role.identity.get(part)  # type: ignore[call-overload]
            usable |= self.filled(element)
            if element in self.invalid:
                bad |= self.invalid[element]
        return usable, bad

    def filled(self, element: str | None) -> np.ndarray:
        """Return the rows with a usable value of an element."""
        if element is None or element not in self.values:
            return np.zeros(self.rows, dtype=bool)
        return valid(self.values[element])


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
