"""The assets that tie DAGs together, and tell other people's DAGs what there is.

admitted              batches were admitted, of whichever data set: a publication may find something new
admitted_<dataset>    a batch was admitted; its account. One event a batch, through the alias `admitted_batches`
waiting__<domain>     deliveries of a domain were received: its batches can be drained
delivered             a delivery arrived; partitioned by department|prefecture|month (partitions.py)
scorecard_issued      the scorecard of a month was issued; partitioned by month
month_account         it was told which deliveries of a month are still missing; partitioned by month
published_current     readers are served another snapshot; which one, the event says (`extra`: a SnapshotRef as JSON)
"""

from collections.abc import Collection, Mapping
from typing import Any

from airflow.sdk import Asset, AssetAlias

GROUP = "chengxin"
ADMITTED = Asset(name="admitted", uri="chengxin://admitted", group=GROUP)
ADMITTED_BATCHES = AssetAlias(name="admitted_batches", group=GROUP)
DELIVERED = Asset(name="delivered", uri="chengxin://delivered", group=GROUP)
ISSUED = Asset(name="scorecard_issued", uri="chengxin://scorecards/issued", group=GROUP)
MONTH = Asset(name="month_account", uri="chengxin://scorecards/month", group=GROUP)
CURRENT = Asset(name="published_current", uri="chengxin://published/current", group=GROUP)


def admitted(dataset: str) -> Asset:
    """Return the asset that every admitted batch of a data set updates."""
    return Asset(name=f"admitted_{dataset}", uri=f"chengxin://admitted/{dataset}", group=GROUP)


def waiting(domain: str) -> Asset:
    """Return the asset that starts the drain of a domain."""
    return Asset(name=f"waiting__{domain}", uri=f"chengxin://waiting/{domain}", group=GROUP)


def announce(ti: Any, events: Any, accounts: Collection[Mapping[str, Any]]) -> None:
    """Let the running task update ADMITTED, and the asset of each batch, where it admitted any.

    ti: the task instance, which declares ADMITTED and ADMITTED_BATCHES. events: its outlet_events. accounts: as JSON.
    """
    for account in accounts:
        events[ADMITTED_BATCHES].add(admitted(str(account["dataset"])), extra=dict(account))
    if accounts:
        events[ADMITTED].extra = {"batches": len(accounts)}
    else:
        leave_out(ti, ADMITTED)


def arrive(ti: Any, events: Any, keys: Collection[str]) -> None:
    """Let the running task, which declares DELIVERED, update these partitions of it, or none."""
    if keys:
        events[DELIVERED].add_partitions(sorted(keys))
    else:
        leave_out(ti, DELIVERED)


def leave_out(ti: Any, *unchanged: Asset) -> None:
    """Let the running task not update assets that it declares; without this Airflow takes each for updated."""
    ti.task.outlets = [outlet for outlet in ti.task.outlets if outlet not in unchanged]
