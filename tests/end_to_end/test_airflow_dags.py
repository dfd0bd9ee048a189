"""The DAGs do the whole way of the data under Airflow itself: its own loader, its own runs, local files only."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from airflow_home import AirflowHome
from chengxin.operations.alerts.book import Book
from chengxin.store.layout import Layout
from deliveries import uscc

pytestmark = pytest.mark.airflow

CONTRACT = """\
format: 1
id: commerce_demo
title: 演示登记信息
department: {code: 43DEMO, name: 演示登记部门}
domain: commerce
kind: registration
basis: {legal: 演示依据, share: 无条件}
delivery: {options: {folder: demo, pattern: "*.csv"}, cadence: hourly}
quality: {min_rows: 1}
columns:
  - {source: 主键, element: source_record_id}
  - {source: 名称, element: subject_name}
  - {source: 统一社会信用代码, element: uscc}
  - {source: 成立日期, element: established_on}
  - {source: 行政区划, element: region_code}
"""
GOOD = """\
主键,名称,统一社会信用代码,成立日期,行政区划
1,长沙示例一科技有限公司,91430100MAXY00016P,2019年9月5日,430105
2,芙蓉区示例小吃店,92430102MAXY200174,2021.3.15,430102
3,长沙示例二商贸有限公司,91430111MAXY00024H,2020-02-30,430111
"""
HELD = """\
主键,名称,成立日期,行政区划,来路不明的列
4,长沙示例三商贸有限公司,2020-02-01,430111,x
"""
STAGED = """\
format: 1
id: police_demo
title: 演示前置机
department: {code: 43DEMO2, name: 演示前置部门}
domain: police
kind: registration
basis: {legal: 演示依据, share: 无条件}
delivery: {connector: database, mode: full, options: {connection: staging, table: 登记}, cadence: hourly}
columns:
  - {source: 名称, element: subject_name}
  - {source: 统一社会信用代码, element: uscc}
  - {source: 行政区划, element: region_code}
"""
PROBLEM = "format: 1\nid: commerce_broken\n"


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    """An Airflow after a good and a bad delivery were received and drained, and one publication."""
    airflow = AirflowHome(tmp_path_factory.mktemp("airflow"))
    (airflow.contracts / "commerce").mkdir()
    (airflow.contracts / "commerce" / "commerce_demo.yaml").write_text(CONTRACT, "utf-8")
    (airflow.contracts / "commerce" / "commerce_broken.yaml").write_text(PROBLEM, "utf-8")
    inbox = airflow.home / "inbox" / "demo"
    inbox.mkdir(parents=True)
    (inbox / "good.csv").write_text(GOOD, "utf-8")
    (inbox / "held.csv").write_text(HELD, "utf-8")
    migrated = airflow.airflow("db", "migrate")
    assert migrated.returncode == 0, migrated.stdout
    for dag in ("collect", "drain__commerce"):
        ran = airflow.airflow("dags", "test", dag)
        assert ran.returncode == 0, ran.stdout
    marked = airflow.airflow("dags", "test", "snapshot", "--mark-success-pattern", "approve")
    assert marked.returncode != 0, "nobody answered"
    assert "没有人作答" in marked.stdout
    assert not (airflow.home / "published").exists()
    airflow.environment |= {"CHENGXIN_APPROVAL": "never"}
    ran = airflow.airflow("dags", "test", "snapshot")
    assert ran.returncode == 0, ran.stdout
    return airflow


def published(airflow: AirflowHome, tier: str, table: str) -> list[dict[str, object]]:
    folder = airflow.home / "published" / tier
    current = json.loads((folder / "current.json").read_text())
    snapshots = [path for path in (folder / "snapshots").iterdir() if path.name in json.dumps(current)]
    files = [path for snapshot in snapshots for path in sorted((snapshot / table).glob("*.parquet"))]
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def test_airflow_loads_a_dag_a_contract_and_one_for_the_broken(airflow):
    program = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag()
print(json.dumps([sorted(bag.dag_ids), bag.import_errors, bag.dags["ingest__commerce_demo"].doc_md]))
"""
    done = airflow.python(program)
    assert done.returncode == 0, done.stdout
    dags, errors, text = json.loads(done.stdout.splitlines()[-1])
    ours = ["acts", "collect", "completeness", "contracts__problems", "drain__commerce", "housekeeping", "identity"]
    assert dags == [*ours, "identity_bell", "ingest__commerce_demo", "scorecard", "snapshot", "watch"]
    assert errors == {}
    assert "演示登记部门" in text
    assert "| 统一社会信用代码 | `uscc` |" in text


def test_two_batches_are_one_task_and_nothing_failed(airflow):
    assert [airflow.states("collect", task) for task in ("collect", "report")] == [["success"], ["skipped"]]
    states = [airflow.states("drain__commerce", task) for task in ("plan", "drain", "settle")]
    assert states == [["success"], ["success"], ["success"]]


def test_the_published_parquet_holds_the_good_rows(airflow):
    for tier in ("government", "open"):
        names = {row["name"] for row in published(airflow, tier, "subject")}
        assert names == {"长沙示例一科技有限公司", "芙蓉区示例小吃店"}
    rows = published(airflow, "government", "registration")
    assert {str(row["established_on"]) for row in rows} == {"2019-09-05", "2021-03-15"}


def test_the_assets_carry_the_account_and_the_snapshot(airflow):
    assert len(airflow.events("delivered")) == 1, "a partition, however many deliveries are of it"
    assert len(airflow.events("waiting__commerce")) == 1
    assert [json.loads(extra) for extra in airflow.events("admitted")] == [{"batches": 1}]
    (account,) = map(json.loads, airflow.events("admitted_commerce_demo"))
    counts = {name: account[name] for name in ("received", "accepted", "quarantined", "duplicate", "unlinked")}
    assert counts == {"received": 3, "accepted": 2, "quarantined": 1, "duplicate": 0, "unlinked": 0}
    (snapshot,) = map(json.loads, airflow.events("published_current"))
    assert Path(snapshot["tiers"]["government"]["path"]).is_dir()
    assert airflow.events(f"snapshot_{snapshot['id']}") == [], "no asset of its own"


def test_a_question_marked_as_answered_publishes_nothing(airflow):
    assert airflow.states("snapshot", "publish") == ["failed", "success"], "the first was marked, the second not asked"


def test_running_again_changes_nothing_and_ends_well(airflow):
    pointer = airflow.home / "published" / "government" / "current.json"
    before = pointer.read_bytes()
    for dag in ("collect", "drain__commerce", "snapshot"):
        ran = airflow.airflow("dags", "test", dag)
        assert ran.returncode == 0, ran.stdout
    assert [len(airflow.events(asset)) for asset in ("waiting__commerce", "admitted", "delivered")] == [1, 1, 1]
    assert airflow.states("drain__commerce", "drain") == ["skipped", "success"]
    assert pointer.read_bytes() == before
    assert airflow.states("snapshot", "publish") == ["failed", "skipped", "success"]


def test_a_contract_finds_its_connection_in_airflows_database(airflow):
    path = airflow.folder / "staging.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE 登记 (名称 VARCHAR, 统一社会信用代码 VARCHAR, 行政区划 VARCHAR)")
        database.execute("INSERT INTO 登记 VALUES ('长沙示例四有限公司', '91430100MAXY00016P', '430105')")
    (airflow.contracts / "police").mkdir()
    (airflow.contracts / "police" / "police_demo.yaml").write_text(STAGED, "utf-8")
    url = json.dumps({"url": f"sqlite:///{path}"})
    added = airflow.airflow("connections", "add", "staging", "--conn-type", "generic", "--conn-extra", url)
    assert added.returncode == 0, added.stdout
    ran = airflow.airflow("dags", "test", "ingest__police_demo")
    assert ran.returncode == 0, ran.stdout
    (account,) = map(json.loads, airflow.events("admitted_police_demo"))
    assert (account["received"], account["accepted"]) == (1, 1)


def test_a_batch_that_cannot_be_read_fails_its_run_and_no_other(airflow):
    for name, row in (("more", 5), ("worse", 6)):
        text = GOOD.splitlines()[0] + f"\n{row},长沙示例{row}商贸有限公司,{uscc(row)},2020-02-01,430111\n"
        (airflow.home / "inbox" / "demo" / f"{name}.csv").write_text(text, "utf-8")
    known = set((airflow.home / "landing" / "commerce_demo").iterdir())
    assert airflow.airflow("dags", "test", "collect").returncode == 0
    spoilt, _ = {p for p in (airflow.home / "landing" / "commerce_demo").iterdir() if p.is_dir()} - known
    (spoilt / "payload" / next((spoilt / "payload").iterdir()).name).unlink()
    ran = airflow.airflow("dags", "test", "drain__commerce")
    assert ran.returncode != 0, ran.stdout
    assert airflow.states("drain__commerce", "settle").count("failed") == 1
    assert "failed" not in airflow.states("drain__commerce", "drain")
    assert len(airflow.events("admitted_commerce_demo")) == 2
    (entry,) = [e for e in Book(Layout(airflow.home)).open_entries() if e.cause.kind == "failed"]
    assert entry.items == (spoilt.name,)
    assert "/tasks/drain/mapped/0" in entry.cause.page


def test_the_problems_dag_fails_with_the_file_and_the_message(airflow):
    ran = airflow.airflow("dags", "test", "contracts__problems")
    assert ran.returncode != 0
    assert "commerce/commerce_broken.yaml" in ran.stdout
    assert airflow.states("contracts__problems", "report") == ["failed"]


def test_only_what_people_start_and_problems_are_on_at_first(airflow):
    with closing(sqlite3.connect(airflow.folder / "airflow" / "airflow.db")) as database:
        on = {dag for (dag,) in database.execute("select dag_id from dag where not is_paused")}
    assert on == {"contracts__problems", "ingest__police_demo"}
