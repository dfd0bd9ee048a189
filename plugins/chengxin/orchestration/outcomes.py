"""The one place where errors of ours become outcomes of Airflow's: a retry policy, and the normal end.

SourceUnavailable, StoreUnavailable,
CommitConflict, WorkerDied            tried again, with growing pauses
an answer that is none                asked again at once
a full disk                           tried again, later: somebody, or housekeeping, makes room
every other exception                 the task fails at once: trying again cannot help
a process that died                   no exception: Airflow tries again
held batch, nothing to publish        the task is skipped: a normal end (`normal_end`)
"""

from datetime import timedelta
from typing import Any, Never

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryDecision, RetryRule
from airflow.sdk.exceptions import AirflowSkipException

from chengxin.errors import ChengxinError, CommitConflict, SourceUnavailable, StoreUnavailable, WorkerDied, no_room
from chengxin.settings import Settings


class AnswerInvalid(ChengxinError):
    """Raised when what a person answered cannot count: an opinion is missing, or somebody else has to answer."""


class AlreadyTold(ChengxinError):
    """Raised to fail a task whose troubles have alerts of their own."""


class Policy(ExceptionRetryPolicy):  # type: ignore[misc]  # Airflow is untyped to us
    """Decides by the class of the error, and for a full disk by its text: Arrow and DuckDB have their own."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """Decide."""
        if no_room(exception):
            return RetryDecision.retry(FULL_PAUSE * 2 ** (try_number - 1), "磁盘空间不足，腾出空间后自动再试")
        return super().evaluate(exception, try_number, max_tries, context)


# All pauses follow from the first one.
PAUSE = Settings.from_environment().retry_pause
FULL_PAUSE = 5 * PAUSE  # 10, 20, 40 minutes
POLICY = Policy(
    rules=[
        RetryRule(SourceUnavailable, RetryAction.RETRY, reason="来源或接收方暂时不可用，稍后再试"),
        RetryRule(StoreUnavailable, RetryAction.RETRY, reason="数据目录所在的对象存储暂时不可用，稍后再试"),
        RetryRule(WorkerDied, RetryAction.RETRY, reason="工作进程被系统终止，稍后再试"),
        RetryRule(CommitConflict, RetryAction.RETRY, reason="另一项任务正在写入，稍后再试"),
        RetryRule(AnswerInvalid, RetryAction.RETRY, timedelta(seconds=1), reason="作答无效，重新提问"),
        RetryRule(Exception, RetryAction.FAIL, reason="重试无济于事；请按错误说明处理后清除（Clear）本任务"),
    ],
)
# Pauses of 2, 4, 8 minutes and up to as much again, so that all data sets of a source do not come back at once.
RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": PAUSE,
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(hours=1),
    "retry_policy": POLICY,
}


def normal_end(message: str) -> Never:
    """End the task as skipped, and with it what comes after."""
    raise AirflowSkipException(message)
