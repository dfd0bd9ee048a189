"""The open tier's key: where it comes from, who may read it, and what a home without one does."""

import hashlib
import hmac
import logging
from pathlib import Path
from typing import Any

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.publishing import key as open_key
from chengxin.publishing.open_tier import derivation
from chengxin.publishing.reader import open_snapshot
from chengxin.settings import Settings
from chengxin.store.layout import Layout
from deliveries import PERSON, REGISTRATION, Office, built_once, company, person_doc, uscc

LONG = b"k" * open_key.LEAST
DISHONEST = (
    "subject_name",
    "uscc",
    "person_doc_no",
    "authority_name",
    "case_no",
    "enforcement_basis_no",
    "published_on",
)


def test_the_derived_key_is_that_of_rfc_5869():
    key = open_key.derive(LONG)
    extracted = hmac.new(b"\0" * 32, LONG, hashlib.sha256).digest()
    assert key == hmac.new(extracted, b"chengxin/open\x01", hashlib.sha256).digest()
    assert open_key.derive(None) is None


def test_key_id_tells_keys_apart_without_giving_them_away():
    assert open_key.key_id(None) is None
    assert open_key.key_id(b"k1") != open_key.key_id(b"k2")
    known = {hashlib.sha256(b"k1").hexdigest()[:12], hmac.new(b"k1", b"", hashlib.sha256).hexdigest()[:12]}
    assert open_key.key_id(b"k1") not in known and len(str(open_key.key_id(b"k1"))) == 12


def settings(home: Path, key: bytes | None = None) -> Settings:
    return Settings(home=home, token_key=key)


def test_the_demo_makes_a_key_that_only_its_owner_reads(tmp_path):
    open_key.make(tmp_path)
    path = Layout(tmp_path).demo_key
    assert path.stat().st_mode & 0o777 == 0o600 and [p.name for p in path.parent.iterdir()] == [path.name]
    key = open_key.master(Home(settings(tmp_path)))
    assert key and len(key) == 64 and open_key.problem(Home(settings(tmp_path))) is None
    open_key.make(tmp_path)
    assert open_key.master(Home(settings(tmp_path))) == key
    open_key.make(tmp_path / "other")
    assert open_key.master(Home(settings(tmp_path / "other"))) != key
    assert open_key.master(Home(settings(tmp_path, LONG))) == LONG


@pytest.mark.parametrize(
    ("key", "why"), [(None, "未设置密钥 CHENGXIN_TOKEN_KEY"), (LONG[1:], "密钥 CHENGXIN_TOKEN_KEY 不足 32 个字符")]
)
def test_a_key_that_lacks_or_can_be_guessed_is_none(tmp_path, key, why):
    assert open_key.master(Home(settings(tmp_path, key))) is None
    said = open_key.problem(Home(settings(tmp_path, key))) or ""
    assert said.startswith(why) and "openssl rand -hex 32" in said and (not key or key.decode() not in said)


def test_a_short_key_is_not_made_good_by_that_of_the_demo(tmp_path):
    open_key.make(tmp_path)
    assert open_key.master(Home(settings(tmp_path, b"short"))) is None


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    """An office with a court that has listed a company and two persons."""
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("people", "person_base", PERSON)
    office.contract("court", "dishonest_person", DISHONEST)
    office.deliver("reg", company(1), day=0)
    office.deliver(
        "people", *[{"person_name": f"张示例{'甲乙'[n]}", "person_doc_no": person_doc(n)} for n in (0, 1)], day=1
    )
    office.deliver("court", *[case(n) for n in (0, 1, 2)], day=2)
    return office


def case(n: int) -> dict[str, Any]:
    who = {"uscc": uscc(1)} if n == 2 else {"person_doc_no": person_doc(n), "subject_name": f"张示例{'甲乙'[n]}"}
    return who | {"case_no": f"(2026)湘01执{n}号", "enforcement_basis_no": "判1号", "authority_name": "示例法院",
                  "published_on": "2026-03-01"}  # fmt: skip


def published(office: Office, key: bytes | None) -> list[str]:
    given = settings(office.settings.home, key)
    pipeline.publish(Home(given, Clock()), office.contracts)
    return open_snapshot(given.home, "open").table("dishonest_person").column("subject_type").to_pylist()


@pytest.mark.slow
def test_a_home_without_a_key_publishes_all_but_persons(office, caplog):
    with caplog.at_level(logging.INFO):
        assert published(office, None) == ["enterprise"]
    given = office.settings
    assert open_key.problem(Home(given)) in caplog.messages and derivation.withheld(Home(given)) == open_key.problem(
        Home(given)
    )
    assert open_snapshot(given.home, "government").tables["dishonest_person"] == 3
    assert published(office, LONG) == ["enterprise", "person", "person"]
    assert derivation.withheld(Home(settings(given.home, LONG))) is None
    assert published(office, b"short") == ["enterprise"]
    assert "下次发布" in str(derivation.withheld(Home(settings(given.home, LONG))))


def test_the_key_stands_in_no_file_of_the_home(office):
    published(office, LONG)
    derived = open_key.derive(LONG) or b""
    forms = {LONG, LONG.hex().encode(), derived, derived.hex().encode()}
    for path in office.settings.home.rglob("*"):
        assert not path.is_file() or not [form for form in forms if form in path.read_bytes()], path
