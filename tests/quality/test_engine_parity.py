"""Every supported expectation type must give what GX's own pandas engine gives on the same data."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cases import few
from chengxin.facts import Resources
from chengxin.quality.metrics import SUPPORTED
from chengxin.quality.scan import Scan

SCHEMA = pa.schema([
    ("row_id", pa.int64()), ("source_file", pa.string()), ("source_row", pa.int64()),
    ("name", pa.string()), ("code", pa.string()), ("other_code", pa.string()),
    ("decided_on", pa.date32()), ("valid_to_on", pa.date32()), ("updated_at", pa.timestamp("us", "UTC")),
    ("fine_yuan", pa.decimal128(18, 2)), ("paid_yuan", pa.decimal128(18, 2)), ("count", pa.int64()),
    ("other_count", pa.int64()), ("empty", pa.string()),
])  # fmt: skip


def table_of(seed: int, rows: int) -> pa.Table:
    """Random rows with many nulls and repeats."""
    draw = random.Random(seed)
    share = draw.choice([0.0, 0.1, 0.5])

    def column(make):
        return [None if draw.random() < share else make() for _ in range(rows)]

    def day():
        return date(2019, 12, 28) + timedelta(days=draw.randrange(12))

    def money():
        return Decimal(draw.randrange(-300, 30000)) / 100

    return pa.table(
        {
            "row_id": list(range(rows)),
            "source_file": ["甲.csv"] * rows,
            "source_row": list(range(2, rows + 2)),
            "name": column(
                lambda: draw.choice(["长沙测试公司", "A{b}c", "a'b\"c", "x\ny", "", " 甲 ", "𠮷野", "1234"])
            ),
            "code": column(lambda: draw.choice("ABMCD1")),
            "other_code": column(lambda: draw.choice("ABMCD1")),
            "decided_on": column(day),
            "valid_to_on": column(day),
            "updated_at": column(lambda: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=draw.randrange(50))),
            "fine_yuan": column(money),
            "paid_yuan": column(money),
            "count": column(lambda: draw.randrange(-2, 6)),
            "other_count": column(lambda: draw.randrange(-2, 6)),
            "empty": [None] * rows,
        },
        schema=SCHEMA,
    )


def where(column, operator, parameter):
    return {"type": "comparison", "column": {"name": column}, "operator": operator, "parameter": parameter}


def null(column, is_null):
    return {"type": "nullity", "column": {"name": column}, "is_null": is_null}


ROW_CONDITIONS = [
    None,
    where("code", "==", "A"),
    where("code", "!=", "A"),
    where("code", "IN", ["A", "B"]),
    where("code", "NOT_IN", ["A", "B"]),
    where("count", ">=", 2),
    null("valid_to_on", True),
    null("valid_to_on", False),
    {"type": "and", "conditions": [where("code", "!=", "B"), null("name", False)]},
    {"type": "or", "conditions": [where("code", "==", "C"), where("count", "<", 0)]},
    where("code", "==", "no such"),
]

CASES = [
    ("expect_column_values_to_not_be_null", {"column": "name"}),
    ("expect_column_values_to_not_be_null", {"column": "empty", "mostly": 0.5}),
    ("expect_column_values_to_be_null", {"column": "code", "mostly": 0.3}),
    ("expect_column_values_to_be_null", {"column": "empty"}),
    ("expect_column_values_to_be_in_set", {"column": "code", "value_set": ["A", "B", None], "mostly": 0.4}),
    ("expect_column_values_to_be_in_set", {"column": "code", "value_set": []}),
    ("expect_column_values_to_be_in_set", {"column": "count", "value_set": [1, 2, 3]}),
    ("expect_column_values_to_not_be_in_set", {"column": "code", "value_set": ["A", None], "mostly": 0.9}),
    ("expect_column_values_to_not_be_in_set", {"column": "name", "value_set": ["a'b\"c"]}),
    ("expect_column_values_to_be_between", {"column": "count", "min_value": 0, "max_value": 3}),
    ("expect_column_values_to_be_between", {"column": "count", "min_value": 0, "strict_min": True}),
    ("expect_column_values_to_be_between", {"column": "fine_yuan", "min_value": 0, "max_value": 99.5, "mostly": 0.3}),
    ("expect_column_values_to_be_between", {"column": "fine_yuan", "max_value": 100, "strict_max": True}),
    ("expect_column_values_to_be_between", {"column": "decided_on", "min_value": "2020-01-01"}),
    ("expect_column_values_to_be_between", {
        "column": "decided_on", "min_value": "2019-12-30", "max_value": "2020-01-03",
        "strict_min": True, "strict_max": True,
    }),
    ("expect_column_values_to_be_between", {"column": "updated_at", "max_value": "2020-01-02T00:00:00+00:00"}),
    ("expect_column_values_to_match_regex", {"column": "name", "regex": "公司"}),
    ("expect_column_values_to_match_regex", {"column": "name", "regex": "^[A-Za-z{}]+$", "mostly": 0.2}),
    ("expect_column_values_to_match_regex", {"column": "name", "regex": r"^.$|^\d{4}$|'"}),
    ("expect_column_values_to_match_regex", {"column": "name", "regex": "x.y"}),
    ("expect_column_values_to_not_match_regex", {"column": "name", "regex": r"\s"}),
    ("expect_column_values_to_be_unique", {"column": "name"}),
    ("expect_column_values_to_be_unique", {"column": "fine_yuan", "mostly": 0.9}),
    ("expect_column_values_to_be_unique", {"column": "empty"}),
    ("expect_column_value_lengths_to_be_between", {"column": "name", "min_value": 2, "max_value": 5}),
    ("expect_column_value_lengths_to_be_between", {"column": "name", "min_value": 2, "strict_min": True}),
    ("expect_column_value_lengths_to_equal", {"column": "name", "value": 4}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["code", "decided_on"]}),
    ("expect_compound_columns_to_be_unique", {
        "column_list": ["code", "count"], "ignore_row_if": "any_value_is_missing",
    }),
    ("expect_compound_columns_to_be_unique", {"column_list": ["code", "empty"], "ignore_row_if": "never"}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["name", "code", "count"], "mostly": 0.9}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "valid_to_on", "column_B": "decided_on"}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {
        "column_A": "valid_to_on", "column_B": "decided_on", "or_equal": True,
        "ignore_row_if": "either_value_is_missing",
    }),
    ("expect_column_pair_values_a_to_be_greater_than_b", {
        "column_A": "count", "column_B": "other_count", "ignore_row_if": "neither", "mostly": 0.2,
    }),
    ("expect_column_pair_values_a_to_be_greater_than_b", {
        "column_A": "fine_yuan", "column_B": "paid_yuan", "ignore_row_if": "either_value_is_missing",
    }),
    ("expect_column_pair_values_to_be_equal", {"column_A": "code", "column_B": "other_code"}),
    ("expect_column_pair_values_to_be_equal", {
        "column_A": "count", "column_B": "other_count", "ignore_row_if": "either_value_is_missing", "mostly": 0.1,
    }),
    ("expect_column_proportion_of_non_null_values_to_be_between", {"column": "decided_on", "min_value": 0.7}),
    ("expect_column_proportion_of_non_null_values_to_be_between", {
        "column": "empty", "min_value": 0, "strict_min": True,
    }),
    ("expect_column_proportion_of_unique_values_to_be_between", {"column": "fine_yuan", "min_value": 0.8}),
    ("expect_column_proportion_of_unique_values_to_be_between", {"column": "empty", "min_value": 0}),
    ("expect_column_unique_value_count_to_be_between", {"column": "code", "max_value": 5}),
    ("expect_column_min_to_be_between", {"column": "count", "min_value": -1}),
    ("expect_column_min_to_be_between", {"column": "decided_on", "min_value": "2019-12-29"}),
    ("expect_column_max_to_be_between", {"column": "decided_on", "max_value": "2020-01-05", "strict_max": True}),
    ("expect_column_max_to_be_between", {"column": "fine_yuan", "max_value": 200}),
    ("expect_column_mean_to_be_between", {"column": "fine_yuan", "min_value": 0, "max_value": 150}),
    ("expect_column_mean_to_be_between", {"column": "count", "min_value": 0, "max_value": 1.5}),
    ("expect_column_sum_to_be_between", {"column": "count", "min_value": 10}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "code", "value_set": ["A", "B", "C", "D", "M"]}),
    ("expect_column_distinct_values_to_contain_set", {"column": "code", "value_set": ["A", "Z"]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "code", "value_set": ["A", "B", "C", "D", "M", "1"]}),
    ("expect_column_most_common_value_to_be_in_set", {"column": "code", "value_set": ["A", "B"], "ties_okay": True}),
    ("expect_column_most_common_value_to_be_in_set", {"column": "count", "value_set": [1, 2]}),
    ("expect_table_row_count_to_be_between", {"min_value": 5, "max_value": 1000}),
    ("expect_table_row_count_to_equal", {"value": 57}),
    ("expect_table_columns_to_match_set", {"column_set": ["name", "code"], "exact_match": False}),
    ("expect_table_columns_to_match_set", {"column_set": ["name", "gone"]}),
    ("expect_table_columns_to_match_ordered_list", {"column_list": SCHEMA.names}),
    ("expect_table_column_count_to_be_between", {"max_value": 3}),
    ("expect_table_column_count_to_equal", {"value": len(SCHEMA.names)}),
    ("expect_column_to_exist", {"column": "name"}),
]  # fmt: skip

# GX 1.24.1 turns Decimal into float by position, not by index: over filtered rows its mean of money is wrong
UNFILTERED = [("expect_column_mean_to_be_between", {"column": "fine_yuan", "min_value": 0, "max_value": 150})]

# GX's table rules take no row condition
NO_CONDITION = {k for k in SUPPORTED if k.startswith("expect_table_") or k == "expect_column_to_exist"}


def expectations(condition):
    found = []
    for kind, kwargs in CASES:
        if condition is not None and (kind, kwargs) in UNFILTERED:
            continue
        body = {} if condition is None or kind in NO_CONDITION else {"row_condition": condition}
        found.append({"type": kind, "kwargs": {**kwargs, **body}, "severity": "warning"})
    return found


def pandas_results(table, wanted):
    """Judge with GX's own pandas engine; it compares datetime64[ns] in rows and `date` objects in aggregates."""
    extreme = ("expect_column_min_to_be_between", "expect_column_max_to_be_between")
    aggregates = iter(_pandas_results(table, [e for e in wanted if e["type"] in extreme], "object"))
    rows = iter(_pandas_results(table, [e for e in wanted if e["type"] not in extreme], "datetime64[ns]"))
    return [next(aggregates) if e["type"] in extreme else next(rows) for e in wanted]


def _pandas_results(table, wanted, dates):
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    frame = table.to_pandas()
    for name in ("decided_on", "valid_to_on"):
        frame[name] = frame[name].astype(dates)
    frame["updated_at"] = frame["updated_at"].astype("datetime64[ns, UTC]")
    for name in ("name", "code", "other_code", "empty"):
        frame[name] = frame[name].astype("str")
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(), progress_bars=ProgressBarsConfig(globally=False)
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    asset = context.data_sources.add_pandas("oracle").add_dataframe_asset("frame")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="oracle", expectations=[{**e, "meta": {"n": n}} for n, e in enumerate(wanted)])
    outcome = batch.validate(suite, result_format={"result_format": "BASIC", "partial_unexpected_count": 0})
    by_number = {r["expectation_config"]["meta"]["n"]: r for r in outcome.to_json_dict()["results"]}
    return [by_number[n] for n in range(len(wanted))]


KEYS = (
    "element_count", "unexpected_count", "unexpected_percent", "missing_count", "missing_percent",
    "unexpected_percent_total", "unexpected_percent_nonmissing", "observed_value", "details",
)  # fmt: skip


def normal(values):
    """Pandas holds integers with gaps as floats."""
    return sorted(str(int(v)) if isinstance(v, float) else str(v) for v in values)


def assert_same(ours, theirs, note):
    assert ours["success"] == theirs["success"], (note, ours["result"], theirs["result"])
    for key in KEYS:
        mine, other = ours["result"].get(key), theirs["result"].get(key)
        if isinstance(other, float) and isinstance(mine, float):
            assert mine == pytest.approx(other, rel=1e-9), (note, key)
        elif isinstance(other, list):
            assert normal(mine) == normal(other), (note, key)
        else:
            assert mine == other, (note, key, mine, other)


def write(table, folder, parts=2):
    step = max(1, -(-table.num_rows // parts))
    paths = []
    for n in range(parts):
        path = folder / f"standard-{n:05d}.parquet"
        pq.write_table(table.slice(n * step, step), path)
        paths.append(path)
    return paths


@pytest.mark.parametrize("number", few(1, range(len(ROW_CONDITIONS))))
def test_every_supported_expectation_agrees_with_pandas(tmp_path, number):
    from chengxin.quality.engine import judge

    table = table_of(seed=number * 100 + 57, rows=57)
    wanted = expectations(ROW_CONDITIONS[number])
    with Scan(write(table, tmp_path), Resources(memory_limit_mib=256)) as scan:
        ours = judge({"name": "parity", "expectations": wanted}, scan)
        assert scan.passes == 1, "a whole suite must cost one scan"
    compared = 0
    for expectation, mine, other in zip(wanted, ours, pandas_results(table, wanted), strict=True):
        if pandas_gave_up(other):
            continue
        assert_same(mine, other, expectation)
        compared += 1
    assert compared >= len(wanted) - 8


def pandas_gave_up(result) -> bool:
    """Pandas raises where all values of an object column are gone (no dtype left to compare)."""
    info = result["exception_info"]
    parts = [info] if "raised_exception" in info else list(info.values())
    return any(p.get("exception_info", p).get("raised_exception", True) for p in parts)


@pytest.mark.parametrize("seed", few(1, range(3)))
def test_random_tables_agree_with_pandas(tmp_path, seed):
    from chengxin.quality.engine import judge

    table = table_of(seed=seed, rows=random.Random(seed).choice([1, 20, 200]))
    wanted = expectations(None)
    with Scan(write(table, tmp_path, parts=3), Resources(memory_limit_mib=256, threads=2)) as scan:
        ours = judge({"name": "parity", "expectations": wanted}, scan)
    for expectation, mine, other in zip(wanted, ours, pandas_results(table, wanted), strict=True):
        if not pandas_gave_up(other):
            assert_same(mine, other, expectation)


# structure metrics alone do not make these right: the empty frame has pandas types, and there is one table only
NOT_MEANT = {"expect_column_type_to_be", "expect_table_row_count_to_equal_other_table"}


def test_table_of_supported_types_is_what_the_engine_can_resolve():
    from great_expectations.expectations.registry import get_expectation_impl

    from chengxin.quality import engine
    from chengxin.quality.metrics import known

    resolvable = set()
    for name in engine.gx.expectations.registry.list_registered_expectation_implementations():
        implementation = get_expectation_impl(name)
        metric = getattr(implementation, "map_metric", None)
        metrics = (f"{metric}.unexpected_count",) if metric else getattr(implementation, "metric_dependencies", ())
        if metrics and all(known(m) for m in metrics):
            resolvable.add(name)
    assert resolvable - NOT_MEANT == SUPPORTED


def test_every_supported_type_is_compared():
    assert {kind for kind, _ in CASES} == SUPPORTED
