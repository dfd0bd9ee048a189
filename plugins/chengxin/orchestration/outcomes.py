"""The one place where errors of ours become outcomes of Airflow's.

retryable (SourceUnavailable, CommitConflict)     the task fails and is tried again
every other ChengxinError                         the task fails at once: trying again cannot help
held batch, nothing to publish                    the task is skipped: a normal end (`normal_end`)
"""

from collections.abc import Callable
from functools import wraps
from typing import Never, ParamSpec, TypeVar

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from chengxin.errors import ChengxinError

P = ParamSpec("P")
R = TypeVar("R")


def airflow_outcome(stage: Callable[P, R]) -> Callable[P, R]:
    """Wrap a stage so that only errors worth another try are tried again."""

    @wraps(stage)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return stage(*args, **kwargs)
        except ChengxinError as error:
            if error.retryable:
                raise
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error

    return run


def normal_end(message: str) -> Never:
    """End the task as skipped, and with it what comes after."""
    raise AirflowSkipException(message)
