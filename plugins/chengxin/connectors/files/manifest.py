"""Read a manifest (清单): the file that lists the files of a delivery with size, checksum or number of records."""

import csv
import json
import re
from typing import Any

from chengxin.connectors.completeness import Listed
from chengxin.errors import DeliveryCorrupt

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
