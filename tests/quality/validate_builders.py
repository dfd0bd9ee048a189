"""Builders of a small kind, contract and standardised batch; everything invented."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.contracts.models import Contract
from chengxin.facts import StandardBatch
from chengxin.model.kinds import Kind, Role
from chengxin.model.schema import arrow_type, kind_columns

TODAY = date(2026, 11, 1)


def kind_of(**changes: Any) -> Kind:
    body: dict[str, Any] = {
        "id": "penalty_like",
        "title": "处罚样例",
        "title_en": "sample penalty",
        "catalogue_class": "样例",
        "roles": {"subject": Role(title="相对人", identity={"uscc": "uscc", "name": "subject_name"})},
        "elements": (
            "subject_name", "uscc", "decision_no", "decision_on", "valid_to_on", "fine", "authority_name",
            "decision_status_code", "remark",
        ),
        "required": ("decision_no",),
        "key": ("decision_no", "authority_name"),
        "event_on": "decision_on",
        "effective_to_on": "valid_to_on",
    }  # fmt: skip
    return Kind(**{**body, **changes})


def contract_of(**changes: Any) -> Contract:
    names = ("subject_name", "uscc", "decision_no", "decision_on", "valid_to_on", "fine", "authority_name", "remark")
    columns = [{"source": f"列{n}", "element": name} for n, name in enumerate(names)]
    body = {
        "format": 1,
        "id": "commerce_sample",
        "title": "样例处罚",
        "department": {"code": "430000001", "name": "样例局"},
        "domain": "commerce",
        "kind": "penalty_like",
        "basis": {"legal": "样例", "share": "无条件"},
        "columns": columns,
    }
    return Contract.model_validate({**body, **changes})


def rows_of(count: int) -> list[dict[str, Any]]:
    """Good rows: every field filled, keys unique."""
    return [
        {
            "subject_name": f"长沙样例{n}有限公司",
            "uscc": f"91430100MA4L{n:06d}",
            "decision_no": f"样罚〔2026〕{n}号",
            "decision_on": date(2026, 1 + n % 10, 1 + n % 28),
            "valid_to_on": date(2027, 1, 1),
            "fine_yuan": Decimal(n * 100),
            "fine_currency_code": "CNY",
            "authority_name": "样例局",
            "decision_status_code": "1",
            "remark": f"备注{n}",
        }
        for n in range(count)
    ]


def write_batch(folder: Path, rows: list[dict[str, Any]], kind: Kind, *, per_file: int = 1000) -> list[Path]:
    """Write standard-*.parquet in the shape that standardise writes."""
    schema = [("row_id", pa.int64()), ("source_file", pa.string()), ("source_row", pa.int64())]
    schema += [("source_record_id", pa.string()), ("source_updated_at", pa.timestamp("us", "UTC"))]
    schema += [(c.name, arrow_type(c.type)) for c in kind_columns(kind)]
    schema += [("subject_name_key", pa.string())]
    full = [
        {
            "row_id": n,
            "source_file": "样例.csv",
            "source_row": n + 2,
            "source_updated_at": datetime(2026, 10, 1, tzinfo=UTC),
            "subject_name_key": row.get("subject_name"),
            **row,
        }
        for n, row in enumerate(rows)
    ]
    table = pa.Table.from_pylist(full, schema=pa.schema(schema))
    paths = []
    for n in range(max(1, -(-len(rows) // per_file))):
        path = folder / f"standard-{n:05d}.parquet"
        pq.write_table(table.slice(n * per_file, per_file), path)
        paths.append(path)
    return paths


def counts_of(passed: int, quarantined: int = 0, mismatch: str | None = None) -> StandardBatch:
    return StandardBatch(
        dataset="commerce_sample",
        batch_id="commerce_sample-20261101-abc",
        received=passed + quarantined,
        passed=passed,
        quarantined=quarantined,
        rules={},
        digest="d",
        mismatch=mismatch,
    )
