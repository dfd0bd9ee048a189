"""Our numbers leave by Airflow's own OpenTelemetry exporter: a collector that listens gets them with their tags."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from chengxin import pipeline
from chengxin.connectors.files.drop import file_delivery
from chengxin.home import Home
from chengxin.operations.alerts.book import Book
from chengxin.operations.alerts.causes import Cause
from chengxin.orchestration.metrics import METRICS
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc
from servers import Answer, Api

# What Airflow does in a task's process before the task, and what the task does.
PROGRAM = """
from airflow.sdk.execution_time.task_runner import stats, stats_utils
from airflow.sdk.configuration import conf
legacy = conf.getboolean("metrics", "legacy_names_on")
stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=legacy)
from chengxin import pipeline
from chengxin.home import Home
from chengxin.orchestration import metrics, stages, watch
contract = stages.contracts()["test_penalty"]
(batch,) = pipeline.pending(Home.from_environment(), contract)
stages.ingest(contract, batch.batch_id)
watch.look_round()
"""


@pytest.fixture
def collector():
    api = Api(lambda asked: Answer(b"", headers={"Content-Type": "application/x-protobuf"}), with_asked=True)
    yield api
    api.close()


def points(collector: Api, tag: str) -> dict[str, dict[str, float]]:
    """Return metric -> its points, by the value of one tag; sums are cumulative, so the last one counts."""
    found: dict[str, dict[str, float]] = {}
    for asked in collector.asked:
        request = ExportMetricsServiceRequest.FromString(asked.body)
        for metric in (m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics):
            kind = metric.WhichOneof("data")
            for point in getattr(metric, kind).data_points:
                tags = {a.key: a.value.string_value for a in point.attributes}
                value = point.count if "histogram" in kind else point.as_int or point.as_double
                found.setdefault(metric.name.removeprefix("airflow."), {})[tags.get(tag, "")] = value
    return found


def test_rows_batches_ages_and_durations_reach_a_collector(tmp_path, collector):
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    office.deliver("test_reg", company(1), day=0)
    office.publish()
    rows = [penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(9)), penalty(3, uscc=uscc(1), decision_on="不详")]
    delivery = file_delivery(
        Home(office.settings), office.contracts["test_penalty"], office.write("test_penalty", rows, day=0)
    )
    pipeline.land(Home(office.settings), office.contracts["test_penalty"], delivery)
    cause = Cause("failed", "test_reg", "x", "land:X")
    Book(office.layout).open(cause, datetime(2026, 3, 1, tzinfo=UTC))
    environment = os.environ | {
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "CHENGXIN_ALERTS": "off",
        "CHENGXIN_NOW": "2026-03-03T04:00:00+00:00",
        "CHENGXIN_HOME": str(office.settings.home),
        "CHENGXIN_CONTRACTS": str(office.settings.contracts),
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector.url}/v1/metrics",
    }
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert points(collector, "state")["chengxin.rows"] == {"accepted": 1, "quarantined": 1, "unlinked": 1}
    assert points(collector, "verdict")["chengxin.batches"] == {"accept": 1}
    assert points(collector, "stage")["chengxin.stage"] == {"standardise": 1, "validate": 1, "admit": 1}
    assert points(collector, "kind")["chengxin.alerts.open"] == {"failed": 1}
    assert points(collector, "department")["chengxin.rows"].keys() == {office.contracts["test_reg"].department.code}
    found = points(collector, "dataset")
    assert found["chengxin.rows.waiting"] == {"test_penalty": 1, "test_reg": 0}
    assert min(found["chengxin.delivery.age_days"].values()) > 0
    assert len(found["chengxin.snapshot.age_hours"]) == 1
    assert {name for name in found if name.startswith("chengxin.")} <= set(METRICS)
