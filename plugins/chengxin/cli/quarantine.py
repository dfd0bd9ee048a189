"""The quarantine command: refused rows, what became of them, export, and replay after a contract was corrected."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin import pipeline
from chengxin.contracts.derivation import replayed
from chengxin.contracts.models import Contract
from chengxin.errors import ContractError
from chengxin.feedback import words
from chengxin.feedback.answers import refusals
from chengxin.feedback.outcomes import Outcome
from chengxin.feedback.spreadsheet import write_sheets
from chengxin.home import Home
from chengxin.model.elements import elements
from chengxin.model.rules import rules
from chengxin.records.refused import OpenRefusals, Standing

if TYPE_CHECKING:
    from chengxin.cli.context import Context

_HEADS = (
    "批次",
    "来源文件",
    "行号",
    "记录标识",
    "问题字段",
    "问题说明",
    "更正办法",
    "规则代码",
    "更正批次",
    "人工办结",
    "原文",
)
_NAMES = (
    "batch_id",
    "source_file",
    "source_row",
    "record",
    "columns",
    "problem",
    "remedy",
    "rules",
    "mended_by",
    "closed",
    "raw",
)


def quarantine(home: Home, contract: Contract, batch_id: str | None, limit: int, *, raw: bool) -> dict[str, Any]:
    """Return refused rows with file, row, every reason in words and the batch that mended them; raw text on request."""
    shown: list[dict[str, Any]] = []
    batches: list[dict[str, Any]] = []
    states: list[Standing] = []
    with ExitStack() as stack:
        found, rows, standing = _looked_up(home, stack, contract)
        for outcome in found:
            batch = outcome.batch
            if batch_id not in {None, batch.batch_id} or replayed(batch):
                continue
            if outcome.account is None:
                why = [{"rule": f.rule, "zh": f.message} for f in outcome.verdict.findings if f.severity == "critical"]
                shown.append({"batch_id": batch.batch_id, "file": None, "row": None, "held": True, "reasons": why})
            state = standing.get(batch.batch_id)
            if rows is None or state is None:
                continue
            states.append(state)
            told = {"refused": state.refused, "open": state.open, "overtaken": state.overtaken, "again": state.again}
            batches.append(
                {"batch_id": batch.batch_id, **told, "mended": dict(state.mended), "closed": dict(state.closed)}
            )
            mended = dict(zip(*(c.to_pylist() for c in rows.where(batch.batch_id).columns), strict=True))
            by_hand = rows.by_hand(batch.batch_id)
            wanted = None if not limit else limit - len(shown)
            if wanted is None or wanted > 0:
                shown += _rows(batch.batch_id, rows.rows(batch.batch_id, wanted), (mended, by_hand), raw)
    total, still = sum(s.refused for s in states), sum(s.open for s in states)
    return {
        "dataset": contract.id,
        "title": contract.title,
        "total": total,
        "open": still,
        "batches": batches,
        "rows": shown,
    }


def _looked_up(
    home: Home, stack: ExitStack, contract: Contract
) -> tuple[list[Outcome], OpenRefusals | None, dict[str, Standing]]:
    found = pipeline.outcomes(home, contract)
    everything = refusals(home, contract, found)
    if not everything.refused:
        return found, None, {}
    rows = stack.enter_context(everything.opened())
    return found, rows, rows.standing()


def _rows(
    batch_id: str, table: pa.Table, settled: tuple[Mapping[int, str], Mapping[int, str]], raw: bool
) -> list[dict[str, Any]]:
    mended, by_hand = settled
    rows = []
    for row in table.to_pylist():
        entry = {
            "batch_id": batch_id,
            "file": row["source_file"],
            "row": row["source_row"],
            "mended_by": mended.get(row["row_id"]),
            "closed": by_hand.get(row["row_id"]),
            "reasons": [reason_in_words(r) for r in row["reasons"]],
        }
        rows.append({**entry, "raw": row["raw"]} if raw else entry)
    return rows


def reason_in_words(reason: Mapping[str, str]) -> dict[str, Any]:
    """Spell out one reason: which field, what is wrong, what to do."""
    rule = rules()[reason["rule"]]
    element = elements().get(reason["element"])
    title = element.title if element else ""
    problem, remedy = words.sentences(rule.id, reason["element"])
    return {
        "rule": rule.id,
        "element": reason["element"],
        "column": reason["source_column"],
        "title": title,
        "zh": f"{problem}。{remedy}".replace("。。", "。"),
        "en": f"{rule.en.format(title=title or 'row')} {rule.mend_en.format(title=title or 'row')}",
    }


def export(home: Home, contract: Contract, batch_id: str | None, target: Path) -> dict[str, Any]:
    """Write all refused rows with their raw text into a CSV, JSON Lines or Parquet file; return how many."""
    writers = {".csv": _to_csv, ".jsonl": _to_jsonl, ".parquet": _to_parquet}
    if target.suffix not in writers:
        raise ContractError(f"不支持导出为“{target.suffix}”；文件名请以 {'、'.join(writers)} 结尾")
    count = 0

    def counted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        nonlocal count
        for batch in batches:
            count += batch.num_rows
            yield batch

    with ExitStack() as stack:
        _, rows, standing = _looked_up(home, stack, contract)
        ids = [b for b in standing if batch_id in {None, b}]
        files = writers[target.suffix](counted(_everything(rows, ids)), target)
    return {"dataset": contract.id, "rows": count, "files": [str(f) for f in files]}


def _everything(rows: OpenRefusals | None, batch_ids: list[str]) -> Iterator[pa.RecordBatch]:
    for batch_id in batch_ids if rows else ():
        assert rows is not None
        told = words.explained((rule, element) for rule in rules() for element in ("", *elements()))
        for batch in rows.everything(batch_id, told):
            yield pa.RecordBatch.from_arrays([pa.repeat(batch_id, batch.num_rows), *batch.columns], names=_NAMES)


def _to_csv(batches: Iterator[pa.RecordBatch], target: Path) -> list[Path]:
    names = write_sheets(batches, _HEADS, target.parent, target.stem)
    return [target.parent / n for n in names]


def _to_jsonl(batches: Iterator[pa.RecordBatch], target: Path) -> list[Path]:
    with target.open("w", encoding="utf-8") as stream:
        for batch in batches:
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())
    return [target]


def _to_parquet(batches: Iterator[pa.RecordBatch], target: Path) -> list[Path]:
    schema = pa.schema([(n, pa.int64() if n == "source_row" else pa.string()) for n in _NAMES])
    with pq.ParquetWriter(target, schema) as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))
    return [target]


def close(
    context: "Context", contract: Contract, batch_id: str, rows: Sequence[str], *, by: str, reason: str, reopen: bool
) -> dict[str, Any]:
    """Settle refused rows by hand (reopen: let them wait again), and tell the department."""
    landed = pipeline.batch(context.home, contract.id, batch_id)
    done = pipeline.close(context.home, contract, landed, rows, by=by, reason=reason, reopen=reopen)
    pipeline.answer(context.home, contract)
    state = quarantine(context.home, contract, batch_id, 1, raw=False)
    counts = {"changed": done.changed, "already": done.already, "total": state["total"], "open": state["open"]}
    return {"dataset": contract.id, "batch_id": batch_id, "reopened": reopen, **counts}


def replay(context: "Context", contract: Contract, batch_id: str | None) -> dict[str, Any]:
    """Replay refused rows under the present contract, take them in, settle, publish and answer."""
    from chengxin.cli.work import ingest_pending

    landed = pipeline.replay(context.home, contract, batch_id)
    result = ingest_pending(context, contract)
    told = [
        {
            "batch_id": r.batch_id,
            "checked": r.checked,
            "passed": r.passed,
            "replay": r.batch.batch_id if r.batch else None,
        }
        for r in landed
    ]
    return {**result, "replays": told}
