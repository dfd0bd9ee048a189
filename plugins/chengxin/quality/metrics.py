"""Which GX metrics the engine answers and what it must ask DuckDB for each; which expectation types that makes usable.

A metric becomes an Answer: needs (SQL, asked together with those of all other metrics in one scan) and a function that
makes the metric's value from what came back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chengxin.quality.conditions import Condition, Kwargs, Types, both, ident, literal, map_condition, row_filter

# the view of the batch in every statement
BATCH = "batch"
# how many distinct unexpected values GX shows; they never leave the process (runner drops them)
_LISTED = 20

MAP_METRICS = frozenset({
    "column_values.nonnull", "column_values.null", "column_values.in_set", "column_values.not_in_set",
    "column_values.between", "column_values.match_regex", "column_values.not_match_regex", "column_values.unique",
    "column_values.value_length.between", "column_values.value_length.equals",
    "column_pair_values.a_greater_than_b", "column_pair_values.equal", "compound_columns.unique",
})  # fmt: skip

# Answered by GX's pandas code on an empty frame with the right columns.
STRUCTURE_METRICS = frozenset({"table.columns", "table.column_types", "table.column_count"})

_MAP_OF = {
    "expect_column_values_to_not_be_null": "column_values.nonnull",
    "expect_column_values_to_be_null": "column_values.null",
    "expect_column_values_to_be_in_set": "column_values.in_set",
    "expect_column_values_to_not_be_in_set": "column_values.not_in_set",
    "expect_column_values_to_be_between": "column_values.between",
    "expect_column_values_to_match_regex": "column_values.match_regex",
    "expect_column_values_to_not_match_regex": "column_values.not_match_regex",
    "expect_column_values_to_be_unique": "column_values.unique",
    "expect_column_value_lengths_to_be_between": "column_values.value_length.between",
    "expect_column_value_lengths_to_equal": "column_values.value_length.equals",
    "expect_column_pair_values_a_to_be_greater_than_b": "column_pair_values.a_greater_than_b",
    "expect_column_pair_values_to_be_equal": "column_pair_values.equal",
    "expect_compound_columns_to_be_unique": "compound_columns.unique",
}

_AGGREGATES_OF: dict[str, tuple[str, ...]] = {
    "expect_column_proportion_of_non_null_values_to_be_between": ("column.non_null_proportion",),
    "expect_column_proportion_of_unique_values_to_be_between": ("column.unique_proportion",),
    "expect_column_unique_value_count_to_be_between": ("column.distinct_values.count",),
    "expect_column_min_to_be_between": ("column.min",),
    "expect_column_max_to_be_between": ("column.max",),
    "expect_column_mean_to_be_between": ("column.mean",),
    "expect_column_sum_to_be_between": ("column.sum",),
    "expect_column_distinct_values_to_be_in_set": ("column.distinct_values.not_in_set.count",),
    "expect_column_distinct_values_to_contain_set": ("column.distinct_values.missing_from_column.count",),
    "expect_column_distinct_values_to_equal_set": (
        "column.distinct_values.not_in_set.count", "column.distinct_values.missing_from_column.count",
    ),
    "expect_column_most_common_value_to_be_in_set": ("column.most_common_value",),
    "expect_table_row_count_to_be_between": ("table.row_count",),
    "expect_table_row_count_to_equal": ("table.row_count",),
    "expect_table_columns_to_match_set": (),
    "expect_table_columns_to_match_ordered_list": (),
    "expect_table_column_count_to_be_between": (),
    "expect_table_column_count_to_equal": (),
    "expect_column_to_exist": (),
}  # fmt: skip

SUPPORTED = frozenset(_MAP_OF) | frozenset(_AGGREGATES_OF)

# GX's own defaults, for planning without GX
_IGNORE_DEFAULT = {
    "column_pair_values.a_greater_than_b": "both_values_are_missing",
    "column_pair_values.equal": "both_values_are_missing",
    "compound_columns.unique": "all_values_are_missing",
}


@dataclass(frozen=True)
class Scalar:
    """An aggregate expression over the whole batch."""

    sql: str


@dataclass(frozen=True)
class Duplicates:
    """The number of rows whose key occurs more than once among the rows of `where`."""

    keys: tuple[str, ...]
    where: str | None


@dataclass(frozen=True)
class Listing:
    """A query of its own that yields one column of values."""

    sql: str


Need = Scalar | Duplicates | Listing


@dataclass(frozen=True)
class Answer:
    """Needs, and what makes a metric's value of their results (in the same order)."""

    needs: tuple[Need, ...]
    finish: Callable[..., Any]


def condition_of(expectation: Mapping[str, Any], types: Types) -> Condition | None:
    """Return which rows an expectation judges and which break it; None for aggregate and table types."""
    metric = _MAP_OF.get(expectation["type"])
    if metric is None:
        return None
    kwargs = expectation["kwargs"]
    return map_condition(metric, {"ignore_row_if": _IGNORE_DEFAULT.get(metric), **kwargs}, kwargs, types)


def needs_of(expectation: Mapping[str, Any], types: Types) -> list[Need]:
    """Return all that an expectation will make GX ask, so that one scan can serve a whole suite."""
    kwargs = dict(expectation["kwargs"])
    metric = _MAP_OF.get(expectation["type"])
    names: Sequence[str]
    if metric is None:
        names = _AGGREGATES_OF[expectation["type"]]
    else:
        kwargs.setdefault("ignore_row_if", _IGNORE_DEFAULT.get(metric))
        names = ["table.row_count", f"{metric}.unexpected_count"]
        if "column" in kwargs:
            names.append("column_values.nonnull.unexpected_count")
        else:
            names.append(f"{metric}.filtered_row_count")
    found: list[Need] = []
    for name in names:
        answer = resolve(name, kwargs, kwargs, types)
        assert answer is not None, name
        found.extend(answer.needs)
    return found


def known(name: str) -> bool:
    """Return whether the engine can answer a metric of this name."""
    base, _, suffix = name.rpartition(".")
    if base in MAP_METRICS:
        return suffix in {"condition", "unexpected_count", "unexpected_values", "filtered_row_count"}
    return name in STRUCTURE_METRICS or name in _AGGREGATES or name == "column_values.value_length.map"


def resolve(name: str, domain: Kwargs, values: Kwargs, types: Types) -> Answer | None:
    """Translate a metric by its GX name; None for one that is not known. Structure metrics are not answered here."""
    if not known(name) or name in STRUCTURE_METRICS:
        return None
    if name in _AGGREGATES:
        return _AGGREGATES[name](domain, values, types)
    base, _, suffix = name.rpartition(".")
    if suffix in ("condition", "map"):
        # GX hands this on to the counts; nothing looks inside
        return Answer((), lambda: (name, dict(domain), {}))
    if suffix == "unexpected_values":
        return Answer((), list)  # values of a row never enter a result
    condition = map_condition(base, domain, values, types)
    if suffix == "filtered_row_count":
        return Answer((_count(condition.domain),), int)
    if condition.keys:
        return Answer((Duplicates(condition.keys, condition.domain),), int)
    if base == "column_values.nonnull":
        rows = row_filter(domain.get("row_condition"), types)
        return Answer((_count(rows), _present(domain, types)), lambda total, there: int(total - there))
    if base == "column_values.null":
        return Answer((_present(domain, types),), int)
    rows = condition.domain if base.startswith("column_pair") else row_filter(domain.get("row_condition"), types)
    return Answer((_count(both(rows, condition.unexpected)),), int)


def fill_need(column: str, types: Types) -> Scalar:
    """Return the need that counts the filled values of a column."""
    return Scalar(f"count({ident(column, types)})")


ROWS = Scalar("count(*)")


def _count(where: str | None) -> Scalar:
    return ROWS if where is None else Scalar(f"count(*) FILTER (WHERE {where})")


def _aggregate(expression: str, domain: Kwargs, types: Types) -> Scalar:
    where = row_filter(domain.get("row_condition"), types)
    return Scalar(expression if where is None else f"{expression} FILTER (WHERE {where})")


def _present(domain: Kwargs, types: Types) -> Scalar:
    return _aggregate(f"count({ident(domain['column'], types)})", domain, types)


def _plain(function: str, finish: Callable[[Any], Any]) -> Callable[[Kwargs, Kwargs, Types], Answer]:
    def make(domain: Kwargs, _values: Kwargs, types: Types) -> Answer:
        return Answer((_aggregate(f"{function}({ident(domain['column'], types)})", domain, types),), finish)

    return make


def _row_count(domain: Kwargs, _values: Kwargs, types: Types) -> Answer:
    return Answer((_count(row_filter(domain.get("row_condition"), types)),), int)


def _distinct(domain: Kwargs, types: Types) -> Scalar:
    return _aggregate(f"count(DISTINCT {ident(domain['column'], types)})", domain, types)


def _distinct_count(domain: Kwargs, _values: Kwargs, types: Types) -> Answer:
    return Answer((_distinct(domain, types),), int)


def _non_null_proportion(domain: Kwargs, _values: Kwargs, types: Types) -> Answer:
    rows = _count(row_filter(domain.get("row_condition"), types))
    return Answer((rows, _present(domain, types)), lambda total, there: there / total if total else 0)


def _unique_proportion(domain: Kwargs, _values: Kwargs, types: Types) -> Answer:
    needs = (_distinct(domain, types), _present(domain, types))
    return Answer(needs, lambda distinct, there: distinct / there if there else 0)


def _members(domain: Kwargs, values: Kwargs, types: Types) -> tuple[str, list[str], str | None]:
    column = ident(domain["column"], types)
    listed = [literal(v, types[domain["column"]]) for v in values.get("value_set") or () if v is not None]
    return column, listed, row_filter(domain.get("row_condition"), types)


def _not_in_set_count(domain: Kwargs, values: Kwargs, types: Types) -> Answer:
    column, listed, rows = _members(domain, values, types)
    where = both(rows, f"{column} NOT IN ({', '.join(listed)})" if listed else f"{column} IS NOT NULL")
    return Answer((Scalar(f"count(DISTINCT {column}) FILTER (WHERE {where})"),), int)


def _missing_count(domain: Kwargs, values: Kwargs, types: Types) -> Answer:
    column, listed, rows = _members(domain, values, types)
    wanted = sorted(set(listed))
    if not wanted:
        return Answer((), lambda: 0)
    where = both(rows, f"{column} IN ({', '.join(wanted)})")
    return Answer((Scalar(f"count(DISTINCT {column}) FILTER (WHERE {where})"),), lambda found: len(wanted) - int(found))


def _nothing_listed(_domain: Kwargs, _values: Kwargs, _types: Types) -> Answer:
    return Answer((), list)  # GX would show values here; with partial_unexpected_count 0 it shows none


def _most_common(domain: Kwargs, _values: Kwargs, types: Types) -> Answer:
    column = ident(domain["column"], types)
    where = both(row_filter(domain.get("row_condition"), types), f"{column} IS NOT NULL")
    counted = f"SELECT {column} AS value, count(*) AS n FROM {BATCH} WHERE {where} GROUP BY 1"
    return Answer(
        (Listing(f"SELECT value FROM ({counted}) QUALIFY n = max(n) OVER () ORDER BY value LIMIT {_LISTED}"),), list
    )


def _comparable(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _sum(value: Any) -> Any:
    return 0 if value is None else _number(value)  # pandas: the sum of nothing is 0


_AGGREGATES: dict[str, Callable[[Kwargs, Kwargs, Types], Answer]] = {
    "table.row_count": _row_count,
    "column.non_null_count": _plain("count", int),
    "column.non_null_proportion": _non_null_proportion,
    "column.unique_proportion": _unique_proportion,
    "column.distinct_values.count": _distinct_count,
    "column.distinct_values.not_in_set.count": _not_in_set_count,
    "column.distinct_values.not_in_set": _nothing_listed,
    "column.distinct_values.missing_from_column.count": _missing_count,
    "column.distinct_values.missing_from_column": _nothing_listed,
    "column.min": _plain("min", _comparable),
    "column.max": _plain("max", _comparable),
    "column.mean": _plain("avg", _number),
    "column.sum": _plain("sum", _sum),
    "column.most_common_value": _most_common,
}
