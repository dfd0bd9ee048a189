"""JSON and JSON Lines, element by element over a bounded buffer; a broken element costs itself only."""

import json
import re
from collections.abc import Iterator
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch
from chengxin.model.paging import AROUND, fold
from chengxin.parsing.documents.outline import FEET, HEADS, NUMBER, SUMS
from chengxin.parsing.documents.record_count import members, told
from chengxin.parsing.documents.record_rows import Gathering, Record, chunked
from chengxin.parsing.encoding.decoder import stream
from chengxin.parsing.encoding.detection import encoding_of
from chengxin.parsing.shapes import OVERSIZE, Nested, Piece, RawChunk
from chengxin.parsing.text.file import texts

_BLANK = " \t\r\n\ufeff\x00\x1a"
_SPACE = re.compile(r"[ \t\r\n\ufeff\x00\x1a]*")
_NEXT = re.compile(r"[}\],\[\n]\s*(?=\{)")
_FIRST_KEY = re.compile(r'\{\s*"([^"\\]*)"\s*:')
_MAX_ELEMENT = 4 << 20
_TAIL = 4 << 10  # a fault this near the end of the buffer may only mean that more must be read


class _Twice(dict[str, Any]):
    """An object that gave one key two different values: which one is meant cannot be known."""


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
    """A number's literal text, told from a string when a nested value is written again."""

    __slots__ = ()


_NESTED = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_constant, strict=False)


def record_of(element: dict[str, Any], raw: str) -> Record:
    """Return the values as text: true/false, null, numbers literally, nested values as compact JSON."""
    if any(isinstance(value, (dict, list)) for value in element.values()):
        element = _NESTED.raw_decode(raw)[0]
    record = {str(name).strip(): _text(value) for name, value in element.items()}
    return record if len(record) == len(element) else {str(name): _text(value) for name, value in element.items()}


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
    """The part of a streamed text that is looked at; grows at the end, is dropped at the front."""

    def __init__(self, blocks: Iterator[str]) -> None:
        self._blocks = blocks
        self.text = ""
        self.at = 0

    def grow(self) -> bool:
        """Read one more block; False at the end of the file."""
        for block in self._blocks:
            if block:
                self.text = self.text[self.at :] + block
                self.at = 0
                return True
        return False

    def skip(self, pattern: re.Pattern[str]) -> str:
        """Pass over what matches; return the next character, or "" at the end of the file."""
        while True:
            match = pattern.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.grow():
                return ""

    def value(self, offset: int = 0) -> tuple[Any, str] | None:
        """Decode the value that begins `offset` after here: the value and its text; None where it is broken."""
        while True:
            start = self.at + offset
            try:
                value, end = _DECODER.raw_decode(self.text, start)
            except (JSONDecodeError, RecursionError) as fault:
                if not self._may_be_short(fault, start) or not self.grow():
                    return None
                continue
            if end == len(self.text) and not isinstance(value, (dict, list)) and self.grow():
                continue
            return value, self.text[start:end]

    def _may_be_short(self, fault: Exception, start: int) -> bool:
        if len(self.text) - start > _MAX_ELEMENT or not isinstance(fault, JSONDecodeError):
            return False
        return fault.msg.startswith("Unterminated") or len(self.text) - fault.pos < _TAIL

    def take(self) -> tuple[Any, str] | None:
        """Decode the value here and pass it; nothing is passed where it is broken."""
        found = self.value()
        self.at += len(found[1]) if found else 0
        return found


def plan_json(path: Path, spec: FileSpec) -> list[Piece]:
    """Return the one piece of a JSON file: elements can only be told apart from the front."""
    encoding, bom = encoding_of(path, spec)
    return [Piece(str(path), 0, bom, path.stat().st_size, 1, encoding, ())]


def read_json(piece: Piece, spec: FileSpec) -> Iterator[RawChunk]:
    """Yield the records of the array at `spec.records` (empty: top level, or the first array of the top object)."""
    gathering = Gathering(piece.encoding)
    window = _Window(stream(Path(piece.path), piece.encoding, piece.start))
    return chunked(gathering, _elements(window, gathering, spec, Path(piece.path).name))


def _elements(window: _Window, gathering: Gathering, spec: FileSpec, name: str) -> Iterator[None]:
    if window.skip(_SPACE) == "":
        return
    is_bare = window.text[window.at] == "["
    around = _Around(_enter(window, spec.records, name))
    ordinal = 0
    known: set[str] = set()
    closed = broken = False
    while True:
        closed, mark = _to_next(window, closed)
        if closed and (mark == "" or (mark != "{" and not is_bare)):
            rest = around.read(window, spec, name, known)  # what is left belongs to the object around the array
            if rest:
                ordinal += 1
                gathering.damage(ordinal, *rest)
            gathering.told = told(around.values, ordinal)
            return
        if mark == "":
            if not broken:
                gathering.damage(ordinal + 1, "row.cut_off", "（文件在此中断，数组没有结束）")
            return
        ordinal += 1
        found = window.take() if mark == "{" else None
        broken = not (found and isinstance(found[0], dict))
        if found and isinstance(found[0], _Twice):
            gathering.damage(ordinal, "row.key_twice", found[1])
        elif found and not broken:
            known.update(found[0])
            gathering.add(ordinal, record_of(*found), found[1])
        else:
            _set_aside(window, gathering, ordinal, known)
        closed = False
        yield None


class _Around:
    """The objects around the array of records: what they say before it and behind it.

    before: of each object on the way to the array, the members that stand before the one that leads to it.
    """

    def __init__(self, before: list[dict[str, Any]]) -> None:
        self._before = before
        self.values = [v for n, found in enumerate(before) for v in members(found, beside=n == len(before) - 1)]

    def read(self, window: _Window, spec: FileSpec, name: str, known: set[str]) -> tuple[str, str] | None:
        """Read on behind the array to the end; return rule and text of what is not JSON.

        Raises DeliveryMismatch where records that nobody declared stand beside the array: another array, another
        document. known: keys of the records.
        """
        for level, passed in enumerate(self._before, 1):
            for key, value in passed.items():
                _refuse_other(key, value, known, spec, name, inside=level == len(self._before))
        depth = len(self._before)  # objects that are still open
        while (mark := window.skip(_SPACE)) in {'"', "}", ","}:
            if mark != '"':
                depth -= mark == "}"
                window.at += 1
                continue
            word = window.take()
            if word is None or window.skip(_SPACE) != ":":
                break
            window.at += 1
            window.skip(_SPACE)
            found = window.take()
            inside = depth == len(self._before)
            if spec.records.split(".")[max(depth - 1, 0) : depth] == [word[0]]:  # a key on the way to the array
                raise DeliveryMismatch(
                    f"文件 {name} 里 {spec.records} 出现两次，分不清读哪一个；请合成一个数组后重新报送"
                )
            _refuse_other(word[0], found and found[0], known, spec, name, inside=inside)
            if found is None:
                break
            self.values += members({word[0]: found[0]}, beside=inside)
        mark = window.skip(_SPACE)
        if mark in {"{", "["} and depth <= 0:
            raise DeliveryMismatch(
                f"文件 {name} 里有几个 JSON 文档，第一个之后还有内容；请合成一个报送，或每行一条记录（format: jsonl）"
            )
        if mark == "" and depth > 0:
            return "row.cut_off", "（文件在此中断，最外层的对象没有结束）"
        return ("row.not_a_record", _rest(window)) if mark else None


def _rest(window: _Window) -> str:
    while len(window.text) - window.at < OVERSIZE and window.grow():
        pass
    return window.text[window.at :].rstrip(_BLANK)


def _listed(key: str, value: Any, deep: int = 3) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield the first object of each list in a member, and the objects themselves, but for those that sum up.

    With each goes whether it stands in a list.
    """
    if key.lower() in SUMS or not deep:
        return
    if isinstance(value, list):
        yield from ((item, True) for item in value[:1] if isinstance(item, dict))
    elif isinstance(value, dict):
        if key.lower() not in HEADS | FEET and fold(key) not in AROUND:
            yield value, False
        for inner, part in value.items():
            yield from _listed(inner, part, deep - 1)


def _may_be_records(item: dict[str, Any], known: set[str], *, near: bool) -> bool:
    """Tell whether an object may be a record. near: it stands in a list right beside the records.

    Others must have half of the fields, and a number: labels of fields and an echoed question have none.
    """
    shared = known & set(item)
    if near:
        return (len(shared) > 1 or shared == known != set()) and _is_familiar((item, ""), known)
    is_alike = len(shared) > 1 and 2 * len(shared) >= max(len(item), len(known))
    return is_alike and any(isinstance(item[key], str) and NUMBER.search(item[key]) for key in shared)


def _refuse_other(key: str, value: Any, known: set[str], spec: FileSpec, name: str, *, inside: bool) -> None:
    """Raise DeliveryMismatch for a member around the array that may hold records too."""
    items = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    if items and not spec.records:
        raise DeliveryMismatch(
            f"文件 {name} 里有几个记录数组（后面还有 {key}），合同没有说明读哪一个；请在 file.records 中写明"
        )
    if any(_may_be_records(item, known, near=inside and in_list) for item, in_list in _listed(key, value)):
        raise DeliveryMismatch(
            f"文件 {name} 里除了 {spec.records or '记录数组'} 还有 {key}，其中的记录字段相同，却没有约定读取；"
            "请合成一个数组后重报"
        )


def _to_next(window: _Window, closed: bool) -> tuple[bool, str]:
    """Pass commas and brackets between elements: whether the array was closed last, and the character that follows.

    Brackets are passed generously: an array closed too early, or two arrays in a row, must not lose what follows.
    """
    mark = window.skip(_SPACE)
    while mark and mark in ",[]":
        closed = mark == "]" or (closed and mark == ",")
        window.at += 1
        mark = window.skip(_SPACE)
    return closed, mark


def _set_aside(window: _Window, gathering: Gathering, ordinal: int, known: set[str]) -> None:
    """Set the broken element aside and go to the next place where an element with familiar keys begins."""
    if not known and (first := _FIRST_KEY.match(window.text, window.at)):
        known = {first[1]}
    offset, is_cut = 1, False
    while True:
        match = _NEXT.search(window.text, window.at + offset)
        if match is None:
            offset = max(len(window.text) - window.at - 64, offset)
            too_long = len(window.text) - window.at > _MAX_ELEMENT
            if too_long or not window.grow():
                end = len(window.text) - window.at
                is_cut = not too_long and not window.text.rstrip(_BLANK).endswith(("}", "]"))
                break
            continue
        offset = match.end() - window.at
        if _is_familiar(window.value(offset), known):  # may read on; only the offset stays right
            end = offset
            break
    raw = window.text[window.at : window.at + end].rstrip(", \t\r\n")
    window.at += end
    rule = "row.cut_off" if is_cut else "row.oversize" if len(raw) > OVERSIZE else "row.not_a_record"
    gathering.damage(ordinal, rule, raw)


def _is_familiar(found: tuple[Any, str] | None, known: set[str]) -> bool:
    """Tell an element from an object nested in one: it has half of the keys that were seen, or half of its own were."""
    if found is None or not isinstance(found[0], dict) or not found[0]:
        return False
    return not known or 2 * len(known & set(found[0])) >= min(len(found[0]), len(known))


def _enter(window: _Window, path: str, name: str) -> list[dict[str, Any]]:
    """Go to just after the `[` of the records. A bare array is taken whatever path is declared.

    Return what stands before it in each object on the way, the outermost first.
    """
    keys = [key for key in path.split(".") if key]
    mark = window.skip(_SPACE)
    before: list[dict[str, Any]] = []
    if mark not in {"{", "["}:
        raise DeliveryCorrupt(f"文件 {name} 声明为 json，但开头不是 {{ 或 [；请按约定格式重新报送")
    while mark == "{":
        passed = _find_key(window, keys.pop(0) if keys else None)
        mark = window.skip(_SPACE) if passed is not None else ""
        if mark not in {"{", "["}:
            where = path or "顶层的数组"
            raise DeliveryMismatch(f"文件 {name} 里找不到记录数组（{where}）；请核对约定的 records")
        before.append(passed or {})
    window.at += 1
    return before


def _find_key(window: _Window, wanted: str | None) -> dict[str, Any] | None:
    """Inside an object, go to the value of the key (None: of the first key that holds an array).

    Return the members before it, or None where there is no such key.
    """
    window.at += 1
    passed: dict[str, Any] = {}
    while window.skip(_SPACE) == '"':
        key = window.take()
        if key is None or window.skip(_SPACE) != ":":
            return None
        window.at += 1
        mark = window.skip(_SPACE)
        if key[0] == wanted or (wanted is None and mark == "["):
            return passed
        value = window.take()
        if value is None or window.skip(_SPACE) != ",":
            return None
        passed[key[0]] = value[0]
        window.at += 1
    return None


def read_jsonl(piece: Piece) -> Iterator[RawChunk]:
    """Yield the records of JSON Lines; the row number is the line."""
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
