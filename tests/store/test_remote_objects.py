"""Objects: who is first wins, a lost reply is looked into, and a store that is away is said."""

from pathlib import Path

import pytest

from chengxin.errors import ContractError, StoreUnavailable
from chengxin.store.remote import objects as module
from chengxin.store.remote.objects import Objects
from object_stores import Server


@pytest.fixture
def objects(url: str) -> Objects:
    made = Objects(url)
    made.make_bucket()
    made.make_bucket()
    return made


def lose(server: Server, method: str, ending: str, times: int) -> None:
    """Let the replies to the next requests of a kind be lost, after they were served."""
    left = [times]

    def lost(what: str, path: str) -> bool:
        hit = what == method and path.endswith(ending) and left[0] > 0
        left[0] -= hit
        return hit

    server.gate.after = lost


def test_the_first_writer_wins(objects):
    assert objects.create("a", b"one")
    assert not objects.create("a", b"two")
    assert objects.create("a", b"one"), "it is there as wanted"
    assert objects.read("a")[0] == b"one"
    assert objects.read("b") is None


def test_an_object_is_replaced_only_as_it_was_seen(objects):
    objects.create("a", b"one")
    seen = objects.read("a")[1]
    assert objects.replace("a", b"two", seen, "")
    assert not objects.replace("a", b"three", seen, "")
    assert objects.read("a")[0] == b"two"
    assert not objects.replace("nothing", b"x", seen, "")


def test_a_lost_reply_is_no_lost_write(server, objects, tmp_path):
    lose(server, "PUT", "/a", 1)
    assert objects.create("a", b"one")
    assert server.gate.requests.count(("PUT", "/" + objects.url[5:] + "/a")) == 2
    lose(server, "PUT", "/a", 1)
    assert objects.replace("a", b"two", objects.read("a")[1], "")
    path = Path(tmp_path, "file")
    path.write_bytes(b"three")
    lose(server, "PUT", "/c", 1)
    assert objects.create_file("c", path, "digest-of-three")
    assert not objects.create_file("c", path, "digest-of-other-bytes")


@pytest.mark.slow
def test_a_large_file_goes_in_parts_and_comes_back(objects, tmp_path):
    path, back = tmp_path / "large", tmp_path / "back"
    path.write_bytes(bytes(range(256)) * (110 << 12))
    assert objects.create_file("large", path, "digest")
    assert not objects.create_file("large", path, "other")
    assert objects.digest("large") == "digest"
    objects.download("large", back)
    assert back.read_bytes() == path.read_bytes()


def test_a_copy_keeps_the_digest(objects, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    objects.create_file("a", path, "digest")
    assert objects.copy("a", "b", 1)
    assert objects.digest("b") == "digest"
    assert not objects.copy("nothing", "c", 1)
    assert objects.digest("c") is None


def test_listing_goes_on_where_it_was_told(objects, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")  # to a page; 1,000 in the wild
    for n in range(8):
        objects.create(f"x/{n}", b"")
    assert [f.key for f in objects.listing("x/", after="x/2")[0]] == [f"x/{n}" for n in range(3, 8)]
    assert len(objects.listing("x/")[0]) == 8
    objects.delete(f.key for f in objects.listing("x/")[0])
    assert objects.listing("x/")[0] == []


@pytest.mark.slow
def test_a_store_that_is_away_is_said(server, objects, monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    server.gate.before = lambda method, path: True
    with pytest.raises(StoreUnavailable, match="没有应答"):
        objects.read("a")
    with pytest.raises(StoreUnavailable):
        objects.create("a", b"")


@pytest.mark.parametrize("wrong", ["s3://", "s3://key:secret@bucket/x", "gs://bucket/x", "s3://bucket/x?endpoint=y"])
def test_a_url_that_is_none_is_refused(wrong):
    with pytest.raises(ContractError, match="s3://"):
        Objects(wrong)
