"""Packed payloads (zip, tar, tar.gz, gz) -> plain files in a scratch folder, member by member and under limits.

Nothing is ever extracted by an archive's own idea of a path: each member is streamed into a numbered folder. Whatever
is unsafe or unclear refuses the whole delivery with DeliveryMismatch, so that it is held with a reason for people.
"""

import errno
import gzip
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Protocol

from chengxin.contracts.models import FileSpec
from chengxin.parsing.archive_members import (
    NOISE,
    PACKED,
    REPORT,
    TARS,
    UNREAD,
    checked_name,
    decoded,
    file_name,
    header_of,
    is_chosen,
    is_telling,
    refused,
    shown,
)
from chengxin.parsing.encoding.detection import MAGIC
from chengxin.settings import Limits

#: Below this a high ratio harms nobody: a short column of equal values packs a thousandfold.
RATIO_FLOOR = 64 << 20
#: A workbook is held in memory by its reader, so its parts together may not be larger than this.
WORKBOOK_BYTES = 2 << 30

#: Forms of data other than text, in which a member may come that was agreed as text.
_OTHER_FORMS = (*PACKED, *UNREAD, ".xlsx", ".xls", ".json", ".xml")
_BLOCK = 1 << 20
_BEGINNING = 8192  # bytes of a member that is left out, to see whether it is data after all
_HEADERS = 4 << 20  # what the headers between two tar members may take; a long name takes some kilobytes
_PACKERS = frozenset({"zip / xlsx", "gzip", "RAR", "7z", "bzip2", "xz"})
_MAGIC = tuple(magic for magic, name in MAGIC if name in _PACKERS)
_ZIP = b"PK\x03\x04"
_PAGE = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body)\b", re.I)
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error, EOFError, ValueError,
    OverflowError, NotImplementedError,
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One plain file to read. name: as the provenance shows it, `包.zip!成员.csv` for a member of an archive."""

    name: str
    path: Path


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


@dataclass
class _Meter:
    """Counts what really comes out of one archive; `spent` is what the delivery's earlier archives gave."""

    archive: str
    packed: int
    limits: Limits
    spent: int = 0
    out: int = 0

    def take(self, size: int) -> None:
        """Count bytes that came out; raise DeliveryMismatch at the first one too many."""
        self.out += size
        most = self.limits.unpacked_bytes
        if self.spent + self.out > most:
            raise refused(self.archive, f"解压后超过上限 {_mib(most)} MiB，未再解压；请分成几次报送")
        if self.out > max(RATIO_FLOOR, self.limits.ratio * self.packed):
            raise refused(self.archive, f"压缩比超过 {self.limits.ratio}，疑似压缩炸弹，未再解压；{REPORT}")


@dataclass
class _Unpacking:
    """The unpacking of one delivery."""

    spec: FileSpec
    limits: Limits
    scratch: Path
    found: list[Source] = field(default_factory=list)
    spent: int = 0
    headers: set[bytes] = field(default_factory=set)
    left_out: dict[str, bytes] = field(default_factory=dict)

    def write(self, archive: str, member: str, stream: _Readable, meter: _Meter) -> None:
        """Stream one member into a folder of its own."""
        folder = self.scratch / f"{len(self.found):05d}"
        folder.mkdir(parents=True)
        path = folder / file_name(member)
        head = b""
        with path.open("xb") as out:
            while block := stream.read(_BLOCK):
                meter.take(len(block))
                if not head:
                    head = block[:512]
                    self._refuse_nested(archive, member, head)
                    self.headers.add(header_of(block, self.spec))
                out.write(block)
        self.found.append(Source(f"{archive}!{member}", path))

    def leave_out(self, member: str, head: bytes) -> None:
        """Remember how a member begins that the contract does not choose."""
        if not NOISE.search(member):
            self.left_out[member] = header_of(head, self.spec)

    def refuse_left_out(self, archive: str) -> None:
        """Raise DeliveryMismatch where a member that is left out is named, or begins, as those that are read."""
        wanted = (self.spec.member or "").lower()
        read = {source.name.rsplit("!", 1)[-1].lower().rpartition(".")[0] for source in self.found}
        for member, header in self.left_out.items():
            lower = member.lower()
            stem, _, suffix = lower.rpartition(".")
            like = any(fnmatchcase(name, wanted) for name in (lower, lower.rsplit("/", 1)[-1]))
            if f".{suffix}" in _OTHER_FORMS and stem not in read:
                like |= is_telling(wanted) and fnmatchcase(stem.rsplit("/", 1)[-1], wanted.rpartition(".")[0])
            if like or (header and header in self.headers):
                raise refused(
                    archive,
                    f"里面的“{shown(member)}”与要读的文件列名相同或名称相近，却不在合同 "
                    f"file.member（{self.spec.member}）之列，其中的记录会漏读；"
                    "请按约定的文件名和格式重新打包报送，或修改合同 file.member",
                )
        self.left_out, self.headers = {}, set()

    def _refuse_nested(self, archive: str, member: str, head: bytes) -> None:
        workbook = self.spec.format == "xlsx" and head.startswith(_ZIP)
        if is_packed(head) and not workbook:
            raise refused(archive, f"里面的“{shown(member)}”又是一个压缩包；请只压缩一层")


def sources(files: Sequence[Path], spec: FileSpec, limits: Limits, scratch: Path) -> list[Source]:
    """Return the plain files of a delivery in order: files as they are, archives replaced by their members by name.

    spec.member: glob of the members to read; without it every member must look like the declared format.
    Raises DeliveryMismatch: damaged, encrypted, nested, too large, unsafe names, links, or nothing to read.
    """
    work = _Unpacking(spec, limits, scratch)
    plain: list[Source] = []
    for path in files:
        lower = path.name.lower()
        if lower.endswith(UNREAD):
            raise refused(path.name, "是不支持的压缩格式；请改用 zip 或 tar.gz")
        if not lower.endswith(PACKED):
            _check_plain(path, spec)
            plain.append(Source(path.name, path))
            continue
        before = len(work.found)
        meter = _Meter(path.name, max(1, path.stat().st_size), limits, work.spent)
        _check_packer(path)
        with _refusing_broken(path.name):
            _unpacker(lower)(path, work, meter)
        if len(work.found) > before:
            work.refuse_left_out(path.name)
        else:
            inside = "、".join(f"“{shown(name)}”" for name in list(work.left_out)[:3])
            only = f"，只有{inside}" if inside else ""
            raise refused(path.name, f"里面没有可读的数据文件{only}；请核对合同 file.member 与压缩包内容")
        work.spent += meter.out
        plain += sorted(work.found[before:], key=lambda s: s.name)
    if spec.format == "xlsx":
        for source in plain:
            _check_workbook(source, limits)
    return plain


def is_packed(head: bytes) -> bool:
    """Return by its first 512 bytes whether a file is an archive (an xlsx workbook is a zip as well)."""
    return head.startswith(_MAGIC) or head[257:262] == b"ustar"


def _unpacker(lower: str) -> Callable[[Path, _Unpacking, _Meter], None]:
    if lower.endswith(".zip"):
        return _unzip
    return _untar if lower.endswith(TARS) else _gunzip


def _check_packer(path: Path) -> None:
    """Raise DeliveryMismatch where a file is packed by another packer than its suffix names, or not packed at all."""
    with path.open("rb") as stream:
        head = stream.read(512)
    lower = path.name.lower()
    wanted = "zip / xlsx" if lower.endswith(".zip") else "tar" if lower.endswith(".tar") else "gzip"
    page = "网页（HTML）" if _PAGE.match(head) else None
    real = next((name for magic, name in MAGIC if head.startswith(magic)), page)
    if real and real != wanted:
        suffix = next(end for end in (*TARS, *PACKED) if lower.endswith(end))
        told = f"名为 {suffix}，实际是 {real.partition(' /')[0]}（只改文件名并不改变格式）"
        raise refused(path.name, f"{told}；请改用 zip 或 tar.gz 打包重报")


def _check_plain(path: Path, spec: FileSpec) -> None:
    if spec.format in {"xlsx", "xls"}:
        return
    with path.open("rb") as stream:
        if is_packed(stream.read(512)):
            raise refused(path.name, "的内容是压缩包，文件名却不是；请以 .zip、.tar.gz 或 .gz 结尾重新报送")


def _check_workbook(source: Source, limits: Limits) -> None:
    """Inflate a workbook's parts once without keeping them: its reader would hold them all in memory."""
    size = source.path.stat().st_size
    with source.path.open("rb") as stream:
        if size * 1032 <= RATIO_FLOOR or stream.read(4) != _ZIP:  # deflate packs 1032:1 at most
            return
    most = Limits(limits.file_bytes, min(limits.unpacked_bytes, WORKBOOK_BYTES), limits.ratio, limits.members)
    meter = _Meter(source.name, size, most)
    with _refusing_broken(source.name), _opened_zip(source.path, meter) as book:
        for info in book.infolist():
            with book.open(info) as part:
                while block := part.read(_BLOCK):
                    meter.take(len(block))


# -- zip


def _unzip(path: Path, work: _Unpacking, meter: _Meter) -> None:
    with _opened_zip(path, meter) as archive:
        chosen: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            name = checked_name(path.name, _zip_name(info))
            mode = info.external_attr >> 16
            if info.is_dir() or name.endswith("/") or stat.S_ISDIR(mode):
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise refused(path.name, f"里面的“{shown(name)}”是链接或设备，不是普通文件；{REPORT}")
            if not is_chosen(path.name, name, work.spec):
                with suppress(*_BROKEN, RuntimeError), archive.open(info) as stream:
                    work.leave_out(name, stream.read(_BEGINNING))
                continue
            if name in chosen:
                raise refused(path.name, f"里面有两个同名文件“{shown(name)}”；{REPORT}")
            chosen[name] = info
        for name, info in chosen.items():
            _check_readable(path.name, name, info)
            with archive.open(info) as stream:
                work.write(path.name, name, stream, meter)


@contextmanager
def _opened_zip(path: Path, meter: _Meter) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose list of members is of a size that may be read into memory."""
    most = meter.limits.members
    with path.open("rb") as stream:
        if _directory_bytes(stream) > most * 1024:
            raise refused(meter.archive, f"里面的文件多于 {most} 个；请合并后重新报送")
        with zipfile.ZipFile(stream) as archive:
            if len(archive.infolist()) > most:
                raise refused(meter.archive, f"里面的文件多于 {most} 个；请合并后重新报送")
            yield archive


def _directory_bytes(stream: BinaryIO) -> int:
    """Return the size of a zip's central directory, which the library reads at once (APPNOTE 4.3.14, 4.3.16)."""
    size = stream.seek(0, 2)
    start = stream.seek(max(0, size - (1 << 16) - 22))
    tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise zipfile.BadZipFile("no end of central directory")
    declared = int(struct.unpack_from("<L", tail, at + 12)[0])
    if declared == 0xFFFFFFFF and at >= 20 and tail[at - 20 : at - 16] == b"PK\x06\x07":
        stream.seek(struct.unpack_from("<Q", tail, at - 12)[0])
        record = stream.read(56)
        declared = int(struct.unpack_from("<Q", record, 40)[0])
    stream.seek(0)
    return min(declared, start + at)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return a member's name; without the UTF-8 flag its bytes are UTF-8 or, from Chinese Windows, GB18030."""
    return info.orig_filename if info.flag_bits & 0x800 else decoded(info.orig_filename.encode("cp437"))


def _check_readable(archive: str, name: str, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & 1:
        raise refused(archive, f"里面的“{shown(name)}”带有密码，无法读取；请去掉密码后重新报送")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise refused(archive, f"里面的“{shown(name)}”用了不支持的压缩方法；请用标准 zip（Deflate）重新打包")


# -- tar and gz


class _Counted:
    """The bytes of a tar as they are inflated; between two members only so many may pass."""

    def __init__(self, stream: _Readable, meter: _Meter) -> None:
        self._stream, self._meter = stream, meter
        self.passed = self.last_set = 0  # bytes so far; the place after the last one that was not zero
        self.limit: int | None = _HEADERS

    def read(self, size: int) -> bytes:
        """Read and count; raise DeliveryMismatch when the headers never end."""
        block = self._stream.read(size)
        filled = len(block.rstrip(b"\0"))
        self.last_set = self.passed + filled if filled else self.last_set
        self.passed += len(block)
        if self.limit is not None and self.passed > self.limit:
            raise refused(self._meter.archive, f"文件头异常之大，疑似压缩炸弹，未再解压；{REPORT}")
        return block


def _untar(path: Path, work: _Unpacking, meter: _Meter) -> None:
    packed = not path.name.lower().endswith(".tar")
    with gzip.open(path) if packed else path.open("rb") as inflated:
        stream = _Counted(inflated, meter)
        # pipe mode: strictly forward, so that nothing is inflated twice and everything is counted
        with tarfile.open(mode="r|", fileobj=stream, encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[call-overload]
            seen: set[str] = set()
            for number, info in enumerate(_members(archive, stream), 1):
                if number > work.limits.members:
                    raise refused(path.name, f"里面的文件多于 {work.limits.members} 个；请合并后重新报送")
                _take_tar_member(archive, info, work, meter, seen)
            while block := stream.read(_BLOCK):  # to the end: only there gzip compares its checksum
                meter.take(len(block))
            # The library takes a header that it cannot read for the end; a real end is a block of zeros.
            if stream.last_set > archive.offset or stream.passed - archive.offset < tarfile.BLOCKSIZE:
                raise tarfile.ReadError("no end of archive")


def _members(archive: tarfile.TarFile, stream: _Counted) -> Iterator[tarfile.TarInfo]:
    while True:
        stream.limit = stream.passed + _HEADERS
        info = archive.next()
        stream.limit = None
        archive.members = []  # type: ignore[attr-defined]  # the library would remember every header
        if info is None:
            return
        yield info


def _take_tar_member(
    archive: tarfile.TarFile, info: tarfile.TarInfo, work: _Unpacking, meter: _Meter, seen: set[str]
) -> None:
    name = meter.archive
    member = checked_name(name, decoded(info.name.encode("utf-8", "surrogateescape")))
    if info.isdir():
        return
    if not info.isreg() or info.issparse():
        raise refused(name, f"里面的“{shown(member)}”是链接或设备，不是普通文件；{REPORT}")
    content = archive.extractfile(info)
    if content is None:
        raise refused(name, f"里面的“{shown(member)}”无法读取；{REPORT}")
    if not is_chosen(name, member, work.spec):
        head = b""
        while block := content.read(_BLOCK):
            meter.take(len(block))
            head = head or block[:_BEGINNING]
        work.leave_out(member, head)
        return
    if member in seen:
        raise refused(name, f"里面有两个同名文件“{shown(member)}”；{REPORT}")
    seen.add(member)
    work.write(name, member, content, meter)


def _gunzip(path: Path, work: _Unpacking, meter: _Meter) -> None:
    with gzip.open(path) as stream:
        work.write(path.name, path.name[: -len(".gz")] or path.name, stream, meter)


@contextmanager
def _refusing_broken(archive: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise refused(archive, "已损坏或不完整，无法解压；请重新报送") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # the archive points to an impossible place
            raise
        raise refused(archive, "已损坏或不完整，无法解压；请重新报送") from error


def _mib(size: int) -> int:
    return size >> 20
