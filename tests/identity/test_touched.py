"""What linking looks up is only a part of the registry: the outcome is that of looking up all of it."""

import random
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from cases import few
from chengxin.identity import registry
from deliveries import (
    CHANGE,
    GUARANTEE,
    PENALTY,
    REGISTRATION,
    Office,
    company,
    org_code,
    penalty,
    reg_no,
    renaming,
    uscc,
)

NAME = "湖南示例{}有限公司"


def registered(random_: random.Random) -> list[dict]:
    """Companies with codes alone or together; some share a number or a name."""
    rows = []
    for n in range(1, 120):
        row = company(n, reg_no=reg_no(random_.choice([n, n, n, 7])), legal_rep_name=f"甲{n % 5}")
        if n % 11 == 0:
            row["subject_name"] = NAME.format(random_.randint(1, 12))
        if n % 7 == 0:
            row |= {"uscc": "", "org_code": org_code(random_.choice([n, n - 1]))}
        rows.append(row)
    return rows


def reported(random_: random.Random) -> list[dict]:
    """Rows about these or strangers, by any of their codes, by name, or by two that contradict each other."""
    rows = []
    for n in range(1, 25):
        about = random_.randint(1, 125)
        says = {
            "uscc": random_.choice([uscc(about), uscc(about), "", uscc(about % 50 + 200)]),
            "org_code": random_.choice(["", org_code(about)]),
            "reg_no": random_.choice(["", reg_no(about), reg_no(7)]),
            "tax_no": random_.choice(["", uscc(about)]),
            "subject_name": NAME.format(random_.choice([about, about, about % 12])),
            "legal_rep_name": random_.choice(["", f"甲{about % 5}"]),
        }
        rows.append(penalty(n, **says))
    return rows


def outcome(folder: Path, seed: int) -> list[tuple[str, list[tuple]]]:
    random_, office = random.Random(seed), Office(folder)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("change", "registration_change", CHANGE)
    office.contract("pen", "penalty", PENALTY)
    office.contract("gua", "guarantee", GUARANTEE)
    office.deliver("reg", *registered(random_), day=0)
    office.deliver("change", *(renaming(n, NAME.format(n), NAME.format(n + 300)) for n in (3, 4, 5)), day=0.2)
    office.deliver("pen", *reported(random_), day=1)
    several = [
        {"subject_name": NAME.format(a), "uscc": uscc(a), "related_name": NAME.format(b), "institution_code": "B1",
         "related_uscc": random_.choice([uscc(b), ""]), "contract_no": f"保{a}-{b}", "valid_from_on": "2026-01-02"}
        for a, b in (random_.sample(range(1, 125), 2) for _ in range(9))
    ]  # fmt: skip
    office.deliver("gua", *several, day=1)
    office.deliver("reg", *registered(random_)[:20], *(company(n) for n in (121, 122)), day=2)
    office.retry()
    office.deliver("pen", *reported(random_), day=3)
    files = sorted((office.settings.home / "batches").glob("*/*/links-*/*.parquet"))
    return [
        (str(f.relative_to(office.settings.home)), duckdb.sql(f"FROM '{f}' ORDER BY ALL").fetchall())
        for f in files
        if pq.read_metadata(f).num_columns
    ]


@pytest.mark.slow
@pytest.mark.parametrize("seed", few(1, range(3)))
def test_links_are_those_that_the_whole_registry_gives(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(registry, "WORTH", 0)  # always by the state
    narrowed = outcome(tmp_path / "narrowed", seed)
    monkeypatch.setattr(registry, "WORTH", 10**9)  # never
    whole = outcome(tmp_path / "whole", seed)
    assert [name for name, _ in narrowed] == [name for name, _ in whole]
    for (name, mine), (_, theirs) in zip(narrowed, whole, strict=True):
        assert mine == theirs, name
    if seed:
        return  # not every draw meets every rule
    said = str([rows for name, rows in whole if name.endswith("linked.parquet")])
    for rule in ("uscc", "org_code", "reg_no", "tax_no_is_uscc", "name", "shared_code"):
        assert f"'{rule}'" in said, "the case says nothing of a rule that is not met"
