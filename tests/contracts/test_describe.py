"""The reference pages in docs/ are those the models yield, and the JSON Schema accepts what the loader accepts."""

import json
from pathlib import Path

import jsonschema
import pytest

from chengxin.contracts.describe import REFERENCE, pages, schema
from chengxin.contracts.loader import load

PROJECT = Path(__file__).resolve().parents[2]
# datasets.md changes with every new contract; `make reference` compares it, so that a new source breaks no test.
MODEL_PAGES = sorted(set(pages()) - {"datasets.md"})


@pytest.mark.parametrize("name", MODEL_PAGES)
def test_page_is_up_to_date(name):
    assert (REFERENCE / name).read_text("utf-8") == pages()[name], "run python -m chengxin.contracts.describe"


def test_schema_accepts_every_contract_and_no_unknown_key():
    validator = jsonschema.Draft202012Validator(schema())
    for contract in load(PROJECT / "dags" / "contracts").contracts.values():
        body = json.loads(contract.model_dump_json())
        validator.validate(body)
        assert not validator.is_valid({**body, "colour": "red"})
