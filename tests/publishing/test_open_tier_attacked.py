"""The open tier in the hands of somebody who knows the code, all subject numbers and all that is public."""

import hashlib
import hmac
import json
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from chengxin.model.elements import elements
from chengxin.model.kinds import kinds
from chengxin.publishing import key as open_key
from chengxin.publishing.open_tier import derivation
from chengxin.publishing.open_tier.order import shuffled
from chengxin.publishing.open_tier.rules import table_rules
from chengxin.publishing.reader import Snapshot, open_snapshot
from chengxin.publishing.verify import verify
from chengxin.store.layout import Layout
from chengxin.store.manifest import Manifest
from publishing.government_drafts import NOW, TODAY, Draft

KEY = b"a master key of which nobody here knows"
PERSONS = range(7, 7 + 40)
NUMBERS = range(2_000)
FILE = "张示例的材料.xlsx"


def record_id(dataset: str, subject: int, *key: object) -> str:
    """What identity.record_keys makes of a record."""
    return hashlib.md5("\x1f".join([dataset, str(subject), *map(str, key)]).encode()).hexdigest()


def token(key: bytes, number: int) -> str:
    return hmac.new(key, str(number).encode(), "sha256").hexdigest()[:32]


def identified(draft: Draft, kind_id: str, number: int, *key: str, **values: Any) -> str:
    draft.record(kind_id, number, **values)
    part = draft.subjects[number][1]
    made = record_id("invented", number, *(values[name] for name in key))
    for table, where in ((kind_id, part), ("credit_record", f"{kind_id}-{part}")):
        draft.rows[table, where][-1] |= {
            "record_id": made,
            "source_file": FILE,
            "batch_id": "court-20261120-00ff00ff00ff",
        }
    return made


def town() -> Draft:
    """Forty persons, each with up to three records, between companies."""
    draft = Draft()
    for number in (1, 2, 3):
        draft.subject(number, "enterprise", f"湖南示例{number}号有限公司", uscc=f"9143{number:014d}")
        identified(
            draft, "registration_change", number, "changed_on", "change_item_name", "value_after",
            changed_on=date(2026, 1, number), change_item_name="法定代表人", value_after="王示例",
        )  # fmt: skip
    for number in PERSONS:
        draft.subject(number, "person", "张示例", born_on=date(1990, 1, 1))
        for n in range(1 + number % 3):
            identified(
                draft, "dishonest_person", number, "case_no", "enforcement_basis_no", subject_name="张示例",
                case_no=f"(2025)湘01执{number % 5}号", enforcement_basis_no=f"判{n}号", published_on=date(2025, 3, 1),
                uscc=f"92430102MA{number:08d}",
            )  # fmt: skip
    return draft


def derive(home: Path, draft: Draft, *, key: bytes | None = KEY, today: date = TODAY) -> tuple[Manifest, Manifest]:
    government = draft.publish(home)
    return government, derivation.publish_open(Layout(home), government, token_key=key, now=NOW, today=today)[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("town")
    derive(home, town())
    return home


@pytest.fixture(scope="module")
def opened(home: Path) -> Snapshot:
    return open_snapshot(home, "open")


def persons(opened: Snapshot, table: str) -> list[dict[str, Any]]:
    return [row for row in opened.table(table).to_pylist() if row["subject_type"] == "person"]


def test_no_persons_number_comes_back_by_trying_all(opened):
    rows = persons(opened, "dishonest_person")
    assert len(rows) == sum(1 + n % 3 for n in PERSONS)
    for row in rows:
        made = {record_id("invented", n, row["case_no"], row["enforcement_basis_no"]) for n in NUMBERS}
        plain = {hashlib.new(h, str(n).encode()).hexdigest()[:32] for n in NUMBERS for h in ("md5", "sha1", "sha256")}
        assert not (made | plain) & {str(value) for value in row.values()}
        assert row["record_id"] is None and row["subject_id"] is None


def test_handles_join_one_record_and_nothing_else(opened):
    typed = {row["record_handle"]: row["subject_token"] for row in persons(opened, "dishonest_person")}
    common = {row["record_handle"]: row["subject_token"] for row in persons(opened, "credit_record")}
    assert typed == common and len(typed) == sum(1 + n % 3 for n in PERSONS)
    assert all(len(value) == 32 and int(value, 16) >= 0 for value in (*typed, *typed.values()))
    assert not set(typed) & set(typed.values()) and len(set(typed.values())) == len(PERSONS)


def test_the_key_is_derived_for_this_tier(opened):
    key = open_key.derive(KEY)
    assert key is not None and key != KEY and len(key) == 32
    tokens = {row["subject_token"] for row in persons(opened, "subject")}
    assert tokens.isdisjoint(token(KEY, n) for n in PERSONS)
    assert len(tokens) > 30 and tokens <= {token(key, n) for n in PERSONS}


def test_the_place_of_a_persons_row_tells_nothing(home, opened):
    government = open_snapshot(home, "government")
    for table in ("subject", "dishonest_person", "credit_record"):
        rows = [row["subject_token"] for row in persons(opened, table)]
        assert rows == sorted(rows)
        hidden = government.table(table, ["subject_id", "subject_type"]).to_pylist()
        hidden = [row["subject_id"] for row in hidden if row["subject_type"] == "person"]
        assert rows != [token(open_key.derive(KEY) or b"", n) for n in hidden], table


def test_a_persons_row_bears_nothing_that_names_its_delivery(opened):
    for table in ("subject", "dishonest_person", "credit_record"):
        for row in persons(opened, table):
            filled = {name for name in row if name.startswith(("source", "batch", "received")) and row[name]}
            assert filled == set() and not row.get("uscc"), table


def test_a_key_field_that_is_hidden_cannot_be_guessed(opened):
    rows = opened.table("registration_change").to_pylist()
    assert [row["subject_id"] for row in rows] == [1, 2, 3] and "value_after" not in rows[0]
    for row in rows:
        guessed = record_id("invented", row["subject_id"], row["changed_on"], row["change_item_name"], "王示例")
        assert row["record_id"] is None and row["record_handle"] not in {None, guessed}


def test_every_kind_with_a_hidden_key_field_is_veiled():
    rules = table_rules(kinds())
    hidden = {k.id for k in kinds().values() if any(elements()[e].sensitivity != "open" for e in k.key)} & set(rules)
    assert hidden == {name for name, rule in rules.items() if "" in rule.veiled} == rules["credit_record"].veiled
    assert {"registration_change", "bounced_cheque"} <= hidden


def test_a_number_at_the_source_that_is_hidden_is_not_guessed(tmp_path):
    draft = Draft()
    draft.subject(1, "household", "示例早餐铺")
    for number in ("430102199001011234", "R-7", None):
        draft.record("penalty", 1, decision_no="湘罚1号", decision_on=TODAY)
        for where in (("penalty", "4301"), ("credit_record", "penalty-4301")):
            made = hashlib.md5(f"invented\x1fsource_record_id\x1f{number}".encode()).hexdigest()
            draft.rows[where][-1] |= {"source_record_id": number, "record_id": made}
    derive(tmp_path, draft)
    seen = open_snapshot(tmp_path, "open")
    for table in ("penalty", "credit_record"):
        rows = seen.table(table).to_pylist()
        assert [(r["record_id"] is None, r["record_handle"] is None) for r in rows] == [
            (True, False), (False, True), (False, True),
        ]  # fmt: skip


def test_no_file_names_a_delivery_or_digests_a_hidden_file(home):
    layout = Layout(home)
    government = json.loads(layout.pointer("government").read_text())["snapshot_id"]
    digests = [f.sha256 for f in open_snapshot(home, "government").manifest.files()]
    content = b"".join(path.read_bytes() for path in layout.tier("open").rglob("*") if path.is_file())
    rows = str([open_snapshot(home, "open").table(name).to_pylist() for name in open_snapshot(home, "open").tables])
    assert government.encode() in content
    for secret in (FILE, "00ff00ff00ff", "张示例", "王示例", KEY.decode(), *digests):
        assert secret.encode() not in content and secret not in rows


def test_the_manifest_does_not_tell_a_minors_birthday(tmp_path):
    draft = town()
    draft.subject(99, "person", "李示例", born_on=TODAY - timedelta(days=17 * 365))
    draft.record("dishonest_person", 99, case_no="(2026)湘01执9号")
    _, made = derive(tmp_path, draft)
    text = Layout(tmp_path).snapshot("open", made.snapshot_id).joinpath("manifest.json").read_text("utf-8")
    assert made.extra.keys() == {"government", "key_id", "anonymity"} and not any(f.extra for f in made.files())
    kept = json.loads(Layout(tmp_path).derivations("open").read_text("utf-8"))
    birthday = {f["valid_until"] for f in kept["files"]} - {None}
    assert len(birthday) == 1 and birthday.pop() not in text


@pytest.mark.usefixtures("home")
def test_another_key_changes_every_row_about_a_person(opened, tmp_path):
    derive(tmp_path, town(), key=b"another master key, as long as the one before")
    other = open_snapshot(tmp_path, "open")
    assert other.manifest.extra["key_id"] != opened.manifest.extra["key_id"]
    for table in ("subject", "dishonest_person"):
        seen = [{v for r in persons(s, table) for n in ("subject_token", "record_handle") if (v := r.get(n))}
                for s in (opened, other)]  # fmt: skip
        assert seen[0] and seen[1] and not seen[0] & seen[1]


def test_many_persons_are_sorted_in_bounded_memory(opened, tmp_path):
    table = opened.table("dishonest_person").filter(opened.table("dishonest_person").column("subject_id").is_null())
    batches = table.to_batches(max_chunksize=7)
    random.Random(5).shuffle(batches)
    whole = list(shuffled(batches, table.schema, table.num_rows, tmp_path))
    for bucket in (1, 7, 30):
        made = list(shuffled(batches, table.schema, table.num_rows, tmp_path, bucket))
        assert [r for b in made for r in b.to_pylist()] == [r for b in whole for r in b.to_pylist()]
    assert list(tmp_path.iterdir()) == []


def test_the_tier_is_whole_with_and_without_a_key(home, tmp_path):
    assert verify(Layout(home), "open") == []
    derive(tmp_path, town(), key=None)
    assert verify(Layout(tmp_path), "open") == []
    rows = open_snapshot(tmp_path, "open").table("registration_change").to_pylist()
    assert [(r["record_id"], r["record_handle"]) for r in rows] == [(None, None)] * 3


@pytest.mark.usefixtures("home")
def test_files_are_taken_over_only_where_nothing_of_them_changed(tmp_path):
    government, first = derive(tmp_path, town())
    layout = Layout(tmp_path)
    kept = layout.derivations("open").read_bytes()
    layout.derivations("open").unlink()
    again, new = derivation.publish_open(layout, government, token_key=KEY, now=NOW, today=TODAY)
    assert not new and again == first and layout.derivations("open").read_bytes() == kept


def test_a_person_leaves_with_the_last_record(tmp_path):
    draft = Draft()
    for number, until in ((1, TODAY), (2, TODAY + timedelta(days=9))):
        draft.subject(number, "person", "张示例", born_on=date(1990, 1, 1))
        draft.record("dishonest_person", number, case_no=f"(2026)湘01执{number}号", publicity_until_on=until)
    government, first = derive(tmp_path, draft)
    assert first.tables["subject"].rows == 2
    tomorrow, later = TODAY + timedelta(days=1), NOW + timedelta(days=1)
    second, _ = derivation.publish_open(Layout(tmp_path), government, token_key=KEY, now=later, today=tomorrow)
    assert {name: table.rows for name, table in second.tables.items() if table.rows} == {
        "subject": 1, "dishonest_person": 1, "credit_record": 1,
    }  # fmt: skip
    assert persons(open_snapshot(tmp_path, "open"), "subject")[0]["subject_token"] == token(
        open_key.derive(KEY) or b"", 2
    )
