"""Write docs/reference/ from the models: contract, schema, elements, kinds, rules, code lists, data sets, settings.

`python -m chengxin.contracts.describe` writes the pages; with `--check` it only says which are out of date and exits 1.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chengxin.contracts.loader import load
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import ENVELOPE
from chengxin.model.codelists import codelists
from chengxin.model.elements import Element, elements
from chengxin.model.kinds import Kind, kinds
from chengxin.model.rules import Rule, batch_rules, link_rules, rules
from chengxin.model.schema import PROVENANCE, ColumnSpec, kind_columns
from chengxin.settings import PROJECT, Secret, variables
from chengxin.store.atomic import write_bytes

REFERENCE = PROJECT / "docs" / "reference"
CONTRACTS = PROJECT / "dags" / "contracts"
SENSITIVITY = {
    "open": "公开",
    "name": "自然人时遮盖",
    "person_name": "遮盖",
    "identifier": "不进入开放层（个人标识）",
    "restricted": "只在政务层",
    "free_text": "脱敏后公开",
}
LEVELS = {"open": "公开", "government": "政务共享", "authorised": "授权查询", "sealed": "封存，不在任何快照"}
STANDINGS = {"standing": "有效", "objected": "异议中", "expired": "公示期满", "ended": "已移出", "withdrawn": "已撤回",
             "repaired": "已修复"}  # fmt: skip
SUBJECTS = {"enterprise": "企业", "household": "个体工商户", "organisation": "其他组织", "person": "自然人"}
STEPS = {"day": "日", "month": "月", "year": "年", "county": "县", "prefecture": "市州", "province": "省",
         "value": "原值", "suppressed": "隐去"}  # fmt: skip
BLOCKS = ("Contract", "Department", "Basis", "DeliverySpec", "FileSpec", "FixedField", "Column", "Quality", "Threshold",
          "LinkingSpec", "Feedback", "Route", "Example", "Expected")  # fmt: skip

_KEYS = r"(?:[a-z_]+, )*[a-z_]+(?: \([a-zA-Z ]+\))?"


def pages() -> dict[str, str]:
    """Return every reference page: file name -> text."""
    return {
        "contract.md": contract_page(),
        "contract.schema.json": json.dumps(schema(), ensure_ascii=False, indent=1) + "\n",
        "elements.md": elements_page(),
        "kinds.md": kinds_page(),
        "rules.md": rules_page(),
        "codelists.md": codelists_page(),
        "datasets.md": datasets_page(),
        "settings.md": settings_page(),
    }


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a contract."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Contract.model_json_schema()}


def contract_page() -> str:
    """Describe every block of a contract: keys, types, defaults, meaning."""
    whole = schema()
    lines = begin_page(
        "数据合同 Contract", "一个 YAML 文件就是一个数据集：`dags/contracts/<domain>/<id>.yaml`。未知的键一律拒绝。"
    )
    lines += [
        "How to write one: [adding-a-source](../adding-a-source.md). Schema for editors: `contract.schema.json`. "
        "Options of connectors: [connectors](connectors.md).",
        "",
    ]
    return join_lines([*lines, *describe_blocks({"Contract": whole, **whole["$defs"]}, BLOCKS)])


def describe_blocks(schemas: Mapping[str, dict[str, Any]], names: Iterable[str]) -> list[str]:
    """Describe models by their JSON Schema, a section each: docstring, then a table of keys, types and defaults."""
    lines = []
    for name in names:
        block = schemas[name]
        rows = [
            (f"`{key}`", _type_words(body), "必填" if key in block.get("required", ()) else _default(body))
            for key, body in block["properties"].items()
        ]
        lines += [f"## {name}", "", *_docstring(block["description"]), ""]
        lines += [*_table(("键 key", "类型 type", "缺省 default"), rows), ""]
    return lines


def settings_page() -> str:
    """List the variables of the environment."""
    lines = begin_page("环境变量 Settings", "程序读取的全部环境变量；`chengxin --help` 中的选项优先。")
    lines += [
        "A secret may be a file: `<VARIABLE>_FILE` names it, or it lies under the name of the variable in the folder",
        "`CHENGXIN_CREDENTIALS`. `CHENGXIN_CONN_<NAME>` holds the URL of a connection that a contract names, and is a",
        "secret too ([deployment](../deployment.md#connections-and-secrets)).",
        "A value that makes no sense stops the command.",
        "",
    ]
    rows = []
    for field, variable, kind in variables():
        is_secret = kind is Secret or field == "token_key"
        rows.append(
            (f"`{variable.name}`", variable.default or "—", variable.meaning + ("; a secret" if is_secret else ""))
        )
    return join_lines([*lines, *_table(("变量 variable", "缺省 default", "含义 meaning"), rows)])


def elements_page() -> str:
    """List the data elements."""
    lines = begin_page(
        "数据元 Data elements",
        "合同的 `element` 取自本表；同一数据元在各记录种类中含义相同。信封数据元可用于任何合同。",
    )
    rows = [
        (
            f"`{e.id}`",
            e.title,
            e.title_en,
            e.type,
            _codelist(e),
            SENSITIVITY[e.sensitivity],
            e.source or "",
            e.note or "",
        )
        for e in elements().values()
    ]
    head = ("数据元", "中文名", "English", "类型", "代码表", "开放层", "依据、来源", "说明")
    envelope = "、".join(f"`{name}`" for name in ENVELOPE)
    return join_lines([*lines, f"信封数据元：{envelope}。", "", *_table(head, rows)])


def kinds_page() -> str:
    """Write the data dictionary: every record kind with the columns of its table."""
    lines = begin_page(
        "数据字典 Record kinds",
        "一个记录种类对应一张表。各表另有来源列，见文末；主体列和各种类共用的表见 [怎样读取](../analysts/zh.md)。",
    )
    lines += _table(("表", "中文名", "English", "目录类别"), [
        (f"[`{k.id}`](#{k.id})", k.title, k.title_en, k.catalogue_class) for k in kinds().values()
    ])  # fmt: skip
    for kind in kinds().values():
        lines += ["", f"## {kind.id}", "", *_kind_facts(kind), "", *_dictionary(kind_columns(kind), kind)]
    lines += ["", "## 来源列 Provenance", "", "每张表的每一行都有：", "", *_dictionary(PROVENANCE, None)]
    return join_lines(lines)


def rules_page() -> str:
    """List the rules that an issue row or a verdict can name."""
    lines = begin_page(
        "规则 Rules",
        "error：该值不可用，置空；warning：保留或已修正。必填项不可用、主体标识不可用时，整行进入疑问数据。",
    )
    head = ("规则", "级别", "问题", "处理", "What is wrong", "What to do")
    lines += _table(head, [_rule_row(rule) for rule in rules().values()])
    lines += [
        "",
        "## 整批 Of a batch",
        "",
        "critical：整批暂缓；warning：采用并提醒；info：只记录。`*` 代表种类或列。",
        "",
    ]
    lines += _table(head, [_rule_row(rule) for rule in batch_rules().values()])
    lines += ["", "## 待关联、被取代的行 Of a row of an admitted batch", ""]
    return join_lines([*lines, *_table(head, [_rule_row(rule) for rule in link_rules().values()])])


def _rule_row(rule: Rule) -> tuple[str, ...]:
    return f"`{rule.id}`", rule.level, rule.zh, rule.mend_zh, rule.en, rule.mend_en


def codelists_page() -> str:
    """List the code lists."""
    lines = begin_page(
        "代码表 Code lists",
        "来源值写代码、名称或别名都可以；其他写法在合同 `codes` 中对应，未对应的为 `code.unknown`。",
    )
    for name, entries in codelists().items():
        users = "、".join(f"`{e.id}`" for e in elements().values() if e.codelist == name)
        rows = [(f"`{c.code}`", c.name, c.name_en, "、".join(c.aliases)) for c in entries.values()]
        lines += ["", f"## {name}", "", f"用于 {users}", "", *_table(("代码", "名称", "English", "别名"), rows)]
    return join_lines(lines)


def datasets_page() -> str:
    """List the data sets whose contracts are in the tree."""
    lines = begin_page("数据集 Data sets", "由 `dags/contracts/` 生成。")
    cadences = {"hourly": "每小时", "daily": "每日", "weekly": "每周", "monthly": "每月", "quarterly": "每季度",
                "yearly": "每年", "irregular": "不定期"}  # fmt: skip
    rows = [
        (f"`{c.id}`", c.title, c.department.name, f"[`{c.kind}`](kinds.md#{c.kind})", c.delivery.connector,
         c.file.format, "全量" if c.delivery.mode == "full" else "增量", cadences[c.delivery.cadence], c.basis.share,
         c.basis.legal)
        for c in load(CONTRACTS).contracts.values()
    ]  # fmt: skip
    head = ("数据集", "名称", "提供部门", "记录种类", "接入", "格式", "方式", "周期", "共享属性", "依据")
    return join_lines([*lines, *_table(head, rows)])


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or with --check compare them. Return the exit code."""
    return write_or_check(pages, "contracts", arguments)


def write_or_check(made: Callable[[], Mapping[str, str]], layer: str, arguments: list[str] | None) -> int:
    """Write the pages that a layer makes, or with --check compare them. Return the exit code."""
    parser = argparse.ArgumentParser(description="docs/reference/ from the models")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when a page is out of date")
    check = parser.parse_args(arguments).check
    stale = {name: page for name, page in made().items() if _read(REFERENCE / name) != page}
    if not check:
        for name, page in stale.items():
            write_bytes(REFERENCE / name, page.encode())
        return 0
    for name in stale:
        sys.stderr.write(f"docs/reference/{name} 与模型不一致，请运行 python -m chengxin.{layer}.describe\n")
    return 1 if stale else 0


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


def begin_page(title: str, words: str, layer: str = "contracts") -> list[str]:
    """Begin a generated page."""
    return [f"# {title}", "", f"<!-- generated by chengxin.{layer}.describe; do not edit -->", "", words, ""]


def join_lines(lines: Iterable[str]) -> str:
    """Join the lines of a page."""
    return "\n".join(lines).rstrip() + "\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    cells = [tuple(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *cells)]


def _docstring(text: str) -> list[str]:
    """Turn `key: meaning` lines of a docstring into a list; join the lines that continue one."""
    joined = re.sub(r"\n +", " ", text).splitlines()
    lines = [f"- {_keys(line)}" if re.match(rf"{_KEYS}: |[a-z_]+ = ", line) else line for line in joined]
    return [re.sub(r"<(?=\w)(?=[^`]*(?:`[^`]*`[^`]*)*$)", "&lt;", line) for line in lines]  # but within `code`


def _keys(line: str) -> str:
    return re.sub(rf"(?:^|(?<=[.;] ))({_KEYS}):(?=\s)", r"**\1**:", line)


def _type_words(body: dict[str, Any]) -> str:
    """Put a property of a JSON Schema into words."""
    if "$ref" in body:
        name = body["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in body:
        return " / ".join(_type_words(part) for part in body["anyOf"] if part != {"type": "null"})
    if "enum" in body or "const" in body:
        return " / ".join(f"`{value}`" for value in body.get("enum", [body.get("const")]))
    if body.get("type") == "array":
        items = body.get("items") or {}
        return f"list of {_type_words(items)}" if items else f"list of {len(body['prefixItems'])} integers"
    if body.get("type") == "object":
        inner = body.get("additionalProperties")
        return f"mapping to {_type_words(inner)}" if isinstance(inner, dict) else "mapping"
    words = {"string": "text", "boolean": "true / false"}.get(str(body.get("type")), str(body.get("type", "any")))
    return f"{words} `{body['pattern']}`" if "pattern" in body else words


def _default(body: dict[str, Any]) -> str:
    default = body.get("default", "空" if body.get("type") == "object" else None)
    if "$ref" in body:
        return "见该节"
    if isinstance(default, dict | list):
        return json.dumps(default, ensure_ascii=False) if default else "空"
    if default is None or isinstance(default, bool):
        return {None: "无", True: "true", False: "false"}[default]
    return str(default) or '""'


def _codelist(element: Element) -> str:
    return f"[{element.codelist}](codelists.md#{element.codelist})" if element.codelist else ""


def _kind_facts(kind: Kind) -> list[str]:
    """Describe in sentences who the subjects are, what names a record, and who may see it."""

    def titled(names: Iterable[str]) -> str:
        return "、".join(f"`{name}`" for name in names) or "无"

    facts = [f"{kind.title}（{kind.title_en}）。目录类别：{kind.catalogue_class}。依据：{kind.basis or '—'}。", ""]
    for role, part in kind.roles.items():
        needed = "必须关联" if part.required else "可不关联"
        facts.append(
            f"- 主体 `{role}`：{part.title}（{needed}），标识：{titled(dict.fromkeys(part.identity.values()))}"
        )
    facts.append(f"- 必需：{titled(kind.required)}")
    facts.append(f"- 主键：主体 + {titled(kind.key)}" if kind.key else "- 主键：主体（每个主体一条）")
    facts += ["- 共享层级（自上而下，先合者定）：", *_sharing_words(kind)]
    facts += _open_words(kind)
    if kind.registers == "found":
        facts.append("- 主体未知时建立新主体")
    if kind.name_history:
        facts.append(f"- 曾用名取自 `{kind.name_history.before}`")
    if kind.note:
        facts.append(f"- {kind.note}")
    return facts


def _sharing_words(kind: Kind) -> Iterator[str]:
    """Yield the rules of the levels in their order, as a jurist reads them."""
    for n, rule in enumerate(kind.sharing, start=1):
        told = [
            *(["、".join(SUBJECTS[subject] for subject in rule.subject_types)] if rule.subject_types else []),
            *(f"`{name}` 为 {'、'.join(values)}" for name, values in rule.when.items()),
            *(["、".join(STANDINGS[name] for name in rule.standing)] if rule.standing else []),
            *(["公示期[依法推算](../law.md)"] if rule.level == "open" and kind.publicity else []),
        ]
        yield f"  {n}. {LEVELS[rule.level]}：{'；'.join(told) or '其余'}"
    if "authorised" in kind.levels:
        yield f"  {len(kind.sharing) + 1}. {LEVELS['authorised']}：其余"


def _open_words(kind: Kind) -> Iterator[str]:
    """Yield by which law the open tier shows persons and households by name, or what it shows of them without one."""
    articles: dict[str, list[str]] = {}
    for subject_type, article in kind.open_persons.items():
        articles.setdefault(article, []).append(SUBJECTS[subject_type])
    for article, titles in articles.items():
        yield f"- {'、'.join(titles)}依法公布名称：{article}"
    if kind.anonymous_types:
        titles = [title for subject_type, title in SUBJECTS.items() if subject_type in kind.anonymous_types]
        steps = "，".join(
            f"`{name}` {'→'.join(STEPS[step] for step in steps)}" for name, steps in kind.quasi_identifiers.items()
        )
        yield f"- {'、'.join(titles)}在开放层只见于 `{kind.id}_anonymous`（[k-匿名](../law.md)），依次泛化：{steps}"


def _dictionary(columns: Iterable[ColumnSpec], kind: Kind | None) -> list[str]:
    rows = []
    for column in columns:
        element = column.element
        needed = "是" if kind and element and element.id in kind.required else ""
        visible = SENSITIVITY[element.sensitivity] if element else "公开"
        source = (element.source or "") if element else ""
        codes = _codelist(element) if element and column.name == element.id else ""
        rows.append((f"`{column.name}`", column.sql_type, column.title, needed, codes, visible, source))
    return _table(("列", "类型", "中文名", "必需", "代码表", "开放层", "来源"), rows)


if __name__ == "__main__":
    sys.exit(main())
