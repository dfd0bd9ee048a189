"""Which error of ours becomes which outcome of Airflow's."""

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from chengxin import errors
from chengxin.orchestration.outcomes import airflow_outcome, normal_end

ALL = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.ChengxinError)]


@pytest.mark.parametrize("error", ALL)
def test_only_errors_worth_another_try_are_tried_again(error):
    @airflow_outcome
    def stage() -> None:
        raise error("原因")

    expected = error if error in (errors.SourceUnavailable, errors.CommitConflict) else AirflowFailException
    with pytest.raises(expected, match="原因"):
        stage()


def test_what_nobody_foresaw_is_left_as_it_is():
    @airflow_outcome
    def stage() -> None:
        raise OSError(28, "disk full")

    with pytest.raises(OSError, match="disk full"):
        stage()


def test_a_normal_end_skips():
    with pytest.raises(AirflowSkipException, match="暂缓"):
        normal_end("暂缓入库")
