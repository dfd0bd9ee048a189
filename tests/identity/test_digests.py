"""Stored digests are ours: worked out here in plain Python, whatever DuckDB's hash() gives in this release."""

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chengxin.identity import digests
from chengxin.model.kinds import kinds
from chengxin.model.schema import ColumnSpec, arrow_type, kind_columns
from deliveries import GUARANTEE, PENALTY, REGISTRATION, Office, company, penalty, uscc

UNIT = "\x1f"
SPECS = [
    ("text", "string", "湖南示例（1）\n有限公司", "湖南示例（1）\n有限公司"),
    ("nothing", "string", None, None),
    ("blank", "string", "", ""),
    ("day", "date32", date(2026, 3, 2), "2026-03-02"),
    ("long_ago", "date32", date(987, 1, 1), "0987-01-01"),
    ("instant", "timestamp", datetime(2026, 3, 1, 16, 0, 0, 5, tzinfo=UTC), "2026-03-01 16:00:00.000005Z"),
    ("whole", "int64", -12, "-12"),
    ("year", "int32", 2026, "2026"),
    ("yuan", "decimal2", Decimal("-1234567890123456.70"), "-123456789012345670"),
    ("small", "decimal2", Decimal("0.05"), "5"),
    ("share", "decimal6", Decimal("33.333333"), "33333333"),
    ("yes", "bool", True, "1"),
    ("no", "bool", False, "0"),
]


def canonical(fields: dict[str, str | None]) -> str:
    return UNIT.join(f"{name}={text}" for name, text in sorted(fields.items()) if text is not None)


def digest(text: str) -> int:
    return int(hashlib.md5(text.encode()).hexdigest()[:16], 16)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
def test_a_digest_is_what_plain_python_works_out(zone):
    columns = [ColumnSpec(name, type_) for name, type_, _, _ in SPECS]
    rows = pa.table({n: pa.array([value], arrow_type(type_)) for n, type_, value, _ in SPECS})
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        connection.register("given", rows)
        sql = digests.row({c.name: digests.text(c, "s") for c in columns})
        [(text, number, none)] = connection.execute(
            f"SELECT {sql}, {digests.number(sql)}, {digests.number('NULL')} FROM given s"
        ).fetchall()
    assert text == canonical({name: said for name, _, _, said in SPECS})
    assert number == digest(text) == 0x7504B27566B94A37
    assert none is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "xy", "b": None}, {"a": "x", "b": "y"}),
        ({"a": "", "b": None}, {"a": None, "b": ""}),
        ({"a": None, "b": None}, {"a": "", "b": ""}),
        ({"a": "1", "b": "2"}, {"a": "2", "b": "1"}),
    ],
)
def test_rows_that_say_different_things_differ(one, other):
    def of(fields: dict[str, str | None]) -> Any:
        sql = {n: "CAST(NULL AS VARCHAR)" if v is None else f"'{v}'" for n, v in fields.items()}
        return duckdb.sql(f"SELECT {digests.number(digests.row(sql))}").fetchall()[0][0]

    assert of(one) != of(other)
    assert of(one) == of(dict(reversed(one.items())) | {"later": None}), "neither order nor a new field counts"


def _text(column: ColumnSpec, value: Any) -> str | None:
    """Give the text of a value in a standard file, by the definition."""
    if value is None:
        return None
    match column.type:
        case "timestamp":
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}Z"
        case "decimal2":
            return str(int(value * 100))
        case "decimal6":
            return str(int(value * 1_000_000))
        case "bool":
            return "1" if value else "0"
    return str(value)


def _worked_out(kind: str, row: dict[str, Any]) -> int:
    fields = {}
    for c in kind_columns(kinds()[kind]):
        amount = c.name.removesuffix("_raw")
        stands = amount == c.name or row[f"{amount}_yuan"] is None
        fields[c.name] = _text(c, row[c.name]) if stands else None
    return digest(canonical(fields))


def _folded(text: str | None) -> str:
    return (text or "").replace("（", "(").replace("）", ")")


def _stored(office: Office, dataset: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    batch = office.account(dataset).batch_id
    [standard] = office.layout.standard(dataset, batch).glob("standard-*.parquet")
    linked = office.layout.links(dataset, batch, 0) / "linked.parquet"
    rows = {row["row_id"]: row for row in pq.read_table(standard).to_pylist()}
    return [(rows[link["row_id"]], link) for link in pq.read_table(linked).to_pylist()]


def test_what_linking_stores_is_worked_out_in_plain_python(tmp_path: Path):
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", (*PENALTY, "fine", "source_record_id"))
    office.contract("gua", "guarantee", (*GUARANTEE, "source_record_id"))
    office.deliver("reg", company(1), company(2), day=0)
    office.deliver(
        "pen",
        penalty(1, uscc=uscc(1), authority_name="示例（局）", fine="1250.5", source_record_id="甲-1"),
        penalty(2, uscc=uscc(2), fine="100 USD"),
        day=1,
    )
    office.deliver(
        "gua",
        {"subject_name": "湖南示例1有限公司", "uscc": uscc(2), "related_uscc": uscc(1), "institution_code": "B1",
         "related_name": "湖南示例2有限公司", "contract_no": "保字1号", "valid_from_on": "2026-01-02"},
        day=1,
    )  # fmt: skip
    seen = 0
    for row, link in _stored(office, "pen"):
        assert link["payload"] == _worked_out("penalty", row)
        key = [_folded(row["decision_no"]), _folded(row["authority_name"]), f"{row['decision_on']}"]
        said = UNIT.join(["pen", str(link["subject_id"]), *key])
        assert link["record_id"] == hashlib.md5(said.encode()).hexdigest()
        near = canonical({"subject_id": str(link["subject_id"]), "on": f"{row['decision_on']}"})
        assert link["near"] == digest(near)
        seen += link["twin"] == digest("甲-1")
    assert seen == 1
    [(row, link)] = _stored(office, "gua")
    assert link["payload"] == _worked_out("guarantee", row)
    assert link["near"] == digest(canonical({"subject_id": "1", "other": "2", "on": "2026-01-02"}))


def test_no_stored_value_holds_the_separator(tmp_path: Path):
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", (*PENALTY, "fine", "source_record_id"))
    office.deliver("reg", company(1), day=0)
    row = penalty(1, uscc=uscc(1), fine="一千" + UNIT + "元整", source_record_id="甲" + UNIT + "1")
    office.deliver("pen", {name: f"{str(value)[:2]}{UNIT}{str(value)[2:]}" for name, value in row.items()}, day=1)
    [(stored, _)] = _stored(office, "pen")
    texts = [value for value in stored.values() if isinstance(value, str)]
    assert len(texts) > 8
    assert not any(UNIT in text for text in texts)
