"""Faults that no single cell shows: columns that changed places, a changed unit, one value filled into all rows."""

import json
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
    folder = office.layout.validation("penalty_list", account["batch_id"])
    verdict = json.loads((folder / "verdict.json").read_text("utf-8"))
    return verdict["status"], {f["rule"] for f in verdict["findings"] if f["severity"] != "info"}


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
    [(10000, "hold"), (0.0001, "hold"), (100, "warn"), (0.01, "warn"), (10, "accept"), (0.2, "accept")],
)
def test_amounts_of_another_unit_than_before_are_told(tmp_path, times, status):
    now = [row(n + 100, fine=str(round((5000 + 300 * n) * times, 2))) for n in range(ROWS)]
    verdict, rules = found(tmp_path, [row(n) for n in range(ROWS)], now)
    assert (verdict, rules) == (status, set() if status == "accept" else {"size.fine_yuan"})


def test_a_few_rows_say_nothing_of_a_unit(tmp_path):
    now = [row(n + 100, fine="90000000") for n in range(10)]
    assert found(tmp_path, [row(n) for n in range(ROWS)], now) == ("accept", set())


@pytest.mark.parametrize(
    ("filled", "status", "rule"),
    [
        ({"uscc": uscc(0)}, "hold", "repeated.uscc"),
        ({"subject_name": "湖南示例有限公司"}, "warn", "repeated.subject_name"),
        ({"decision_no": "湘示罚〔2026〕1号"}, "warn", "repeated.decision_no"),
    ],
)
def test_one_value_in_all_rows_is_told(tmp_path, filled, status, rule):
    assert found(tmp_path, [row(n, **filled) for n in range(ROWS)]) == (status, {rule})


def slipped(rows, by=1):
    """Return the rows with the code of each on the row `by` below."""
    codes = [r["uscc"] for r in rows]
    return [r | {"uscc": codes[(n - by) % len(codes)]} for n, r in enumerate(rows)]


def twice(n):
    """Return penalties of n companies with two each, the second ones in another order."""
    about = [*range(n), *(7 * k % n for k in range(n))]
    return [
        row(about[k], decision_no=f"湘示罚〔2026〕{k}号", decision_on=f"2026-01-{1 + k % 28:02d}") for k in range(2 * n)
    ]


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        (slipped(twice(25)), "hold"),
        (slipped(sorted(twice(25), key=lambda r: r["uscc"])), "hold"),
        (slipped([*twice(25), *[row(k) for k in range(60, 90)]], by=-1), "hold"),
        ([*twice(40)[:40], *slipped(twice(40)[40:66]), *twice(40)[66:]], "warn"),
    ],
)
def test_codes_that_slipped_against_the_names_are_told(tmp_path, rows, status):
    assert found(tmp_path, rows) == (status, {"crossed.uscc"})


def test_chains_and_renamed_companies_have_not_slipped(tmp_path):
    chain = [row(k, subject_name=f"示例大药房{k % 12}店") for k in range(60, 84)]
    renamed = [r | {"subject_name": f"湖南改名{n}有限公司"} if n >= 25 else r for n, r in enumerate(twice(25))]
    for name, rows in {"chain": chain, "renamed": renamed, "ordinary": twice(25), "both": [*chain, *renamed]}.items():
        assert "crossed.uscc" not in found(tmp_path / name, rows)[1]


@pytest.mark.parametrize("direction", [1, -1])
def test_numbers_of_rows_are_no_amounts(tmp_path, direction):
    numbered = [row(n, fine=str(500 + direction * n)) for n in range(ROWS)]
    assert found(tmp_path, numbered) == ("hold", {"running.fine"})


@pytest.mark.parametrize(
    "fine",
    [
        lambda n: 500 + 2 * n,
        lambda n: 1000,
        lambda n: 500 + n % 12,
        lambda n: n if n < 12 else 7 * n,
        lambda n: 800 * n if n % 2 else "5000元",
    ],
)
def test_amounts_that_rise_otherwise_are_ordinary(tmp_path, fine):
    assert found(tmp_path, [row(n, fine=str(fine(n))) for n in range(2 * ROWS)]) == ("accept", set())


GUARANTEE = ("subject_name", "uscc", "related_name", "related_uscc", "institution_code", "contract_no",
    "guarantee_method_code", "guaranteed_amount", "valid_from_on")  # fmt: skip


def guarantee(n, **more):
    """Return an ordinary guarantee."""
    return {"subject_name": f"湖南示例{n}有限公司", "uscc": uscc(n), "related_name": f"湖南示例{n + 100}有限公司",
            "related_uscc": uscc(n + 100), "institution_code": "B0001H243010001", "contract_no": f"DB2026{n:03d}",
            "guarantee_method_code": "1", "guaranteed_amount": str(50000 + 7000 * n),
            "valid_from_on": f"2026-01-{1 + n % 28:02d}"} | more  # fmt: skip


def guarantees(tmp_path, *deliveries, **of_amount):
    """Return as `found`, of guarantees. of_amount: what the contract says of the amount."""
    office = Office(tmp_path)
    columns = [{"source": n, "element": n, **({"unit": "元", **of_amount} if n == "guaranteed_amount" else {})}
               for n in GUARANTEE]  # fmt: skip
    office.contract("vouching", "guarantee", GUARANTEE, columns=columns, quality={"min_rows": 20})
    for day, rows in enumerate(deliveries):
        account = office.deliver("vouching", *rows, day=day)
    folder = office.layout.validation("vouching", account["batch_id"])
    verdict = json.loads((folder / "verdict.json").read_text("utf-8"))
    return verdict["status"], {f["rule"] for f in verdict["findings"] if f["severity"] != "info"}


def test_one_contract_number_in_all_rows_is_told(tmp_path):
    status, rules = guarantees(tmp_path, [guarantee(n, contract_no="DB2026001") for n in range(ROWS)])
    assert (status, rules) == ("hold", {"repeated.contract_no"})
    one = {"contract_no": "DB2026001", "related_name": "甲有限公司", "valid_from_on": "2026-01-01"}
    of_one = [guarantee(n, related_uscc=uscc(7), **one) for n in range(ROWS)]
    assert guarantees(tmp_path / "many vouch for one", of_one) == ("accept", set())


def test_amounts_that_half_of_the_rows_lack_are_told_at_once(tmp_path):
    half = [guarantee(n, guaranteed_amount="" if n % 2 else "50000") for n in range(ROWS)]
    few = [guarantee(n, guaranteed_amount="" if n % 6 == 0 else str(50000 + 900 * n)) for n in range(ROWS)]
    assert guarantees(tmp_path / "half", half) == ("warn", {"fill.guaranteed_amount_yuan.amount"})
    assert guarantees(tmp_path / "few", few) == ("accept", set())
    assert guarantees(tmp_path / "said", half, optional=True) == ("accept", set())
    foreign = [guarantee(n, guaranteed_amount=f"USD {50000 + 900 * n}") for n in range(ROWS)]
    assert "fill.guaranteed_amount_yuan.amount" not in guarantees(tmp_path / "foreign", foreign)[1]


def test_of_a_large_batch_parts_from_its_beginning_to_its_end_are_looked_at(tmp_path):
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
    assert {"size.fine_yuan", "running.fine", "distinct.subject_name.uscc", "crossed.subject_name.uscc"} <= needs.keys()
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
