"""The subject tables of a draft: for each touched part, what the registry says of its subjects, in today's version."""

from pathlib import Path

import duckdb
import pyarrow as pa

from chengxin.dataset.origins import FILES_BITS, Origins, split_by_part
from chengxin.dataset.tables import table_schema
from chengxin.resolve.registry import Registry
from chengxin.resolve.session import literal, parquet
from chengxin.store.manifest import FileEntry
from chengxin.store.parquet import write_parquet


def write(
    connection: duckdb.DuckDBPyConnection,
    registry: Registry,
    origins: Origins,
    last_order: int,
    folder: Path,
    new_files: dict[str, list[FileEntry]],
    replaced: dict[str, set[str]],
) -> None:
    """Write subject, subject_identifier and subject_name for the parts that admissions after `last_order` touch."""
    fresh = Registry(registry.layout, tuple(a for a in registry.admissions if a.order > last_order))
    touched = _touched(connection, fresh)
    if not touched:
        return
    _origin_of_files(connection, registry, origins)
    parts = ", ".join(map(literal, sorted(touched)))
    for name in ("subjects", "identifiers", "names"):
        files = registry.files(name)
        source = parquet(files).replace("union_by_name", "filename = true, union_by_name") if files else None
        rows = f"""SELECT r.*, f.first + (r.row_id >> {FILES_BITS}) AS origin, f.adm_order,
                r.row_id & ((1::BIGINT << {FILES_BITS}) - 1) AS source_row
            FROM {source} r JOIN registry_files f USING (filename) WHERE part IN ({parts})"""
        empty = f"SELECT *, 0::BIGINT AS origin, 0::BIGINT AS adm_order, 0::BIGINT AS source_row FROM registry_{name}"
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {name}_here AS {rows if source else empty}")
    for table, query in (("subject", _SUBJECT), ("subject_identifier", _IDENTIFIER), ("subject_name", _NAME)):
        files_written = _write_table(connection, table, query, origins, folder)
        new_files.setdefault(table, []).extend(files_written)
        replaced.setdefault(table, set()).update(touched)


_SUBJECT = """SELECT subject_id, min(part) AS part,
        arg_max(subject_type, (version_at, adm_order, row_id)) AS subject_type,
        arg_max(name, (version_at, adm_order, row_id)) AS name,
        arg_max(uscc, (version_at, adm_order, row_id)) AS uscc,
        arg_max(region_code, (version_at, adm_order, row_id)) AS region_code,
        arg_max(status_code, (version_at, adm_order, row_id)) AS status_code,
        arg_max(born_on, (version_at, adm_order, row_id)) AS born_on,
        arg_max(origin, (version_at, adm_order, row_id)) AS origin,
        arg_max(source_row, (version_at, adm_order, row_id)) AS source_row,
        NULL::VARCHAR AS source_record_id, NULL::TIMESTAMPTZ AS source_updated_at
    FROM subjects_here GROUP BY subject_id ORDER BY part, subject_id"""
_IDENTIFIER = """SELECT subject_id, min(part) AS part, identifier_type, identifier_value,
        NULL::DATE AS valid_from_on, NULL::DATE AS valid_to_on,
        arg_min(origin, (adm_order, row_id)) AS origin, arg_min(source_row, (adm_order, row_id)) AS source_row,
        NULL::VARCHAR AS source_record_id, NULL::TIMESTAMPTZ AS source_updated_at
    FROM identifiers_here GROUP BY subject_id, identifier_type, identifier_value
    ORDER BY part, subject_id, identifier_type, identifier_value"""
_NAME = """SELECT n.subject_id, min(n.part) AS part, arg_min(n.name, (n.adm_order, n.row_id)) AS name, n.name_key,
        max(n.valid_from_on) AS valid_from_on,
        CASE WHEN n.name_key = any_value(c.name_key) THEN NULL ELSE max(n.valid_to_on) END AS valid_to_on,
        coalesce(n.name_key = any_value(c.name_key), false) AS is_current,
        arg_min(n.origin, (n.adm_order, n.row_id)) AS origin,
        arg_min(n.source_row, (n.adm_order, n.row_id)) AS source_row,
        NULL::VARCHAR AS source_record_id, NULL::TIMESTAMPTZ AS source_updated_at
    FROM names_here n LEFT JOIN (
        SELECT subject_id, arg_max(name_key, (version_at, adm_order, row_id)) AS name_key
        FROM subjects_here GROUP BY subject_id) c USING (subject_id)
    GROUP BY n.subject_id, n.name_key ORDER BY part, subject_id, name_key"""


def _touched(connection: duckdb.DuckDBPyConnection, fresh: Registry) -> set[str]:
    files = [f for t in ("subjects", "identifiers", "names") for f in fresh.files(t)]
    selects = " UNION ".join(f"SELECT part FROM {parquet([f])}" for f in files)
    return {r[0] for r in connection.execute(selects).fetchall()} if files else set()


def _origin_of_files(connection: duckdb.DuckDBPyConnection, registry: Registry, origins: Origins) -> None:
    connection.execute("CREATE OR REPLACE TEMP TABLE registry_files (filename VARCHAR, first BIGINT, adm_order BIGINT)")
    rows = []
    for a in registry.admissions:
        for name in ("subjects", "identifiers", "names"):
            path = registry.layout.links(a.dataset, a.batch_id, a.revision) / f"{name}.parquet"
            rows.append((str(path), origins.first[a.dataset, a.batch_id], a.order))
    connection.executemany("INSERT INTO registry_files VALUES (?, ?, ?)", rows)
    registry.attach(connection)


def _write_table(
    connection: duckdb.DuckDBPyConnection, table: str, query: str, origins: Origins, folder: Path
) -> list[FileEntry]:
    schema = table_schema(table)
    files: list[FileEntry] = []
    part: str | None = None
    held: list[pa.RecordBatch] = []

    def flush() -> None:
        if part is not None and held:
            entry = write_parquet(held, folder / table, table=table, part=part, schema=schema)
            files.extend([entry] if entry else [])

    for batch in connection.sql(query).to_arrow_reader(20_480):
        for name, rows in split_by_part(batch):
            if name != part:
                flush()
                part, held = name, []
            columns = {n: rows.column(n) for n in rows.schema.names} | origins.columns(rows.column("origin"))
            held.append(pa.RecordBatch.from_arrays([columns[f.name].cast(f.type) for f in schema], schema=schema))
    flush()
    return files
