"""`show`: a subject as a card and its records as a timeline, codes decoded; personal values hidden unless asked for."""

from collections.abc import Mapping
from typing import Any

from rich.padding import Padding
from rich.text import Text

from chengxin import language
from chengxin.cli.terminal import Console
from chengxin.contracts.models import Contract
from chengxin.model.codelists import codelists
from chengxin.model.elements import Element, elements
from chengxin.model.kinds import kinds
from chengxin.model.regions import name_of
from chengxin.model.schema import PROVENANCE
from chengxin.operations.index.redaction import How, element_ways, hide
from chengxin.publishing.merges import LINKED

TYPES = {"enterprise": "企业", "household": "个体工商户", "organisation": "其他组织", "person": "自然人"}
_IDENTIFIERS = {"person_doc": "证件号码"}
FOREVER = "9999-12-31"
_RECORD = "credit_record"
_NOT_CONTENT = {c.name for c in PROVENANCE} | {"record_id", "subject_type", *LINKED, *LINKED.values()}
_ON_THE_CARD = ("subject_name", "uscc", "org_code", "reg_no", "tax_no", "legal_rep_name", "region_code")
_IN_OTHER_COLUMNS = ("authority_name", "data_source_name", "data_source_uscc", "authority_uscc")
_LONGEST = 80

Row = dict[str, Any]


def masked(subject: Mapping[str, Any]) -> dict[str, Any]:
    """Return a subject as `inspect.show` gives it with the values hidden that could name or identify a person."""
    about = subject["tables"].get("subject") or [{}]
    ways = _ways(about[0].get("subject_type"))
    return {
        **subject,
        "tables": {name: [_hidden(row, ways) for row in rows] for name, rows in subject["tables"].items()},
    }


def _ways(subject_type: str | None) -> dict[str, How]:
    """Return how to hide each column. An organisation's own account or address names nobody."""
    known = elements()
    ways: dict[str, How] = {**element_ways(), "name": "name", "identifier_value": "plain"}
    for name, element in known.items():
        if element.type in {"date", "instant"} or (
            subject_type in {"enterprise", "organisation"}
            and element.sensitivity == "restricted"
            and element.type not in {"phone", "name"}
        ):
            ways[name] = "plain"
    ways["born_on"] = "secret"
    if subject_type not in {"enterprise", "organisation", "household"}:
        ways |= {"name": "person", "subject_name": "person", "identifier_value": "secret"}
    return ways


def _hidden(row: Row, ways: Mapping[str, How]) -> Row:
    document = row.get("identifier_type") in {"person_doc", "tax_no"}
    shown = {}
    for name, value in row.items():
        how = "secret" if document and name == "identifier_value" else ways.get(name)
        shown[name] = hide(value, how) if how and how != "plain" and isinstance(value, str) else value
    return shown


def show_cards(console: Console, found: Mapping[str, Any], contracts: Mapping[str, Contract]) -> None:
    """Print what `inspect.show` found, subject by subject."""
    for warning in found["warnings"]:
        console.print(f"[yellow]{warning}[/]")
    if not found["subjects"]:
        console.print("没有找到这个主体；请核对主体编号、代码或名称。")
    for subject in found["subjects"]:
        if "superseded" in subject:
            console.print(f"主体 {subject['superseded']} 已并入主体 {subject['subject_id']}")
        _card(console, subject, found["snapshot"])
        _timeline(console, subject, contracts)
    if found["more"]:
        console.print(f"另有 {found['more']} 个主体同名，未显示")


def _card(console: Console, subject: Mapping[str, Any], snapshot: str) -> None:
    tables: Mapping[str, list[Row]] = subject["tables"]
    about = tables["subject"][0]
    facts = (
        TYPES.get(about.get("subject_type") or "", "主体"),
        _decoded("reg_status", about.get("status_code")),
        _place(about.get("region_code")),
    )
    console.print(f"\n[bold]{_escaped(about.get('name') or '（无名称）')}[/]", highlight=False)
    console.print("  " + " · ".join(language.localise(f) for f in facts if f), highlight=False, markup=False)
    codes = dict.fromkeys((r["identifier_type"], r["identifier_value"]) for r in tables.get("subject_identifier", ()))
    for kind, value in sorted(codes, key=lambda c: (c[0] != "uscc", c[0])):
        _fact(console, _IDENTIFIERS.get(kind) or _title(kind), value)
    former = dict.fromkeys(r["name"] for r in tables.get("subject_name", ()) if r["name"] != about.get("name"))
    if former:
        _fact(console, "曾用名", "、".join(former))
    _fact(console, "主体编号", f"{subject['subject_id']}")
    _fact(console, "记录", f"{len(tables.get(_RECORD, ()))} 条，快照 {snapshot}")


def _fact(console: Console, title: str, value: str) -> None:
    text = f"  {language.localise(title)}　{language.localise(value)}"
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _place(code: str | None) -> str | None:
    """Return a region with the prefecture and province that it lies in."""
    if not code:
        return None
    names = dict.fromkeys(name_of(c) for c in (f"{code[:2]}0000", f"{code[:4]}00", code))
    return "".join(n for n in names if n) or code


def _timeline(console: Console, subject: Mapping[str, Any], contracts: Mapping[str, Contract]) -> None:
    tables: Mapping[str, list[Row]] = subject["tables"]
    details = {row["record_id"]: row for name, rows in tables.items() if name in kinds() for row in rows}
    for record in sorted(tables.get(_RECORD, ()), key=lambda r: (r["event_on"] or "", r["kind"]), reverse=True):
        detail = details.get(record["record_id"], {})
        contract = contracts.get(record["dataset"])
        source = contract.department.name if contract else record["dataset"]
        office = str(detail.get("authority_name") or detail.get("institution_name") or source)
        kind = kinds().get(record["kind"])
        title = language.localise(kind.title if kind else record["kind"])
        day = record["event_on"] or "—"
        console.print(
            f"\n{day:<10}  [bold]{title}[/]  {_escaped(office if office == source else f'{office}（{source}）')}",
            highlight=False,
            soft_wrap=True,
        )
        content = _content(record, detail)
        if content:
            console.print(Padding(Text(content), (0, 0, 0, 12)))


def _content(record: Row, detail: Row) -> str:
    """Return the fields of a record in words, in the order of its kind: codes by name, amounts in yuan."""
    kind = kinds().get(record["kind"])
    if kind is None:
        return ""
    role = kind.roles.get("subject")
    own = set(role.identity.values()) if role else set()
    parts = []
    for element in kind.element_list():
        if element.id in own or element.id in _ON_THE_CARD or element.id in _IN_OTHER_COLUMNS:
            continue
        value = _value(element, detail)
        if value and value not in {record["event_on"], record["effective_to_on"]}:
            parts.append((element.type != "money", f"{language.localise(element.title)} {language.localise(value)}"))
    parts.sort(key=lambda part: part[0])  # amounts first
    end = record["effective_to_on"]
    ends = [f"{language.localise('有效期至')} {end}"] if end and end != FOREVER else []
    return "；".join([*ends, *(text for _, text in parts)])


def _title(element_id: str) -> str:
    known = elements().get(element_id)
    return known.title if known else element_id


def _value(element: Element, detail: Row) -> str | None:
    if element.type == "money":
        amount, currency = detail.get(f"{element.id}_yuan"), detail.get(f"{element.id}_currency_code")
        if amount in {None, "None"}:
            return None
        unit = "元" if currency in {None, "CNY"} else _decoded("currency", currency) or currency
        return f"{float(str(amount)):,.2f} {unit}"
    value = detail.get(element.id)
    if value is None or value == "" or element.id in _NOT_CONTENT:
        return None
    text = str(value)
    if element.codelist:
        return _decoded(element.codelist, text) or text
    if element.type == "region":
        return name_of(text) or text
    if text == FOREVER:
        return "长期"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _decoded(codelist: str, code: Any) -> str | None:
    known = codelists().get(codelist, {}).get(str(code)) if code is not None else None
    return known.name if known else None


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
