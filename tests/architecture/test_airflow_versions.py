"""A DAG gets a new version in Airflow when its contract changes, and never by itself."""

import json
import shutil
from pathlib import Path

import pytest

from airflow_home import PROJECT, AirflowHome

pytestmark = pytest.mark.airflow

# what Airflow compares to tell whether a DAG is another one than before
HASHES = """
import json, runpy
from pathlib import Path
import airflow.sdk
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization
found = {{}}
for path in sorted(Path({folder!r}).glob("*.py")):
    for value in runpy.run_path(str(path)).values():
        if isinstance(value, airflow.sdk.DAG):
            value.fileloc = str(path)
            found[value.dag_id] = SerializedDagModel.hash(DagSerialization.to_dict(value))
print(json.dumps(found))
""".format(folder=str(PROJECT / "dags"))


@pytest.fixture
def airflow(tmp_path: Path) -> AirflowHome:
    airflow = AirflowHome(tmp_path)
    for name in ("tax/tax_arrears.yaml", "banking/banking_guarantee.yaml"):
        (airflow.contracts / name).parent.mkdir()
        shutil.copy(PROJECT / "dags" / "contracts" / name, airflow.contracts / name)
    return airflow


def hashes(airflow: AirflowHome, seed: int) -> dict[str, str]:
    done = airflow.python(HASHES, PYTHONHASHSEED=str(seed))
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_same_contracts_give_same_dags_and_a_change_only_its_own(airflow):
    first, again = hashes(airflow, 1), hashes(airflow, 2)
    assert set(first) == {
        "ingest__tax_arrears", "ingest__banking_guarantee",
        "drain__tax", "drain__banking", "collect", "snapshot", "scorecard", "completeness", "housekeeping", "watch",
        "identity", "identity_bell", "acts",
    }  # fmt: skip
    assert again == first, "no new version without a change"
    path = airflow.contracts / "tax" / "tax_arrears.yaml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("\ntitle: ", "\ntitle: 新", 1), "utf-8")
    changed = hashes(airflow, 1)
    assert {name for name in first if changed[name] != first[name]} == {"ingest__tax_arrears"}
