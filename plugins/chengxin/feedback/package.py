"""Build the answer to one batch: a folder that is the same whenever it is built from the same state.

<home>/feedback/<dataset>/<batch>/<revision>/
回执.txt 回执.json 需更正.csv 需更正.xlsx 待关联.csv 未采用的值.csv              for people
被取代.csv 主键相同.csv 名称不符.csv 已更正.csv
rows.parquet                          for tables and callbacks
sent.json                             when it was handed over, and where
"""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.connectors.files.corrections import place_of_return
from chengxin.connectors.receivers import RECEIPT, ROW_COLUMNS, Answer
from chengxin.feedback import receipt as receipts
from chengxin.feedback import refused_rows, words
from chengxin.feedback.contradictions import named_otherwise, same_number
from chengxin.feedback.outcomes import Outcome
from chengxin.feedback.spreadsheet import write_sheets
from chengxin.feedback.superseded import corrected, overtaken
from chengxin.feedback.unused_values import untaken
from chengxin.records.match_keys import RowKeys
from chengxin.records.refused import BatchParts, OpenRefusals
from chengxin.store import atomic

PAGE, ROWS = "回执.txt", "rows.parquet"
SCHEMA = pa.schema([(n, pa.int64() if n == "source_row" else pa.string()) for n in ROW_COLUMNS])
_UNTAKEN_HEADS = ("来源文件", "行号", "记录标识", "问题字段", "规则代码", "问题说明", "更正办法")
_WAITING_HEADS = ("来源文件", "行号", "记录标识", "说明", "处理办法", "规则代码")
_ISSUE = ("level", "rule", "element", "source_column")
_FOLLOWS = pa.array(["subject.identifiers_invalid", "field.required_unusable"])  # the other issues of the row are why
_PLACES = 5
_FORBIDDEN = re.compile(r'[\\/:*?"<>|\x00-\x1f\s]+')


def build(
    target: Path,
    body: Mapping[str, Any],
    *,
    revision: int,
    outcome: Outcome,
    rows: OpenRefusals | None,
    parts: BatchParts,
    keys: RowKeys,
    contact: str | None = None,
    before: Mapping[str, Any] | None = None,
) -> None:
    """Write the package of a batch's revision. rows: None when no row was refused and none waits.

    keys: what names a record of the data set. contact: whom the department asks. before: the receipt of the answer
    before this one.
    """
    own = words.OwnWords.of(keys.contract)
    with atomic.building(target) as folder:
        files: tuple[str, ...] = ()
        batch_id = outcome.batch.batch_id
        with pq.ParquetWriter(folder / ROWS, SCHEMA) as writer:
            if rows is not None and body["refused"]["open"]:
                files += refused_rows.write(
                    folder, rows, batch_id, writer, keys=keys, open_rows=body["refused"]["open"]
                )
            if rows is not None and outcome.account and outcome.account.unlinked:
                files += _waiting(folder, rows, outcome, writer, body["waits"])
            lost = {words.UNTAKEN: 0, words.OVERTAKEN: 0, words.SAME_NUMBER: 0, words.MISNAMED: 0, words.CORRECTED: 0}
            if outcome.account:
                lines = {
                    words.UNTAKEN: untaken(parts.issues, keys, own),
                    words.OVERTAKEN: overtaken(parts.links, parts.standard, keys),
                    words.SAME_NUMBER: same_number(parts.links, parts.standard, keys),
                    words.MISNAMED: named_otherwise(parts.links, parts.standard, keys),
                    words.CORRECTED: corrected(parts.links, parts.standard, keys),
                }
                for category, told in lines.items():
                    listed, lost[category] = _listed(folder, category, told, writer)
                    files += listed
        made = {name: atomic.sha256_file(folder / name) for name in files}
        number = {"id": f"{batch_id}-r{revision}", "revision": revision, "files": made}
        receipt = {**body, **number, "problems": problems(parts.issues, own)}
        receipt |= {"send_back": place_of_return(keys.contract)}
        receipt |= (
            {"contact": keys.contract.feedback.contact or contact} if keys.contract.feedback.contact or contact else {}
        )
        receipt |= {"since": receipts.changes(before, body)} if before else {}
        receipt |= {"untaken": lost[words.UNTAKEN], "overtaken": lost[words.OVERTAKEN]}
        receipt |= {"same_number": lost[words.SAME_NUMBER], "misnamed": lost[words.MISNAMED]}
        receipt |= {"corrected": lost[words.CORRECTED]} if lost[words.CORRECTED] else {}
        todo = receipts.todo(receipt)
        receipt |= {"made_of": made_of(body), "todo": todo, "advice": "".join(todo)}
        atomic.write_json(folder / RECEIPT, receipt)
        text = receipts.page(receipt).replace("\n", "\r\n")
        atomic.write_bytes(folder / PAGE, b"\xef\xbb\xbf" + text.encode())


def made_of(body: Mapping[str, Any]) -> str:
    """Return a digest of a receipt's body: while it stays the same, the receipt does."""
    return hashlib.sha256(json.dumps(body, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def problems(issues: Sequence[Path], own: words.OwnWords = words.OURS) -> list[dict[str, Any]]:
    """Count the issues of the values of a batch by rule and field, most frequent first, with the first places."""
    counted: Counter[tuple[str, ...]] = Counter()
    places: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for path in issues:
        table = pq.read_table(path, columns=[*_ISSUE, "source_file", "source_row"])
        table = table.filter(pc.invert(pc.is_in(table["rule"], value_set=_FOLLOWS)))
        for key, rows in _grouped(table):
            counted[key] += len(rows)
            for n in rows[: _PLACES - len(places[key])].tolist():
                places[key].append({"file": table["source_file"][n].as_py(), "row": table["source_row"][n].as_py()})
    found = []
    for key, n in sorted(counted.items(), key=lambda p: (-p[1], p[0])):
        level, rule, element, column = key
        problem, remedy = words.sentences(rule, element, own)
        told = {"rule": rule, "level": level, "column": column, "times": n, "problem": problem, "remedy": remedy}
        found.append({**told, "places": places[key]})
    return found


def _grouped(table: pa.Table) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """Yield each (level, rule, element, column) with the numbers of its rows, ascending."""
    keys = table.select(_ISSUE).append_column("n", pa.array(np.arange(table.num_rows)))
    for group in keys.group_by(list(_ISSUE)).aggregate([("n", "list")]).to_batches():
        for n in range(group.num_rows):
            yield tuple(group[c][n].as_py() for c in _ISSUE), np.sort(group["n_list"][n].values.to_numpy())


def _waiting(
    folder: Path, rows: OpenRefusals, outcome: Outcome, writer: pq.ParquetWriter, waits: Mapping[str, Any]
) -> tuple[str, ...]:
    account = outcome.account
    assert account is not None
    suggested = rows.waiting_suggested(account)

    def explained() -> Iterator[pa.RecordBatch]:
        for batch in rows.waiting(account):
            told = _why_waiting(batch, waits)
            codes = [suggested.get(row) for row in batch["row_id"].to_pylist()]
            pairs = zip(told[2].to_pylist(), codes, strict=True)
            told[2] = pa.array([t + words.SUGGESTED.format(code=c) if c else t for t, c in pairs], pa.string())
            category = pa.repeat(words.WAITING, batch.num_rows)
            place = [batch["source_file"], batch["source_row"], batch["label"]]
            nothing = pa.nulls(batch.num_rows, pa.string())
            table = [category, *place, nothing, told[0], told[1], told[2]]
            writer.write_table(pa.Table.from_arrays(table, schema=SCHEMA))
            columns = [*place, told[1], told[2], told[0]]
            yield pa.RecordBatch.from_arrays(columns, names=[str(n) for n in range(len(columns))])

    return write_sheets(explained(), _WAITING_HEADS, folder, words.WAITING)


def _listed(
    folder: Path, category: str, lines: Iterable[pa.RecordBatch], writer: pq.ParquetWriter
) -> tuple[tuple[str, ...], int]:
    """Write what was not taken though its row is accepted; return the files and how many lines."""
    lost = 0

    def counted_lines() -> Iterator[pa.RecordBatch]:
        nonlocal lost
        for batch in lines:
            repeated = pa.repeat(category, batch.num_rows)
            writer.write_table(pa.Table.from_arrays([repeated, *batch.columns[:7]], schema=SCHEMA))
            lost += batch.num_rows
            yield batch

    heads = [*_UNTAKEN_HEADS, *(["报送的值"] if category == words.UNTAKEN else [])]
    files = write_sheets(counted_lines(), heads, folder, category)
    return files, lost


def _why_waiting(batch: pa.RecordBatch, waits: Mapping[str, Any]) -> list[pa.Array]:
    """Return rule, problem and remedy of rows that wait."""
    which = pc.add(
        pc.if_else(batch["code_given"], pa.scalar(0, pa.int64()), pa.scalar(1, pa.int64())),
        pc.if_else(batch["related"], pa.scalar(2, pa.int64()), pa.scalar(0, pa.int64())),
    )
    cases = [(True, False), (False, False), (True, True), (False, True)]
    for place, rule in enumerate(words.CODE_KNOWN, len(cases)):
        which = pc.if_else(pc.equal(batch["rule"], rule), pa.scalar(place, pa.int64()), which)
    told = [words.of_row(rule) for rule in (*(words.WAITS[c] for c in cases), *words.CODE_KNOWN.values())]
    if not waits["over"]:
        until = words.day(waits["until"])
        told[: len(cases)] = [
            t._replace(remedy=words.WAIT[c[0]].format(day=until)) for c, t in zip(cases, told, strict=False)
        ]
    return [pa.array([getattr(t, n) for t in told], pa.string()).take(which) for n in ("rule", "before", "remedy")]


def read(folder: Path) -> Answer:
    """Return the answer that lies in a package folder."""
    receipt = atomic.read_json(folder / RECEIPT)
    name = f"{readable(receipt['delivery'])}-反馈-{_short(receipt['batch_id'])}-{receipt['revision'] + 1}"
    files = (PAGE, RECEIPT, *receipt["files"])
    return Answer(id=receipt["id"], name=name, folder=folder, files=files, rows=ROWS, summary=receipts.summary(receipt))


def readable(delivery: str) -> str:
    """Return a delivery's name as the name of a folder."""
    return _FORBIDDEN.sub("_", delivery).strip("._")[:60] or "来文"


def _short(batch_id: str) -> str:
    return hashlib.sha256(batch_id.encode()).hexdigest()[:8]
