"""Check contracts against the model and against each other. Everything found is a problem in words, Chinese first."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from chengxin.contracts.headers import fold_header
from chengxin.contracts.loader import Problem
from chengxin.contracts.models import UNDECIDED, Contract, FileSpec
from chengxin.contracts.plan import ENVELOPE
from chengxin.contracts.secrets import secrets
from chengxin.errors import ContractError
from chengxin.model.codelists import codelists
from chengxin.model.elements import elements
from chengxin.model.identifiers import SEPARABLE
from chengxin.model.kinds import Kind, kinds
from chengxin.model.lawful_terms import FILE, lawful_terms
from chengxin.model.regions import known_codes
from chengxin.model.rules import rules
from chengxin.model.schema import element_columns, kind_columns
from chengxin.model.units import unit_in

# What a connector cannot do without; the connectors check the rest of their options themselves.
NEEDED_OPTIONS = {"file_drop": (), "http_api": ("connection",), "database": ("connection", "table")}


def lint(contracts: Mapping[str, Contract], expectations: Path, *, terms: Path = FILE) -> tuple[Problem, ...]:
    """Return everything wrong with contracts, expectation packs and the file of lawful terms, sorted by file."""
    found = [
        Problem(_path(contract), message) for contract in contracts.values() for message in lint_contract(contract)
    ]
    found += _departments(contracts.values())
    found += _routes(contracts.values())
    found += _packs(expectations)
    found += _terms(terms)
    return tuple(sorted(set(found)))


def lint_contract(contract: Contract) -> Iterator[str]:
    """Yield what is wrong with one contract on its own."""
    yield from _undecided(contract)
    if contract.region not in known_codes():
        yield f"region：没有 {contract.region} 这个行政区划，地名会认不出；请写 GB/T 2260 的代码"
    kind = kinds().get(contract.kind)
    if kind is None:
        yield f"kind：没有名为 {contract.kind} 的记录种类，可用：{'、'.join(kinds())}"
        return
    yield from _mapped_elements(contract, kind)
    yield from _needed_elements(contract, kind)
    yield from _key_elements(contract, kind)
    yield from _one_of(contract, kind)
    yield from _headers(contract)
    yield from _units(contract)
    yield from _codes(contract)
    yield from _delivery(contract)
    yield from _versions(contract, kind)
    yield from _linking(contract, kind)
    yield from _feedback(contract)
    yield from secrets(contract)
    yield from _fixed_fields(contract)
    yield from _examples(contract, kind)
    if kind.sealed and contract.basis.share != "不予":
        yield f"basis.share：{contract.kind} 依法封存，应为 不予"
    shared = bool(kind.levels & {"government", "open"})
    if not shared and contract.basis.share == "无条件":
        yield f"basis.share：{contract.kind} 只能经授权查询，应为 有条件 或 不予"
    if shared and "信息主体授权" in (contract.basis.condition or ""):
        yield f"basis.condition：须经信息主体授权的数据不能用 {contract.kind}，该种类不经授权即共享"


def _terms(path: Path) -> Iterator[Problem]:
    try:
        lawful_terms(path)
    except ContractError as error:
        yield Problem(path.name, str(error))


def refuse_unfinished(contract: Contract) -> None:
    """Raise ContractError where a contract may not run: a draft nobody has finished, or without what each record needs.

    What is still 待定 would be left out of the data without anybody's decision; a licence without its number would be
    published as one.
    """
    kind = kinds().get(contract.kind)
    wrong = [*_undecided(contract), *(_needed_elements(contract, kind) if kind else ())]
    wrong += [f"codes.{name}：尚未决定" for name, words in contract.codes.items() if UNDECIDED in words.values()]
    if wrong:
        more = f"等 {len(wrong)} 处" if len(wrong) > 3 else ""
        told = "；".join(wrong[:3]) + more
        raise ContractError(f"数据合同 {contract.id} 尚未完成，未接收来文：{told}；请按 chengxin contracts lint 改好")


def _path(contract: Contract) -> str:
    return f"{contract.domain}/{contract.id}.yaml"


def _undecided(contract: Contract) -> Iterator[str]:
    """Refuse what a draft left open: nothing may be left out of a source because nobody looked."""
    for place, value, advice in (
        ("title", contract.title, "请写数据集名称"),
        ("department.name", contract.department.name, "请写报送部门的代码和名称"),
        ("basis.legal", contract.basis.legal, "请写法定依据，并核对 share"),
        ("basis.condition", contract.basis.condition, "请写共享条件"),
    ):
        if value == UNDECIDED:
            yield f"{place}：尚未决定，{advice}"
    for n, column in enumerate(contract.columns):
        if column.unit == UNDECIDED:
            yield f"columns[{n}].unit：“{column.source}”的单位尚未决定，请问清是元还是万元后写明"
    for field in contract.file.fields:
        if field.source.startswith(UNDECIDED):
            yield f"file.fields.{field.source}：起止位置尚未决定，请按接口说明改好并写上列名"
    for header, reason in contract.ignored.items():
        if reason == UNDECIDED:
            yield f"ignored.{header}：尚未决定，请移到 columns 并对应数据元，或写明不归集的理由"


def _given(contract: Contract) -> set[str]:
    return {column.element for column in contract.columns} | set(contract.constants)


def _mapped_elements(contract: Contract, kind: Kind) -> Iterator[str]:
    places = [(f"columns[{n}].element", column.element) for n, column in enumerate(contract.columns)]
    places += [(f"constants.{name}", name) for name in contract.constants]
    allowed = set(kind.elements) | set(ENVELOPE)
    for place, name in places:
        if name not in elements():
            yield f"{place}：没有名为 {name} 的数据元，见 docs/reference/elements.md"
        elif name not in allowed:
            yield f"{place}：{name} 不属于记录种类 {kind.id}，见 docs/reference/kinds.md"
    for n, column in enumerate(contract.columns):
        element = elements().get(column.element)
        if column.unit and element and element.type != "money":
            yield f"columns[{n}].unit：{column.element} 不是金额"
        if column.date_form and element and element.type not in {"date", "instant"}:
            yield f"columns[{n}].date_form：{column.element} 不是日期 (date_form belongs to dates)"
        if column.optional and (column.required or column.element in kind.required):
            yield f"columns[{n}].optional：{column.element} 为必需数据元，列不能缺"
    for name in contract.quality.fill:
        if name not in _given(contract):
            yield f"quality.fill.{name}：该数据元没有来源列"


def _needed_elements(contract: Contract, kind: Kind) -> Iterator[str]:
    given = _given(contract)
    for name in kind.required:
        if name not in given:
            yield f"columns：缺少 {kind.id} 必需的数据元 {name}（{elements()[name].title}）"
    for role in kind.roles.values():
        parts = set(role.identity.values()) - {role.identity.get("legal_rep"), role.identity.get("region")}
        if role.required and not parts & given:
            names = "、".join(n for n in kind.elements if n in parts)
            yield f"columns：{role.title}没有任何标识，至少对应其中之一：{names}"


def _key_elements(contract: Contract, kind: Kind) -> Iterator[str]:
    given = _given(contract)
    for name in kind.key:
        if name not in given and name not in kind.required and name not in kind.key_optional:
            yield f"columns：缺少 {kind.id} 的主键数据元 {name}（{elements()[name].title}）"


def _one_of(contract: Contract, kind: Kind) -> Iterator[str]:
    """Refuse lists of elements that are not the identifiers of one role, or that no check digit tells apart."""
    for n, column in enumerate(contract.columns):
        if not column.one_of or column.element != column.one_of[0]:
            continue
        place, types = f"columns[{n}].element", {elements()[e].type for e in column.one_of if e in elements()}
        if not any(set(column.one_of) <= set(role.identity.values()) for role in kind.roles.values()):
            yield f"{place}：一栏几用的只能是同一主体的几种标识，如 [uscc, reg_no]"
        elif not types <= SEPARABLE.keys():
            names = "、".join(column.one_of)
            yield f"{place}：{names} 凭位数和校验位分不清；纳税人识别号一栏直接对应 tax_no"


def _headers(contract: Contract) -> Iterator[str]:
    owner: dict[str, str] = {}
    for n, column in enumerate(contract.columns):
        for header in (column.source, *column.aliases):
            folded = fold_header(header)
            known = owner.setdefault(folded, column.element)
            if known != column.element and known not in column.one_of:
                yield f"columns[{n}]：列名“{header}”与 {owner[folded]} 的列名相同（忽略括号、空格）"
    for header in contract.ignored:
        if fold_header(header) in owner:
            yield f"ignored：“{header}”已对应 {owner[fold_header(header)]}"


def _units(contract: Contract) -> Iterator[str]:
    in_currency = "currency_code" in _given(contract)
    for n, column in enumerate(contract.columns):
        element = elements().get(column.element)
        for header in (column.source, *column.aliases) if element and element.type == "money" else ():
            own = None if column.unit == UNDECIDED else column.unit
            if (unit := unit_in(header)) and unit.differs(own, in_currency=in_currency):
                told = f"列名“{header}”写明单位是 {unit.word}，unit 却是 {column.unit or '元'}"
                yield f"columns[{n}].unit：{told}；另一单位的列名不能作别名"


def _codes(contract: Contract) -> Iterator[str]:
    given = _given(contract)
    for name, mapping in contract.codes.items():
        element = elements().get(name)
        if name not in given:
            yield f"codes.{name}：该数据元没有来源列"
        if element is None or element.codelist is None:
            yield f"codes.{name}：该数据元没有代码表"
            continue
        for sent, code in mapping.items():
            if code not in codelists()[element.codelist]:
                yield f"codes.{name}.{sent}：代码表 {element.codelist} 中没有 {code}"


def _delivery(contract: Contract) -> Iterator[str]:
    delivery = contract.delivery
    for option in NEEDED_OPTIONS[delivery.connector]:
        if option not in delivery.options:
            yield f"delivery.options：{delivery.connector} 需要 {option}"
    yield from _places(contract)
    if delivery.connector == "database" and contract.file not in (FileSpec(), FileSpec(format="jsonl")):
        yield "file：数据库表没有文件格式，请删去 file"


def _versions(contract: Contract, kind: Kind) -> Iterator[str]:
    if contract.delivery.versions_by == "key":
        return
    place = "delivery.versions_by：source_record_id"
    if not any(c.element == "source_record_id" and c.required for c in contract.columns):
        yield f"{place} 要求来源主键列写明 required: true，缺主键的记录无从更正"
    if contract.delivery.route:
        yield f"{place} 不能与 route 并用，各渠道的主键互不相同"
    if kind.registers != "none":
        yield f"{place} 不能用于 {kind.id}，这类记录以主体为准，主体建立后不随主键改变"


def _places(contract: Contract) -> Iterator[str]:
    """Refuse folders that lead out of inbox and outbox, and addresses where only a path belongs."""
    options = contract.delivery.options
    local = contract.delivery.connector == "file_drop" and not options.get("connection")
    for place, folder in (
        ("delivery.options.folder", options.get("folder")),
        ("feedback.folder", contract.feedback.folder),
    ):
        text = str(folder or "")
        from_root = text.startswith("/") and (local or place != "delivery.options.folder")
        if from_root or ".." in text.replace("\\", "/").split("/"):
            yield f"{place}：{text} 不是收件箱、发件箱内的目录；请写其下的相对路径，不含 .."
    for place, path in (("delivery.options.path", options.get("path")), ("feedback.path", contract.feedback.path)):
        if "://" in str(path or ""):
            yield f"{place}：应为路径，不是地址；地址写在环境变量 CHENGXIN_CONN_<名称> 中"


def _linking(contract: Contract, kind: Kind) -> Iterator[str]:
    if "linking" not in contract.model_fields_set:
        return
    if kind.registers != "none":
        yield f"linking：{kind.title} 登记主体，只按代码以及由区划或法定代表人佐证的名称关联；请删去 linking"
    filled = {c.element for c in contract.columns} | contract.constants.keys()
    if not any(role.identity.get("name") in filled for role in kind.roles.values()):
        yield "linking：没有一列是主体名称，by_name 不起作用；请删去 linking"


def _feedback(contract: Contract) -> Iterator[str]:
    wanted = contract.feedback
    named = wanted.connection or contract.delivery.options.get("connection")
    if wanted.to in {"table", "post"} and not named:
        yield f"feedback.connection：{wanted.to} 需要连接名，投递方式中也没有"


def _fixed_fields(contract: Contract) -> Iterator[str]:
    fields = contract.file.fields
    if not fields:
        return
    known = {fold_header(h) for c in contract.columns for h in (c.source, *c.aliases)}
    known |= {fold_header(h) for h in contract.ignored}
    for n, field in enumerate(fields):
        if fold_header(field.source) not in known:
            yield f"file.fields[{n}]：“{field.source}”既不在 columns 也不在 ignored 中"
    ordered = sorted(fields, key=lambda field: field.start)
    for left, right in pairwise(ordered):
        if left.start + left.length > right.start:
            yield f"file.fields：“{left.source}”与“{right.source}”重叠"


def _examples(contract: Contract, kind: Kind) -> Iterator[str]:
    declared = {fold_header(h) for c in contract.columns for h in (c.source, *c.aliases)}
    declared |= {fold_header(h) for h in contract.ignored}
    columns = {column.name for column in kind_columns(kind)}
    columns |= {column.name for name in ENVELOPE for column in element_columns(elements()[name])}
    for n, example in enumerate(contract.examples):
        for header in example.row:
            if fold_header(header) not in declared:
                yield f"examples[{n}].row：列名“{header}”未在 columns 或 ignored 中声明"
        for name in example.expect.values:
            if name not in columns:
                yield f"examples[{n}].expect.values：{kind.id} 没有列 {name}"
        for rule in example.expect.rules:
            if rule not in rules():
                yield f"examples[{n}].expect.rules：没有规则 {rule}，见 docs/reference/rules.md"


def _departments(contracts: Iterable[Contract]) -> Iterator[Problem]:
    names: dict[str, tuple[str, str]] = {}
    for contract in contracts:
        code, name = contract.department.code, contract.department.name
        known, where = names.setdefault(code, (name, contract.id))
        if known != name:
            yield Problem(
                _path(contract),
                f"department.name：{code} 在 {where} 中为“{known}”，此处为“{name}”",
            )


def _routes(contracts: Collection[Contract]) -> Iterator[Problem]:
    first: dict[str, Contract] = {}
    taken: dict[tuple[str, int], str] = {}
    ids = {contract.id for contract in contracts}
    for contract in contracts:
        route = contract.delivery.route
        if route is None:
            continue
        one = first.setdefault(route.group, contract)
        if one.kind != contract.kind:
            told = f"{route.group} 的合同须为同一记录种类，{one.id} 为 {one.kind}，此处为 {contract.kind}"
            yield Problem(_path(contract), f"delivery.route.group：{told}")
        if route.group in ids:
            told = f"{route.group} 是一个数据集的编号，请另取名"
            yield Problem(_path(contract), f"delivery.route.group：{told}")
        other = taken.setdefault((route.group, route.precedence), contract.id)
        if other != contract.id:
            told = f"{route.precedence} 已用于 {other}，同组各渠道的次序不得相同"
            yield Problem(_path(contract), f"delivery.route.precedence：{told}")


def _packs(expectations: Path) -> Iterator[Problem]:
    if not expectations.is_dir():
        yield Problem(expectations.name, "期望规则目录不存在")
        return
    for path in sorted(expectations.glob("*.json")):
        shown = f"{expectations.name}/{path.name}"
        if path.stem != "subject" and path.stem not in kinds():
            yield Problem(shown, "文件名应为记录种类或 subject")
        try:
            body = json.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            where = f"第 {error.lineno} 行" if isinstance(error, json.JSONDecodeError) else "文件"
            yield Problem(shown, f"{where}：不是合法的 JSON")
            continue
        if not isinstance(body, dict):
            yield Problem(shown, "应为 JSON 对象")
