"""What is looked at every day: deliveries that are overdue, and whether received bytes are still what they were.

Received files are hashed again in slices, so that each is read at least once a month. When each was read stands in
`<home>/housekeeping/rehashed.parquet`; without that file everything is read again within the next weeks.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.connectors import landing
from chengxin.connectors.files.leftovers import Leftovers, leftovers
from chengxin.contracts.cadence import WORDS, due_after
from chengxin.contracts.models import Contract
from chengxin.errors import DeliveryCorrupt
from chengxin.home import Home
from chengxin.model.working_days import working_days
from chengxin.operations import deliveries
from chengxin.records import journal
from chengxin.state import database
from chengxin.store import atomic, lock
from chengxin.store.layout import Layout

REHASHED = pa.schema(
    [("dataset", pa.string()), ("batch_id", pa.string()), ("read_on", pa.date32()), ("problem", pa.string())]
)
LANDED = ["dataset", "batch_id", "bytes"]
ROUND_DAYS = 25  # a daily slice is one in so many, by bytes
LATEST_DAYS = 28  # read again by then whatever the slice holds, also where runs were missed
NOTE_BYTES = 2**30  # how much may have to be read again after a kill

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Overdue:
    """A data set whose delivery is overdue.

    due: the last day in time. days: working days since. message: in Chinese, with what to do.
    """

    dataset: str
    title: str
    department: str
    department_name: str
    cadence: str
    last_arrival: str
    due: str
    days: int
    message: str


@dataclass(frozen=True)
class Rehash:
    """What one slice found. left: batches not read for a month (0 when all is well); problems in Chinese."""

    batches: int
    bytes: int
    total: int
    left: int
    problems: tuple[str, ...]


def overdue(home: Home, contracts: Mapping[str, Contract]) -> list[Overdue]:
    """Return the data sets that are overdue today, the longest first."""
    days, today = working_days(), home.clock.today()
    landed, _ = deliveries.deliveries(home.layout)
    sent = landed.filter(pc.equal(landed["replay_of"], ""))
    newest = sent.group_by("dataset").aggregate([("arrived_on", "max")])
    last = dict(zip(newest["dataset"].to_pylist(), newest["arrived_on_max"].to_pylist(), strict=True))
    found = []
    for dataset, contract in contracts.items():
        due = due_after(last[dataset], contract.delivery, days) if dataset in last else None
        if due and due < today:
            found.append(_overdue(contract, last[dataset], due, days.between(due, today), leftovers(home, contract)))
    return sorted(found, key=lambda o: (-o.days, o.dataset))


def _overdue(contract: Contract, last: date, due: date, days: int, left: Leftovers | None) -> Overdue:
    department, delivery = contract.department, contract.delivery
    message = (
        f"{department.name}“{contract.title}”（{contract.id}）：约定{WORDS[delivery.cadence]}报送，最近到达 {last}，"
        f"最迟应于 {due} 到达，已逾期 {days} 个工作日。"
        f"{left.words() + '：多半没有传完，请该部门重新报送。' if left else _remedy(contract)}"
    )
    return Overdue(
        dataset=contract.id,
        title=contract.title,
        department=department.code,
        department_name=department.name,
        cadence=delivery.cadence,
        last_arrival=last.isoformat(),
        due=due.isoformat(),
        days=days,
        message=message,
    )


def _remedy(contract: Contract) -> str:
    look = {
        "file_drop": "请先看报送目录里有没有未写完或缺完成标志的文件",
        "http_api": "请先看最近一次拉取是否报错",
        "database": "请先看前置机连接和水位是否正常",
    }[contract.delivery.connector]
    return f"{look}；没有的，请联系该部门催报，周期确已改变的，修改合同的 cadence 或 late_after。"


def rehash(
    home: Home,
    *,
    everything: bool = False,
    progress: Progress | None = None,
    note_bytes: int = NOTE_BYTES,
) -> Rehash:
    """Hash the next slice of received files and compare them with their receipts. everything: all of them.

    Oldest reading first; what was found damaged is looked at each time until it is whole again. Reads only landed
    batches, which never change, so runs that ingest are not disturbed. After each `note_bytes` what was read is noted,
    where a run that follows a kill goes on, and `progress` is told bytes read and to read.
    """
    layout = home.layout
    with lock.held(layout, "housekeeping"):
        landed, broken = deliveries.deliveries(layout)
        state = _state(layout, landed)
        chosen = state if everything else _slice(state, home.clock.today())
        problems = [f"批次 {name} 的接收回执已损坏；请从备份恢复" for name in broken]
        problems += [f"批次 {name} 已入库，来文却不见了；请从备份恢复" for name in _gone(layout, landed, broken)]
        read: dict[tuple[str, str], str] = {}
        total, done, noted = pc.sum(chosen["bytes"]).as_py() or 0, 0, 0
        for dataset, batch_id, size in zip(*(chosen[n].to_pylist() for n in LANDED), strict=True):
            wrong = _wrong(home, dataset, batch_id)
            if wrong is not None:
                read[dataset, batch_id] = "；".join(wrong)
                problems += wrong
            done += size
            if done - noted >= note_bytes:
                _write_parquet(_state_file(layout), _noted(state, read, home.clock.today()))
                noted = done
                if progress:
                    progress(done, total)
        after = _noted(state, read, home.clock.today())
        _write_parquet(_state_file(layout), after)
    old = pa.scalar(home.clock.today() - timedelta(days=LATEST_DAYS), pa.date32())
    left = pc.sum(pc.fill_null(pc.less(after["read_on"], old), fill_value=False)).as_py() or 0
    return Rehash(len(read), total, len(state), left, tuple(problems))


def check_state(home: Home) -> list[str]:
    """Derive the day's slice of admissions anew and return in Chinese which of them the state holds otherwise.

    Each admission has its turn within ROUND_DAYS. A state that was never built is not built for this.
    """
    layout, day = home.layout, home.clock.today().toordinal()
    if not (layout.state / database.STATE.name).exists():
        return []
    orders = range(day % ROUND_DAYS, journal.accounts(layout).next_order, ROUND_DAYS)
    return [
        f"状态库与入库日志第 {order} 条不符；请停止写入，删除 {layout.state}，再运行 chengxin state build"
        for order in database.doubtful(layout, orders)
    ]


def _gone(layout: Layout, landed: pa.Table, broken: list[str]) -> list[str]:
    """Return the admitted batches whose received files are not there any more."""
    admitted = journal.accounts(layout).table().select(["dataset", "batch_id"])
    lost = admitted.join(landed.select(["dataset", "batch_id"]), ["dataset", "batch_id"], join_type="left anti")
    names = zip(lost["dataset"].to_pylist(), lost["batch_id"].to_pylist(), strict=True)
    return sorted({f"{dataset}/{batch_id}" for dataset, batch_id in names} - set(broken))


def _write_parquet(path: Path, table: pa.Table) -> None:
    """Write a small table so that readers see the old one or the new one."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    atomic.write_bytes(path, sink.getvalue().to_pybytes())


def _state_file(layout: Layout) -> Path:
    return layout.home / "housekeeping" / "rehashed.parquet"


def _state(layout: Layout, landed: pa.Table) -> pa.Table:
    """Return every landed batch with when it was last read (null: not since it landed), the longest ago first."""
    path = _state_file(layout)
    try:
        known = pq.read_table(path, schema=REHASHED)
    except (FileNotFoundError, pa.ArrowInvalid):
        known = REHASHED.empty_table()
    found = landed.select(LANDED).join(known, ["dataset", "batch_id"], join_type="left outer")
    keys: Any = [(name, "ascending", "at_start") for name in ("read_on", "dataset", "batch_id")]
    return found.take(pc.sort_indices(found, sort_keys=keys))


def _slice(state: pa.Table, today: date) -> pa.Table:
    """Return what is read today: one part of all bytes, what would else be older than a month, and what is damaged."""
    sizes = pc.cumulative_sum(pc.add(state["bytes"], 1))
    budget = math.ceil((sizes[-1].as_py() if len(state) else 0) / ROUND_DAYS)
    before = pc.subtract(sizes, pc.add(state["bytes"], 1))
    old = pa.scalar(today - timedelta(days=LATEST_DAYS), pa.date32())
    overdue = pc.fill_null(pc.less_equal(state["read_on"], old), fill_value=False)
    damaged = pc.fill_null(pc.not_equal(state["problem"], ""), fill_value=False)
    fresh = pc.fill_null(pc.equal(state["read_on"], pa.scalar(today, pa.date32())), fill_value=False)
    done = pc.sum(pc.if_else(fresh, pc.add(state["bytes"], 1), 0)).as_py() or 0
    due = pc.and_not(pc.less(before, budget - done), fresh)  # a second run on the same day reads only what is left
    return state.filter(pc.or_(pc.or_(due, overdue), damaged))


def _wrong(home: Home, dataset: str, batch_id: str) -> list[str] | None:
    """Return what is wrong with a landed batch; None when it is not there any more."""
    home.anew(f"landing/{dataset}/{batch_id}/*")
    try:
        return landing.verify_landed(home, landing.landed(home, dataset, batch_id))
    except FileNotFoundError:
        here = home.layout.landing(dataset, batch_id).is_dir()
        return [f"批次 {batch_id}：接收回执缺失；请从备份恢复"] if here else None
    except (OSError, DeliveryCorrupt) as error:
        return [f"批次 {batch_id} 读不出：{error}"]


def _noted(state: pa.Table, read: Mapping[tuple[str, str], str], today: date) -> pa.Table:
    """Return the state after reading these batches."""
    keys = list(zip(state["dataset"].to_pylist(), state["batch_id"].to_pylist(), strict=True))
    done = pa.array([key in read for key in keys], pa.bool_())
    problem = pa.array([read.get(key, "") for key in keys], pa.string())
    noted = {
        "dataset": state["dataset"],
        "batch_id": state["batch_id"],
        "read_on": pc.if_else(done, pa.scalar(today, pa.date32()), state["read_on"]),
        "problem": pc.if_else(done, problem, state["problem"]),
    }
    return pa.table(noted, REHASHED)
