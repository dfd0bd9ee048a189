"""The chores that nobody switches on: they are on from the beginning, whatever Airflow does with new DAGs."""

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from chengxin.orchestration import housekeeping, identity_review, legal_acts, problems, watch
from deliveries import PENALTY, REGISTRATION, Office, company, penalty

CHORES = (
    *(housekeeping.build, watch.build, identity_review.build, identity_review.build_bell, legal_acts.build),
    lambda: problems.build([]),
)


@pytest.mark.parametrize("build", CHORES)
def test_a_chore_is_on_from_the_beginning(build):
    assert build().is_paused_upon_creation is False


def test_the_bell_states_how_many_names_wait_and_no_name(tmp_path, monkeypatch):
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_pen", "penalty", PENALTY)
    firms = ("长沙凯岳建材有限公司", "长沙凯跃建材有限公司")
    office.deliver("test_reg", *(company(n, subject_name=name) for n, name in enumerate(firms, 1)), day=0)
    monkeypatch.setenv("CHENGXIN_HOME", str(office.settings.home))
    with pytest.raises(AirflowSkipException):
        identity_review.waiting()
    sent = "长沙凯越建材有限公司"
    office.deliver("test_pen", penalty(1, subject_name=sent, uscc=""), day=1)
    found = identity_review.waiting()
    assert found["names"] == 1
    assert "1 个名称待核对，其中 1 个须两人" in found["text"]
    assert "| 1 | 2 | test_pen |" in found["text"]
    assert sent not in found["text"]
    bell = identity_review.build_bell()
    assert bell.get_task("ask").upstream_task_ids == {"count"}
