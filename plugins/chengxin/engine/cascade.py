"""Rules that are tried one after the other: each is a step over the rows that those before it left."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step, union


@dataclass(frozen=True)
class Cascade:
    """The rules of one table. name: of the table; schema: of it and of each rule; key: the columns that name a row.

    rows: how many there are to find, where each rule finds a row once at most: when all are found, no more rules run.
    tables: the steps of the rules that found something.
    """

    session: Session
    name: str
    schema: Schema
    key: tuple[str, ...] = ("row_id",)
    rows: int | None = None
    tables: list[str] = field(default_factory=list)
    _found: list[int] = field(default_factory=list)

    def left(self, alias: str) -> str:
        """Return the SQL condition that no rule has found the row `alias` yet."""
        columns = ", ".join(self.key)
        found = " UNION ALL ".join(f"SELECT ({columns}) AS key FROM {table}" for table in self.tables)
        return f"({', '.join(f'{alias}.{c}' for c in self.key)}) NOT IN ({found})" if found else "true"

    def add(self, rule: str, reads: Iterable[str], sql: str, values: Mapping[str, Any] | None = None) -> int:
        """Try a rule: leave what it finds, and return how many rows that are. sql: with the condition of `left`."""
        if sum(self._found) == self.rows:
            return 0
        step = Step(f"{self.name}_{rule}", (*reads, *self.tables), sql, values or {})
        found = self.session.leave(step, self.schema)
        if found:
            self.tables.append(step.name)
            self._found.append(found)
        return found

    def close(self) -> None:
        """Leave the view `name` of all that the rules found up to now."""
        found = union((f"SELECT * FROM {table}" for table in self.tables), self.schema)
        self.session.view(Step(self.name, tuple(self.tables), found))
