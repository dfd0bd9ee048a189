"""Identifiers of organisations and persons: check digits and the scalar reference of what a raw value is worth.

The kernels in cleaning.kernels do the same on whole columns and are compared with this module in tests, so a rule
about identifiers is first written here. Every `read_*` takes the text as sent and returns the value that may be used
(or None) and the ids of the rules it breaks (model/rules.yaml). Nothing here guesses a type from the length alone:
15 digits may be a registration number, a tax number or an old resident id, so the role of the field decides.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date
from typing import NamedTuple

from chengxin.model.regions import known_codes, province_prefixes
from chengxin.model.vocabularies import Placeholders, vocabulary

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
ORG_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
LOAN_CARD_WEIGHTS = (1, 3, 5, 7, 11, 2, 13, 1, 1, 17, 19, 97, 23, 29)

# Registering department -> categories (GB 32100-2015 table 1 and its later additions; 5: 4/5 are village committees).
USCC_CATEGORIES = {
    "1": "1239", "2": "19", "3": "123459", "4": "19", "5": "123459", "6": "129", "7": "129", "8": "19", "9": "1239",
    "A": "19", "N": "1239", "Y": "1",
}  # fmt: skip

# Compared after NFKC and upper-casing.
NULL_TOKENS = vocabulary(Placeholders).nothing
DROPPED = re.compile("[\\s\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060\ufeff\\-\u2010-\u2015\u2212]+")
EXCEL_PREFIX = "'‘’`′"
SCIENTIFIC = re.compile(r"[0-9](?:\.[0-9]+)?E\+?[0-9]{1,2}|[0-9]{16,}\.0+")
FLOAT_TAIL = re.compile(r"([0-9]{1,15})\.0+")
MASKED = re.compile(r"\*|[×●•■□]{2}")
MASKED_BY_X = re.compile(r"X{3}")
# One repeated character, perhaps with an X at the end (the official filler is 17 zeros + X); or a number counted up.
PLACEHOLDER = re.compile(
    "(?:" + "|".join(c + "{4,}" for c in ORG_ALPHABET) + ")X?|123456789[0-9]*X?|0123456789[0-9]*X?"
)
LOOK_ALIKES = str.maketrans({"O": "0", "I": "1", "S": "5", "Z": "2", "Х": "X", "×": "X"})
RESIDENT_FORM = re.compile(r"[0-9]{17}[0-9X]")
# Mainland travel permits (H/M + 8 or 10), Taiwan permits (8 or 10), passports, the permanent residence card of 2017,
# military and other certificates: none has a public check, so only the form is looked at.
OTHER_DOCUMENTS = re.compile(
    r"[A-Z]{3}[0-9]{12}|[HMW][0-9]{8}(?:[0-9]{2})?|[0-9]{7,10}(?:\([A-Z0-9]\))?|[A-Z]{1,3}[0-9]{6,9}"
    r"|[A-Z0-9]*[0-9][A-Z0-9]*[0-9][A-Z0-9]*[0-9][A-Z0-9]*[0-9][A-Z0-9]*[0-9][A-Z0-9]*"
    r"|[\u4e00-\u9fff]{1,5}第?[A-Z0-9]{4,12}号?"
)
OLD_REG_NO = re.compile(r"[0-9]{13}|[\u4e00-\u9fff]{1,8}字?第?[0-9]{3,8}号?")
OLDEST_BIRTH_YEAR = 1850


class Reading(NamedTuple):
    """What a raw value is worth: the usable value or None, and the rules it breaks."""

    value: str | None
    rules: tuple[str, ...] = ()


def _is_note_mark(char: str) -> bool:
    plain = unicodedata.normalize("NFKC", char)
    return plain != char and re.fullmatch(r"\(?[0-9]+\)?\.?", plain) is not None


#: ², ₃, ①, ⑴, ⒈ and their like: what stands behind a value to point at a note, and would become a digit of it in NFKC.
NOTE_MARKS = "".join(char for char in map(chr, range(0xA0, 0x3300)) if _is_note_mark(char))
_UNMARKED = re.compile(f"[^{NOTE_MARKS}]+")


def narrow(text: str) -> str:
    """Bring a text to half width (NFKC); marks of notes stay what they are, so that 50① is no 501."""
    return text if text.isascii() else _UNMARKED.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)


def hygiene(raw: str) -> str:
    """Bring an identifier to one form: NFKC, without Excel's text prefix, blanks, zero-width marks, hyphens; upper."""
    text = narrow(raw)
    return DROPPED.sub("", text).strip(EXCEL_PREFIX).upper()


def is_placeholder(text: str) -> bool:
    """Return whether a clean identifier only fills the field: 17 zeros + X, one repeated character, 123456789 ..."""
    return len(text) > 4 and PLACEHOLDER.fullmatch(text) is not None


def uscc_check_character(body: str) -> str:
    """Return character 18 for the first 17 of a USCC (GB 32100-2015, annex A)."""
    total = sum(USCC_ALPHABET.index(c) * w for c, w in zip(body, USCC_WEIGHTS, strict=True))
    return USCC_ALPHABET[-total % 31]


def org_code_check_character(body: str) -> str:
    """Return character 9 for the first 8 of an organisation code (GB 11714-1997, 3.4); letters count from A = 10."""
    total = sum(ORG_ALPHABET.index(c) * w for c, w in zip(body, ORG_WEIGHTS, strict=True))
    return "0123456789X"[-total % 11]


def resident_check_character(body: str) -> str:
    """Return character 18 for the first 17 of a resident id (GB 11643-1999, ISO 7064 MOD 11-2)."""
    return "10X98765432"[sum(int(c) * w for c, w in zip(body, RESIDENT_WEIGHTS, strict=True)) % 11]


def reg_no_check_digit(body: str) -> str:
    """Return digit 15 for the first 14 of a registration number (GS 15-2006, ISO 7064 MOD 11,10)."""
    state = 10
    for c in body:
        state = ((state + int(c)) % 10 or 10) * 2 % 11
    return str((11 - state) % 10)


def loan_card_check_digits(body: str) -> str:
    """Return the last two digits for the first 14 of a 中征码. Place 12 weighs 97, so errors there cannot be seen."""
    total = sum(ORG_ALPHABET.index(c) * w for c, w in zip(body, LOAN_CARD_WEIGHTS, strict=True))
    return f"{total % 97 + 1:02d}"


def is_uscc(text: str) -> bool:
    """Return whether a clean text is a USCC by alphabet, length and check; A-, N- and Y-coded bodies included."""
    if len(text) != 18 or any(c not in USCC_ALPHABET for c in text) or is_placeholder(text):
        return False
    return uscc_check_character(text[:17]) == text[17]


def uscc_structure_holds(text: str) -> bool:
    """Return whether department, category and division (places 1-8) are such as GB 32100 knows."""
    return text[1] in USCC_CATEGORIES.get(text[0], "") and text[2:8].isdigit()


def is_org_code(text: str) -> bool:
    """Return whether a clean text is an organisation code by form and check; placeholders are not."""
    if re.fullmatch(r"[0-9A-Z]{8}[0-9X]", text) is None or is_placeholder(text):
        return False
    return org_code_check_character(text[:8]) == text[8]


def is_reg_no(text: str) -> bool:
    """Return whether a clean text is a 15-digit registration number with the right check digit."""
    if re.fullmatch(r"[0-9]{15}", text) is None or is_placeholder(text):
        return False
    return reg_no_check_digit(text[:14]) == text[14]


def is_loan_card_no(text: str) -> bool:
    """Return whether a clean text is a 中征码 (3 alphanumerics, 11 digits, 2 check digits)."""
    if re.fullmatch(r"[0-9A-Z]{3}[0-9]{13}", text) is None or is_placeholder(text):
        return False
    return loan_card_check_digits(text[:14]) == text[14:]


def birth_date(text: str) -> date | None:
    """Return the birth date inside an 18-character resident id; None if there is no such day."""
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return None
    return born if born.year >= OLDEST_BIRTH_YEAR else None


def resident_error(text: str, today: date | None = None) -> str | None:
    """Return the first rule that an 18-character resident id or residence permit breaks beyond use, or None.

    The county is not looked at: a code abolished before the birth year, or made after it, stands in many true ids.
    """
    if RESIDENT_FORM.fullmatch(text) is None:
        return "person_doc.form"
    if resident_check_character(text[:17]) != text[17]:
        return "person_doc.check"
    born = birth_date(text)
    if born is None or (today is not None and born > today):
        return "person_doc.date"
    # 9...: permanent residence card of 2023; places 2-6 hold the accepting province and the nationality.
    if text[0] != "9" and text[:2] not in province_prefixes():
        return "person_doc.region"
    return None


def is_resident_id(text: str, today: date | None = None) -> bool:
    """Return whether a clean text is an 18-character resident id or residence permit; placeholders are not."""
    return not is_placeholder(text) and resident_error(text, today) is None


def upgrade_resident_id(text: str) -> str:
    """Turn a 15-digit resident id into 18 characters (GB 11643-1999): 19 before the year, the check at the end."""
    body = text[:6] + "19" + text[6:]
    return body + resident_check_character(body)


def _county_rules(text: str) -> tuple[str, ...]:
    return () if text[0] == "9" or text[:6] in known_codes() else ("person_doc.county",)


def _is_sound(text: str) -> bool:
    """Return whether a check holds that letters put in as a mask would break."""
    return is_uscc(text) or is_org_code(text) or is_loan_card_no(text) or (len(text) == 15 and is_org_code(text[6:]))


def _common(raw: str | None) -> tuple[str, Reading | None]:
    """Do what all identifiers share; the reading is final where it is not None."""
    text = hygiene(raw) if raw is not None else ""
    if text in NULL_TOKENS:
        return text, Reading(None)
    if MASKED.search(text) or (MASKED_BY_X.search(text) and not _is_sound(text)):
        return text, Reading(None, ("identifier.masked",))
    if SCIENTIFIC.fullmatch(text):
        return text, Reading(None, ("identifier.scientific",))
    if tail := FLOAT_TAIL.fullmatch(text):
        text = tail[1]
    if is_placeholder(text):
        return text, Reading(None, ("identifier.placeholder",))
    return text, None


def _other_than(kind: str, text: str) -> str | None:
    """Return the rule for another identifier of an organisation in a field of this type, or None."""
    if kind != "reg_no" and is_reg_no(text):
        return f"{kind}.is_reg_no"
    return f"{kind}.is_org_code" if kind != "org_code" and is_org_code(text) else None


def read_uscc(raw: str | None, today: date | None = None) -> Reading:
    """Read a unified social credit code (GB 32100-2015)."""
    text, done = _common(raw)
    if done:
        return done
    if len(text) != 18:
        return Reading(None, (_other_than("uscc", text) or "uscc.length",))
    rules: tuple[str, ...] = ()
    mended = text
    if any(c not in USCC_ALPHABET for c in text):
        mended, rules = text.translate(LOOK_ALIKES), ("uscc.repaired",)
        if not is_uscc(mended):
            return Reading(None, ("uscc.characters",))
    holds = is_uscc(mended)
    structure, org_part = uscc_structure_holds(mended), is_org_code(mended[8:17])
    # 3 % of resident ids pass the check of a USCC too, but then almost never the check of its inner organisation code.
    if not (holds and structure and org_part) and is_resident_id(mended, today):
        return Reading(None, ("uscc.is_person_document",))
    if not holds:
        return Reading(None, ("uscc.check",))
    rules += () if structure else ("uscc.structure",)
    rules += () if org_part else ("uscc.org_part",)
    return Reading(mended, rules)


def read_org_code(raw: str | None) -> Reading:
    """Read an organisation code (GB 11714-1997); a whole USCC in its place yields the code inside it."""
    text, done = _common(raw)
    if done:
        return done
    if is_uscc(text) and is_org_code(text[8:17]):
        return Reading(text[8:17], ("org_code.from_uscc",))
    if len(text) != 9:
        return Reading(None, (_other_than("org_code", text) or "org_code.length",))
    if re.fullmatch(r"[0-9A-Z]{8}[0-9X]", text) is None:
        return Reading(None, ("org_code.characters",))
    if re.fullmatch(r"PDY[0-9]{5}.", text):
        return Reading(None, ("org_code.self_use",))
    return Reading(text) if is_org_code(text) else Reading(None, ("org_code.check",))


def read_reg_no(raw: str | None) -> Reading:
    """Read a registration number (GS 15-2006); older forms have no check and are kept with a warning."""
    text, done = _common(raw)
    if done:
        return done
    if is_uscc(text):
        return Reading(None, ("reg_no.is_uscc",))
    if OLD_REG_NO.fullmatch(text):
        return Reading(text, ("reg_no.old_form",))
    if len(text) != 15:
        return Reading(None, (_other_than("reg_no", text) or "reg_no.length",))
    if re.fullmatch(r"[0-9]{15}", text) is None:
        return Reading(None, ("reg_no.characters",))
    return Reading(text) if is_reg_no(text) else Reading(None, ("reg_no.check",))


def read_tax_no(raw: str | None, today: date | None = None) -> Reading:
    """Read a taxpayer number: 15 (division + organisation code), 18 (USCC or id), 17/20 (id + two digits), L..."""
    text, done = _common(raw)
    if done:
        return done
    if re.fullmatch(r"[A-Z][0-9A-Z]{13,19}", text) and text[0] == "L":
        return Reading(text, ("tax_no.temporary",))
    if len(text) not in (15, 17, 18, 20):
        return Reading(None, ("tax_no.length",))
    if re.fullmatch(r"[0-9A-Z]+", text) is None:
        return Reading(None, ("tax_no.characters",))
    if len(text) in (15, 17) and text[:2] not in province_prefixes():
        return Reading(None, ("tax_no.region",))
    holds = {
        15: lambda: is_org_code(text[6:]) or _is_old_resident_id(text, today),
        17: lambda: text[15:].isdigit() and _is_old_resident_id(text[:15], today),
        18: lambda: is_uscc(text) or is_resident_id(text, today),
        20: lambda: text[18:].isdigit() and is_resident_id(text[:18], today),
    }[len(text)]()
    return Reading(text) if holds else Reading(None, ("tax_no.check",))


def _is_old_resident_id(text: str, today: date | None) -> bool:
    return re.fullmatch(r"[0-9]{15}", text) is not None and is_resident_id(upgrade_resident_id(text), today)


def read_person_doc(raw: str | None, today: date | None = None) -> Reading:
    """Read a person's document: resident id 18/15 (GB 11643-1999), residence permits, permanent residence, others."""
    text, done = _common(raw)
    if done:
        return done
    if re.fullmatch("[0-9]{17}[Х×]", text) and resident_check_character(text[:17]) == "X":
        reading = read_person_doc(text[:17] + "X", today)
        return Reading(reading.value, ("person_doc.repaired", *reading.rules)) if reading.value else reading
    if RESIDENT_FORM.fullmatch(text):
        error = resident_error(text, today)
        if error is None:
            return Reading(text, _county_rules(text))
        return Reading(None, ("person_doc.is_uscc",) if is_uscc(text) and uscc_structure_holds(text) else (error,))
    if is_uscc(text) and uscc_structure_holds(text):
        return Reading(None, ("person_doc.is_uscc",))
    if re.fullmatch(r"[0-9]{15}", text):
        upgraded = upgrade_resident_id(text)
        error = resident_error(upgraded, today)
        if error:
            return Reading(None, (error,))
        return Reading(upgraded, ("person_doc.upgraded", *_county_rules(upgraded)))
    if re.fullmatch(r"[0-9]{11,}X?", text):
        return Reading(None, ("person_doc.length",))
    if len(text) == 18 or not 5 < len(text) <= 20 or OTHER_DOCUMENTS.fullmatch(text) is None:
        return Reading(None, ("person_doc.form",))
    return Reading(text)


def read_loan_card_no(raw: str | None) -> Reading:
    """Read a 中征码 (loan-card code, 16 characters)."""
    text, done = _common(raw)
    if done:
        return done
    if len(text) != 16:
        return Reading(None, ("loan_card_no.length",))
    if re.fullmatch(r"[0-9A-Z]{3}[0-9]{13}", text) is None:
        return Reading(None, ("loan_card_no.characters",))
    return Reading(text) if is_loan_card_no(text) else Reading(None, ("loan_card_no.check",))


READERS: dict[str, Callable[[str | None, date | None], Reading]] = {
    "uscc": read_uscc,
    "org_code": lambda raw, _: read_org_code(raw),
    "reg_no": lambda raw, _: read_reg_no(raw),
    "tax_no": read_tax_no,
    "person_doc": read_person_doc,
    "loan_card_no": lambda raw, _: read_loan_card_no(raw),
}

#: Types that may share a column, each with the lengths of its values: length and check digit distinguish them.
SEPARABLE = {"uscc": (18,), "org_code": (9,), "reg_no": (15,), "person_doc": (18,), "loan_card_no": (16,)}


def kind_among(raw: str, kinds: Sequence[str], today: date | None = None) -> str:
    """Return which of these types (of SEPARABLE) a text is: whose check holds, else whose length it has, else the 1st.

    15 digits that are a resident id as well as a registration number are the resident id: it is not to be published.
    What no check digit confirms (an old registration number, a passport) comes after what has the right length.
    """
    readings = {kind: READERS[kind](raw, today) for kind in kinds}
    read = [kind for kind, reading in readings.items() if reading.value and "org_code.from_uscc" not in reading.rules]
    checked = sorted((kind for kind in read if _is_checked(kind, readings[kind])), key=lambda k: k != "person_doc")
    text = hygiene(raw)
    by_length = [kind for kind in kinds if len(text) in SEPARABLE[kind] and _may_be(kind, text)]
    return (*checked, *by_length, *read, kinds[0])[0]


def _may_be(kind: str, text: str) -> bool:
    return kind != "person_doc" or RESIDENT_FORM.fullmatch(text) is not None


def _is_checked(kind: str, reading: Reading) -> bool:
    """Return whether a check digit confirmed a value that was read."""
    if kind == "person_doc":
        return RESIDENT_FORM.fullmatch(reading.value or "") is not None
    return "reg_no.old_form" not in reading.rules


def candidates(text: str) -> list[tuple[str, str]]:
    """Return every (identifier type, value) that a text typed by an operator may be, most telling first."""
    found: list[tuple[str, str]] = []
    for name, read in READERS.items():
        value = read(text, None).value
        if value and (name, value) not in found:
            found.append((name, value))
    return found
