"""JSON and JSON Lines, element by element over a bounded buffer. A file that is not JSON is held, with line and column.

Elements are decoded by the standard library's scanner: unlike streaming parsers it keeps the digits of numbers, shows a
key that is given twice, and knows where a fault is. See docs/decisions/20261201-readers-by-libraries.md.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch
from chengxin.parsing.documents.record_count import members, statements
from chengxin.parsing.documents.record_rows import Gathering, Record, chunked
from chengxin.parsing.encoding.decoder import stream
from chengxin.parsing.encoding.detection import encoding_of
from chengxin.parsing.shapes import Nested, Piece, RawChunk
from chengxin.parsing.text.file import texts

_SPACE = re.compile(r"[ \t\r\n\ufeff\x00\x1a]*")
_MAX_VALUE = 16 << 20  # characters of one record, or of one member around the records


class _Twice(dict[str, Any]):
    """An object that gives one key two different values: which one is right cannot be known."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs) or all(found[key] == value for key, value in pairs):
        return found
    return _Twice(found)


def _constant(word: str) -> str | None:
    """Take NaN for no number; Infinity is a failed one, which no column takes."""
    return None if word == "NaN" else word


# numbers keep the digits that were sent: no float, no rounding
_DECODER = json.JSONDecoder(
    parse_float=str, parse_int=str, parse_constant=_constant, strict=False, object_pairs_hook=_object
)


class _Number(str):
    """A number's literal text, different from a string when a nested value is written again."""

    __slots__ = ()


_NESTED = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_constant, strict=False)


_PLAIN = frozenset({str, type(None)})


def record_of(element: dict[str, Any], raw: str) -> Record:
    """Return the values as text: true/false, null, numbers literally, nested values as compact JSON."""
    kinds = set(map(type, element.values()))
    if not kinds <= _PLAIN:
        if not kinds.isdisjoint((dict, list, _Twice)):
            element = _NESTED.raw_decode(raw)[0]
        element = {name: _text(value) for name, value in element.items()}
    names = _trimmed(tuple(element))
    return dict(zip(names, element.values(), strict=True)) if names else element


@lru_cache(maxsize=256)
def _trimmed(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the names of members without blanks around them; None where they have none, or two become one."""
    trimmed = tuple(name.strip() for name in names)
    return None if trimmed == names or len(set(trimmed)) < len(names) else trimmed


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return Nested("true" if value else "false")
    if isinstance(value, str):
        return str(value)
    return Nested(_compact(value)) if value else None  # an empty array or object holds nothing


def _compact(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{_compact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_compact(v) for v in value) + "]"
    return str(value) if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)


class _Window:
    """The part of a streamed text that is looked at: it grows at the end and is dropped at the front."""

    def __init__(self, blocks: Iterator[str], name: str) -> None:
        self._blocks = blocks
        self._name = name
        self._lines = self._columns = 0  # line breaks before the text, and characters since the last of them
        self.text = ""
        self.at = 0

    def grow(self) -> bool:
        """Read one more block; False at the end of the file."""
        for block in self._blocks:
            if block:
                self._lines, self._columns = self._place(self.at)
                self.text = self.text[self.at :] + block
                self.at = 0
                return True
        return False

    def _place(self, at: int) -> tuple[int, int]:
        """Return how many line breaks stand before a place of the text, and how many characters since the last."""
        breaks = self.text.count("\n", 0, at)
        if not breaks:
            return self._lines, self._columns + at
        return self._lines + breaks, at - self.text.rindex("\n", 0, at) - 1

    def peek(self) -> str:
        """Pass over blanks; return the next character, or "" at the end of the file."""
        while True:
            match = _SPACE.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.grow():
                return ""

    def expect(self, marks: str) -> str:
        """Pass the next character, which is one of `marks`. Raises DeliveryCorrupt."""
        mark = self.peek()
        if not mark or mark not in marks:
            raise self.broken(self.at)
        self.at += 1
        return mark

    def value(self) -> tuple[Any, str]:
        """Decode the value here and pass it: the value and its text. Raises DeliveryCorrupt."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except JSONDecodeError as fault:
                if not self._doubled():
                    is_cut = fault.msg.startswith("Unterminated string")
                    raise self.broken(len(self.text) if is_cut else fault.pos) from None
                continue
            except RecursionError:
                raise self.broken(self.at) from None
            if end == len(self.text) and not isinstance(value, (dict, list)) and self.grow():
                continue
            raw = self.text[self.at : end]
            self.at = end
            return value, raw

    def _doubled(self) -> bool:
        """Read on: the value may go further. False at the end of the file, or where the value gets too long."""
        wanted = 2 * (len(self.text) - self.at)
        if wanted > _MAX_VALUE or not self.grow():
            return False
        while len(self.text) < wanted and self.grow():
            pass
        return True

    def key(self) -> str:
        """Pass the name of a member and the colon behind it. Raises DeliveryCorrupt."""
        if self.peek() != '"':
            raise self.broken(self.at)
        name = str(self.value()[0])
        self.expect(":")
        self.peek()
        return name

    def items(self) -> Iterator[tuple[Any, str]]:
        """Yield the elements of the array whose bracket was passed, each with its text. Raises DeliveryCorrupt."""
        if self.peek() == "]":
            self.at += 1
            return
        yield self.value()
        while self.expect(",]") == ",":
            yield self.value()

    def broken(self, at: int) -> DeliveryCorrupt:
        """Return the error for a text that is no JSON at a place; what stands there may name somebody."""
        lines, columns = self._place(at)
        if not self.text[at:].strip(" \t\r\n\x00\x1a") and not self.grow():
            return DeliveryCorrupt(
                f"文件 {self._name} 在第 {lines + 1} 行第 {columns + 1} 列中断，JSON 没有结束；"
                "请核对传输是否完整，重新报送完整的文件"
            )
        return DeliveryCorrupt(
            f"文件 {self._name} 第 {lines + 1} 行第 {columns + 1} 列不符合 JSON 语法，其后的内容无法可靠读取；"
            "请用标准的 JSON 工具重新导出后报送"
        )


def plan_json(path: Path, spec: FileSpec) -> list[Piece]:
    """Return the one piece of a JSON file: elements can only be separated from the front."""
    encoding, bom = encoding_of(path, spec)
    return [Piece(str(path), 0, bom, path.stat().st_size, 1, encoding, ())]


def read_json(piece: Piece, spec: FileSpec) -> Iterator[RawChunk]:
    """Yield the records of the array at `spec.records` (empty: top level, or the first array of the top object).

    Raises DeliveryCorrupt, with line and column, where the file is no JSON.
    """
    gathering = Gathering(piece.encoding)
    name = Path(piece.path).name
    window = _Window(stream(Path(piece.path), piece.encoding, piece.start), name)
    return chunked(gathering, _elements(window, gathering, spec, name))


def _elements(window: _Window, gathering: Gathering, spec: FileSpec, name: str) -> Iterator[None]:
    if window.peek() == "":
        return
    values: list[tuple[str, str, bool]] = []
    entered = _enter(window, spec.records, name, values)
    ordinal = 0
    for value, raw in window.items():
        ordinal += 1
        if isinstance(value, _Twice):
            gathering.damage(ordinal, "row.key_twice", raw)
        elif isinstance(value, dict):
            gathering.add(ordinal, record_of(value, raw), raw)
        else:
            gathering.damage(ordinal, "row.not_a_record", raw)
        yield None
    _leave(window, entered, spec, name, values)
    gathering.statements = statements(values, ordinal)


def _enter(window: _Window, path: str, name: str, values: list[tuple[str, str, bool]]) -> list[str]:
    """Go to just after the `[` of the records. A bare array is taken whatever path is declared.

    Return the names of the members on the way; add to `values` what stands before them. Raises DeliveryMismatch.
    """
    keys = [key for key in path.split(".") if key]
    entered: list[str] = []
    if window.peek() not in {"{", "["}:
        raise DeliveryCorrupt(f"文件 {name} 声明为 json，但开头不是 {{ 或 [；请按约定格式重新报送")
    passed: dict[str, Any] = {}
    while window.expect("{[") == "{":
        values += members(passed, beside=False)
        wanted, passed = keys.pop(0) if keys else None, {}
        while True:
            key = window.key() if window.peek() == '"' else None
            if key is None or (key == wanted and window.peek() not in {"{", "["}):
                where = path or "顶层的数组"
                raise DeliveryMismatch(f"文件 {name} 里找不到记录数组（{where}）；请核对约定的 records")
            if key == wanted or (wanted is None and window.peek() == "["):
                entered.append(key)
                break
            passed[key] = window.value()[0]
            if window.peek() == ",":
                window.at += 1
    values += members(passed, beside=True)
    return entered


def _leave(window: _Window, entered: list[str], spec: FileSpec, name: str, values: list[tuple[str, str, bool]]) -> None:
    """Read on behind the array to the end of the file. Raises DeliveryMismatch, DeliveryCorrupt."""
    for depth in range(len(entered), 0, -1):
        while window.expect(",}") == ",":
            key = window.key()
            value = window.value()[0]
            if key == entered[depth - 1]:
                raise DeliveryMismatch(
                    f"文件 {name} 里 {spec.records or key} 出现两次，分不清读哪一个；请合成一个数组后重新报送"
                )
            if not spec.records and isinstance(value, list) and any(isinstance(item, dict) for item in value):
                raise DeliveryMismatch(
                    f"文件 {name} 里有几个记录数组（后面还有 {key}），合同没有说明读哪一个；请在 file.records 中写明"
                )
            values += members({key: value}, beside=depth == len(entered))
    if window.peek():
        raise window.broken(window.at)


def read_jsonl(piece: Piece) -> Iterator[RawChunk]:
    """Yield the records of JSON Lines; the row number is the line, and a broken line costs itself only."""
    gathering = Gathering("utf-8")
    for text, first, damaged in texts(piece, None):
        lines = text.data.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for number, line in enumerate(lines, first):
            body = line.strip(" \t\ufeff\x00\x1a").removesuffix(",")
            if not body:
                continue
            try:
                value = _DECODER.decode(body)
            except (JSONDecodeError, RecursionError):
                value = None
            if isinstance(value, _Twice):
                gathering.damage(number, "row.key_twice", line)
            elif isinstance(value, dict):
                gathering.add(number, record_of(value, body), body)
            elif body not in {"[", "]"}:
                gathering.damage(number, "row.not_a_record", line)
        gathering.extend([*damaged, *text.damage(first)])
        yield gathering.take()
