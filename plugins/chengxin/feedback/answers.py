"""Answer every batch of a data set: build what is new or has changed, hand over what has not been handed over.

A run that is killed anywhere leaves packages that are whole or absent, and at worst hands the same one over twice.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from chengxin import __version__
from chengxin.connectors.receivers import RECEIPT, hand_over
from chengxin.contracts.derivation import replayed
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import contract_digest
from chengxin.errors import ChengxinError, NotAnswered, failure_text, of_home
from chengxin.facts import Batch, Verdict
from chengxin.feedback import package
from chengxin.feedback.outcomes import Outcome, accounts, ended, waited_out
from chengxin.feedback.receipt import Settling, body, settling
from chengxin.home import Home
from chengxin.records import closings
from chengxin.records.refused import OpenRefusals, Refusals, Standing
from chengxin.store import atomic
from chengxin.store.layout import Layout
from chengxin.store.lock import held

log = logging.getLogger(__name__)
SENT = "sent.json"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The newest answer to a batch. sent: where it went, None when not yet; problem: why not, in Chinese."""

    batch_id: str
    id: str
    receipt: dict[str, Any]
    folder: Path
    sent: str | None
    problem: str | None = None


def refusals(home: Home, contract: Contract, outcomes: Sequence[Outcome]) -> Refusals:
    """Return the refused rows of a data set. outcomes: all its batches that have one, in order."""
    accounts = {o.batch.batch_id: o.account for o in outcomes if o.account}
    return Refusals(home, contract, [o.batch for o in outcomes], accounts)


def answer(
    home: Home,
    contract: Contract,
    judged: Callable[[Batch], Verdict | None],
    *,
    again: Sequence[str] = (),
) -> list[Answered]:
    """Answer the batches of a data set; return the newest answer of each that was built or handed over now.

    judged: as of `outcomes.ended`. again: batches whose newest answer is handed over once more, though that was done.
    Raise NotAnswered, after all others, where the answer of some batch cannot be made.
    """
    layout = home.layout
    with held(layout, f"feedback-{contract.id}"):
        settled = closings.digest(closings.in_force(closings.read(layout, contract.id)))
        today, failed = home.clock.today(), dict[str, str]()
        state = _state(contract, accounts(home, contract, judged), settled, waited_out(home, contract, today))
        known, unsent = _marked(layout, contract)
        if known == state and not again and not unsent:
            return []
        outcomes = ended(home, contract, judged)
        fresh = set() if known == state else _build(home, contract, outcomes, today, failed)
        due = [o.batch.batch_id for o in outcomes if replayed(o.batch) is None]
        done = []
        for batch_id in due:
            folder = newest(layout, contract.id, batch_id)
            if folder and (batch_id in again or batch_id in fresh or not (folder / SENT).exists()):
                with _kept(batch_id, failed):
                    done.append(_send(home, contract, folder))
        if failed:
            raise NotAnswered("；".join(f"批次 {b} 的反馈没有做成：{said}" for b, said in failed.items()))
        left = [a.batch_id for a in done if a.sent is None]
        atomic.write_json(_mark(layout, contract), {**state, "unsent": left})
        return done


@contextmanager
def _kept(batch_id: str, failed: dict[str, str]) -> Iterator[None]:
    """Do something for one batch; what goes wrong is raised at the end, and the other batches are answered."""
    try:
        yield
    except Exception as error:
        if of_home(error):
            raise
        failed[batch_id] = failure_text(error, "反馈")


def _mark(layout: Layout, contract: Contract) -> Path:
    """Return the file that tells for which state all is built, and what is not handed over; may be deleted."""
    return layout.home / "feedback" / contract.id / "answered.json"


def _marked(layout: Layout, contract: Contract) -> tuple[dict[str, Any], list[str]]:
    mark = _mark(layout, contract)
    said = dict(atomic.read_json(mark)) if mark.exists() else {}
    return said, said.pop("unsent", [])


def _state(contract: Contract, known: list[list[Any]], settled: list[Any], waited: list[str]) -> dict[str, Any]:
    made_under = {"library": __version__, "contract": contract_digest(contract)}
    return {**made_under, "accounts": known, "settled": settled, "waited": waited}


def newest(layout: Layout, dataset: str, batch_id: str) -> Path | None:
    """Return the folder of the newest answer to a batch."""
    found = sorted((layout.home / "feedback" / dataset / batch_id).glob(f"[0-9]*/{RECEIPT}"))
    return found[-1].parent if found else None


def answers(home: Home, contract: Contract, batch_ids: Sequence[str]) -> list[Answered]:
    """Return the newest answers to these batches as they are; nothing is built or sent."""
    folders = (newest(home.layout, contract.id, b) for b in batch_ids)
    return [_shown(f) for f in folders if f]


def _build(
    home: Home, contract: Contract, outcomes: Sequence[Outcome], today: date, failed: dict[str, str]
) -> set[str]:
    """Build a new revision for every batch whose receipt has changed; return their ids. failed: why one could not."""
    layout = home.layout
    all_refusals = refusals(home, contract, outcomes)
    fresh: set[str] = set()
    with ExitStack() as stack:
        rows: OpenRefusals | None = None
        standing: dict[str, Standing] = {}
        settles: dict[str, Settling] = {}
        if all_refusals.refused:
            rows = stack.enter_context(all_refusals.opened())
            standing = rows.standing()
        settles = settling(standing)
        for outcome in outcomes:
            batch_id = outcome.batch.batch_id
            if replayed(outcome.batch) is not None:
                continue
            with _kept(batch_id, failed):
                now = body(contract, outcome, standing.get(batch_id, Standing()), today, settles.get(batch_id))
                last = newest(layout, contract.id, batch_id)
                before = atomic.read_json(last / RECEIPT) if last else None
                if before and before.get("made_of") == package.made_of(now):
                    continue
                if rows is None and outcome.account and outcome.account.unlinked:
                    rows = stack.enter_context(all_refusals.opened())
                revision = int(last.name) + 1 if last else 0
                target = layout.home / "feedback" / contract.id / batch_id / f"{revision:04d}"
                parts, contact = all_refusals.parts(batch_id), home.settings.contact
                package.build(
                    target,
                    now,
                    revision=revision,
                    outcome=outcome,
                    rows=rows,
                    parts=parts,
                    keys=all_refusals.keys,
                    contact=contact,
                    before=before,
                )
                fresh.add(batch_id)
    return fresh


def _send(home: Home, contract: Contract, folder: Path) -> Answered:
    """Hand one answer over. A receiver that does not answer is no failure of the run: the next one tries again."""
    try:
        place = hand_over(home, contract, package.read(folder))
    except ChengxinError as error:
        log.warning("反馈 %s 未送达，下次运行时再送：%s", folder.parent.name, error)
        return _shown(folder, str(error))
    atomic.write_json(folder / SENT, {"place": place, "at": home.clock.now().isoformat()})
    return _shown(folder)


def _shown(folder: Path, problem: str | None = None) -> Answered:
    receipt = atomic.read_json(folder / RECEIPT)
    sent = atomic.read_json(folder / SENT)["place"] if (folder / SENT).exists() else None
    return Answered(
        batch_id=receipt["batch_id"], id=receipt["id"], receipt=receipt, folder=folder, sent=sent, problem=problem
    )
