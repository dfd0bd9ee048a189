"""The DAG of the daily chores: stray files, received bytes read again, the state, expiry of snapshots."""

import logging
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, TriggerRule, task

from chengxin.clock import SHANGHAI
from chengxin.errors import DeliveryCorrupt, InvariantBroken
from chengxin.home import Home
from chengxin.orchestration.alerts import CALLBACKS
from chengxin.orchestration.ingest import START
from chengxin.orchestration.outcomes import RETRIES, normal_end
from chengxin.store.remote import scopes

log = logging.getLogger(__name__)
DAG_ID = "housekeeping"
DAILY = CronTriggerTimetable("10 6 * * *", timezone=SHANGHAI.key)
TEXT = """\
**日常维护**：每日 6:10 运行，与正在进行的入库互不妨碍，可随时再次运行。

- `stray`：清除中断的运行留下的半成品；
- `rehash`：复核一部分来文，每份来文每月至少复核一次（进度见任务的“任务存储”）；发现损坏时任务失败，
  日志写明批次，从备份恢复后清除（Clear）本任务；
- `state`：抽查一部分入库，与状态库比较，每次入库每月至少比较一次；有不符时任务失败，日志写明怎么办；
- `expire`：删除过期快照。缺省保留 8 天以内的和 12 个月的月末快照；`CHENGXIN_KEEP_DAYS=all` 时全部保留（任务跳过）。
"""


def build() -> DAG:
    """Build the housekeeping DAG. Its tasks read the contracts."""
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="日常维护",
        doc_md=TEXT,
        tags=["维护"],
        schedule=DAILY,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,  # nobody misses it until it is needed
        default_args={**RETRIES, **CALLBACKS, "owner": "信用中心"},
    ) as dag:

        @task(task_display_name="清理半成品 stray")
        def stray() -> int:
            return remove_stray()

        @task(task_display_name="复核来文 rehash")
        def rehash(*, task_state_store: Any) -> dict[str, int]:
            return check_slice(task_state_store)

        @task(task_display_name="抽查状态库 state")
        def state() -> None:
            check_state()

        @task(task_display_name="清除过期快照 expire", trigger_rule=TriggerRule.ALL_DONE)
        def expire() -> dict[str, Any]:
            return expire_snapshots()

        stray() >> [rehash(), state(), expire()]
    return dag


def remove_stray() -> int:
    """Remove what killed runs left, and from snapshots the records that legal acts removed, published again or not."""
    from chengxin import pipeline
    from chengxin.pipeline import acts
    from chengxin.records import acts as journal

    home = Home.from_environment()
    if journal.read(home.here(scopes.FACTS).layout).cases:
        acts.reissue(home, everything=False)
    return pipeline.tidy(home) + home.sweep()


def check_slice(state: Any) -> dict[str, int]:
    """Read the next slice of received files; raise DeliveryCorrupt where they are not what was received.

    state: of the running task, where people see how far it is.
    """
    from chengxin.operations import housekeeping

    def tell(done: int, of: int) -> None:
        state.set("progress", {"read_mib": done >> 20, "of_mib": of >> 20})

    with Home.from_environment().changing("rehash", scopes.RECEIPTS) as home:
        done = housekeeping.rehash(home, progress=tell)
    if done.problems:
        raise DeliveryCorrupt(
            "；".join(done.problems[:20]) + (f"；共 {len(done.problems)} 处" if done.problems else "")
        )
    return {"batches": done.batches, "bytes": done.bytes, "total": done.total, "left": done.left}


def check_state() -> None:
    """Compare the day's slice of the state with the journal; raise InvariantBroken where they differ."""
    from chengxin.operations import housekeeping

    if problems := housekeeping.check_state(Home.from_environment().here(scopes.UNPUBLISHED)):
        raise InvariantBroken("；".join(problems[:20]))


def expire_snapshots() -> dict[str, Any]:
    """Delete the snapshots that expire under CHENGXIN_KEEP_DAYS and _MONTHS; skip while everything is kept."""
    from chengxin.publishing.retention import expire

    given = Home.from_environment()
    retention = given.settings.retention
    if retention.days is None:
        normal_end("CHENGXIN_KEEP_DAYS=all，快照全部保留")
    with given.changing("expire", scopes.WITHOUT_PAYLOAD) as home:
        done = expire(home.layout, retention, home.clock, dry_run=False, linked=home.settings.origin is None)
    log.info("删除了 %d 个快照，释放 %d 字节，保留 %d 个", len(done.snapshots), done.freed, done.kept)
    return {"expired": [name for _, name in done.snapshots], "freed": done.freed, "kept": done.kept}
