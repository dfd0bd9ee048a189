"""The evidence of one validation, one compressed document a batch: written, read and named here alone.

made_under      the digest of contract, suite and library
verdict         accept, warn or hold, and the findings
facts           what later batches are compared with
suite, result   the composed suite, and what Great Expectations answered
page            the report for people, as HTML
"""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from chengxin.facts import DeliveryMode, Verdict, as_json
from chengxin.store import atomic


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
    path: Path,
    *,
    made_under: str,
    suite: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    facts: BatchFacts,
    verdict: Verdict,
    page: str,
) -> None:
    """Write the document. results: one of Great Expectations a rule."""
    good = sum(bool(one["success"]) for one in results)
    statistics = {
        "evaluated_expectations": len(results),
        "successful_expectations": good,
        "unsuccessful_expectations": len(results) - good,
    }
    success = good == len(results)
    result = {"suite_name": suite["name"], "success": success, "statistics": statistics, "results": results}
    _write(
        path,
        {
            "made_under": made_under,
            "verdict": as_json(verdict),
            "facts": as_json(facts),
            "suite": suite,
            "result": result,
            "page": page,
        },
    )


def read(path: Path) -> dict[str, Any]:
    """Return the whole document. Raises FileNotFoundError before there is one, ValueError where it is damaged."""
    try:
        found = json.loads(gzip.decompress(path.read_bytes()))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: not an object")
    return found


def read_facts(path: Path) -> BatchFacts | None:
    """Return the facts of a batch; None where there are none."""
    return BatchFacts.from_json(read(path)["facts"]) if path.exists() else None


def readable_facts(path: Path) -> BatchFacts:
    """Return the facts of a batch; none are known where they are missing or damaged."""
    try:
        return read_facts(path) or BatchFacts()
    except (ValueError, KeyError, TypeError):
        return BatchFacts()


def is_judged(path: Path) -> bool:
    """Return whether there is a verdict."""
    return path.exists()


def read_verdict(path: Path) -> Verdict:
    """Return the verdict. Raises FileNotFoundError before there is one."""
    return Verdict.from_json(read(path)["verdict"])


def readable_verdict(path: Path) -> Verdict | None:
    """Return the verdict; None where it is missing or damaged."""
    try:
        return read_verdict(path)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def change_verdict(path: Path, verdict: Verdict, on_page: Callable[[str], str]) -> None:
    """Put another verdict in the place of the first, and on the page what it differs by."""
    found = read(path)
    after = found | {"verdict": as_json(verdict), "page": on_page(found["page"])}
    if after != found:
        _write(path, after)


def read_page(path: Path) -> str | None:
    """Return the report for people; None before there is one."""
    return str(read(path)["page"]) if path.exists() else None


def read_made_under(path: Path) -> str | None:
    """Return the digest under which the verdict was made; None before that."""
    return str(read(path)["made_under"]) if path.exists() else None


def _write(path: Path, document: Mapping[str, Any]) -> None:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    atomic.write_bytes(path, gzip.compress(text.encode(), mtime=0))
