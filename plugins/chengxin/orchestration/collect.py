"""The DAG that looks at all sources, each as often as its contract's cadence asks, and receives what they offer."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, task

from chengxin.clock import SHANGHAI
from chengxin.contracts.cadence import is_look_due
from chengxin.contracts.models import Contract
from chengxin.errors import ChengxinError, of_home
from chengxin.home import Home
from chengxin.orchestration import assets, partitions, stages
from chengxin.orchestration.alerts import CALLBACKS
from chengxin.orchestration.chunks import Place
from chengxin.orchestration.ingest import START
from chengxin.orchestration.outcomes import RETRIES, AlreadyTold

DAG_ID = "collect"
QUARTERS = CronTriggerTimetable("*/15 * * * *", timezone=SHANGHAI.key)
AT_A_TIME, OF_A_DEPARTMENT = 8, 2  # sources that are asked at once
IN_VAIN = 3  # looks after which a source that does not answer is an alert
LOOK, RECEIVE = "发现报送", "接收"
TEXT = """\
**查找与接收**：每 15 分钟运行，按各合同的报送周期查看来源（每小时的每小时一次，每日的 5:00 和 17:00，其余每日 5:00），
接收新的报送。同时查看的来源至多 8 个，同一部门至多 2 个。手动触发：查看全部来源，不论周期。

- 来源没有应答：下次运行再看，连续 3 次登记告警；其余来源照常；
- 收到报送的领域，其流程 `drain__<领域>` 随即运行；
- `report` 失败：列出本次失败的数据集和原因，每项都有告警。

各数据集上次查看的时间见资源 `delivered` 的“资源存储”；删去即全部重新查看。
"""


@dataclass
class Looked:
    """The last look at a source that was not in vain (ISO 8601, None = never), and how many were in vain since."""

    at: str | None = None
    in_vain: int = 0


@dataclass
class Collected:
    """What a round brought. keys: of deliveries. domains: where batches wait now. failed: with what words."""

    keys: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)


def build(domains: Iterable[str]) -> DAG:
    """Build the DAG; its task reads the contracts."""
    waiting = {domain: assets.waiting(domain) for domain in domains}
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="查找与接收",
        doc_md=TEXT,
        tags=["接收"],
        schedule=QUARTERS,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        default_args={**RETRIES, **CALLBACKS, "owner": "信用中心"},
    ) as dag:

        @task(task_display_name="查找与接收 collect", outlets=[assets.DELIVERED, *waiting.values()])
        def collect(*, dag_run: Any, ti: Any, outlet_events: Any, asset_state_store: Any) -> list[list[str]]:
            kept, page = asset_state_store[assets.DELIVERED], Place.of(ti).page
            done = look_round(stages.contracts(), kept, page, everything=dag_run.run_type == "manual")
            assets.arrive(ti, outlet_events, done.keys)
            assets.leave_out(ti, *(asset for domain, asset in waiting.items() if domain not in done.domains))
            return [done.failed] if done.failed else []

        @task(task_display_name="列出失败 report")
        def report(failed: list[str]) -> None:
            raise AlreadyTold("；".join(failed))

        report.expand(failed=collect())  # where nothing failed there is no such task
    return dag


def look_round(contracts: Mapping[str, Contract], kept: Any, page: str, *, everything: bool) -> Collected:
    """Look at the sources that are due, or at all, and receive what they offer.

    kept: a store of JSON values; a key for each domain, with the Looked of its data sets. page: where people see this.
    """
    from chengxin import pipeline

    home = Home.from_environment()
    now = home.clock.now()
    known = {domain: _looks(kept.get(domain)) for domain in {c.domain for c in contracts.values()}}
    due = [
        c
        for c in contracts.values()
        if everything or is_look_due(c.delivery.cadence, _instant(known[c.domain].get(c.id)), now)
    ]
    done, failures = Collected(), pipeline.Failures(home, page)
    well = []
    for contract, keys, errors in _looked_at(home, due):
        looked = known[contract.domain].setdefault(contract.id, Looked())
        away = any(error.retryable for _, _, error in errors)
        looked.in_vain = looked.in_vain + 1 if away else 0
        if not away:
            looked.at = now.isoformat()
        for doing, what, error in errors:
            if error.retryable and looked.in_vain < IN_VAIN:
                continue
            with failures.of(contract, doing, what):
                raise error
        if not errors:
            well.append(contract.id)
        if keys:
            done.domains.add(contract.domain)
        done.keys |= keys if partitions.is_expected(contract) else set()
    for domain in {c.domain for c in due}:
        kept.set(domain, {dataset: asdict(looked) for dataset, looked in sorted(known[domain].items())})
    failures.tell(well, doing=(LOOK, RECEIVE))
    done.failed = failures.said
    return done


Troubles = list[tuple[str, str, ChengxinError]]


def _looked_at(home: Home, due: Iterable[Contract]) -> list[tuple[Contract, set[str], Troubles]]:
    """Look at these sources: some at a time, of each department no more than OF_A_DEPARTMENT."""
    departments: dict[str, list[Contract]] = defaultdict(list)
    for contract in due:
        departments[contract.department.code].append(contract)
    lanes = [mine[n::OF_A_DEPARTMENT] for mine in departments.values() for n in range(OF_A_DEPARTMENT)]
    # A home in an object store has one working copy, in which one stage works at a time.
    with ThreadPoolExecutor(AT_A_TIME if home.settings.origin is None else 1) as threads:
        return [found for lane in threads.map(_lane, lanes) for found in lane]


def _lane(contracts: Iterable[Contract]) -> list[tuple[Contract, set[str], Troubles]]:
    return [(contract, *_receive(contract)) for contract in contracts]


def _receive(contract: Contract) -> tuple[set[str], Troubles]:
    """Receive what a source offers; return the keys of the deliveries that were received, and what went wrong."""
    from chengxin.pipeline.failures import guarded

    keys: set[str] = set()
    troubles: Troubles = []
    try:
        with guarded(LOOK):
            offered = stages.discover(contract)
    except ChengxinError as error:
        if of_home(error):
            raise
        return keys, [(LOOK, "", error)]
    for delivery in offered:
        try:
            with guarded(RECEIVE):
                stages.land(contract, delivery)
                keys.add(partitions.key_of(contract, delivery))
        except ChengxinError as error:
            if of_home(error):
                raise
            troubles.append((RECEIVE, str(delivery["name"]), error))
    return keys, troubles


def _looks(found: Any) -> dict[str, Looked]:
    return {dataset: Looked(**looked) for dataset, looked in (found or {}).items()}


def _instant(looked: Looked | None) -> datetime | None:
    return datetime.fromisoformat(looked.at) if looked and looked.at else None
