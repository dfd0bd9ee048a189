"""The chores that nobody switches on: they are on from the beginning, whatever Airflow does with new DAGs."""

import pytest

from chengxin.orchestration import housekeeping, identity_review, legal_acts, problems, watch


@pytest.mark.parametrize(
    "build", [housekeeping.build, watch.build, identity_review.build, legal_acts.build, lambda: problems.build([])]
)
def test_a_chore_is_on_from_the_beginning(build):
    assert build().is_paused_upon_creation is False
