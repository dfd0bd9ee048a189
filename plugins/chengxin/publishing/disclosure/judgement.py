"""The one judgement of rows of a kind on a day: publicity, standing, level. Every tier goes by it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np

from chengxin.model.kinds import Kind
from chengxin.model.lawful_terms import LawfulTerms
from chengxin.model.sharing import LEVELS
from chengxin.publishing.disclosure import standing
from chengxin.publishing.disclosure.clock import Codes, Columns, Timing, among, days, timing
from chengxin.publishing.disclosure.standing import NAMES, OBJECTED, STANDING, Course
from chengxin.store.columns import Mask

SEALED, AUTHORISED, GOVERNMENT, OPEN = range(len(LEVELS))


@dataclass(frozen=True)
class Judgement:
    """Some rows of a kind. levels: places in LEVELS, on the day."""

    timing: Timing
    course: Course
    levels: Codes

    @property
    def is_open(self) -> Mask:
        """Tell which rows the open tier may show on the day."""
        return np.asarray(self.levels == OPEN)


def judge(
    kind: Kind, columns: Columns, size: int, day: date, terms: LawfulTerms, *, objected: Collection[str] = ()
) -> Judgement:
    """Judge rows of a typed table, given with at least `judged_elements` as far as it has them.

    The first rule of the kind that fits gives the level, an open one only within publicity; none = authorised.
    objected: numbers of records with an open objection; then `record_id` is among the columns.
    """
    clock = timing(kind, columns, size, terms)
    leaves = bool(kind.publicity and kind.publicity.ended_on)
    begins, ends = days(columns, kind.effective_from_on, size), days(columns, kind.effective_to_on, size)
    stated = standing.stated(kind, columns, size)
    if objected:
        stated[among(columns, "record_id", sorted(objected), size) & (stated == STANDING)] = OBJECTED
    course = Course(stated, clock.until, begins, ends, leaves)
    on = course.on(day)
    levels, undecided = np.full(size, AUTHORISED, np.int8), np.ones(size, bool)
    for rule in kind.sharing:
        fits = undecided & clock.is_public if rule.level == "open" else undecided.copy()
        if rule.standing:
            fits &= np.isin(on, [code for code, name in enumerate(NAMES) if name in rule.standing])
        for name, values in rule.values.items():
            fits &= among(columns, name, list(values), size)
        levels[fits] = LEVELS.index(rule.level)
        undecided &= ~fits
    return Judgement(clock, course, levels)


def judged_elements(kind: Kind) -> set[str]:
    """Return the columns of its typed table on which the judgement of a kind depends."""
    named = {"subject_type", kind.publicity_until_on, kind.effective_from_on, kind.effective_to_on}
    named |= {element for when in kind.standing.values() for element in when}
    named |= {element for rule in kind.sharing for element in rule.when}
    if kind.publicity:
        named |= {*kind.publicity.class_by, *kind.publicity.start, kind.publicity.conduct_ended_on}
    return {name for name in named if name}
