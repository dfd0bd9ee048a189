"""The department whose penalties most tests of feedback refuse and mend."""

from pathlib import Path

import pytest

from deliveries import PENALTY, REGISTRATION, Office, company


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", ("source_record_id", *PENALTY))
    office.deliver("reg", *(company(n) for n in range(1, 6)), day=0)
    return office
