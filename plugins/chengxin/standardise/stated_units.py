"""Units of money that a table states outside its columns: 单位：万元 above the header or in a note below."""

import re
from collections.abc import Iterable

from chengxin.contracts.plan import Plan
from chengxin.errors import DeliveryMismatch

_STATED = re.compile(
    r"单位\s*(?:[:：为是]|均为|都是)?\s*[(（【\[]?\s*(?:人民币)?\s*(百万元|十万元|千万元|万元|亿元|千元|元)(?![\u4e00-\u9fff])"
)
_OWN = re.compile(r"元\s*[)）\]】]?$")


def stated_unit(text: str) -> str | None:
    """Return the unit of money that a line states (计量单位：人民币万元), or None."""
    found = _STATED.search(text)
    return found[1] if found else None


def check_units(plan: Plan, lines: Iterable[str]) -> None:
    """Raise DeliveryMismatch where a line states another unit than the contract's columns of money have.

    Ten thousand times too much or too little looks like any amount. A column whose header names its unit is not meant.
    """
    columns = [
        c for c in plan.columns if c.element.type == "money" and c.constant is None and not _OWN.search(c.source)
    ]
    for line in lines:
        unit = stated_unit(line)
        other = [c.source for c in columns if unit and (c.unit or "元") != unit]
        if other:
            raise DeliveryMismatch(
                f"{plan.contract.id}：来文写明“单位：{unit}”，合同中 {'、'.join(other)} 的单位却是"
                f" {'、'.join(dict.fromkeys(c.unit or '元' for c in columns if c.source in other))}；"
                "请核对合同 columns 的 unit，或请提供部门按约定的单位重报"
            )
