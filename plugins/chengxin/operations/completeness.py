"""Which data sets were to deliver in a month and have not: the short account that comes before the scorecard."""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.compute as pc

from chengxin.contracts.cadence import WORDS, periods
from chengxin.contracts.models import Contract
from chengxin.errors import ContractError
from chengxin.model.working_days import working_days
from chengxin.operations import deliveries
from chengxin.store.layout import Layout


@dataclass(frozen=True)
class MonthAccount:
    """The data sets of which something was to come in a month (yyyymm), and, in Chinese, each that sent nothing."""

    month: str
    expected: tuple[str, ...]
    missing: dict[str, str]

    def summary(self) -> dict[str, Any]:
        """Return it as JSON: counts, and the names of what is missing."""
        return {"expected": len(self.expected), "missing": sorted(self.missing), "complete": not self.missing}


def account(contracts: Mapping[str, Contract], layout: Layout, month: str) -> MonthAccount:
    """Return the account of a month, from what has landed. Data sets that deliver irregularly are not in it."""
    try:
        first = date(int(month[:4]), int(month[4:]), 1)
    except ValueError as error:
        raise ContractError(f"“{month}”不是月份；请写成六位，如 202610") from error
    last, days = first.replace(day=monthrange(first.year, first.month)[1]), working_days()
    landed, _ = deliveries.deliveries(layout)
    day = landed["arrived_on"]
    within = pc.and_(pc.greater_equal(day, first), pc.less_equal(day, last))
    came = set(landed.filter(pc.and_(within, pc.equal(landed["replay_of"], "")))["dataset"].to_pylist())
    expected = {name: c for name, c in sorted(contracts.items()) if periods(c.delivery.cadence, first, last, days)}
    missing = {name: _missing(c, month) for name, c in expected.items() if name not in came}
    return MonthAccount(month, tuple(expected), missing)


def _missing(contract: Contract, month: str) -> str:
    return (
        f"{contract.department.name}“{contract.title}”（{contract.id}）：约定{WORDS[contract.delivery.cadence]}报送，"
        f"{month[:4]} 年 {int(month[4:])} 月尚无报送；请联系该部门，或核对合同的 cadence"
    )
