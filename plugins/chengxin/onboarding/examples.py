"""Invented values of the shape that a source uses, for the examples of a draft. None of them occurs in the sample."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta

from chengxin.model.codelists import codelists
from chengxin.model.elements import Element
from chengxin.model.identifiers import (
    loan_card_check_digits,
    org_code_check_character,
    reg_no_check_digit,
    resident_check_character,
    uscc_check_character,
)
from chengxin.onboarding.content import Evidence

_DAY = date(2024, 1, 8)
_TRIES = 400
_DATES = {
    "%Y-%m-%d": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "%Y/%m/%d": re.compile(r"\d{4}/\d{1,2}/\d{1,2}"),
    "%Y%m%d": re.compile(r"(?:19|20)\d{6}"),
    "%Y.%m.%d": re.compile(r"\d{4}\.\d{1,2}\.\d{1,2}"),
    "%Y年%m月%d日": re.compile(r"\d{4}年\d{1,2}月\d{1,2}日"),
    "%Y-%m-%d 08:30:00": re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}.*"),
    "%Y年%m月": re.compile(r"\d{4}年\d{1,2}月"),
    "%Y-%m": re.compile(r"\d{4}-\d{2}"),
}
_DIGITS = {"digits": re.compile(r"[0-9]+(?:\.0+)?")}
_PERSONS = ("person_name", "legal_rep_name", "finance_rep_name", "responsible_name", "former_name")
_SURNAMES = "张李王刘陈杨赵黄周吴"
_ORDINALS = "一二三四五六七八九十"


class Inventor:
    """Makes values. words: official words that may stand in the sample too.

    translated: elements whose codes the contract will translate: only the official words are sure to be understood.
    Nothing of the sample goes into a value, so that a number or word of it may well be part of one: 1430 is part of
    every credit code that is made here.
    """

    def __init__(
        self, columns: Mapping[str, Evidence], words: Iterable[str] = (), translated: frozenset[str] = frozenset()
    ) -> None:
        self._known = {
            text.strip() for evidence in columns.values() for text in evidence.values.to_pylist() if text
        } - set(words)
        self._columns = columns
        self._translated = translated

    def value(self, header: str, element: Element, n: int) -> str:
        """Return the n-th invented value of a column, the next one that the sample does not hold.

        Where it holds them all, as a list of all years does, the n-th it is: never nothing.
        """
        evidence = self._columns[header]
        if element.type in {"code", "region"} or element.id in {"province_name", "prefecture_name"}:
            return _official(element, evidence, in_words=element.id in self._translated)
        made = (_made(element, evidence, n + 10 * step) for step in range(_TRIES))
        return next((text for text in made if text not in self._known), _made(element, evidence, n))


def codes_of(n: int) -> tuple[str, str]:
    """Return the n-th invented credit code and the organisation code inside it (MAXY…, never issued)."""
    body = f"MAXY{n % 10_000:04d}"
    org = body + org_code_check_character(body)
    head = f"91430100{org}"
    return head + uscc_check_character(head), org


def broken(code: str) -> str:
    """Return a code whose last character does not fit the others."""
    return code[:-1] + ("1" if code[-1] != "1" else "2")


def _official(element: Element, evidence: Evidence, *, in_words: bool) -> str:
    """Return a word of a code list or the name of a place: these are public, and may well occur in the sample."""
    digits = not in_words and evidence.example_shape(_DIGITS) is not None
    if element.codelist:
        entries = list(codelists()[element.codelist].values())
        used = [e for e in entries if any(evidence.holds(text) for text in (e.code, e.name, *e.aliases))]
        entry = (used or entries)[0]
        return entry.code if digits else entry.name
    if element.type == "region":
        return "430102" if digits else "长沙市"
    return {"province_name": "湖南", "prefecture_name": "长沙市"}.get(element.id, "")


def _made(element: Element, evidence: Evidence, n: int) -> str:
    if element.type in _CODES:
        return _CODES[element.type](n)
    if element.type in {"date", "instant"}:
        shape = evidence.example_shape(_DATES) or "%Y-%m-%d"
        return (_DAY + timedelta(days=n)).strftime(shape)
    if element.type == "money":
        return f"{n * 3 + 7}.5{_money_words(evidence)}"
    if element.type == "flag":
        return "否" if evidence.example_shape(_DIGITS) is None else "0"
    if element.type == "name":
        return _name(element, n, of_person=not evidence.names_businesses)
    if element.id.endswith("_code") or evidence.example_shape(_DIGITS):
        return str(9000 + n % 1000)
    return f"示例{element.title.split('（', maxsplit=1)[0]}{_ORDINALS[n % 10]}"


def _checked(body: str, check: Callable[[str], str]) -> str:
    return body + check(body)


_CODES: dict[str, Callable[[int], str]] = {
    "uscc": lambda n: codes_of(n)[0],
    "tax_no": lambda n: codes_of(n)[0],
    "org_code": lambda n: codes_of(n)[1],
    "reg_no": lambda n: _checked(f"430100{n % 10**8:08d}", reg_no_check_digit),
    "person_doc": lambda n: _checked(f"43010219850615{n % 1000:03d}", resident_check_character),
    "loan_card_no": lambda n: _checked(f"430100{n % 10**8:08d}", loan_card_check_digits),
    "year": lambda n: str(2024 - n % 40),
    "integer": lambda n: str(n + 2),
    "decimal": lambda n: str(n + 2),
    "phone": lambda n: f"0731-8{n % 10**7:07d}",
    "document_no": lambda n: f"示例〔2024〕{n}号",
}


def _name(element: Element, n: int, *, of_person: bool) -> str:
    if element.id in _PERSONS and (of_person or element.id != "former_name"):
        return f"{_SURNAMES[n % 10]}某{_ORDINALS[n // 10 % 10]}"
    return f"长沙示例{_ORDINALS[n % 10]}{_ORDINALS[n // 10 % 10]}有限公司"


def _money_words(evidence: Evidence) -> str:
    """Return the unit words that stand behind most amounts: (万元人民币); nothing of the amounts themselves."""
    for words in ("", "元", "万元", "万", "(万元人民币)", "万元人民币", "万人民币"):
        pattern = re.compile(r"[-\d,.\s]+" + re.escape(words))
        if evidence.example_shape({"x": pattern}):
            return words
    return ""
