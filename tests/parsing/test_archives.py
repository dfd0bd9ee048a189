"""Archives come out member by member or are refused with a reason; nothing is written where an archive wants it."""

import gzip
import io
import random
import shutil
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryMismatch
from chengxin.parsing.archives import RATIO_FLOOR, sources
from chengxin.settings import Limits

CSV = FileSpec()
SELECTED = FileSpec(member="数据_*.csv")
ROWS = "单位名称,文号\n某某公司,1\n".encode()
SMALL = Limits(unpacked_bytes=1 << 20)


def zipped(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def tarred(path: Path, *members: tuple[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def gbk_zipped(path: Path, name: str, data: bytes) -> Path:
    """Write a zip as Chinese Windows does: the name in GBK, no UTF-8 flag."""
    raw = name.encode("gbk")
    zipped(path, ("x" * len(raw), data))
    path.write_bytes(path.read_bytes().replace(b"x" * len(raw), raw))
    return path


def unpack(tmp_path: Path, path: Path, spec: FileSpec = CSV, limits: Limits | None = None) -> dict[str, bytes]:
    scratch = tmp_path / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    found = sources([path], spec, limits or Limits(), scratch)
    assert all(s.path == path or s.path.is_relative_to(scratch) for s in found)
    return {s.name: s.path.read_bytes() for s in found}


def around(tmp_path: Path) -> set[Path]:
    """Return what lies in the test's folder, but for the contents of the scratch folder, and beside it."""
    within = {p for p in tmp_path.rglob("*") if tmp_path / "scratch" not in p.parents}
    return within | {*tmp_path.parent.iterdir()}


def refusal(tmp_path: Path, path: Path, spec: FileSpec = CSV, limits: Limits | None = None) -> str:
    before = around(tmp_path)
    with pytest.raises(DeliveryMismatch) as told:
        unpack(tmp_path, path, spec, limits)
    assert around(tmp_path) - before <= {tmp_path / "scratch"}
    assert path.name in str(told.value)
    return str(told.value)


def test_a_plain_file_is_read_where_it_lies(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(ROWS)
    assert [(s.name, s.path) for s in sources([path], CSV, Limits(), tmp_path / "scratch")] == [("a.csv", path)]


def test_members_come_by_name_whatever_their_order(tmp_path):
    members = [("2.csv", b"2"), ("子目录/1.csv", ROWS), ("1.csv", b"1")]
    names = ["1.csv", "2.csv", "子目录/1.csv"]
    assert list(unpack(tmp_path, zipped(tmp_path / "a.zip", *members))) == [f"a.zip!{n}" for n in names]
    packed = tarred(tmp_path / "b.tar.gz", *members)
    assert unpack(tmp_path / "t", packed)["b.tar.gz!子目录/1.csv"] == ROWS
    assert list(unpack(tmp_path / "u", tarred(tmp_path / "c.tar", *members, mode="w"))) == [f"c.tar!{n}" for n in names]


def test_gz_is_the_one_file_in_it(tmp_path):
    path = tmp_path / "欠税.csv.gz"
    path.write_bytes(gzip.compress(ROWS) + gzip.compress(b"second part\n"))
    assert unpack(tmp_path, path) == {"欠税.csv.gz!欠税.csv": ROWS + b"second part\n"}


def test_names_made_on_chinese_windows_are_read(tmp_path):
    assert unpack(tmp_path, gbk_zipped(tmp_path / "a.zip", "行政处罚.csv", ROWS)) == {"a.zip!行政处罚.csv": ROWS}


def test_a_gbk_name_in_a_tar_is_read(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT, encoding="gbk") as archive:
        info = tarfile.TarInfo("行政处罚.csv")
        info.size = len(ROWS)
        archive.addfile(info, io.BytesIO(ROWS))
    assert unpack(tmp_path, tmp_path / "a.tar") == {"a.tar!行政处罚.csv": ROWS}


def test_backslashes_of_windows_are_separators(tmp_path):
    assert unpack(tmp_path, zipped(tmp_path / "a.zip", ("四月\\1.csv", ROWS))) == {"a.zip!四月/1.csv": ROWS}


def test_the_contract_says_which_members_are_data(tmp_path):
    path = zipped(tmp_path / "a.zip", ("数据_1.csv", b"1"), ("说明.csv", b"no"), ("附件.zip", b"PK"))
    assert unpack(tmp_path, path, FileSpec(member="数据_*.csv")) == {"a.zip!数据_1.csv": b"1"}
    assert "没有可读的数据文件" in refusal(tmp_path, path, FileSpec(member="*.tsv"))


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("数据_2.CSV", ROWS),
        ("数据2.csv", ROWS + b"x\n"),
        ("补充/数据_2.txt", b"\xef\xbb\xbf" + ROWS),
        ("数据_2.csv.bak", ROWS),
        ("数据_2.xlsx", b"PK\x03\x04"),
        ("数据_2.zip", b"PK\x03\x04"),
    ],
)
def test_a_member_left_out_like_the_others_holds_the_delivery(tmp_path, pack, name, data):
    told = refusal(tmp_path, pack(tmp_path / "a.tar.gz", ("数据_1.csv", ROWS), (name, data)) if pack is tarred
                   else pack(tmp_path / "a.zip", ("数据_1.csv", ROWS), (name, data)), SELECTED)  # fmt: skip
    assert name in told and "file.member（数据_*.csv）" in told


def test_other_members_may_be_left_out(tmp_path):
    others = [
        ("许可_1.csv", "名称,许可编号\n某某公司,1\n".encode()),
        ("说明.xlsx", b"PK\x03\x04"),
        ("数据_说明.docx", b"PK\x03\x04"),
        ("数据_说明.txt", "说明\n".encode()),
        ("数据_1.xlsx", b"PK\x03\x04"),  # the same once more
        ("空.csv", b""),
        ("~$数据_1.csv", ROWS),
    ]
    found = unpack(tmp_path, zipped(tmp_path / "a.zip", ("数据_1.csv", ROWS), *others), SELECTED)
    assert list(found) == ["a.zip!数据_1.csv"]
    found = unpack(tmp_path, zipped(tmp_path / "b.zip", ("a.csv", ROWS), ("说明.xls", b"x")), FileSpec(member="*.csv"))
    assert list(found) == ["b.zip!a.csv"]


def test_a_member_that_nobody_declared_holds_the_delivery(tmp_path):
    path = zipped(tmp_path / "a.zip", ("1.csv", b"1"), ("说明.docx", b"x"))
    assert "file.member" in refusal(tmp_path, path)


def test_droppings_of_operating_systems_are_passed_over(tmp_path):
    noise = ["__MACOSX/._1.csv", "x/.DS_Store", "Thumbs.db"]
    path = zipped(tmp_path / "a.zip", ("x/", b""), ("x/1.csv", b"1"), *((n, b"?") for n in noise))
    assert unpack(tmp_path, path) == {"a.zip!x/1.csv": b"1"}


@pytest.mark.parametrize(
    "name", ["../../stray.csv", "/etc/stray.csv", "a/../../stray.csv", "..\\stray.csv", "C:\\x.csv"]
)
def test_a_name_that_points_outside_is_refused(tmp_path, name):
    assert "指向压缩包之外" in refusal(tmp_path, zipped(tmp_path / "a.zip", (name, ROWS)))
    assert "指向压缩包之外" in refusal(tmp_path, tarred(tmp_path / "a.tar.gz", (name, ROWS)))


@pytest.mark.parametrize("name", ["a\x1b[31m.csv", "a\n.csv", "/"])
def test_a_name_that_cannot_be_shown_is_refused(tmp_path, name):
    said = refusal(tmp_path, tarred(tmp_path / "a.tar.gz", (name, ROWS)))
    assert said.isprintable()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        info = tarfile.TarInfo("1.csv")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    assert "链接或设备" in refusal(tmp_path, tmp_path / "a.tgz")


def test_a_symbolic_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("1.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "链接或设备" in refusal(tmp_path, tmp_path / "a.zip")


def test_an_archive_in_an_archive_is_refused_under_any_name(tmp_path):
    inner = zipped(tmp_path / "inner.zip", ("1.csv", ROWS)).read_bytes()
    assert "又是一个压缩包" in refusal(tmp_path, zipped(tmp_path / "a.zip", ("内.zip", inner)))
    assert "又是一个压缩包" in refusal(tmp_path, zipped(tmp_path / "b.zip", ("内.csv", inner)))
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(gzip.compress(ROWS)))
    assert "又是一个压缩包" in refusal(tmp_path, tmp_path / "c.csv.gz")


def test_an_encrypted_member_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", ("1.csv", ROWS))
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    assert "密码" in refusal(tmp_path, path)


def test_other_packers_are_named_not_guessed(tmp_path):
    (tmp_path / "a.rar").write_bytes(b"Rar!\x1a\x07\x00")
    assert "zip" in refusal(tmp_path, tmp_path / "a.rar")
    assert "不支持的压缩方法" in refusal(tmp_path, zipped(tmp_path / "b.zip", ("1.csv", ROWS), method=zipfile.ZIP_LZMA))
    (tmp_path / "c.csv").write_bytes(zipped(tmp_path / "d.zip", ("1.csv", ROWS)).read_bytes())
    assert "文件名却不是" in refusal(tmp_path, tmp_path / "c.csv")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.csv.gz"])
def test_a_bomb_stops_at_the_ratio_while_it_is_read(tmp_path, name):
    data = bytes(RATIO_FLOOR + (40 << 20))
    path = tmp_path / name
    if name == "a.zip":
        zipped(path, ("1.csv", data))
    elif name == "a.tar.gz":
        tarred(path, ("1.csv", data))
    else:
        path.write_bytes(gzip.compress(data))
    assert "压缩炸弹" in refusal(tmp_path, path)
    assert sum(p.stat().st_size for p in (tmp_path / "scratch").rglob("*") if p.is_file()) <= RATIO_FLOOR


def test_a_size_that_lies_in_the_list_of_members_helps_nothing(tmp_path):
    path = zipped(tmp_path / "a.zip", ("1.csv", bytes(2 << 20)))
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, 10)
    path.write_bytes(data)
    assert "已损坏" in refusal(tmp_path, path, limits=SMALL) or "上限" in refusal(tmp_path, path, limits=SMALL)
    assert sum(p.stat().st_size for p in (tmp_path / "scratch").rglob("*") if p.is_file()) <= 1 << 20


def test_the_absolute_limit_counts_all_archives_of_a_delivery(tmp_path):
    noise = random.Random(1).randbytes(700 << 10)
    files = [zipped(tmp_path / n, ("1.csv", noise)) for n in ("a.zip", "b.zip")]
    assert len(sources(files[:1], CSV, SMALL, tmp_path / "scratch")) == 1
    with pytest.raises(DeliveryMismatch, match=r"b\.zip.*上限 1 MiB"):
        sources(files, CSV, SMALL, tmp_path / "again")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_too_many_members_are_refused(tmp_path, pack):
    path = pack(tmp_path / ("a.zip" if pack is zipped else "a.tar.gz"), *((f"{n}.csv", b"1") for n in range(6)))
    assert len(unpack(tmp_path, path, limits=Limits(members=6))) == 6
    assert "多于 5 个" in refusal(tmp_path, path, limits=Limits(members=5))


def test_a_giant_list_of_members_is_refused_before_it_is_read(tmp_path):
    path = zipped(tmp_path / "a.zip", *((f"{'长' * 1000}{n}.csv", b"") for n in range(40)))
    assert "多于 20 个" in refusal(tmp_path, path, limits=Limits(members=20))


def test_a_header_that_never_ends_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("1.csv")
        info.pax_headers = {"comment": "0" * (8 << 20)}
        archive.addfile(info)
    assert "文件头异常" in refusal(tmp_path, tmp_path / "a.tar.gz")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar", "a.csv.gz"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6, 0.97])
def test_a_cut_archive_is_refused_whole(tmp_path, name, kept):
    members = [(f"{n}.csv", random.Random(n).randbytes(3000)) for n in range(3)]
    path = tmp_path / name
    if name == "a.zip":
        zipped(path, *members)
    elif name == "a.csv.gz":
        path.write_bytes(gzip.compress(members[0][1]))
    else:
        tarred(path, *members, mode="w:gz" if name.endswith("gz") else "w")
    data = path.read_bytes()
    size = len(data) if name != "a.tar" else 3 * 3584 + 512  # zeros at the end of a plain tar say nothing
    path.write_bytes(data[: int(size * kept)])
    if name == "a.csv.gz" and kept == 0.0:
        assert unpack(tmp_path, path) == {"a.csv.gz!a.csv": b""}
        return
    assert "已损坏或不完整" in refusal(tmp_path, path)


def test_a_damaged_header_in_a_tar_loses_no_member_silently(tmp_path):
    path = tarred(tmp_path / "a.tar", ("1.csv", b"1" * 512), ("2.csv", b"2" * 512), mode="w")
    data = bytearray(path.read_bytes())
    data[1024 + 148 : 1024 + 156] = b"0000000\0"  # the checksum of the second header
    path.write_bytes(data)
    assert "已损坏" in refusal(tmp_path, path)


def test_a_member_list_beyond_the_end_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", ("1.csv", ROWS))
    data = path.read_bytes()
    locator = b"PK\x06\x07" + b"\xff" * 16
    path.write_bytes(data[:-22] + locator + data[-22:-10] + b"\xff\xff\xff\xff" + data[-6:])
    assert "已损坏" in refusal(tmp_path, path)


def test_a_zip_of_a_later_version_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", ("1.csv", ROWS))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 6] = 255
    path.write_bytes(data)
    assert "无法解压" in refusal(tmp_path, path)


@pytest.mark.parametrize("seed", range(60))
def test_no_random_damage_ends_in_a_trace(tmp_path, seed):
    rng = random.Random(seed)
    name = rng.choice(["a.zip", "a.tar.gz", "a.tar", "a.csv.gz"])
    path = tmp_path / name
    members = [(f"{n}.csv", ROWS * 20) for n in range(3)]
    if name == "a.zip":
        zipped(path, *members)
    elif name == "a.csv.gz":
        path.write_bytes(gzip.compress(ROWS * 20))
    else:
        tarred(path, *members, mode="w:gz" if name.endswith("gz") else "w")
    data = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data)
    try:
        unpack(tmp_path, path)
    except DeliveryMismatch as told:
        assert "a." in str(told)


def test_a_workbook_that_unpacks_without_end_is_refused(tmp_path):
    spec = FileSpec(format="xlsx")
    path = zipped(tmp_path / "a.xlsx", ("xl/worksheets/sheet1.xml", bytes(RATIO_FLOOR + (40 << 20))))
    assert "压缩炸弹" in refusal(tmp_path, path, spec)
    outer = zipped(tmp_path / "b.zip", ("1.xlsx", path.read_bytes()), method=zipfile.ZIP_STORED)
    with pytest.raises(DeliveryMismatch, match=r"b\.zip!1\.xlsx"):
        unpack(tmp_path / "t", outer, spec)


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"Rar!\x1a\x07\x01\x00", "实际是 RAR"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "实际是 7z"),
        (b"BZh91AY&SY", "实际是 bzip2"),
        (b"%PDF-1.4", "实际是 PDF"),
        (b"<!DOCTYPE html>", "实际是 网页（HTML）"),
        (b"\x1f\x8b\x08", "实际是 gzip"),
        (b"PK\x03\x04", "已损坏"),
        (b"MZ", "已损坏"),
    ],
)
def test_a_file_that_is_only_called_zip_says_what_it_is(tmp_path, head, told):
    path = tmp_path / "a.zip"
    path.write_bytes(head + bytes(600))
    assert told in refusal(tmp_path, path)
