"""A line in Airflow's audit log, for what a page shows.

Internal: `airflow.models.log`, `airflow.utils.session`. Public alternative: none. The REST API reads the audit log and
has no call that writes it; an audit log of our own would be a second place to look for who saw what.
"""

import json
from typing import Any

from airflow.models.log import Log
from airflow.utils.session import create_session


def write(event: str, owner: str, dag_id: str, extra: dict[str, Any]) -> None:
    """Write one line and commit it. Runs in the API server."""
    with create_session() as session:
        session.add(Log(event=event, owner=owner, dag_id=dag_id, extra=json.dumps(extra, ensure_ascii=False)))
