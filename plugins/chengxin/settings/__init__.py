"""What the environment configures: a frozen model of all variables, and the only code that touches `os.environ`."""

from chengxin.settings.environment import (
    authorities,
    environment,
    lent,
    put,
    put_default,
    running_task,
    secret,
)
from chengxin.settings.model import PROJECT, Alerts, Approval, Limits, Retention, Secret, Settings, Variable, variables

__all__ = [
    "PROJECT",
    "Alerts",
    "Approval",
    "Limits",
    "Retention",
    "Secret",
    "Settings",
    "Variable",
    "authorities",
    "environment",
    "lent",
    "put",
    "put_default",
    "running_task",
    "secret",
    "variables",
]
