"""From string batches to standard columns: one chunk in, passed, quarantined and issue rows out. No loop over rows."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.columns import STATUS, Columns
from chengxin.cleaning.corrections import ANSWERS, without_ours
from chengxin.cleaning.kernels import name_key
from chengxin.cleaning.quarantine import damaged_table, quarantine_table
from chengxin.cleaning.row_checks.checks import check_rows
from chengxin.cleaning.stated.units import NOTE, check_units, notes_in
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import Plan, plan_of
from chengxin.model.kinds import Role
from chengxin.model.schema import arrow_type, kind_columns
from chengxin.parsing.buffers import booleans, repeated, scattered, take, valid
from chengxin.parsing.reader import RawChunk
from chengxin.parsing.shapes import UnitRows

NAME_FORM = "subject_name_form"
ROWS_PER_FILE = 1 << 40  # row_id = file number * this + source row


@dataclass(frozen=True)
class StandardChunk:
    """What came out of one chunk; shapes as in docs/architecture.md."""

    passed: pa.Table
    quarantined: pa.Table
    issues: pa.Table
    amounts: tuple[UnitRows, ...]
    answers: pa.Table


class Mapper:
    """Applies one contract. `today` bounds what counts as a date in the future; `salt` keys the value digests."""

    def __init__(self, contract: Contract, *, today: date, salt: str) -> None:
        self.plan: Plan = plan_of(contract)
        self.today = today
        self.salt = hashlib.sha256(salt.encode()).digest()[:32]
        self.role_names = [r for r, role in self.plan.kind.roles.items() if "name" in role.identity]
        self._schema = self._make_schema()

    @property
    def _compares_names(self) -> bool:
        """Whether a name is only compared with the one that its subject's code is registered under."""
        return self.plan.kind.registers == "none" and "subject" in self.role_names

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
        if self._compares_names:
            fields.append((NAME_FORM, pa.string()))
        if self.plan.kind.name_history:
            fields += [("before_name_key", pa.string()), ("after_name_key", pa.string())]
        return pa.schema(fields)

    def run(
        self,
        chunk: RawChunk,
        *,
        file_no: int,
        file_name: str,
        from_1904: bool = False,
        odd: Sequence[tuple[str, str, tuple[int, ...]]] = (),
    ) -> StandardChunk:
        """Standardise a chunk. Raise DeliveryMismatch where its columns are not the contract's.

        from_1904: the chunk is of a workbook that counts days from 1904. odd: see Piece.
        """
        chunk, answers = without_ours(chunk, self.plan)
        check_units(self.plan, (*(d.raw for d in chunk.damaged if len(d.raw) < NOTE), *chunk.statements.units))
        work = Columns(self.plan, chunk, today=self.today, salt=self.salt)
        work.shown_otherwise = odd
        work.clean_columns(from_1904)
        check_rows(work)
        check_units(self.plan, notes_in(chunk.table, np.flatnonzero(work.refused)))
        return self._split(work, file_no * ROWS_PER_FILE, file_name, answers)

    def _split(self, work: Columns, first_id: int, file_name: str, answers: pa.Table | None) -> StandardChunk:
        """Split the rows and build the tables."""
        chunk, refused = work.chunk, work.refused
        row_id = pc.add(chunk.rows, pa.scalar(first_id, pa.int64()))
        passed = self._standard(work, row_id, file_name)
        quarantined = quarantine_table(
            chunk.table, row_id, chunk.rows, file_name, refused=refused, reasons=work.log.reasons(refused)
        )
        issues = work.log.table(row_id, chunk.rows, file_name, refused)
        if chunk.damaged:
            bad_rows, bad_issues = damaged_table(chunk.damaged, first_id, file_name)
            quarantined = pa.concat_tables([quarantined, bad_rows]).sort_by("row_id")
            issues = pa.concat_tables([issues, bad_issues]).sort_by("row_id")
        told = ANSWERS.empty_table() if answers is None else answers.add_column(0, ANSWERS.field(0), row_id)
        return StandardChunk(passed, quarantined, issues, tuple(work.amounts), told.cast(ANSWERS))

    def _standard(self, work: Columns, row_id: pa.Array, file_name: str) -> pa.Table:
        made = {"row_id": row_id, "source_row": work.chunk.rows}
        for role_name in self.role_names:
            made[f"{role_name}_name_key"] = _name_key(work, self.plan.kind.roles[role_name])
        if self._compares_names:
            made[NAME_FORM] = _name_form(work, self.plan.kind.roles["subject"])
        history = self.plan.kind.name_history
        if history:
            subject = self.plan.kind.roles["subject"].identity.get("name")
            for which, element in (("before", history.before), ("after", history.after)):
                name = work.values.get(element)
                if element == subject:
                    made[f"{which}_name_key"] = made["subject_name_key"]
                else:
                    made[f"{which}_name_key"] = name_key(name) if name is not None else pa.nulls(work.rows, pa.string())
        passing = ~work.refused
        count, mask = int(np.count_nonzero(passing)), booleans(passing)
        columns = {}
        for name, kind in zip(self._schema.names, self._schema.types, strict=True):
            values = made.get(name, work.values.get(name))
            if values is None:
                columns[name] = pa.nulls(count, kind)
            else:
                columns[name] = values if count == work.rows else values.filter(mask)
        columns["source_file"] = repeated(file_name, count)
        return pa.Table.from_arrays(list(columns.values()), schema=self._schema)


def _name_key(work: Columns, role: Role) -> pa.Array:
    """Match keys of names: for all rows of kinds that feed the registry, else only where they are asked for.

    That is where no code is usable, and where one may be a person's: its bearer must have that name.
    """
    name = work.values.get(role.identity["name"])
    if name is None:
        return pa.nulls(work.rows, pa.string())
    if work.plan.kind.registers == "none":
        usable, _ = work.codes_of(role)
        person = work.filled(role.identity.get("person_doc")) | work.filled(role.identity.get("tax_no"))
        person &= ~work.filled(role.identity.get("uscc"))
        rows = np.flatnonzero((~usable | person) & valid(name))
        return scattered(name_key(take(name, rows)), rows, work.rows)
    return name_key(name)


def _name_form(work: Columns, role: Role) -> pa.Array:
    """Return the match key of names where it is another text than the name itself."""
    name = work.values.get(role.identity["name"])
    if name is None:
        return pa.nulls(work.rows, pa.string())
    key = name_key(name)
    return pc.if_else(pc.not_equal(key, name), key, pa.scalar(None, pa.string()))


def standardise_rows(
    contract: Contract, rows: Sequence[dict[str, str | None]], *, today: date = date(2026, 11, 23)
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Standardise a few rows given as header -> text, as contract examples are. Return passed, quarantined, issues."""
    headers = list(dict.fromkeys(h for row in rows for h in row))
    table = pa.table({h: pa.array([row.get(h) for row in rows], pa.string()) for h in headers})
    chunk = RawChunk(table, pa.array(range(1, len(rows) + 1), pa.int64()), ())
    done = Mapper(contract, today=today, salt=contract.id).run(chunk, file_no=0, file_name="examples")
    return done.passed, done.quarantined, done.issues
