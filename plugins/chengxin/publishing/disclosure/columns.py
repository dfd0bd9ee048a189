"""The columns of credit_record that depend on the law, the day and the subject's home; and what the day changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.model.kinds import Kind
from chengxin.model.lawful_terms import LawfulTerms, lawful_terms
from chengxin.model.schema import ColumnSpec
from chengxin.model.sharing import LEVELS
from chengxin.publishing.disclosure.clock import Days
from chengxin.publishing.disclosure.home_regions import HomeRegions
from chengxin.publishing.disclosure.judgement import judge, judged_elements
from chengxin.publishing.disclosure.standing import texts
from chengxin.store.manifest import FileEntry

UNTIL = "until"  # in the extra of a file: the last day on which it holds
SPECS = (
    ColumnSpec("publicity_until_on", "date32", title="公示截止日期"),
    ColumnSpec("publicity_class_code", "string", title="公示类别"),
    ColumnSpec("standing_code", "string", title="效力状态"),
    ColumnSpec("share_level", "string", title="共享层级"),
    ColumnSpec("is_negative", "bool", title="是否负面信息"),
    ColumnSpec("in_force", "bool", title="是否有效"),
    ColumnSpec("home_region_code", "string", title="主体所在行政区划"),
    ColumnSpec("title", "string", title="标题"),
    ColumnSpec("authority_name", "string", title="作出机关"),
    ColumnSpec("amount_yuan", "decimal2", title="金额（元）"),
)
_LASTING = ("title", "authority_name", "amount_yuan")  # neither the day nor a move changes them
_AUTHORITIES = ("authority_name", "institution_name")


@dataclass
class Disclosure:
    """What the rows of one file are judged with. until: the last day on which those judged so far stay as they are.

    objected: records of the kind with an open objection.
    """

    kind: Kind
    part: str
    day: date
    homes: HomeRegions
    terms: LawfulTerms = field(default_factory=lawful_terms)
    until: date | None = None
    objected: frozenset[str] = frozenset()

    def columns(self, typed: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        """Return the columns of SPECS for rows of the typed table."""
        size = len(typed["record_id"])
        judged = judge(self.kind, typed, size, self.day, self.terms, objected=self.objected)
        self._narrow(judged.course.holds_until(self.day))
        amount = typed.get(f"{self.kind.amount}_yuan") if self.kind.amount else None
        return {
            "publicity_until_on": _dates(judged.timing.until),
            "publicity_class_code": texts(judged.timing.classes, judged.timing.names),
            "standing_code": texts(judged.course.on(self.day)),
            "share_level": texts(judged.levels, LEVELS),
            "is_negative": pa.repeat(pa.scalar(self.kind.publicity is not None), size),
            "in_force": pa.array(judged.course.in_force(self.day)),
            "home_region_code": self.homes.of(self.part, np.asarray(typed["subject_id"]), typed.get("region_code")),
            "title": _first(typed, self.kind.title_by, size),
            "authority_name": _first(typed, _AUTHORITIES, size),
            "amount_yuan": pa.nulls(size, pa.decimal128(18, 2)) if amount is None else amount,
        }

    @property
    def judged(self) -> set[str]:
        """Return the columns of the typed table that `renewed` needs, as far as it has them."""
        return {"record_id", "subject_id", "region_code", *judged_elements(self.kind)}

    def renewed(self, rows: pa.RecordBatch, typed: Mapping[str, pa.Array]) -> pa.RecordBatch:
        """Return rows of credit_record as they are on the day. typed: what is `judged` of the same records."""
        now = {**dict(zip(rows.schema.names, rows.columns, strict=True)), **_of_day(self.columns(typed))}
        return pa.RecordBatch.from_arrays([now[f.name].cast(f.type) for f in rows.schema], schema=rows.schema)

    def extra(self) -> dict[str, str]:
        """Return what the entry of the file keeps."""
        return {UNTIL: self.until.isoformat()} if self.until else {}

    def _narrow(self, day: date | None) -> None:
        if day is not None and (self.until is None or day < self.until):
            self.until = day


def holds(entry: FileEntry, day: date) -> bool:
    """Return whether a file of credit_record is on a day what it would be made anew."""
    return UNTIL not in entry.extra or day.isoformat() <= entry.extra[UNTIL]


def _of_day(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    return {name: values for name, values in columns.items() if name not in _LASTING}


def _dates(values: Days) -> pa.Array:
    return pa.array(values, pa.date32(), mask=np.isnat(values))


def _first(typed: Mapping[str, pa.Array], names: tuple[str, ...], size: int) -> pa.Array:
    given = [typed[name].cast(pa.string()) for name in names if name in typed]
    return pc.coalesce(*given) if given else pa.nulls(size, pa.string())
