"""The shipped roles, in a real FAB auth manager: who sees values, who answers, who starts what."""

import json

import pytest

from airflow_home import AirflowHome

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

ASK = """
import json
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity as Entity, DagDetails
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from chengxin.orchestration.pages.access import Reader

with get_application_builder() as builder:
    manager, auth, found = builder.sm, create_auth_manager(), {}
    for role in ("Reader", "Clerk", "Publisher", "Viewer", "User", "Op", "Admin"):
        name = role.lower()
        new = (name, name, name, f"{name}@example.org", manager.find_role(role), "x")
        user = manager.find_user(name) or manager.add_user(*new)
        def may(method, entity, dag="snapshot"):
            details = DagDetails(id=dag)
            return auth.is_authorized_dag(method=method, access_entity=entity, details=details, user=user)
        reader = Reader(user, None)
        found[role] = {
            "sees": reader.may_see("tax_arrears"),
            "values": reader.may_see_values("tax_arrears"),
            "questions": may("GET", Entity.HITL_DETAIL),
            "starts": reader.may_start("tax_arrears"),
            "publishes": may("POST", Entity.RUN),
            "answers": may("PUT", Entity.HITL_DETAIL),
            "answers others": may("PUT", Entity.HITL_DETAIL, "somebody_elses"),
            "marks": may("PUT", Entity.TASK_INSTANCE),
            "writes results": may("POST", Entity.XCOM),
        }
print(json.dumps(found))
"""
EVERYBODY = {"sees", "questions"}
MAY = {
    "Reader": EVERYBODY,
    "Clerk": EVERYBODY | {"values", "starts", "publishes"},
    "Publisher": EVERYBODY | {"publishes", "answers"},
    "Viewer": EVERYBODY,
    "User": EVERYBODY | {"starts", "publishes", "answers", "answers others", "marks"},
}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    airflow = AirflowHome(tmp_path_factory.mktemp("roles"))
    auth_manager = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
    airflow.environment |= {"AIRFLOW__CORE__AUTH_MANAGER": auth_manager}
    migrated = airflow.airflow("db", "migrate")
    assert migrated.returncode == 0, migrated.stdout
    return airflow


def make(airflow):
    done = airflow.python("from chengxin.orchestration.roles import main; main()")
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def ask(airflow):
    done = airflow.python(ASK)
    assert done.returncode == 0, done.stdout[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return {role: {what for what, may in told.items() if may} for role, told in found.items()}


def test_each_role_may_what_the_page_says_and_no_more(airflow):
    assert "尚无 Publisher" in make(airflow)
    found = ask(airflow)
    assert {role: found[role] for role in MAY} == MAY
    assert "values" not in found["Op"], "who looks after Airflow needs no identity numbers"
    assert "values" in found["Admin"]


def test_done_again_it_names_the_approvers_and_undoes_changes(airflow):
    wider = airflow.airflow("roles", "add-perms", "Publisher", "--resource", "DAGs", "--action", "can_edit")
    narrower = airflow.airflow("roles", "del-perms", "Clerk", "--resource", "DAG Runs", "--action", "can_create")
    assert (wider.returncode, narrower.returncode) == (0, 0), wider.stdout + narrower.stdout
    said = make(airflow)
    assert "CHENGXIN_APPROVERS=3:publisher" in said
    found = ask(airflow)
    assert {role: found[role] for role in MAY} == MAY
