"""OpenLineage events reach a file once Airflow's settings say so: valid, with data sets, rows, columns, verdicts."""

import json

import pytest
from test_airflow_dags import CONTRACT, GOOD, HELD

import lineage_sink
from airflow_home import AirflowHome

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
LAND, DRAIN = "collect.collect.commerce_demo", "drain__commerce.drain.commerce_demo"


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lineage")
    airflow = AirflowHome(folder)
    target = folder / "lineage.jsonl"
    airflow.environment |= {
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "chengxin",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "file", "log_file_path": str(target), "append": True},
        ),
        "CHENGXIN_APPROVAL": "never",
    }
    (airflow.contracts / "commerce").mkdir()
    (airflow.contracts / "commerce" / "commerce_demo.yaml").write_text(CONTRACT, "utf-8")
    inbox = airflow.home / "inbox" / "demo"
    inbox.mkdir(parents=True)
    (inbox / "good.csv").write_text(GOOD, "utf-8")
    (inbox / "held.csv").write_text(HELD, "utf-8")
    assert airflow.airflow("db", "migrate").returncode == 0
    for dag in ("collect", "drain__commerce", "snapshot"):
        ran = airflow.airflow("dags", "test", dag)
        assert ran.returncode == 0, ran.stdout
    return [json.loads(line) for line in target.read_text("utf-8").splitlines()]


def told(events, task):
    """Return the input and output data sets that the runs of a job told of."""
    mine = [e for e in events if e["job"]["name"] == task]
    inputs, outputs = ([d for e in mine for d in e[side]] for side in ("inputs", "outputs"))
    return inputs, outputs


def test_every_event_is_as_the_specification_has_it(events):
    for event in events:
        lineage_sink.check(event)
    kinds = {(event["eventType"], event["job"]["name"]) for event in events}
    for job in (DRAIN, "snapshot.publish"):
        assert {("START", job), ("RUNNING", job), ("COMPLETE", job)} <= kinds
    assert ("COMPLETE", LAND) in kinds
    assert {event["job"]["namespace"] for event in events} == {"chengxin"}


def test_the_check_of_events_can_fail(events):
    for spoilt in (
        {**events[0], "eventTime": 3},
        {**events[0], "run": {"facets": {}}},
        {**events[0], "eventType": "DONE"},
        {**events[0], "inputs": [{"name": "without namespace"}]},
    ):
        with pytest.raises(Exception, match=r"string|runId|DONE|namespace"):
            lineage_sink.check(spoilt)


def test_lineage_goes_from_the_source_to_the_admitted_rows(events):
    chain = [
        (LAND, "source/43DEMO/commerce_demo", "received/commerce_demo"),
        (DRAIN, "received/commerce_demo", "standard/commerce_demo"),
        (DRAIN, "standard/commerce_demo", "admitted/commerce_demo"),
    ]
    for job, source, target in chain:
        mine = [e for e in events if e["job"]["name"] == job]
        pairs = [({d["name"] for d in e["inputs"]}, {d["name"] for d in e["outputs"]}) for e in mine]
        assert any(inputs == {source} and target in outputs for inputs, outputs in pairs)
        assert {d["namespace"] for e in mine for d in (*e["inputs"], *e["outputs"])} == {"chengxin"}


def test_each_batch_is_a_run_of_its_own_within_that_of_the_task(events):
    mine = [e for e in events if e["job"]["name"] == DRAIN]
    batches = {e["run"]["runId"]: {d["facets"]["version"]["datasetVersion"] for d in e["inputs"]} for e in mine}
    assert len(batches) == 2
    assert {len(versions) for versions in batches.values()} == {1}, "no batch is mixed with another"
    (parent,) = {e["run"]["facets"]["parent"]["run"]["runId"] for e in mine}
    assert parent in {e["run"]["runId"] for e in events if e["job"]["name"] == "drain__commerce.drain"}


def test_rows_columns_version_and_owner_stand_beside_a_data_set(events):
    _, outputs = told(events, DRAIN)
    (admitted,) = (d for d in outputs if d["name"].startswith("admitted/"))
    assert admitted["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert {"name": "uscc", "type": "string"}.items() <= {
        key: value
        for field in admitted["facets"]["schema"]["fields"]
        if field["name"] == "uscc"
        for key, value in field.items()
    }.items()
    assert admitted["facets"]["version"]["datasetVersion"].startswith("commerce_demo-")
    assert admitted["facets"]["ownership"]["owners"][0]["name"] == "43DEMO"
    refused = [
        d["outputFacets"]["outputStatistics"]["rowCount"] for d in outputs if d["name"].startswith("quarantine/")
    ]
    assert sorted(refused) == [1, 1]


def test_the_verdict_is_told_as_assertions(events):
    inputs, _ = told(events, DRAIN)
    verdicts = {
        a["actual"]: a["success"]
        for d in inputs
        for a in d["inputFacets"].get("dataQualityAssertions", {"assertions": []})["assertions"]
        if a["assertion"] == "verdict"
    }
    assert verdicts == {"warn": True, "hold": False}


def test_a_publication_tells_its_tables_in_both_tiers(events):
    inputs, outputs = told(events, "snapshot.publish")
    assert [d["name"] for d in inputs] == ["admitted/commerce_demo"]
    rows = {d["name"]: d["outputFacets"]["outputStatistics"]["rowCount"] for d in outputs}
    assert rows["published/government/registration"] == rows["published/open/registration"] == 2


def test_no_value_of_a_row_is_told(events):
    text = json.dumps(events, ensure_ascii=False)
    for value in ("长沙示例一科技有限公司", "91430100MAXY00016P", "2020-02-30", "长沙示例三商贸有限公司"):
        assert value not in text
