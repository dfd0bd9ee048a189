"""Nobody is surety for himself, though he may pledge what he owns for his own debt."""

import pytest

from chengxin.cleaning.mapper import standardise_rows
from chengxin.contracts.models import Contract
from deliveries import person_doc, uscc

ELEMENTS = ("subject_name", "uscc", "person_doc_no", "related_name", "related_uscc", "related_person_doc_no",
    "contract_no", "guarantee_method_code")  # fmt: skip
CONTRACT = Contract.model_validate(
    {
        "format": 1,
        "id": "some_vouching",
        "title": "担保",
        "department": {"code": "430000-XX", "name": "示例行"},
        "domain": "some",
        "kind": "guarantee",
        "basis": {"legal": "示例", "share": "不予"},
        "columns": [{"source": e, "element": e, "optional": True} for e in ELEMENTS],
    }
)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"uscc": uscc(1), "related_uscc": uscc(1)}, True),
        ({"uscc": uscc(1), "related_uscc": uscc(2)}, False),
        ({"uscc": uscc(1), "related_uscc": uscc(1), "guarantee_method_code": "抵押"}, False),
        ({"uscc": uscc(1), "related_uscc": uscc(1), "guarantee_method_code": ""}, False),
        ({"subject_name": "示例商贸有限公司", "uscc": uscc(1), "related_name": "示例商贸有限公司"}, True),
        (
            {
                "subject_name": "示例商贸有限公司",
                "uscc": uscc(1),
                "related_name": "示例商贸有限公司",
                "related_uscc": uscc(2),
            },
            False,
        ),
        ({"person_doc_no": person_doc(1), "related_person_doc_no": person_doc(1)}, True),
        ({"subject_name": "张某", "person_doc_no": person_doc(1), "related_name": "张某"}, False),
        ({"uscc": uscc(1), "related_person_doc_no": person_doc(1)}, False),
    ],
)
def test_a_surety_for_himself_is_told(row: dict[str, str], told: bool) -> None:
    passed, _, issues = standardise_rows(CONTRACT, [{"contract_no": "示保1号", "guarantee_method_code": "保证"} | row])
    assert passed.num_rows == 1
    assert ("subject.both_roles" in issues["rule"].to_pylist()) == told
