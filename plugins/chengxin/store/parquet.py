"""Data files: Parquet written the same way everywhere, so that the same rows give the same bytes.

zstd, row groups of 20,480 rows (one subject is then found by reading one of them), dictionaries only for columns that
repeat. Bytes depend on the rows, their order and the pyarrow version only, never on how the rows came in batches.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.store import cipher
from chengxin.store.atomic import BUILDING, naming, sha256_file
from chengxin.store.manifest import ColumnEntry, FileEntry

ROW_GROUP = 20_480
_ZSTD_LEVEL = 1
_SAMPLE = 4_096
_REPEATS = 0.4  # a column whose first rows have relatively fewer distinct values than this gets a dictionary


def write_parquet(
    source: pa.Table | pa.RecordBatchReader | Iterable[pa.RecordBatch],
    folder: Path,
    *,
    table: str,
    part: str,
    schema: pa.Schema | None = None,
    extra: Mapping[str, Any] | None = None,
    key: bytes | None = None,
) -> FileEntry | None:
    """Write rows to `<folder>/<part>-<sha12>.parquet` and describe the file; None when there is no row.

    source: rows in their final order, streamed; memory is bounded by a few row groups. schema: needed when `source` is
    a bare iterable. key: encrypt the file (`cipher`); its bytes then differ each time. The file is complete and renamed
    when this returns; fsync is the commit's work.
    """
    columns = schema if schema is not None else source.schema  # type: ignore[union-attr]
    batches = source.to_batches() if isinstance(source, pa.Table) else source
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{BUILDING}{part}.parquet"
    salt = cipher.salt() if key else None
    try:
        with naming(temporary):
            rows, low, high = _stream(
                temporary, columns.remove_metadata(), batches, cipher.encryption(key, salt) if key else None
            )
        if not rows:
            temporary.unlink(missing_ok=True)
            return None
        digest = sha256_file(temporary)
        name = f"{part}-{digest[:12]}.parquet"
        size = temporary.stat().st_size
        temporary.rename(folder / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return FileEntry(
        table, part, name, rows, size, digest, low, high, {**(extra or {}), **({cipher.SALT: salt} if salt else {})}
    )


def _stream(
    path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], encryption: Any | None
) -> tuple[int, int | None, int | None]:
    rows = 0
    low: int | None = None
    high: int | None = None
    writer: pq.ParquetWriter | None = None
    try:
        for block in _blocks(schema, batches):
            writer = writer or _writer(path, block, encryption)
            writer.write_table(block, row_group_size=ROW_GROUP)
            rows += block.num_rows
            if "subject_id" in schema.names:
                bounds = pc.min_max(block.column("subject_id")).as_py()
                if bounds["min"] is not None:
                    low = bounds["min"] if low is None else min(low, bounds["min"])
                    high = bounds["max"] if high is None else max(high, bounds["max"])
    finally:
        if writer is not None:
            writer.close()
    return rows, low, high


def _blocks(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cut the stream into tables of whole row groups in one chunk each: page limits then depend on the rows alone.

    Only the rows of a group that lies in several batches are copied.
    """
    held: list[pa.Table] = []
    count = 0
    for batch in batches:
        rows = _table(batch, schema)
        if count + rows.num_rows < ROW_GROUP:
            held.append(rows)
            count += rows.num_rows
            continue
        if count:
            missing = ROW_GROUP - count
            yield pa.concat_tables([*held, rows.slice(0, missing)]).combine_chunks()
            rows = rows.slice(missing)
        whole = rows.num_rows - rows.num_rows % ROW_GROUP
        if whole:
            yield rows.slice(0, whole)
        held, count = [rows.slice(whole)], rows.num_rows - whole
    if count:
        yield pa.concat_tables(held).combine_chunks()


def _table(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    rows = pa.Table.from_batches([batch.replace_schema_metadata(None)])
    return rows if rows.schema.equals(schema) else rows.select(schema.names).cast(schema)


def _writer(path: Path, first: pa.Table, encryption: Any | None) -> pq.ParquetWriter:
    """Open a file whose encodings follow from its first row group.

    Statistics serve to leave out row groups: numbers and days are searched for, texts are not; of a column without a
    value they say just that.
    """
    group = first.slice(0, ROW_GROUP)
    empty = {name for name in group.schema.names if group.column(name).null_count == group.num_rows}
    head = group.slice(0, _SAMPLE)
    limit = max(1, int(head.num_rows * _REPEATS))
    candidates = [f.name for f in head.schema if f.name not in empty and not pa.types.is_boolean(f.type)]
    repeating = [name for name in candidates if pc.count_distinct(head.column(name)).as_py() <= limit]
    told = [f.name for f in head.schema if f.name in empty or not pa.types.is_string(f.type)]
    return pq.ParquetWriter(
        path,
        first.schema,
        version="2.6",
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        use_dictionary=repeating or False,
        data_page_version="1.0",
        write_statistics=told or False,
        write_batch_size=_SAMPLE,
        encryption_properties=encryption,
    )


def column_entries(schema: pa.Schema, titles: Mapping[str, str]) -> tuple[ColumnEntry, ...]:
    """Describe an Arrow schema for a manifest."""
    return tuple(ColumnEntry(field.name, str(field.type), titles.get(field.name, "")) for field in schema)


def arrow_schema(columns: Iterable[ColumnEntry]) -> pa.Schema:
    """Rebuild the Arrow schema that a manifest describes."""
    return pa.schema([(column.name, _types()[column.type]) for column in columns])


@cache
def _types() -> dict[str, pa.DataType]:
    known = [
        pa.string(), pa.int64(), pa.int32(), pa.bool_(), pa.date32(), pa.timestamp("us", "UTC"), pa.binary(),
        pa.float64(), pa.decimal128(18, 2), pa.decimal128(18, 6),
    ]  # fmt: skip
    return {str(kind): kind for kind in known}


def footer_problem(
    path: Path, entry: FileEntry, columns: Iterable[ColumnEntry], *, key: bytes | None = None
) -> str | None:
    """Describe what is wrong with a data file's footer (rows, columns, types), in Chinese; None when all is right."""
    try:
        metadata = pq.read_metadata(path, decryption_properties=cipher.decryption(entry, key))
    except (pa.ArrowInvalid, OSError) as error:
        return f"{entry.table}/{entry.name}：不是完整的 Parquet 文件（{type(error).__name__}）"
    if metadata.num_rows != entry.rows:
        return f"{entry.table}/{entry.name}：文件有 {metadata.num_rows} 行，清单记为 {entry.rows} 行"
    found = column_entries(metadata.schema.to_arrow_schema(), {})
    if [(c.name, c.type) for c in found] != [(c.name, c.type) for c in columns]:
        return f"{entry.table}/{entry.name}：列或类型与清单不符"
    return None
