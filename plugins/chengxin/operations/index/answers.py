"""What has become of a batch's refused rows, as its newest answer to the department tells."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

RECEIPT = "回执.json"


@dataclass(frozen=True)
class Refused:
    """How many rows were refused, are still open, mended by which batches, settled by hand; the rest was overtaken."""

    total: int
    open: int
    mended: Mapping[str, int]
    closed: int = 0


def refused(home: Path, dataset: str, batch_id: str) -> Refused | None:
    """Return it for a batch; None when it was not answered yet, nothing was refused, or the answer is damaged."""
    answers = [p for p in (home / "feedback" / dataset / batch_id).glob(f"*/{RECEIPT}") if p.parent.name.isdigit()]
    if not answers:
        return None
    try:
        told = json.loads(max(answers, key=lambda path: int(path.parent.name)).read_bytes()).get("refused") or {}
    except (OSError, ValueError):
        return None  # whoever sends answers will say so; the pages go on
    if not told.get("total"):
        return None
    return Refused(told["total"], told["open"], told["mended"], sum(told.get("closed", {}).values()))


def corrected(home: Path, batches: Iterable[tuple[str, str]]) -> dict[str, Refused]:
    """Return those of these batches, given as data set and batch id, of which some refused row is no longer open."""
    found = {batch_id: refused(home, dataset, batch_id) for dataset, batch_id in dict.fromkeys(batches)}
    return {batch_id: told for batch_id, told in found.items() if told and told.open < told.total}
