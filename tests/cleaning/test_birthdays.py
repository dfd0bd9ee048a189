"""The birthday within a resident identity number and the one beside it are compared."""

import pytest

from chengxin.cleaning.mapper import standardise_rows
from chengxin.contracts.models import Contract
from chengxin.model.identifiers import resident_check_character

CONTRACT = Contract.model_validate(
    {
        "format": 1,
        "id": "some_people",
        "title": "人口",
        "department": {"code": "430000-XX", "name": "示例局"},
        "domain": "some",
        "kind": "person_base",
        "basis": {"legal": "示例", "share": "不予"},
        "columns": [
            {"source": "姓名", "element": "person_name"},
            {"source": "证件", "element": "person_doc_no"},
            {"source": "出生", "element": "born_on"},
        ],
    }
)
BODY = "43010219850102" + "999"  # an invented number
NUMBER = BODY + resident_check_character(BODY)


@pytest.mark.parametrize(
    ("number", "born", "differs"),
    [
        (NUMBER, "1985-01-02", False),
        (NUMBER, "1985-02-03", True),
        (NUMBER, "", False),
        ("H12345678", "1985-02-03", False),
    ],
)
def test_another_birthday_than_that_of_the_number_is_told(number: str, born: str, differs: bool) -> None:
    row = {"姓名": "示例人", "证件": number, "出生": born}
    passed, _, issues = standardise_rows(CONTRACT, [row])
    assert passed.num_rows == 1
    assert ("person.born_differs" in issues["rule"].to_pylist()) == differs
