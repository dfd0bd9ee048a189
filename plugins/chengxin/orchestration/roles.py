"""The roles that the stack ships, for the FAB auth manager: `python -m chengxin.orchestration.roles` makes them.

Reader     sees all pages, no value as sent
Clerk      also starts runs of ingest DAGs (receive, release, settle, replay), sees values as sent; answers no question
Publisher  Reader who answers the questions before a publication and may start it; sees no value as sent

A role is exactly this after each run of the command; whoever needs another one gives it another name.
"""

import sys
from typing import Any

VALUES = "Chengxin values"  # whoever may read this resource, and steer a data set's DAG, sees its values as sent
PUBLISHER = "Publisher"
ADMIN = "Admin"
_SEES_VALUES = ("can_read", VALUES)
# Beside what a Viewer of Airflow may.
ROLES: dict[str, tuple[tuple[str, str], ...]] = {
    "Reader": (),
    "Clerk": (("can_edit", "DAGs"), ("can_create", "DAG Runs"), _SEES_VALUES),
    PUBLISHER: (
        ("can_edit", "HITL Detail"),
        ("menu_access", "HITL Detail"),
        ("can_edit", "DAG:snapshot"),
        ("can_create", "DAG Runs"),
    ),
}


def make(manager: Any) -> None:
    """Make the roles with just their permissions, in FAB's security manager; an Admin sees values too."""
    for name, more in ROLES.items():
        role = manager.add_role(name)
        wanted, had = (
            {*manager.VIEWER_PERMISSIONS, *more},
            {(p.action.name, p.resource.name): p for p in role.permissions},
        )
        for pair in sorted(wanted - had.keys()):
            manager.add_permission_to_role(role, manager.create_permission(*pair))
        for pair in sorted(had.keys() - wanted):
            manager.remove_permission_from_role(role, had[pair])
    manager.add_permission_to_role(manager.find_role(ADMIN), manager.create_permission(*_SEES_VALUES))


def approvers(manager: Any) -> str:
    """Return the active Publishers as CHENGXIN_APPROVERS wants them."""
    found = [u for u in manager.get_all_users() if u.active and PUBLISHER in {role.name for role in u.roles}]
    return ",".join(f"{user.id}:{user.username}" for user in sorted(found, key=lambda u: u.id))


def main() -> None:
    """Make the roles in Airflow's database and print who may approve."""
    from chengxin.orchestration.airflow_internals.fab_roles import with_security_manager

    def made(manager: Any) -> str:
        make(manager)
        return approvers(manager)

    found, none = with_security_manager(made), f"尚无 {PUBLISHER}：授予后再运行本命令，取得 CHENGXIN_APPROVERS 的值"
    sys.stdout.write(f"角色已就绪：{'、'.join(ROLES)}\n{f'CHENGXIN_APPROVERS={found}' if found else none}\n")


if __name__ == "__main__":
    main()
