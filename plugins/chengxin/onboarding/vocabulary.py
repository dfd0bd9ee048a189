"""How much a header speaks for a data element: known spellings, what contracts already use, likeness of the words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict

from chengxin.contracts.headers import fold_header
from chengxin.contracts.models import Contract, Unit
from chengxin.model.declarations import read_yaml
from chengxin.model.elements import Element, elements
from chengxin.model.kinds import Kind
from chengxin.model.units import unit_in
from chengxin.model.vocabularies import Units, one_of, vocabulary

EXACT = 0.8  # from here a header names the element; below it is only like one that does
_SAME_KIND, _SPELLED, _IDENTIFIER, _OTHER_KIND, _GENERIC = 1.0, 0.95, 0.9, 0.85, 0.8
_SAME_MEANING = 0.88
GENERIC = "通用列名，按记录种类判断"
_LIKE = 0.5  # bigrams in common, below which two headers are not alike at all
_UNITS = vocabulary(Units)
_WORD = one_of(_UNITS.declared, _UNITS.scales, _UNITS.yuan)
_UNIT = re.compile(rf"[（(\[【]\s*(?:单位)?\s*[:：]?\s*(?:人民币)?\s*(?:{_WORD})\s*[)）\]】]", re.IGNORECASE)
_BARE_UNIT = re.compile(rf"(?:{one_of(_UNITS.declared)})$")
_MARKS = re.compile(r"^[*＊※\s]+|[（(](?:必填|选填|可空|非必填)[)）]|^\d{1,2}[、.．]\s*")
_BRACKETED = re.compile(r"[（(\[【]([^）)\]】]*)[)）\]】]")
_OFFICIAL = re.compile(r"[A-Z]{2,}(?:_[A-Z0-9]+)+")
_HAN = re.compile("[\u4e00-\u9fff]")

_CODES = ("uscc", "org_code", "reg_no", "tax_no", "person_doc", "loan_card_no")


class _HeaderWords(BaseModel):
    """What parts of headers mean; see header_words.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roles: dict[str, tuple[str, ...]]
    authorities: dict[str, str]
    parties: dict[str, str]
    generic: dict[str, tuple[str, ...]]
    empty: str
    either_name: str


_WORDS = _HeaderWords(**read_yaml(Path(__file__).with_name("header_words.yaml")))
_EMPTY, _EITHER_NAME = re.compile(_WORDS.empty), re.compile(_WORDS.either_name)


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
        foreign = any(word in header and not kind.id.startswith(start) for word, start in _WORDS.authorities.items())
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
        """Return whether a text is a header of any element."""
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
        # 受害人(名称) is no name of the subject: a part that does not say whose it is states nothing.
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
    roles = {role for role, words in _WORDS.roles.items() if any(word in text for word in words)}
    return frozenset(roles | ({"former"} if re.match("原(?!因|告)", text) else set()))


def has_role(header: str) -> bool:
    """Tell whether a header says that it is about somebody else than the subject (an authority, a representative)."""
    return bool(_roles(fold_header(header)))


def is_other_party(header: str, kind: Kind) -> bool:
    """Return whether a header names a party that is the subject of records of another kind: 担保人 of a loan."""
    named = next((word for word in _WORDS.parties if word in header), None)
    return named is not None and _WORDS.parties[named] != kind.id


def _generic(header: str, element: str, kind: Kind) -> Likeness:
    folded = fold_header(_UNIT.sub("", _MARKS.sub("", header)))
    for meaning, words in _WORDS.generic.items():
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
