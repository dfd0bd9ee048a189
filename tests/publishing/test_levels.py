"""Records that need the consent of their subject, attacked in the published files; and what else the levels decide."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from chengxin.cli.inspect import verify as verify_home
from chengxin.errors import ChengxinError
from chengxin.home import Home
from chengxin.model.kinds import kinds
from chengxin.model.sharing import SharingRule
from chengxin.publishing.open_tier import derivation
from chengxin.publishing.reader import open_snapshot
from chengxin.publishing.verify import verify
from chengxin.settings import Settings
from chengxin.store.layout import ASSEMBLY
from deliveries import GUARANTEE, PENALTY, PERSON, REGISTRATION, Office, company, penalty, person_doc, uscc

KEY = b"the master key of the tests of levels"
LOAN = ("subject_name", "uscc", "person_doc_no", "institution_code", "contract_no", "overdue_since_on",
    "overdue_amount", "conduct_ended_on")  # fmt: skip
LICENCE = ("subject_name", "uscc", "decision_no", "decision_on", "authority_name", "counterpart_type_code",
    "publicity_until_on", "decision_status_code")  # fmt: skip
TABLES = ("subject", "subject_identifier", "subject_name")
BY_CONSENT = ["guarantee", "overdue_loan", "person_base"]


class Keyed(Office):
    """An office that has a master key."""

    key: bytes | None = KEY

    @property
    def settings(self) -> Settings:
        return replace(super().settings, token_key=self.key)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Two firms; 张示例甲 is known from authorised data alone, 张示例乙 was fined too."""
    office = Keyed(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("people", "person_base", PERSON)
    office.contract("loan", "overdue_loan", LOAN)
    office.contract("sure", "guarantee", GUARANTEE)
    office.contract("pen", "penalty", (*PENALTY, "decision_status_code", "penalty_class_name"))
    office.deliver("reg", company(1), company(2), day=0)
    people = [{"person_name": f"张示例{'甲乙'[n]}", "person_doc_no": person_doc(n)} for n in (0, 1)]
    office.deliver("people", *people, day=0)
    loan = {"institution_code": "B1", "overdue_since_on": "2025-05-01", "overdue_amount": "100"}
    office.deliver(
        "loan",
        {**loan, "uscc": uscc(1), "contract_no": "秘密合同一号"},
        {**loan, "person_doc_no": person_doc(0), "subject_name": "张示例甲", "contract_no": "秘密合同二号"},
        {**loan, "person_doc_no": person_doc(1), "subject_name": "张示例乙", "contract_no": "秘密合同三号",
         "conduct_ended_on": "2020-01-01"},
        day=1,
    )  # fmt: skip
    sure = {"institution_code": "B1", "related_uscc": uscc(2), "valid_from_on": "2025-01-01"}
    office.deliver("sure", {**sure, "uscc": uscc(1), "contract_no": "秘密合同四号"}, day=1)
    fined = penalty(1, person_doc_no=person_doc(1), subject_name="张示例乙")
    office.deliver("pen", fined, penalty(2, uscc=uscc(2), decision_status_code="2"), penalty(3, uscc=uscc(2)), day=1)
    office.publish(day=2)
    return office


def plain(office: Office) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Give what anybody reads who has the files of all tiers and no key."""
    for path in sorted((office.settings.home / "published").rglob("*.parquet")):
        try:
            rows = duckdb.sql(f"SELECT * FROM '{path}'").to_arrow_table().to_pylist()
        except duckdb.Error:
            rows = []
        yield path, rows


def consenting(office: Office, key: bytes = KEY):
    return open_snapshot(office.settings.home, "authorised", key=key)


def test_what_needs_consent_is_in_no_file_that_can_be_read(office):
    seen = {path: str(rows) for path, rows in plain(office) if rows}
    assert len(seen) > 10
    for path, text in seen.items():
        assert "秘密合同" not in text and person_doc(0) not in text and "张示例甲" not in text, path
        assert not any(f"'kind': '{kind}'" in text for kind in BY_CONSENT), path
        assert path.parent.name not in BY_CONSENT, path
    for path in (office.settings.home / "published" / "authorised").rglob("*.parquet"):
        assert path not in seen
        with pytest.raises(Exception, match=r"(?i)encrypt|decrypt"):
            pq.read_table(path)
        assert "秘密合同".encode() not in path.read_bytes() and b"contract_no" not in path.read_bytes()


@pytest.mark.slow
def test_a_person_is_shared_for_a_record_there_only(office):
    assert [row[0] for row in office.table("subject", "name")] == ["张示例乙", "湖南示例1有限公司", "湖南示例2有限公司"]
    numbers = {row[0] for row in office.table("credit_record", "subject_id")}
    for table in TABLES:
        assert {row[0] for row in office.table(table, "subject_id")} == numbers, table
    assert consenting(office).table("subject")["name"].to_pylist() == ["张示例甲"]
    office.deliver("pen", penalty(5, person_doc_no=person_doc(0), subject_name="张示例甲"), day=3)
    office.publish(day=4)
    assert "张示例甲" in {row[0] for row in office.table("subject", "name")}
    assert "subject" not in consenting(office).tables
    assert open_snapshot(office.settings.home, "open").find("张示例甲").num_rows == 0


@pytest.mark.slow
def test_the_reader_needs_the_key(office):
    opened = consenting(office)
    assert sorted(set(opened.table("credit_record")["kind"].to_pylist())) == BY_CONSENT
    assert opened.table("overdue_loan")["contract_no"].to_pylist() == ["秘密合同一号", "秘密合同二号"]
    firm = office.table("subject", "subject_id", tier=ASSEMBLY)[0][0]
    assert {t: rows.num_rows for t, rows in opened.lookup(firm).items()} == {
        "credit_record": 2, "guarantee": 1, "overdue_loan": 1}  # fmt: skip
    (number,) = opened.find(person_doc(0))["subject_id"].to_pylist()
    assert opened.lookup(number)["overdue_loan"]["contract_no"].to_pylist() == ["秘密合同二号"]
    assert opened.connect().sql("SELECT count(*) FROM guarantee").fetchall() == [(1,)]
    with pytest.raises(ChengxinError, match="请用 table"):
        opened.scan("guarantee")
    for key in (None, b"another key than that of the publication"):
        closed = open_snapshot(office.settings.home, "authorised", key=key)
        for ask in (lambda c: c.table("guarantee"), lambda c: c.find(person_doc(0)), lambda c: c.lookup(firm)):
            with pytest.raises(ChengxinError, match="主密钥"):
                ask(closed)
    assert KEY.decode() not in repr(opened) and repr(opened.key) not in repr(opened)


@pytest.mark.slow
def test_what_was_withdrawn_or_forgotten_is_in_no_tier(office):
    status = "subject_id, decision_status_code"
    assert len(office.table("penalty", status, tier=ASSEMBLY)) == 3
    assert [row[1] for row in office.table("penalty", status)] == [None, None]
    assert "秘密合同三号" not in str(consenting(office).table("overdue_loan").to_pylist())
    told = office.table("credit_record", "share_level", tier=ASSEMBLY)
    assert sorted(row[0] for row in told).count("sealed") == 2
    office.deliver("pen", penalty(2, uscc=uscc(2), decision_status_code="1"), day=3)
    office.publish(day=4)
    assert len(office.table("penalty")) == 3


@pytest.mark.slow
def test_only_what_changed_is_encrypted_again(office):
    def names() -> set[str]:
        return {f.name for f in consenting(office).manifest.files()}

    before = names()
    assert office.publish(day=3) is None
    office.deliver("pen", penalty(7, uscc=uscc(1)), day=3)
    assert office.publish(day=4) is not None and names() == before
    sure = {"institution_code": "B1", "related_uscc": uscc(1), "valid_from_on": "2025-01-01"}
    office.deliver("sure", {**sure, "uscc": uscc(2), "contract_no": "秘密合同五号"}, day=5)
    assert office.publish(day=6) is not None
    assert {name.partition("-")[0] for name in names() - before} == {"4301", "guarantee"}
    assert office.table("batch", "count(*)") == [(7,)], "the accounts of the government tier go on"


@pytest.mark.slow
def test_an_assembly_that_is_missed_is_made_again(office):
    def content() -> dict[str, set[str]]:
        tiers = (ASSEMBLY, "government", "authorised", "open")
        return {t: {f.name for f in open_snapshot(office.settings.home, t, key=KEY).manifest.files()} for t in tiers}

    before = content()
    shutil.rmtree(office.settings.home / ASSEMBLY)
    assert office.publish(day=2) is None and content() == before
    shutil.rmtree(office.settings.home / ASSEMBLY)
    office.deliver("pen", penalty(8, uscc=uscc(2)), day=3)
    assert office.publish(day=4) is not None
    assert len(office.table("penalty")) == 3 and content()["authorised"] == before["authorised"]


@pytest.mark.slow
def test_verify_reads_encrypted_files_as_well(office):
    home = Home(office.settings)
    assert verify_home(home, None)["problems"] == []
    path = next((office.settings.home / "published" / "authorised").rglob("guarantee/*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    for master in (None, KEY):
        found = verify(office.layout, "authorised", mark=False, master=master)
        assert len(found) == 1 and "sha256 与清单不符" in found[0]


def test_without_a_key_nothing_of_it_is_published(tmp_path):
    office = Keyed(tmp_path)
    office.key = None
    office.contract("reg", "registration", REGISTRATION)
    office.contract("sure", "guarantee", GUARANTEE)
    office.deliver("reg", company(1), company(2), day=0)
    sure = {"institution_code": "B1", "related_uscc": uscc(2), "valid_from_on": "2025-01-01"}
    office.deliver("sure", {**sure, "uscc": uscc(1), "contract_no": "秘密合同一号"}, day=1)
    office.publish(day=2)
    assert office.table("guarantee") == [] and not office.layout.tier("authorised").exists()
    assert "授权层不发布" in (derivation.withheld(Home(office.settings)) or "")
    office.key = KEY
    assert "下次发布" in (derivation.withheld(Home(office.settings)) or "")
    assert office.publish(day=3) is not None
    assert consenting(office).tables == {"credit_record": 1, "guarantee": 1}
    assert derivation.withheld(Home(office.settings)) is None


def test_one_kind_may_have_records_of_every_level(tmp_path, monkeypatch):
    rules = (
        SharingRule(level="sealed", standing=("expired",)),
        SharingRule(level="authorised", when={"counterpart_type_code": ("3",)}),
        SharingRule(level="open", subject_types=("enterprise",), standing=("standing",)),
        SharingRule(level="government", standing=("withdrawn",)),
    )
    monkeypatch.setitem(kinds(), "licence", kinds()["licence"].model_copy(update={"sharing": rules}))
    office = Keyed(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("lic", "licence", LICENCE)
    office.deliver("reg", company(1), day=0)
    given = ({}, {"counterpart_type_code": "3"}, {"decision_status_code": "2"}, {"decision_status_code": "4"},
             {"publicity_until_on": "2026-03-10"}, {"publicity_until_on": "2026-03-01"})  # fmt: skip
    rows = [{"uscc": uscc(1), "decision_on": "2026-01-05", "decision_no": f"许{n}号", "authority_name": "局", **more}
            for n, more in enumerate(given)]  # fmt: skip
    office.deliver("lic", *rows, day=1)

    def held(tier: str) -> set[str]:
        opened = open_snapshot(office.settings.home, tier, key=KEY)
        licences = [n for n, kind in enumerate(opened.table("credit_record")["kind"].to_pylist()) if kind == "licence"]
        assert len(licences) == opened.tables["licence"]
        return {text[1] for text in opened.table("licence")["decision_no"].to_pylist()}

    office.publish(day=2)
    assert (held("open"), held("government"), held("authorised")) == ({"0", "4"}, {"0", "2", "4"}, {"1", "3"})
    office.publish(day=9)
    assert (held("open"), held("government"), held("authorised")) == ({"0"}, {"0", "2"}, {"1", "3"})
    assert office.table("licence", "count(*)", tier=ASSEMBLY) == [(6,)]
    assert date(2026, 3, 10) in {row[0] for row in office.table("credit_record", "publicity_until_on", tier=ASSEMBLY)}
