"""A delivery is taken when it is complete, as its contract says; what disagrees is told and not landed."""

import hashlib
import json
import os
import time
from datetime import UTC, datetime

import pytest
from test_file_drop import DAY, drop

from chengxin.clock import Clock
from chengxin.connectors import landing
from chengxin.connectors.files.manifest import read_manifest
from chengxin.errors import DeliveryCorrupt
from chengxin.home import Home
from chengxin.settings import Limits, Settings

CLOCK = Clock(datetime(2026, 11, 23, 8, tzinfo=UTC))


def offered(contract, settings):
    return [d.name for d in landing.offered(Home(settings), contract)]


def land_all(contract, settings):
    return [landing.land(Home(settings, CLOCK), contract, d) for d in landing.offered(Home(settings), contract)]


def refusal(contract, settings) -> str:
    with pytest.raises(DeliveryCorrupt) as told:
        land_all(contract, settings)
    assert landing.batches(Home(settings), "tax_arrears") == []
    return str(told.value)


def several(make_contract, **complete):
    return make_contract(folder="a", pattern="欠税_{date}_{part}.csv", complete=complete)


@pytest.mark.parametrize(("marker", "put"), [("{name}.ok", "b.csv.ok"), ("{stem}.done", "b.done")])
def test_a_marker_beside_it_completes_a_file(settings, make_contract, marker, put):
    contract = make_contract(folder="a", complete={"marker": marker})
    drop(settings, "a", "b.csv")
    assert offered(contract, settings) == []
    drop(settings, "a", put, b"")
    assert offered(contract, settings) == ["b.csv"]


def test_a_marker_older_than_its_file_says_nothing_of_it(settings, make_contract):
    contract = make_contract(folder="a", complete={"marker": "{name}.ok"})
    drop(settings, "a", "b.csv", at=DAY)
    drop(settings, "a", "b.csv.ok", b"", at=DAY)
    [first] = land_all(contract, settings)
    drop(settings, "a", "b.csv", b"being sent ag", at=DAY + 60)
    assert offered(contract, settings) == []
    drop(settings, "a", "b.csv", b"being sent again", at=DAY + 90)
    drop(settings, "a", "b.csv.ok", b"", at=DAY + 91)
    [second] = land_all(contract, settings)
    assert first.batch_id != second.batch_id


def test_one_marker_completes_all_files_of_a_delivery(settings, make_contract):
    contract = several(make_contract, marker="{date}.ok")
    for part in ("长沙", "株洲"):
        drop(settings, "a", f"欠税_20260301_{part}.csv", part.encode())
        drop(settings, "a", f"欠税_20260302_{part}.csv", part.encode())
    assert offered(contract, settings) == []
    drop(settings, "a", "20260302.ok", b"")
    [batch] = land_all(contract, settings)
    assert batch.delivery == "欠税_20260302_*.csv"
    assert [f.name for f in batch.files] == ["欠税_20260302_株洲.csv", "欠税_20260302_长沙.csv"]


def test_the_same_files_again_are_the_same_batch(settings, make_contract):
    contract = several(make_contract, marker="{date}.ok")
    for at in (DAY, DAY + 500):
        for part in ("A", "B"):
            drop(settings, "a", f"欠税_20260301_{part}.csv", part.encode(), at=at)
        drop(settings, "a", "20260301.ok", b"", at=at)
        [batch] = land_all(contract, settings)
    assert landing.batches(Home(settings), "tax_arrears") == [batch]


def test_a_file_must_stand_still(settings, make_contract):
    contract = make_contract(folder="a", complete={"stable": 30})
    path = drop(settings, "a", "b.csv", at=time.time() - 10)
    assert offered(contract, settings) == []
    os.utime(path, (time.time() - 40, time.time() - 40))
    assert offered(contract, settings) == ["b.csv"]
    os.utime(path, (time.time() + 40, time.time() + 40))  # a clock that is ahead
    assert offered(contract, settings) == []


def test_growth_under_an_old_time_is_seen_at_the_second_look(settings, make_contract):
    contract = make_contract(folder="a", complete={"stable": 30})
    path = drop(settings, "a", "b.csv", at=time.time() - 40)
    import threading

    def grow() -> None:
        old = path.stat()
        with path.open("ab") as out:
            out.write(b"more")
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))

    timer = threading.Timer(0.4, grow)
    timer.start()
    assert offered(contract, settings) == []
    timer.join()
    assert offered(contract, settings) == ["b.csv"]


def digest(data: bytes, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, data).hexdigest()


A, B = "欠税_20260301_A.csv", "欠税_20260301_B.csv"


def sums(a: bytes, b: bytes) -> bytes:
    return f"{digest(a)}  {A}\n{digest(b)} *./{B}\n".encode()


def md5_sums(a: bytes, b: bytes) -> bytes:
    return f"{digest(a, 'md5')}  {A}\r\n{digest(b, 'md5')}  {B}\r\n".encode()


def table(a: bytes, b: bytes) -> bytes:
    return f"文件名,大小,校验值,行数\n{A},{len(a)},{digest(a)},1\n{B},{len(b)},,1\n".encode("gbk")


def tabs(a: bytes, b: bytes) -> bytes:
    return f"name\tsize\n{A}\t{len(a)}\n{B}\t{len(b)}\n".encode("utf-8-sig")


def as_json(a: bytes, b: bytes) -> bytes:
    return json.dumps({"files": [{"name": A, "sha256": digest(a)}, {"name": B, "size": len(b)}]}).encode()


SHAPES = [sums, md5_sums, table, tabs, as_json]


@pytest.fixture
def announced(settings, make_contract):
    """A delivery of two files that waits for its manifest."""
    drop(settings, "a", "欠税_20260301_A.csv", b"first")
    drop(settings, "a", "欠税_20260301_B.csv", b"second")
    return several(make_contract, manifest="清单_{date}.txt")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_manifest_of_any_usual_shape_completes_a_delivery(settings, announced, shape):
    assert offered(announced, settings) == []
    drop(settings, "a", "清单_20260301.txt", shape(b"first", b"second"))
    [batch] = land_all(announced, settings)
    assert [f.name for f in batch.files] == ["欠税_20260301_A.csv", "欠税_20260301_B.csv"]
    assert not any(f.name.startswith("清单") for f in batch.files)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_manifest_that_disagrees_keeps_everything_from_landing(settings, announced, shape):
    drop(settings, "a", "清单_20260301.txt", shape(b"first", b"Second and longer"))
    said = refusal(announced, settings)
    assert "欠税_20260301_B.csv" in said
    assert "清单_20260301.txt" in said
    # the missing end arrives: the same manifest is right now
    drop(settings, "a", "欠税_20260301_B.csv", b"Second and longer", at=DAY + 60)
    assert len(land_all(announced, settings)) == 1


def test_a_manifest_that_came_first_waits_for_the_rest(settings, make_contract, caplog):
    contract = make_contract(folder="a", complete={"manifest": "清单.csv"}, pattern="欠税*.csv")
    now = time.time()
    drop(settings, "a", "清单.csv", "文件名,大小\n欠税1.csv,9\n欠税2.csv,3\n".encode(), at=now - 40)
    drop(settings, "a", "欠税1.csv", b"12345", at=now - 30)
    assert offered(contract, settings) == []
    assert "“欠税1.csv”应有 9 字节，只到 5 字节；暂不接收" in caplog.text
    drop(settings, "a", "欠税1.csv", b"123456789", at=now - 20)
    assert offered(contract, settings) == []
    assert "清单列出的 “欠税2.csv” 未到" in caplog.text
    drop(settings, "a", "欠税2.csv", b"abc", at=now - 10)
    assert len(land_all(contract, settings)) == 2


def test_what_lacks_bytes_for_long_is_a_problem(settings, make_contract):
    contract = make_contract(folder="a", complete={"manifest": "{name}.csv"}, pattern="欠税*.txt")
    long_ago = time.time() - 700
    drop(settings, "a", "欠税1.txt.csv", "文件名,大小\n欠税1.txt,9\n".encode(), at=long_ago)
    drop(settings, "a", "欠税1.txt", b"12345", at=long_ago)
    assert "大小为 5 字节，清单写的是 9 字节" in refusal(contract, settings)


def test_a_file_whose_checksum_came_first_must_stand_still(settings, make_contract):
    contract = make_contract(folder="a", checksum=".sha256")
    now = time.time()
    drop(settings, "a", "b.csv.sha256", digest(b"whole").encode(), at=now - 90)
    drop(settings, "a", "b.csv", b"who", at=now - 20)
    assert offered(contract, settings) == []
    drop(settings, "a", "b.csv", b"whole", at=now - 70)
    assert len(land_all(contract, settings)) == 1


def test_a_manifest_that_names_other_files_is_a_problem(settings, announced):
    drop(settings, "a", "清单_20260301.txt", f"{digest(b'first')}  欠税_20260301_A.csv\n".encode())
    assert "不在清单" in refusal(announced, settings)
    three = sums(b"first", b"second") + f"{digest(b'x')}  欠税_20260301_C.csv\n".encode()
    drop(settings, "a", "清单_20260301.txt", three)
    said = refusal(announced, settings)
    assert "没有到齐" in said
    assert "欠税_20260301_C.csv" in said


def test_a_manifest_of_single_files_waits_for_all_that_it_lists(settings, make_contract):
    contract = make_contract(folder="a", pattern="欠税_{date}_{seq}.csv", complete={"manifest": "清单_{date}.txt"})
    one, two = "欠税_20260301_001.csv", "欠税_20260301_002.csv"
    drop(settings, "a", one, b"first")
    both = f"{digest(b'first')}  {one}\n{digest(b'second')}  {two}\n".encode()
    drop(settings, "a", "清单_20260301.txt", both)
    said = refusal(contract, settings)
    assert "没有到齐" in said
    assert two in said
    drop(settings, "a", two, b"second")
    assert len(land_all(contract, settings)) == 2


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"nonsense", b"a.csv\nb.csv\n", b"name,owner\na,3\n", b"{broken", b"\xff\xff", b"name,size\na,x\n"],
)
def test_a_manifest_that_says_nothing_is_a_problem(data):
    with pytest.raises(DeliveryCorrupt, match="清单“m”无法识别"):
        read_manifest(data, "m")


def test_a_manifest_of_one_file_may_say_its_checksum_only(settings, make_contract):
    contract = make_contract(folder="a", complete={"manifest": "{name}.md5"})
    drop(settings, "a", "b.csv", b"abc")
    drop(settings, "a", "b.csv.md5", digest(b"abc", "md5").upper().encode())
    assert len(land_all(contract, settings)) == 1


def test_a_file_above_the_limit_is_not_received(settings, make_contract):
    small = Settings(home=settings.home, limits=Limits(file_bytes=1 << 20))
    drop(settings, "a", "b.csv", bytes((1 << 20) + 1))
    said = refusal(make_contract(folder="a"), small)
    assert "超过上限 1 MiB" in said
    assert "CHENGXIN_MAX_FILE_MIB" in said


def test_deliveries_order_by_period_and_resent_ones_follow(settings, make_contract):
    contract = make_contract(folder="a", pattern="欠税_{date}_{seq}.csv")
    for name, at in (("欠税_20260308_1", 0), ("欠税_20260301_10", 60), ("欠税_20260301_9", 120)):
        drop(settings, "a", f"{name}.csv", name.encode(), at=DAY + at)
        land_all(contract, settings)
    drop(settings, "a", "欠税_20260301_9.csv", b"corrected", at=DAY + 500)
    land_all(contract, settings)
    landed = landing.batches(Home(settings), "tax_arrears")
    assert [b.delivery[3:-4] for b in landed] == ["20260301_9", "20260301_9", "20260301_10", "20260308_1"]
    assert landing.payload(Home(settings), landed[1])[0].read_bytes() == b"corrected"
    assert landing.missing(Home(settings), contract) == ["2026-03-01 缺第 1-8 号"]
    drop(settings, "a", "欠税_20260308_3.csv", b"3")
    assert landing.missing(Home(settings), contract, landing.offered(Home(settings), contract))[1:] == [
        "2026-03-08 缺第 2 号"
    ]


def test_files_of_one_name_in_several_folders_keep_apart(settings, make_contract):
    contract = make_contract(folder="a", pattern="{date}/{part}/b.csv", complete={"stable": 1})
    drop(settings, "a/20260301/长沙", "b.csv", b"1")
    drop(settings, "a/20260301/株洲", "b.csv", b"2")
    [batch] = land_all(contract, settings)
    assert [f.name for f in batch.files] == ["20260301_株洲_b.csv", "20260301_长沙_b.csv"]
