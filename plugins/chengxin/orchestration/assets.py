"""The assets that tie DAGs together, and tell other people's DAGs what there is.

admitted              batches were admitted, of whichever data set: a publication may find something new
admitted_<dataset>    a batch was admitted; its account. One for each data set, of which nobody of ours waits
delivered             a delivery arrived; partitioned by department|prefecture|month (partitions.py)
scorecard_issued      the scorecard of a month was issued; partitioned by month
month_account         it was told which deliveries of a month are still missing; partitioned by month
published_current     readers are served another snapshot; which one, the event says (`extra`: a SnapshotRef as JSON)
"""

from airflow.sdk import Asset

GROUP = "chengxin"
ADMITTED = Asset(name="admitted", uri="chengxin://admitted", group=GROUP)
DELIVERED = Asset(name="delivered", uri="chengxin://delivered", group=GROUP)
ISSUED = Asset(name="scorecard_issued", uri="chengxin://scorecards/issued", group=GROUP)
MONTH = Asset(name="month_account", uri="chengxin://scorecards/month", group=GROUP)
CURRENT = Asset(name="published_current", uri="chengxin://published/current", group=GROUP)


def admitted(dataset: str) -> Asset:
    """Return the asset that every admitted batch of a data set updates."""
    return Asset(name=f"admitted_{dataset}", uri=f"chengxin://admitted/{dataset}", group=GROUP)
