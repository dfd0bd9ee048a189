"""What a whole batch shows of columns that changed places, of another unit, and of one value filled into all rows.

Each cell may be right by itself: an authority is a text, and so is a company. Only the whole column tells.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import log10
from statistics import median
from typing import Any

from chengxin.contracts.models import Contract
from chengxin.handover import Finding
from chengxin.model.elements import elements
from chengxin.model.kinds import Kind
from chengxin.model.schema import element_columns
from chengxin.validate.conditions import ident
from chengxin.validate.metrics import BATCH, Listing, Need, Scalar

# Fewer rows say nothing of a column.
_FEW = 20
_ENOUGH = 100_000  # rows
_REMARK = r"([(（].*[)）])?$"
_BUSINESS = r"(有限公司|有限责任公司|股份公司|合作社|经营部|商行|超市|网吧|工作室|[门商饭药酒]店|便利店)" + _REMARK
_AUTHORITY = r"([局委厅部院府署处站办队所行关会组科股室区市省县镇乡]|中心|街道|公安|税务|公司|系统)" + _REMARK
_MATCH, _NOT = "expect_column_values_to_match_regex", "expect_column_values_to_not_match_regex"
#: element -> what its column looks like: (suffix, type, regex, least share of rows, title, notes)
_SHAPES: dict[str, tuple[tuple[str, str, str, float, str, str], ...]] = {
    "authority_name": (
        ("business", _NOT, _BUSINESS, 1.0, "作出机关不是企业", "机关栏填的是企业名称，多半与名称栏对调"),
        ("kind", _MATCH, _AUTHORITY, 0.7, "作出机关像机关的名称", "三成以上不像机关名称，多半与别的列对调"),
    ),
    "legal_rep_name": (
        ("business", _NOT, _BUSINESS, 0.7, "法定代表人不是企业", "三成以上是企业名称，多半与名称栏对调"),
    ),
    "violation_facts": (("business", _NOT, _BUSINESS, 0.7, "违法事实不是企业名称", "多半与名称栏对调"),),
    "tax_type_name": (("kind", _MATCH, "税|费|金|罚|附加|收入|息", 0.5, "税种像税种的名称", "多半与别的列对调"),),
    "decision_no": (
        ("name", _NOT, rf"{_BUSINESS}|(局|委员会|政府|法院)$", 1.0, "文书号不是名称", "多半与名称或机关栏对调"),
    ),
    "institution_code": (("name", _NOT, "[一-鿿]", 1.0, "金融机构编码不含汉字", "编码栏填的是名称"),),
}
# How many times the usual amount is doubtful, and surely of another unit: 角, 分 and 千元 lie between, 万元 beyond.
_DOUBTFUL, _CERTAIN = 50, 900


def shapes(contract: Contract, kind: Kind) -> list[dict[str, Any]]:
    """Return the expectations about what columns look like, for those that the source itself fills."""
    given = {c.element for c in contract.columns}
    return [
        {
            "type": kind_of,
            "kwargs": {"column": e.id, "regex": regex, **({"mostly": share} if share < 1 else {})},
            "severity": "warning",
            "notes": f"{notes}；请提供部门核对各列的对应后重报",
            "meta": {"rule": f"shape.{e.id}.{suffix}", "title": title},
        }
        for e in kind.element_list()
        if e.id in given
        for suffix, kind_of, regex, share, title, notes in _SHAPES.get(e.id, ())
    ]


def needs(contract: Contract, kind: Kind, types: Mapping[str, str], rows: int) -> dict[str, Need]:
    """Return what has to be asked of a batch, by name: amounts by size, different values of two columns.

    Bounded in memory, and equal for equal rows. rows: of the batch; of many, a sample tells as much as all.
    """
    asked: dict[str, Need] = {}
    step = max(1, rows // _ENOUGH)
    chosen = f" AND row_id % {step} = 0" if step > 1 else ""
    given = {c.element for c in contract.columns}
    for element in kind.element_list():
        column = element_columns(element)[0].name
        if element.type == "money" and element.id in given and column in types:
            size = f"round(log10({ident(column)}::DOUBLE), 1)"
            asked[f"size.{column}"] = Scalar(f"histogram({size}) FILTER (WHERE {ident(column)} > 0)")
    for one, other in _pairs(kind, given):
        if {one, other} <= types.keys():
            # A query of its own: among the other aggregates these took as long as all of them together.
            asked[f"distinct.{one}.{other}"] = Listing(
                f"SELECT unnest([count(DISTINCT {ident(one)}), count(DISTINCT {ident(other)})]) FROM {BATCH} "
                f"WHERE {ident(one)} IS NOT NULL AND {ident(other)} IS NOT NULL{chosen}"
            )
    return asked


def sizes(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the decimal logarithm of the median amount of each column of money with enough amounts, for facts.json."""
    typical = {}
    for name, counted in found.items():
        if name.startswith("size.") and counted and sum(counted.values()) >= _FEW:
            half, seen = sum(counted.values()) / 2, 0
            for size in sorted(counted):
                seen += counted[size]
                if seen >= half:
                    typical[name.removeprefix("size.")] = float(size)
                    break
    return typical


def findings(found: Mapping[str, Any], history: Sequence[Mapping[str, Any]], kind: Kind) -> list[Finding]:
    """Say what the answers to `needs` show. history: facts of earlier admitted batches, oldest first."""
    return [*_units(sizes(found), history), *_repeated(found, kind)]


def _units(now: Mapping[str, float], history: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for column, size in now.items():
        before = [float(f["sizes"][column]) for f in history if column in f.get("sizes", {})]
        apart = size - median(before) if before else 0.0
        if abs(apart) >= log10(_DOUBTFUL):
            certain = abs(apart) >= log10(_CERTAIN)
            title = elements()[column.removesuffix("_yuan")].title
            times = f"{10 ** abs(apart):.0f}"
            than = f"约为此前各批的 {times} 倍" if apart > 0 else f"约为此前各批的 {times} 分之一"
            yield Finding(
                f"size.{column}",
                "critical" if certain else "warning",
                f"“{title}”的中位数{than}：多半是计量单位变了（元、千元、万元）{'，故暂不采用' * certain}。"
                f"请向提供部门核实：单位变了的，按约定的单位重报或修改合同的 unit；"
                f"{'确属无误的，用 chengxin release 放行并写明理由' if certain else '确属无误的，不必处理'}",
                times,
            )


def _pairs(kind: Kind, given: set[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of columns of which the first has at most one value for each of the second, or nearly so."""
    role = kind.roles.get("subject")
    identity = {str(part): element for part, element in role.identity.items()} if role else {}
    wanted = [(identity.get("name"), identity.get("uscc")), (identity.get("name"), identity.get("person_doc"))]
    wanted += [("decision_on", "decision_no")]
    yield from ((one, other) for one, other in wanted if one in given and other in given and one and other)


def _repeated(found: Mapping[str, Any], kind: Kind) -> Iterator[Finding]:
    titles = {e.id: e.title for e in kind.element_list()}
    for name in [n for n in found if n.startswith("distinct.")]:
        one, other = name.removeprefix("distinct.").split(".")
        many, few = found[name]
        ask = "请提供部门对照源系统核对后重报"
        if many >= 8 and many >= 1.5 * few:
            certain = many >= 10 * few and many >= _FEW and one != "decision_on"
            words = f"“{titles[one]}”有 {many} 个，“{titles[other]}”却只有 {few} 个：多半是向下填充或错列"
            after = f"，故暂不采用。{ask}；确属无误的，用 chengxin release 放行并写明理由" if certain else f"。{ask}"
            yield Finding(f"repeated.{other}", "critical" if certain else "warning", words + after, str(few))
        elif many == 1 and few >= _FEW and one != "decision_on":
            words = f"各行的“{titles[one]}”相同，“{titles[other]}”却有 {few} 个：多半是向下填充。{ask}"
            yield Finding(f"repeated.{one}", "warning", words, str(many))
