"""From a standardised batch to a verdict with its evidence."""

import json
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from validate_builders import TODAY, contract_of, counts_of, kind_of, rows_of, write_batch

from chengxin.errors import ChengxinError, ContractError, InvariantBroken
from chengxin.facts import Resources
from chengxin.quality import evidence, runner
from chengxin.quality.evidence import BatchFacts
from chengxin.quality.scan import Scan, failing_rows, plain_sql

PACK = {
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "decision_on", "max_value": {"$PARAMETER": "today"}},
            "meta": {"rule": "penalty.decision_on.future_mass"},
        },
        {
            "type": "expect_column_pair_values_a_to_be_greater_than_b",
            "kwargs": {
                "column_A": "valid_to_on",
                "column_B": "decision_on",
                "or_equal": True,
                "ignore_row_if": "either_value_is_missing",
            },
            "meta": {"rule": "penalty.decision_on.before.valid_to_on"},
        },
    ]
}


def judge(
    tmp_path, rows, *, contract=None, history=(), counts=None, pack=PACK, today=TODAY, name="validation", registry=()
):
    folder = tmp_path / "batch"
    folder.mkdir(exist_ok=True)
    expectations = tmp_path / "expectations"
    expectations.mkdir(exist_ok=True)
    (expectations / "penalty_like.json").write_text(json.dumps(pack))
    kind = kind_of()
    parts = write_batch(folder, rows, kind, per_file=40) if rows else []
    target = tmp_path / name
    verdict = runner.run(
        contract or contract_of(), kind, parts, counts or counts_of(len(rows)), expectations=expectations,
        history=list(history), target=target, made_under="", resources=Resources(memory_limit_mib=256), today=today,
        registry=registry,
    )  # fmt: skip
    return verdict, target


def page_of(target):
    return evidence.read_page(target)


def by_rule(verdict):
    return {f.rule: f for f in verdict.findings}


def test_good_batch_is_accepted_and_leaves_its_evidence(tmp_path):
    verdict, target = judge(tmp_path, rows_of(100))
    assert (verdict.status, verdict.findings) == ("accept", ())
    document = evidence.read(target)
    assert set(document) == {"made_under", "suite", "result", "facts", "verdict", "page"}
    assert evidence.read_verdict(target) == verdict
    facts = document["facts"]
    assert facts["rows"] == 100 and facts["fill"]["decision_on"] == 1.0 and facts["fill"]["decision_status_code"] == 1.0


def test_batch_whose_every_date_is_missing_is_held(tmp_path):
    rows = [{**row, "decision_on": None, "valid_to_on": None} for row in rows_of(60)]
    assert judge(tmp_path, rows[:8], name="few")[0].status == "hold"
    verdict, _ = judge(tmp_path, rows)
    assert verdict.status == "hold"
    assert by_rule(verdict)["fill.decision_on"].message == "字段『决定日期』填充率 0.0%，低于下限 50.0%"
    assert by_rule(verdict)["fill.valid_to_on"].severity == "info"  # an end that has not come is usual


def test_failing_rows_are_named_by_file_and_row_never_by_value(tmp_path):
    rows = rows_of(60)
    rows[3]["decision_on"] = rows[50]["decision_on"] = date(2031, 5, 6)
    verdict, target = judge(tmp_path, rows)
    future = by_rule(verdict)["penalty.decision_on.future_mass"]
    assert verdict.status == "hold"
    assert future.failing_rows == 2 and "样例.csv 第 5、52 行" in future.message
    assert by_rule(verdict)["penalty.decision_on.before.valid_to_on"].failing_rows == 2
    for name, part in evidence.read(target).items():
        text = json.dumps(part, ensure_ascii=False)
        assert "2031-05-06" not in text and "样例3有限公司" not in text, name
    assert "样例.csv 第 5 行" in page_of(target)


def test_few_rows_say_nothing_about_optional_fields(tmp_path):
    rows = [{**row, "remark": None} for row in rows_of(49)]
    verdict, target = judge(tmp_path, rows)
    assert verdict.status == "accept"
    failed = [r for r in evidence.read(target)["result"]["results"] if not r["success"]]
    assert [r["expectation_config"]["meta"]["rule"] for r in failed] == ["fill.remark"]
    assert failed[0]["counted"] is False


def test_field_that_used_to_be_filled_and_is_empty_now_holds(tmp_path):
    rows = [{**row, "remark": None} for row in rows_of(60)]
    history = [BatchFacts(rows=60, fill={"remark": share}) for share in (0.9, 1.0)]
    verdict, _ = judge(tmp_path, rows, history=history)
    assert verdict.status == "hold" and by_rule(verdict)["fill.remark"].severity == "critical"


def test_report_is_one_file_in_chinese_for_light_and_dark(tmp_path):
    rows = [{**row, "decision_on": None} for row in rows_of(30)]
    history = [BatchFacts(batch_id="b1", rows=30, fill={"decision_on": 1.0})]
    page = page_of(judge(tmp_path, rows, history=history)[1])
    assert not any(word in page for word in ("http:", "https:", "<script", "src=", "<link", "url("))
    for part in (
        'lang="zh-CN"',
        "prefers-color-scheme: dark",
        "暂缓",
        "字段『决定日期』填充率 0.0%（此前 100.0%），低于下限 50.0%",
        "100.0%",
    ):
        assert part in page


def test_equal_runs_write_equal_bytes(tmp_path):
    rows = rows_of(50)
    rows[7]["valid_to_on"] = date(2020, 1, 1)
    _, first = judge(tmp_path, rows, name="first")
    _, second = judge(tmp_path, rows, name="second")
    assert first.read_bytes() == second.read_bytes()


def test_quarantined_share_warns_and_holds(tmp_path):
    contract = contract_of(quality={"quarantined": {"warn": 0.1, "hold": 0.4}})
    warned, _ = judge(tmp_path, rows_of(40), contract=contract, counts=counts_of(40, 10))
    assert (warned.status, by_rule(warned)["quarantine.share"].failing_rows) == ("warn", 10)
    held, _ = judge(tmp_path, rows_of(40), contract=contract, counts=counts_of(40, 60))
    assert held.status == "hold" and "60.0%" in by_rule(held)["quarantine.share"].message
    fine, _ = judge(tmp_path, rows_of(40), contract=contract, counts=counts_of(40, 4))
    assert fine.status == "accept"


def test_batch_without_one_usable_row_is_held(tmp_path):
    contract = contract_of(quality={"quarantined": {"warn": 1, "hold": 1}})
    assert judge(tmp_path, [], contract=contract, counts=counts_of(0, 5))[0].status == "hold"


def test_an_empty_delivery_is_held_when_full_only(tmp_path):
    accepted, target = judge(tmp_path, [], counts=counts_of(0))
    assert (accepted.status, by_rule(accepted)["delivery.empty"].severity) == ("accept", "info")
    assert page_of(target)
    full = contract_of(delivery={"mode": "full"})
    assert judge(tmp_path, [], contract=full, counts=counts_of(0))[0].status == "hold"


def test_mismatch_holds_with_its_message(tmp_path):
    verdict, _ = judge(tmp_path, [], counts=counts_of(0, 9, mismatch="缺少列「决定日期」"))
    assert verdict.status == "hold" and "缺少列「决定日期」" in verdict.findings[0].message


def test_stale_batch_is_a_warning_with_its_newest_day(tmp_path):
    contract = contract_of(quality={"freshness_days": 30})
    verdict, _ = judge(tmp_path, rows_of(30), contract=contract, today=date(2027, 6, 1))
    assert verdict.status == "warn" and "2026-10-20" in by_rule(verdict)["freshness"].message


def test_repeated_business_keys_are_a_warning(tmp_path):
    rows = rows_of(40) + rows_of(10)
    verdict, _ = judge(tmp_path, rows)
    assert by_rule(verdict)["duplicate.key"].failing_rows == 20


@pytest.mark.parametrize(("known", "warned"), [(40, False), (10, True)])
def test_batch_about_unregistered_subjects_is_a_warning(tmp_path, known, warned):
    rows = rows_of(40)
    codes = [f"9143{n:014d}" for n in range(40)]
    identifiers = tmp_path / "identifiers.parquet"
    pq.write_table(pa.table({"identifier_type": ["uscc"] * known, "identifier_value": codes[:known]}), identifiers)
    about = [row | {"uscc": code} for row, code in zip(rows, codes, strict=True)]
    contract = contract_of(quality={"min_rows": 40})
    verdict, _ = judge(tmp_path, about, registry=[identifiers], contract=contract)
    assert ("relation.subject_known" in by_rule(verdict)) == warned


def bad_rule(**changes):
    rule = {**PACK["expectations"][0], **changes}
    return {"expectations": [rule]}


def test_unsupported_rule_is_refused_by_name(tmp_path):
    pack = bad_rule(type="expect_column_median_to_be_between")
    with pytest.raises(ContractError, match="expect_column_median_to_be_between"):
        judge(tmp_path, rows_of(5), pack=pack)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"column": "no_such_column", "max_value": 1},
        {"column": "decision_on", "max_value": 3},
        {"column": "decision_on"},
        {"column": "decision_on", "max_value": "2020-01-01", "mostly": 7},
        {"column": "decision_on", "max_value": "2020-01-01", "row_condition": "decision_no == 1"},
    ],
)
def test_unusable_rule_is_an_error_and_never_a_verdict(tmp_path, kwargs):
    with pytest.raises(ChengxinError):
        judge(tmp_path, rows_of(5), pack=bad_rule(kwargs=kwargs))


def test_rows_that_do_not_add_up_stop_the_run(tmp_path):
    with pytest.raises(InvariantBroken):
        judge(tmp_path, rows_of(5), counts=counts_of(6))


def test_unknown_metric_raises_by_name(tmp_path):
    """A type that slipped into the table of supported ones must fail loudly inside GX, too."""
    from chengxin.quality import engine

    kind = kind_of()
    parts = write_batch(tmp_path, rows_of(3), kind)
    body = {"type": "expect_column_median_to_be_between", "kwargs": {"column": "fine_yuan", "min_value": 0}}
    with Scan(parts, Resources(memory_limit_mib=256)) as scan:
        batch, wired = engine._batch(scan)
        suite = engine.gx.ExpectationSuite(name="s", expectations=[body])
        result = batch.validate(suite).to_json_dict()["results"][0]
    assert wired.trouble is not None and "column.median" in str(wired.trouble)
    assert result["success"] is False
    with pytest.raises(InvariantBroken, match="expect_column_median"):
        engine._refuse_exception(result)


def test_failing_rows_come_from_one_query_in_batch_order(tmp_path):
    kind = kind_of()
    rows = rows_of(100)
    rows[90]["decision_no"] = rows[10]["decision_no"]
    parts = write_batch(tmp_path, rows, kind, per_file=30)
    unique = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "decision_no"}}
    assert failing_rows(parts, unique) == [("样例.csv", 12), ("样例.csv", 92)]
    low = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "fine_yuan", "min_value": 500}}
    assert failing_rows(parts, low, limit=2) == [("样例.csv", 2), ("样例.csv", 3)]
    assert failing_rows(parts, {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 1}}) == []


def test_plain_pass_asks_the_same_as_the_engine(tmp_path):
    import duckdb

    kind = kind_of()
    parts = write_batch(tmp_path, rows_of(100), kind)
    null = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "remark"}}
    unique = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "decision_no"}}
    suite = {"expectations": [null, unique]}
    view, counts, duplicates = plain_sql(suite, parts)
    with duckdb.connect() as connection:
        connection.execute(view)
        assert 100 in connection.execute(counts).fetchone()
        assert connection.execute(duplicates).fetchone() == (0,)


def test_subject_table_is_judged_by_its_own_rules(tmp_path):
    kind = kind_of()
    parts = write_batch(tmp_path, rows_of(4), kind)
    rule = {**PACK["expectations"][0], "kwargs": {"column": "decision_on", "max_value": "2026-01-01"}}
    (tmp_path / "subject.json").write_text(json.dumps({"expectations": [rule]}))
    verdict = runner.run_subject(parts, expectations=tmp_path, today=TODAY, resources=Resources(memory_limit_mib=256))
    assert verdict.status == "hold" and verdict.findings[0].failing_rows == 3
