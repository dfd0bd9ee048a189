"""What has become of a batch's refused rows, as its newest answer to the department tells."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

RECEIPT = "回执.json"


@dataclass(frozen=True)
class Refused:
    """How many rows were refused, are still open, and were mended by which batches; the rest was overtaken."""

    total: int
    open: int
    mended: Mapping[str, int]


def refused(home: Path, dataset: str, batch_id: str) -> Refused | None:
    """Return it for a batch, or None where the department was not answered yet or nothing was refused."""
    answers = [p for p in (home / "feedback" / dataset / batch_id).glob(f"*/{RECEIPT}") if p.parent.name.isdigit()]
    if not answers:
        return None
    told = json.loads(max(answers, key=lambda path: int(path.parent.name)).read_text("utf-8")).get("refused") or {}
    return Refused(told["total"], told["open"], told["mended"]) if told.get("total") else None


def mended(home: Path, batches: Iterable[tuple[str, str]]) -> dict[str, Refused]:
    """Return those of these batches, given as data set and batch id, of which some refused row was mended since."""
    found = {batch_id: refused(home, dataset, batch_id) for dataset, batch_id in dict.fromkeys(batches)}
    return {batch_id: told for batch_id, told in found.items() if told and told.mended}
