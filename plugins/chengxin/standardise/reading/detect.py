"""Which encoding a file really has, and whether it is the declared format at all."""

import re
from pathlib import Path

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch

_SAMPLE = 1 << 20
_EVIDENCE = 24  # non-ASCII bytes: below this a GB text may look like UTF-8 by chance
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\x84\x31\x95\x33", "gb18030"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_MAGIC = (
    (b"PK\x03\x04", "zip / xlsx"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls"),
    (b"%PDF-", "PDF"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
)
_SHOWN = {"utf-16-le": "utf-16", "utf-16-be": "utf-16"}
_XML_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)""")
_XML_NAMES = {"gb18030": "gb18030", "gbk": "gb18030", "gb2312": "gb18030", "big5": "big5", "utf-8": "utf-8"}


def encoding_of(path: Path, spec: FileSpec) -> tuple[str, int]:
    """Return (utf-8 | gb18030 | big5 | utf-16-le | utf-16-be, length of the BOM).

    Raises DeliveryCorrupt where the bytes are another format's, DeliveryMismatch where they evidently are in another
    encoding than the declared one: half of the non-ASCII lines of the first MiB speak for it. XML names its own
    encoding, so there its declaration stands before the contract's.
    """
    sample = _sample(path)
    _refuse_binary(path, sample, spec)
    declared = "gb18030" if spec.encoding in {"gbk", "gb2312"} else spec.encoding
    for bom, found in _BOMS:
        if sample.startswith(bom):
            if declared not in {"auto", _SHOWN.get(found, found)} and spec.format != "xml":
                raise _mismatch(path, spec, found)
            return found, len(bom)
    if order := _utf16_order(sample):
        if declared not in {"auto", "utf-16"} and spec.format != "xml":
            raise _mismatch(path, spec, order)
        return order, 0
    return _byte_encoding(path, spec, declared, sample), 0


def _byte_encoding(path: Path, spec: FileSpec, declared: str, sample: bytes) -> str:
    # json and xml often are one line; their strings are the units there
    units = rb"[\r\n\"<>]+" if spec.format in {"json", "xml"} else rb"[\r\n]+"
    lines = [line for line in re.split(units, _whole_lines(sample)) if not line.isascii()]
    utf8 = sum(_decodes(line, "utf-8") for line in lines)
    is_utf8 = 2 * utf8 > len(lines)
    weighty = sum(len(line) - len(line.decode("ascii", "ignore")) for line in lines) >= _EVIDENCE
    if spec.format == "xml" and (match := _XML_DECLARATION.match(sample)):
        declared = _XML_NAMES.get(match[1].decode().lower(), declared)
        if is_utf8 or declared == "utf-8":
            return "utf-8" if is_utf8 or not lines else "gb18030"
        return declared
    if declared == "auto":
        return "utf-8" if is_utf8 or not lines else "gb18030"
    if declared == "utf-16":
        if sample:
            raise _mismatch(path, spec, "utf-8" if is_utf8 or not lines else "gb18030")
        return "utf-16-le"
    if declared != "utf-8" and is_utf8 and weighty:
        raise _mismatch(path, spec, "utf-8")
    if lines and 2 * sum(not _decodes(line, declared) for line in lines) > len(lines):
        likely = next((code for code in ("utf-8", "gb18030", "big5") if code != declared and _most(lines, code)), None)
        raise _mismatch(path, spec, likely)
    return declared


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


def _whole_lines(sample: bytes) -> bytes:
    """Drop the last unit where the sample ends inside the file."""
    if len(sample) < _SAMPLE // 2:
        return sample
    return sample[: max(sample.rfind(end) for end in (b"\n", b'"', b"<")) + 1] or sample


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeError:
        return False
    return True


def _most(lines: list[bytes], encoding: str) -> bool:
    return 2 * sum(_decodes(line, encoding) for line in lines) > len(lines)


def _utf16_order(sample: bytes) -> str | None:
    """Tell UTF-16 without a BOM by its line ends and delimiters: zero bytes on one side of the pairs only."""
    head = sample[: 64 << 10]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > len(head) // 40 and even * 20 < odd:
        return "utf-16-le"
    if even > len(head) // 40 and odd * 20 < even:
        return "utf-16-be"
    return None


def _refuse_binary(path: Path, sample: bytes, spec: FileSpec) -> None:
    for magic, name in _MAGIC:
        if sample.startswith(magic):
            raise DeliveryCorrupt(f"文件 {path.name} 声明为 {spec.format}，实际内容是 {name}；请按约定格式重新报送")


def _mismatch(path: Path, spec: FileSpec, likely: str | None) -> DeliveryMismatch:
    found = f"很可能是 {_SHOWN.get(likely, likely)}" if likely else "不是任何已知的中文编码"
    return DeliveryMismatch(
        f"文件 {path.name} 声明的编码是 {spec.encoding}，实际{found}；请核对约定的 encoding，或按约定编码重新报送"
    )
