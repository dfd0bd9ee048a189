"""Every rule that the code, the rule packs or a contract name is in model/rules.yaml, and every rule there is used."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import chengxin
from chengxin.contracts.loader import load
from chengxin.errors import ContractError
from chengxin.facts import Doubt
from chengxin.model.english import texts
from chengxin.model.rules import batch_rule, batch_rules, in_words, link_rules, rules

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(str(chengxin.__file__)).parent
LAYERS = ("parsing", "connectors", "cleaning", "quality", "identity", "records", "feedback", "model")
ID = re.compile(r"[a-z_0-9]+(\.[a-z_0-9*]+)+")
#: Names of files, and what feedback calls rows that another one replaced, which is no doubt.
OTHERS = {"rows.csv", "rows.parquet", "record.corrected", "record.overtaken"}


@cache
def written() -> tuple[frozenset[str], frozenset[str]]:
    """Return the texts of the layers that cast doubt, and those that are put together, `*` for what is filled in."""
    plain, composed = set(), set()
    for path in (p for layer in LAYERS for p in (PACKAGE / layer).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                plain.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (str(v.value) if isinstance(v, ast.Constant) else "*" for v in node.values)
                composed.add("".join(parts))
    return frozenset(plain), frozenset(composed)


def packs() -> Iterator[str]:
    for path in (ROOT / "expectations").glob("*.json"):
        yield from (rule["meta"]["rule"] for rule in json.loads(path.read_text("utf-8"))["expectations"])


def is_known(rule: str) -> bool:
    try:
        return rule in rules() or rule in link_rules() or bool(batch_rule(rule))
    except ContractError:
        return False


def test_every_rule_that_code_names_is_known() -> None:
    first = {rule.partition(".")[0] for rule in (*rules(), *batch_rules(), *link_rules())} - {"*"}
    named = {text for text in written()[0] if ID.fullmatch(text) and text.partition(".")[0] in first}
    assert sorted(text for text in named - OTHERS if not is_known(text)) == []


def test_every_rule_of_a_pack_or_an_example_is_known() -> None:
    contracts = load(ROOT / "dags" / "contracts").contracts.values()
    named = {rule for c in contracts for example in c.examples for rule in example.expect.rules}
    assert sorted(rule for rule in named if rule not in rules()) == []
    assert sorted(rule for rule in packs() if not is_known(rule)) == []


def test_every_rule_is_used() -> None:
    plain, composed = written()
    dotted = (text for text in composed if re.search(r"[a-z*]\.[a-z*]", text))
    patterns = [re.compile(re.escape(text).replace(r"\*", ".+")) for text in dotted]
    of_packs = {batch_rule(rule).id for rule in packs()}

    def is_used(rule: str) -> bool:
        return rule in plain or rule in of_packs or any(p.fullmatch(rule) for p in patterns if p.pattern != ".+")

    assert [rule for rule in (*rules(), *batch_rules(), *link_rules()) if not is_used(rule)] == []


def test_a_rule_of_a_batch_is_found_by_the_closest_pattern() -> None:
    assert batch_rule("fill.fine_yuan.history").id == "fill.*.history"
    assert batch_rule("subject.uscc.unique").id == "subject.uscc.unique"
    assert batch_rule("penalty.decision_on.before.valid_to_on").id == "*.*.before.*"
    with pytest.raises(ContractError, match=r"penalty\.decision_on\.futur"):
        batch_rule("penalty.decision_on.futur")


def test_a_doubt_is_put_into_the_words_of_its_rule() -> None:
    found = in_words(Doubt(rule="rows.manifest", file="a.csv", stated=5, found=4))
    assert (found.severity, found.observed, found.failing_rows) == ("critical", "4", None)
    assert "清单写明“a.csv”有 5 条记录，实际读到 4 条" in found.message and "。请" in found.message
    assert in_words(Doubt(rule="rows.total", level="critical", found=1)).severity == "critical"


def test_no_sentence_of_a_rule_would_take_any_text() -> None:
    assert [zh for zh in texts() if not re.search(r"\w", re.sub(r"\{\d+\}", "", zh))] == []


@pytest.mark.parametrize(
    "rule", [*rules().values(), *batch_rules().values(), *link_rules().values()], ids=lambda rule: rule.id
)
def test_both_languages_of_a_rule_have_the_same_places(rule) -> None:
    def places(text: str) -> set[str]:
        return set(re.findall(r"\{(\w+)\}", text))

    assert places(rule.en) <= places(rule.zh) and places(rule.mend_en) <= places(rule.mend_zh)
    assert places(rule.row_en) == places(rule.row_zh) and bool(rule.row_zh) == bool(rule.row_mend_en)
    assert bool(rule.mend_zh) == bool(rule.mend_en) and (rule.of == "batch" or rule.mend_zh)
