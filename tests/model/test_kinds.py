"""The model agrees with itself: kinds name known elements, names follow docs/naming.md, nothing personal is open."""

import re

import pytest

from chengxin.contracts.plan import ENVELOPE
from chengxin.model.codelists import codelists
from chengxin.model.elements import elements
from chengxin.model.kinds import Kind, kinds
from chengxin.model.schema import PROVENANCE, element_columns, kind_columns

EXPECTED = {
    "registration", "registration_change", "abnormal_operation", "serious_violation", "equity_pledge", "licence",
    "penalty", "tax_rating", "tax_arrears", "tax_non_normal", "tax_major_violation", "person_base", "identity_check",
    "special_industry_licence", "security_penalty", "overdue_loan", "guarantee", "settlement_account", "bounced_cheque",
    "dishonest_person",
}  # fmt: skip
NEVER_OPEN = {
    "overdue_loan", "guarantee", "settlement_account", "person_base", "identity_check", "security_penalty",
    "credit_repair",
}  # fmt: skip
ENDINGS = {"date": "_on", "instant": "_at", "code": "_code", "region": "_code", "year": "_year", "flag": r"^(is|has)_"}
EACH = pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.id)


def test_every_data_set_of_departments_and_court_has_a_kind():
    assert set(kinds()) >= EXPECTED


@EACH
def test_kind_names_only_its_own_elements(kind: Kind):
    own = set(kind.elements)
    named = set(kind.required) | set(kind.key) | {e for rule in kind.sharing for e in rule.when}
    named |= {e for role in kind.roles.values() for e in role.identity.values()}
    named |= {element for check in kind.checks for element in check.of}
    named |= {kind.event_on, kind.effective_from_on, kind.effective_to_on, kind.publicity_until_on} - {None}
    named |= {*kind.title_by, *(e for when in kind.standing.values() for e in when)} | ({kind.amount} - {None})
    if clock := kind.publicity:
        named |= {*clock.class_by, *clock.start} | ({clock.ended_on, clock.conduct_ended_on} - {None})
    if kind.name_history:
        history = kind.name_history
        named |= {history.before, history.after, *history.when} | ({history.changed_on} - {None})
    assert len(own) == len(kind.elements)
    assert own <= set(elements())
    assert named <= own
    assert set(kind.key_optional) <= set(kind.key)


@EACH
def test_common_times_are_dates(kind: Kind):
    for name in (kind.event_on, kind.effective_from_on, kind.effective_to_on, kind.publicity_until_on):
        assert name is None or elements()[name].type == "date"


@EACH
def test_the_clock_of_a_negative_kind_reads_days(kind: Kind):
    clock = kind.publicity
    days = {*clock.start, clock.ended_on, clock.conduct_ended_on} - {None} if clock else set()
    assert {elements()[name].type for name in days} <= {"date"}
    assert clock is None or clock.ended_on in (None, kind.effective_to_on)
    assert kind.amount is None or elements()[kind.amount].type == "money"


@EACH
def test_standing_tests_code_values_that_exist(kind: Kind):
    for when in kind.standing.values():
        for name, values in when.items():
            assert set(values) <= set(codelists()[elements()[name].codelist or ""])


@EACH
def test_identity_parts_have_the_type_of_their_identifier(kind: Kind):
    for role in kind.roles.values():
        for part, name in role.identity.items():
            wanted = {"legal_rep": "name"}.get(part, part)
            assert elements()[name].type == wanted


@EACH
def test_columns_are_unique_and_none_is_of_the_envelope(kind: Kind):
    names = [column.name for column in kind_columns(kind)] + [column.name for column in PROVENANCE]
    names += ["record_id", "subject_id", "related_subject_id", "subject_type"]
    assert len(names) == len(set(names))


def test_sealed_and_confidential_kinds_are_never_open():
    assert {kind.id for kind in kinds().values() if not kind.open_types} == NEVER_OPEN
    assert [kind.id for kind in kinds().values() if kind.sealed] == ["credit_repair", "security_penalty"]


def test_only_grade_a_is_open():
    assert [rule.when for rule in kinds()["tax_rating"].sharing] == [{"tax_grade_code": ("A",)}, {}]


def test_persons_are_open_only_where_the_law_publishes_them():
    assert [k.id for k in kinds().values() if "person" in k.open_types] == ["dishonest_person"]
    assert [k.id for k in kinds().values() if "person" in k.open_persons] == ["dishonest_person"]
    assert "household" in kinds()["registration"].open_persons  # the subject tables show their names


def test_founding_kinds_state_the_type_and_place_former_names():
    founding = {kind.id: kind.founds for kind in kinds().values() if kind.registers == "found"}
    assert founding == {"registration": "organisation", "person_base": "person"}
    assert all(kind.name_history for kind in kinds().values() if kind.registers == "names")


@pytest.mark.parametrize("element", elements().values(), ids=lambda element: element.id)
def test_element_is_named_after_its_type(element):
    ending = ENDINGS.get(element.type)
    assert ending is None or re.search(ending if ending.startswith("^") else f"{ending}$", element.id)
    if element.type == "name":
        assert element.id.endswith("_name")


def test_person_documents_never_reach_the_open_tier():
    for element in elements().values():
        if element.type in {"person_doc", "tax_no"}:
            assert element.sensitivity == "identifier", element.id


def test_code_elements_have_a_code_list_and_no_other_has():
    for element in elements().values():
        assert (element.type == "code") == (element.codelist is not None), element.id
        assert element.codelist is None or element.codelist in codelists(), element.id


def test_every_element_is_of_a_kind_or_of_the_envelope():
    used = {name for kind in kinds().values() for name in kind.elements} | set(ENVELOPE)
    assert set(elements()) == used


def test_money_yields_yuan_currency_and_raw():
    assert [column.name for column in element_columns(elements()["fine"])] == [
        "fine_yuan",
        "fine_currency_code",
        "fine_raw",
    ]


def test_spellings_of_a_code_list_mean_one_code_each():
    for name, entries in codelists().items():
        spellings = [text for code in entries.values() for text in {code.code, code.name, *code.aliases}]
        assert len(spellings) == len(set(spellings)), name
