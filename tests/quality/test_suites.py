"""What a suite is made of."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date

import pytest
from validate_builders import contract_of, kind_of

from chengxin.errors import ContractError
from chengxin.quality.evidence import BatchFacts
from chengxin.quality.expectations import load_pack
from chengxin.quality.suites import bind, columns_of, compose, problems, unsupported


def rules(suite):
    return {e["meta"]["rule"]: e for e in suite["expectations"]}


def composed(tmp_path, history=(), contract=None, kind=None):
    return compose(contract or contract_of(), kind or kind_of(), tmp_path, list(history))


def facts(rows, **fill):
    return BatchFacts(rows=rows, fill=fill)


def test_every_mapped_field_has_a_fill_guard(tmp_path):
    found = rules(composed(tmp_path))
    for column in ("subject_name", "uscc", "decision_no", "decision_on", "valid_to_on", "fine_yuan", "remark"):
        assert f"fill.{column}" in found
    assert "fill.decision_status_code" not in found  # not mapped


def test_required_key_and_event_fields_hold_the_batch_below_half(tmp_path):
    found = rules(composed(tmp_path))
    for column in ("decision_no", "authority_name", "decision_on"):
        assert (found[f"fill.{column}"]["severity"], found[f"fill.{column}"]["kwargs"]["min_value"]) == (
            "critical",
            0.5,
        )
    assert found["fill.remark"]["severity"] == "warning"


def test_contract_may_state_its_own_fill_share(tmp_path):
    contract = contract_of(quality={"fill": {"decision_on": 0.1, "remark": 0.9}})
    found = rules(composed(tmp_path, contract=contract))
    assert found["fill.decision_on"]["kwargs"]["min_value"] == 0.1
    assert (found["fill.remark"]["severity"], found["fill.remark"]["kwargs"]["min_value"]) == ("critical", 0.9)


def test_history_sets_the_bound_of_optional_fields(tmp_path):
    found = rules(composed(tmp_path, [facts(100, remark=0.8), facts(100, remark=0.6), facts(100, remark=0.7)]))
    assert found["fill.remark.history"]["kwargs"]["min_value"] == 0.35
    assert found["fill.remark.history"]["severity"] == "warning"
    assert (found["fill.remark"]["severity"], found["fill.remark"]["meta"]["min_rows"]) == ("critical", 50)


@pytest.mark.parametrize(
    ("rows", "column", "share", "told"),
    [
        (100, "remark", 0.4, False),
        (49, "remark", 1.0, False),
        (50, "remark", 0.95, True),
        (50, "valid_to_on", 1.0, False),
    ],
)
def test_one_earlier_batch_is_history_where_it_is_plain(tmp_path, rows, column, share, told):
    found = rules(composed(tmp_path, [facts(rows, **{column: share})]))
    assert (f"fill.{column}.history" in found) == told
    if told:
        rule = found[f"fill.{column}.history"]
        assert (rule["severity"], rule["kwargs"]["min_value"], rule["meta"]["min_rows"]) == ("warning", 0.475, 50)


def test_full_delivery_may_not_shrink_below_half(tmp_path):
    contract = contract_of(delivery={"mode": "full"})
    found = rules(composed(tmp_path, [facts(1001)], contract=contract))
    assert (found["volume.shrink"]["severity"], found["volume.shrink"]["kwargs"]) == ("critical", {"min_value": 501})
    assert found["volume.shrink.warn"]["kwargs"] == {"min_value": 901}
    assert not {"volume.shrink", "volume.shrink.warn"} & rules(composed(tmp_path, [facts(1001)])).keys()  # incremental


def test_the_contract_states_how_much_a_full_delivery_may_shrink(tmp_path):
    contract = contract_of(delivery={"mode": "full"}, quality={"shrink": {"warn": 0.3, "hold": 1}})
    assert "volume.shrink" not in rules(composed(tmp_path, [facts(1000)], contract=contract))
    found = rules(composed(tmp_path, [facts(1000), replace(facts(5), mode="incremental")], contract=contract))
    assert found["volume.shrink.warn"]["kwargs"] == {"min_value": 700}
    assert "volume.shrink.warn" not in rules(composed(tmp_path, [facts(10)], contract=contract)), "too few to say"


def test_volume_far_from_history_is_a_warning(tmp_path):
    found = rules(composed(tmp_path, [facts(100), facts(300)]))
    assert found["volume.history"]["kwargs"] == {"min_value": 20, "max_value": 2000}
    assert found["volume.history"]["severity"] == "warning"


def test_code_fields_are_held_to_their_code_list(tmp_path):
    contract = contract_of(constants={"decision_status_code": "1"})
    rule = rules(composed(tmp_path, contract=contract))["code.decision_status_code"]
    assert "1" in rule["kwargs"]["value_set"] and rule["severity"] == "warning"


def test_the_business_key_is_checked_with_the_strongest_identity(tmp_path):
    rule = rules(composed(tmp_path))["duplicate.key"]
    assert rule["kwargs"]["column_list"] == ["uscc", "subject_name", "decision_no", "authority_name"]


def test_rules_about_columns_not_in_the_contract_are_left_out(tmp_path):
    pack = [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": name},
         "meta": {"rule": f"penalty.{name}.future"}}
        for name in ("decision_status_code", "decision_on")
    ]  # fmt: skip
    (tmp_path / "penalty_like.json").write_text(json.dumps({"expectations": pack}))
    suite = composed(tmp_path)
    assert "penalty.decision_on.future" in rules(suite) and "penalty.decision_status_code.future" not in rules(suite)
    assert suite["meta"]["left_out"] == ["penalty.decision_status_code.future"]


def test_suite_is_the_same_every_day_and_bound_to_a_day(tmp_path):
    contract = contract_of(quality={"freshness_days": 30})
    suite = composed(tmp_path, contract=contract)
    assert rules(suite)["freshness"]["kwargs"]["min_value"] == {"$PARAMETER": "today - 30"}
    assert rules(bind(suite, date(2026, 11, 1)))["freshness"]["kwargs"]["min_value"] == "2026-10-02"


def test_unknown_parameter_is_refused():
    suite = {"expectations": [{"type": "x", "kwargs": {"max_value": {"$PARAMETER": "now()"}}}]}
    with pytest.raises(ContractError, match="today"):
        bind(suite, date(2026, 11, 1))


def test_broken_pack_is_a_contract_error(tmp_path):
    (tmp_path / "penalty_like.json").write_text("{")
    with pytest.raises(ContractError, match=r"penalty_like\.json"):
        load_pack(tmp_path, "penalty_like")


def test_unsupported_types_are_named():
    suite = {"expectations": [{"type": "expect_column_median_to_be_between"}, {"type": "expect_column_to_exist"}]}
    assert unsupported(suite) == ["expect_column_median_to_be_between"]


def test_linting_a_suite_imports_no_great_expectations():
    code = (
        "import sys; from chengxin.quality import suites; suites.unsupported({'expectations': []});"
        "sys.exit('great_expectations' in sys.modules or 'duckdb' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_problems_of_a_pack_are_told_in_words():
    suite = {"expectations": [
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "gone", "regex": "(?=x)"}, "id": "1"},
    ]}  # fmt: skip
    text = "；".join(problems(suite, ["decision_on"]))
    for part in ("severity", "notes", "不写 id", "没有「gone」这一列", "前后断言"):
        assert part in text


def test_columns_of_a_rule_include_its_row_condition():
    condition = {"type": "and", "conditions": [{"type": "nullity", "column": {"name": "c"}, "is_null": True}]}
    rule = {"kwargs": {"column_A": "a", "column_B": "b", "row_condition": condition}}
    assert columns_of(rule) == ["a", "b", "c"]


def test_shares_count_from_the_contracts_number_of_rows_on(tmp_path):
    pack = [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "remark", **share},
         "meta": {"rule": f"penalty.{n}.future"}}
        for n, share in enumerate(({"mostly": 0.9}, {}))
    ]  # fmt: skip
    (tmp_path / "penalty_like.json").write_text(json.dumps({"expectations": pack}))
    found = rules(composed(tmp_path, contract=contract_of(quality={"min_rows": 7})))
    assert found["fill.remark"]["meta"]["min_rows"] == found["penalty.0.future"]["meta"]["min_rows"] == 7
    assert found["duplicate.key"]["meta"]["min_rows"] == 7
    assert "min_rows" not in found["penalty.1.future"]["meta"], "a rule about each row"
