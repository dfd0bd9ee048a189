"""Which encoding a text file is decoded in: its BOM, its XML declaration, or the declared one. Nothing is guessed."""

import re
from pathlib import Path

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch

_SAMPLE = 1 << 20
_EVIDENCE = 24  # bytes beyond ASCII: fewer may be a bad line, or look like UTF-8 by chance
BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\x84\x31\x95\x33", "gb18030"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
#: How files of other formats begin, and their names.
MAGIC = (
    (b"PK\x03\x04", "zip / xlsx"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls"),
    (b"%PDF-", "PDF"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"BZh91AY&SY", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x89PNG\r\n", "图片（PNG）"),
    (b"\xff\xd8\xff", "图片（JPEG）"),
)
_SHOWN = {"utf-16-le": "utf-16", "utf-16-be": "utf-16"}
_XML_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)""")
_XML_NAMES = {"gb18030": "gb18030", "gbk": "gb18030", "gb2312": "gb18030", "big5": "big5", "utf-8": "utf-8"}


def encoding_of(path: Path, spec: FileSpec) -> tuple[str, int]:
    """Return (utf-8 | gb18030 | big5 | utf-16-le | utf-16-be, length of the BOM).

    auto is UTF-8 where most lines with other than ASCII are, else GB18030. XML names its own encoding, so there its
    declaration stands before the contract's. Raises DeliveryCorrupt where the bytes are another format's,
    DeliveryMismatch where most such lines of the first MiB do not decode, or are UTF-8 though another is declared.
    """
    sample = _sample(path)
    refuse_binary(path, sample, spec.format)
    declared: str = "gb18030" if spec.encoding in {"gbk", "gb2312"} else spec.encoding
    for bom, found in BOMS:
        if sample.startswith(bom):
            if declared not in {"auto", _SHOWN.get(found, found)} and spec.format != "xml":
                raise _mismatch(path, spec, found)
            return found, len(bom)
    if order := utf16_order(sample):
        if declared not in {"auto", "utf-16"} and spec.format != "xml":
            raise _mismatch(path, spec, order)
        return order, 0
    if spec.format == "xml" and (match := _XML_DECLARATION.match(sample)):
        declared = _XML_NAMES.get(match[1].decode().lower(), declared)
    return _byte_encoding(path, spec, declared, sample), 0


def _byte_encoding(path: Path, spec: FileSpec, declared: str, sample: bytes) -> str:
    units = _units(sample, spec)
    lines = [line for line in units if not line.isascii()]
    is_utf8 = 2 * sum(_decodes(line, "utf-8") for line in lines) > len(lines)
    if declared == "utf-16":
        if sample:
            raise _mismatch(path, spec, "utf-8" if is_utf8 or not lines else "gb18030")
        return "utf-16-le"
    if declared == "auto":
        return "utf-8" if is_utf8 or not lines else "gb18030"
    if declared != "utf-8" and is_utf8 and sum(map(_non_ascii, lines)) >= _EVIDENCE and _is_common(lines, units):
        raise _mismatch(path, spec, "utf-8")
    wrong = [line for line in lines if not _decodes(line, declared)]
    if 2 * len(wrong) > len(lines) and _is_common(wrong, units):
        raise DeliveryMismatch(
            f"文件 {path.name} 的大部分内容不能按 {declared} 解码；请核对约定的 encoding，或按约定编码重新报送"
        )
    return declared


def _units(sample: bytes, spec: FileSpec) -> list[bytes]:
    """Split into lines; json and xml often are one line, so their strings are the units there."""
    if len(sample) >= _SAMPLE // 2:  # the last unit may be cut off
        sample = sample[: max(sample.rfind(end) for end in (b"\n", b'"', b"<")) + 1] or sample
    return re.split(rb"[\r\n\"<>]+" if spec.format in {"json", "xml"} else rb"[\r\n]+", sample)


def _is_common(wrong: list[bytes], units: list[bytes]) -> bool:
    """Distinguish a file in another encoding from one with a few bad lines: the header, or a tenth of the lines."""
    return units[0] in wrong or (10 * len(wrong) >= len(units) and sum(map(_non_ascii, wrong)) >= _EVIDENCE)


def _non_ascii(line: bytes) -> int:
    return len(line) - len(line.decode("ascii", "ignore"))


def _sample(path: Path) -> bytes:
    """Return the first MiB; if that is plain ASCII, the first MiB that is not (it decides the encoding)."""
    with path.open("rb") as file:
        first = file.read(_SAMPLE)
        if not first.isascii() or len(first) < _SAMPLE:
            return first
        while block := file.read(_SAMPLE):
            if not block.isascii():
                return block.partition(b"\n")[2] or block
        return first


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeError:
        return False
    return True


def utf16_order(sample: bytes) -> str | None:
    """Recognise UTF-16 without a BOM: zero bytes on one side of the pairs only, and line feeds that are whole pairs."""
    head = sample[: 64 << 10]
    zeros = {"utf-16-be": head[0::2].count(0), "utf-16-le": head[1::2].count(0)}
    order = max(zeros, key=lambda side: zeros[side])
    if zeros[order] <= len(head) // 40 or 20 * min(zeros.values()) >= zeros[order]:
        return None
    feeds = head.decode(order, "ignore").count("\n")
    # a line feed as the high byte would be Gurmukhi or Gujarati; as the low byte it may be any character (上 is 4E0A)
    high = head[1 if order == "utf-16-le" else 0 :: 2].count(10)
    return order if 20 * high <= feeds and (feeds or 10 not in head) else None


def refuse_binary(path: Path, sample: bytes, declared: str) -> None:
    """Raise DeliveryCorrupt where the bytes begin like another format than the declared one."""
    for magic, name in MAGIC:
        if sample.startswith(magic):
            raise DeliveryCorrupt(f"文件 {path.name} 声明为 {declared}，实际内容是 {name}；请按约定格式重新报送")


def _mismatch(path: Path, spec: FileSpec, likely: str) -> DeliveryMismatch:
    return DeliveryMismatch(
        f"文件 {path.name} 声明的编码是 {spec.encoding}，实际很可能是 {_SHOWN.get(likely, likely)}；"
        "请核对约定的 encoding，或按约定编码重新报送"
    )
