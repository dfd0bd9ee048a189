"""Class and end of publicity, standing on a day: rows of invented decisions, judged."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from chengxin.model.kinds import kinds
from chengxin.model.lawful_terms import Span, lawful_terms
from chengxin.model.sharing import LEVELS
from chengxin.publishing.assembly.tables import table_schema
from chengxin.publishing.disclosure.clock import later
from chengxin.publishing.disclosure.judgement import judge, judged_elements
from chengxin.publishing.disclosure.standing import texts

TODAY = date(2026, 11, 20)
YEAR, DAY = timedelta(days=365), timedelta(days=1)


def judged(kind_id: str, day: date = TODAY, **values: Any) -> tuple[str | None, date | None, str, bool, date | None]:
    """Return class, end of publicity, standing, whether it is open, and until when that holds."""
    row = {"subject_type": "enterprise", "decision_on": date(2026, 1, 5)} if kind_id == "penalty" else {}
    row = {"subject_type": "enterprise", **row, **values}
    schema = table_schema(kind_id)
    table = pa.Table.from_pylist([{k: v for k, v in row.items() if k in schema.names}], schema=schema)
    found = []
    for column in (False, True):
        columns = {n: c.dictionary_encode() if column and pa.types.is_string(c.type) else c
                   for n, c in zip(table.column_names, table.columns, strict=True)}  # fmt: skip
        one = judge(kinds()[kind_id], columns, 1, day, lawful_terms())
        until = None if np.isnat(one.timing.until[0]) else one.timing.until[0].item()
        code = texts(one.timing.classes, one.timing.names)[0].as_py()
        standing = texts(one.course.on(day))[0].as_py()
        found.append((code, until, standing, bool(one.is_open[0]), one.course.holds_until(day)))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("text", "code", "until", "seen"),
    [
        ("警告", "minor", date(2026, 4, 5), False),
        ("罚款", "general", date(2027, 1, 5), True),
        ("吊销许可证件", "serious", date(2029, 1, 5), True),
        ("其他", "unknown", date(2027, 1, 5), True),
        (None, "unknown", date(2027, 1, 5), True),
    ],
)
def test_no_open_penalty_is_without_an_end_of_publicity(text, code, until, seen):
    found = judged("penalty", penalty_class_name=text)
    assert found[:2] == (code, until) and found[3] is seen
    assert found[2] == ("standing" if until >= TODAY else "expired")


@pytest.mark.parametrize("given", [date(2026, 12, 1), date(2030, 1, 1), None])
def test_the_source_may_shorten_the_term_and_not_lengthen_it(given):
    expected = date(2026, 12, 1) if given == date(2026, 12, 1) else date(2027, 1, 5)
    assert judged("penalty", penalty_class_name="罚款", publicity_until_on=given)[1] == expected


def test_the_heavier_of_the_two_classes_of_2015_counts():
    assert judged("penalty", penalty_class_name="警告", penalty_class_2_name="责令停产停业")[0] == "serious"


@pytest.mark.parametrize(
    ("status", "standing", "seen"),
    [("1", "standing", True), ("2", "withdrawn", False), ("3", "withdrawn", False), ("4", "objected", False),
     ("9", "standing", True), (None, "standing", True)],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["penalty", "licence"])
def test_a_revoked_or_contested_decision_is_not_open(kind, status, standing, seen):
    assert judged(kind, penalty_class_name="罚款", decision_status_code=status)[2:4] == (standing, seen)


def test_withdrawn_beats_expired_and_that_beats_objected():
    over = {"penalty_class_name": "罚款", "decision_on": date(2020, 1, 1)}
    assert [judged("penalty", decision_status_code=s, **over)[2] for s in ("3", "4")] == ["withdrawn", "expired"]


@pytest.mark.parametrize(
    ("kind", "listed", "left"),
    [("abnormal_operation", "listed_on", "removed_on"), ("serious_violation", "listed_on", "removed_on"),
     ("tax_non_normal", "identified_on", "released_on"), ("dishonest_person", "published_on", "removed_on")],
)  # fmt: skip
def test_an_entry_leaves_with_the_day_of_its_removal(kind, listed, left):
    for removed, standing in ((None, "standing"), (TODAY + DAY, "standing"), (TODAY, "ended"), (TODAY - DAY, "ended")):
        found = judged(kind, **{listed: date(2025, 12, 1), left: removed})
        assert found[2:4] == (standing, standing == "standing"), (kind, removed)
    assert judged(kind, **{listed: date(2025, 12, 1), left: TODAY + DAY})[4] == TODAY


def test_a_list_without_term_stands_until_the_entry_is_removed():
    assert judged("abnormal_operation", listed_on=date(2001, 1, 1)) == ("listed", None, "standing", True, None)


def test_a_court_may_prolong_two_years_up_to_five():
    listed = date(2022, 3, 1)
    assert judged("dishonest_person", published_on=listed)[1] == date(2024, 3, 1)
    assert judged("dishonest_person", published_on=listed, publicity_until_on=date(2026, 12, 1))[1] == date(2026, 12, 1)
    assert judged("dishonest_person", published_on=listed, publicity_until_on=date(2040, 1, 1))[1] == date(2027, 3, 1)


def test_what_has_no_day_to_count_from_is_not_open():
    assert judged("dishonest_person")[1:4] == (None, "standing", False)
    assert judged("dishonest_person", publicity_until_on=TODAY)[1:4] == (TODAY, "standing", True)


def test_publicity_includes_its_last_day():
    fined = {"penalty_class_name": "罚款", "decision_on": date(2025, 11, 20)}
    assert judged("penalty", **fined)[1:] == (TODAY, "standing", True, TODAY)
    assert judged("penalty", TODAY + DAY, **fined)[1:] == (TODAY, "expired", False, None)


def test_a_persons_loan_ages_from_the_end_of_the_conduct():
    ended = {"conduct_ended_on": date(2021, 11, 19)}
    assert judged("overdue_loan", subject_type="person", **ended)[:3] == ("listed", date(2026, 11, 19), "expired")
    assert judged("overdue_loan", subject_type="person", overdue_since_on=date(2001, 1, 1))[1:3] == (None, "standing")
    assert judged("overdue_loan", **ended)[1:3] == (None, "standing")  # no clock of firms


def test_other_kinds_keep_the_day_of_their_source():
    assert judged("licence", publicity_until_on=TODAY)[:4] == (None, TODAY, "standing", True)
    assert judged("licence", publicity_until_on=TODAY - DAY)[:4] == (None, TODAY - DAY, "expired", False)
    assert judged("licence")[:4] == (None, None, "standing", True)


@pytest.mark.parametrize(
    ("start", "span", "end"),
    [
        (date(2024, 2, 29), Span(value=1, unit="year"), date(2025, 2, 28)),
        (date(2024, 2, 29), Span(value=4, unit="year"), date(2028, 2, 29)),
        (date(2025, 11, 30), Span(value=3, unit="month"), date(2026, 2, 28)),
        (date(2025, 12, 31), Span(value=10, unit="day"), date(2026, 1, 10)),
        (date(1969, 12, 31), Span(value=1, unit="month"), date(1970, 1, 31)),
    ],
)
def test_months_and_years_end_on_a_day_that_exists(start, span, end):
    found = later(np.array([start, "NaT"], "M8[D]"), span)
    assert found[0].item() == end and np.isnat(found[1])


@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.id)
def test_the_named_columns_are_all_that_a_judgement_needs(kind):
    columns = {name: pa.nulls(2, table_schema(kind.id).field(name).type) for name in judged_elements(kind)}
    assert judge(kind, columns, 2, TODAY, lawful_terms()).is_open.tolist() == [False, False]


def level(kind_id: str, day: date = TODAY, **values: Any) -> str:
    schema = table_schema(kind_id)
    row = {"subject_type": "enterprise", **values}
    table = pa.Table.from_pylist([{k: v for k, v in row.items() if k in schema.names}], schema=schema)
    columns = dict(zip(table.column_names, table.columns, strict=True))
    return LEVELS[judge(kinds()[kind_id], columns, 1, day, lawful_terms()).levels[0]]


FINED = {"penalty_class_name": "罚款", "decision_on": date(2026, 1, 5)}


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("penalty", FINED, "open"),
        ("penalty", {**FINED, "subject_type": "person"}, "government"),
        ("penalty", {**FINED, "subject_type": None}, "government"),
        ("penalty", {**FINED, "penalty_class_name": "警告"}, "government"),
        ("penalty", {**FINED, "decision_on": date(2020, 1, 5)}, "government"),
        ("penalty", {**FINED, "decision_status_code": "4"}, "government"),
        ("penalty", {**FINED, "decision_status_code": "2"}, "sealed"),
        ("licence", {"decision_status_code": "2"}, "government"),
        ("tax_rating", {"tax_grade_code": "A"}, "open"),
        ("tax_rating", {"tax_grade_code": "B"}, "government"),
        ("tax_rating", {}, "government"),
        ("overdue_loan", {}, "authorised"),
        ("overdue_loan", {"subject_type": "person"}, "authorised"),
        ("overdue_loan", {"subject_type": "person", "conduct_ended_on": date(2021, 11, 19)}, "authorised"),
        ("overdue_loan", {"subject_type": "person", "conduct_ended_on": date(2021, 11, 18)}, "sealed"),
        ("guarantee", {}, "authorised"),
        ("security_penalty", {"subject_type": "person"}, "sealed"),
    ],
)
def test_the_first_rule_that_fits_gives_the_level(kind, values, expected):
    day = date(2026, 11, 19) if kind == "overdue_loan" else TODAY
    assert level(kind, day, **values) == expected
