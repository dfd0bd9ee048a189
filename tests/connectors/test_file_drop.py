import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chengxin.clock import Clock
from chengxin.connectors import connector_for, options_problem
from chengxin.connectors.files.connector import FileDrop
from chengxin.connectors.files.drop import file_delivery
from chengxin.errors import ContractError, DeliveryCorrupt, SourceUnavailable
from chengxin.home import Home

DAY = 1_790_000_000


def drop(settings, folder, name, data=b"x", at=DAY):
    path = settings.home / "inbox" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (at, at))
    return path


def test_offers_finished_files_oldest_first(settings, make_contract):
    drop(settings, "税务", "欠税公告_2026Q2.csv", at=DAY + 60)
    drop(settings, "税务", "欠税公告_2026Q1.csv", at=DAY)
    drop(settings, "税务", "欠税公告_2025Q4.csv", at=DAY + 60)
    for name in (
        ".欠税公告.csv",
        "~$欠税公告.csv",
        "欠税公告.csv.part",
        "欠税公告.csv.tmp",
        "欠税公告.csv.filepart",
        "说明.txt",
    ):
        drop(settings, "税务", name)
    contract = make_contract(folder="税务", pattern="欠税公告*.csv*")
    found = FileDrop().discover(Home(settings), contract)
    assert [d.name for d in found] == ["欠税公告_2026Q1.csv", "欠税公告_2025Q4.csv", "欠税公告_2026Q2.csv"]
    assert found[0].offered_at.timestamp() == DAY
    assert found[0].origin == "file_drop:税务/欠税公告_2026Q1.csv"


def test_a_fixed_day_to_come_is_the_latest_a_file_can_be_of(settings, make_contract):
    to_come = datetime(2300, 1, 4, tzinfo=UTC)
    drop(settings, "a", "x.csv", at=to_come.timestamp() - 60)
    drop(settings, "a", "y.csv", at=to_come.timestamp() + 60)
    found = FileDrop().discover(Home(settings, Clock(to_come)), make_contract(folder="a"))
    assert [d.offered_at for d in found] == [to_come - timedelta(seconds=60), to_come]


def test_an_empty_file_is_a_delivery(settings, make_contract):
    drop(settings, "a", "空.csv", b"")
    assert [d.name for d in FileDrop().discover(Home(settings), make_contract(folder="a"))] == ["空.csv"]


def test_a_folder_that_does_not_exist_yet_is_empty(settings, make_contract):
    assert FileDrop().discover(Home(settings), make_contract(folder="a")) == []


def test_a_missing_inbox_is_not_read_as_no_deliveries(settings, make_contract):
    home = Home(replace(settings, inbox=settings.home / "not-mounted"))
    with pytest.raises(SourceUnavailable, match="收件箱"):
        FileDrop().discover(home, make_contract(folder="a"))


def test_the_inbox_can_lie_elsewhere(settings, make_contract, tmp_path):
    (tmp_path / "share" / "a").mkdir(parents=True)
    (tmp_path / "share" / "a" / "b.csv").write_bytes(b"1")
    home = Home(replace(settings, inbox=tmp_path / "share"))
    assert [d.name for d in FileDrop().discover(home, make_contract(folder="a"))] == ["b.csv"]


def test_never_leaves_the_inbox(settings, make_contract, tmp_path):
    drop(settings, "a", "b.csv")
    secret = tmp_path / "secret.csv"
    secret.write_bytes(b"1")
    (settings.home / "inbox" / "a" / "link.csv").symlink_to(secret)
    assert [d.name for d in FileDrop().discover(Home(settings), make_contract(folder="a"))] == ["b.csv"]
    with pytest.raises(SourceUnavailable, match="收件箱之外"):
        FileDrop().discover(Home(settings), make_contract(folder="../.."))


def test_searches_subfolders_only_when_the_pattern_says_so(settings, make_contract):
    drop(settings, "a", "b.csv")
    drop(settings, "a/430100", "b.csv", at=DAY + 1)
    assert [d.name for d in FileDrop().discover(Home(settings), make_contract(folder="a"))] == ["b.csv"]
    deep = FileDrop().discover(Home(settings), make_contract(folder="a", pattern="4301*/*.csv"))
    assert [d.name for d in deep] == ["430100/b.csv"]


def test_reads_file_names_made_on_a_gbk_system(settings, make_contract, tmp_path):
    drop(settings, "a", os.fsdecode("欠税公告.csv".encode("gbk")), b"12")
    contract = make_contract(folder="a", pattern="欠税*.csv")
    [delivery] = FileDrop().discover(Home(settings), contract)
    assert delivery.name == "欠税公告.csv"
    FileDrop().fetch(Home(settings), delivery, contract, tmp_path)
    assert (tmp_path / "欠税公告.csv").read_bytes() == b"12"


def test_refuses_a_file_that_changed_after_it_was_found(settings, make_contract, tmp_path):
    path = drop(settings, "a", "b.csv", b"half")
    contract = make_contract(folder="a")
    [delivery] = FileDrop().discover(Home(settings), contract)
    path.write_bytes(b"half and more")
    with pytest.raises(DeliveryCorrupt, match="被改动"):
        FileDrop().fetch(Home(settings), delivery, contract, tmp_path)


def test_a_vanished_file_is_a_matter_of_trying_again(settings, make_contract, tmp_path):
    path = drop(settings, "a", "b.csv")
    contract = make_contract(folder="a")
    [delivery] = FileDrop().discover(Home(settings), contract)
    path.unlink()
    with pytest.raises(SourceUnavailable):
        FileDrop().fetch(Home(settings), delivery, contract, tmp_path)


def test_a_delivery_with_announced_checksum_waits_for_it_and_is_compared(settings, make_contract, tmp_path):
    drop(settings, "a", "b.csv", b"abc")
    contract = make_contract(folder="a", checksum=".sha256")
    assert FileDrop().discover(Home(settings), contract) == []
    digest = hashlib.sha256(b"abc").hexdigest()
    beside = drop(settings, "a", "b.csv.sha256", f"{digest}  b.csv".encode())
    [delivery] = FileDrop().discover(Home(settings), contract)
    FileDrop().fetch(Home(settings), delivery, contract, tmp_path)
    assert (tmp_path / "b.csv").read_bytes() == b"abc"
    beside.write_bytes(b"00")
    [delivery] = FileDrop().discover(Home(settings), contract)
    with pytest.raises(DeliveryCorrupt, match="校验值"):
        FileDrop().fetch(Home(settings), delivery, contract, tmp_path)


def test_a_given_file_is_a_delivery_whatever_the_connector(settings, make_contract, tmp_path):
    (tmp_path / "手工.csv").write_bytes(b"1")
    delivery = file_delivery(
        Home(settings), make_contract("database", connection="x", table="t"), tmp_path / "手工.csv"
    )
    assert (delivery.name, delivery.locator.connector) == ("手工.csv", "file_drop")
    with pytest.raises(SourceUnavailable, match="不存在"):
        file_delivery(Home(settings), make_contract(), tmp_path / "没有.csv")


def test_unknown_options_are_refused_in_words(make_contract):
    contract = make_contract(ordner="a")
    assert "delivery.options" in (options_problem(contract) or "")
    assert "ordner" in (options_problem(contract) or "")
    assert options_problem(make_contract(folder="a")) is None
    with pytest.raises(ContractError):
        connector_for(contract).options(contract)


def test_discovering_writes_nothing(settings, make_contract):
    drop(settings, "a", "b.csv")
    before = sorted(Path(settings.home).rglob("*"))
    FileDrop().discover(Home(settings), make_contract(folder="a"))
    assert sorted(Path(settings.home).rglob("*")) == before
