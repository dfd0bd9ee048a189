"""What a run of a data set's own DAG does: what its form asks, then all that waits of the data set, then the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chengxin.contracts.models import Contract
from chengxin.errors import SourceUnavailable
from chengxin.home import Home
from chengxin.orchestration import chunks, partitions, stages
from chengxin.orchestration.outcomes import AlreadyTold


@dataclass
class Done:
    """What a run did. keys: of deliveries (partitions.key_of). accounts: of admitted batches. failed: in words."""

    keys: set[str] = field(default_factory=set)
    accounts: list[dict[str, Any]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def raise_failed(self) -> None:
        """Fail the task where something failed; each has its alert."""
        if self.failed:
            raise AlreadyTold("；".join(self.failed))


def act(contract: Contract, context: Mapping[str, Any], say: Callable[[dict[str, Any]], None]) -> Done:
    """Do what the form asks, take in what waits of this data set, answer the department.

    context: of the task. say: as of stages.discover. Raises where the form cannot be done, and what another try of the
    task may correct.
    """
    from chengxin import pipeline

    home, place, done = Home.from_environment(), chunks.Place.of(context["ti"]), Done()
    failures = pipeline.Failures(home, place.page)
    away: SourceUnavailable | None = None
    offered: list[dict[str, Any]] = []
    try:
        offered = stages.discover(contract, context["params"], context["dag_run"].triggering_user_name, say)
    except SourceUnavailable as error:  # what was received before is taken in all the same
        away = error
    for delivery in offered:
        with failures.of(contract, "接收", delivery["name"]):
            stages.land(contract, delivery)
            if partitions.is_expected(contract):
                done.keys.add(partitions.key_of(contract, delivery))
    chunk = [[contract.id, batch.batch_id] for batch in pipeline.pending(home, contract)]
    for outcome in chunks.drain({contract.id: contract}, chunk, context["task_state_store"], place):
        say(outcome.for_people())
        if outcome.account:
            done.accounts.append(outcome.account)
        if outcome.error:
            done.failed.append(f"{outcome.batch_id}：{outcome.error}")
    done.failed += failures.said
    failures.tell()
    if away:
        raise away
    stages.answer({contract.id: contract})
    return done
