"""The usual way: pandas with one function a value, as a competent analyst writes it in an afternoon.

    python bench/baseline_pandas.py PENALTY.gb18030.csv REGISTRY.csv FOLDER

Reads GB18030, cleans and validates, notes issues, quarantines, joins the registry by code and then by name, drops
duplicates (the latest correction wins), sorts, writes both tiers as Parquet. Left out against the pipeline, so in
favour of pandas: provenance columns, account, manifests, fsync, verification, resumption.
"""

import hashlib
import hmac
import json
import re
import sys
import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pandas as pd

USCC = re.compile(r"[0-9A-HJ-NPQRTUWXY]{18}")
BRACKETS = re.compile(r"[\[\]()（）]")
ALPHABET = {c: i for i, c in enumerate("0123456789ABCDEFGHJKLMNPQRTUWXY")}
USCC_WEIGHTS = [3**i % 31 for i in range(17)]
ID_WEIGHTS = [2 ** (17 - i) % 11 for i in range(17)]
COLUMNS = """
decision_no counterpart_name uscc_raw legal_rep_name legal_rep_doc_raw penalty_class fine_raw
decision_raw publicity_raw authority_name region_code updated_raw
""".split()  # noqa: SIM905  as in the file, in its order
CHECKED = {
    "uscc": "uscc_raw",
    "legal_rep_doc_no": "legal_rep_doc_raw",
    "fine_yuan": "fine_raw",
    "decision_on": "decision_raw",
    "publicity_until_on": "publicity_raw",
}
KEY = b"bench"
TODAY = datetime.now(UTC).date()
DATE_FORMS = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y年%m月%d日", "%Y.%m.%d")


def clean(value: str) -> str:
    """Fold widths and drop blanks at the ends; empty is missing."""
    return unicodedata.normalize("NFKC", value).strip()


def uscc(value: str) -> str | None:
    """Return a valid code or None."""
    code = value.upper().replace(" ", "")
    if not USCC.fullmatch(code):
        return None
    total = sum(ALPHABET[c] * w for c, w in zip(code, USCC_WEIGHTS, strict=False))
    return code if ALPHABET[code[17]] == (31 - total % 31) % 31 else None


def person_id(value: str) -> str | None:
    """Return a valid 18-digit resident id (15 digits are widened) or None."""
    number = value.upper()
    if len(number) == 15 and number.isdigit():
        number = number[:6] + "19" + number[6:]
    if not re.fullmatch(r"\d{17}[\dX]?", number):
        return None
    check = "10X98765432"[sum(int(c) * w for c, w in zip(number, ID_WEIGHTS, strict=False)) % 11]
    if len(number) == 18 and number[17] != check:
        return None
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None
    return number[:17] + check


def day(value: str) -> date | None:
    """Return the calendar day of any of the usual forms."""
    for form in DATE_FORMS:
        try:
            return datetime.strptime(value, form).date()  # noqa: DTZ007  a calendar day has no zone
        except ValueError:
            continue
    return None


def yuan(value: str) -> Decimal | None:
    """Return an amount in yuan; a bare number is 万元."""
    text = value.replace(",", "").replace("¥", "")
    unit = Decimal(1) if (text.endswith("元") and not text.endswith("万元")) or "¥" in value else Decimal(10000)
    try:
        return (Decimal(text.removesuffix("元").removesuffix("万")) * unit).quantize(Decimal("0.01"))
    except InvalidOperation:
        return None


def name_key(value: str) -> str:
    """Return the form of a name in which two writings of it are equal."""
    return value.replace("(", "（").replace(")", "）").replace(" ", "")


def cleaned(source: str) -> pd.DataFrame:
    """Read and standardise the deliveries."""
    frame = pd.read_csv(source, encoding="gb18030", dtype=str, keep_default_na=False)
    frame.columns = COLUMNS
    for column in frame.columns:
        frame[column] = frame[column].apply(clean)
    frame["uscc"] = frame["uscc_raw"].apply(uscc)
    frame["legal_rep_doc_no"] = frame["legal_rep_doc_raw"].apply(person_id)
    frame["fine_yuan"] = frame["fine_raw"].apply(yuan)
    frame["decision_on"] = frame["decision_raw"].apply(day)
    frame["publicity_until_on"] = frame["publicity_raw"].apply(day)
    frame["source_updated_at"] = pd.to_datetime(frame["updated_raw"], format="%Y-%m-%d %H:%M:%S", errors="coerce")
    frame["decision_no"] = frame["decision_no"].apply(
        lambda no: BRACKETS.sub(lambda b: "〔" if b[0] in "([（" else "〕", no)
    )
    frame["name_key"] = frame["counterpart_name"].apply(name_key)
    return frame


def linked(frame: pd.DataFrame, registry_file: str) -> pd.DataFrame:
    """Find each record's enterprise: by code, else by name within the region where that is unique."""
    registry = pd.read_csv(registry_file, dtype=str).iloc[:, [0, 1, 4]]
    registry.columns = ["uscc", "name", "region_code"]
    registry["name_key"] = registry["name"].apply(name_key)
    registry["subject_id"] = range(1, len(registry) + 1)
    frame = frame.merge(registry[["uscc", "subject_id"]], on="uscc", how="left")
    unique = registry.drop_duplicates(["name_key", "region_code"], keep=False)
    named = frame.merge(unique[["name_key", "region_code", "subject_id"]], on=["name_key", "region_code"], how="left")
    frame["subject_id"] = frame["subject_id"].fillna(named["subject_id_y"])
    return frame


def issue_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row for every value that was sent and cannot be used, with a digest instead of the value."""
    parts = []
    for element, raw in CHECKED.items():
        bad = frame[frame[element].isna() & (frame[raw] != "")]
        digest = bad[raw].apply(lambda value: hashlib.sha256(value.encode()).hexdigest()[:16])
        parts.append(pd.DataFrame({"source_row": bad["source_row"], "element": element, "value_digest": digest}))
    return pd.concat(parts).sort_values(["source_row", "element"])


def open_tier(known: pd.DataFrame) -> pd.DataFrame:
    """Return what anybody may see: names of persons masked, documents replaced by keyed tokens, expired rows gone."""
    shown = known[known["publicity_until_on"].isna() | (known["publicity_until_on"] >= TODAY)].copy()
    shown["legal_rep_name"] = shown["legal_rep_name"].apply(lambda name: name[:1] + "*" * len(name[1:]))
    shown["legal_rep_token"] = shown["legal_rep_doc_no"].apply(
        lambda number: hmac.digest(KEY, number.encode(), "sha256").hex() if isinstance(number, str) else None
    )
    return shown.drop(columns=["legal_rep_doc_no", *CHECKED.values()])


def write(frame: pd.DataFrame, folder: str, name: str) -> None:
    """Write a table as the snapshot has it."""
    frame.to_parquet(f"{folder}/{name}.parquet", compression="zstd", row_group_size=20_480)


def main(source: str, registry_file: str, folder: str) -> dict[str, int]:
    """Run all of it; return the counts of the four states."""
    frame = cleaned(source)
    frame["source_row"] = range(2, len(frame) + 2)
    write(issue_rows(frame), folder, "issues")
    bad = frame["decision_on"].isna() | (frame["decision_no"] == "") | (frame["counterpart_name"] == "")
    bad |= frame["uscc"].isna() & (frame["uscc_raw"] != "")  # a code that is wrong must not be replaced by a guess
    write(frame[bad], folder, "quarantine")
    good = frame[~bad].sort_values("source_updated_at", kind="stable")
    kept = linked(good, registry_file)
    key = ["subject_id", "decision_no", "authority_name", "decision_on"]
    unlinked = kept[kept["subject_id"].isna()]
    known = kept[kept["subject_id"].notna()].drop_duplicates(key, keep="last")
    known = known.assign(
        record_id=known[key].astype(str).apply("|".join, axis=1).apply(lambda k: hashlib.md5(k.encode()).hexdigest())  # noqa: S324
    ).sort_values(["subject_id", "record_id"])
    write(unlinked, folder, "unlinked")
    write(known, folder, "government_penalty")
    write(
        known[["record_id", "subject_id", "decision_on", "publicity_until_on", "source_row"]], folder, "credit_record"
    )
    write(open_tier(known), folder, "open_penalty")
    return {
        "received": len(frame),
        "accepted": len(known),
        "quarantined": int(bad.sum()),
        "duplicate": len(kept) - len(unlinked) - len(known),
        "unlinked": len(unlinked),
    }


if __name__ == "__main__":
    Path(sys.argv[3]).mkdir(parents=True, exist_ok=True)
    print(json.dumps(main(*sys.argv[1:4])))
