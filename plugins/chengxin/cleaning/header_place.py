"""Why the columns of a file do not fit: perhaps the header just stands on another line than the contract declares."""

import re
from collections.abc import Sequence
from pathlib import Path

from chengxin.contracts.headers import fold_header
from chengxin.contracts.models import FileSpec
from chengxin.contracts.plan import Plan
from chengxin.errors import DeliveryMismatch
from chengxin.parsing.reader import header_at

SEARCHED = 20  # lines
_VALUE = re.compile(r"\d{6}|\d{4}\D\d{1,2}\D\d{1,2}")


def explained(error: DeliveryMismatch, path: Path, spec: FileSpec, plan: Plan, sent: Sequence[str]) -> DeliveryMismatch:
    """Return what to say of a file whose header, `sent`, does not fit.

    Where the declared columns stand on another of the first 20 lines, that is said. A line that evidently holds data is
    not quoted: its values may be personal.
    """
    if spec.format not in {"csv", "tsv", "xlsx", "xls"} or spec.header == 0:
        return error
    id_, here = plan.contract.id, spec.header
    places = {n: header_at(path, spec, n) for n in range(1, SEARCHED + 1) if n != here}
    found = {n: _hits(plan, names) for n, names in places.items()}
    best = max(found, key=lambda n: (found[n], -abs(n - here)))
    declared = sum(c.constant is None for c in plan.columns)
    if found[best] > _hits(plan, sent) and found[best] >= max(2, declared / 2):
        what = f"{id_}：表头在第 {best} 行而不是第 {here} 行（合同 file.header: {here}）"
        try:
            plan.match([name for name in places[best] if name.strip()])
        except DeliveryMismatch as also:
            what += f"；那里另有不符——{str(also).removeprefix(f'{id_}：').partition('。')[0]}"
        advice = "多了标题行" if best > here else "少了标题行"
        return DeliveryMismatch(
            f"{what}。这次来文{advice}：请提供部门按原样式重报；"
            f"如今后都这样报送，请把合同的 file.header 改为 {best} 后重跑"
        )
    if not _hits(plan, sent) and any(_VALUE.search(name) for name in sent):
        return DeliveryMismatch(
            f"{id_}：第 {here} 行看来是数据而不是表头，前 {SEARCHED} 行里也没有合同声明的列名。"
            "请提供部门带上表头重报；如来文本来没有表头，请在合同中写 file.header: 0 并按文件顺序列出 columns"
        )
    return error


def refuse_header(path: Path, spec: FileSpec, plan: Plan) -> None:
    """Raise DeliveryMismatch where a file that should have no header (header: 0) begins with one: no record is so."""
    if spec.header or spec.format not in {"csv", "tsv", "xlsx", "xls"}:
        return
    hits, declared = _hits(plan, header_at(path, spec, 1)), sum(c.constant is None for c in plan.columns)
    if hits >= max(min(2, declared), declared / 2):
        raise DeliveryMismatch(
            f"{plan.contract.id}：合同写明没有表头（file.header: 0），来文第 1 行却是列名。"
            "请提供部门按原样式重报；如今后都带表头，请把合同的 file.header 改为 1 后重跑"
        )


def _hits(plan: Plan, names: Sequence[str]) -> int:
    folded = {fold_header(name) for name in names}
    return sum(not folded.isdisjoint(column.folded) for column in plan.columns if column.constant is None)
