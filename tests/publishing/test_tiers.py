import json
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chengxin.errors import InvariantBroken
from chengxin.model.elements import elements
from chengxin.model.kinds import kinds
from chengxin.model.lawful_terms import LawfulTerms, Span, lawful_terms
from chengxin.publishing import commit
from chengxin.publishing.open_tier import derivation
from chengxin.publishing.reader import Snapshot, open_snapshot
from chengxin.publishing.verify import verify
from chengxin.store.layout import Layout
from chengxin.store.manifest import Manifest, TableEntry
from chengxin.store.parquet import column_entries, write_parquet
from publishing.government_drafts import NOW, TODAY, Draft, companies

KEY = b"a key for tests"
ADULT, MINOR, UNKNOWN, QUIET = 900, 901, 902, 903
PERSON_NAME, PERSON_DOC = "张示例", "430102199001011234"


def mixed(terms: LawfulTerms | None = None) -> Draft:
    """Companies, a household, persons; visible and invisible records of several kinds."""
    draft = companies(4, terms=terms)
    draft.subject(20, "household", "李示例", uscc="92430000000000020X")
    draft.record("registration", 20, subject_name="李示例", legal_rep_name="李示例", contact_phone="13812345678")
    draft.subject(21, "household", "芙蓉区示例早餐铺")
    draft.subject(ADULT, "person", PERSON_NAME, born_on=date(1990, 1, 1))
    draft.subject(MINOR, "person", "王示例", born_on=date(2010, 6, 1))
    draft.subject(UNKNOWN, "person", "赵示例")
    draft.subject(QUIET, "person", "钱示例", born_on=date(1980, 1, 1))
    draft.identifier(ADULT, "person_doc", PERSON_DOC)
    draft.identifier(1, "tax_no", "914300000000000019")
    draft.identifier(1, "reg_no", "430102600123455")
    draft.identifier(1, "org_code", "123456785")
    draft.identifier(1, "loan_card_no", "4301020000000017")
    for number in (ADULT, MINOR, UNKNOWN):
        draft.record(
            "dishonest_person", number, subject_name=PERSON_NAME, person_doc_no=PERSON_DOC, case_no="(2025)湘01执1号",
            conduct=f"{PERSON_NAME}有履行能力而拒不履行", published_on=date(2025, 3, 1), sex_code="1", age=35,
        )  # fmt: skip
    draft.record(
        "dishonest_person", 1, subject_name="湖南示例1号有限公司", legal_rep_name="欧阳示例", case_no="(2025)湘01执2号",
        conduct="法定代表人身份证430102199001011234，电话13812345678", published_on=date(2025, 3, 1),
    )  # fmt: skip
    penalty = {"decision_no": "湘罚〔2026〕1号", "decision_on": date(2026, 1, 5), "tax_no": "914300000000000019"}
    draft.record("penalty", 1, publicity_until_on=TODAY, **penalty)
    draft.record("penalty", 2, publicity_until_on=TODAY - timedelta(days=1), **penalty)
    draft.record("penalty", 3, publicity_until_on=None, **penalty)
    draft.record("penalty", QUIET, publicity_until_on=None, **penalty)
    draft.record("overdue_loan", 1)
    return draft


def derive(home: Path, government: Manifest, *, key: bytes | None = KEY, today: date = TODAY, hour: int = 5):
    made, new = derivation.publish_open(
        Layout(home), government, token_key=key, now=NOW.replace(hour=hour), today=today, workers=2
    )
    return made, new


@pytest.fixture
def opened(tmp_path: Path) -> Snapshot:
    derive(tmp_path, mixed().publish(tmp_path))
    return open_snapshot(tmp_path, "open")


def test_kinds_that_are_not_shared_have_no_table(opened):
    shared = {k.id for k in kinds().values() if k.open_types}
    assert "overdue_loan" not in opened.tables and "security_penalty" not in opened.tables
    assert set(opened.tables) <= shared | {"subject", "subject_identifier", "subject_name", "credit_record"}
    assert "overdue_loan" not in opened.table("credit_record").column("kind").to_pylist()


def test_columns_of_persons_and_restricted_columns_are_gone(opened):
    for name in opened.tables:
        for column in opened.table(name).column_names:
            element = elements().get(column)
            assert element is None or element.sensitivity not in {"identifier", "restricted"}, f"{name}.{column}"
        assert "subject_token" in opened.table(name).column_names
        assert "source_file" not in opened.table(name).column_names
    assert "born_on" not in opened.table("subject").column_names
    assert "related_subject_id" not in opened.table("credit_record").column_names


SECRETS = (
    "王示例",
    "赵示例",
    "钱示例",
    "李示例",
    "欧阳示例",
    PERSON_NAME,
    PERSON_DOC,
    "13812345678",
    "914300000000000019",
    "4301020000000017",
)


def test_no_number_or_name_of_a_person_is_anywhere_in_the_files(opened):
    for name in opened.tables:
        text = json.dumps(opened.table(name).to_pylist(), default=str, ensure_ascii=False)
        assert [secret for secret in SECRETS if secret in text] == [], name


def test_value_of_a_record_decides(opened):
    grades = opened.table("tax_rating").column("tax_grade_code").to_pylist()
    assert grades == ["A", "A"]


def test_publicity_ends_by_the_calendar(opened):
    assert opened.table("penalty").column("subject_id").to_pylist() == [1, 3]


def test_persons_appear_masked_tokened_and_of_age_only(opened):
    rows = opened.table("dishonest_person").to_pylist()
    persons = [row for row in rows if row["subject_type"] == "person"]
    assert len(persons) == 1 and len(rows) == 2
    assert persons[0]["subject_name"] == "张*例"
    assert persons[0]["subject_id"] is None and len(persons[0]["subject_token"]) == 32
    assert persons[0]["conduct"] is None and persons[0]["source_record_id"] is None
    company = next(row for row in rows if row["subject_type"] == "enterprise")
    assert company["legal_rep_name"] == "欧阳*例"
    assert company["conduct"] == "法定代表人身份证〔已隐去〕，电话〔已隐去〕"
    assert company["subject_name"] == "湖南示例1号有限公司" and company["subject_token"] is None


def test_subject_tables_hold_only_persons_with_visible_records(opened):
    subjects = opened.table("subject").to_pylist()
    persons = [row for row in subjects if row["subject_type"] == "person"]
    token = next(r["subject_token"] for r in opened.table("dishonest_person").to_pylist() if r["subject_token"])
    assert [(p["subject_token"], p["name"], p["uscc"], p["subject_id"]) for p in persons] == [(token, None, None, None)]
    assert persons[0]["region_code"] == "430100"
    assert {r["name"] for r in subjects} >= {"湖南示例1号有限公司", "芙蓉区示例早餐铺", "李*例"}
    assert set(opened.table("subject_identifier").column("identifier_type").to_pylist()) == {
        "uscc",
        "reg_no",
        "org_code",
    }
    assert "李*例" in opened.table("subject_name").column("name").to_pylist()


def test_without_a_key_there_are_no_rows_about_persons(tmp_path):
    government = mixed().publish(tmp_path)
    made, _ = derive(tmp_path, government, key=None)
    opened = open_snapshot(tmp_path, "open")
    for name in opened.tables:
        assert not [f.part for f in made.tables[name].files if f.part.rpartition("-")[2].startswith("p")]
        assert opened.table(name).column("subject_token").null_count == opened.tables[name]
    assert opened.table("dishonest_person").column("subject_id").to_pylist() == [1]
    assert derivation.withholds_persons(government, made) and verify(Layout(tmp_path), "open") == []
    keyed, new = derive(tmp_path, government, hour=6)
    assert new and keyed.tables["dishonest_person"].rows == 2 and not derivation.withholds_persons(government, keyed)


def test_open_tier_is_whole_and_counts_its_sources(tmp_path):
    government = mixed().publish(tmp_path)
    made, new = derive(tmp_path, government)
    assert new and verify(Layout(tmp_path), "open") == []
    assert made.basis.government == government.snapshot_id
    total = sum(rows for name, rows in made.rows().items() if name in kinds())
    assert made.tables["credit_record"].rows == total == made.sources["invented"]["rows"]


def test_deriving_again_changes_nothing(tmp_path):
    government = mixed().publish(tmp_path)
    made, _ = derive(tmp_path, government)
    again, new = derive(tmp_path, government, hour=6)
    assert not new and again == made
    assert not list(Layout(tmp_path).drafts.rglob("*.parquet"))


def test_same_inputs_give_the_same_bytes_without_previous_files(tmp_path):
    made, _ = derive(tmp_path / "a", mixed().publish(tmp_path / "a"))
    other, _ = derive(tmp_path / "b", mixed().publish(tmp_path / "b"))
    assert other.same_content(made)


def inodes(home: Path, manifest: Manifest) -> dict[tuple[str, str], int]:
    folder = Layout(home).snapshot("open", manifest.snapshot_id)
    return {(f.table, f.part): (folder / f.table / f.name).stat().st_ino for f in manifest.files()}


def test_next_day_rewrites_only_files_in_which_somebody_leaves(tmp_path):
    government = mixed().publish(tmp_path)
    first, _ = derive(tmp_path, government)
    second, new = derive(tmp_path, government, today=TODAY + timedelta(days=1), hour=6)
    assert new
    seen = open_snapshot(tmp_path, "open")
    assert seen.table("penalty").column("subject_id").to_pylist() == [3]
    before, after = inodes(tmp_path, first), inodes(tmp_path, second)
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {("penalty", "4301"), ("credit_record", "penalty-4301")}


def test_what_ends_leaves_the_open_tier_with_its_day(tmp_path):
    draft = companies(3)
    for number, removed in ((1, None), (2, TODAY + timedelta(days=1)), (3, TODAY)):
        draft.record("abnormal_operation", number, listed_on=date(2025, 1, 5), removed_on=removed)
    for number, status in ((1, "1"), (2, "3"), (3, "4")):
        draft.record(
            "penalty", number, decision_no="湘罚1号", decision_on=TODAY, penalty_class_name="罚款",
            decision_status_code=status, publicity_until_on=date(2099, 1, 1),
        )  # fmt: skip
    government = draft.publish(tmp_path)
    for day, listed in ((TODAY, [1, 2]), (TODAY + timedelta(days=1), [1])):
        derive(tmp_path, government, today=day, hour=5 + day.day - TODAY.day)
        seen = open_snapshot(tmp_path, "open")
        assert seen.table("abnormal_operation").column("subject_id").to_pylist() == listed
        rows = seen.table("penalty").to_pylist()
        assert [(r["subject_id"], r["publicity_until_on"]) for r in rows] == [(1, date(2027, 11, 20))]
        common = [r for r in seen.table("credit_record").to_pylist() if r["kind"] == "penalty"]
        assert [(r["publicity_until_on"], r["publicity_class_code"]) for r in common] == [
            (date(2027, 11, 20), "general")
        ]


def test_a_changed_term_changes_only_what_it_rules(tmp_path):
    government = mixed().publish(tmp_path)
    first, _ = derive(tmp_path, government)
    rule = lawful_terms().kinds["dishonest_person"]
    year = {"usual": Span(value=1, unit="year"), "longest": Span(value=1, unit="year")}
    rules = lawful_terms().kinds | {"dishonest_person": rule.model_copy(update=year)}
    terms = lawful_terms().model_copy(update={"kinds": rules})
    government = mixed(terms).publish(tmp_path, government, now=NOW.replace(hour=6))
    made, new = derivation.publish_open(
        Layout(tmp_path), government, token_key=KEY, now=NOW.replace(hour=7), today=TODAY, terms=terms
    )
    assert new and open_snapshot(tmp_path, "open").tables["dishonest_person"] == 0
    before, after = ({(f.table, f.name) for f in m.files()} for m in (first, made))
    assert after < before and {table for table, _ in before - after} == {"dishonest_person", "credit_record", "subject"}


def test_a_day_on_which_nobody_leaves_makes_no_snapshot(tmp_path):
    government = mixed().publish(tmp_path)
    derive(tmp_path, government, today=TODAY + timedelta(days=1))
    assert derive(tmp_path, government, today=TODAY + timedelta(days=30), hour=6)[1] is False


def test_an_open_snapshot_bears_its_government_id_but_not_twice(tmp_path):
    government = mixed().publish(tmp_path)
    first, _ = derive(tmp_path, government)
    second, _ = derive(tmp_path, government, today=TODAY + timedelta(days=1), hour=6)
    assert first.snapshot_id == government.snapshot_id != second.snapshot_id
    grown = mixed()
    grown.record("penalty", 3, decision_no="湘罚〔2026〕9号", decision_on=TODAY)
    following = grown.publish(tmp_path, government, now=NOW.replace(hour=7))
    third, _ = derive(tmp_path, following, today=TODAY + timedelta(days=1), hour=8)
    assert third.snapshot_id == following.snapshot_id and third.previous == second.snapshot_id


def test_turning_the_calendar_back_shows_the_record_again(tmp_path):
    government = mixed().publish(tmp_path)
    derive(tmp_path, government, today=TODAY + timedelta(days=1))
    derive(tmp_path, government, today=TODAY, hour=6)
    assert open_snapshot(tmp_path, "open").table("penalty").num_rows == 2


def test_another_key_gives_other_tokens_and_equal_company_files(tmp_path):
    government = mixed().publish(tmp_path)
    first, _ = derive(tmp_path, government)
    second, new = derive(tmp_path, government, key=b"another", hour=6)
    assert new
    before, after = inodes(tmp_path, first), inodes(tmp_path, second)
    assert {part for (_, part), inode in after.items() if before.get((_, part)) != inode} <= {
        "p4301", "dishonest_person-p4301",
    }  # fmt: skip


def test_a_minor_at_the_event_stays_hidden_for_ever(tmp_path):
    draft = Draft()
    draft.subject(1, "person", "王示例", born_on=date(2009, 2, 28))
    draft.subject(2, "person", "赵示例", born_on=date(2009, 2, 28))
    draft.record("dishonest_person", 1, case_no="(2026)湘01执1号", published_on=date(2026, 5, 1))
    draft.record("dishonest_person", 2, case_no="(2026)湘01执2号", filed_on=date(2026, 5, 1))
    government = draft.publish(tmp_path)
    derive(tmp_path, government, today=date(2027, 2, 27))
    assert open_snapshot(tmp_path, "open").tables["dishonest_person"] == 0
    derive(tmp_path, government, today=date(2027, 2, 28), hour=6)
    rows = open_snapshot(tmp_path, "open").table("dishonest_person").to_pylist()
    assert [r["case_no"] for r in rows] == ["(2026)湘01执2号"]


def test_tables_that_disagree_stop_the_publication(tmp_path):
    draft = companies(2)
    draft.rows["credit_record", "registration-4301"].pop()
    with pytest.raises(InvariantBroken, match="registration：总表 1 条，明细表 2 条"):
        derive(tmp_path, draft.publish(tmp_path))


def test_column_that_no_rule_knows_is_dropped(tmp_path):
    draft = companies(1)
    folder = Layout(tmp_path).drafts / "government"
    manifest = draft.manifest(folder)
    entry = manifest.tables["registration"].files[0]
    path = folder / "registration" / entry.name
    table = pq.read_table(path).append_column("secret", pa.array(["秘密"]))
    path.unlink()
    made = write_parquet(table, folder / "registration", table="registration", part="4301")
    changed = {**manifest.tables, "registration": TableEntry.of(column_entries(table.schema, {}), [made])}
    government = Manifest.new("government", NOW, TODAY, "测试", changed)
    government = commit.commit(Layout(tmp_path), government, folder, None)
    derive(tmp_path, government)
    opened = open_snapshot(tmp_path, "open")
    assert "secret" not in opened.table("registration").column_names and opened.tables["registration"] == 1
