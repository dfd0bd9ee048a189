"""What a reader may do from a queue. The pages only read: an action leads to Airflow, where the work is started.

Airflow's trigger form checks form, session and permission by itself, so no route of ours ever writes.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Action:
    """A button above a queue that is narrowed to one data set. href: below Airflow's own address; {dataset}."""

    queue: Literal["refused", "waiting"]
    title: str
    href: str


QUEUE_ACTIONS = (Action("refused", "重放：在流程的触发表单中选“重放疑问数据”", "/dags/ingest__{dataset}"),)
