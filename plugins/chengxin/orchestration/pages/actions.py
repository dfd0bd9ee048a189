"""What a reader may do from a queue. Nothing yet: the pages only read.

The seam for replay: an Action names a page of Airflow where the work is started (its trigger form checks the form, the
permission and the session itself), so no route of ours ever writes. Placeholders: {dataset}.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Action:
    """A button above a queue that is narrowed to one data set. href: below Airflow's own address."""

    queue: Literal["refused", "waiting"]
    title: str
    href: str


QUEUE_ACTIONS: tuple[Action, ...] = ()
