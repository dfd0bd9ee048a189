"""Bytes of a text file to UTF-8, line by line where they are damaged.

GB18030 goes through glibc's iconv in this process (about 200 MB/s a core against 60-85 MB/s of Python's codec, and the
GIL is free meanwhile); Python's codec takes the lines that iconv refuses and everything where there is no glibc.
"""

import codecs
import ctypes
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from chengxin.parsing.shapes import Damaged, kept

_EOL = re.compile(rb"\r\n|\n|\r")
#: Undecodable bytes pass a streaming decoder as U+10FF00 + byte: plane 16 is private and XML lets it through.
_ESCAPE = 0x10FF00
_ESCAPED = re.compile("[\U0010ff00-\U0010ffff]")
_REPLACED = re.compile(rb"\xef\xbf\xbd")
_REPLACED_OR_ESCAPED = re.compile(rb"\xef\xbf\xbd|\xf4\x8f[\xbc-\xbf][\x80-\xbf]")
_UTF8_HAN = re.compile(rb"[\xe3-\xe9\xef][\x80-\xbf]{2}.*[\xe3-\xe9\xef][\x80-\xbf]{2}", re.S)
_BLOCK = 1 << 20
_NEAR = 4 << 10
#: Bytes whose temporary arrays stay in the cache.
_CACHED = 1 << 16


@dataclass(frozen=True)
class Text:
    """UTF-8 with the line breaks of the source; each line in `bad` (0-based line, its bytes, its text) is emptied."""

    data: bytes
    bad: tuple[tuple[int, bytes, str], ...] = ()

    def damage(self, first: int) -> list[Damaged]:
        """Return the emptied lines as damaged rows; `first` is the 1-based number of line 0."""
        return [Damaged(first + line, "row.undecodable", kept(text), raw) for line, raw, text in self.bad]


def count_lines(data: bytes) -> int:
    """Return how many line ends (LF, CRLF or a lone CR) the bytes hold."""
    returns = data.count(b"\r")
    return data.count(b"\n") + (returns - data.count(b"\r\n") if returns else 0)


def to_utf8(raw: bytes, encoding: str) -> Text:
    """Decode whole lines. encoding: utf-8, gb18030 or big5. A line that cannot be decoded is emptied, never mended."""
    data = _whole(raw, encoding)
    text = Text(data) if data is not None else _line_by_line(raw, encoding)
    if encoding != "utf-8" and (text.bad or _has_utf8_line(raw)):
        text = _without_utf8(raw, text)
    return strike(text, raw, encoding)


def _whole(raw: bytes, encoding: str) -> bytes | None:
    """Decode everything at once, or return None."""
    data, used = _prefix(raw, encoding)
    if used == len(raw):
        return data
    if encoding == "gb18030":
        # Python's table holds a few four-byte codes that glibc's lacks
        with suppress(UnicodeError):
            return raw.decode(encoding).encode()
    return None


def is_utf8(raw: bytes) -> bool:
    """Return whether the bytes are strictly UTF-8 (Arrow's validator: a few GB/s and no string object)."""
    offsets = pa.py_buffer(np.array([0, len(raw)], np.int32))
    try:
        pa.StringArray.from_buffers(1, offsets, pa.py_buffer(raw)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _line_by_line(raw: bytes, encoding: str) -> Text:
    """Decode up to each fault, set the faulty line aside, go on after it."""
    parts: list[bytes] = []
    bad: list[tuple[int, bytes, str]] = []
    pos = line = 0
    window = _NEAR
    while pos < len(raw):
        match = _EOL.search(raw, pos + window)
        segment = raw[pos : match.end() if match else len(raw)]
        data, used = _prefix(segment, encoding)
        if used == len(segment):
            parts.append(data)
            line += count_lines(segment)
            pos += len(segment)
            window = min(window * 2, _BLOCK)
            continue
        window = _NEAR
        whole_lines = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        parts.append(data[:whole_lines])
        line += count_lines(data[:whole_lines])
        start = max(segment.rfind(b"\n", 0, used), segment.rfind(b"\r", 0, used)) + 1
        match = _EOL.search(segment, used)
        end, after = match.span() if match else (len(segment), len(segment))
        piece = segment[start:end]
        try:
            parts.append(piece.decode(encoding).encode())
        except UnicodeError:
            bad.append((line, piece, piece.decode(encoding, "backslashreplace")))
        parts.append(segment[end:after])
        line += 1
        pos += after
    return Text(b"".join(parts), tuple(bad))


def _has_utf8_line(raw: bytes) -> bool:
    """Return whether a line of a GB or Big5 chunk that decodes well is UTF-8 nevertheless.

    Half of the trailing bytes of Chinese in UTF-8 lie in 80..A0, where GB has only rare characters: lines with
    such bytes are looked at, the others are not.
    """
    buffer = np.frombuffer(raw + b"\0", np.uint8)
    after = 0
    for at in range(0, len(raw), _CACHED):
        for place in (np.flatnonzero((buffer[at : at + _CACHED] - np.uint8(0x80)) <= 0x20) + at).tolist():
            if place >= after:
                start, end = raw.rfind(b"\n", 0, place) + 1, raw.find(b"\n", place)
                after = end if end >= 0 else len(raw)
                if _is_utf8_han(raw[start:after]):
                    return True
    return False


def _is_utf8_han(line: bytes) -> bool:
    return _UTF8_HAN.search(line) is not None and is_utf8(line)


def _without_utf8(raw: bytes, text: Text) -> Text:
    """Set aside the lines that are UTF-8: files were glued together, and its bytes decode as GB18030 to nonsense."""
    lines = {number: piece for number, piece in enumerate(_EOL.split(raw)) if _is_utf8_han(piece)}
    return _without(text, {number: (piece, piece.decode()) for number, piece in lines.items()})


def _prefix(raw: bytes, encoding: str) -> tuple[bytes, int]:
    """Decode as far as it goes: the UTF-8 and how many bytes it took."""
    if encoding == "utf-8" and is_utf8(raw):
        return raw, len(raw)
    if encoding == "gb18030" and _libc() is not None:
        return _iconv(raw)
    try:
        return raw.decode(encoding).encode(), len(raw)
    except UnicodeDecodeError as fault:
        return raw[: fault.start].decode(encoding).encode(), fault.start


def strike(text: Text, raw: bytes | None = None, encoding: str = "utf-8") -> Text:
    """Empty the lines that hold U+FFFD (a loss made before us) or an escaped byte of a streaming decoder.

    raw: the source of all lines; without it their bytes are made again from the text with `encoding`.
    """
    if not _may_be_struck(text, raw, encoding):
        return text
    sources = _EOL.split(raw) if raw is not None else None
    struck = _REPLACED if raw is not None else _REPLACED_OR_ESCAPED
    hit = {}
    for number, line in enumerate(_EOL.split(text.data)):
        if struck.search(line):
            shown = line.decode()
            hit[number] = (sources[number] if sources else original(shown, encoding), visible(shown))
    return _without(text, hit)


def _may_be_struck(text: Text, raw: bytes | None, encoding: str) -> bool:
    """Look for U+FFFD before any line is split; in the source of GB18030, where the search is fastest."""
    if raw is not None and encoding == "gb18030":
        buffer = np.frombuffer(raw, np.uint8)
        for at in range(0, len(buffer), _CACHED):
            block = buffer[at : at + _CACHED + 1]
            if ((block[:-1] == 0x84) & (block[1:] == 0x31)).any() and b"\x84\x31\xa4\x37" in raw:
                return True
        return False
    return b"\xef\xbf\xbd" in text.data or (raw is None and b"\xf4\x8f" in text.data)


def _without(text: Text, lines: dict[int, tuple[bytes, str]]) -> Text:
    """Return the text with these lines (number -> bytes, shown text) emptied and set aside."""
    if not lines:
        return text
    pieces, ends = _EOL.split(text.data), [*_EOL.findall(text.data), b""]
    data = b"".join(
        (b"" if n in lines else piece) + end for n, (piece, end) in enumerate(zip(pieces, ends, strict=True))
    )
    bad = {line: (raw, shown) for line, raw, shown in text.bad} | lines
    return Text(data, tuple((line, *bad[line]) for line in sorted(bad)))


def visible(text: str) -> str:
    r"""Return the text with escaped bytes as \xNN and U+FFFD as \ufffd."""
    return _ESCAPED.sub(lambda m: f"\\x{ord(m[0]) - _ESCAPE:02x}", text).replace("\ufffd", "\\ufffd")


def original(text: str, encoding: str = "utf-8") -> bytes:
    """Return the bytes a text came from, escaped bytes included."""
    out = bytearray()
    at = 0
    for match in _ESCAPED.finditer(text):
        out += text[at : match.start()].encode(encoding, "replace")
        out.append(ord(match[0]) - _ESCAPE)
        at = match.end()
    return bytes(out + text[at:].encode(encoding, "replace"))


def is_damaged(text: str) -> bool:
    """Return whether the text holds bytes that could not be decoded, or U+FFFD."""
    return "\ufffd" in text or bool(_ESCAPED.search(text))


def _escape(fault: UnicodeError) -> tuple[str, int]:
    if not isinstance(fault, UnicodeDecodeError):
        raise fault
    return "".join(chr(_ESCAPE + byte) for byte in fault.object[fault.start : fault.end]), fault.end


codecs.register_error("chengxin.escape", _escape)


def stream(path: Path, encoding: str, skip: int = 0) -> Iterator[str]:
    """Yield the text of a file in blocks of about 1 MiB; `skip` bytes (the BOM) are left out. Never raises on bytes."""
    decoder = codecs.getincrementaldecoder(encoding)("chengxin.escape")
    with path.open("rb") as file:
        file.seek(skip)
        while block := file.read(_BLOCK):
            yield decoder.decode(block)
        yield decoder.decode(b"", final=True)


@cache
def _libc() -> ctypes.CDLL | None:
    """Return glibc with its iconv declared, or None: other C libraries have other tables."""
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version()
    except (OSError, AttributeError, TypeError):
        return None
    libc.iconv_open.restype = ctypes.c_void_p
    libc.iconv_open.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    pointer, size = ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t)
    libc.iconv.argtypes = [ctypes.c_void_p, pointer, size, pointer, size]
    libc.iconv.restype = ctypes.c_size_t
    libc.iconv_close.argtypes = [ctypes.c_void_p]
    handle = libc.iconv_open(b"UTF-8", b"GB18030")
    if handle in (None, ctypes.c_void_p(-1).value):
        return None
    libc.iconv_close(handle)
    return libc


def _iconv(raw: bytes) -> tuple[bytes, int]:
    """Convert GB18030 as far as iconv goes: the UTF-8 and how many bytes it took (0 where there is no iconv)."""
    libc = _libc()
    if libc is None:
        return b"", 0
    # two bytes of GB18030 become at most three of UTF-8, four become at most four
    out = np.empty(len(raw) * 3 // 2 + 16, np.uint8)
    source = ctypes.c_void_p(ctypes.cast(ctypes.c_char_p(raw), ctypes.c_void_p).value)
    target = ctypes.c_void_p(out.ctypes.data)
    left, room = ctypes.c_size_t(len(raw)), ctypes.c_size_t(len(out))
    handle = libc.iconv_open(b"UTF-8", b"GB18030")
    try:
        libc.iconv(handle, ctypes.byref(source), ctypes.byref(left), ctypes.byref(target), ctypes.byref(room))
    finally:
        libc.iconv_close(handle)
    return out[: len(out) - room.value].tobytes(), len(raw) - left.value
