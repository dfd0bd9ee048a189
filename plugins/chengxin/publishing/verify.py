"""Verify a snapshot byte by byte: digests, footers, order, ranges, damaged characters, stray files, pointer, chain."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.publishing import key as keys
from chengxin.publishing.assembly.tables import RECORD_SOURCE
from chengxin.publishing.history.table import TO
from chengxin.store import cipher, pointer
from chengxin.store.atomic import sha256_file
from chengxin.store.layout import Layout
from chengxin.store.manifest import NAME as MANIFEST
from chengxin.store.manifest import FileEntry, Manifest, TableEntry
from chengxin.store.parquet import ROW_GROUP, footer_problem

_SERVICE_FILES = {MANIFEST, pointer.CATALOGUE, pointer.MARK}
_PLACE = ("subject_id", "record_id", "batch_id", "source_file", "source_row")
_VEILED = ("subject_token", "record_handle")  # in the open tier: what persons have for subject_id and record_id
_MORE = {RECORD_SOURCE: ("dataset",)}
_DAMAGED_CHARACTER = "\ufffd"


def verify(
    layout: Layout, tier: str, snapshot_id: str | None = None, *, mark: bool = True, master: bytes | None = None
) -> list[str]:
    """Read a whole snapshot (default: the current one) and return its problems in Chinese; none = empty list.

    mark: leave DAMAGED.json in a snapshot whose content is damaged, so that readers avoid it from now on, and take the
    mark away again when nothing is wrong with it any more. master: the key with which rows of encrypted files are
    looked at; without it only their bytes are.
    """
    problems, sha256, named = _pointer_problems(layout, tier)
    target = snapshot_id or named
    if target is None:
        return problems or [f"{tier} 层尚未发布任何快照"]
    folder = layout.snapshot(tier, target)
    manifest, cheap = pointer.check(folder, sha256 if target == named else None, heed_mark=False)
    content = list(cheap)
    if manifest is not None:
        problems += _chain_problems(layout, tier, manifest)
        faulty = {problem.partition("：")[0] for problem in cheap}
        for name, table in manifest.every_table().items():
            content += _table_problems(folder, name, table, faulty, key=keys.derive(master, tier))
        content += _stray_files(folder, manifest)
    if mark:
        _settle_mark(folder, content)
    return problems + content


def _pointer_problems(layout: Layout, tier: str) -> tuple[list[str], str | None, str | None]:
    try:
        now = pointer.load(layout, tier)
    except ValueError:
        return [f"{tier} 层的指针 current.json 损坏（空文件或不完整）"], None, None
    if now is None:
        return ([f"{tier} 层的指针 current.json 缺失"] if pointer.snapshot_ids(layout, tier) else []), None, None
    return [], now.manifest_sha256, now.snapshot_id


def _chain_problems(layout: Layout, tier: str, manifest: Manifest) -> list[str]:
    if manifest.previous is None or not layout.snapshot(tier, manifest.previous).is_dir():
        return []  # the first one, or its predecessor was taken off the shelf
    try:
        sequence, _ = pointer.read_link(layout.snapshot(tier, manifest.previous))
    except ValueError:
        return [f"上一快照 {manifest.previous} 的清单读不出"]
    return [] if sequence < manifest.sequence else [f"上一快照 {manifest.previous} 的序号不小于本快照"]


def _settle_mark(folder: Path, content: list[str]) -> None:
    if content:
        pointer.mark(folder, tuple(content))
    else:
        (folder / pointer.MARK).unlink(missing_ok=True)


def _table_problems(folder: Path, name: str, table: TableEntry, faulty: set[str], *, key: bytes | None) -> list[str]:
    problems: list[str] = []
    if table.rows != sum(f.rows for f in table.files):
        problems.append(f"{name}：清单的总行数与各文件之和不等")
    for entry in table.files:
        if f"{name}/{entry.name}" in faulty:
            continue
        path = folder / name / entry.name
        if sha256_file(path) != entry.sha256:
            problems.append(f"{name}/{entry.name}：sha256 与清单不符")
        elif cipher.SALT in entry.extra and key is None:
            continue
        elif footer := footer_problem(path, entry, table.schema, key=key):
            problems.append(footer)
        else:
            problems += _row_problems(path, entry, key)
    return problems


def _row_problems(path: Path, entry: FileEntry, key: bytes | None) -> list[str]:
    found: dict[str, None] = {}
    last: pa.Table | None = None
    low: int | None = None
    high: int | None = None
    with pq.ParquetFile(path, decryption_properties=cipher.decryption(entry, key)) as file:
        for batch in file.iter_batches(batch_size=4 * ROW_GROUP, use_threads=False):
            rows = pa.Table.from_batches([batch])
            found |= dict.fromkeys(_damaged_columns(rows))
            if "subject_id" in rows.column_names:
                named = (*_PLACE, *_VEILED, *_MORE.get(entry.table, (TO,)))
                places = rows.select([name for name in named if name in rows.column_names])
                places = places if last is None else pa.concat_tables([last, places])
                found |= dict.fromkeys(_order_problems(places))
                last = _last_subject(places)
                bounds = pc.min_max(rows.column("subject_id")).as_py()
                if bounds["min"] is not None:
                    low = bounds["min"] if low is None else min(low, bounds["min"])
                    high = bounds["max"] if high is None else max(high, bounds["max"])
    if (low, high) != (entry.min_subject, entry.max_subject):
        found["subject_id 的范围与清单不符"] = None
    return [f"{entry.table}/{entry.name}：{problem}" for problem in found]


def _last_subject(rows: pa.Table) -> pa.Table:
    number, token = "subject_id", _VEILED[0]
    name = number if rows.column(number)[-1].is_valid or token not in rows.column_names else token
    return rows.filter(pc.equal(rows.column(name), rows.column(name)[-1]))


def _damaged_columns(rows: pa.Table) -> list[str]:
    return [
        f"{name} 列含有 U+FFFD（解码失败的字符）"
        for name, column in zip(rows.column_names, rows.columns, strict=True)
        if pa.types.is_string(column.type) and pc.any(pc.match_substring(column, _DAMAGED_CHARACTER)).as_py()
    ]


def _order_problems(rows: pa.Table) -> Iterator[str]:
    """Check rows that begin with all those of the subject before: subjects ascend, in each the rows of one source do.

    Which source comes first the rows do not tell. Persons of the open tier stand in the order of their tokens.
    """
    for name in ("record_id", _VEILED[1]):
        if name in rows.column_names:
            named = rows.filter(rows.column(name).is_valid())
            # one row a source of a record, one a version
            keys = [name, *(n for n in ("dataset", TO) if n in rows.column_names)]
            if named.group_by(keys).aggregate([]).num_rows < named.num_rows:
                yield f"{name} 重复"
    subject = rows.column("subject_id")
    if subject.null_count:
        token = rows.column(_VEILED[0] if _VEILED[0] in rows.column_names else "subject_id")
        if pc.any(pc.less(token.slice(1), token.slice(0, len(token) - 1))).as_py():
            yield "自然人的行未按 subject_token 排序"
        return
    if rows.num_rows < 2:
        return
    step = np.diff(np.asarray(subject))
    if (step < 0).any():
        yield "行未按 subject_id 排序"
    if TO in rows.column_names or not set(_PLACE) <= set(rows.column_names):
        return
    same = step == 0
    for name in ("batch_id", "source_file"):
        codes = rows.column(name).combine_chunks().dictionary_encode().indices
        same &= np.diff(np.asarray(codes)) == 0
    if (np.diff(np.asarray(rows.column("source_row")))[same] <= 0).any():
        yield "同一主体的行未按 source_row 排序"


def _stray_files(folder: Path, manifest: Manifest) -> list[str]:
    expected = {f"{f.table}/{f.name}" for f in manifest.files()} | _SERVICE_FILES
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    return [f"{name}：清单中没有这个文件" for name in sorted(present - expected)]
