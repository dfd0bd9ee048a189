"""Columns to data elements, and files to record kinds. Proposes; what is not clear stays undecided, with a hint."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from chengxin.contracts.headers import fold_header
from chengxin.contracts.plan import ENVELOPE
from chengxin.model.elements import Element, elements
from chengxin.model.kinds import Kind, kinds
from chengxin.onboarding.content import CHECKED, ENOUGH, TELLING, Evidence
from chengxin.onboarding.vocabulary import EXACT, GENERIC, Likeness, Vocabulary, has_role, is_other_party, kind_words

REFUTED = 0.5  # fewer values than this pass: the header states one thing, the values another
CONFIRMED = 0.9
_ALIKE = 0.62  # likeness of headers that is worth a proposal when the values confirm it
_ALIKE_UNCHECKED = 0.66  # and where no check can confirm it
_IN_HEADERS = 0.5  # where a header states what the list is of: 处罚日期
_NOT_ITS_OWN = 2.0  # most that a kind scores whose own business is nowhere named: too little to be proposed
_DAY_OR_MONTH_FIRST = r"^\s*\d{1,2}[/.-]\d{1,2}[/.-](?:19|20)\d\d\b"
_NESTED = r"(?s)^\s*(\{.*\}|\[.*\])\s*$"
_AS_WELL = 0.05  # another element whose spelling is so near is meant as well as this one
_CODE_TYPES = ("uscc", "person_doc")


@dataclass(frozen=True, kw_only=True)
class Match:
    """One column's proposal. element None = undecided; sure False = a person should look; hints: elements it may be.

    date_form: of bare digits, where only one reading gives days. one_of: all elements of which each value is one, where
    that is more than the one.
    """

    header: str
    element: Element | None
    score: float
    passing: float | None
    why: str
    sure: bool
    hints: tuple[str, ...] = ()
    date_form: str | None = None
    one_of: tuple[Element, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """A record kind with what every column would be under it; the higher the score, the better it fits."""

    kind: Kind
    matches: tuple[Match, ...]
    score: float
    reasons: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the required elements that no column carries."""
        given = {m.element.id for m in self.matches if m.element}
        return tuple(name for name in self.kind.required if name not in given)


def propose(columns: Mapping[str, Evidence], vocabulary: Vocabulary, *, title: str = "") -> list[Proposal]:
    """Match the columns under every kind; return the kinds, best first. title: file name or title, a further hint."""
    found = [proposal(columns, kind, vocabulary, title=title) for kind in kinds().values()]
    return sorted(found, key=lambda p: (-p.score, p.kind.id))


def proposal(columns: Mapping[str, Evidence], kind: Kind, vocabulary: Vocabulary, *, title: str = "") -> Proposal:
    """Match the columns under one kind."""
    matches = _match(columns, kind, vocabulary)
    score, reasons = _score(kind, matches, columns, title)
    return Proposal(kind, matches, score, reasons)


@dataclass(frozen=True)
class _Pair:
    header: str
    element: Element
    likeness: float
    passing: float | None
    why: str
    fits: bool = False
    odd: str = ""
    others: tuple[tuple[Element, float], ...] = ()

    @property
    def rank(self) -> float:
        """Return the likeness of the header, moved by what the values state."""
        return self._rank + (0.1 if self.fits else -0.2 if self.odd else 0.0)

    @property
    def _rank(self) -> float:
        if self.passing is None and self.element.id.endswith("_code") and self.element.type == "text":
            return self.likeness - 0.05  # without values, the name is likelier sent than the code
        if self.passing is None or self.element.type not in CHECKED:
            return self.likeness
        return self.likeness + (0.1 if self.passing >= CONFIRMED else -0.1 if self.passing < EXACT else 0.0)

    @property
    def is_refuted(self) -> bool:
        return self.passing is not None and self.passing < REFUTED

    @property
    def is_proposable(self) -> bool:
        if self.likeness >= EXACT:
            return True
        if self.element.type not in CHECKED:
            return self.likeness >= _ALIKE_UNCHECKED
        return self.likeness >= _ALIKE and self.passing is not None and self.passing >= CONFIRMED


def _match(columns: Mapping[str, Evidence], kind: Kind, vocabulary: Vocabulary) -> tuple[Match, ...]:
    members = [elements()[name] for name in (*kind.elements, *ENVELOPE)]
    order = {element.id: n for n, element in enumerate(members)}
    pairs: list[_Pair] = []
    for header, evidence in columns.items():
        for element in () if _is_nested(evidence) else members:
            likeness = vocabulary.likeness(header, element, kind)
            if likeness.score:
                pairs.append(_pair(header, element, likeness, evidence, kind))
    pairs.sort(key=lambda p: (-p.rank, order[p.element.id]))
    by_header: dict[str, _Pair] = {}
    taken: dict[str, str] = {}
    for pair in pairs:
        free = pair.header not in by_header and pair.element.id not in taken
        if free and pair.is_proposable and not pair.is_refuted and not _is_contested(pair, pairs, taken):
            by_header[pair.header] = pair
            taken[pair.element.id] = pair.header
    _by_content(columns, kind, by_header, taken)
    return tuple(
        _decided(by_header[header], columns[header], [p for p in pairs if p.header == header], taken)
        if header in by_header
        else _undecided(header, evidence, [p for p in pairs if p.header == header], taken, kind)
        for header, evidence in columns.items()
    )


def _pair(header: str, element: Element, likeness: Likeness, evidence: Evidence, kind: Kind) -> _Pair:
    """Weigh a column against an element; values that are another identifier of its subject do not speak against it."""
    passing = evidence.passing(element) if evidence.given >= ENOUGH else None
    identities = [role.identity.values() for role in kind.roles.values() if element.id in role.identity.values()]
    others = evidence.others(element, [elements()[name] for names in identities for name in names])
    if passing is not None:
        passing = min(1.0, passing + sum(share for _, share in others))
    return _Pair(header, element, likeness.score, passing, likeness.why, *evidence.looks(element), others)


def _is_contested(pair: _Pair, pairs: Sequence[_Pair], taken: Mapping[str, str]) -> bool:
    """Return whether the header's best meaning went to another column: then its second-best is no meaning at all."""
    better = [p for p in pairs if p.header == pair.header and p.likeness >= EXACT and p.likeness > pair.likeness]
    return any(p.element.id in taken and not p.is_refuted for p in better)


def _by_content(
    columns: Mapping[str, Evidence], kind: Kind, by_header: dict[str, _Pair], taken: dict[str, str]
) -> None:
    """Give the subject's own codes to the one nameless column whose values are such codes."""
    identity, likeness = kind.roles["subject"].identity, Likeness(_ALIKE, "仅凭内容判断")
    for part in _CODE_TYPES:
        name = identity.get(part)  # type: ignore[call-overload]
        if name is None or name in taken:
            continue
        element = elements()[name]
        fitting = [
            pair
            for header, evidence in columns.items()
            if header not in by_header and not has_role(header) and not is_other_party(header, kind)
            and evidence.given >= ENOUGH and (evidence.passing(element) or 0) >= REFUTED
            and ((pair := _pair(header, element, likeness, evidence, kind)).passing or 0) >= CONFIRMED
            and evidence.distinct() * 3 > evidence.given
        ]  # fmt: skip
        if len(fitting) == 1:
            by_header[fitting[0].header] = fitting[0]
            taken[name] = fitting[0].header


def _is_nested(evidence: Evidence) -> bool:
    return evidence.matching(_NESTED) > REFUTED


def _decided(pair: _Pair, evidence: Evidence, pairs: Sequence[_Pair], taken: Mapping[str, str]) -> Match:
    """Take a pair; it is sure where the header names one element only and the values do not speak against it.

    taken: elements that have columns of their own: no value of this one is of them.
    """
    form = evidence.date_form if pair.element.type in {"date", "instant"} else None
    sure = pair.likeness > EXACT and (pair.passing is None or pair.passing >= EXACT) and not form
    doubts = [pair.odd] if pair.odd else []
    doubts += [
        f"列名也可能是 {p.element.id}（{p.element.title}）" for p in pairs
        if p is not pair and p.likeness >= max(EXACT, pair.likeness - _AS_WELL) and not p.is_refuted and not p.odd
    ][:2]  # fmt: skip
    others = [(element, share) for element, share in pair.others if element.id not in taken]
    several = [f"其中 {percent(share)} 是{element.title}" for element, share in others]
    why = "；".join([pair.why, *several, *doubts])
    passing = evidence.passing(pair.element)
    if passing is not None:
        passing = min(1.0, passing + sum(share for _, share in others))
    one_of = (pair.element, *(element for element, _ in others)) if others else ()
    sure &= not doubts and not others
    return Match(
        header=pair.header,
        element=pair.element,
        score=pair.rank,
        passing=passing,
        why=why,
        sure=sure,
        date_form=form,
        one_of=one_of,
    )


def _undecided(header: str, evidence: Evidence, pairs: Sequence[_Pair], taken: Mapping[str, str], kind: Kind) -> Match:
    named = [p for p in pairs if p.likeness >= EXACT]
    if _is_nested(evidence):
        return Match(
            header=header,
            element=None,
            score=0.0,
            passing=None,
            why="值是 JSON 的对象或数组，不是一个值：请部门展开成单独的字段",
            sure=False,
        )
    if named and named[0].is_refuted:
        first = named[0]
        why = f"列名像 {first.element.id}（{first.element.title}），但只有 {percent(first.passing)} 通过校验"
        if first.element.type == "date" and evidence.matching(_DAY_OR_MONTH_FIRST) > REFUTED:
            why += "：像“月/日/年”或“日/月/年”，看不出先后，请部门改按 2024-01-31 报送"
        return Match(
            header=header,
            element=None,
            score=0.0,
            passing=first.passing,
            why=why,
            sure=False,
            hints=_hints(evidence, kind, taken),
        )
    if named and named[0].element.id in taken:
        first = named[0]
        why = f"与“{taken[first.element.id]}”同为 {first.element.id}（{first.element.title}），只能取一列"
        return Match(header=header, element=None, score=0.0, passing=None, why=why, sure=False)
    likely = tuple(p.element.id for p in pairs if not p.is_refuted and p.element.id not in taken)[:3]
    why = "列名没有把握" if likely else "没有相近的数据元"
    return Match(
        header=header,
        element=None,
        score=0.0,
        passing=None,
        why=why,
        sure=False,
        hints=likely or _hints(evidence, kind, taken),
    )


def _hints(evidence: Evidence, kind: Kind, taken: Mapping[str, str]) -> tuple[str, ...]:
    """Name free elements of the kind whose telling check the values pass, or as whose they look."""
    if evidence.given < ENOUGH:
        return ()
    free = [elements()[name] for name in kind.elements if name not in taken]
    spoken = any(not word.isascii() for word in evidence.words())
    fitting = [e for e in free if e.type in TELLING or (e.type == "code" and spoken)]
    name = kind.roles["subject"].identity.get("name") if evidence.names_businesses else None
    first = [e.id for e in free if e.id == name or (e.type == "document_no" == evidence.reads_as)]
    return (*first, *(e.id for e in fitting if (evidence.passing(e) or 0) >= CONFIRMED))[:4]


@cache
def _weight(element: str) -> float:
    """Return how much an element tells about the kind: the fewer kinds have it, the more."""
    having = sum(element in kind.elements for kind in kinds().values()) or len(kinds())
    return 0.3 + math.log(1 + len(kinds()) / having)


def _telling(match: Match) -> float:
    """Return what a match tells about the kind: 日期 and 金额 mean something only because a kind was supposed."""
    assert match.element is not None
    return min(_weight(match.element.id), 1.0 if match.why == GENERIC else math.inf)


def _score(
    kind: Kind, matches: Sequence[Match], columns: Mapping[str, Evidence], title: str
) -> tuple[float, tuple[str, ...]]:
    found = [m for m in matches if m.element and m.element.id not in ENVELOPE]
    score = sum(_telling(m) * min(m.score, 1.0) for m in found)
    score -= 0.4 * sum(m.element is None for m in matches)
    given = {m.element.id for m in found if m.element}
    missing = [elements()[name].title for name in kind.required if name not in given]
    keyless = [n for n in kind.key if n not in given and n not in kind.required and n not in kind.key_optional]
    score -= 1.0 * len(missing) + 0.5 * len(keyless)
    identity = set(kind.roles["subject"].identity.values())
    if not identity & given:
        score -= 1.5
    reasons = [f"{len(found)}/{len(matches)} 列有对应"]
    own = sorted((m for m in found if _telling(m) > 1.5), key=lambda m: -_telling(m))
    if own:
        reasons.append(f"特征列：{'、'.join(' '.join(m.header.split()) for m in own[:4])}")
    reasons.append(f"缺少必需的 {'、'.join(missing)}" if missing else "必需数据元齐全")
    words = _title_words(kind, title)
    if words:
        score += 1.5 * len(words)
        reasons.append(f"名称含“{'”“'.join(words)}”")
    score += _IN_HEADERS if any(w in fold_header(h) for h in columns for w in kind_words(kind.id).title) else 0.0
    lacking = _lacks_its_own(kind, columns, given, title)
    if lacking:
        score = min(score / 2, _NOT_ITS_OWN)
        reasons.append(lacking)
    return round(score, 3), tuple(reasons)


def _title_words(kind: Kind, title: str) -> list[str]:
    folded = fold_header(title)
    return [word for word in kind_words(kind.id).title if word in folded]


def _lacks_its_own(kind: Kind, columns: Mapping[str, Evidence], given: set[str], title: str) -> str:
    """Return what a kind of one business must show and this source does not; empty = nothing lacks.

    A rare column that happens to fit is no reason to take a list of chemists' licences for one of the police.
    """
    words = kind_words(kind.id)
    if not words.own and not words.marks:
        return ""
    if words.marks:
        shown = bool(given & set(words.marks)) or bool(_title_words(kind, title))
        return "" if shown else f"没有{'、'.join(elements()[name].title for name in words.marks[:3])}等列"
    seen = fold_header(" ".join([title, *columns, *(v for e in columns.values() for v in e.words(longest=30))]))
    return "" if any(word in seen for word in words.own) else f"没有提到“{'”“'.join(words.own[:3])}”等"


def percent(share: float | None) -> str:
    """Write a share as a person reads it: 0.98718 -> 98.7 %."""
    return "–" if share is None else f"{math.floor(share * 1000) / 10:g} %"
