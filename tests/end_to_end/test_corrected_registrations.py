"""Waiting rows of kinds that add to the registry: settled by their mended record, and adding nothing themselves."""

from pathlib import Path

import duckdb
import pytest

from chengxin.identity.registry import RegistryFiles
from chengxin.records import journal
from deliveries import CHANGE, REGISTRATION, Office, company, counts, reg_no, renaming, uscc

OWN = "source_record_id"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", (OWN, *REGISTRATION))
    office.contract("change", "registration_change", CHANGE)
    office.deliver("reg", company(1, source_record_id="r1"), day=0)
    return office


def registered(office: Office, name: str, columns: str) -> list[tuple[object, ...]]:
    files = [str(p) for p in RegistryFiles(office.layout, journal.admissions(office.layout)).files(name)]
    return duckdb.sql(f"SELECT {columns} FROM read_parquet({files}) ORDER BY ALL").fetchall()


@pytest.mark.slow
def test_the_right_code_settles_a_renaming_under_a_mistyped_one(office: Office) -> None:
    wrong = renaming(7, "湖南旧名有限公司", "湖南示例1有限公司", subject_name="湖南示例1有限公司")
    other = renaming(
        8, "湖南另名有限公司", "湖南示例1有限公司", subject_name="湖南示例1有限公司", changed_on="2024-05-01"
    )
    assert counts(office.deliver("change", wrong, other, day=1)) == (0, 0, 0, 2)
    assert counts(office.deliver("change", wrong | {"uscc": uscc(1)}, day=2)) == (1, 0, 0, 0)
    office.publish()
    assert counts(office.account("change", 0)) == (1, 0, 0, 1)
    assert registered(office, "names", "name").count(("湖南旧名有限公司",)) == 1
    office.deliver("reg", company(7, source_record_id="r7"), company(8, source_record_id="r8"), day=3)
    office.publish()
    assert [n for (n,) in office.table("registration_change", "value_before")] == [
        "湖南另名有限公司",
        "湖南旧名有限公司",
    ]


@pytest.mark.slow
def test_a_mended_registration_settles_one_with_a_shared_code(office: Office) -> None:
    shared = reg_no(5)
    both = [company(n, source_record_id=f"r{n}", reg_no=shared) for n in (2, 3)]
    office.deliver("reg", *both, day=1)
    row = company(4, source_record_id="r4", uscc="", reg_no=shared)
    assert counts(office.deliver("reg", row, day=2)) == (0, 0, 0, 1)
    assert counts(office.deliver("reg", company(4, source_record_id="r4", reg_no=reg_no(4)), day=3)) == (1, 0, 0, 0)
    office.publish()
    assert counts(office.account("reg", 2)) == (1, 0, 0, 0)
    assert [u for (u,) in office.table("subject", "uscc")] == [uscc(n) for n in (1, 2, 3, 4)]
    assert registered(office, "identifiers", "identifier_value").count((shared,)) == 2
