"""What a deadline of ours asks Airflow's database while the scheduler or the API server evaluates it.

Internal: `airflow.models`, and `_evaluate_with`, through which `BaseDeadlineReference` hands over a session. Airflow's
own docstring of that class shows late imports of models as the way to write one. Public alternative: none. A reference
that reads nothing cannot know the last delivery, and Airflow 3.3 has no freshness of assets.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select


def newest_event(session: Any, asset_uri: str) -> dict[str, Any]:
    """Return what the newest event of an asset carries; nothing before the first."""
    from airflow.models.asset import AssetEvent, AssetModel

    events = select(AssetEvent.extra).join(AssetModel, AssetEvent.asset_id == AssetModel.id)
    newest = events.where(AssetModel.uri == asset_uri).order_by(AssetEvent.timestamp.desc())
    return session.scalar(newest.limit(1)) or {}


def has_succeeded_since(session: Any, dag_id: str, moment: datetime) -> bool:
    """Return whether a run of a DAG that began after this moment has succeeded."""
    from airflow.models.dagrun import DagRun

    runs = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.state == "success", DagRun.start_date >= moment)
    return session.scalar(runs.limit(1)) is not None
