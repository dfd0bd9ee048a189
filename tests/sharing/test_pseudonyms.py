"""Persons bear other numbers in each recipient's cut: not comparable, replaced by rotation, and found by a repair."""

import json
from pathlib import Path
from typing import Any

import pytest
from pipeline_runs import told
from pipeline_runs import words as arguments

from chengxin import pipeline
from chengxin.pipeline import acts
from chengxin.pipeline.acts import Target
from chengxin.publishing import key as open_key
from chengxin.publishing import pseudonyms
from chengxin.publishing.reader import Snapshot, open_snapshot
from chengxin.publishing.suppression import reissue, sweep
from chengxin.publishing.verify import verify
from chengxin.store.manifest import PSEUDONYMS
from deliveries import PENALTY, PERSON, REGISTRATION, Office, built_once, company, penalty, person_doc, uscc
from publishing.test_open_key import DISHONEST, case
from sharing.test_recipients import apply, declare, home_of
from sharing.test_withdrawals import Reader

LISTED = [{"kinds": ["dishonest_person", "registration"], "persons": "all"}]
LICENCE = ("subject_name", "uscc", "person_doc_no", "decision_no", "decision_on", "item_name")
NAMELESS = [
    {"kinds": ["dishonest_person"], "columns": {"drop": ["subject_name", "person_doc_no"]}, "persons": "all"},
    {"kinds": ["registration"]},
]


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    """A court has listed a firm and two persons; two recipients are given them, one without names and documents."""
    office = Office(tmp_path)
    open_key.make(office.settings.home)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("people", "person_base", PERSON)
    office.contract("court", "dishonest_person", DISHONEST)
    office.deliver("reg", company(1), day=0)
    named = [{"person_name": f"张示例{'甲乙丙'[n]}", "person_doc_no": person_doc(n)} for n in (0, 1)]
    office.deliver("people", *named, day=0)
    office.deliver("court", *[case(n) for n in (0, 1, 2)], day=1)
    declare(office.folder / "recipients", "city", grants=LISTED, per_second=100)
    declare(office.folder / "recipients", "county", grants=NAMELESS, per_second=100)
    office.publish(1)
    return office


def cut(office: Office, name: str) -> Snapshot:
    [tier] = [g.tier for g in pipeline.recipients(home_of(office), office.contracts) if g.recipient.id == name]
    return open_snapshot(office.settings.home, tier)


def rows(snapshot: Snapshot, table: str = "dishonest_person", *, persons: bool = True) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = snapshot.table(table).to_pylist()
    return [row for row in found if (row.get("subject_type") == "person") == persons]


def numbers(snapshot: Snapshot, column: str) -> set[Any]:
    return {row[column] for row in rows(snapshot)}


def government(office: Office) -> Snapshot:
    return open_snapshot(office.settings.home, "government")


def test_no_two_readers_know_a_person_by_one_number(office: Office) -> None:
    everybody = [
        government(office),
        open_snapshot(office.settings.home, "open"),
        *(cut(office, n) for n in ("city", "county")),
    ]
    for column in ("record_id", "subject_id"):
        seen = [numbers(one, column) - {None} for one in everybody]
        assert [len(some) for some in seen] == [2, 0, 2, 2]
        assert len(set.union(*seen)) == 6
    handles = {row["record_handle"] for row in rows(everybody[1])}
    assert len(handles) == 2 and not handles & numbers(everybody[2], "record_id")
    firms = [rows(one, persons=False)[0] for one in everybody]
    assert len({(firm["record_id"], firm["subject_id"]) for firm in firms}) == 1, "public anyway"


def test_a_cut_with_pseudonyms_is_whole_and_leads_to_no_row(office: Office) -> None:
    for name in ("city", "county"):
        found = cut(office, name)
        assert verify(office.layout, found.manifest.tier) == []
        known = numbers(found, "subject_id")
        assert min(known) >= PSEUDONYMS and max(known) < 2 * PSEUDONYMS
        assert {row["subject_id"] for row in rows(found, "subject")} == known
        assert numbers(found, "record_id") < set(found.table("credit_record")["record_id"].to_pylist())
        for row in rows(found) + rows(found, "credit_record") + rows(found, "subject"):
            assert {row[n] for n in pseudonyms._WITHOUT if n in row} == {None}
            assert row["batch_id"].count("-") == 1, "data set and day"
        for person in known:
            assert set(found.lookup(person)) >= {"subject", "dishonest_person", "credit_record"}


def test_what_no_kind_gives_of_persons_the_registry_withholds(office: Office) -> None:
    for name, given in (("city", True), ("county", False)):
        snapshot = cut(office, name)
        texts = {str(v) for table in snapshot.tables for row in snapshot.table(table).to_pylist() for v in row.values()}
        assert {person_doc(n) in texts for n in (0, 1)} == {f"张示例{c}" in texts for c in "甲乙"} == {given}, name
        assert {row["born_on"] is None for row in rows(snapshot, "subject")} == {not given}
        assert uscc(1) in texts


def test_a_person_is_named_by_given_records_only(office: Office) -> None:
    """One kind gives names, one does not, a third gives no persons."""
    office.contract("pen", "penalty", PENALTY)
    office.contract("lic", "licence", LICENCE)
    office.deliver("people", {"person_name": "张示例丙", "person_doc_no": person_doc(3)}, day=2)
    fined = penalty(1, person_doc_no=person_doc(1), subject_name="张示例乙")
    office.deliver("pen", fined, day=2)
    licensed = {
        "person_doc_no": person_doc(3),
        "subject_name": "张示例丙",
        "decision_no": "湘证1",
        "decision_on": "2026-01-15",
    }
    office.deliver("lic", licensed, day=2)
    others = [{"kinds": ["penalty"], "persons": "all"}, {"kinds": ["licence"]}]
    declare(office.folder / "recipients", "county", grants=[NAMELESS[0], *others], per_second=100)
    office.publish(3)
    assert {row["name"] for row in rows(government(office), "subject")} == {"张示例甲", "张示例乙", "张示例丙"}
    found = cut(office, "county")
    assert {row["name"] for row in rows(found, "subject")} == {None, "张示例乙"}
    assert set(found.table("subject_name")["name"].to_pylist()) == {"湖南示例1有限公司", "张示例乙"}
    documents = set(found.table("subject_identifier")["identifier_value"].to_pylist())
    assert [person_doc(n) in documents for n in (0, 1, 3)] == [False, True, False]
    assert "licence" not in found.tables


def test_without_a_master_key_persons_are_left_out(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.layout.demo_key.unlink()
    assert len(apply(office)) == 2 and "授权含自然人" in caplog.text
    for name in ("city", "county"):
        found = cut(office, name)
        assert rows(found) == rows(found, "subject") == [] and len(rows(found, persons=False)) == 1
        assert verify(office.layout, found.manifest.tier) == []


def test_a_rotation_gives_new_numbers_and_a_translation(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHENGXIN_RECIPIENTS", str(office.settings.recipients))
    before, other = cut(office, "city"), numbers(cut(office, "county"), "record_id")
    known = {column: numbers(before, column) for column in ("record_id", "subject_id")}
    words = arguments(office.settings.home, office.settings.contracts, "recipients", "rotate", "city")
    assert told(words).returncode == 0
    now = cut(office, "city")
    assert now.manifest.tier != before.manifest.tier and not before.folder.exists()
    assert numbers(cut(office, "county"), "record_id") == other
    for table, column in (("translated_record", "record_id"), ("translated_subject", "subject_id")):
        pairs = {row[f"previous_{column}"]: row[column] for row in now.table(table).to_pylist()}
        assert set(pairs) == known[column] and set(pairs.values()) == numbers(now, column)
        assert not set(pairs) & set(pairs.values())
    assert verify(office.layout, now.manifest.tier) == []
    assert apply(office, 366 * 2) == [now.manifest.tier], "the time of the translation is over"
    assert not {"translated_record", "translated_subject"} & set(cut(office, "city").tables)
    with pytest.raises(Exception, match="不使用代号"):
        pipeline.rotate(home_of(office), office.contracts, "nobody", "示例甲")


def test_a_pseudonym_is_led_back_to_its_record(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHENGXIN_RECIPIENTS", str(office.settings.recipients))
    [one, two] = sorted(rows(cut(office, "city")), key=lambda row: str(row["record_id"]))

    def identified(name: str, number: object) -> list[dict[str, Any]]:
        words = ("recipients", "identify", name, str(number), "--json")
        found = told(arguments(office.settings.home, office.settings.contracts, *words))
        assert found.returncode == (0 if found.stdout.strip() != "[]" else 1)
        return list(json.loads(found.stdout))

    [found] = identified("city", one["record_id"])
    [original] = [r for r in rows(government(office)) if r["record_id"] == found["record_id"]]
    assert original["case_no"] == one["case_no"]
    assert identified("city", one["subject_id"]) == [found]
    assert identified("county", one["record_id"]) == []
    pipeline.rotate(home_of(office), office.contracts, "city", "示例甲")
    assert [r["record_id"] for r in identified("city", one["record_id"])] == [found["record_id"]], "as it was known"
    assert identified("city", two["record_id"]) != [found]


def test_a_repair_reaches_persons_in_every_cut(office: Office) -> None:
    city, county = (Reader(office, name) for name in ("city", "county"))
    assert city.fetch("dishonest_person") == county.fetch("registration") == 200
    known = rows(cut(office, "city"))
    pipeline.rotate(home_of(office), office.contracts, "city", "示例甲")
    assert city.on(1).fetch("translated_record") == 200
    [gone, kept] = sorted(rows(government(office)), key=lambda row: str(row["case_no"]))
    [before] = [row["record_id"] for row in known if row["case_no"] == gone["case_no"]]
    [now] = [row["record_id"] for row in rows(cut(office, "city")) if row["case_no"] == gone["case_no"]]
    stood = {name: cut(office, name) for name in ("city", "county")}
    home = home_of(office, 2)
    acts.enter(home, "repair", Target(record_id=gone["record_id"]), by="甲", document="修1号", day=home.clock.today())
    for snapshot in stood.values():
        assert [row["case_no"] for row in rows(snapshot)] == [kept["case_no"]], "at once, also where it was open"
        assert [e.table for e in snapshot.manifest.files() if snapshot.withholds(e)]
    told_of = {notice["record_id"] for notice in city.on(2).notices()}
    assert told_of == {before, now}, "as it was handed out"
    assert county.on(2).notices() == []
    reissue.run(home)
    for name in ("city", "county"):
        found = cut(office, name)
        assert [row["case_no"] for row in rows(found)] == [kept["case_no"]]
        assert verify(office.layout, found.manifest.tier) == []
    assert cut(office, "city").tables["translated_record"] == 1
    assert not sweep.sweep(home).left


def test_a_notice_names_no_pseudonym_of_another(office: Office) -> None:
    city, county = (Reader(office, name) for name in ("city", "county"))
    assert city.fetch("dishonest_person") == county.fetch("dishonest_person") == 200
    for kept in (office.layout.accesses / "files").iterdir():
        kept.unlink()  # so that each counts as holding every record
    own = {name: numbers(cut(office, name), "record_id") for name in ("city", "county")}
    [gone, _] = sorted(rows(government(office)), key=lambda row: str(row["case_no"]))
    home = home_of(office, 2)
    acts.enter(home, "repair", Target(record_id=gone["record_id"]), by="甲", document="修1号", day=home.clock.today())
    for reader, other in ((city, "county"), (county, "city")):
        seen = {notice["record_id"] for notice in reader.on(2).notices()}
        assert len(seen & own[reader.name]) == 1 and not seen & own[other]
