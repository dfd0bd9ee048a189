"""The one judgement of rows of a kind on a day, that credit_record and the open tier share."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np

from chengxin.model.kinds import Kind
from chengxin.model.lawful_terms import LawfulTerms
from chengxin.publishing.disclosure import standing
from chengxin.publishing.disclosure.clock import Columns, Timing, among, days, timing
from chengxin.publishing.disclosure.standing import OBJECTED, STANDING, Course
from chengxin.store.columns import Mask


@dataclass(frozen=True)
class Judgement:
    """Some rows of a kind. is_open: whether the open tier may show them on the day."""

    timing: Timing
    course: Course
    is_open: Mask


def judge(
    kind: Kind, columns: Columns, size: int, day: date, terms: LawfulTerms, *, objected: Collection[str] = ()
) -> Judgement:
    """Judge rows of a typed table, given with at least `judged_elements` as far as it has them.

    objected: numbers of records with an open objection; then `record_id` is among the columns.
    """
    clock = timing(kind, columns, size, terms)
    leaves = bool(kind.publicity and kind.publicity.ended_on)
    begins, ends = days(columns, kind.effective_from_on, size), days(columns, kind.effective_to_on, size)
    stated = standing.stated(kind, columns, size)
    if objected:
        stated[among(columns, "record_id", sorted(objected), size) & (stated == STANDING)] = OBJECTED
    course = Course(stated, clock.until, begins, ends, leaves)
    shown = clock.is_public & (course.on(day) == STANDING)
    if not kind.open.share or kind.sealed:
        return Judgement(clock, course, np.zeros(size, bool))
    for name, values in {"subject_type": kind.open.subject_types, **kind.open.when}.items():
        shown &= among(columns, name, list(values), size)
    return Judgement(clock, course, shown)


def judged_elements(kind: Kind) -> set[str]:
    """Return the columns of its typed table on which the judgement of a kind depends."""
    named = {"subject_type", kind.publicity_until_on, kind.effective_from_on, kind.effective_to_on, *kind.open.when}
    named |= {element for when in kind.standing.values() for element in when}
    if kind.publicity:
        named |= {*kind.publicity.class_by, *kind.publicity.start, kind.publicity.conduct_ended_on}
    return {name for name in named if name}
