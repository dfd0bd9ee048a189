"""How delimited text is laid out: delimiter, quotes, width; the grammar of one record, and lines in a buffer."""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.contracts.models import FileSpec
from chengxin.errors import ContractError

Ints = npt.NDArray[np.int64]
_UNIT = b"\x1f"
_BLANKS = re.compile(rb"[ \t]+")
_WIDE_BLANKS = re.compile(rb"[ \t]{2,}|\t")
_ESCAPED = re.compile(rb"\\([\\\"'`])")
_EDGES = re.compile(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)")
_CACHED = 1 << 16  # bytes whose temporary arrays stay in the cache


def places_of(data: bytes, byte: int) -> Ints:
    """Return where a byte stands, ascending."""
    buffer = np.frombuffer(data, np.uint8)
    found = [np.flatnonzero(buffer[at : at + _CACHED] == byte) + at for at in range(0, len(buffer), _CACHED)]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


@dataclass(frozen=True)
class Walk:
    """One record read from a position: fields seen, where it ended, whether a quote is still open or was misused."""

    width: int
    end: int
    is_open: bool
    is_strict: bool


@dataclass(frozen=True)
class Layout:
    """The delimited layout of a file. delimiter: one ASCII byte after `prepared`; quote: one byte or b"" for none.

    trusted: every quote stands where it must, so a value may go over any number of lines.
    """

    declared: str
    delimiter: bytes
    quote: bytes
    escape: bytes = b""
    trusted: bool = False

    @classmethod
    def of(cls, spec: FileSpec) -> "Layout":
        """Read the layout off a declaration; csv is split by `,` and tsv by a tab unless a delimiter is declared."""
        declared = spec.delimiter or ("\t" if spec.format == "tsv" else ",")
        if not spec.quote.isascii():
            raise ContractError(f"quote 只能是 ASCII 字符，不能是 {spec.quote!r}")
        is_plain = declared.isascii() and len(declared) == 1
        delimiter = declared.encode() if is_plain else _UNIT
        return cls(declared, delimiter, spec.quote.encode(), spec.escape.encode(), spec.trusted)

    def prepared(self, data: bytes) -> bytes:
        """Return the text with one ASCII delimiter and doubled quotes.

        A declared blank stands for a run of blanks, two for a run of at least two, edges trimmed.
        """
        if self.escape and self.escape in data:
            # \n, \N and the like stay as they are: the dialect is not declared
            data = _ESCAPED.sub(lambda m: self.quote * 2 if m[1] == self.quote else m[1], data)
        if self.declared == " ":
            return self._without_runs(data)
        if self.declared == "  ":
            return _WIDE_BLANKS.sub(_UNIT, _EDGES.sub(b"", data))
        return data if self.delimiter != _UNIT else data.replace(self.declared.encode(), _UNIT)

    def _without_runs(self, data: bytes) -> bytes:
        if not self.quote or self.quote not in data:
            return _BLANKS.sub(b" ", _EDGES.sub(b"", data))
        quoted = re.escape(self.quote)
        runs = re.compile(quoted + rb"[^\n" + quoted + rb"]*" + quoted + rb"|[ \t]+")
        return runs.sub(lambda m: m[0] if m[0].startswith(self.quote) else b" ", _EDGES.sub(b"", data))

    @cached_property
    def _plain(self) -> re.Pattern[bytes]:
        return re.compile(rb"[^\r\n" + re.escape(self.delimiter) + rb"]*+")

    @cached_property
    def _quoted(self) -> re.Pattern[bytes]:
        q = re.escape(self.quote)
        return re.compile(q + rb"[^" + q + rb"]*+(?:" + q + q + rb"[^" + q + rb"]*+)*+" + q)

    def restored(self, table: pa.Table) -> pa.Table:
        """Give values in quotes the delimiter back that `prepared` replaced in them too."""
        if self.delimiter != _UNIT or self.declared == _UNIT.decode():
            return table
        for n, column in enumerate(table.columns):
            if pc.any(pc.match_substring(column, _UNIT.decode())).as_py():
                mended = pc.replace_substring(column, _UNIT.decode(), self.declared)
                table = table.set_column(n, table.field(n), mended)
        return table

    @cached_property
    def fair_line(self) -> re.Pattern[bytes]:
        """Match one line like `strict_line`, with blanks allowed behind a closing quote."""
        return self._line(rb"[ \t]*+")

    @cached_property
    def strict_line(self) -> re.Pattern[bytes]:
        """One line whose quotes open at a field's start and close at its end; for fullmatch without the line end."""
        return self._line(b"")

    def _line(self, after: bytes) -> re.Pattern[bytes]:
        plain = rb"(?!" + re.escape(self.quote) + rb")" + self._plain.pattern
        field = rb"(?:" + self._quoted.pattern + after + rb"|" + plain + rb")"
        return re.compile(field + rb"(?:" + re.escape(self.delimiter) + field + rb")*+")

    def walk(self, data: bytes, pos: int = 0) -> Walk:
        """Read one record from `pos` the way Arrow does, noting where a stricter reader would protest."""
        width, strict = 0, True
        while True:
            if self.quote and data.startswith(self.quote, pos):
                match = self._quoted.match(data, pos)
                if match is None:
                    return Walk(width + 1, len(data), True, strict)
                pos = match.end()
                strict = strict and data[pos : pos + 1] in (b"", b"\r", b"\n", self.delimiter)
            match = self._plain.match(data, pos)
            pos = match.end() if match else pos
            width += 1
            if data[pos : pos + 1] != self.delimiter:
                return Walk(width, pos, False, strict)
            pos += 1

    def fields(self, data: bytes) -> list[str]:
        """Return the fields of one record (already UTF-8)."""
        out: list[str] = []
        pos = 0
        while True:
            text = b""
            if self.quote and data.startswith(self.quote, pos) and (match := self._quoted.match(data, pos)):
                text = match[0][1:-1].replace(self.quote * 2, self.quote)
                pos = match.end()
            match = self._plain.match(data, pos)
            assert match is not None
            out.append((text + match[0]).decode())
            pos = match.end() + 1
            if data[pos - 1 : pos] != self.delimiter:
                return out


@dataclass(frozen=True)
class Lines:
    """The physical lines of a buffer: start of each, end without and with its line break."""

    starts: Ints
    ends: Ints
    nexts: Ints

    @classmethod
    def of(cls, data: bytes) -> "Lines":
        """Find the lines; LF, CRLF and a lone CR end one."""
        buffer = np.frombuffer(data, np.uint8)
        breaks = places_of(data, 10)
        ends = breaks
        if b"\r" in data:
            returns = places_of(data, 13)
            paired = np.zeros(len(returns), bool)
            inner = returns + 1 < len(buffer)
            paired[inner] = buffer[returns[inner] + 1] == 10
            breaks = np.sort(np.concatenate([breaks, returns[~paired]]))
            ends = breaks - ((breaks > 0) & (buffer[breaks] == 10) & (buffer[breaks - 1] == 13))
        nexts = breaks + 1
        starts = np.concatenate([[0], nexts]).astype(np.int64)
        if starts[-1] == len(buffer):
            starts = starts[:-1]
        else:
            ends, nexts = np.append(ends, len(buffer)), np.append(nexts, len(buffer))
        return cls(starts, ends.astype(np.int64), nexts.astype(np.int64))

    def __len__(self) -> int:
        return len(self.starts)
