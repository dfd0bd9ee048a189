"""The scalar reference against published specimens and against python-stdnum, and where the latter is wrong."""

import csv
import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric
from stdnum.cn import uscc as stdnum_uscc
from stdnum.iso7064 import mod_11_2, mod_11_10

from chengxin.model import identifiers as ids
from chengxin.model.identifiers import Reading
from chengxin.model.regions import regions

SHARED = Path(os.environ.get("CHENGXIN_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
TODAY = date(2026, 11, 23)
DIGITS = st.text("0123456789", min_size=14, max_size=14)


def rules(kind: str, raw: str) -> tuple[str, ...]:
    return ids.READERS[kind](raw, TODAY).rules


def value(kind: str, raw: str) -> str | None:
    return ids.READERS[kind](raw, TODAY).value


@pytest.mark.parametrize(
    "code",
    ["914300007121944054", "91430100MA4LKN0Y3R", "9143000018380860XK", "914301007121000340", "N2430121MF0012348E"],
)
def test_accepts_valid_uscc(code: str) -> None:
    assert ids.read_uscc(code, TODAY) == Reading(code)


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        ("91350100M000100Y4Z", "uscc.characters"),
        ("91350100M000100Y44", "uscc.check"),
        ("91430000712194404", "uscc.length"),
        ("00000000000000000X", "identifier.placeholder"),
        ("000000000000000000", "identifier.placeholder"),
        ("111111111111111111", "identifier.placeholder"),
        ("123456789012345678", "identifier.placeholder"),
        ("9143********944054", "identifier.masked"),
        ("9143XXXXXXXX944054", "identifier.masked"),
        ("9.14300E+17", "identifier.scientific"),
        ("430102199003077214", "uscc.is_person_document"),
    ],
)
def test_refuses_unusable_uscc(raw: str, rule: str) -> None:
    assert ids.read_uscc(raw, TODAY) == Reading(None, (rule,))


def test_eighteen_zeros_are_no_code_though_the_check_holds() -> None:
    assert stdnum_uscc.is_valid("0" * 18)
    assert not ids.is_uscc("0" * 18)


def test_wrong_org_part_is_only_a_warning() -> None:
    assert ids.read_uscc("914300001837757060") == Reading("914300001837757060", ("uscc.org_part",))


@pytest.mark.parametrize("raw", ["9143000O7121944054", "91430000712I944054", "914300007121944O54"])
def test_repairs_look_alikes_only_where_the_check_then_holds(raw: str) -> None:
    assert ids.read_uscc(raw) == Reading("914300007121944054", ("uscc.repaired",))
    assert rules("uscc", raw[:-1] + "5") == ("uscc.characters",)


@pytest.mark.parametrize(
    "raw",
    [
        "９１４３００００７１２１９４４０５４",
        " 9143 0000 7121 9440 54\u3000",
        "'914300007121944054",
        "‘914300007121944054",
    ],
)
def test_brings_forms_of_one_code_together(raw: str) -> None:
    assert value("uscc", raw) == "914300007121944054"


@pytest.mark.parametrize(
    "raw", ["", "  ", "/", "／", "无", "-", "--", "null", "NULL", "暂无", "（空）", "N/A", "空", None]
)
def test_words_for_nothing_are_absent_without_an_issue(raw: str | None) -> None:
    for read in ids.READERS.values():
        assert read(raw, TODAY) == Reading(None)


def test_python_stdnum_is_wrong_about_codes_from_a_n_or_y() -> None:
    assert ids.is_uscc("N2430121MF0012348E")
    assert not stdnum_uscc.is_valid("N2430121MF0012348E")


@given(st.text(ids.USCC_ALPHABET, min_size=9, max_size=9), st.text("0123456789", min_size=8, max_size=8))
def test_uscc_check_agrees_with_stdnum(org: str, head: str) -> None:
    body = head + org
    assert ids.uscc_check_character(body) == stdnum_uscc.calc_check_digit(body)


@pytest.mark.realdata
@pytest.mark.skipif(not SHARED.is_dir(), reason="shared data not here")
def test_uscc_verdicts_of_collected_codes() -> None:
    with (SHARED / "data/identifiers/uscc.csv").open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) > 200
    wrong = [row["code"] for row in rows if ids.is_uscc(row["code"]) != (row["expected"] == "valid")]
    assert wrong == []


@pytest.mark.parametrize("code", ["712194405", "71526726X", "18380860X", "MA4LKN0Y3"])
def test_accepts_valid_org_code(code: str) -> None:
    assert ids.read_org_code(code) == Reading(code)
    assert ids.read_org_code(f"{code[:8]}-{code[8]}") == Reading(code)


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        ("712194406", "org_code.check"),
        ("71526726Y", "org_code.characters"),
        ("MA4LKN0Y1", "org_code.check"),
        ("PDY00001X", "org_code.self_use"),
        ("000000000", "identifier.placeholder"),
        ("7121944", "org_code.length"),
    ],
)
def test_refuses_unusable_org_code(raw: str, rule: str) -> None:
    assert ids.read_org_code(raw) == Reading(None, (rule,))


def test_self_use_range_is_refused_though_its_check_holds() -> None:
    assert ids.org_code_check_character("PDY00001") == "X"


def test_org_code_letters_count_from_ten_not_by_the_uscc_table() -> None:
    by_uscc_table = sum(ids.USCC_ALPHABET.index(c) * w for c, w in zip("MA4LKN0Y", ids.ORG_WEIGHTS, strict=True))
    assert "0123456789X"[-by_uscc_table % 11] != "3"
    assert ids.org_code_check_character("MA4LKN0Y") == "3"


@pytest.mark.parametrize("code", ["110108000000016", "440301103097413", "430102600123455"])
def test_accepts_valid_reg_no(code: str) -> None:
    assert ids.read_reg_no(code) == Reading(code)


@pytest.mark.parametrize("code", ["110108000000017", "430100000000011", "440301103097431"])
def test_refuses_reg_no_with_wrong_check(code: str) -> None:
    assert ids.read_reg_no(code) == Reading(None, ("reg_no.check",))


def test_older_reg_no_is_kept_with_a_warning() -> None:
    assert ids.read_reg_no("4301032001234") == Reading("4301032001234", ("reg_no.old_form",))
    assert rules("reg_no", "111111111111111") == ("identifier.placeholder",)
    assert rules("reg_no", "914300007121944054") == ("reg_no.is_uscc",)


@given(DIGITS)
def test_reg_no_check_agrees_with_iso7064(body: str) -> None:
    assert ids.reg_no_check_digit(body) == mod_11_10.calc_check_digit(body)


@pytest.mark.parametrize("code", ["430102712194405", "914300007121944054", "43010219900307721401", "43010290030772101"])
def test_accepts_valid_tax_no(code: str) -> None:
    assert ids.read_tax_no(code, TODAY) == Reading(code)


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        ("430102712194406", "tax_no.check"),
        ("99010271219440X", "tax_no.region"),
        ("4301027121944", "tax_no.length"),
        ("914300007121944055", "tax_no.check"),
    ],
)
def test_refuses_unusable_tax_no(raw: str, rule: str) -> None:
    assert ids.read_tax_no(raw, TODAY) == Reading(None, (rule,))


@pytest.mark.parametrize(
    "code",
    [
        "11010519491231002X",
        "430102199003077214",
        "433101198512310020",
        "433123198502280014",
        "430102202402290121",
        "810000199408230021",
        "830000199201300022",
        "911124198108030024",
    ],
)
def test_accepts_valid_resident_ids_and_permits(code: str) -> None:
    assert ids.read_person_doc(code, TODAY) == Reading(code)
    assert value("person_doc", code.lower()) == code


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        ("430102199003077210", "person_doc.check"),
        ("430102199002307217", "person_doc.date"),
        ("43010219900307721", "person_doc.length"),
        ("43010219900307721x", "person_doc.check"),
        ("430103850229001", "person_doc.date"),
        ("430102********7214", "identifier.masked"),
        ("4.30102E+17", "identifier.scientific"),
        ("914300007121944054", "person_doc.is_uscc"),
        ("身份证", "person_doc.form"),
    ],
)
def test_refuses_unusable_person_doc(raw: str, rule: str) -> None:
    assert ids.read_person_doc(raw, TODAY) == Reading(None, (rule,))


def test_birth_date_may_not_lie_in_the_future() -> None:
    body = "43010220270101001"
    code = body + ids.resident_check_character(body)
    assert rules("person_doc", code) == ("person_doc.date",)
    assert ids.read_person_doc(code, date(2027, 1, 1)) == Reading(code)


def test_old_id_is_widened_with_a_warning() -> None:
    assert ids.read_person_doc("430102900307721", TODAY) == Reading("430102199003077214", ("person_doc.upgraded",))


def test_unknown_county_of_a_known_province_is_only_a_warning() -> None:
    body = "43019919900307721"
    code = body + ids.resident_check_character(body)
    assert ids.read_person_doc(code, TODAY) == Reading(code, ("person_doc.county",))
    body = "99" + body[2:]
    assert value("person_doc", "88" + body[2:] + ids.resident_check_character("88" + body[2:])) is None


@pytest.mark.parametrize("code", ["H12345678", "E12345678", "12345678", "USA123456789012", "南字第123456号"])
def test_other_documents_pass_by_form(code: str) -> None:
    assert ids.read_person_doc(code, TODAY) == Reading(code)


def test_a_county_need_not_have_existed_in_the_birth_year() -> None:
    refused = 0
    for county in sorted(
        r.code for r in regions() if r.code.startswith("43") and r.level == "county" and not r.valid_to
    ):
        body = county + "19800615" + "001"
        code = body + ids.resident_check_character(body)
        assert ids.read_person_doc(code, TODAY) == Reading(code)
        refused += not ric.is_valid(code)
    assert refused > 100, "python-stdnum asks for the county of the birth year; if it no longer does, drop this count"


def test_python_stdnum_refuses_permits() -> None:
    assert not ric.is_valid("830000199201300022")
    assert not ric.is_valid("911124198108030024")


@given(st.text("0123456789", min_size=17, max_size=17))
def test_resident_check_agrees_with_iso7064(body: str) -> None:
    assert ids.resident_check_character(body) == mod_11_2.calc_check_digit(body)


@pytest.mark.parametrize("code", ["4301000000123431", "A1B0000001234570", "4301000000999978"])
def test_accepts_valid_loan_card_no(code: str) -> None:
    assert ids.read_loan_card_no(code) == Reading(code)


@pytest.mark.parametrize("code", ["4301000000123432", "4301000000124331"])
def test_refuses_wrong_loan_card_no(code: str) -> None:
    assert ids.read_loan_card_no(code) == Reading(None, ("loan_card_no.check",))


def test_loan_card_no_cannot_see_an_error_in_place_twelve() -> None:
    assert ids.is_loan_card_no("4301000000123431")
    assert ids.is_loan_card_no("4301000000173431")


def test_one_number_may_be_several_things() -> None:
    found = dict(ids.candidates("430102600123455"))
    assert found["reg_no"] == "430102600123455"
    assert found["person_doc"].startswith("43010219600123")
