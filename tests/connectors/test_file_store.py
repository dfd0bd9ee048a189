"""A drop folder in a real S3 server."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from chengxin.clock import Clock
from chengxin.connectors import landing
from chengxin.connectors.files.connector import FileDrop
from chengxin.errors import DeliveryCorrupt, SourceUnavailable
from chengxin.home import Home
from file_servers import Store, Wire, store

CLOCK = Clock(datetime(2026, 11, 23, 8, tzinfo=UTC))
CONNECTION = "CHENGXIN_CONN_TAX_STORE"


@pytest.fixture(scope="module")
def running() -> Iterator[Store]:
    with store() as server:
        yield server


@pytest.fixture
def server(running, monkeypatch) -> Store:
    client = running.client()
    for entry in client.list_objects_v2(Bucket=running.bucket).get("Contents", []):
        client.delete_object(Bucket=running.bucket, Key=entry["Key"])
    monkeypatch.setenv(CONNECTION, running.url())
    return running


@pytest.fixture
def contract(make_contract):
    def make(**options):
        return make_contract(connection="tax_store", folder="税务", **options)

    return make


def land_all(contract, settings):
    return [landing.land(Home(settings, CLOCK), contract, d) for d in landing.offered(Home(settings), contract)]


def test_lands_the_objects_below_the_folder(server, settings, contract):
    data = random.Random(1).randbytes(9 << 20)
    server.put("税务/欠税公告_2026.csv", data)
    server.put("税务/旧/欠税公告_2025.csv", b"old")
    server.put("税务/欠税公告_2027.csv.tmp", b"half")
    server.put("别处/a.csv", b"no")
    [batch] = land_all(contract(), settings)
    assert landing.payload(Home(settings), batch)[0].read_bytes() == data
    assert batch.origin == "file_drop:tax_store/税务/欠税公告_2026.csv"
    assert [d.name for d in landing.offered(Home(settings), contract(pattern="*/*.csv"))] == ["旧/欠税公告_2025.csv"]


@pytest.mark.usefixtures("server")
def test_an_empty_prefix_offers_nothing(settings, contract):
    assert FileDrop().discover(Home(settings), contract()) == []


def test_an_object_replaced_by_one_of_equal_size_is_a_new_batch(server, settings, contract):
    server.put("税务/a.csv", b"1111")
    [first] = land_all(contract(), settings)
    server.put("税务/a.csv", b"2222")
    [second] = land_all(contract(), settings)
    assert first.batch_id != second.batch_id


@pytest.mark.slow
def test_an_object_that_changed_since_it_was_found_is_refused(server, settings, contract):
    server.put("税务/a.csv", b"1111")
    [delivery] = landing.offered(Home(settings), contract())
    server.put("税务/a.csv", b"2222")
    with pytest.raises(DeliveryCorrupt, match="被改动"):
        landing.land(Home(settings, CLOCK), contract(), delivery)


def test_a_marker_completes_a_delivery(server, settings, contract):
    made = contract(pattern="*.csv", complete={"marker": "{name}.ok"})
    server.put("税务/a.csv", b"1")
    assert landing.offered(Home(settings), made) == []
    server.put("税务/a.csv.ok", b"")
    assert [d.name for d in landing.offered(Home(settings), made)] == ["a.csv"]


@pytest.mark.slow
def test_a_connection_cut_in_the_middle_never_lands_half(server, settings, contract, monkeypatch):
    data = random.Random(2).randbytes(9 << 20)
    server.put("税务/a.csv", data)
    wire = Wire(server.port)
    monkeypatch.setenv(CONNECTION, server.url(port=wire.port))
    [delivery] = landing.offered(Home(settings), contract())
    wire.cut_after, wire.cuts = 2 << 20, 2
    batch = landing.land(Home(settings, CLOCK), contract(), delivery)
    assert landing.payload(Home(settings), batch)[0].read_bytes() == data
    wire.close()


def test_a_store_that_is_gone_is_a_matter_of_trying_again(server, settings, contract, monkeypatch):
    monkeypatch.setenv(CONNECTION, server.url(port=1))
    with pytest.raises(SourceUnavailable, match="没有应答") as told:
        FileDrop().discover(Home(settings), contract())
    for secret in ("s3cret", "tester", "127.0.0.1"):
        assert secret not in str(told.value)


def test_a_bucket_that_does_not_exist_is_told(server, settings, contract, monkeypatch):
    monkeypatch.setenv(CONNECTION, server.url().replace("@exchange/", "@elsewhere/"))
    with pytest.raises(SourceUnavailable, match="桶不存在"):
        FileDrop().discover(Home(settings), contract())
