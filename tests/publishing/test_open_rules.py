"""The rules of the open tier as column functions: who is seen on which day, what of him, in which form."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from chengxin.model.kinds import Kind, kinds
from chengxin.model.sharing import SharingRule
from chengxin.publishing.assembly.tables import table_schema
from chengxin.publishing.open_tier import masking
from chengxin.publishing.open_tier.rules import (
    Births,
    Horizon,
    TableRule,
    among,
    apply_columns,
    judged_columns,
    shown_columns,
    table_rules,
    veiled,
    visible,
)

TODAY = date(2026, 11, 20)
KEY = b"derived"
RULES = table_rules(kinds())
COMMON = {
    "department_code", "dataset", "batch_id", "source_row", "source_record_id", "source_updated_at", "received_at",
    "subject_id",
}  # fmt: skip


def test_tables_are_those_of_registry_and_open_kinds():
    shared = {k.id for k in kinds().values() if k.open_types}
    assert set(RULES) == shared | {"subject", "subject_identifier", "subject_name", "credit_record"}
    sealed = kinds()["penalty"].model_copy(update={"sharing": (SharingRule(level="sealed"),)})
    closed = kinds()["licence"].model_copy(update={"sharing": ()})
    assert not {"penalty", "licence"} & set(table_rules({"penalty": sealed, "licence": closed}))


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("subject", {"subject_type", "name", "uscc", "region_code", "status_code"}),
        ("subject_identifier", {"identifier_type", "identifier_value", "valid_from_on", "valid_to_on"}),
        ("subject_name", {"name", "is_current", "valid_from_on", "valid_to_on"}),
        (
            "credit_record",
            {"record_id", "kind", "subject_type", "share_level", "event_on", "effective_from_on", "effective_to_on",
             "publicity_until_on", "publicity_class_code"},
        ),
    ],
)  # fmt: skip
def test_common_tables_show_these_columns_only(table, columns):
    available = table_schema(table).names
    added = {"subject_token"} | ({"record_handle"} if "record_id" in columns else set())
    shown = shown_columns(RULES[table], available)
    assert set(shown) == columns | COMMON | added and len(shown) == len(set(shown))
    assert [n for n in shown if n in available] == [n for n in available if n in shown]
    assert shown[shown.index("subject_id") + 1] == "subject_token"
    if "record_id" in columns:
        assert shown[shown.index("record_id") + 1] == "record_handle"


def test_no_table_shows_a_column_of_a_hidden_element():
    for name, kind in kinds().items():
        if name in RULES:
            hidden = {e.id for e in kind.element_list() if e.sensitivity in ("identifier", "restricted")}
            shown = {e.id for e in kind.element_list() if e.sensitivity not in ("identifier", "restricted")}
            columns = {c.removesuffix("_yuan") for c in RULES[name].columns}
            assert not hidden & columns and shown <= columns and "source_file" not in columns, name


@pytest.mark.parametrize("name", ["uscc", "org_code", "reg_no"])
def test_what_names_an_organisation_is_not_shown_of_a_person(name):
    having = [r for k, r in RULES.items() if k in kinds() and name in kinds()[k].elements]
    assert having and {r.columns[name] for r in having} == {"organisations"}
    assert RULES["penalty"].columns["authority_uscc"] == "keep"


def row(**values: Any) -> dict[str, Any]:
    return {"subject_id": 7, "subject_type": "enterprise"} | values


def judged(rows: list[dict[str, Any]], table: str, *, today: date = TODAY, births: Births | None = None):
    """Return which rows are seen, and the day until which that holds."""
    schema = table_schema(table)
    content = pa.Table.from_pylist(
        rows, schema=pa.schema([schema.field(n) for n in judged_columns(RULES[table], schema.names)])
    )
    horizon = Horizon()
    shown = visible(content, RULES[table], births or people(), today, horizon)
    return shown.tolist(), horizon.day


def people(*born: tuple[int, date | None]) -> Births:
    ids, days = zip(*born, strict=True) if born else ((), ())
    return Births.of(pa.table({"subject_id": pa.array(ids, pa.int64()), "born_on": pa.array(days, pa.date32())}))


def test_only_what_a_judgement_needs_is_read():
    names = table_schema("tax_rating").names
    assert set(judged_columns(RULES["tax_rating"], names)) == {
        "subject_id", "subject_type", "tax_grade_code", "published_on",
    }  # fmt: skip
    needed = {"subject_id", "subject_type", "share_level", "kind", "publicity_until_on", "event_on"}
    names = table_schema("credit_record").names
    assert needed <= set(judged_columns(RULES["credit_record"], names)) < set(names)


def test_the_value_of_a_record_and_its_subjects_type_decide():
    rows = [row(tax_grade_code=g) for g in ("A", "B", None)]
    rows += [row(subject_type=t, tax_grade_code="A") for t in ("household", "organisation", "person", None)]
    assert judged(rows, "tax_rating") == ([True, False, False, True, True, False, False], None)


def test_credit_record_follows_level_and_kind():
    rows = [row(kind=k, share_level=s) for k in ("penalty", "overdue_loan", None) for s in ("open", "government", None)]
    assert judged(rows, "credit_record")[0] == [True, *[False] * 8]


@pytest.mark.parametrize("table", ["penalty", "credit_record"])
def test_publicity_ends_with_its_last_day(table):
    tomorrow = TODAY + timedelta(days=1)
    days = [TODAY - timedelta(days=1), TODAY, tomorrow, None]
    rows = [row(publicity_until_on=d, decision_on=TODAY, kind="penalty", share_level="open") for d in days]
    rows = [{k: v for k, v in r.items() if k in table_schema(table).names} for r in rows]
    assert judged(rows, table) == ([False, True, True, True], TODAY)
    assert judged(rows, table, today=tomorrow) == ([False, False, True, True], tomorrow)
    assert judged(rows[3:], table) == ([True], date(2027, 11, 20) if table == "penalty" else None)
    assert judged(rows[:1], table) == ([False], None)


LAST = date(2040, 1, 1)  # of publicity by the source
EIGHTEEN = date(2026, 11, 20)  # of somebody born on 2008-11-20


@pytest.mark.parametrize(
    ("born", "published", "today", "seen", "until"),
    [
        (date(1990, 1, 1), EIGHTEEN, TODAY, True, date(2031, 11, 20)),
        (date(2008, 11, 20), EIGHTEEN, TODAY, True, date(2031, 11, 20)),
        (date(2008, 11, 21), EIGHTEEN, TODAY, False, None),
        (date(2008, 11, 21), EIGHTEEN, date(2036, 1, 1), False, None),  # a child's deed is never shown
        (None, EIGHTEEN, TODAY, False, None),
        (date(2008, 11, 20), None, TODAY, True, LAST),
        (date(2008, 11, 21), None, TODAY, False, TODAY),
        (date(2008, 11, 21), None, TODAY + timedelta(days=1), True, LAST),
        (date(2008, 2, 29), None, date(2026, 2, 28), False, date(2026, 2, 28)),
        (date(2008, 2, 29), None, date(2026, 3, 1), True, LAST),
        (date(2008, 12, 1), None, TODAY, False, date(2026, 11, 30)),
    ],
)
def test_a_person_is_seen_of_age_only(born, published, today, seen, until):
    births = people((6, date(1980, 1, 1)), (7, born), (8, date(2020, 1, 1)))
    rows = [row(subject_type="person", published_on=published, publicity_until_on=LAST)]
    assert judged(rows, "dishonest_person", today=today, births=births) == ([seen], until)


def test_age_is_looked_up_by_number_wherever_it_stands():
    births = people((9, date(1990, 1, 1)), (3, date(2015, 1, 1)), (5, None))
    assert births.lookup(pa.array([9, 3, 5, 4, 10, None], pa.int64())).tolist() == [19900101, 20150101, 0, 0, 0, 0]
    assert people().lookup(pa.array([1], pa.int64())).tolist() == [0]
    unborn = Births.of(pa.table({"subject_id": pa.array([1], pa.int64())}))
    assert unborn.lookup(pa.array([1], pa.int64())).tolist() == [0]
    types = ("person", "enterprise")
    rows = [row(subject_id=n, subject_type=t, publicity_until_on=LAST) for n in (9, 3, 5, 4) for t in types]
    assert judged(rows, "dishonest_person", births=births)[0] == [True, True, False, True] * 1 + [False, True] * 2


def test_the_first_to_come_of_age_narrows_the_horizon():
    births = people((1, date(2010, 5, 6)), (2, date(2009, 5, 6)), (3, date(2011, 5, 6)))
    rows = [row(subject_id=n, subject_type="person", publicity_until_on=LAST) for n in (1, 2, 3)]
    assert judged(rows, "dishonest_person", births=births) == ([False] * 3, date(2027, 5, 5))
    horizon = Horizon(date(2026, 1, 1))
    horizon.narrow(date(2027, 1, 1))
    horizon.narrow(None)
    assert horizon.day == date(2026, 1, 1)


def test_coded_texts_are_compared_like_plain_ones():
    plain = pa.array(["A", None, "B", "A"])
    coded = pa.chunked_array([plain.dictionary_encode(), pa.array(["C"]).dictionary_encode()])
    assert among(coded, ["A"]).tolist() == [True, False, False, True, False]
    assert among(pa.chunked_array([plain, pa.array(["C"])]), ["A", "C"]).tolist() == [True, False, False, True, True]
    assert among(pa.chunked_array([], pa.string()), ["A"]).tolist() == []


def opened(table: str, *rows: dict[str, Any], key: bytes | None = KEY, coded: bool = False) -> list[dict[str, Any]]:
    """Return the open form of rows that are all visible."""
    schema, rule = table_schema(table), RULES[table]
    content = pa.Table.from_pylist(list(rows), schema=schema)
    if coded:
        made = [c.dictionary_encode() if pa.types.is_string(c.type) else c for c in content.columns]
        content = pa.table(dict(zip(schema.names, made, strict=True)))
    names = shown_columns(rule, schema.names)
    wanted = pa.schema([schema.field(n) if n in schema.names else pa.field(n, pa.string()) for n in names])
    made = apply_columns(content, rule, wanted, key)
    assert made.schema == wanted
    return made.to_pylist()


def handle(value: object) -> str:
    return masking.handles(pa.array([str(value)]), KEY)[0].as_py()


FULL = {
    "record_id": "f" * 32, "subject_name": "张示例", "uscc": "91430000MA00000000", "org_code": "MA0000000",
    "legal_rep_name": "欧阳示例", "authority_name": "示例法院", "case_no": "(2026)湘01执1号",
    "conduct": "电话13812345678", "dataset": "list", "department_code": "T", "source_file": "张示例.csv",
    "batch_id": "list-20261120-0123456789ab", "source_row": 3, "source_record_id": "R-1",
}  # fmt: skip


@pytest.mark.parametrize("coded", [False, True])
def test_the_same_row_about_each_type_of_subject(coded):
    types = ("enterprise", "household", "person")
    made = opened("dishonest_person", *[row(**FULL) | {"subject_type": t} for t in types], coded=coded)
    company, household, person = made
    for seen in made:
        assert (seen["legal_rep_name"], seen["case_no"], seen["dataset"]) == ("欧阳*例", "(2026)湘01执1号", "list")
    for seen, name in ((company, "张示例"), (household, "张*例")):
        assert (seen["record_id"], seen["record_handle"]) == ("f" * 32, None)
        assert (seen["subject_id"], seen["subject_token"], seen["uscc"]) == (7, None, "91430000MA00000000")
        assert (seen["subject_name"], seen["conduct"]) == (name, "电话〔已隐去〕")
        assert (seen["batch_id"], seen["source_row"], seen["source_record_id"]) == ("list-20261120", 3, "R-1")
    assert (person["record_id"], person["record_handle"]) == (None, handle("f" * 32))
    assert (person["subject_id"], person["subject_token"]) == (None, handle(7))
    assert person["subject_name"] == "张*例"
    gone = ("uscc", "org_code", "conduct", "batch_id", "source_row", "source_record_id")
    assert [person[name] for name in gone] == [None] * len(gone)


def test_rows_about_persons_only_or_none_are_treated_alike():
    (person,) = opened("dishonest_person", row(**FULL) | {"subject_type": "person"})
    assert (person["subject_id"], person["record_id"], person["subject_name"]) == (None, None, "张*例")
    (company,) = opened("dishonest_person", row(**FULL))
    assert (company["subject_id"], company["subject_token"], company["subject_name"]) == (7, None, "张示例")
    (keyless,) = opened("dishonest_person", row(**FULL) | {"subject_type": "person"}, key=None)
    assert [keyless[n] for n in ("record_id", "record_handle", "subject_id", "subject_token")] == [None] * 4


def test_subjects_show_their_prefecture_and_persons_nothing_else():
    rows = [
        row(subject_type=t, name="张示例", uscc="X", region_code="430102", status_code="1")
        for t in ("household", "person")
    ]
    household, person = opened("subject", *rows)
    assert [household[n] for n in ("name", "uscc", "region_code", "status_code")] == ["张*例", "X", "430102", "1"]
    assert [person[n] for n in ("name", "uscc", "region_code", "status_code")] == [None, None, "430100", None]


def test_names_of_unknown_bearers_are_masked_if_like_persons():
    rows = [{"subject_id": n, "name": name} for n, name in ((1, "张示例"), (2, "湖南示例有限公司"), (3, None))]
    made = opened("subject_name", *rows)
    assert [r["name"] for r in made] == ["张*例", "湖南示例有限公司", None]
    assert [(r["subject_id"], r["subject_token"]) for r in made] == [(1, None), (2, None), (3, None)]


def test_a_number_of_which_a_part_is_hidden_is_veiled():
    table = pa.table({
        "subject_type": ["enterprise"] * 3 + ["person"],
        "kind": ["penalty", "registration_change", "penalty", "penalty"],
        "source_record_id": ["1", "2", "430102199001011234", None],
    })  # fmt: skip
    assert veiled(table, RULES["credit_record"]).tolist() == [False, True, True, True]
    typed = table.drop_columns(["kind"])
    assert veiled(typed, RULES["penalty"]).tolist() == [False, False, True, True]
    assert veiled(typed, RULES["registration_change"]).tolist() == [True] * 4
    assert veiled(typed.drop_columns(["source_record_id"]), RULES["penalty"]).tolist() == [False] * 3 + [True]


def test_persons_files_are_looked_into_where_persons_may_be_seen():
    common, typed = RULES["credit_record"], RULES["dishonest_person"]
    assert common.admits_persons("dishonest_person-p4301") and not common.admits_persons("penalty-p4301")
    assert typed.admits_persons("p4301") and not RULES["penalty"].admits_persons("p4301")
    assert RULES["subject"].admits_persons("p4301")
    assert not RULES["subject_name"].admits_persons("p4301")
    assert not RULES["subject_identifier"].admits_persons("p4301")


def test_every_part_of_a_rule_is_in_its_digest():
    first = TableRule("t", {"a": "keep"}, {"": kinds()["penalty"]}, "x", "y", frozenset({"k"}))
    others = [
        TableRule("u", first.columns, first.conditions, "x", "y", first.veiled),
        TableRule("t", {"a": "name"}, first.conditions, "x", "y", first.veiled),
        TableRule("t", first.columns, {"": kinds()["licence"]}, "x", "y", first.veiled),
        TableRule("t", first.columns, first.conditions, None, "y", first.veiled),
        TableRule("t", first.columns, first.conditions, "x", None, first.veiled),
        TableRule("t", first.columns, first.conditions, "x", "y"),
    ]
    digests = {rule.digest() for rule in (first, *others)}
    assert len(digests) == 7 and {len(d) for d in digests} == {16} and first.digest() in digests


def test_masks_are_of_rows_and_of_the_right_length():
    assert isinstance(judged([row(tax_grade_code="A")], "tax_rating")[0][0], bool)
    assert judged([], "tax_rating") == ([], None)
    assert np.array(judged([row(tax_grade_code="A")] * 5, "tax_rating")[0]).sum() == 5


def _kind(**changes: Any) -> Kind:
    return kinds()["penalty"].model_copy(update=changes)


def test_a_kind_whose_key_is_all_shown_keeps_its_numbers():
    rules = table_rules({"penalty": _kind(), "licence": _kind(id="licence", key=("decision_no", "subject_name"))})
    assert rules["penalty"].veiled == frozenset() and rules["licence"].veiled == {""}
    assert rules["credit_record"].veiled == {"licence"}


@pytest.mark.parametrize("name", ["阿卜杜示例买买提", "张示例商店"])
def test_a_person_is_masked_whatever_the_name_looks_like(name):
    (person,) = opened("dishonest_person", row(**FULL) | {"subject_type": "person", "subject_name": name})
    assert person["subject_name"] == f"{name[0]}*{name[-1]}"
