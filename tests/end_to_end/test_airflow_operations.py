"""What Airflow 3.3 does for operators, on a real scheduler: collect, drain, partitions, backfill, stores, versions.

The cases follow one another on one Airflow; lineage goes to a real server meanwhile.
"""

import json
import os
import re
from datetime import UTC, datetime

import pytest
from test_airflow_approval import Running
from test_airflow_dags import CONTRACT, GOOD

import lineage_sink
from chengxin.cli.embedded_airflow import EmbeddedAirflow
from chengxin.clock import SHANGHAI
from chengxin.settings import PROJECT, Settings

pytestmark = [pytest.mark.airflow, pytest.mark.server, pytest.mark.slow]
INGEST, OTHER = "ingest__commerce_demo", "ingest__commerce_other"
DRAIN = "drain__commerce"
OTHER_CONTRACT = (
    CONTRACT.replace("commerce_demo", "commerce_other")
    .replace("{code: 43DEMO, name: 演示登记部门}", "{code: 43REST, name: 演示第二部门}")
    .replace("folder: demo", "folder: other")
    .replace("cadence: hourly", "cadence: monthly")
)
MONTH = datetime.now(SHANGHAI).strftime("%Y%m")
ROW = "{n},浏阳示例{n}商贸有限公司,91430181MAXY00032C,2020-02-01,430181\n"


class Operated(Running):
    """An Airflow that is up, with the folders and what a test asks it of partitions and stores."""

    def runs(self, dag_id):
        return self.get(f"dags/{dag_id}/dagRuns?limit=100&order_by=run_after")["dag_runs"]

    def states(self, dag_id):
        """Return the state of the task `tell` or `issue` of each ended run, by partition."""
        task = {"completeness": "tell", "scorecard": "issue"}[dag_id]
        return [
            (run["partition_key"], self.task(dag_id, run["dag_run_id"], task)["state"])
            for run in self.runs(dag_id)
            if run["state"] in {"success", "failed"}
        ]

    def asset(self, name):
        def found():
            return [a for a in self.get("assets?limit=100&only_active=false")["assets"] if a["name"] == name]

        return self.until(found)[0]

    def store(self, name):
        entries = self.get(f"assets/{self.asset(name)['id']}/state-store")["asset_state_store"]
        return {entry["key"]: entry["value"] for entry in entries}

    def pending(self):
        """Return the partitions that the roll-up waits for, with keys that came and keys needed."""
        found = self.client.get("/ui/partitioned_dag_runs?dag_id=completeness").raise_for_status().json()
        return {
            p["partition_key"]: (p["total_received"], p["total_required"])
            for p in found["partitioned_dag_runs"]
            if p["created_dag_run_id"] is None
        }

    def backfill(self, dag_id, first, last):
        body = {"dag_id": dag_id, "from_date": first, "to_date": last, "max_active_runs": 1}
        self.client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()

        def asked():  # where SQLite is locked, Airflow answers 503: try again
            answer = self.client.post("/api/v2/backfills", json=body)
            return answer if answer.status_code != 503 else None

        made = self.until(asked).raise_for_status().json()
        self.until(lambda: self.get(f"backfills/{made['id']}")["completed_at"])
        return [r for r in self.runs(dag_id) if r["run_type"] == "backfill"]


@pytest.fixture(scope="module")
def operated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("operated")
    home, contracts, dags = folder / "home", folder / "contracts", folder / "others"
    for path in (contracts / "commerce", dags, home / "inbox" / "demo", home / "inbox" / "other"):
        path.mkdir(parents=True)
    for name, text in (("commerce_demo", CONTRACT), ("commerce_other", OTHER_CONTRACT)):
        (contracts / "commerce" / f"{name}.yaml").write_text(text, "utf-8")
    (home / "inbox" / "demo" / "good.csv").write_text(GOOD, "utf-8")
    (example,) = re.findall(
        r"```python\n(from airflow.*?)```", (PROJECT / "docs" / "analysts" / "zh.md").read_text("utf-8"), re.S
    )
    (dags / "downstream.py").write_text(example, "utf-8")
    bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": name, "classpath": bundle, "kwargs": {"path": str(path)}}
        for name, path in (("chengxin", PROJECT / "dags"), ("others", dags))
    ]
    with lineage_sink.LineageSink() as sink:
        environment = {
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": sink.transport,
            "CHENGXIN_APPROVAL": "never",
        }
        settings = Settings(home=home, contracts=contracts, expectations=PROJECT / "expectations")
        with EmbeddedAirflow(settings) as airflow:
            airflow.start(environment)
            operated = Operated(airflow, home)
            operated.contracts, operated.sink = contracts, sink
            wanted = {
                INGEST,
                OTHER,
                DRAIN,
                "collect",
                "snapshot",
                "scorecard",
                "completeness",
                "housekeeping",
                "downstream_of_chengxin",
            }
            operated.until(lambda: wanted <= {d["dag_id"] for d in operated.get("dags?limit=100")["dags"]})
            for dag_id in ("completeness", "downstream_of_chengxin", DRAIN):
                operated.client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
            yield operated


def test_a_month_waits_in_airflow_for_missing_departments(operated):
    operated.run(INGEST, "first")
    assert operated.ended(INGEST, "first") == "success"
    assert operated.until(operated.pending) == {MONTH: (1, 3)}, "two departments, or the scorecard"
    assert operated.runs("completeness") == []


def test_the_last_department_of_the_month_starts_its_run(operated):
    (operated.home / "inbox" / "other" / "rest.csv").write_text(GOOD, "utf-8")
    operated.run("collect", "first")
    assert operated.ended("collect", "first") == "success"
    assert operated.until(lambda: operated.states("completeness")) == [(MONTH, "success")]
    assert operated.store("month_account") == {MONTH: {"expected": 2, "missing": [], "complete": True}}


def test_what_was_collected_is_drained_and_announced(operated):
    for dataset in ("commerce_demo", "commerce_other"):
        asset = operated.asset(f"admitted_{dataset}")["id"]
        (event,) = operated.until(lambda a=asset: operated.events(f"asset_id={a}")["asset_events"])
        assert (event["extra"]["dataset"], event["extra"]["received"]) == (dataset, 3)
    (run,) = [r for r in operated.runs(DRAIN) if r["run_type"] == "asset_triggered"]
    assert operated.ended(DRAIN, run["dag_run_id"]) == "success"


def test_a_snapshot_is_announced_once_and_starts_the_next_dag(operated):
    operated.run("snapshot", "first")
    assert operated.ended("snapshot", "first") == "success"
    current = json.loads((operated.home / "published" / "government" / "current.json").read_text())["snapshot_id"]
    assert operated.store("published_current") == {"announced": current}
    names = [a["name"] for a in operated.get("assets?limit=100&only_active=false")["assets"]]
    assert not [name for name in names if current in name], "an event of one asset, not an asset of its own"
    (run,) = operated.until(lambda: [r for r in operated.runs("downstream_of_chengxin") if r["state"] == "success"])
    counted = operated.get(
        f"dags/downstream_of_chengxin/dagRuns/{run['dag_run_id']}/taskInstances/count/xcomEntries/return_value"
    )
    assert counted["value"] == {current: 4}


def test_an_unannounced_snapshot_is_announced_by_the_next_run(operated):
    asset = operated.asset("published_current")["id"]
    before = operated.events(f"asset_id={asset}")["total_entries"]
    operated.client.delete(f"/api/v2/assets/{asset}/state-store/announced").raise_for_status()  # as if it had died
    operated.run("snapshot", "again")
    assert operated.ended("snapshot", "again") == "success"
    # by this run, or by one that the assets had started just before it; once
    assert operated.events(f"asset_id={asset}")["total_entries"] == before + 1
    operated.run("snapshot", "third")
    assert operated.ended("snapshot", "third") == "success"
    assert operated.task("snapshot", "third", "publish")["state"] == "skipped"


@pytest.mark.slow
def test_a_backfill_over_a_range_issues_months_and_closes_them(operated):
    path = operated.home / "inbox" / "demo" / "old.csv"
    path.write_text(GOOD.splitlines()[0] + "\n" + ROW.format(n=9), "utf-8")
    long_ago = datetime(2026, 2, 10, tzinfo=UTC).timestamp()
    os.utime(path, (long_ago, long_ago))
    operated.run(INGEST, "old")
    assert operated.ended(INGEST, "old") == "success"
    assert operated.pending()["202602"] == (1, 3)
    issued = operated.backfill("scorecard", "2026-02-01T00:00:00Z", "2026-03-31T00:00:00Z")
    assert [run["partition_key"] for run in issued] == ["202602", "202603"]
    assert {p.name for p in (operated.home / "scorecards").iterdir()} >= {"202602", "202603"}
    told = operated.until(lambda: dict(operated.states("completeness")).keys() >= {"202602", "202603"})
    assert told
    assert operated.store("month_account")["202602"]["missing"] == ["commerce_other"]
    assert "202602" not in operated.pending()


@pytest.mark.slow
def test_an_issued_month_is_not_reissued_and_a_wrong_one_refused(operated):
    operated.run("scorecard", "again", partition_key="202602")
    assert operated.ended("scorecard", "again") == "success"
    assert operated.task("scorecard", "again", "issue")["state"] == "skipped"
    body = {"dag_run_id": "wrong", "logical_date": None, "partition_key": "2026-1x"}
    assert operated.client.post("/api/v2/dags/scorecard/dagRuns", json=body).status_code == 400


def test_a_backfill_of_a_data_set_is_refused(operated):
    body = {"dag_id": INGEST, "from_date": "2026-02-09T00:00:00Z", "to_date": "2026-02-10T00:00:00Z"}
    refused = operated.client.post("/api/v2/backfills", json=body)
    assert refused.is_client_error
    assert "does not support backfills" in refused.text


def test_the_daily_chores_run(operated):
    operated.run("housekeeping", "first")
    assert operated.ended("housekeeping", "first") == "success"
    expected = {"stray": "success", "rehash": "success", "state": "success", "expire": "success"}
    assert {name: operated.task("housekeeping", "first", name)["state"] for name in expected} == expected
    assert (operated.home / "housekeeping" / "rehashed.parquet").exists()


def test_a_changed_contract_is_a_new_version_of_its_dag_alone(operated):
    def versions(dag_id):
        return operated.get(f"dags/{dag_id}/dagVersions")["total_entries"]

    assert [versions(d) for d in (INGEST, OTHER, "snapshot", "completeness")] == [1, 1, 1, 1], "not by parsing again"
    path = operated.contracts / "commerce" / "commerce_demo.yaml"
    path.write_text(path.read_text("utf-8").replace("演示登记信息", "演示登记信息（修订）"), "utf-8")
    operated.until(lambda: versions(INGEST) == 2)
    assert operated.get(f"dags/{INGEST}/details")["dag_display_name"] == "入库 · 演示登记信息（修订）"
    assert [versions(d) for d in (OTHER, "snapshot", "completeness")] == [1, 1, 1]


def test_the_lineage_server_was_told_valid_events_of_all_that(operated):
    for event in operated.sink.events:
        lineage_sink.check(event)
    told = {d["name"] for e in operated.sink.events for d in e.get("outputs", [])}
    assert {"received/commerce_demo", "admitted/commerce_other", "published/open/registration"} <= told
