"""A kind that may show persons or households names the law, or how its rows are made anonymous."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chengxin.errors import ContractError
from chengxin.model.kinds import kinds

PACKAGED = Path(kinds.__wrapped__.__code__.co_filename).parent / "kinds"
LADDERS = {"region_code": ["county", "prefecture"], "identified_on": ["month", "year"]}
EVERYBODY = {"subject_types": ["enterprise", "household", "person"], "level": "open", "standing": ["standing"]}
SHOPS = {"household": "某法第一条"}


def read(folder: Path, kind: str = "tax_non_normal", **changes: Any) -> Any:
    body = yaml.safe_load((PACKAGED / f"{kind}.yaml").read_text())
    body = {name: value for name, value in {**body, **changes}.items() if value is not None}
    (folder / f"{kind}.yaml").write_text(yaml.safe_dump(body, allow_unicode=True))
    return kinds(folder)[kind]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quasi_identifiers": None}, "个体工商户可以公开，须写 open_persons.*或 quasi_identifiers"),
        (
            {"quasi_identifiers": None, "sharing": [EVERYBODY], "open_persons": SHOPS},
            "自然人可以公开",
        ),
        ({"open_persons": {"household": "行政处罚法第四十八条"}}, "没有需要匿名的"),
        ({"quasi_identifiers": None, "open_persons": {"household": "依法"}}, "须写明法律条款.*依法"),
        ({"open_persons": {"person": "行政处罚法第四十八条"}}, "person 不在公开规则"),
        ({"open_persons": {"enterprise": "行政处罚法第四十八条"}}, "enterprise 不在公开规则"),
        ({"quasi_identifiers": {"penalty_class_name": ["value"]}}, "没有这个数据元"),
        ({"quasi_identifiers": {"authority_name": ["value"]}}, "不能作为准标识列"),
        ({"quasi_identifiers": {"address": ["value"]}}, "不能作为准标识列"),
        ({"quasi_identifiers": {"region_code": ["prefecture", "county"]}}, "由细到粗"),
        ({"quasi_identifiers": {"identified_on": ["county"]}}, "由细到粗.*day、month、year"),
        ({"quasi_identifiers": {"identified_on": []}}, "由细到粗"),
    ],
)
def test_a_kind_without_law_or_anonymity_is_refused(tmp_path, changes, words):
    with pytest.raises(ContractError, match=rf"tax_non_normal\.yaml 的开放规则有误：.*{words}"):
        read(tmp_path, **changes)


def test_a_kind_that_founds_households_needs_the_law(tmp_path):
    found = {"open_persons": None, "quasi_identifiers": {"region_code": ["county"]}}
    with pytest.raises(ContractError, match="主体表公布其名称"):
        read(tmp_path, "registration", **found)


def test_households_may_be_named_where_persons_are_not(tmp_path):
    named = {"sharing": [EVERYBODY], "open_persons": SHOPS, "quasi_identifiers": LADDERS}
    assert read(tmp_path, **named).anonymous_types == {"person"}
    assert read(tmp_path, **named, note="两者").open_types == {"enterprise", "household", "person"}


def test_most_kinds_name_households_by_law():
    assert {k.id for k in kinds().values() if k.anonymous_types} == {"bounced_cheque", "tax_non_normal"}
