"""Replay: after a contract was mended, refused rows that pass now become a batch of their own.

The rows are read from what is kept of them; a line that could not be split is read again from the received file. They
are tried in a scratch folder first, and only those that pass are landed, so nothing is refused twice.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.cleaning import run as standardising
from chengxin.cleaning.quarantine import json_lines
from chengxin.connectors import landing
from chengxin.connectors.derivation import land_replay
from chengxin.contracts.derivation import REPLAY, contract_for
from chengxin.contracts.models import Contract
from chengxin.errors import ChengxinError
from chengxin.facts import Batch, LandedFile
from chengxin.feedback.answers import refusals
from chengxin.feedback.outcomes import Outcome
from chengxin.home import Home
from chengxin.parsing.archives import sources
from chengxin.parsing.reader import plan, read
from chengxin.records.refused import OpenRefusals
from chengxin.store.scratch import scratch

log = logging.getLogger(__name__)


class Replayed(NamedTuple):
    """What became of the open refused rows of a batch: how many were checked again, how many pass, as which batch."""

    batch_id: str
    checked: int
    passed: int
    batch: Batch | None


LINES = pa.schema([("source_file", pa.string()), ("source_row", pa.int64()), ("line", pa.string())])


def replay(home: Home, contract: Contract, outcomes: Sequence[Outcome], only: str | None = None) -> list[Replayed]:
    """Land the open refused rows of admitted batches that pass under the present contract; report each such batch.

    only: this batch alone.
    """
    done: list[Replayed] = []
    everything = refusals(home, contract, outcomes)
    if not everything.refused:
        return done
    with everything.opened() as rows, scratch(home.layout.work) as folder:
        standing = rows.standing()
        for outcome in outcomes:
            batch = outcome.batch
            state = standing.get(batch.batch_id)
            if outcome.account and state and state.open and only in {None, batch.batch_id}:
                work = folder / str(len(done))
                done.append(Replayed(batch.batch_id, state.open, *_replay(home, contract, batch, rows, work)))
    return done


def _replay(home: Home, contract: Contract, batch: Batch, rows: OpenRefusals, work: Path) -> tuple[int, Batch | None]:
    payload, lines = work / "payload", work / "lines.parquet"
    payload.mkdir(parents=True)
    with pq.ParquetWriter(lines, LINES) as writer:
        damaged = _kept_lines(rows, batch.batch_id, writer)
        if damaged.num_rows:
            _read_again(home, contract, batch, damaged, unpacked=work / "unpacked", writer=writer)
    write_lines(rows.ordered(lines), payload)
    names = sorted(p.name for p in payload.iterdir())
    if not names:
        return 0, None
    files = tuple(LandedFile(n, (payload / n).stat().st_size, "") for n in names)
    trial = Batch(
        dataset=batch.dataset,
        batch_id=batch.batch_id,
        mode="incremental",
        origin=REPLAY + batch.batch_id,
        delivery=batch.delivery,
        received_at=batch.received_at,
        as_of=batch.as_of,
        files=files,
    )
    tried = standardising.run(
        contract_for(contract, trial), trial, payload, work / "standard", workers=home.settings.workers
    )
    if tried.mismatch:
        log.warning("%s：按现行合同无法重放：%s", batch.batch_id, tried.mismatch)
    if not tried.passed:
        return 0, None
    passed = sorted((work / "standard").glob("standard-*.parquet"))
    return tried.passed, land_replay(home, batch, lambda target: write_lines(rows.ordered(lines, passed), target))


def _kept_lines(rows: OpenRefusals, batch_id: str, writer: pq.ParquetWriter) -> pa.Table:
    """Write the rows that were split into fields; return (source_file, source_row) of the others."""
    damaged = []
    for batch in rows.open_rows(batch_id):
        table = pa.Table.from_batches([batch])
        damaged.append(table.filter(table["damaged"]).select(["source_file", "source_row"]))
        whole = table.filter(pc.invert(table["damaged"]))
        writer.write_table(whole.select(["source_file", "source_row", "raw"]).rename_columns(LINES.names))
    return pa.concat_tables(damaged)


def _read_again(
    home: Home, contract: Contract, batch: Batch, damaged: pa.Table, *, unpacked: Path, writer: pq.ParquetWriter
) -> None:
    """Read damaged lines from the received files under the present contract; write those that are rows now."""
    spec = contract_for(contract, batch).file
    try:
        for source in sources(landing.payload(home, batch), spec, home.limits, unpacked):
            wanted = damaged.filter(pc.equal(damaged["source_file"], source.name))["source_row"].combine_chunks()
            for piece in plan(source.path, spec) if len(wanted) else ():
                for chunk in read(piece, spec):
                    hits = pc.is_in(chunk.rows, value_set=wanted)
                    table, found = chunk.table.filter(hits), chunk.rows.filter(hits)
                    if table.num_rows and table.num_columns:
                        place = [pa.repeat(source.name, table.num_rows), found]
                        writer.write_table(pa.Table.from_arrays([*place, json_lines(table)], schema=LINES))
    except ChengxinError as error:  # what is kept of the other rows can be replayed all the same
        log.warning("%s：原文件按现行合同无法重读：%s", batch.batch_id, error)


def write_lines(batches: Iterator[pa.RecordBatch] | pa.RecordBatchReader, folder: Path) -> None:
    """Write rows, ordered by file and row, one file each; every row on the line that bears its number."""
    name, at, stream = "", 0, None
    for batch in batches:
        for part in _by_file(pa.Table.from_batches([batch])):
            if part["source_file"][0].as_py() != name:
                name, at = part["source_file"][0].as_py(), 0
                if stream:
                    stream.close()
                stream = (folder / _replay_name(name)).open("wb")
            assert stream is not None
            rows = part["source_row"].to_numpy()
            gaps = np.diff(rows, prepend=at) - 1
            empty = pc.binary_repeat(pa.scalar("\n"), pa.array(gaps, pa.int64()))
            text = pc.binary_join_element_wise(empty, pa.concat_arrays(part["line"].chunks), "\n", "")
            stream.write(b"".join(memoryview(v.as_buffer()) for v in text))
            at = int(rows[-1])
    if stream:
        stream.close()


def _by_file(table: pa.Table) -> Iterator[pa.Table]:
    """Cut a table where its source file changes."""
    runs = pc.run_end_encode(table["source_file"].combine_chunks().cast(pa.string()))
    start = 0
    for end in runs.run_ends.to_pylist() if isinstance(runs, pa.RunEndEncodedArray) else []:
        yield table.slice(start, end - start)
        start = end


def _replay_name(source_file: str) -> str:
    """Return the name under which the replayed rows of a file lie: never that of an archive, nor a path."""
    return source_file.replace("/", "／") + ".jsonl"
