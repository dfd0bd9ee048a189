"""The evidence of one validation, in the folder `validation/` of its batch: written, read and named here alone.

suite.json, result.json   the composed suite, and what Great Expectations answered
facts.json                what later batches are compared with
verdict.json              accept, warn or hold, and the findings
report.html               the page for people
made_under.json           the digest of contract, suite and library
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from chengxin.facts import DeliveryMode, Verdict, as_json
from chengxin.store import atomic

_SUITE, _RESULT, _FACTS, _VERDICT = "suite.json", "result.json", "facts.json", "verdict.json"
_PAGE, _MADE_UNDER = "report.html", "made_under.json"


@dataclass(frozen=True, kw_only=True)
class BatchFacts:
    """What later batches of a data set are compared with.

    rows: that were judged; received less what was refused, and less deletions. fill: share of rows by column.
    unended: the last row of a file had no line break; None = not known. sizes: decimal logarithm of the median by
    column of money, where there were enough amounts.
    """

    batch_id: str = ""
    mode: DeliveryMode = "full"
    received: int = 0
    rows: int = 0
    quarantined: int = 0
    fill: Mapping[str, float] = field(default_factory=dict)
    unended: bool | None = None
    sizes: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `as_json`."""
        return cls(**data)


def write(
    folder: Path,
    *,
    suite: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    facts: BatchFacts,
    verdict: Verdict,
    page: str,
) -> None:
    """Fill the folder, but for what it was made under. results: one of Great Expectations a rule."""
    good = sum(bool(one["success"]) for one in results)
    statistics = {
        "evaluated_expectations": len(results),
        "successful_expectations": good,
        "unsuccessful_expectations": len(results) - good,
    }
    success = good == len(results)
    result = {"suite_name": suite["name"], "success": success, "statistics": statistics, "results": results}
    atomic.write_json(folder / _SUITE, suite)
    atomic.write_json(folder / _RESULT, result)
    atomic.write_json(folder / _FACTS, as_json(facts))
    write_verdict(folder, verdict)
    atomic.write_bytes(folder / _PAGE, page.encode())


def read_facts(folder: Path) -> BatchFacts | None:
    """Return the facts of a batch; None where there are none."""
    path = folder / _FACTS
    return BatchFacts.from_json(atomic.read_json(path)) if path.exists() else None


def readable_facts(folder: Path) -> BatchFacts:
    """Return the facts of a batch; none are known where they are missing or damaged."""
    try:
        return read_facts(folder) or BatchFacts()
    except (ValueError, TypeError):
        return BatchFacts()


def is_judged(folder: Path) -> bool:
    """Return whether there is a verdict."""
    return (folder / _VERDICT).exists()


def read_verdict(folder: Path) -> Verdict:
    """Return the verdict. Raises FileNotFoundError before there is one."""
    return Verdict.from_json(atomic.read_json(folder / _VERDICT))


def readable_verdict(folder: Path) -> Verdict | None:
    """Return the verdict; None where it is missing or damaged."""
    try:
        return read_verdict(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_verdict(folder: Path, verdict: Verdict) -> None:
    """Write the verdict, or a changed one over it."""
    atomic.write_json(folder / _VERDICT, as_json(verdict))


def change_page(folder: Path, change: Callable[[str], str]) -> None:
    """Rewrite the page for people where the change makes another one of it, and there is one."""
    path = folder / _PAGE
    before = path.read_text("utf-8") if path.exists() else None
    after = change(before) if before is not None else None
    if after is not None and after != before:
        atomic.write_bytes(path, after.encode())


def page_of(folder: Path) -> Path:
    """Return where the page for people is."""
    return folder / _PAGE


def read_made_under(folder: Path) -> str | None:
    """Return the digest under which the verdict was made; None before that."""
    path = folder / _MADE_UNDER
    return str(atomic.read_json(path)["digest"]) if path.exists() else None


def write_made_under(folder: Path, digest: str) -> None:
    """Write under what the verdict was made: the last file, so that a folder without it is not done."""
    atomic.write_json(folder / _MADE_UNDER, {"digest": digest})


def to_be_sealed(folder: Path) -> list[Path]:
    """Return the files of which an account keeps the digests."""
    return [folder / _VERDICT, folder / _FACTS]
