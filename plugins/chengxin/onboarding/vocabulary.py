"""How much a header speaks for a data element: known spellings, what contracts already use, likeness of the words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import get_args

from chengxin.contracts.headers import fold_header
from chengxin.contracts.models import Contract, Unit
from chengxin.model.declarations import read_yaml
from chengxin.model.elements import Element, elements
from chengxin.model.kinds import Kind
from chengxin.model.units import unit_in

EXACT = 0.8  # from here a header names the element; below it is only like one that does
_SAME_KIND, _SPELLED, _IDENTIFIER, _OTHER_KIND, _GENERIC = 1.0, 0.95, 0.9, 0.85, 0.8
_SAME_MEANING = 0.88
GENERIC = "通用列名，按记录种类判断"
_LIKE = 0.5  # bigrams in common, below which two headers are not alike at all
_UNIT = re.compile(
    r"[（(\[【]\s*(?:单位)?\s*[:：]?\s*(?:人民币)?\s*(亿元|万元|元|亿|万|人民币|RMB)\s*[)）\]】]", re.IGNORECASE
)
_BARE_UNIT = re.compile(r"(亿元|万元|元)$")
_MARKS = re.compile(r"^[*＊※\s]+|[（(](?:必填|选填|可空|非必填)[)）]|^\d{1,2}[、.．]\s*")
_BRACKETED = re.compile(r"[（(\[【]([^）)\]】]*)[)）\]】]")
_OFFICIAL = re.compile(r"[A-Z]{2,}(?:_[A-Z0-9]+)+")
# Words that change nothing of what a header means: 作出行政处罚的机关 = 处罚机关.
_EMPTY = re.compile("的|行政|作出|有关|相关|情况|信息$")
_EITHER_NAME = re.compile(
    "(?:自然人)?姓名[/、或和及]?(?:法人|单位|企业|组织)?(?:及其他组织|或其他组织)?名称|名称[/、或和及]?姓名"
)
_HAN = re.compile("[\u4e00-\u9fff]")

# Whose attribute a column is. Two headers that differ in this are not alike, however many characters they share.
_ROLES = {
    "authority": ("机关", "部门", "法院", "税务局", "税务所", "主管单位", "发证单位"),
    "legal_rep": ("法定代表", "法人代表", "法人", "负责人", "经营者", "业主", "代表人"),
    "related": ("被担保",),
    "finance": ("财务",),
    "contact": ("联系人", "经办人", "联络员"),
    "holder": ("股东", "出质人", "质权人", "投资人", "出资人"),
    "source": ("来源", "报送", "填报"),
    "former": ("曾用", "变更前", "原名"),
    "parent": ("隶属", "上级", "母公司", "总公司", "总部"),
    "other party": ("申请执行", "原告", "举报", "投诉", "受害", "招标人", "共同", "配偶", "责任人"),
    "paid": ("实缴", "实收", "已缴", "应缴"),
    "intermediary": ("中介", "代理"),
    "removal": ("移出", "移除", "解除", "退出", "注销", "吊销", "修复"),
}
# Authorities that only some record kinds come from: elsewhere such a column is about something else.
_AUTHORITIES = {"税务": "tax_", "法院": "dishonest_"}
# Who is the subject of one record kind only: elsewhere such a column is about another party.
_PARTIES = {"被担保": "", "担保": "guarantee", "保证人": "guarantee", "借款": "overdue_loan", "出票": "bounced_cheque",
    "存款人": "settlement_account", "出质人": "", "质权": ""}  # fmt: skip
# Words that mean something only once the record kind is known.
_GENERIC_WORDS = {
    "name": ("名称", "name", "mc", "单位", "企业", "公司", "对象", "title", "姓名"),
    "event": ("日期", "时间", "date", "rq", "day"),
    "authority": ("机关", "部门", "法院", "机关名称", "部门名称"),
    "number": ("文号", "编号", "号码", "no", "number", "文书编号"),
    "code": ("代码", "code", "证照号码", "主体代码", "企业代码", "单位代码"),
    "doc_type": ("证件类型", "证件种类", "证件名称"),
    "status": ("状态", "status", "zt", "数据状态"),
    "amount": ("金额", "amount", "je", "余额", "数额"),
    "class": ("类别", "类型", "种类", "type", "lb"),
}
_CODES = ("uscc", "org_code", "reg_no", "tax_no", "person_doc", "loan_card_no")


@cache
def _listed() -> dict[str, tuple[str, ...]]:
    listed: dict[str, list[str]] = read_yaml(Path(__file__).with_name("vocabulary.yaml"))
    unknown = sorted(set(listed) - set(elements()))
    if unknown:
        raise ValueError(f"vocabulary.yaml names elements that do not exist: {', '.join(unknown)}")
    return {element: tuple(headers) for element, headers in listed.items()}


@dataclass(frozen=True)
class KindWords:
    """What shows that a source is of a kind; see kind_words.yaml."""

    title: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


@cache
def kind_words(kind: str) -> KindWords:
    """Return the words that show a record kind."""
    listed: dict[str, dict[str, list[str]]] = read_yaml(Path(__file__).with_name("kind_words.yaml"))
    return KindWords(**{name: tuple(words) for name, words in listed.get(kind, {}).items()})


def unit_of(header: str) -> str | None:
    """Return the unit of money that a header states: 罚款金额（万元） -> 万元."""
    stated = unit_in(header)
    if stated is None:
        return "元" if _UNIT.search(header) else None  # （人民币）
    return stated.declared if stated.declared in get_args(Unit) else "元"


@dataclass(frozen=True)
class Likeness:
    """How much a header speaks for an element, 0 to 1, and why, in Chinese."""

    score: float
    why: str


_NONE = Likeness(0.0, "")


@dataclass
class Vocabulary:
    """All spellings known: those listed, those of the data dictionary, and those that the given contracts use."""

    contracts: Iterable[Contract] = ()
    _spelled: dict[str, dict[str, float]] = field(default_factory=dict)
    _likes: dict[tuple[str, str], Likeness] = field(default_factory=dict)
    _used: dict[str, set[tuple[str, str]]] = field(default_factory=dict)  # folded header -> (kind, element)

    def __post_init__(self) -> None:
        for element in elements().values():
            spelled = self._spelled.setdefault(element.id, {})
            for text in (element.id, element.title_en):
                spelled[fold_header(text)] = _IDENTIFIER
            for text in (element.title, *_listed().get(element.id, ()), *_OFFICIAL.findall(element.source or "")):
                spelled[fold_header(text)] = _SPELLED
            spelled[fold_header(_BRACKETED.sub("", element.title))] = _SPELLED
            for phrase, score in list(spelled.items()):
                spelled.setdefault(_plain(phrase), min(score, _SAME_MEANING))
        for contract in self.contracts:
            for column in contract.columns:
                for header in (column.source, *column.aliases):
                    for form in (fold_header(header), fold_header(_UNIT.sub("", header))):
                        self._used.setdefault(form, set()).add((contract.kind, column.element))

    def likeness(self, header: str, element: Element, kind: Kind) -> Likeness:
        """Return how much a header speaks for an element of a kind."""
        best = _NONE
        foreign = any(word in header and not kind.id.startswith(start) for word, start in _AUTHORITIES.items())
        used = (kind.id, element.id) in self._used.get(fold_header(header), ())
        if foreign and element.id == "authority_name" and not used:
            return _NONE
        if not used and element.id in kind.roles["subject"].identity.values() and is_other_party(header, kind):
            return _NONE
        for form, weight in _forms(header):
            exact = self._exact(form, element.id, kind)
            if exact.score * weight > best.score:
                best = Likeness(round(exact.score * weight, 3), exact.why)
        if best.score < EXACT:
            generic = _generic(header, element.id, kind)
            best = max(best, generic, self._alike(header, element), key=lambda found: found.score)
        return best

    def knows(self, header: str) -> bool:
        """Tell whether a text is a header of any element."""
        return any(
            form in self._used or any(form in spelled for spelled in self._spelled.values())
            for form, _ in _forms(header)
        )

    def _exact(self, form: str, element: str, kind: Kind) -> Likeness:
        used = self._used.get(form, set())
        if (kind.id, element) in used:
            return Likeness(_SAME_KIND, "已有合同同名列")
        spelled = self._spelled[element].get(form, 0.0)
        other = _OTHER_KIND if any(e == element for _, e in used) else 0.0
        return Likeness(max(spelled, other), "列名") if max(spelled, other) else _NONE

    def _alike(self, header: str, element: Element) -> Likeness:
        """Compare once: an element is in many kinds."""
        key = (header, element.id)
        if key not in self._likes:
            self._likes[key] = self._compared(header, element)
        return self._likes[key]

    def _compared(self, header: str, element: Element) -> Likeness:
        plain = _plain(fold_header(_UNIT.sub("", _MARKS.sub("", header))))
        if len(_HAN.findall(plain)) < 2:
            return _NONE
        mine, roles, best = _bigrams(plain), _roles(plain), 0.0
        for phrase in self._spelled[element.id]:
            theirs = _bigrams(phrase)
            if len(phrase) < 2 or _roles(phrase) != roles:
                continue
            dice = 2 * len(mine & theirs) / (len(mine) + len(theirs) or 1)
            if plain[-2:] == phrase[-2:]:  # the last word says what it is, those before whose it is
                dice += 0.1
            best = max(best, min(dice, 1.0))
        return Likeness(round(0.5 + 0.5 * (best - _LIKE), 3), "列名相近") if best >= _LIKE else _NONE


def _forms(header: str) -> list[tuple[str, float]]:
    """Return the folded forms under which a header may be known, and what each is worth."""
    plain = _MARKS.sub("", header)
    without_unit = _UNIT.sub("", plain)
    forms = [(fold_header(plain), 1.0), (fold_header(without_unit), 1.0)]
    forms.append((fold_header(_BARE_UNIT.sub("", without_unit.strip(" ：:"))), 0.97))
    inner = " ".join(_BRACKETED.findall(without_unit))
    if inner:
        # 受害人(名称) is no name of the subject: a part that does not say whose it is says nothing.
        parts = ((fold_header(_BRACKETED.sub("", without_unit)), 0.95), (fold_header(inner), 0.94))
        forms += [(part, weight) for part, weight in parts if _roles(part) == _roles(forms[1][0])]
    group, _, name = without_unit.rpartition("_")  # of a header over two rows: 当事人_名称
    if group and _HAN.search(name) and _roles(name) == _roles(forms[1][0]):
        forms.append((fold_header(name), 0.82))
    forms += [(_plain(form), weight * 0.95) for form, weight in forms]
    return [(form, weight) for form, weight in forms if form]


def _plain(folded: str) -> str:
    """Return a folded header without words that add nothing; 姓名/名称 of lists that hold both is 名称."""
    return _EMPTY.sub("", _EITHER_NAME.sub("名称", folded).replace("或者", "或")) or folded


@cache
def _bigrams(text: str) -> set[str]:
    return {text[n : n + 2] for n in range(len(text) - 1)}


@cache
def _roles(text: str) -> frozenset[str]:
    roles = {role for role, words in _ROLES.items() if any(word in text for word in words)}
    return frozenset(roles | ({"former"} if re.match("原(?!因|告)", text) else set()))


def has_role(header: str) -> bool:
    """Tell whether a header says that it is about somebody else than the subject (an authority, a representative)."""
    return bool(_roles(fold_header(header)))


def is_other_party(header: str, kind: Kind) -> bool:
    """Tell whether a header names a party that is the subject of records of another kind: 担保人 of a loan."""
    named = next((word for word in _PARTIES if word in header), None)
    return named is not None and _PARTIES[named] != kind.id


def _generic(header: str, element: str, kind: Kind) -> Likeness:
    folded = fold_header(_UNIT.sub("", _MARKS.sub("", header)))
    for meaning, words in _GENERIC_WORDS.items():
        if folded in words and element in _meant(meaning, kind):
            return Likeness(_GENERIC, GENERIC)
    documents = [name for name in kind.elements if elements()[name].type == "person_doc"]
    is_its_own = _roles(folded) <= _roles(fold_header(elements()[element].title))
    if ("身份证" in folded or "证件号" in folded) and documents == [element] and is_its_own:
        return Likeness(_GENERIC, "该种类只有这一项证件号码")
    return _NONE


def _meant(meaning: str, kind: Kind) -> tuple[str, ...]:
    identity = kind.roles["subject"].identity
    members = [elements()[name] for name in kind.elements]
    match meaning:
        case "name":
            return (identity["name"],) if "name" in identity else ()
        case "event":
            return (kind.event_on,) if kind.event_on else ()
        case "authority":
            return ("authority_name",)
        case "number":
            return tuple(name for name in kind.key if elements()[name].type == "document_no")[:1]
        case "code":
            return tuple(identity[part] for part in _CODES if part in identity)
        case "doc_type":
            types = [e.id for e in members if e.codelist == "person_doc_type"]
            return tuple(types) if len(types) == 1 else ()
        case "status" | "amount" | "class":
            tail = {"status": "_status_code", "amount": "", "class": "_class_code"}[meaning]
            wanted = "money" if meaning == "amount" else "code"
            fitting = tuple(e.id for e in members if e.type == wanted and e.id.endswith(tail))
            return fitting if len(fitting) == 1 else ()
    return ()
