"""Which subject a record is about: in the order of law, and never by force."""

from pathlib import Path

import pytest

from deliveries import (
    CHANGE,
    GUARANTEE,
    PENALTY,
    PERSON,
    REGISTRATION,
    Office,
    company,
    counts,
    org_code,
    penalty,
    person_doc,
    reg_no,
    renaming,
    uscc,
)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    office.contract("test_person", "person_base", PERSON)
    office.contract("test_change", "registration_change", CHANGE)
    office.contract("test_guarantee", "guarantee", GUARANTEE)
    return office


def test_each_code_finds_its_subject_in_the_order_of_law(office: Office) -> None:
    office.deliver(
        "test_reg",
        company(1),
        {"subject_name": "湖南老代码公司", "org_code": org_code(2), "region_code": "430102"},
        {"subject_name": "湖南老执照公司", "reg_no": reg_no(3), "region_code": "430102"},
        day=0,
    )
    office.deliver(
        "test_person", {"person_name": "示例甲", "person_doc_no": person_doc(4), "region_code": "430102"}, day=0
    )
    district_tax_no = "430102" + org_code(1)
    office.deliver(
        "test_penalty",
        penalty(1, uscc=uscc(1)),
        penalty(2, uscc=uscc(2)),  # an old subject, known by its organisation code alone
        penalty(3, org_code=org_code(1)),
        penalty(4, reg_no=reg_no(3)),
        penalty(5, tax_no=district_tax_no),
        penalty(6, tax_no=uscc(1)),
        penalty(7, tax_no=person_doc(4) + "01"),
        penalty(8, person_doc_no=person_doc(4)),
        penalty(9, subject_name="湖南示例1有限公司"),
        day=1,
    )
    assert office.linked("test_penalty") == [
        (2, 1, "uscc"),
        (3, 2, "org_code_in_uscc"),
        (4, 1, "org_code"),
        (5, 3, "reg_no"),
        (6, 1, "tax_no_last_nine"),
        (7, 1, "tax_no_is_uscc"),
        (8, 4, "tax_no_person"),
        (9, 4, "person_doc"),
        (10, 1, "name"),
    ]


def test_the_better_code_wins_where_two_disagree(office: Office) -> None:
    office.deliver("test_reg", company(1, reg_no=reg_no(1)), company(2, reg_no=reg_no(2)), day=0)
    office.deliver("test_penalty", penalty(1, uscc=uscc(1), reg_no=reg_no(2), subject_name="湖南示例2有限公司"), day=1)
    assert office.linked("test_penalty") == [(2, 1, "uscc")]


def test_tells_of_a_code_that_is_not_the_one_inside_the_uscc(office: Office) -> None:
    office.deliver("test_reg", company(1), day=0)
    office.deliver(
        "test_penalty",
        penalty(1, uscc=uscc(1), org_code=org_code(1), tax_no="430102" + org_code(1)),
        penalty(2, uscc=uscc(1), org_code=org_code(2)),
        penalty(3, uscc=uscc(1), tax_no="430102" + org_code(2)),
        penalty(4, uscc=uscc(1), tax_no=uscc(2)),
        penalty(5, uscc=uscc(1), tax_no=uscc(1)),
        penalty(6, uscc=uscc(1), tax_no=person_doc(1)),
        penalty(7, org_code=org_code(2), tax_no=uscc(1)),
        day=1,
    )
    assert office.issues("test_penalty") == [
        (3, "subject.codes_differ", "org_code"),
        (4, "subject.codes_differ", "tax_no"),
        (5, "subject.codes_differ", "tax_no"),
    ]


@pytest.mark.slow
def test_a_document_finds_its_bearer_only_under_a_name_of_his(office: Office) -> None:
    """A mistyped number may be somebody's; the row of a household may hold nothing but its operator's."""
    office.deliver(
        "test_person",
        {"person_name": "示例·甲", "person_doc_no": person_doc(1), "former_name": "示例旧", "region_code": "430102"},
        day=0,
    )
    office.deliver(
        "test_penalty",
        penalty(1, person_doc_no=person_doc(1), subject_name="示例•甲"),
        penalty(2, person_doc_no=person_doc(1), subject_name="示例旧"),
        penalty(3, person_doc_no=person_doc(1), subject_name="示*"),
        penalty(4, person_doc_no=person_doc(1)),
        penalty(5, person_doc_no=person_doc(1), subject_name="示例乙"),
        penalty(6, tax_no=person_doc(1), subject_name="示例小吃店"),
        penalty(7, person_doc_no=person_doc(2), subject_name="示例乙"),
        day=1,
    )
    assert office.rules("test_penalty") == ["person_doc"] * 4 + ["waits"] * 3
    office.deliver(
        "test_person", {"person_name": "示例乙", "person_doc_no": person_doc(1), "region_code": "430102"}, day=2
    )
    office.retry()
    assert office.rules("test_penalty") == ["person_doc"] * 5 + ["waits"] * 2


def test_a_tax_number_makes_no_registration_a_person(office: Office) -> None:
    office.contract("test_reg", "registration", (*REGISTRATION, "tax_no"))
    office.deliver(
        "test_person", {"person_name": "示例甲", "person_doc_no": person_doc(1), "region_code": "430102"}, day=0
    )
    shop = {"subject_name": "示例小吃店", "reg_no": reg_no(1, household=True), "tax_no": person_doc(1)}
    office.deliver("test_reg", shop | {"region_code": "430102"}, day=1)
    office.publish()
    assert office.table("registration", "subject_id, subject_type") == [(2, "household")]


WAITING = (
    ({"subject_name": "湖南同名有限公司"}, "two subjects of that name in the prefecture"),
    ({"subject_name": "湖南示例1有限公司", "uscc": uscc(99)}, "its own code is unknown, so it is somebody else"),
    ({"subject_name": "湖南示例1有限公司", "reg_no": reg_no(99)}, "its own number is unknown"),
    ({"subject_name": "湖南示例1有限公司", "region_code": "430302"}, "nobody of that name there"),
    ({"subject_name": "湖南示例1有限公司", "region_code": "", "legal_rep_name": "示例乙"}, "nothing confirms the name"),
    ({"subject_name": "湖南示例5有限公司", "legal_rep_name": "示例丙"}, "another legal representative"),
    ({"subject_name": "某单位", "uscc": "0" * 17 + "X"}, "a placeholder is no key"),
    ({"subject_name": "某单位", "uscc": "0" * 18}, "a placeholder that passes the check is no key"),
    ({"subject_name": "某人", "person_doc_no": "4301021985****001X"}, "a masked number is no key"),
    ({"subject_name": "某人", "person_doc_no": "1" * 18}, "a repeated digit is no key"),
    ({"subject_name": "示例甲"}, "a natural person is never found by name"),
)


@pytest.mark.slow
def test_what_cannot_be_told_waits(office: Office) -> None:
    office.deliver(
        "test_reg",
        company(1),
        company(2, subject_name="湖南同名有限公司"),
        company(3, subject_name="湖南同名有限公司"),
        company(5, legal_rep_name="示例丁"),
        day=0,
    )
    office.deliver(
        "test_person", {"person_name": "示例甲", "person_doc_no": person_doc(4), "region_code": "430102"}, day=0
    )
    office.deliver("test_penalty", *(penalty(n, **row) for n, (row, _) in enumerate(WAITING)), day=1)
    outcome = {why: rule for (_, why), rule in zip(WAITING, office.rules("test_penalty"), strict=True)}
    assert outcome == {why: "waits" for _, why in WAITING}


def test_a_name_alone_finds_the_one_enterprise_of_that_name(office: Office) -> None:
    """Neither a household nor, by a short name, what may be a person; nor one of two that bear it."""
    office.deliver(
        "test_reg",
        company(1),
        company(2, subject_name="湖南同名有限公司"),
        company(3, subject_name="湖南同名有限公司", uscc=uscc(3, region="430302"), region_code="430302"),
        company(4, subject_name="示例甲餐馆", uscc=uscc(4, kind="92")),
        company(5, subject_name="示例乙"),
        company(6, subject_name="示例学校", uscc=uscc(6, kind="52")),
        company(7, subject_name="湖南混名有限公司"),
        company(8, subject_name="湖南混名有限公司", uscc=uscc(8, kind="92")),
        day=0,
    )
    names = (
        "湖南示例1有限公司", "湖南同名有限公司", "示例甲餐馆", "示例乙", "示例学校", "湖南混名有限公司", "示例丙"
    )  # fmt: skip
    rows = [penalty(n, subject_name=name, region_code="") for n, name in enumerate(names)]
    office.deliver("test_penalty", *rows, day=1)
    assert office.rules("test_penalty") == ["name", *["waits"] * 6]


@pytest.mark.parametrize("by_name", ["equal", "confirmed"])
def test_a_contract_may_want_a_name_confirmed(tmp_path: Path, by_name: str) -> None:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY, linking={"by_name": by_name})
    office.deliver("test_reg", company(1), day=0)
    name = "湖南示例1有限公司"
    office.deliver("test_penalty", penalty(1, subject_name=name, region_code=""), penalty(2, subject_name=name), day=1)
    assert office.rules("test_penalty") == ["name" if by_name == "equal" else "waits", "name"]


def test_a_change_is_no_enterprises_by_its_name_alone(office: Office) -> None:
    office.deliver("test_reg", company(1), day=0)
    unnamed = {"uscc": "", "region_code": "", "subject_name": "湖南示例1有限公司"}
    office.deliver("test_change", renaming(1, "湖南旧名有限公司", "湖南示例1有限公司", **unnamed), day=1)
    assert office.rules("test_change") == ["waits"]


def test_a_name_in_two_prefectures_is_resolved_by_the_region(office: Office) -> None:
    office.deliver(
        "test_reg",
        company(1, subject_name="湖南同名有限公司"),
        company(2, subject_name="湖南同名有限公司", uscc=uscc(2, region="430302"), region_code="430302"),
        day=0,
    )
    office.deliver(
        "test_penalty",
        penalty(1, subject_name="湖南同名有限公司", region_code="430302"),
        penalty(2, subject_name="湖南同名有限公司", region_code="430104"),
        penalty(3, subject_name="湖南同名有限公司", region_code="430000"),
        day=1,
    )
    assert office.linked("test_penalty") == [(2, 2, "name"), (3, 1, "name"), (4, 0, "waits")]


def test_a_legal_representative_who_fits_tells_namesakes_apart(office: Office) -> None:
    office.deliver(
        "test_reg",
        company(1, subject_name="湖南同名有限公司", legal_rep_name="示例甲"),
        company(2, subject_name="湖南同名有限公司", legal_rep_name="示例乙"),
        day=0,
    )
    office.deliver("test_penalty", penalty(1, subject_name="湖南同名有限公司", legal_rep_name="示例乙"), day=1)
    assert office.linked("test_penalty") == [(2, 2, "name")]


@pytest.mark.slow
def test_a_former_name_links_once_the_change_is_registered(office: Office) -> None:
    office.deliver("test_reg", company(1, subject_name="湖南新名有限公司"), day=0)
    office.deliver("test_penalty", penalty(1, subject_name="湖南旧名有限公司"), day=1)
    assert office.rules("test_penalty") == ["waits"]
    office.deliver("test_change", renaming(1, "湖南旧名有限公司", "湖南新名有限公司"), day=2)
    office.publish()
    assert office.linked("test_penalty") == [(2, 1, "name")]
    assert office.table("subject_name", "name, is_current") == [("湖南新名有限公司", True), ("湖南旧名有限公司", False)]


@pytest.mark.slow
def test_a_change_and_what_waits_for_it_are_settled_in_one_go(office: Office) -> None:
    """The change waits for its subject, the penalty for the change: the register's arrival settles both."""
    office.deliver("test_penalty", penalty(1, subject_name="湖南旧名有限公司"), day=0)
    office.deliver("test_change", renaming(1, "湖南旧名有限公司", "湖南新名有限公司"), day=1)
    office.deliver("test_reg", company(1, subject_name="湖南新名有限公司"), day=2)
    assert {a.dataset for a in office.retry()} == {"test_change", "test_penalty"}
    assert office.rules("test_penalty") == ["name"]
    assert office.retry() == []


@pytest.mark.slow
def test_a_former_name_that_went_to_another_firm_is_ambiguous(office: Office) -> None:
    office.deliver(
        "test_reg", company(1, subject_name="湖南新名有限公司"), company(2, subject_name="湖南旧名有限公司"), day=0
    )
    office.deliver("test_change", renaming(1, "湖南旧名有限公司", "湖南新名有限公司"), day=1)
    office.deliver("test_penalty", penalty(1, subject_name="湖南旧名有限公司"), day=2)
    assert office.rules("test_penalty") == ["waits"]


@pytest.mark.parametrize("shared", [{"reg_no": reg_no(7)}, {"org_code": org_code(1)}])
def test_a_row_with_its_own_code_links_to_no_other_subject(office: Office, shared: dict[str, str]) -> None:
    office.deliver("test_reg", company(1, **shared), day=0)
    office.deliver("test_penalty", penalty(1, uscc=uscc(2), **shared), penalty(2, **shared), day=1)
    assert [rule == "waits" for rule in office.rules("test_penalty")] == [True, False]


def test_two_codes_around_one_organisation_code_are_two_subjects(office: Office) -> None:
    other = uscc(1, region="430302", org=org_code(1))
    account = office.deliver("test_reg", company(1), company(2, uscc=other), day=0)
    assert counts(account) == (2, 0, 0, 0)
    office.deliver(
        "test_penalty", penalty(1, uscc=uscc(1)), penalty(2, uscc=other), penalty(3, org_code=org_code(1)), day=1
    )
    assert office.linked("test_penalty") == [(2, 1, "uscc"), (3, 2, "uscc"), (4, 0, "waits")]


@pytest.mark.slow
def test_a_later_code_with_a_known_organisation_code_is_another(office: Office) -> None:
    other = uscc(1, region="430302", org=org_code(1))
    office.deliver("test_reg", company(1), day=0)
    rows = (
        company(2, uscc=other),
        {"subject_name": "湖南示例3有限公司", "org_code": org_code(1), "region_code": "430102"},
    )
    account = office.deliver("test_reg", *rows, day=1)
    assert counts(account) == (1, 0, 0, 1), "the row with the shared organisation code alone may be either"
    assert office.deliver("test_reg", *rows, company(9), day=2)["accepted"] == 1
    office.publish()
    assert len(office.table("subject")) == 3


@pytest.mark.slow
def test_a_guarantee_waits_until_both_its_subjects_are_known(office: Office) -> None:
    row = {
        "uscc": uscc(1),
        "related_uscc": uscc(2),
        "institution_code": "C1",
        "contract_no": "示例保001",
        "valid_from_on": "2026-01-01",
    }
    office.deliver("test_reg", company(1), day=0)
    assert counts(office.deliver("test_guarantee", row, day=1)) == (0, 0, 0, 1)
    office.deliver("test_reg", company(2), day=2)
    office.publish()
    assert counts(office.account("test_guarantee")) == (1, 0, 0, 0)
    assert office.table("guarantee", "subject_id, related_subject_id", tier="assembly") == [(1, 2)]
    assert office.table("credit_record", "subject_id, related_subject_id, kind", tier="assembly") == [
        (1, 2, "guarantee"),
        (1, None, "registration"),
        (2, None, "registration"),
    ]
