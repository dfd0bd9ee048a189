"""Named steps: each is one SELECT over the tables of steps and inputs before it, so that another engine can run it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chengxin.errors import InvariantBroken

_VALUE = re.compile(r"\$([a-z]\w*)")
_READ = re.compile(r'\b(?:(?<!DISTINCT )FROM|JOIN)\s+(?:"([^"]+)"|([a-z_]\w*)\b(?!\s*\())')
_TEXT = re.compile(r"\"[^\"]*\"|'(?:[^']|'')*'")
_WITH = re.compile(r"\b([a-z_]\w*) AS (?:MATERIALIZED )?\(\s*(?:SELECT|WITH|FROM)\b")


@dataclass(frozen=True)
class Step:
    """One SELECT. reads: the tables of steps and inputs in it. values: what `$name` in it stands for, and more."""

    name: str
    reads: tuple[str, ...]
    sql: str
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def given(self) -> dict[str, Any]:
        """The values that the SQL asks for."""
        return {name: self.values[name] for name in dict.fromkeys(_VALUE.findall(self._code))}

    @property
    def _code(self) -> str:
        """The SQL without what its texts hold."""
        return _TEXT.sub(lambda found: found[0] if found[0][0] == '"' else "''", self.sql)

    def check(self, left: Iterable[str]) -> None:
        """Raise InvariantBroken where the step reads a table that it does not declare, or that is not in `left`."""
        if self.name in self.reads:
            raise InvariantBroken(f"step {self.name} reads what it leaves")
        own = set(_WITH.findall(self._code))
        undeclared = {quoted or plain for quoted, plain in _READ.findall(self._code)} - own - {*self.reads}
        if undeclared:
            raise InvariantBroken(f"step {self.name} reads {', '.join(sorted(undeclared))} without declaring it")
        if missing := {*self.reads} - {*left}:
            raise InvariantBroken(f"step {self.name} reads {', '.join(sorted(missing))}, which no step or input left")


@dataclass(frozen=True)
class Schema:
    """The columns of a table that steps leave to each other: name -> SQL type, in order."""

    columns: Mapping[str, str]

    @property
    def empty(self) -> str:
        """SQL for the table without a row."""
        nothing = (f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in self.columns.items())
        return f"SELECT {', '.join(nothing)} WHERE false"

    def check(self, table: str, found: Mapping[str, str]) -> None:
        """Raise InvariantBroken where a table has other columns."""
        if dict(found) != dict(self.columns):
            raise InvariantBroken(f"table {table} has {dict(found)}, declared is {dict(self.columns)}")


def identifier(name: str, of: str = "") -> str:
    """Quote the name of a table or column. of: the alias it belongs to."""
    quoted = '"' + name.replace('"', '""') + '"'
    return f"{of}.{quoted}" if of else quoted


def literal(text: str) -> str:
    """Quote a declared text of the model. What deliveries and people give goes in as a value of the step."""
    return "'" + text.replace("'", "''") + "'"


def union(selects: Iterable[str], schema: Schema) -> str:
    """Return SQL for all rows of these SELECTs, which have the columns of `schema`; no row where there are none."""
    return " UNION ALL ".join(selects) or schema.empty
