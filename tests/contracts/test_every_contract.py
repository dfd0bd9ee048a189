"""Every contract file loads, lints, and its examples come out as stated. A new file is taken in by itself."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from chengxin.cleaning.mapper import standardise_rows
from chengxin.contracts.lint import lint
from chengxin.contracts.loader import load
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import plan_of
from chengxin.model.kinds import kinds

PROJECT = Path(__file__).resolve().parents[2]
CONTRACTS = PROJECT / "dags" / "contracts"
LOADED = load(CONTRACTS)
EACH = pytest.mark.parametrize("contract", LOADED.contracts.values(), ids=lambda contract: contract.id)
EXAMPLES = [
    pytest.param(contract, number, id=f"{contract.id}-{number}")
    for contract in LOADED.contracts.values()
    for number in range(len(contract.examples))
]


def test_every_file_loads():
    assert LOADED.problems == ()
    assert len(LOADED.contracts) == len(list(CONTRACTS.rglob("*.yaml")))


def test_every_contract_passes_the_lint():
    assert lint(LOADED.contracts, PROJECT / "expectations") == ()


def test_every_record_kind_has_a_source():
    assert {contract.kind for contract in LOADED.contracts.values()} == set(kinds())


def test_contracts_stay_short():
    lines = sorted(len(path.read_text("utf-8").splitlines()) for path in CONTRACTS.rglob("*.yaml"))
    assert lines[len(lines) // 2] <= 80


@EACH
def test_has_three_to_five_examples_passing_and_failing(contract: Contract):
    assert 3 <= len(contract.examples) <= 5
    assert {example.expect.state for example in contract.examples} == {"passed", "quarantined"}


@EACH
def test_columns_match_the_headers_of_the_examples(contract: Contract):
    headers = list(dict.fromkeys(header for example in contract.examples for header in example.row))
    found = plan_of(contract).match(headers)
    assert set(found) >= {column.element for column in contract.columns if not column.optional}


@pytest.mark.parametrize(("contract", "number"), EXAMPLES)
def test_example_comes_out_as_stated(contract: Contract, number: int):
    example = contract.examples[number]
    passed, quarantined, issues = _standardised(contract)
    row = number + 1
    states = {"passed": _rows(passed, row), "quarantined": _rows(quarantined, row)}
    rules = {found["rule"] for found in _rows(issues, row)}

    assert {state: len(rows) for state, rows in states.items()} == {
        state: int(state == example.expect.state) for state in states
    }, (example.note, sorted(rules))
    for name, value in example.expect.values.items():
        found = states[example.expect.state][0][name]
        assert (None if found is None else str(found)) == value, (example.note, name)
    assert rules == set(example.expect.rules), example.note
    if example.expect.state == "quarantined":
        assert states["quarantined"][0]["reasons"], example.note


def test_examples_hold_no_real_person():
    """Names of persons in examples are one character and 某; resident ids are made up from a handful of birthdays."""
    for contract in LOADED.contracts.values():
        for example in contract.examples:
            for header, text in example.row.items():
                if re.search("姓名$|法定代表人$|^LEREP$|^PLEDGOR$|^XK_FRDB$|^CF_FR$", header) and text:
                    assert "某" in text, (contract.id, header)


def _standardised(contract: Contract) -> tuple[pa.Table, pa.Table, pa.Table]:
    headers = dict.fromkeys(header for example in contract.examples for header in example.row)
    return standardise_rows(contract, [{**dict.fromkeys(headers), **example.row} for example in contract.examples])


def _rows(table: pa.Table, source_row: int) -> list[dict]:
    return [row for row in table.to_pylist() if row["source_row"] == source_row]
