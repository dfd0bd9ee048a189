"""Uploads that broke off are counted where a source drops its files, by number and time, never by name."""

import os
from datetime import UTC, datetime

from chengxin.connectors.files.leftovers import leftovers
from chengxin.home import Home
from deliveries import PENALTY, Office

AT = datetime(2026, 3, 5, 1, 30, tzinfo=UTC)


def test_half_written_files_are_counted_and_never_named(tmp_path):
    office = Office(tmp_path)
    office.contract("pen", "penalty", PENALTY)
    contract = office.contracts["pen"]
    folder = office.settings.home / "inbox" / str(contract.delivery.options["folder"])
    assert leftovers(Home(office.settings), contract) is None, "no folder at all"
    folder.mkdir(parents=True)
    (folder / "done.csv").write_text("x")
    assert leftovers(Home(office.settings), contract) is None
    for name, at in (("张某某.csv.part", AT), ("other.FILEPART", AT.replace(hour=0))):
        (folder / name).write_text("x")
        os.utime(folder / name, (at.timestamp(), at.timestamp()))
    left = leftovers(Home(office.settings), contract)
    assert left and (left.files, left.newest) == (2, AT)
    assert "2 个未写完的文件，最后写入 2026-03-05 09:30" in left.words() and "张某某" not in left.words()
