"""The team of a DAG, which an auth manager wants to know where Airflow serves several teams.

Internal: `airflow.models.dag`. Public alternative: `requires_access_dag` of the documented plugin interface, which asks
the same model. It guards one route for one DAG and answers 403; a page asks about many DAGs and shows less.
"""

from airflow.models.dag import DagModel
from airflow.sdk import conf


def are_used() -> bool:
    """Return whether Airflow serves several teams."""
    return bool(conf.getboolean("core", "multi_team", fallback=False))


def team_of(dag_id: str) -> str | None:
    """Return the team of a DAG; None without teams."""
    return DagModel.get_team_name(dag_id) if are_used() else None
