"""Faults that no single cell shows: columns that changed places, a changed unit."""

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chengxin.model.kinds import kinds
from chengxin.model.looks import looks
from chengxin.quality import plausibility
from deliveries import Office, penalty, uscc

ROWS = 24
NAMES = ("subject_name", "uscc", "legal_rep_name", "decision_no", "decision_on", "violation_facts", "fine",
    "authority_name", "item_name", "penalty_content", "region_code")  # fmt: skip
OFFICES = (
    "示例市市场监督管理局",
    "示例县应急管理局（安监）",
    "示例市人民政府",
    "示例区城管执法大队",
    "示例烟草专卖局",
    "示例盐业公司",
)
OWNERS = ("张某", "李某某", "欧阳某", "示例投资有限公司（委派代表：王某）")


def row(n, **more):
    """Return an ordinary penalty."""
    return penalty(n, subject_name=f"湖南示例{n}有限公司", uscc=uscc(n), legal_rep_name=OWNERS[n % 4],
        violation_facts=f"示例事实{n % 5}", fine=str(5000 + 300 * n), authority_name=OFFICES[n % 6],
        decision_on=f"2026-01-{1 + n % 28:02d}") | more  # fmt: skip


def found(tmp_path, *deliveries):
    """Return the verdict of the last of several deliveries: status and rules, those that only inform left out."""
    office = Office(tmp_path)
    office.contract("penalty_list", "penalty", NAMES, quality={"min_rows": 20})
    for day, rows in enumerate(deliveries):
        account = office.deliver("penalty_list", *rows, day=day)
    verdict = office.verdict("penalty_list", account["batch_id"])
    return verdict.status, {f.rule for f in verdict.findings if f.severity != "info"}


def swapped(one, other, rows=range(ROWS)):
    """Return the rows, some with two columns exchanged."""
    made = [row(n) for n in range(ROWS)]
    return [r | {one: r[other], other: r[one]} if n in rows else r for n, r in enumerate(made)]


@pytest.mark.parametrize(
    ("columns", "rows", "rule"),
    [
        (("subject_name", "authority_name"), range(ROWS), "shape.authority_name.business"),
        (("subject_name", "authority_name"), range(5, 6), "shape.authority_name.business"),
        (("subject_name", "legal_rep_name"), range(8), "shape.legal_rep_name.business"),
        (("legal_rep_name", "authority_name"), range(12), "shape.authority_name.authority"),
        (("violation_facts", "authority_name"), range(ROWS), "shape.authority_name.authority"),
        (("subject_name", "violation_facts"), range(ROWS), "shape.violation_facts.business"),
        (("decision_no", "authority_name"), range(4, 5), "shape.decision_no.name"),
    ],
)
def test_columns_that_changed_places_are_told(tmp_path, columns, rows, rule):
    status, rules = found(tmp_path, swapped(*columns, rows))
    assert (status, rule in rules) == ("warn", True)


@pytest.mark.parametrize(
    ("times", "status"),
    [(10000, "hold"), (0.0001, "hold"), (1000, "hold"), (100, "accept"), (0.01, "accept")],
)
def test_amounts_of_another_unit_than_before_are_told(tmp_path, times, status):
    now = [row(n + 100, fine=str(round((5000 + 300 * n) * times, 2))) for n in range(ROWS)]
    verdict, rules = found(tmp_path, [row(n) for n in range(ROWS)], now)
    assert (verdict, rules) == (status, set() if status == "accept" else {"size.fine_yuan"})


def test_a_few_rows_say_nothing_of_a_unit(tmp_path):
    now = [row(n + 100, fine="90000000") for n in range(10)]
    assert found(tmp_path, [row(n) for n in range(ROWS)], now) == ("accept", set())


def test_of_a_large_batch_parts_from_start_to_end_are_sampled(tmp_path):
    office = Office(tmp_path)
    office.contract("penalty_list", "penalty", NAMES)
    types = dict.fromkeys((*NAMES, "fine_yuan"), "VARCHAR")
    parts = [tmp_path / f"standard-{n:05d}.parquet" for n in range(40)]
    for part in parts:
        pq.write_table(pa.table({"row_id": pa.nulls(25_000, pa.int64())}), part)

    def read(given):
        needs = plausibility.needs(office.contracts["penalty_list"], kinds()["penalty"], types, given)
        return [n for n, part in enumerate(given) if all(str(part) in need.sql for need in needs.values())], needs

    chosen, needs = read(parts)
    assert len(chosen) * 25_000 >= 100_000 and len(chosen) < 20
    assert chosen[0] < 5 and chosen[-1] >= 35
    assert "size.fine_yuan" in needs
    few, needs = read(parts[:4])
    assert few == [] and all("FROM batch" in need.sql for need in needs.values())


@pytest.mark.parametrize(("name", "look"), looks().items())
def test_what_the_end_of_a_value_tells_is_what_its_pattern_says(name, look):
    for end, says in look.ends.items():
        for before in ("示例", "示例有限公司（", "税局", "2026〔1〕", ""):
            assert bool(re.search(look.regex, before + end)) == says, (name, before + end)


def test_ordinary_lists_are_not_doubted(tmp_path):
    many_of_one = [row(n, subject_name="湖南示例有限公司", uscc=uscc(1), legal_rep_name="张某") for n in range(ROWS)]
    assert found(tmp_path / "one company", many_of_one) == ("accept", set())
    one_decision = [row(n, decision_no="湘示罚〔2026〕1号", decision_on="2026-01-15") for n in range(ROWS)]
    assert found(tmp_path / "one decision", one_decision) == ("accept", set())
    chain = [row(n, subject_name=f"示例大药房{n // 2}店") for n in range(ROWS)]
    assert found(tmp_path / "chain", [row(n + 50) for n in range(ROWS)], chain) == ("accept", set())
    persons = [row(n, subject_name=f"张某{n}", uscc="", legal_rep_name="") for n in range(ROWS)]
    assert found(tmp_path / "no fine", [r | {"fine": "0"} for r in persons])[1] <= {"fill.uscc", "fill.legal_rep_name"}
