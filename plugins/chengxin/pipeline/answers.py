"""What goes back to departments: answers to their batches, and refused rows tried again."""

from collections.abc import Sequence

from chengxin.contracts.derivation import replayed
from chengxin.contracts.models import Contract
from chengxin.errors import NotClosable
from chengxin.facts import Batch
from chengxin.feedback import answers
from chengxin.feedback import replay as replaying
from chengxin.feedback.answers import Answered
from chengxin.feedback.outcomes import Outcome, ended
from chengxin.home import Home
from chengxin.pipeline import at_home
from chengxin.pipeline.batches import verdict_of
from chengxin.pipeline.failures import guarded
from chengxin.records import closings, journal
from chengxin.records.closings import Asked


@guarded("反馈")
@at_home.dataset_stage
def answer(home: Home, contract: Contract, *, again: Sequence[str] = ()) -> list[Answered]:
    """Answer the department: build what is new or changed of its batches' receipts, hand over what was not yet.

    again: batches whose newest answer is handed over once more. A receiver that fails is told in the result.
    """
    if not home.layout.landing(contract.id, "").is_dir():
        return []
    return answers.answer(home, contract, lambda landed: verdict_of(home, contract, landed), again=again)


@at_home.dataset_stage
def replay(home: Home, contract: Contract, only: str | None = None) -> list[replaying.Replayed]:
    """Land the refused rows that pass under the present contract as batches of their own; see feedback.replay."""
    return replaying.replay(home, contract, outcomes(home, contract), only)


@at_home.batch_stage
def close(
    home: Home,
    contract: Contract,
    landed: Batch,
    rows: Sequence[str],
    *,
    by: str,
    reason: str,
    reopen: bool = False,
) -> Asked:
    """Settle refused rows of an admitted batch by hand, or let them wait again; see records.closings.enter.

    What has been settled in any other way stays so: the account does not change. Raise NotClosable where the batch is
    held, or a replay.
    """
    layout = home.layout
    journal.check(layout)
    if replayed(landed) is not None or not layout.links(contract.id, landed.batch_id, 0).is_dir():
        raise NotClosable(
            f"{landed.batch_id} 没有可以逐行办结的疑问数据：整批暂缓的请放行或请部门重报，重放的请在原批次办结"
        )
    return closings.enter(
        layout, contract.id, landed.batch_id, rows, at=home.clock.now(), by=by, reason=reason, reopens=reopen
    )


def outcomes(home: Home, contract: Contract) -> list[Outcome]:
    """Return what became of each landed batch that is admitted or held under the present contract, in order."""
    return ended(home, contract, lambda landed: verdict_of(home, contract, landed))
