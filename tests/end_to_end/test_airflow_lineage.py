"""OpenLineage events reach a file once Airflow's own settings say so, with what the specification requires."""

import json
from datetime import datetime
from uuid import UUID

import pytest

from airflow_home import AirflowHome

pytestmark = pytest.mark.airflow


def test_a_run_writes_events_with_the_required_fields(tmp_path):
    airflow = AirflowHome(tmp_path)
    target = tmp_path / "lineage.jsonl"
    airflow.environment |= {
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "chengxin",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "file", "log_file_path": str(target), "append": True},
        ),
    }
    assert airflow.airflow("db", "migrate").returncode == 0
    ran = airflow.airflow("dags", "test", "snapshot")
    assert ran.returncode == 0, ran.stdout
    events = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    assert {("START", "snapshot.review"), ("COMPLETE", "snapshot.review")} <= {
        (event["eventType"], event["job"]["name"]) for event in events
    }
    for event in events:
        assert event["job"]["namespace"] == "chengxin"
        assert event["producer"].startswith("http")
        assert "RunEvent" in event["schemaURL"]
        UUID(event["run"]["runId"])
        assert datetime.fromisoformat(event["eventTime"]).tzinfo
