"""Which error of ours becomes which outcome of Airflow's."""

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowSkipException

from chengxin import errors
from chengxin.orchestration.outcomes import POLICY, AnswerInvalid, normal_end

ALL = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.ChengxinError)]


@pytest.mark.parametrize("error", ALL)
def test_only_errors_worth_another_try_are_tried_again(error):
    again = error in (errors.SourceUnavailable, errors.StoreUnavailable, errors.CommitConflict, errors.WorkerDied)
    decision = POLICY.evaluate(error("原因"), 1, 3)
    assert decision.action is (RetryAction.RETRY if again else RetryAction.FAIL)
    assert error.retryable is again
    assert decision.reason


def test_an_answer_that_cannot_count_is_asked_for_again_at_once():
    decision = POLICY.evaluate(AnswerInvalid("没有写明意见"), 1, 50)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=1))


def test_what_nobody_foresaw_fails_at_once():
    assert POLICY.evaluate(OSError(13, "not allowed"), 1, 3).action is RetryAction.FAIL


@pytest.mark.parametrize("error", [OSError(28, "x"), RuntimeError("IO Error: No space left on device")])
def test_a_full_disk_is_retried_after_longer_and_longer_pauses(error):
    first, second = POLICY.evaluate(error, 1, 3), POLICY.evaluate(error, 2, 3)
    assert first.action is second.action is RetryAction.RETRY
    assert (first.retry_delay, second.retry_delay) == (timedelta(minutes=10), timedelta(minutes=20))


def test_the_task_pauses_are_left_to_grow():
    assert POLICY.evaluate(errors.SourceUnavailable("原因"), 1, 3).retry_delay is None


def test_a_normal_end_skips():
    with pytest.raises(AirflowSkipException, match="暂缓"):
        normal_end("暂缓入库")
