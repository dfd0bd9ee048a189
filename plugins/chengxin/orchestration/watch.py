"""The DAG of the hourly round: what no single run can see, the numbers for monitoring, and notices still to be sent."""

import logging
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, task

from chengxin.clock import SHANGHAI
from chengxin.home import Home
from chengxin.operations.alerts.causes import (
    Cause,
    case_cause,
    imprecise_cause,
    overdue_cause,
    receipts_cause,
    unclassed_cause,
    waiting_cause,
)
from chengxin.orchestration import alerts, metrics
from chengxin.orchestration.ingest import START
from chengxin.orchestration.outcomes import RETRIES
from chengxin.store.remote import scopes

log = logging.getLogger(__name__)
DAG_ID = "watch"
MORNING = 6  # the hour by which the looks of the morning are done: what lay there overnight is not overdue
HOURLY = CronTriggerTimetable("50 * * * *", timezone=SHANGHAI.key)
TEXT = """\
**巡查**：每小时运行，只看不改数据。

- 逾期未到的报送：登记告警并写入任务日志，到达后自动关闭；
- 不能用的合同、明显增多的未关联数据：登记告警，恢复后自动关闭；
- 开放层缺密钥而没有自然人的记录，公示类别不明的过多：同上；
- 按现行声明更新各接收方所得，收回到期的授权；
- 登记向谁提供了什么，补发撤回通知，逾期未回执的告警；
- 按相近名称关联因抽查准确率过低而停用的：登记告警；
- 报出监控指标（配置了 OpenTelemetry 或 StatsD 时）；
- 补送此前没有送出的告警，提醒久未处理的告警。
"""


def build() -> DAG:
    """Build the DAG; its task reads the contracts."""
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="巡查",
        doc_md=TEXT,
        tags=["维护"],
        schedule=HOURLY,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,  # nobody misses it until it is needed
        default_args={**RETRIES, **alerts.CALLBACKS, "owner": "信用中心"},
    ) as dag:

        @task(task_display_name="巡查 look")
        def look() -> dict[str, Any]:
            return look_round()

        look()
    return dag


def look_round() -> dict[str, Any]:
    """Settle the alerts that concern the whole and report the gauges; return how many of each."""
    from chengxin import pipeline
    from chengxin.contracts import loader
    from chengxin.identity import ledger
    from chengxin.identity.precision import measured
    from chengxin.operations import cases, housekeeping
    from chengxin.operations.punctuality import standings
    from chengxin.publishing.disclosure.unclassed import unclassed
    from chengxin.publishing.open_tier import derivation

    home = Home.from_environment().here(scopes.WITHOUT_PAYLOAD)
    loaded = loader.load(home.settings.contracts)
    alerts.settle_contracts(loaded.problems)
    found = standings(home, home.clock.today())
    alerts.settle(
        "waiting",
        [
            waiting_cause(loaded.contracts[s.dataset], s.words())
            for s in found
            if s.growing and s.dataset in loaded.contracts
        ],
    )
    late = housekeeping.overdue(home, loaded.contracts)
    if home.clock.now().astimezone(SHANGHAI).hour >= MORNING:
        for one in late:
            log.warning("%s", one.message)
        alerts.settle("overdue", [overdue_cause(loaded.contracts[one.dataset], one.message) for one in late])
    told = derivation.withheld(home)
    alerts.settle("unkeyed", [Cause("unkeyed", "open", told, title="开放层")] if told else [])
    alerts.settle(
        "unclassed",
        [
            unclassed_cause(loaded.contracts[dataset], records, unknown)
            for dataset, records, unknown in unclassed(home)
            if dataset in loaded.contracts
        ],
    )
    if not loaded.problems:  # a grant is judged by the contracts of its kinds
        pipeline.apply_recipients(Home.from_environment(), loaded.contracts)
    open_cases = cases.waiting(home.layout, home.clock.today())
    alerts.settle("acts", [case_cause(number, text) for number, text in open_cases])
    given = pipeline.renew_notices(Home.from_environment())
    late_receipts = cases.unanswered(given, home.clock.today())
    alerts.settle("receipts", [receipts_cause(holder, text) for holder, text in late_receipts])
    rule = measured(ledger.read(home.layout))
    alerts.settle("imprecise", [imprecise_cause(rule.right, rule.answers)] if rule.is_stopped else [])
    return {"problems": len(loaded.problems), "overdue": len(late), **metrics.gauges(home, loaded.contracts, found)}
