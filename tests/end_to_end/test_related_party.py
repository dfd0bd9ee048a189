"""A subject is shown with the rows in which it is only the related party."""

from pathlib import Path

import pytest

from chengxin.publishing.reader import open_snapshot
from deliveries import GUARANTEE, PENALTY, REGISTRATION, Office, company, penalty, uscc


@pytest.mark.slow
def test_a_look_up_finds_what_a_subject_is_only_related_to(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_guarantee", "guarantee", GUARANTEE)
    office.contract("test_penalty", "penalty", PENALTY)
    office.deliver("test_reg", company(1), company(2, region_code="430302"), company(3), day=0)
    row = {"uscc": uscc(1), "related_uscc": uscc(2), "institution_code": "示例行", "contract_no": "示保1号",
           "valid_from_on": "2026-01-01"}  # fmt: skip
    itself = row | {"uscc": uscc(2), "contract_no": "示保2号"}
    office.deliver("test_guarantee", row, itself, day=1)
    office.deliver("test_penalty", penalty(1, uscc=uscc(1)), day=1)
    office.publish()

    def contracts_of(subject: str) -> dict[str, list[object]]:
        opened = open_snapshot(office.settings.home, "assembly")
        (number,) = opened.find(subject)["subject_id"].to_pylist()
        rows = {name: table.to_pylist() for name, table in opened.lookup(number).items()}
        kinds = [r["kind"] for r in rows["credit_record"]]
        return {"guarantee": [r["contract_no"] for r in rows.get("guarantee", [])], "kinds": kinds}

    assert contracts_of(uscc(1)) == {"guarantee": ["示保1号"], "kinds": ["guarantee", "penalty", "registration"]}
    assert contracts_of(uscc(2)) == {
        "guarantee": ["示保2号", "示保1号"],
        "kinds": ["guarantee", "registration", "guarantee"],
    }
    assert contracts_of(uscc(3)) == {"guarantee": [], "kinds": ["registration"]}
