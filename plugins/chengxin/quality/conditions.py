"""From GX domains and map metrics to SQL predicates. The semantics are those of GX's pandas engine; tests compare them.

Deliberate differences, all on the strict side: a bound is the decimal number that is written (0.1 is one tenth, not the
nearest double), text is compared with DATE and TIMESTAMPTZ columns as a day or an instant, and a value of the wrong
type for its column is refused instead of silently matching nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from chengxin.errors import ContractError
from chengxin.model.looks import by_regex

Types = Mapping[str, str]
Kwargs = Mapping[str, Any]

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT", "DECIMAL", "DOUBLE", "FLOAT")
_COMPARISONS = {"==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True)
class Condition:
    """What a map rule requires of rows.

    domain: SQL predicate of the rows that are judged, None = all. unexpected: predicate of the rows that break the
    rule; NULL counts as not broken. keys: for uniqueness, the columns that may not repeat (then no `unexpected`).
    """

    domain: str | None
    unexpected: str | None = None
    keys: tuple[str, ...] = ()


def ident(name: str, types: Types | None = None) -> str:
    """Quote a column name; with `types` given, refuse one that does not exist."""
    if types is not None and name not in types:
        raise ContractError(f"规则引用了不存在的列「{name}」")
    return '"' + name.replace('"', '""') + '"'


def text_literal(value: str) -> str:
    """Quote a text."""
    return "'" + value.replace("'", "''") + "'"


def literal(value: Any, sql_type: str) -> str:
    """Return a JSON value as a literal comparable with a column of a DuckDB type; ContractError where it cannot be."""
    if sql_type == "VARCHAR" and isinstance(value, str):
        return text_literal(value)
    if sql_type == "BOOLEAN" and isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if sql_type.startswith(_NUMBERS) and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        # GX turns 3 into 3.0 on its way; one number has one spelling, so that planned and asked SQL are equal
        number = (Decimal(repr(value)) if isinstance(value, float) else Decimal(value)).normalize()
        return format(number, "f")
    if sql_type == "DATE" and isinstance(value, str | date):
        return f"DATE '{_day(value)}'"
    if sql_type.startswith("TIMESTAMP") and isinstance(value, str | date):
        word = "TIMESTAMPTZ" if sql_type.endswith("ZONE") else "TIMESTAMP"
        return f"{word} {text_literal(_instant(value))}"
    raise ContractError(f"规则中的值类型（{type(value).__name__}）与列类型 {sql_type} 不符")


def _day(value: str | date) -> str:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ContractError("规则中的日期必须写成 YYYY-MM-DD") from error
    return (day.date() if isinstance(day, datetime) else day).isoformat()


def _instant(value: str | date) -> str:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ContractError("规则中的时刻必须写成 YYYY-MM-DDThh:mm:ss+00:00") from error
    return (moment if isinstance(moment, datetime) else datetime.combine(moment, time())).isoformat()


def row_filter(condition: Any, types: Types) -> str | None:
    """Translate a row_condition (GX Condition as dict or object); None where there is none.

    As in pandas, `!=` and `NOT_IN` keep rows whose value is missing.
    """
    if not condition:
        return None
    body = condition if isinstance(condition, Mapping) else getattr(condition, "dict", dict)()
    match body.get("type"):
        case "and" | "or":
            parts = [str(row_filter(part, types)) for part in body["conditions"]]
            return "(" + f" {str(body['type']).upper()} ".join(parts) + ")"
        case "nullity":
            column = ident(body["column"]["name"], types)
            return f"{column} IS {'NULL' if body['is_null'] else 'NOT NULL'}"
        case "comparison":
            return _comparison(body, types)
    raise ContractError("row_condition 只支持 comparison、nullity、and、or 四种写法")


def _comparison(body: Mapping[str, Any], types: Types) -> str:
    name = body["column"]["name"]
    column, operator, value = ident(name, types), str(body["operator"]), body["parameter"]
    if operator in ("IN", "NOT_IN"):
        inside = _within(column, value, types[name])
        return inside if operator == "IN" else f"({column} IS NULL OR NOT {inside})"
    if operator == "!=":
        return f"{column} IS DISTINCT FROM {literal(value, types[name])}"
    return f"{column} {_COMPARISONS[operator]} {literal(value, types[name])}"


def _within(column: str, values: Sequence[Any], sql_type: str) -> str:
    listed = [literal(v, sql_type) for v in values if v is not None]
    return f"({column} IN ({', '.join(listed)}))" if listed else "FALSE"


def both(*predicates: str | None) -> str | None:
    """Join predicates with AND; None stands for TRUE."""
    stated = [p for p in predicates if p is not None]
    return " AND ".join(f"({p})" for p in stated) if len(stated) > 1 else (stated[0] if stated else None)


def _ignored(domain: Kwargs, columns: Sequence[str], every: str, some: str, never: str) -> str | None:
    word = domain.get("ignore_row_if")
    if word == every:
        return "(" + " OR ".join(f"{c} IS NOT NULL" for c in columns) + ")"
    if word == some:
        return "(" + " AND ".join(f"{c} IS NOT NULL" for c in columns) + ")"
    if word == never:
        return None
    raise ContractError(f"ignore_row_if 的值「{word}」不被支持")


def map_condition(metric: str, domain: Kwargs, values: Kwargs, types: Types) -> Condition:
    """Translate a map metric (its name without suffix) with its domain and value kwargs."""
    rows = row_filter(domain.get("row_condition"), types)
    if metric.startswith("column_pair_values."):
        return _pair(metric, rows, domain, values, types)
    if metric == "compound_columns.unique":
        names = tuple(domain["column_list"])
        columns = [ident(n, types) for n in names]
        words = ("all_values_are_missing", "any_value_is_missing", "never")
        return Condition(both(rows, _ignored(domain, columns, *words)), keys=names)
    name = domain["column"]
    column = ident(name, types)
    if metric == "column_values.nonnull":
        return Condition(rows, f"{column} IS NULL")
    if metric == "column_values.null":
        return Condition(rows, f"{column} IS NOT NULL")
    present = both(rows, f"{column} IS NOT NULL")
    if metric == "column_values.unique":
        return Condition(present, keys=(name,))
    return Condition(present, _unexpected(metric, column, types[name], values))


def _pair(metric: str, rows: str | None, domain: Kwargs, values: Kwargs, types: Types) -> Condition:
    left, right = ident(domain["column_A"], types), ident(domain["column_B"], types)
    words = ("both_values_are_missing", "either_value_is_missing", "neither")
    greater = ">=" if values.get("or_equal") else ">"
    operator = "=" if metric == "column_pair_values.equal" else greater
    judged = both(rows, _ignored(domain, (left, right), *words))
    return Condition(judged, f"({left} {operator} {right}) IS NOT TRUE")


def _unexpected(metric: str, column: str, sql_type: str, values: Kwargs) -> str:
    match metric:
        case "column_values.in_set":
            listed = values.get("value_set")
            outside = f"NOT {_within(column, listed or (), sql_type)}"
            return "FALSE" if listed is None else f"{column} IS NOT NULL AND {outside}"
        case "column_values.not_in_set":
            listed = values.get("value_set")
            return "FALSE" if listed is None else _within(column, listed, sql_type)
        case "column_values.between":
            return _outside(column, sql_type, values)
        case "column_values.value_length.between":
            return _outside(_length(column, sql_type), "BIGINT", values)
        case "column_values.value_length.equals":
            return f"{_length(column, sql_type)} <> {literal(values['value'], 'BIGINT')}"
        case "column_values.match_regex":
            return f"NOT {_matches(column, sql_type, values['regex'])}"
        case "column_values.not_match_regex":
            return _matches(column, sql_type, values["regex"])
    raise ContractError(f"校验引擎不认识指标 {metric}")


def _length(column: str, sql_type: str) -> str:
    return f"length({column if sql_type == 'VARCHAR' else f'CAST({column} AS VARCHAR)'})"


def _matches(column: str, sql_type: str, regex: str) -> str:
    # RE2 on both sides: pandas 3 keeps text in Arrow, whose matcher it is; partial match like re.search
    if unsupported_regex(regex):
        raise ContractError("正则表达式使用了校验引擎不支持的写法（前后断言或反向引用）")
    text = column if sql_type == "VARCHAR" else f"CAST({column} AS VARCHAR)"
    found = f"regexp_matches({text}, {text_literal(regex)})"
    look = by_regex().get(regex)  # most values are decided by their end or length, in a fifth of the time
    if look is None or not (look.ends or look.shortest):
        return found
    known = [f"WHEN suffix({text}, {text_literal(end)}) THEN {str(says).upper()}" for end, says in look.ends.items()]
    short = [f"WHEN strlen({text}) < {look.shortest} THEN FALSE"] if look.shortest else []
    return f"CASE {' '.join([*short, *known])} ELSE {found} END"


def unsupported_regex(regex: str) -> bool:
    """Return whether a regular expression needs more than RE2 has (look-around, back references)."""
    return re.search(r"\(\?(=|!|<=|<!|P=)|(?<!\\)(\\\\)*\\[1-9]", regex) is not None


def _outside(expression: str, sql_type: str, values: Kwargs) -> str:
    low, high = values.get("min_value"), values.get("max_value")
    if low is None and high is None:
        raise ContractError("范围规则至少要写 min_value 或 max_value")
    parts = []
    if low is not None:
        parts.append(f"{expression} {'<=' if values.get('strict_min') else '<'} {literal(low, sql_type)}")
    if high is not None:
        parts.append(f"{expression} {'>=' if values.get('strict_max') else '>'} {literal(high, sql_type)}")
    return "(" + " OR ".join(parts) + ")"
