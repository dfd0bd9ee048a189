"""The feedback command: the newest answer to each batch, and sending what was not sent."""

from typing import TYPE_CHECKING, Any

from chengxin import pipeline
from chengxin.contracts.models import Contract
from chengxin.feedback import answers, receipt

if TYPE_CHECKING:
    from chengxin.cli.context import Context


def feedback(context: "Context", contract: Contract, batch_id: str | None, *, again: bool) -> dict[str, Any]:
    """Send what was not sent (again: this batch's answer once more); return the newest answers, without any row."""
    again_ids = [pipeline.batch(context.home, contract.id, batch_id).batch_id] if again and batch_id else []
    done = {a.batch_id: a for a in pipeline.answer(context.home, contract, again=again_ids)}
    ids = [o.batch.batch_id for o in pipeline.outcomes(context.home, contract)]
    wanted = [i for i in ids if batch_id in {None, i}]
    found = answers.answers(context.home, contract, wanted)
    return {
        "dataset": contract.id,
        "answers": [
            {
                "id": a.id,
                "batch_id": a.batch_id,
                "delivery": a.receipt["delivery"],
                "summary": receipt.summary(a.receipt),
                "advice": a.receipt["advice"],
                "counts": a.receipt["counts"],
                "refused": a.receipt["refused"],
                "sent": a.sent,
                "problem": done[a.batch_id].problem if a.batch_id in done else None,
                "folder": context.home.settings.shown(a.folder),
            }
            for a in found
        ],
    }
