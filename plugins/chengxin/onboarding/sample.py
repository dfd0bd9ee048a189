"""A bounded look at a source: a file in any format, packed or not, one page of an interface, some rows of a table."""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from chengxin.contracts.models import FileSpec
from chengxin.errors import ChengxinError, DeliveryCorrupt, DeliveryMismatch
from chengxin.model.units import stated_unit
from chengxin.parsing.archive_members import PACKED, SUFFIXES
from chengxin.parsing.archives import sources
from chengxin.parsing.formats import describe
from chengxin.parsing.reader import above, plan, read
from chengxin.settings import Settings

ROWS = 5_000  # of a sample
_FIELD = re.compile("[A-Za-z_]{1,30}")  # the name of a field; others may be somebody's, or a number
_HEAD, _MIDDLE = 4 << 20, 1 << 20  # bytes of a large file that are looked at
_LINES = ("csv", "tsv", "jsonl", "fixed")
_URL = ("http://", "https://")
_NAMED = "connection:"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some rows of a source, as text, and how it is read.

    name: of the file or table. spec: the contract's `file` block; delivery: its `delivery` block. whole: nothing was
    left out. damaged: rows that could not be read. notes: in Chinese, what a person should know. unit: of money,
    as a line above the header states it.
    """

    name: str
    spec: dict[str, Any]
    delivery: dict[str, Any]
    table: pa.Table
    whole: bool
    damaged: int = 0
    notes: tuple[str, ...] = ()
    unit: str | None = None


def look_at(source: str) -> Sample:
    """Return a sample of a path, an http(s) address or `connection:NAME/table`.

    Raises ChengxinError where the source does not answer or nothing can be made of it.
    """
    with TemporaryDirectory(prefix="chengxin-draft-") as scratch:
        if source.startswith(_URL):
            return _interface(source, Path(scratch))
        if source.startswith(_NAMED):
            return _named(source.removeprefix(_NAMED), Path(scratch))
        return _file(Path(source), Path(scratch))


def _file(path: Path, scratch: Path) -> Sample:
    suffix = next((s for s in sorted(PACKED, key=len, reverse=True) if path.name.lower().endswith(s)), path.suffix)
    delivery = {"options": {"pattern": f"*{suffix}"}}
    if not path.name.lower().endswith(PACKED):
        return _sampled(path, path.name, delivery, scratch)
    inside, member = _unpacked(path, scratch)
    names = [source.name.partition("!")[2] for source in inside]
    notes = [f"压缩包内有 {len(inside)} 个数据文件，样本取自 {names[0]}"]
    columns = describe(inside[0].path).columns
    if other := [n for n, one in zip(names, inside, strict=True) if describe(one.path).columns != columns]:
        notes.append(f"其中 {'、'.join(other[:5])} 的列名不同：请用 member 只留同一种文件，其余另写合同，否则整批暂停")
    found = _sampled(inside[0].path, path.name, delivery, scratch, tuple(notes))
    return Sample(
        name=found.name, spec=found.spec | ({"member": member} if member else {}), delivery=delivery, table=found.table,
        whole=found.whole and len(inside) == 1, damaged=found.damaged, notes=found.notes, unit=found.unit,
    )  # fmt: skip


def _unpacked(path: Path, scratch: Path) -> tuple[Sequence[Any], str | None]:
    """Unpack the members of the first format that has any; also return `file.member` where others lie beside."""
    if path.name.lower().endswith(".gz") and not path.name.lower().endswith(".tar.gz"):
        return sources([path], FileSpec(), Settings.from_environment().limits, scratch), None
    refusal: ChengxinError | None = None
    for layout in ("csv", "xlsx", "xls", "json", "xml", "tsv", "jsonl"):
        for suffix in SUFFIXES[layout]:
            member = "*" + "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in suffix)
            folder = scratch / f"in-{layout}{suffix}"
            spec = FileSpec.model_validate({"format": layout, "member": member})
            try:
                found = sources([path], spec, Settings.from_environment().limits, folder)
            except ChengxinError as error:
                refusal = error
                continue
            return found, _member_needed(path, layout, suffix, scratch)
    raise refusal or DeliveryCorrupt(f"压缩包 {path.name} 里没有可读的数据文件")


def _member_needed(path: Path, layout: str, suffix: str, scratch: Path) -> str | None:
    """Return the glob that a contract must state because other files lie in the archive, None where it need not."""
    try:
        sources(
            [path], FileSpec.model_validate({"format": layout}), Settings.from_environment().limits, scratch / "all"
        )
    except ChengxinError:
        return f"*{suffix}"
    finally:
        shutil.rmtree(scratch / "all", ignore_errors=True)
    return None


def _sampled(path: Path, name: str, delivery: dict[str, Any], scratch: Path, notes: tuple[str, ...] = ()) -> Sample:
    found = describe(path)
    chosen = found.spec()
    notes = (*notes, *found.notes)
    if found.alternatives and found.confidence < 0.9:
        notes = (*notes, f"编码很可能是 {found.encoding}，也可能是 {'、'.join(found.alternatives)}：请看中文是否正常")
    spec = FileSpec.model_validate(chosen)
    with _shortened(path, spec, scratch) as (shorter, whole), _naming_top_keys(path, spec):
        tables, rows, damaged = [], 0, 0
        for chunk in _chunks(shorter, spec):
            tables.append(chunk.table)
            rows, damaged = rows + chunk.table.num_rows, damaged + len(chunk.damaged)
            if rows >= ROWS:
                whole = False
                break
    table = pa.concat_tables(tables, promote_options="default") if tables else pa.table({})
    kept = [n for n in table.column_names if n.strip()]
    if table.num_rows == 0 or not kept:
        told = "；JSON 的记录应写成对象的数组：[{列名: 值}, ...]" if spec.format == "json" else ""
        raise DeliveryCorrupt(f"文件 {name} 里没有读到数据行，无法起草{told}")
    stated = [stated_unit(line) for line in above(path, spec)]
    unit = next((unit.declared for unit in stated if unit and unit.declared), None)
    return Sample(
        name=name,
        spec=chosen,
        delivery=delivery,
        table=table.select(kept).combine_chunks(),
        whole=whole,
        damaged=damaged,
        notes=notes,
        unit=unit,
    )


@contextmanager
def _naming_top_keys(path: Path, spec: FileSpec) -> Iterator[None]:
    """Add the names at the top of a JSON document to why it has no records: nobody has agreed on any yet."""
    try:
        yield
    except DeliveryMismatch as fault:
        top: Any = None
        if spec.format == "json" and path.stat().st_size < _MIDDLE:
            with suppress(ValueError):
                top = json.loads(path.read_bytes().decode(spec.encoding if spec.encoding != "auto" else "utf-8"))
        if not isinstance(top, dict):
            raise
        names = "、".join([name for name in top if _FIELD.fullmatch(name)][:8]) or "对象"
        raise DeliveryCorrupt(f"{fault}（样本顶层有 {names}：是失败的回答、没有记录，或记录不是对象的数组）") from fault


def _chunks(path: Path, spec: FileSpec) -> Iterator[Any]:
    for piece in plan(path, spec):
        yield from read(piece, spec)


@contextmanager
def _shortened(path: Path, spec: FileSpec, scratch: Path) -> Iterator[tuple[Path, bool]]:
    """Give the beginning and some lines of the middle of a large file of lines; other formats are read as they are."""
    size = path.stat().st_size
    if size <= 2 * _HEAD or spec.format not in _LINES or spec.encoding == "utf-16":
        yield path, True
        return
    shorter = scratch / "shortened"
    with path.open("rb") as whole, shorter.open("wb") as out:
        head = whole.read(_HEAD)
        out.write(head[: head.rfind(b"\n") + 1])
        whole.seek(size // 2)
        middle = whole.read(_MIDDLE)
        out.write(middle[middle.find(b"\n") + 1 : middle.rfind(b"\n") + 1])
    yield shorter, False
    shorter.unlink()


def _interface(url: str, scratch: Path, connection: str | None = None) -> Sample:
    from chengxin.connectors.sample import sample_url

    parts = urlsplit(url)
    path = sample_url(url, scratch)
    options: dict[str, Any] = {"connection": connection or "todo_api", "path": parts.path, "page_size": 0}
    notes = ["接口只看了一页：分页方式、总数、增量参数请按接口文档写入 delivery.options"]
    if connection is None:
        notes.append("接口地址写在环境变量 CHENGXIN_CONN_TODO_API（连接名 todo_api 请改），合同里只写连接名")
    if parts.query:
        names = "、".join(sorted({pair.split("=")[0] for pair in parts.query.split("&")}))
        notes.append(f"网址带有参数 {names}：固定的写入 query，凭据写入 query_env 或 headers_env，值都没有抄进草稿")
    return _sampled(path, unquote(parts.path.rstrip("/").rsplit("/", 1)[-1]) or "page",
        {"connector": "http_api", "options": options}, scratch, tuple(notes))  # fmt: skip


def _named(place: str, scratch: Path) -> Sample:
    from chengxin.connectors import sample
    from chengxin.connectors.base import connection_url

    connection, _, table = place.partition("/")
    if not connection or not table:
        raise DeliveryCorrupt("请写 connection:连接名/表名（或 connection:连接名/接口路径）")
    if sample.is_http(connection):
        return _interface(f"{connection_url(connection).rstrip('/')}/{table}", scratch, connection)
    seen = sample.sample_table(connection, table, ROWS, scratch)
    schema, _, name = table.rpartition(".")
    options: dict[str, Any] = {"connection": connection, "table": name} | ({"schema": schema} if schema else {})
    if len(seen.key) >= 1:
        options["key"] = list(seen.key) if len(seen.key) > 1 else seen.key[0]
    found = _sampled(seen.path, table, {"connector": "database", "options": options}, scratch,
        ("增量拉取需要写 watermark（随每次变更而增大的列）",))  # fmt: skip
    return Sample(
        name=table,
        spec={"format": "csv"},
        delivery=found.delivery,
        table=found.table,
        whole=seen.whole,
        damaged=found.damaged,
        notes=found.notes,
    )
