"""By what a refused row is known again when it is sent once more: the source's own key, else name and key fields.

Refused rows were never standardised; the few columns that name a record are cleaned here as the contract would, so that
they compare with those of rows that passed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.cleaning.kernels import CleanOptions, clean
from chengxin.cleaning.quarantine import QUARANTINE
from chengxin.contracts.headers import fold_header
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import ColumnPlan, Plan, plan_of
from chengxin.engine.session import Session
from chengxin.engine.step import Step, identifier
from chengxin.identity.record_keys import RECORD_ID, compared
from chengxin.model.schema import element_columns
from chengxin.records.quarantine import SPLIT, stored, text_under

_ROWS = 100_000
# Names are compared without what people write now one way, now another.
_NAME = r"upper(regexp_replace({0}, '[\s　（）()〔〕\[\]·•・.。]', '', 'g'))"


@dataclass(frozen=True)
class RowKeys:
    """The parts of a contract that name a record. parts: element ids, the subject's name last if there is one.

    also: further elements to read of refused rows.
    """

    contract: Contract
    also: tuple[str, ...] = ()

    @cached_property
    def plan(self) -> Plan:
        """The column plan."""
        return plan_of(self.contract)

    @cached_property
    def name(self) -> str | None:
        """The element with the subject's name, where a name may stand for its bearer: not of natural persons alone."""
        kind = self.plan.kind
        name = kind.roles["subject"].identity.get("name")
        return None if kind.founds == "person" and not kind.key else name

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The key fields of the kind that the contract fills, then the name."""
        filled = {c.element.id for c in self.plan.columns if c.constant is None}
        named = [e for e in self.plan.kind.key if e in filled and e != self.name]
        return (*named, *([self.name] if self.name in filled else []))

    @cached_property
    def has_record_id(self) -> bool:
        """Whether the source has a key of its own."""
        return any(c.element.id == RECORD_ID for c in self.plan.columns)

    @property
    def naming(self) -> list[str]:
        """The standard columns that `labels` reads."""
        return [RECORD_ID, *map(self.column, self.parts)]

    def labels(self, rows: pa.Table) -> pa.ChunkedArray:
        """Return what people call rows that passed: the source's own key, else what is there of name and key fields."""
        said = [
            pc.binary_join_element_wise(f"{self._elements[p].source}：", rows[self.column(p)].cast(pa.string()), "")
            for p in self.parts
        ]
        if not said:
            return rows[RECORD_ID]
        key = pc.binary_join_element_wise(*said, "；", null_handling="skip")
        return pc.coalesce(rows[RECORD_ID], pc.if_else(pc.equal(key, ""), None, key))

    def is_number(self, part: str) -> bool:
        """Return whether a part is a number of documents."""
        return self._elements[part].element.type == "document_no"

    def enough(self, present: Sequence[str]) -> bool:
        """Return whether these parts name a record: a name and a key field, or all key fields, a number among them.

        A key names a record of one subject: tax and authority, or a year, are those of thousands.
        """
        kind = self.plan.kind
        keys = [p for p in present if p != self.name]
        if self.name in present:
            return bool(keys) or not kind.key
        must = [p for p in self.parts if p != self.name and p not in kind.key_optional]
        numbered = any(map(self.is_number, must))
        return numbered and set(must) <= set(keys)

    def text(self, part: str, alias: str) -> str:
        """Return SQL for a part as compared text, NULL where it is empty."""
        if part == self.name:
            return _NAME.format(identifier(self.column(part), alias))
        return compared(element_columns(self._elements[part].element)[0], alias)

    def column(self, part: str) -> str:
        """Return the standard column of a part."""
        return element_columns(self._elements[part].element)[0].name

    def folded(self, element: str) -> tuple[str, ...]:
        """Return the headers of an element as they are compared."""
        return self._elements[element].folded

    def folded_of(self, element: str) -> tuple[str, ...]:
        """Return the headers of any element as they are compared; none where the contract does not fill it."""
        return self._elements[element].folded if element in self._elements else ()

    @cached_property
    def _elements(self) -> Mapping[str, ColumnPlan]:
        return {c.element.id: c for c in self.plan.columns}

    def paths(self, headers: Sequence[str]) -> dict[str, list[str]]:
        """Return, for each element that names a record, the SQL that reads it from `raw`, by the headers that occur."""
        wanted = [*([RECORD_ID] if self.has_record_id else []), *self.parts, *self.also]
        order = list(dict.fromkeys(c.source for c in self.plan.columns if c.constant is None))
        found: dict[str, list[str]] = {}
        for element in wanted:
            folded = self._elements[element].folded
            hits = [h for h in headers if fold_header(h) in folded]
            if not hits and self.contract.in_order:
                hits = [h for h in headers if h == str(order.index(self._elements[element].source) + 1)]
            found[element] = hits
        return found

    def write(self, session: Session, quarantine: Sequence[Path], target: Path) -> None:
        """Write the keys of refused rows: row_id, source_file, source_row, content, damaged, label, parts."""
        session.files("quarantine", quarantine, QUARANTINE)
        readable = f"json_valid(raw) AND raw LIKE '{{%' AND {SPLIT}"
        repaired = f"SELECT *, {readable} AS readable FROM ({stored('quarantine')})"
        session.view(Step("refused_raw", ("quarantine",), repaired))
        sent = "SELECT DISTINCT unnest(json_keys(raw)) FROM refused_raw WHERE readable ORDER BY 1"
        headers = [header for (header,) in session.fetch(Step("sent_headers", ("refused_raw",), sent))]
        paths = self.paths(headers)
        under = {f"h{n}": header for n, header in enumerate(headers)}
        place = {header: f"${name}" for name, header in under.items()}
        values = {
            e: f"coalesce({', '.join([*(text_under(place[h]) for h in hits), 'NULL'])})" for e, hits in paths.items()
        }
        own = values.get(RECORD_ID, "NULL")
        labels = {f"l{n}": self._label(part, paths[part]) for n, part in enumerate(self.parts)}
        parts = [
            f"CASE WHEN trim(coalesce({values[p]}, '')) <> '' THEN $l{n} || '：' || trim({values[p]}) END"
            for n, p in enumerate(self.parts)
        ]
        label = f"coalesce(nullif(trim({own}), ''), nullif(concat_ws('；', {', '.join([*parts, 'NULL'])}), ''))"
        columns = "".join(f", CASE WHEN readable THEN {sql} END AS {identifier(f'v_{e}')}" for e, sql in values.items())
        keys = f"""SELECT row_id, source_file, source_row, md5(raw) AS content,
            NOT readable AS damaged, CASE WHEN readable THEN {label} END AS label{columns}
            FROM refused_raw ORDER BY row_id"""
        reader = session.reader(Step("refused_keys_raw", ("refused_raw",), keys, {**under, **labels}), _ROWS)
        with pq.ParquetWriter(target, self.schema()) as writer:
            for batch in reader:
                writer.write_table(self._cleaned(pa.Table.from_batches([batch])))

    def _label(self, part: str, hits: Sequence[str]) -> str:
        return hits[0] if hits else str(self._elements[part].source)

    def schema(self) -> pa.Schema:
        """Return the schema of the written keys."""
        texts = [RECORD_ID, *(self.column(p) for p in (*self.parts, *self.also))]
        fixed = [
            ("row_id", pa.int64()),
            ("source_file", pa.string()),
            ("source_row", pa.int64()),
            ("content", pa.string()),
            ("damaged", pa.bool_()),
            ("label", pa.string()),
        ]
        return pa.schema([*fixed, *((t, pa.string()) for t in texts)])

    def _cleaned(self, rows: pa.Table) -> pa.Table:
        fixed = self.schema().names[: -1 - len(self.parts) - len(self.also)]
        arrays = [pa.concat_arrays(rows[n].chunks) for n in fixed]
        arrays += [self._clean(rows, element) for element in (RECORD_ID, *self.parts, *self.also)]
        return pa.Table.from_arrays(arrays, schema=self.schema())

    def _clean(self, rows: pa.Table, element: str) -> pa.Array:
        if f"v_{element}" not in rows.column_names:
            return pa.nulls(rows.num_rows, pa.string())
        return self.cleaned(
            pa.concat_arrays(rows[f"v_{element}"].cast(pa.string()).chunks or [pa.nulls(0, pa.string())]), element
        )

    def cleaned(self, raw: pa.Array, element: str) -> pa.Array:
        """Return texts as an element's column would hold them, as text."""
        column = self._elements[element]
        options = CleanOptions(
            unit=column.unit,
            codes=column.codes,
            codelist=column.element.codelist,
        )
        return clean(raw, column.element.type, options=options).values.cast(pa.string())


def numbered_files(session: Session, name: str, files: Sequence[tuple[int, Path]], number: str) -> None:
    """Leave the view `name`: the rows of these files with the number of each in the column `number`."""
    session.files(f"{name}_files", [path for _, path in files], filename=True)
    numbers = {number: pa.array([n for n, _ in files], pa.int32()), "filename": [str(path) for _, path in files]}
    session.rows(f"{name}_numbers", pa.table(numbers))
    sql = f"""SELECT n.{number}, f.* EXCLUDE (filename)
        FROM {name}_files f JOIN {name}_numbers n USING (filename)"""
    session.view(Step(name, (f"{name}_files", f"{name}_numbers"), sql))
