"""From data elements to Parquet columns: the one place that defines which column of which type an element yields."""

from dataclasses import dataclass

from chengxin.model.elements import Element
from chengxin.model.kinds import Kind

_ARROW = {
    "date": "date32",
    "instant": "timestamp",
    "integer": "int64",
    "decimal": "decimal6",
    "year": "int32",
    "flag": "bool",
}
_SQL = {
    "string": "VARCHAR",
    "date32": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "int64": "BIGINT",
    "int32": "INTEGER",
    "decimal2": "DECIMAL(18,2)",
    "decimal6": "DECIMAL(18,6)",
    "bool": "BOOLEAN",
}


@dataclass(frozen=True)
class ColumnSpec:
    """One Parquet column: name, type word (see `arrow_type`, `sql_type`) and the element it comes from."""

    name: str
    type: str
    element: Element | None = None
    title: str = ""

    @property
    def sql_type(self) -> str:
        """Return the DuckDB type."""
        return _SQL[self.type]


# Where a row comes from; on every row of every table.
PROVENANCE = (
    ColumnSpec("department_code", "string", title="提供部门代码"),
    ColumnSpec("dataset", "string", title="数据集"),
    ColumnSpec("batch_id", "string", title="批次"),
    ColumnSpec("source_file", "string", title="来源文件"),
    ColumnSpec("source_row", "int64", title="来源行号"),
    ColumnSpec("source_record_id", "string", title="来源记录主键"),
    ColumnSpec("source_updated_at", "timestamp", title="来源更新时间"),
    ColumnSpec("received_at", "timestamp", title="接收时间"),
)


def element_columns(element: Element) -> list[ColumnSpec]:
    """Return the Parquet columns of one element."""
    if element.type == "money":
        return [
            ColumnSpec(f"{element.id}_yuan", "decimal2", element, f"{element.title}（元）"),
            ColumnSpec(f"{element.id}_currency_code", "string", element, f"{element.title}币种"),
            ColumnSpec(f"{element.id}_raw", "string", element, f"{element.title}（原文）"),
        ]
    return [ColumnSpec(element.id, _ARROW.get(element.type, "string"), element, element.title)]


def kind_columns(kind: Kind) -> list[ColumnSpec]:
    """Return the business columns of a kind's table, in order, without provenance and subject."""
    return [column for element in kind.element_list() for column in element_columns(element)]


def arrow_type(word: str) -> "object":
    """Return the pyarrow type of a type word."""
    import pyarrow as pa

    return {
        "string": pa.string(),
        "date32": pa.date32(),
        "timestamp": pa.timestamp("us", "UTC"),
        "int64": pa.int64(),
        "int32": pa.int32(),
        "decimal2": pa.decimal128(18, 2),
        "decimal6": pa.decimal128(18, 6),
        "bool": pa.bool_(),
    }[word]
