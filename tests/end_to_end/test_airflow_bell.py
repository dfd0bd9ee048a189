"""Airflow asks every morning whether somebody has seen how many names wait for a person."""

from pathlib import Path

import pytest
from test_airflow_approval import Running

from chengxin.cli.embedded_airflow import EmbeddedAirflow
from chengxin.orchestration.identity_review import BELL, SEEN
from deliveries import PENALTY, REGISTRATION, Office, company, penalty

pytestmark = [pytest.mark.airflow, pytest.mark.server, pytest.mark.slow]


def test_the_question_is_open_until_somebody_has_seen_it(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_pen", "penalty", PENALTY)
    firms = ("长沙凯岳建材有限公司", "长沙凯跃建材有限公司")
    office.deliver("test_reg", *(company(n, subject_name=name) for n, name in enumerate(firms, 1)), day=0)
    office.deliver("test_pen", penalty(1, subject_name="长沙凯越建材有限公司"), day=1)
    with EmbeddedAirflow(office.settings) as airflow:
        airflow.start({})
        running = Running(airflow, office.settings.home)
        running.until(lambda: BELL in {d["dag_id"] for d in running.get("dags?limit=100")["dags"]})
        running.run(BELL, "morning")
        question = running.question("ask")
        assert question["subject"] == "1 个名称待核对"
        assert "| 1 | 2 | test_pen |" in question["body"]
        task = question["task_instance"]
        path = f"/api/v2/dags/{BELL}/dagRuns/{task['dag_run_id']}/taskInstances/ask/-1/hitlDetails"
        running.client.patch(path, json={"chosen_options": [SEEN]}).raise_for_status()
        assert running.ended(BELL, task["dag_run_id"]) == "success"
