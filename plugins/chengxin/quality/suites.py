"""From a contract, a kind's rule pack and the facts of earlier batches to one GX suite (a JSON dict without ids).

A bound may be {"$PARAMETER": "today - 365"} or {"$PARAMETER": "year"}: `bind` puts the day in, so that the composed
suite does not change from day to day. `meta.min_rows` makes a rule count only for batches of at least so many rows;
with `meta.or_empty` it counts as well where a column is empty throughout.
"""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from chengxin.contracts.models import Contract
from chengxin.errors import ContractError
from chengxin.facts import BatchLevel
from chengxin.model import kinds as kinds_module
from chengxin.model.elements import Element
from chengxin.model.kinds import Kind
from chengxin.model.schema import element_columns, kind_columns
from chengxin.quality import plausibility
from chengxin.quality.conditions import unsupported_regex
from chengxin.quality.evidence import BatchFacts
from chengxin.quality.expectations import Expectation, expectation, load_pack
from chengxin.quality.metrics import SUPPORTED

# So many earlier batches make the history, newest last: a year of monthly lists.
HISTORY = 12
_SEVERITIES = ("critical", "warning", "info")
_PARAMETER = re.compile(r"(today|year)(?:\s*([+-])\s*(\d+))?")
_ROW_COUNT = "expect_table_row_count_to_be_between"
_KEY_IDENTITIES = ("uscc", "person_doc", "reg_no", "org_code", "tax_no", "loan_card_no")


def compose(contract: Contract, kind: Kind, pack: Path, history: Sequence[BatchFacts]) -> dict[str, Any]:
    """Return the suite of a data set: what its contract requires, then the rules of its kind.

    pack: the folder of rule packs, or one pack. history: facts of earlier accepted batches, oldest first.
    Rules of the pack about columns that the contract does not fill are left out and named in meta.
    """
    recent = list(history)[-HISTORY:]
    derived = [*_volume(contract, recent), *_fill(contract, kind, recent), *_codes(contract, kind)]
    derived += [*_keys(contract, kind), *_freshness(contract, kind), *plausibility.shapes(contract, kind)]
    few = contract.quality.min_rows
    absent = _absent_columns(contract, kind)
    rules, left_out = [], []
    for rule in load_pack(pack, kind.id):
        if absent & set(columns_of(rule)):
            left_out.append(rule["meta"]["rule"])
        else:
            rules.append(rule)
    return {
        "name": contract.id,
        "expectations": [with_enough(rule, few) for rule in derived + rules],
        "meta": {"kind": kind.id, "left_out": left_out, "title": f"{contract.title}（{kind.title}）"},
    }


def with_enough(rule: Expectation, few: int) -> Expectation:
    """Let a rule about a share of the rows count for enough of them only, unless it declares for how many."""
    share = "mostly" in rule["kwargs"] or "proportion_of_non_null" in rule["type"]
    return {**rule, "meta": {"min_rows": few, **rule["meta"]}} if share else rule


def relation(contract: Contract, kind: Kind) -> Expectation | None:
    """Return the rule that relates a data set to the registry: its subjects are registered elsewhere, mostly.

    None where the data set founds subjects itself or gives no USCC of its subject.
    """
    role = kind.roles.get("subject")
    if (
        kind.registers == "found"
        or role is None
        or role.identity.get("uscc") != "uscc"
        or "uscc" not in mapped(contract)
    ):
        return None
    where = {"column": "is_known_subject", "value_set": [True], "mostly": contract.quality.known}
    # null without a USCC, then not counted
    return expectation("expect_column_values_to_be_in_set", "relation.subject_known", where)


def unsupported(suite: Mapping[str, Any]) -> list[str]:
    """Return the expectation types of a suite whose metrics the engine does not know, sorted. Cheap: imports no GX."""
    return sorted({str(e.get("type")) for e in suite.get("expectations", ())} - SUPPORTED)


def problems(suite: Mapping[str, Any], columns: Iterable[str]) -> list[str]:
    """Return what is wrong with a rule pack, in words: unknown types or columns, missing title, notes or severity."""
    names = set(columns)
    found = [f"校验引擎不支持的规则类型：{kind}" for kind in unsupported(suite)]
    seen: set[str] = set()
    for rule in suite.get("expectations", ()):
        meta = rule.get("meta", {})
        label = meta.get("rule") or rule.get("type")
        if rule.get("severity") not in _SEVERITIES:
            found.append(f"{label}：severity 必须是 critical、warning 或 info")
        if not meta.get("rule") or not meta.get("title") or not rule.get("notes"):
            found.append(f"{label}：缺少 meta.rule、meta.title 或 notes")
        if "id" in rule:
            found.append(f"{label}：规则不写 id")
        if label in seen:
            found.append(f"{label}：meta.rule 重复")
        seen.add(str(label))
        found += [f"{label}：没有「{name}」这一列" for name in columns_of(rule) if name not in names]
        if unsupported_regex(str(rule.get("kwargs", {}).get("regex", ""))):
            found.append(f"{label}：正则表达式不能用前后断言和反向引用")
    return found


def bind(suite: Mapping[str, Any], today: date) -> dict[str, Any]:
    """Put the day into a suite's parameters."""
    bound: dict[str, Any] = json.loads(json.dumps(suite))
    for rule in bound["expectations"]:
        for key, value in rule["kwargs"].items():
            if isinstance(value, dict) and "$PARAMETER" in value:
                rule["kwargs"][key] = _day_of(str(value["$PARAMETER"]), today)
    return bound


def columns_of(rule: Mapping[str, Any]) -> list[str]:
    """Return the columns that a rule reads, its row condition included."""
    kwargs = rule.get("kwargs", {})
    named = [kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs]
    return named + list(kwargs.get("column_list", ())) + _condition_columns(kwargs.get("row_condition"))


def _condition_columns(condition: Any) -> list[str]:
    if not isinstance(condition, Mapping):
        return []
    if "conditions" in condition:
        return [name for part in condition["conditions"] for name in _condition_columns(part)]
    return [condition["column"]["name"]]


def _day_of(expression: str, today: date) -> str | int:
    parsed = _PARAMETER.fullmatch(expression.strip())
    if parsed is None:
        raise ContractError(f"规则参数只能写 today 或 year，可加减天数或年数，不能写「{expression}」")
    shift = int(f"{parsed[2] or ''}{parsed[3] or 0}")
    return today.year + shift if parsed[1] == "year" else (today + timedelta(days=shift)).isoformat()


def mapped(contract: Contract) -> set[str]:
    """Return the elements that a contract fills, envelope included."""
    return {c.element for c in contract.columns} | set(contract.constants)


def _absent_columns(contract: Contract, kind: Kind) -> set[str]:
    given = mapped(contract)
    return {c.name for c in kind_columns(kind) if c.element is not None and c.element.id not in given}


def _volume(contract: Contract, recent: Sequence[BatchFacts]) -> list[Expectation]:
    found = []
    if contract.quality.rows is not None:
        low, high = contract.quality.rows
        found.append(expectation(_ROW_COUNT, "volume.contract", {"min_value": low, "max_value": high}))
    rows = [f.rows for f in recent]
    found += _shrink(contract, recent)
    if len(rows) >= 2 and median(rows) >= contract.quality.min_rows:
        usual = median(rows)
        times = contract.quality.volume
        limits = {"min_value": int(usual / times), "max_value": int(usual * times)}
        stated, before, place = str(len(rows)), f"{usual:g}", f"{times:g}"
        found.append(expectation(_ROW_COUNT, "volume.history", limits, stated=stated, found=before, place=place))
    return found


def _shrink(contract: Contract, recent: Sequence[BatchFacts]) -> list[Expectation]:
    """Return the two bounds of a full delivery against the newest full one before: what it lacks is withdrawn."""
    before = next((f.rows for f in reversed(recent) if f.mode == "full"), 0)
    if contract.delivery.mode != "full" or before < 2:
        return []
    limits = contract.quality.shrink
    found = []
    for rule, share, few in (
        ("volume.shrink", limits.hold, 0),
        ("volume.shrink.warn", limits.warn, contract.quality.min_rows),
    ):
        if before >= few and share < 1:
            least = {"min_value": before - int(before * share + 1e-9)}
            found.append(expectation(_ROW_COUNT, rule, least, stated=f"{share:.1%}"))
            found[-1]["meta"]["before"] = before
    return found


def _fill(contract: Contract, kind: Kind, recent: Sequence[BatchFacts]) -> list[Expectation]:
    given = mapped(contract)
    return [rule for e in kind.element_list() if e.id in given for rule in _fill_of(e, contract, kind, recent)]


def _fill_of(element: Element, contract: Contract, kind: Kind, recent: Sequence[BatchFacts]) -> list[Expectation]:
    column = element_columns(element)[0].name
    source = next((c for c in contract.columns if c.element == element.id), None)
    required, optional = (source.required, source.optional) if source else (None, False)

    def always(rule: Expectation) -> list[Expectation]:
        """Let a column count that is empty throughout, however few rows there are: then the delivery is of no use."""
        return [{**rule, "meta": {**rule["meta"], "or_empty": True}}]

    def guard(suffix: str, level: BatchLevel, *, found: str = "", stated: str = "", **bounds: Any) -> Expectation:
        kind_of = "expect_column_proportion_of_non_null_values_to_be_between"
        words = {"place": element.title, "found": found, "stated": stated}
        rule = expectation(kind_of, f"fill.{column}{suffix}", {"column": column} | bounds, level=level, **words)
        if shares:  # for words only: a fact that a person compares with
            rule["meta"]["usual"] = median(shares)
        return rule

    known = [f for f in recent if column in f.fill]
    shares = [f.fill[column] for f in known]
    quality = contract.quality
    least = quality.fill.get(element.id)
    if least is not None:
        return always(guard("", "critical", min_value=least))
    if (
        source and source.one_of
    ):  # which of them the rows have may change; a row with none of them has an issue of its own
        return []
    # the event of a kind that founds persons is a death: most have none
    event = kind.event_on if kind.founds != "person" else None
    named = {*kind.required, *kind.key, event} - set(kind.key_optional)
    if required or (element.id in named and required is None):
        return always(guard("", "critical", min_value=quality.filled))
    usual = median(shares) if len(shares) >= 2 else None
    once = None
    if len(shares) == 1 and shares[0] >= quality.filled and known[0].rows >= quality.min_rows:
        once = shares[0] if element.id != kind.effective_to_on else None  # ends come later, or never
    found = []
    if (element.id == kind.effective_from_on and not optional) or (usual is not None and usual >= quality.filled):
        found.append(guard("", "critical", min_value=0, strict_min=True))
    if before := usual or once:
        words = {"found": str(len(shares)), "stated": f"{before:.1%}"}
        found.append(guard(".history", "warning", min_value=round(before * (1 - quality.fill_drop), 6), **words))
    elif not found:
        # an end that has not come yet is the usual case
        open_ended = element.id == kind.effective_to_on or (element.id == kind.event_on and event is None)
        level: BatchLevel = "info" if optional or open_ended or usual == 0 else "warning"
        found.append(guard("", level, min_value=0, strict_min=True))
    return found


def _codes(contract: Contract, kind: Kind) -> list[Expectation]:
    found = []
    given = mapped(contract)
    for element in kind.element_list():
        values = code_list(element.codelist) if element.type == "code" and element.codelist else ()
        if element.id in given and values:
            kwargs = {"column": element.id, "value_set": list(values)}
            kind_of, stated = "expect_column_values_to_be_in_set", element.codelist or ""
            found.append(expectation(kind_of, f"code.{element.id}", kwargs, place=element.title, stated=stated))
    return found


@cache
def code_list(name: str) -> tuple[str, ...]:
    """Return the codes of model/codelists/<name>.csv in file order; empty where there is no such list."""
    path = Path(kinds_module.__file__).parent / "codelists" / f"{name}.csv"
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="") as stream:
        return tuple(row["code"] for row in csv.DictReader(stream) if row.get("code"))


def _keys(contract: Contract, kind: Kind) -> list[Expectation]:
    given = mapped(contract)
    role = kind.roles.get("subject")
    identity: dict[str, str] = {str(part): element for part, element in role.identity.items()} if role else {}
    who = [identity[part] for part in _KEY_IDENTITIES if identity.get(part) in given][:1]
    who += [identity["name"]] if identity.get("name") in given else []
    if not who or not set(kind.key) - set(kind.key_optional) <= given:
        return []
    by_id = {e.id: e for e in kind.element_list()}
    wanted = dict.fromkeys([*who, *(k for k in kind.key if k in given)])
    columns = [element_columns(by_id[e])[0].name for e in wanted if e in by_id]
    unique, where = "expect_compound_columns_to_be_unique", {"column_list": columns, "mostly": contract.quality.unique}
    if len(columns) == 1:
        unique, where = "expect_column_values_to_be_unique", {"column": columns[0], "mostly": contract.quality.unique}
    return [expectation(unique, "duplicate.key", where)]


def _freshness(contract: Contract, kind: Kind) -> list[Expectation]:
    days = contract.quality.freshness_days
    if days is None or kind.event_on is None or kind.event_on not in mapped(contract):
        return []
    limits = {"column": kind.event_on, "min_value": {"$PARAMETER": f"today - {days}"}}
    return [expectation("expect_column_max_to_be_between", "freshness", limits, stated=str(days))]
