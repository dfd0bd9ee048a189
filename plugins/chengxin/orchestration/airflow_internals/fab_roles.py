"""The security manager of the FAB auth manager, outside of any server.

Internal: `cli_commands.utils` of the provider, `airflow.utils.providers_configuration_loader`. Public alternative:
`airflow roles add-perms` and `del-perms`, a process for each permission; none tells what a role has too much, or the
ids of its users.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

T = TypeVar("T")


def with_security_manager(change: Callable[[Any], T]) -> T:
    """Return what a change returns that is given the security manager."""

    @providers_configuration_loaded
    def run() -> T:
        with get_application_builder() as builder:
            return change(builder.sm)

    result: T = run()
    return result
