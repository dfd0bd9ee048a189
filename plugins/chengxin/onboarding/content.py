"""What the values of a column say: which share of them passes the check of a type of data element."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.kernels import CleanOptions, checked, clean
from chengxin.model.elements import Element, elements
from chengxin.model.identifiers import SEPARABLE, hygiene, is_resident_id
from chengxin.model.looks import looks
from chengxin.parsing.buffers import as_mask, as_strings, valid

# Types whose check says something; by the others (text, name) nearly everything passes.
CHECKED = frozenset(
    {"uscc", "org_code", "reg_no", "tax_no", "person_doc", "loan_card_no", "code", "region", "date", "instant", "money",
     "integer", "decimal", "year", "phone", "flag"}
)  # fmt: skip
# Types that hardly anything else passes by chance, so that the values alone are a hint.
TELLING = ("uscc", "person_doc", "loan_card_no", "reg_no", "org_code", "phone", "date", "region", "year")
ENOUGH = 5  # values; fewer prove nothing
_NAME = r"\p{Han}|[A-Za-z]{2}"
_NO_NAME = r"^[0-9./:\-年月日\s]+$"
_CODE = r"^[A-Za-z]?[0-9]{0,12}$"
_MASKED = r"[*×●•■□]"
_SILENT = ("identifier.masked", "identifier.placeholder")
_DOCUMENT = r"[0-9〇一二三四五六七八九十○]"
# Forms of bare digits, as contracts.models.Column.date_form, and how many digits they have.
_FORMS = {"yymmdd": "6", "yyyymm": "6", "excel": "5", "epoch_s": "9,10", "epoch_ms": "12,13"}
_DAYS = (date(1949, 10, 1), date(2099, 12, 30))  # of plausible days: of 190905 read as a month none is left
_SEVERAL, _SOME = 2, 0.01  # values, and their share, that make a second identifier of a column
_PLAIN = 0.9  # from here no form of bare digits is looked for

# Type -> an element of it, what it is called, and the form that its values must have: checks let much else pass.
_READ_AS = {
    "uscc": ("uscc", "统一社会信用代码", "^.{18}"), "person_doc": ("person_doc_no", "身份证号", "^.{15,18}"),
    "reg_no": ("reg_no", "工商注册号", r"^\s*\d{15}\s*$"), "org_code": ("org_code", "组织机构代码", "^.{8,11}$"),
    "region": ("region_code", "行政区划代码", r"^\s*\d{6}(?:0{3,6})?\s*$"),
    "phone": ("", "手机号码", r"^\s*1[3-9]\d{9}\s*$"),
    "document_no": ("", "文书号", r"[〔\[(（](?:19|20)\d\d[〕\])）].*号\s*$"),
    "date": ("", "日期", r"^\s*(?:19|20)\d\d[-/.年]\d{1,2}[-/.月]\d{1,2}"),
}  # fmt: skip
_PLAIN_TYPES = ("name", "text", "document_no", "money", "integer", "decimal", "date", "instant", "phone")
_ANY_CODE = ("_code", "_id", "id_no", "certificate_no", "_at")  # may well be one of these
_BARE = (
    (("date", "instant"), r"^\s*(?:19|20)\d\d(?:年|[-/.年]?\d{1,2}月?)?\s*$", "只有年或年月，会按第一天存储"),
    (("document_no", "text"), r"^\s*\d{1,8}\s*$", "内容只是数字"),
)


@dataclass
class Evidence:
    """The sampled values of one column, raw; every answer is worked out once."""

    values: pa.Array
    _shares: dict[tuple[str, str | None], float] = field(default_factory=dict)
    _matched: dict[tuple[str, str | None], float] = field(default_factory=dict)
    _checked: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = as_strings(self.values)
        text = clean(self.values, "text").values
        self.filled = valid(text)

    @property
    def given(self) -> int:
        """Return how many values are given (empty, 无, / and the like are not)."""
        return int(np.count_nonzero(self.filled))

    @property
    def fill(self) -> float:
        """Return the share of rows with a value."""
        return self.given / len(self.values) if len(self.values) else 0.0

    def passing(self, element: Element) -> float | None:
        """Return the share of given values that pass the element's check; None where there is no check or no value."""
        if self.given == 0:
            return None
        key = (element.type, "_code" if element.id.endswith("_code") and not element.codelist else element.codelist)
        if key not in self._shares:
            self._shares[key] = self._share(element)
        share = self._shares[key]
        return share if share >= 0 else None

    def _share(self, element: Element) -> float:
        if element.type == "text" and element.id.endswith("_code"):
            return self.matching(_CODE)
        if element.type == "person_doc":
            return self._residents()
        if element.type in CHECKED:
            # 元 is stated, so that bare numbers count as amounts whatever the unit will be.
            form = self.date_form if element.type in {"date", "instant"} else None
            options = CleanOptions(unit="元", codelist=element.codelist, date_form=form)
            cleaned = clean(self.values, element.type, options=options)
            good, given = valid(cleaned.values), self.filled
            for rule, hits in cleaned.issues:  # masked and filler values state nothing about the column
                given = given & ~as_mask(hits) if rule in _SILENT else given
            if element.type == "money":  # foreign amounts are read, though not turned into yuan
                good |= valid(cleaned.extra["currency_code"])
            count = int(np.count_nonzero(given))
            return float(np.count_nonzero(good & given)) / count if count >= min(ENOUGH, self.given) else -1.0
        if element.type == "name":
            return self.matching(_NAME, but_not=_NO_NAME)
        if element.type == "document_no":
            return self.matching(_DOCUMENT)
        return -1.0

    def others(self, element: Element, siblings: Iterable[Element]) -> tuple[tuple[Element, float], ...]:
        """Return which other identifiers of the same subject the values are too, each with the share of the values.

        Several values whose length and check digit are right are no slips of the hand.
        """
        if element.type not in SEPARABLE or self.given < ENOUGH:
            return ()
        found = []
        for other in siblings:
            if other.type in SEPARABLE and other.type != element.type:
                if other.type not in self._checked:
                    self._checked[other.type] = int(np.count_nonzero(checked(self.values, other.type) & self.filled))
                values = self._checked[other.type]
                if values >= _SEVERAL and values >= _SOME * self.given:
                    found.append((other, values / self.given))
        return tuple(found)

    @cached_property
    def date_form(self) -> str | None:
        """Return the one form that makes days of values, mostly bare digits; None: none needed, or several fit."""
        lengths = {form: self.matching(rf"^\s*[0-9]{{{digits}}}\s*$") for form, digits in _FORMS.items()}
        if self.given < ENOUGH or max(lengths.values()) < _PLAIN or self._days(None) >= _PLAIN:
            return None
        fitting = [form for form, share in lengths.items() if share >= _PLAIN and self._days(form) >= _PLAIN]
        return fitting[0] if len(fitting) == 1 else None

    def _days(self, form: str | None) -> float:
        days = clean(self.values, "date", options=CleanOptions(date_form=form)).values
        good = valid(days) & as_mask(pc.and_(pc.greater_equal(days, _DAYS[0]), pc.less_equal(days, _DAYS[1])))
        return float(np.count_nonzero(good & self.filled)) / self.given

    def looks(self, element: Element) -> tuple[bool, str]:
        """Return whether the values look as those of the element do, and what they look like instead, if so."""
        fits, instead = False, ""
        for look in element.looks if self.given >= ENOUGH else ():
            said = looks()[look.like or look.unlike or ""]
            alike = self.matching(said.regex)
            fits |= look.like is not None and alike >= _PLAIN
            if (1 - alike if look.like else alike) >= min(look.share, _PLAIN):
                instead = f"内容{'不像' if look.like else '像是'}{said.title}"
        return fits, instead or self._otherwise(element)

    def _otherwise(self, element: Element) -> str:
        """Describe what the values are that a value of the element hardly is; empty = nothing speaks against it."""
        if self.given < ENOUGH or element.type not in _PLAIN_TYPES or element.id.endswith(_ANY_CODE):
            return ""
        if self.reads_as and self.reads_as != ("date" if element.type == "instant" else element.type):
            return f"内容像是{_READ_AS[self.reads_as][1]}"
        for types, pattern, said in _BARE:
            if element.type in types and self.matching(pattern) >= _PLAIN:
                return said
        return ""

    @cached_property
    def reads_as(self) -> str | None:
        """Return the type whose check, or form, nearly all values pass though hardly anything else does."""
        for name, (element, _, pattern) in _READ_AS.items():
            if self.matching(pattern) >= _PLAIN and (not element or (self.passing(elements()[element]) or 0) >= _PLAIN):
                return name
        return None

    @property
    def names_businesses(self) -> bool:
        """Return whether nearly all values are names of businesses."""
        return self.given >= ENOUGH and self.matching(looks()["business"].regex) >= _PLAIN

    def _residents(self) -> float:
        """Return the share of resident ids and permits with a check character: passports look like anything."""
        kept = self.values.filter(pa.array(self.filled))
        shown = kept.filter(pc.invert(pc.match_substring_regex(kept, _MASKED)))
        if len(shown) == 0:
            return -1.0
        return sum(is_resident_id(hygiene(text)) for text in shown.to_pylist()) / len(shown)

    def matching(self, pattern: str, but_not: str | None = None) -> float:
        """Return the share of given values in which a pattern is found, and the other one is not."""
        if self.given == 0:
            return 0.0
        if (pattern, but_not) not in self._matched:
            values = self.values.filter(pa.array(self.filled))
            good = pc.match_substring_regex(values, pattern)
            if but_not:
                good = pc.and_(good, pc.invert(pc.match_substring_regex(values, but_not)))
            self._matched[pattern, but_not] = float(pc.sum(good).as_py() or 0) / self.given
        return self._matched[pattern, but_not]

    def distinct(self) -> int:
        """Return the number of different values."""
        return int(pc.count_distinct(self.values.filter(pa.array(self.filled))).as_py())

    def words(self, *, most: int = 12, longest: int = 12) -> list[str]:
        """Return the values of a column that holds few different ones, each of them repeated: its own code words."""
        values = self.values.filter(pa.array(self.filled))
        counted = pc.value_counts(values).to_pylist() if len(values) else []
        if not counted or len(counted) > most or min(c["counts"] for c in counted) < 2:
            return []
        return sorted(c["values"].strip() for c in counted if len(c["values"].strip()) <= longest)

    def longest(self) -> int:
        """Return the length of the longest value, in characters."""
        return int(pc.max(pc.utf8_length(self.values)).as_py() or 0)

    def holds(self, text: str) -> bool:
        """Return whether a text is one of the values."""
        return bool(pc.any(pc.equal(self.values, text)).as_py())

    def example_shape(self, patterns: dict[str, re.Pattern[str]]) -> str | None:
        """Return the name of the first pattern that most of the values match, None when there is none."""
        values = [v.strip() for v in self.values.filter(pa.array(self.filled)).slice(0, 200).to_pylist()]
        for name, pattern in patterns.items():
            if values and 2 * sum(bool(pattern.fullmatch(v)) for v in values) > len(values):
                return name
        return None
