"""When a delivery of files is complete: a marker beside it, a manifest that lists it, or files that stand still."""

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from chengxin.connectors.base import Options
from chengxin.errors import DeliveryCorrupt

# Half-written uploads of common SFTP clients, browsers and editors, and Office's lock files.
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download", ".swp", "~")
#: A manifest is a short list; anything longer is something else.
MANIFEST_BYTES = 8 << 20

_HEADERS = {
    "name": ("name", "file", "filename", "file_name", "文件", "文件名", "文件名称"),
    "size": ("size", "bytes", "length", "大小", "字节数", "文件大小"),
    "sha256": ("sha256", "sha-256"),
    "md5": ("md5",),
    "rows": (
        "rows",
        "records",
        "row_count",
        "record_count",
        "行数",
        "记录数",
        "条数",
        "数据条数",
        "记录条数",
        "数据行数",
    ),
    "digest": ("digest", "checksum", "hash", "校验值", "校验码", "摘要"),
}
_SUM = re.compile(r"^\\?([0-9a-fA-F]{64}|[0-9a-fA-F]{32})(?:\s+\*?(.+))?$")

Companion = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^/]*$")]


class Complete(Options):
    """How to tell that a delivery is complete; exactly one of the three.

    marker: name of an empty file put last, such as `{name}.ok`.
    manifest: name of a file that lists the delivery's files with size or checksum, such as `{name}.md5` or
        `清单_{date}.csv`.
    stable: seconds without a change.

    Names may hold `{name}` (the file's own), `{stem}` (without its suffix) and the fields of the pattern.
    """

    marker: Companion | None = None
    manifest: Companion | None = None
    stable: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.marker, self.manifest, self.stable)) != 1:
            raise ValueError("complete 须且只能写 marker、manifest、stable 之一")
        return self

    @property
    def companion(self) -> str | None:
        """Return the template of the file that comes with the delivery."""
        return self.marker or self.manifest


@dataclass(frozen=True)
class Listed:
    """One line of a manifest. name: None where the manifest belongs to one file and only says its checksum.

    rows: how many records the file holds, without header and totals.
    """

    name: str | None
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    rows: int | None = None


def read_manifest(data: bytes, shown: str) -> list[Listed]:
    """Read a manifest: lines of sha256sum or md5sum, JSON, or a table with a header line.

    Every line must say more than a name. Raises DeliveryCorrupt in words.
    """
    try:
        text = _text(data)
        listed = _from_json(text) if text.lstrip()[:1] in ("{", "[") else _from_sums(text) or _from_table(text)
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
        listed = []
    if not listed or any(x.size is None and x.rows is None and not (x.sha256 or x.md5) for x in listed):
        raise DeliveryCorrupt(
            f"清单“{shown}”无法识别：每行应写明文件名，以及大小、校验值（sha256、md5）或记录数；请提供部门重新投递"
        )
    return listed


def disagreement(copy: Path, listed: Listed) -> str | None:
    """Say in Chinese how a received file differs from its line of the manifest, or None."""
    size = copy.stat().st_size
    if listed.size is not None and size != listed.size:
        return f"大小为 {size} 字节，清单写的是 {listed.size} 字节"
    for algorithm, announced in (("sha256", listed.sha256), ("md5", listed.md5)):
        if announced:
            with copy.open("rb") as stream:
                # md5 guards against accidents of transmission here, not against people.
                found = hashlib.file_digest(stream, partial(hashlib.new, algorithm, usedforsecurity=False))
            if found.hexdigest() != announced.lower():
                return f"{algorithm} 与随附的校验值不一致"
    return None


def _text(data: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("neither UTF-8 nor GB18030")


def _from_sums(text: str) -> list[Listed]:
    found = []
    for line in text.splitlines():
        if not line.strip():
            continue
        match = _SUM.match(line.strip())
        if not match:
            return []
        found.append(_listed(name=match[2], digest=match[1]))
    return found


def _from_table(text: str) -> list[Listed]:
    if not text.strip():
        return []
    delimiter = max(",\t|;", key=text.lstrip().splitlines()[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter) if any(row)]
    fields = [next((f for f, names in _HEADERS.items() if head.lower() in names), "") for head in rows[0]]
    if "name" not in fields:
        return []
    return [_listed(**{f: cell for f, cell in zip(fields, row, strict=True) if f and cell}) for row in rows[1:]]


def _from_json(text: str) -> list[Listed]:
    body = json.loads(text)
    entries = body if isinstance(body, list) else body["files"]
    found = []
    for entry in entries:
        said = {f: str(v) for f, names in _HEADERS.items() for k, v in entry.items() if k.lower() in names}
        found.append(_listed(**said))
    return found


def _listed(**said: Any) -> Listed:
    digest = str(said.get("digest") or "")
    kind = {64: "sha256", 32: "md5"}.get(len(digest), "")
    if digest and not kind:
        raise ValueError("a checksum of unknown kind")
    for name, length in (("sha256", 64), ("md5", 32)):
        value = said.get(name) or (digest if kind == name else None)
        if value and not re.fullmatch(f"[0-9a-fA-F]{{{length}}}", value):
            raise ValueError("not a checksum")
        said[name] = value
    named: str | None = said.get("name")
    size = int(said["size"]) if said.get("size") is not None else None
    rows = int(said["rows"].replace(",", "")) if said.get("rows") is not None else None
    return Listed(named.removeprefix("./") if named else None, size, said["sha256"], said["md5"], rows)
