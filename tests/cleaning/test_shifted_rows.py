"""Rows whose fields have slipped to other columns: set aside whole, for what is left of them looks usable."""

from typing import Any

import pytest

from chengxin.cleaning.mapper import standardise_rows
from chengxin.contracts.models import Contract
from chengxin.model.identifiers import org_code_check_character, reg_no_check_digit, resident_check_character
from chengxin.model.identifiers import uscc_check_character as check

COLUMNS = ("decision_no", "subject_name", "uscc", "reg_no", "legal_rep_name", "legal_rep_doc_no", "violation_facts",
    "fine", "decision_on", "authority_name")  # fmt: skip
CODE = "91430100MAXY0001" + org_code_check_character("MAXY0001")
REG, PERSON = "43010000000001", "43010219850101001"
ROW = ("示罚〔2024〕1号", "示例第一有限公司", CODE + check(CODE), REG + reg_no_check_digit(REG), "赵某",
    PERSON + resident_check_character(PERSON), "虚假宣传", "10.50", "2024-03-01", "示例市场监管局")  # fmt: skip
CONTRACT = Contract.model_validate(
    {
        "format": 1, "id": "t_shifted", "title": "测试", "department": {"code": "TT", "name": "测试部门"},
        "domain": "test", "kind": "penalty", "basis": {"legal": "测试", "share": "无条件"},
        "columns": [{"source": c, "element": c, **({"unit": "元"} if c == "fine" else {})} for c in COLUMNS],
    }
)  # fmt: skip


def outcome(*values: str) -> tuple[int, set[str]]:
    """Return how many rows passed (0 or 1), and the rules that were broken."""
    passed, _, issues = standardise_rows(CONTRACT, [dict(zip(COLUMNS, values, strict=True))])
    return passed.num_rows, set(issues["rule"].to_pylist())


def slipped(at: int, into: int) -> list[Any]:
    """Take out the value at one place and open an empty one at another."""
    rest = [*ROW[:at], *ROW[at + 1 :]]
    return [*rest[:into], "另一句", *rest[into:]]


def test_a_row_with_a_missing_and_a_split_value_is_quarantined() -> None:
    assert outcome(*ROW) == (1, set())
    passed, broken = outcome(*slipped(3, 6))
    assert passed == 0 and {"field.shifted", "name.is_identifier", "reg_no.length", "person_doc.form"} <= broken


@pytest.mark.parametrize("fault", [{4: ROW[5], 5: ROW[4]}, {4: "2024-03-01"}, {3: "1", 5: "2", 7: "三万五"}])
def test_exchanged_values_leave_the_rest_of_the_row_usable(fault: dict[int, str]) -> None:
    passed, broken = outcome(*(fault.get(n, value) for n, value in enumerate(ROW)))
    assert passed == 1 and broken and "field.shifted" not in broken
