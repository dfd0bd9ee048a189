"""What a DAG file costs to parse, because every task of every run parses it again."""

import json
from pathlib import Path

import pytest

from airflow_home import PROJECT, AirflowHome

pytestmark = pytest.mark.airflow

PARSE = """
import json, sys, time
import airflow.sdk, airflow.providers.standard.operators.hitl, pydantic, yaml
from pathlib import Path
before, started = set(sys.modules), time.process_time()
import runpy
dags = set()
import warnings
catching = warnings.catch_warnings(record=True)
heard = catching.__enter__()
warnings.simplefilter("always")
for name in ("collect", "drain", "ingest", "snapshot", "scorecard", "housekeeping", "watch", "identity", "acts"):
    found = runpy.run_path(str(Path({folder!r}) / f"{{name}}.py"))
    dags |= {{v.dag_id for v in found.values() if isinstance(v, airflow.sdk.DAG)}}
told = sorted({{f"{{w.category.__name__}}: {{w.message}}" for w in heard}})
cpu = time.process_time() - started
print(json.dumps({{"warnings": told, "dags": sorted(dags), "cpu": cpu, "modules": sorted(sys.modules)}}))
""".format(folder=str(PROJECT / "dags"))
HEAVY = {"pyarrow", "duckdb", "great_expectations", "pandas", "numpy", "requests", "psycopg", "chengxin.pipeline"}


def parse(folder: Path, **environment: str) -> dict[str, object]:
    airflow = AirflowHome(folder)
    shipped = str(PROJECT / "dags" / "contracts")
    done = airflow.python(PARSE, **{"CHENGXIN_CONTRACTS": shipped, **environment})
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout.splitlines()[-1])


def test_parsing_all_dags_imports_no_data_library_and_is_quick(tmp_path):
    parsed = parse(tmp_path)
    contracts = {path.stem for path in (PROJECT / "dags" / "contracts").rglob("*.yaml")}
    others = {"collect", "snapshot", "scorecard", "completeness", "housekeeping", "watch", "identity", "identity_bell"}
    others |= {"acts"}
    others |= {f"drain__{path.name}" for path in (PROJECT / "dags" / "contracts").iterdir() if path.is_dir()}
    assert set(parsed["dags"]) == {f"ingest__{name}" for name in contracts} | others
    assert HEAVY.isdisjoint(parsed["modules"])
    assert parsed["warnings"] == [], "nothing of Airflow's that is deprecated"
    assert parsed["cpu"] < 3.0


def test_a_task_builds_only_its_own_dag(tmp_path):
    own = parse(tmp_path / "one", _AIRFLOW_PARSING_CONTEXT_DAG_ID="ingest__tax_arrears")
    assert own["dags"] == ["ingest__tax_arrears"]
    drain = parse(tmp_path / "three", _AIRFLOW_PARSING_CONTEXT_DAG_ID="drain__tax")
    assert drain["dags"] == ["drain__tax"]
    snapshot = parse(tmp_path / "two", _AIRFLOW_PARSING_CONTEXT_DAG_ID="snapshot")
    assert snapshot["dags"] == ["snapshot"]
