"""The rules of the levels: what a jurist may write wrong is refused when the kinds are read."""

from pathlib import Path

import pytest
import yaml

from chengxin.errors import ContractError
from chengxin.model.kinds import kinds
from chengxin.model.sharing import LEVELS, SharingRule, problems

FIRMS = ["enterprise", "household", "organisation"]
OPEN = {"level": "open", "subject_types": FIRMS, "standing": ["standing"]}
REST = {"level": "government"}
PERSONS = {"level": "authorised", "subject_types": ["person"]}


def wrong(*rules: dict, kind: str = "tax_rating") -> list[str]:
    return list(problems([SharingRule(**rule) for rule in rules], kinds()[kind].elements))


def test_levels_go_from_nobody_to_everybody():
    assert LEVELS == ("sealed", "authorised", "government", "open")


@pytest.mark.parametrize(
    "rules",
    [
        (OPEN, REST),
        ({**OPEN, "when": {"tax_grade_code": ["A"]}}, REST),
        ({"level": "sealed", "standing": ["withdrawn"]}, {"level": "government", "standing": ["withdrawn", "ended"]}),
        ({"level": "sealed", "subject_types": ["person"], "when": {"tax_grade_code": ["D"]}}, OPEN, REST),
    ],
)
def test_rules_that_can_all_be_reached_are_fine(rules):
    assert wrong(*rules) == []


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (({**OPEN, "when": {"penalty_class_name": ["A"]}},), "没有数据元 penalty_class_name"),
        (({"level": "government", "when": {"no_such": ["A"]}},), "没有数据元 no_such"),
        (({"level": "government", "when": {"authority_name": ["A"]}},), "没有代码表"),
        (({**OPEN, "when": {"tax_grade_code": ["A", "Z"]}},), "代码表中没有 Z"),
        (({**OPEN, "standing": ["standing", "ended"]},), "只有有效的记录可以公开"),
        (({"level": "open", "subject_types": FIRMS},), "只有有效的记录可以公开"),
        (({"level": "open", "standing": ["standing"]},), "请写明 subject_types"),
        ((REST, OPEN), "第 2 条规则（open）：前面的规则已全部包括"),
        (({"level": "sealed", "standing": ["ended", "expired"]}, {**REST, "standing": ["ended"]}), "轮不到"),
        (({**REST, "when": {"tax_grade_code": ["D", "C"]}}, {**PERSONS, "when": {"tax_grade_code": ["D"]}}), "轮不到"),
    ],
)
def test_a_wrong_rule_is_named(rules, words):
    found = wrong(*rules)
    assert len(found) == 1 and words in found[0]


def test_a_kind_with_a_wrong_rule_is_not_read(tmp_path):
    body = yaml.safe_load((Path(kinds.__wrapped__.__code__.co_filename).parent / "kinds/penalty.yaml").read_text())
    body["sharing"] = [{"level": "government", "standing": ["withdrawn"]}, *body["sharing"]]
    (tmp_path / "penalty.yaml").write_text(yaml.safe_dump(body, allow_unicode=True))
    with pytest.raises(ContractError, match=r"penalty\.yaml 的 sharing 有误：第 2 条规则（government）"):
        kinds(tmp_path)


def test_every_negative_kind_seals_what_was_withdrawn():
    for kind in kinds().values():
        first = kind.sharing[:1] == (SharingRule(level="sealed", standing=("repaired", "withdrawn")),)
        assert first is (kind.publicity is not None), kind.id
