"""The assets that tie DAGs together: one for each data set, one for the published snapshots."""

from airflow.sdk import Asset

SNAPSHOT = Asset(name="published_snapshot", uri="chengxin://published/snapshot", group="chengxin")


def admitted(dataset: str) -> Asset:
    """Return the asset that every admitted batch of a data set updates."""
    return Asset(name=f"admitted_{dataset}", uri=f"chengxin://admitted/{dataset}", group="chengxin")
