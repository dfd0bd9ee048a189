"""Standardise a whole batch: pieces of its files, in this process or in a pool, into Parquet parts."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin import __version__
from chengxin.cleaning.corrections import refuse_misplaced
from chengxin.cleaning.header_place import explained, refuse_header
from chengxin.cleaning.mapper import Mapper
from chengxin.cleaning.stated.rows import doubts
from chengxin.cleaning.stated.units import check_units, odd_formats, refuse_odd_units, shown_columns
from chengxin.cleaning.worker import prepare
from chengxin.clock import SHANGHAI
from chengxin.contracts.derivation import contract_for, replayed
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import contract_digest
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch, WorkerDied
from chengxin.facts import Batch, StandardBatch, as_json
from chengxin.model.units import unit_above
from chengxin.parsing.archives import Source, sources
from chengxin.parsing.notes import TABLES
from chengxin.parsing.reader import Piece, above, headers, number_formats, plan, read, rows_of_sheet
from chengxin.parsing.shapes import CUT_OFF, Damaged, Statements
from chengxin.parsing.trailers import noted, torn
from chengxin.settings import Limits
from chengxin.store import atomic

POOL_BYTES = 64 << 20  # below this, starting processes costs more than it saves
ROW_NUMBERS = ("row_id", "source_row")
SAMPLE = 2_048  # rows


@dataclass(frozen=True)
class Task:
    """One piece of one file of a batch, ready to be sent to another process."""

    contract: Contract
    piece: Piece
    number: int
    file_no: int
    file_name: str
    today: date
    salt: str
    target: Path


#: Rows passed, rows quarantined, issues per 'level:rule', what the file states of its rows outside them, and seals of
#: the parts.
Done = tuple[int, int, Counter[str], Statements, dict[str, str]]


def standard_digest(contract: Contract) -> str:
    """Return what decides the standardised bytes: the contract and the library."""
    return f"{contract_digest(contract)}+{__version__}"


def run(
    contract: Contract, batch: Batch, payload: Path, target: Path, *, workers: int, limits: Limits | None = None
) -> StandardBatch:
    """Standardise the files of a batch into the folder `target` (replaced as a whole) and return its counts.

    Archives are unpacked beside `target` while it is built. A delivery whose archives, files or columns are not what
    the contract states ends with `mismatch` set and every row that can be counted as quarantined.
    """
    with _scratch(target) as scratch, atomic.building(target) as folder:
        found: list[Source] = []
        form = contract_for(contract, batch)
        try:
            found = sources([payload / f.name for f in batch.files], form.file, limits or Limits(), scratch)
            summary = replace(_standardised(form, batch, found, folder, workers), digest=standard_digest(contract))
        except (DeliveryMismatch, DeliveryCorrupt) as error:
            for stray in folder.iterdir():
                stray.unlink()
            received = _count_rows(form, found)
            summary = StandardBatch(
                dataset=contract.id,
                batch_id=batch.batch_id,
                received=received,
                passed=0,
                quarantined=received,
                rules={},
                digest=standard_digest(contract),
                mismatch=str(error),
            )
        summary = replace(summary, seals=summary.seals | _keep_schema(contract, folder))
        atomic.write_json(folder / "summary.json", as_json(summary))
    return summary


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """Give the folder that archives are unpacked into; it bears one name, so that a killed run leaves one at most."""
    folder = target.with_name(f"{atomic.BUILDING}unpacked")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _standardised(
    contract: Contract, batch: Batch, found: Sequence[Source], folder: Path, workers: int
) -> StandardBatch:
    tasks = list(_tasks(contract, batch, found, folder))
    rules: Counter[str] = Counter()
    seals: dict[str, str] = {}
    passed = quarantined = 0
    records = [0] * len(found)
    table = contract.file.format in TABLES
    told = [noted(above(s.path, contract.file)) if table else Statements() for s in found]
    for task, done in zip(tasks, _results(tasks, workers, sum(s.path.stat().st_size for s in found)), strict=True):
        passed, quarantined = passed + done[0], quarantined + done[1]
        rules.update(done[2])
        seals |= done[4]
        records[task.file_no] += (
            done[0] + done[1] - (done[2]["error:row.not_a_record"] if table or contract.file.format == "fixed" else 0)
        )
        told[task.file_no] += done[3]
        if done[2][f"error:{CUT_OFF}"] and contract.delivery.mode == "full":
            raise DeliveryMismatch(
                f"文件 {task.file_name} 在中间断开，后面的记录没有收到；全量报送缺了它们会被当作撤回，故整批暂缓。"
                "请核对传输是否完整，重新报送完整的文件"
            )
    if not (batch.corrects or replayed(batch)):  # some rows state nothing of a column: each is judged alone
        for says in told:
            refuse_odd_units(says.amounts, contract.quality.odd_units)
    if contract.delivery.connector == "http_api":  # pages as they came: the connector has compared their totals
        told = [Statements() for _ in told]
    return StandardBatch(
        dataset=contract.id,
        batch_id=batch.batch_id,
        received=passed + quarantined,
        passed=passed,
        quarantined=quarantined,
        rules=dict(sorted(rules.items())),
        digest=standard_digest(contract),
        sources=tuple(s.name for s in found),
        doubts=tuple(doubts(batch, [s.name for s in found], records, told, is_full=contract.delivery.mode == "full")),
        sums={s.name: says.sums[0] for s, says in zip(found, told, strict=True) if len(says.sums) == 1},
        seals=seals,
    )


def _tasks(contract: Contract, batch: Batch, found: Sequence[Source], folder: Path) -> Iterator[Task]:
    today = batch.received_at.astimezone(SHANGHAI).date()
    mapper = Mapper(contract, today=today, salt=batch.batch_id)
    number = 0
    for file_no, source in enumerate(found):
        path = source.path
        pieces = plan(path, contract.file)
        nothing = contract.file.format == "jsonl" and path.stat().st_size == 0  # a pull that found no new row
        if pieces and not nothing:
            sent = [h for h in headers(path, contract.file, pieces) if h.strip()]
            try:
                matched = mapper.plan.match(sent)
            except DeliveryMismatch as error:
                if batch.corrects:
                    refuse_misplaced(read(pieces[0], contract.file), mapper.plan)
                raise explained(error, path, contract.file, mapper.plan, sent) from None
            check_units(mapper.plan, [*above(path, contract.file), source.name], unit_above)
            refuse_header(path, contract.file, mapper.plan)
            for n, piece in enumerate(pieces):
                if formats := number_formats(piece, contract.file):
                    odd = tuple(odd_formats(mapper.plan, matched, formats))
                    pieces[n] = replace(piece, shown=shown_columns(mapper.plan, matched, formats), odd=odd)
        for piece in pieces:
            yield Task(contract, piece, number, file_no, source.name, today, batch.batch_id, folder)
            number += 1


def _results(tasks: Sequence[Task], workers: int, size: int) -> Iterator[Done]:
    if workers > 1 and len(tasks) > 1 and size >= POOL_BYTES:
        context = get_context("spawn")
        try:
            with ProcessPoolExecutor(workers, mp_context=context, initializer=prepare) as pool:
                yield from pool.map(standardise_piece, tasks)
        except BrokenExecutor as error:
            raise WorkerDied(
                "标准化的工作进程被系统终止，多半是内存不足；请减小 CHENGXIN_WORKERS 或增加内存后重跑同一命令"
            ) from error
    else:
        yield from map(standardise_piece, tasks)


def standardise_piece(task: Task) -> Done:
    """Standardise one piece into its part files."""
    mapper = Mapper(task.contract, today=task.today, salt=task.salt)
    passed = quarantined = 0
    rules: Counter[str] = Counter()
    seals: dict[str, str] = {}
    told = Statements()
    for n, chunk in enumerate(read(task.piece, task.contract.file)):
        piece = task.piece
        done = mapper.run(
            chunk, file_no=task.file_no, file_name=task.file_name, from_1904=piece.from_1904, odd=piece.odd
        )
        stem = f"{task.number:05d}-{n:03d}"
        made = {"standard": done.passed, "quarantine": done.quarantined, "issues": done.issues, "answers": done.answers}
        for kind, table in made.items():
            if table.num_rows:
                name = f"{kind}-{stem}.parquet"
                seals[name] = write_part(table, task.target / name)
        passed, quarantined = passed + done.passed.num_rows, quarantined + done.quarantined.num_rows
        rules.update(_count_rules(done.issues))
        told += (
            chunk.statements + _of_lines(chunk.damaged, task.contract.file.format) + Statements(amounts=done.amounts)
        )
    return passed, quarantined, rules, told, seals


def _of_lines(damaged: Sequence[Damaged], form: str) -> Statements:
    """Return what lines that are no records say of the file."""
    notes = [d.raw for d in damaged if d.rule == "row.not_a_record"]
    others = [d.raw for d in damaged if d.rule == "row.width"]
    if form in TABLES:
        return noted(notes) + Statements(torn=torn(others))
    return Statements(torn=torn(notes))  # of fixed width the reader has read them


def write_part(table: pa.Table, path: Path) -> str:
    """Write one part for our own later stages, which read it once or twice: the least work, in about the source's size.

    Return its sha256.

    Codecs cost more than all kernels together, so texts that repeat get a dictionary, numbers of rows their
    differences, and the rest is stored as it is.
    """
    with atomic.naming(path), atomic.HashedFile(path) as file:
        pq.write_table(
            table,
            file,
            compression="none",
            use_dictionary=[name for name in table.column_names if _repeats(table[name])] or False,
            column_encoding=dict.fromkeys(ROW_NUMBERS, "DELTA_BINARY_PACKED"),
            write_statistics=["row_id"],
            row_group_size=1 << 20,
        )
    return file.sha256()


def _repeats(column: pa.ChunkedArray) -> bool:
    """Return by its first rows whether a column of texts holds few different ones."""
    if not pa.types.is_string(column.type) or column.null_count == len(column):
        return False
    head = column.slice(0, SAMPLE)
    return bool(pc.count_distinct(head).as_py() <= max(1, len(head) // 10))


def _count_rules(issues: pa.Table) -> Counter[str]:
    counted = issues.group_by(["level", "rule"]).aggregate([([], "count_all")])
    keys = pc.binary_join_element_wise(counted["level"], counted["rule"], ":").to_pylist()
    return Counter(dict(zip(keys, counted["count_all"].to_pylist(), strict=True)))


def _keep_schema(contract: Contract, folder: Path) -> dict[str, str]:
    """Leave an empty standard part where no row passed, so that readers always find its columns; return its seal."""
    if any(folder.glob("standard-*.parquet")):
        return {}
    name = "standard-00000-000.parquet"
    return {name: write_part(Mapper(contract, today=date.min, salt="").schema().empty_table(), folder / name)}


def _count_rows(contract: Contract, found: Sequence[Source]) -> int:
    """Count the rows of a delivery that is held; those of an archive that could not be unpacked are not known."""
    try:
        return sum(
            chunk.table.num_rows + len(chunk.damaged)
            for source in found
            for piece in plan(source.path, contract.file)
            for chunk in read(piece, contract.file)
        )
    except DeliveryMismatch:  # not even the encoding, or which sheet to read, is as declared
        sheets = contract.file.format in {"xlsx", "xls"}
        return sum(rows_of_sheet(s.path, contract.file) if sheets else _count_lines(s.path) for s in found)
    except DeliveryCorrupt:  # what cannot be read has no rows that could be counted
        return 0


def _count_lines(path: Path) -> int:
    """Count the lines of a text; how many rows something packed holds is not known (0)."""
    with path.open("rb") as stream:
        if stream.read(4).startswith((b"PK", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"%PDF")):
            return 0
        stream.seek(0)
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
