import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from test_file_drop import DAY, drop

from chengxin.clock import Clock
from chengxin.connectors import landing
from chengxin.connectors.files.drop import file_delivery
from chengxin.errors import DeliveryCorrupt
from chengxin.facts import Locator
from chengxin.home import Home
from chengxin.store.atomic import read_json

CLOCK = Clock(datetime(2026, 11, 23, 8, tzinfo=UTC))


def land_all(contract, settings):
    return [landing.land(Home(settings, CLOCK), contract, d) for d in landing.offered(Home(settings), contract)]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_keeps_the_bytes_unchanged_with_a_receipt(settings, make_contract):
    data = "纳税人名称\r\n某某公司\r\n".encode("gb18030") + b"\xff\xfe"
    drop(settings, "a", "欠税.csv", data)
    [batch] = land_all(make_contract(folder="a"), settings)
    folder = settings.home / "landing" / "tax_arrears" / batch.batch_id
    assert tree(folder).keys() == {"payload/欠税.csv", "receipt.json"}
    assert (folder / "payload" / "欠税.csv").read_bytes() == data
    assert landing.payload(Home(settings), batch) == [folder / "payload" / "欠税.csv"]
    receipt = read_json(folder / "receipt.json")
    assert receipt["payload_sha256"] == batch.files[0].sha256 == receipt["files"][0]["sha256"]
    assert batch.as_of.timestamp() == DAY
    # 2026-09-21T14:13:20Z is the 21st in Shanghai as well
    assert batch.batch_id == f"tax_arrears-20260921-{batch.files[0].sha256[:12]}"


def test_the_day_of_a_batch_is_the_day_in_shanghai(settings, make_contract):
    drop(settings, "a", "b.csv", at=datetime(2026, 3, 31, 17, tzinfo=UTC).timestamp())
    [batch] = land_all(make_contract(folder="a"), settings)
    assert batch.batch_id.startswith("tax_arrears-20260401-")


def test_the_same_bytes_twice_are_one_batch_whatever_name_and_day(settings, make_contract):
    contract = make_contract(folder="a")
    drop(settings, "a", "b.csv", b"same")
    [first] = land_all(contract, settings)
    drop(settings, "a", "copy of b.csv", b"same", at=DAY + 90_000)
    assert {b.batch_id for b in land_all(contract, settings)} == {first.batch_id}
    assert landing.batches(Home(settings), "tax_arrears") == [first]


@pytest.mark.parametrize("pattern", ["list_{date}.csv", "*.csv"])
def test_a_full_list_that_returns_to_an_earlier_content_is_the_list_of_its_day(settings, make_contract, pattern):
    contract = make_contract(folder="a", mode="full", pattern=pattern)
    for day, data in ((1, b"A"), (2, b"B"), (3, b"A"), (4, b"A"), (5, b"B")):
        drop(settings, "a", f"list_2026090{day}.csv", data, at=DAY + 86_400 * day)
        land_all(contract, settings)
    batches = landing.batches(Home(settings), "tax_arrears")
    told = [b.delivery for b in batches]
    assert told == [f"list_2026090{n}.csv" for n in (1, 2, 3, 5)], "the fourth says nothing new"
    doubtful = [None, None, batches[0].batch_id, batches[1].batch_id]
    assert [b.restates for b in batches] == (doubtful if pattern == "*.csv" else [None] * 4)
    time.sleep(2.1)  # what was dropped a moment ago is not remembered by its time
    land_all(contract, settings)
    for n in range(1, 6):  # touched, not sent
        os.utime(settings.home / "inbox" / "a" / f"list_2026090{n}.csv", (DAY + 86_400 * (9 + n),) * 2)
        land_all(contract, settings)
    assert [b.delivery for b in landing.batches(Home(settings), "tax_arrears")] == told


def test_one_full_list_that_is_overwritten_each_day_returns_to_an_earlier_content(settings, make_contract):
    contract = make_contract(folder="a", mode="full")
    for day, data in enumerate((b"A", b"B", b"A", b"A")):
        path = drop(settings, "a", "list.csv", data, at=DAY + 86_400 * day)
        land_all(contract, settings)
    batches = landing.batches(Home(settings), "tax_arrears")
    assert [b.restates for b in batches] == [None] * 3
    old = drop(settings, "a", "copy of an old one.csv", b"B", at=DAY + 86_400)  # with its own time
    assert path.exists() and old.exists()
    land_all(contract, settings)
    assert len(landing.batches(Home(settings), "tax_arrears")) == 3


def test_an_increment_that_is_sent_again_says_nothing_new(settings, make_contract):
    contract = make_contract(folder="a")
    for n, data in enumerate((b"A", b"B", b"A")):
        drop(settings, "a", f"{n}.csv", data, at=DAY + 86_400 * n)
        land_all(contract, settings)
    assert [b.delivery for b in landing.batches(Home(settings), "tax_arrears")] == ["0.csv", "1.csv"]


def test_a_replaced_file_with_old_size_and_time_is_a_new_batch(settings, make_contract):
    contract = make_contract(folder="a")
    path = drop(settings, "a", "b.csv", b"1111")
    [first] = land_all(contract, settings)
    land_all(contract, settings)
    path.write_bytes(b"2222")
    os.utime(path, (DAY, DAY))
    [second] = land_all(contract, settings)
    assert second.batch_id != first.batch_id
    assert second.as_of == first.as_of


def test_a_file_left_alone_is_recognised_without_reading_it(settings, make_contract):
    contract = make_contract(folder="a")
    path = drop(settings, "a", "b.csv", b"1111")
    deadline = time.monotonic() + 20
    while landing.offered(Home(settings), contract):
        # a file dropped a moment ago is read again until its clock has moved on
        assert time.monotonic() < deadline
        land_all(contract, settings)
        time.sleep(0.3)
    [batch] = landing.batches(Home(settings), "tax_arrears")
    # still the same delivery for those who ask the connector itself
    found = landing.connector_for(contract).discover(Home(settings), contract)
    assert [landing.land(Home(settings, CLOCK), contract, d) for d in found] == [batch]
    # the cache is only a cache
    (settings.home / "landing" / "tax_arrears" / "seen.json").write_bytes(b"{broken")
    assert land_all(contract, settings) == [batch]
    # and a batch that is gone is received again
    shutil.rmtree(settings.home / "landing" / "tax_arrears" / batch.batch_id)
    assert land_all(contract, settings) == [batch]
    assert path.exists()


def test_landing_again_after_an_interruption_gives_the_same_bytes(settings, make_contract):
    contract = make_contract(folder="a")
    drop(settings, "a", "b.csv", b"payload")
    [batch] = land_all(contract, settings)
    folder = settings.home / "landing" / "tax_arrears"
    clean = {k: v for k, v in tree(folder).items() if k != "seen.json"}
    # what a kill while copying leaves: a folder under construction and no batch
    shutil.rmtree(folder / batch.batch_id)
    (folder / ".building-delivery" / "payload").mkdir(parents=True)
    (folder / ".building-delivery" / "payload" / "b.csv").write_bytes(b"pay")
    assert landing.batches(Home(settings), "tax_arrears") == []
    assert land_all(contract, settings) == [batch]
    assert {k: v for k, v in tree(folder).items() if k != "seen.json"} == clean


def test_a_failed_fetch_leaves_nothing(settings, make_contract):
    contract = make_contract(folder="a")
    path = drop(settings, "a", "b.csv", b"payload")
    [delivery] = landing.offered(Home(settings), contract)
    path.write_bytes(b"other")
    with pytest.raises(DeliveryCorrupt):
        landing.land(Home(settings, CLOCK), contract, delivery)
    assert tree(settings.home / "landing") == {}


def test_batches_count_in_the_order_in_which_they_were_received(settings, make_contract):
    contract = make_contract(folder="a")
    for name, at in (("c.csv", DAY), ("a.csv", DAY + 5), ("b.csv", DAY)):
        drop(settings, "a", name, name.encode(), at=at)
    land_all(contract, settings)
    assert [b.delivery for b in landing.batches(Home(settings), "tax_arrears")] == ["b.csv", "c.csv", "a.csv"]
    assert landing.batches(Home(settings), "unknown_dataset") == []


def test_a_file_given_by_hand_lands_for_any_connector(settings, make_contract, tmp_path):
    (tmp_path / "手工.csv").write_bytes(b"1")
    contract = make_contract("database", connection="x", table="t")
    batch = landing.land(
        Home(settings, CLOCK), contract, file_delivery(Home(settings, CLOCK), contract, tmp_path / "手工.csv")
    )
    assert [f.name for f in batch.files] == ["手工.csv"]
    assert landing.cursor(Home(settings), "tax_arrears") == Locator()
    assert str(tmp_path) not in (landing.payload(Home(settings), batch)[0].parents[1] / "receipt.json").read_text(
        "utf-8"
    )


def test_verification_finds_every_kind_of_damage(settings, make_contract):
    drop(settings, "a", "b.csv", b"payload")
    [batch] = land_all(make_contract(folder="a"), settings)
    folder = settings.home / "landing" / "tax_arrears" / batch.batch_id
    assert landing.verify_landed(Home(settings), batch) == []
    (folder / "payload" / "b.csv").write_bytes(b"PAYLOAD")
    (folder / "payload" / "stray").write_bytes(b"")
    (folder / "receipt.json").write_bytes(b"{")
    problems = landing.verify_landed(Home(settings), batch)
    assert len(problems) == 3
    assert "sha256" in problems[0]
    (folder / "payload" / "b.csv").unlink()
    assert "缺少" in landing.verify_landed(Home(settings), batch)[0]
    with pytest.raises(DeliveryCorrupt, match="回执"):
        landing.batches(Home(settings), "tax_arrears")
