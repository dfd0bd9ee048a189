"""The subject registry: numbers that never change, identifiers and names once each, types, parts."""

from pathlib import Path

import pytest

from deliveries import (
    CHANGE,
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
    office.contract("test_person", "person_base", PERSON)
    office.contract("test_change", "registration_change", CHANGE)
    return office


def test_types_follow_the_codes(office: Office) -> None:
    office.deliver(
        "test_reg",
        company(1),
        company(2, uscc=uscc(2, kind="92")),
        company(3, uscc=uscc(3, kind="93")),
        company(4, uscc=uscc(4, kind="12")),
        company(5, uscc=uscc(5, kind="N2")),
        company(6, uscc="", reg_no=reg_no(6)),
        company(7, uscc="", reg_no=reg_no(7, household=True)),
        company(8, uscc="", org_code=org_code(8)),
        day=0,
    )
    office.deliver(
        "test_person", {"person_name": "示例甲", "person_doc_no": person_doc(1), "region_code": "430304"}, day=1
    )
    office.publish()
    assert [t for _, t in office.table("subject", "name, subject_type", tier="assembly")] == [
        "enterprise", "household", "enterprise", "organisation", "organisation", "enterprise", "household",
        "organisation", "person",
    ]  # fmt: skip
    born = office.table("subject", "name, CAST(born_on AS VARCHAR)", tier="assembly")[-1][1]
    assert born.replace("-", "") == person_doc(1)[6:14]


def test_numbers_are_stable_and_a_second_delivery_adds_nothing(office: Office) -> None:
    rows = [company(n, reg_no=reg_no(n)) for n in (3, 1, 2)]
    office.deliver("test_reg", *rows, day=0)
    office.publish()
    subjects, identifiers = office.table("subject", "subject_id, uscc"), office.table("subject_identifier")
    assert subjects == [(1, uscc(3)), (2, uscc(1)), (3, uscc(2))]
    assert [t for _, t in office.table("subject_identifier", "subject_id, identifier_type")] == [
        "org_code", "reg_no", "uscc"] * 3  # fmt: skip
    account = office.deliver("test_reg", *reversed(rows), company(4), day=1)
    assert counts(account) == (1, 0, 3, 0)
    office.publish(day=1)
    assert office.table("subject", "subject_id, uscc") == [*subjects, (4, uscc(4))]
    assert office.table("subject_identifier")[: len(identifiers)] == identifiers


def test_a_rename_keeps_the_subject_and_moves_the_current_name(office: Office) -> None:
    office.deliver("test_reg", company(1, subject_name="湖南旧名有限公司"), day=0)
    office.deliver("test_reg", company(1, subject_name="湖南新名有限公司"), day=1)
    office.publish()
    assert office.table("subject", "subject_id, name") == [(1, "湖南新名有限公司")]
    names = [("湖南新名有限公司", True), ("湖南旧名有限公司", False)]
    assert office.table("subject_name", "name, is_current") == names
    office.deliver("test_change", renaming(1, "湖南旧名有限公司", "湖南新名有限公司"), day=2)
    office.publish(day=1)
    periods = "name, is_current, CAST(valid_from_on AS VARCHAR), CAST(valid_to_on AS VARCHAR)"
    assert office.table("subject_name", periods) == [
        ("湖南新名有限公司", True, "2025-05-01", None),
        ("湖南旧名有限公司", False, None, "2025-05-01"),
    ]
    office.deliver("test_reg", company(1, subject_name="湖南旧名有限公司", legal_rep_name="示例乙"), day=3)
    office.publish(day=2)
    assert office.table("subject_name", "name, is_current") == [(n, not c) for n, c in names]


@pytest.mark.slow
def test_a_subject_keeps_its_part_when_it_moves(office: Office) -> None:
    office.contract("test_penalty", "penalty", PENALTY)
    office.deliver("test_reg", company(1), day=0)
    office.publish()
    office.deliver("test_reg", company(1, region_code="430302"), day=1)
    office.deliver("test_penalty", penalty(1, uscc=uscc(1), region_code="430302"), day=1)
    office.publish(day=1)
    files = sorted(p.relative_to(office.snapshot()).as_posix() for p in office.snapshot().rglob("*.parquet"))
    assert [f.rsplit("-", 1)[0] for f in files] == [
        "batch/00000000", "credit_record/penalty-4301", "credit_record/registration-4301", "penalty/4301",
        "registration/4301", "registration_history/registration-4301", "subject/4301", "subject_identifier/4301",
        "subject_name/4301",
    ]  # fmt: skip
    assert office.table("subject", "region_code") == [("430302",)]


@pytest.mark.parametrize(
    ("row", "part"),
    [
        (company(1, region_code="433101"), "4331"),
        (company(1, region_code="430000"), "4300"),
        (company(1, region_code="", uscc=uscc(1, region="430602")), "4306"),
        (company(1, region_code="", uscc=uscc(1, region="110105")), "0000"),
    ],
)
def test_the_part_is_the_prefecture_as_first_known(office: Office, row: dict[str, str], part: str) -> None:
    office.deliver("test_reg", row, day=0)
    office.publish()
    assert [p.name.rsplit("-", 1)[0] for p in (office.snapshot() / "subject").iterdir()] == [part]


def test_persons_lie_apart(office: Office) -> None:
    office.deliver(
        "test_person", {"person_name": "示例甲", "person_doc_no": person_doc(1), "region_code": "430304"}, day=1
    )
    office.publish()
    assert [p.name.rsplit("-", 1)[0] for p in (office.snapshot("assembly") / "subject").iterdir()] == ["p4303"]


def test_an_old_code_and_the_new_one_around_it_are_one_subject(office: Office) -> None:
    office.deliver("test_reg", {"subject_name": "湖南老公司", "org_code": org_code(1), "region_code": "430102"}, day=0)
    office.deliver("test_reg", company(1, subject_name="湖南老公司"), day=1)
    office.publish()
    assert office.table("subject", "subject_id, uscc") == [(1, uscc(1))]
    assert office.table("registration", "subject_id, uscc") == [(1, uscc(1))]
    assert office.table("subject", "subject_type") == office.table("registration", "subject_type") == [("enterprise",)]


def test_a_renaming_counts_until_the_register_states_otherwise(office: Office) -> None:
    names = "name, is_current, CAST(valid_from_on AS VARCHAR), CAST(valid_to_on AS VARCHAR)"
    office.deliver("test_reg", company(1, subject_name="湖南旧名有限公司"), day=0)
    told = renaming(1, "湖南旧名有限公司", "湖南新名有限公司", changed_on="2026-03-05")
    mistyped = renaming(1, "湖南新名有限公司", "湖南错日有限公司", changed_on="2096-03-05")
    moves = [renaming(1, "甲路", "乙路", change_item_code="02", changed_on=f"2026-01-{n}") for n in range(10, 25)]
    office.deliver("test_change", told, mistyped, *moves, day=5)
    office.publish()
    assert office.table("subject", "name") == [("湖南新名有限公司",)]
    assert office.table("subject_name", names) == [
        ("湖南新名有限公司", True, "2026-03-05", None),
        ("湖南旧名有限公司", False, None, "2026-03-05"),
        ("湖南错日有限公司", False, None, None),
    ]
    office.deliver("test_reg", company(1, subject_name="湖南又名有限公司"), day=9)
    office.publish(day=9)
    assert office.table("subject", "name") == [("湖南又名有限公司",)]
    assert [(n, c) for n, c, *_ in office.table("subject_name", names) if c] == [("湖南又名有限公司", True)]


def test_the_newest_version_by_source_time_describes_the_subject(office: Office) -> None:
    office.contract("test_reg", "registration", (*REGISTRATION, "source_updated_at"))
    new, old = "2026-02-05 10:00:00", "2026-02-01 10:00:00"
    office.deliver("test_reg", company(1, subject_name="湖南新名有限公司", source_updated_at=new), day=0)
    office.deliver("test_reg", company(1, subject_name="湖南旧名有限公司", source_updated_at=old), day=1)
    office.publish()
    assert office.table("subject", "name") == office.table("registration", "subject_name") == [("湖南新名有限公司",)]


def test_a_version_between_equal_ones_describes_no_subject(office: Office) -> None:
    office.contract("test_reg", "registration", (*REGISTRATION, "source_updated_at"))
    for day, (name, time) in enumerate((("甲", "2026-02-01"), ("甲", "2026-02-05"), ("乙", "2026-02-03"))):
        office.deliver(
            "test_reg", company(1, subject_name=f"湖南{name}有限公司", source_updated_at=f"{time} 10:00:00"), day=day
        )
    office.publish()
    assert office.table("subject", "name") == office.table("registration", "subject_name") == [("湖南甲有限公司",)]
