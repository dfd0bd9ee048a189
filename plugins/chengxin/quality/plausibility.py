"""What a whole batch shows of columns that changed places or slipped, of another unit, of one value in all rows.

Each cell may be right by itself: an authority is a text, and so is a company. Only the whole column tells.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import log10
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq

from chengxin.contracts.models import Contract
from chengxin.facts import Finding
from chengxin.model.elements import ColumnLook, Element, elements
from chengxin.model.kinds import Kind
from chengxin.model.looks import looks
from chengxin.model.schema import element_columns
from chengxin.quality import rounding
from chengxin.quality.conditions import ident, text_literal
from chengxin.quality.metrics import BATCH, Listing, Need

# Fewer rows say nothing of a column.
_FEW = 20
_SOME = 8  # values
_ENOUGH = 100_000  # rows
_RUN = 2_000  # rows of which amounts are compared with the number of their row
_CODES = ("uscc", "person_doc_no")
# How many times the usual amount is doubtful, and surely of another unit: 角, 分 and 千元 lie between, 万元 beyond.
_DOUBTFUL, _CERTAIN = 50, 900


def shapes(contract: Contract, kind: Kind) -> list[dict[str, Any]]:
    """Return the expectations about what columns look like, for those that the source itself fills."""
    given = {c.element for c in contract.columns}
    return [_shape(e, look) for e in kind.element_list() if e.id in given for look in e.looks]


def _shape(element: Element, said: ColumnLook) -> dict[str, Any]:
    name = said.like or said.unlike or ""
    look, least = looks()[name], {"mostly": said.share} if said.share < 1 else {}
    few = f"{1 - said.share:.0%}以上" if least else "有的值"
    return {
        "type": "expect_column_values_to_match_regex" if said.like else "expect_column_values_to_not_match_regex",
        "kwargs": {"column": element.id, "regex": look.regex, **least},
        "severity": "warning",
        "notes": f"{few}{'不像' if said.like else '是'}{look.title}，多半与别的列对调；请提供部门核对各列的对应后重报",
        "meta": {
            "rule": f"shape.{element.id}.{name}",
            "title": f"{element.title}{'像' if said.like else '不是'}{look.title}",
        },
    }


def needs(contract: Contract, kind: Kind, types: Mapping[str, str], parts: Sequence[Path]) -> dict[str, Need]:
    """Return what has to be asked of a batch, by name: see `findings`. Equal for equal rows.

    parts: of the batch. Of many rows whole parts of them tell as much as all: what lies beside each other stays so.
    """
    rows, given = _sample(parts), {c.element for c in contract.columns}
    asked = rounding.needs(contract, kind, types, rows)
    for element in kind.element_list():
        column = element_columns(element)[0].name
        if element.type == "money" and element.id in given and column in types:
            size = f"round(log10({ident(column)}::DOUBLE), 1)"
            asked[f"size.{column}"] = Listing(
                f"SELECT histogram({size}) FILTER (WHERE {ident(column)} > 0) FROM {rows}"
            )
            asked[f"running.{element.id}"] = Listing(_running(f"{element.id}_raw", rows))
    for one, other in _pairs(kind, given):
        if {one, other} <= types.keys():
            both = f"{rows} WHERE {ident(one)} IS NOT NULL AND {ident(other)} IS NOT NULL"
            counted = f"count(DISTINCT {ident(one)}), count(DISTINCT {ident(other)})"
            asked[f"distinct.{one}.{other}"] = Listing(f"SELECT unnest([{counted}]) FROM {both}")
            if other in _CODES:
                asked[f"crossed.{one}.{other}"] = Listing(_crossed(ident(one), ident(other), both))
    return asked


def _sample(parts: Sequence[Path]) -> str:
    """Return the batch, or some parts of it, evenly spread, that have enough rows together."""
    rows = [pq.read_metadata(part).num_rows for part in parts]
    step = max(1, sum(rows) // _ENOUGH // 2)
    chosen = [str(part) for part in parts[step // 2 :: step]]
    return f"read_parquet([{', '.join(map(text_literal, chosen))}])" if step > 1 and chosen else BATCH


def _running(column: str, rows: str) -> str:
    """Return SQL for two counts: amounts among the first, and those that count the rows up, or down, by one."""
    return f"""WITH said AS (SELECT n, source_row FROM (
            SELECT try_cast({ident(column)} AS DECIMAL(18, 2)) AS n, source_row
            FROM {rows} WHERE {ident(column)} IS NOT NULL LIMIT {_RUN}) WHERE n IS NOT NULL),
        runs AS (SELECT count(*) AS n FROM said GROUP BY n - source_row UNION ALL
            SELECT count(*) FROM said GROUP BY n + source_row)
        SELECT unnest([(SELECT count(*) FROM said), (SELECT max(n) FROM runs)])"""


def _crossed(name: str, code: str, rows: str) -> str:
    """Return SQL for five counts: names on several rows, those with several codes; the same of codes and names.

    The last: codes with several names of which some has several codes.
    """
    pairs = f"pairs AS (SELECT {name} AS one, {code} AS other, count(*) AS n FROM {rows} GROUP BY ALL)"

    def counts(column: str) -> str:
        of_each = f"SELECT count(*) AS k FROM pairs GROUP BY {column} HAVING sum(n) > 1"
        return f"(SELECT count(*) FROM ({of_each})), (SELECT count(*) FILTER (WHERE k > 1) FROM ({of_each}))"

    several = "SELECT one FROM pairs GROUP BY one HAVING count(*) > 1"
    crossed = f"SELECT other FROM pairs GROUP BY other HAVING count(*) > 1 AND bool_or(one IN ({several}))"
    return f"WITH {pairs} SELECT unnest([{counts('one')}, {counts('other')}, (SELECT count(*) FROM ({crossed}))])"


def sizes(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the decimal logarithm of the median amount of each column of money with enough amounts, for facts.json."""
    typical = {}
    for name, counted in found.items():
        counted = counted[0] if name.startswith("size.") else None
        if counted and sum(counted.values()) >= _FEW:
            half, seen = sum(counted.values()) / 2, 0
            for size in sorted(counted):
                seen += counted[size]
                if seen >= half:
                    typical[name.removeprefix("size.")] = float(size)
                    break
    return typical


def findings(found: Mapping[str, Any], history: Sequence[Mapping[str, Any]], kind: Kind) -> list[Finding]:
    """Say what the answers to `needs` show. history: facts of earlier admitted batches, oldest first."""
    columns = [*_repeated(found, kind), *_row_numbers(found), *_misplaced(found)]
    return [*_units(sizes(found), history), *columns, *rounding.findings(found)]


def _row_numbers(found: Mapping[str, Any]) -> Iterator[Finding]:
    """Hold amounts that count the rows: no list has such, but one whose column of numbers was exported as amounts."""
    for name in [n for n in found if n.startswith("running.")]:
        amounts, running = found[name]
        if amounts >= _FEW and running >= 0.9 * amounts:
            title = elements()[name.removeprefix("running.")].title
            message = (
                f"“{title}”逐行递增 1（看过 {amounts} 行，其中 {running} 行如此）：多半是把序号当成了金额，故暂不采用。"
                "请提供部门核对各列的对应后重报；确属无误的，用 chengxin release 放行并写明理由"
            )
            yield Finding(f"running.{name.removeprefix('running.')}", "critical", message, str(running), running)


def _misplaced(found: Mapping[str, Any]) -> Iterator[Finding]:
    """Tell of codes that stand on the rows of other names: whoever occurs twice has now one code, now another.

    A chain has many codes under one name, and a renamed company two names under one code; only a column that has
    slipped has both.
    """
    for name in [n for n in found if n.startswith("crossed.")]:
        one, other = name.removeprefix("crossed.").split(".")
        names, several_codes, codes, several_names, crossed = found[name]
        share = min(several_codes / max(names, 1), several_names / max(codes, 1))
        if min(several_codes, several_names, crossed) >= _SOME and share >= 0.5:
            certain = min(names, codes) >= _FEW and share >= 0.8
            titles = elements()[one].title, elements()[other].title
            message = (
                f"出现不止一次的“{titles[0]}”有 {names} 个，其中 {several_codes} 个的“{titles[1]}”前后不同；"
                f"“{titles[1]}”相同而名称不同的也有 {several_names} 个：多半是两列错行{'，故暂不采用' * certain}。"
                f"请提供部门对照源系统核对后重报{'；确属无误的，用 chengxin release 放行并写明理由' * certain}"
            )
            yield Finding(f"crossed.{other}", "critical" if certain else "warning", message, f"{share:.2f}")


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
    role, related = kind.roles.get("subject"), kind.roles.get("related")
    identity = {str(part): element for part, element in role.identity.items()} if role else {}
    wanted = [(identity.get("name"), identity.get("uscc")), (identity.get("name"), identity.get("person_doc"))]
    for number in kind.key:
        if elements()[number].type == "document_no" and number not in kind.key_optional:
            wanted += [(kind.event_on, number)]
            wanted += [(related.identity.get("name"), number)] if related else []
    yield from ((one, other) for one, other in wanted if one in given and other in given and one and other)


def _repeated(found: Mapping[str, Any], kind: Kind) -> Iterator[Finding]:
    titles = {e.id: e.title for e in kind.element_list()}
    for name in [n for n in found if n.startswith("distinct.")]:
        one, other = name.removeprefix("distinct.").split(".")
        many, few = found[name]
        ask = "请提供部门对照源系统核对后重报"
        if many >= _SOME and many >= 1.5 * few:
            certain = many >= 10 * few and many >= _FEW and one != kind.event_on
            words = f"“{titles[one]}”有 {many} 个，“{titles[other]}”却只有 {few} 个：多半是向下填充或错列"
            after = f"，故暂不采用。{ask}；确属无误的，用 chengxin release 放行并写明理由" if certain else f"。{ask}"
            yield Finding(f"repeated.{other}", "critical" if certain else "warning", words + after, str(few))
        elif many == 1 and few >= _FEW and one != kind.event_on:
            words = f"各行的“{titles[one]}”相同，“{titles[other]}”却有 {few} 个：多半是向下填充。{ask}"
            yield Finding(f"repeated.{one}", "warning", words, str(many))
