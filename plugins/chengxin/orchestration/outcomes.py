"""The one place where errors of ours become outcomes of Airflow's: a retry policy, and the normal end.

SourceUnavailable, CommitConflict     tried again, with growing pauses
every other exception                 the task fails at once: trying again cannot help
a process that died                   no exception: Airflow tries again
held batch, nothing to publish        the task is skipped: a normal end (`normal_end`)
"""

from datetime import timedelta
from typing import Any, Never

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowSkipException

from chengxin.errors import CommitConflict, SourceUnavailable

POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(SourceUnavailable, RetryAction.RETRY, reason="来源或接收方暂时不可用，稍后再试"),
        RetryRule(CommitConflict, RetryAction.RETRY, reason="另一项任务正在写入，稍后再试"),
        RetryRule(Exception, RetryAction.FAIL, reason="重试无济于事；请按错误说明处理后清除（Clear）本任务"),
    ],
)
# Pauses of 2, 4, 8 minutes and up to as much again, so that all data sets of a source do not come back at once.
RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(minutes=2),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(hours=1),
    "retry_policy": POLICY,
}


def normal_end(message: str) -> Never:
    """End the task as skipped, and with it what comes after."""
    raise AirflowSkipException(message)
