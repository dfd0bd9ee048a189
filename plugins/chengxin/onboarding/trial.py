"""Try a contract on a file: everything up to the verdict, in a temporary folder. Nothing lands, no home is touched."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.cleaning import run as standardising
from chengxin.clock import SHANGHAI
from chengxin.connectors import landing
from chengxin.connectors.files.drop import file_delivery
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of
from chengxin.facts import Batch, StandardBatch, Verdict
from chengxin.home import Home
from chengxin.model.elements import Element, elements
from chengxin.model.rules import rules
from chengxin.model.schema import element_columns
from chengxin.quality import runner
from chengxin.store.layout import VALIDATION

_SHOWN_ROWS = 5
_BUSINESS = ("公司", "企业", "厂", "店", "中心", "合作社", "部", "院", "行", "局", "所", "会", "社", "集团", "场")
_LONGEST = 24


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came out. reasons: refused rows by reason, warnings: things noted on rows that pass; each (words, rows).

    rows: the first usable rows, title -> text, personal values masked. held: the batch would not be taken in.
    """

    counts: StandardBatch
    verdict: Verdict
    reasons: tuple[tuple[str, int], ...]
    warnings: tuple[tuple[str, int], ...]
    rows: tuple[dict[str, str], ...]
    seconds: float

    @property
    def held(self) -> bool:
        """Return whether the batch would be held."""
        return self.verdict.status == "hold"


def attempt(home: Home, contract: Contract, file: Path) -> Trial:
    """Run one file through landing, standardising and validation in a folder that is thrown away.

    Raises as the stages do; a delivery that does not fit is no error but a trial that is held.
    """
    started = time.monotonic()
    with TemporaryDirectory(prefix="chengxin-try-") as folder:
        home = replace(home, settings=replace(home.settings, home=Path(folder)))
        batch = landing.land(home, contract, file_delivery(home, contract, file))
        payload = Path(folder) / "landing" / contract.id / batch.batch_id / landing.PAYLOAD
        standard = Path(folder) / "standard"
        counts = standardising.run(contract, batch, payload, standard, workers=home.settings.workers)
        verdict = _verdict(home, contract, batch, counts, standard)
        return Trial(
            counts=counts,
            verdict=verdict,
            reasons=_reasons(standard),
            warnings=_warnings(standard),
            rows=_first_rows(contract, standard),
            seconds=round(time.monotonic() - started, 1),
        )


def _verdict(home: Home, contract: Contract, batch: Batch, counts: StandardBatch, standard: Path) -> Verdict:
    return runner.run(
        contract,
        kind_of(contract),
        sorted(standard.glob("standard-*.parquet")),
        counts,
        expectations=home.settings.expectations,
        history=[],
        target=standard.parent / VALIDATION,
        made_under="",
        resources=home.resources,
        today=batch.received_at.astimezone(SHANGHAI).date(),
    )


def _reasons(standard: Path) -> tuple[tuple[str, int], ...]:
    """Count refused rows by reason, most first; a row with two reasons counts in both."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for path in sorted(standard.glob("quarantine-*.parquet")):
        for reasons in pq.read_table(path, columns=["reasons"])["reasons"].to_pylist():
            counted.update({(r["rule"], r["element"] or "", r["source_column"] or "") for r in reasons})
    return tuple((_words(*key), n) for key, n in sorted(counted.items(), key=lambda kv: (-kv[1], kv[0])))


def _warnings(standard: Path) -> tuple[tuple[str, int], ...]:
    """Count what was noted on rows that are not refused for it: values that were emptied, corrected or look odd."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for path in sorted(standard.glob("issues-*.parquet")):
        table = pq.read_table(path, columns=["row_id", "rule", "element", "source_column"])
        refused = _refused_ids(standard)
        table = table.filter(pc.invert(pc.is_in(table["row_id"], value_set=refused)))
        grouped = table.group_by(["rule", "element", "source_column"]).aggregate([([], "count_all")])
        for row in grouped.to_pylist():
            counted[(row["rule"], row["element"] or "", row["source_column"] or "")] += row["count_all"]
    return tuple((_words(*key), n) for key, n in sorted(counted.items(), key=lambda kv: (-kv[1], kv[0])))


def _refused_ids(standard: Path) -> pa.Array:
    parts = [
        pq.read_table(path, columns=["row_id"])["row_id"] for path in sorted(standard.glob("quarantine-*.parquet"))
    ]
    return pa.chunked_array([c for part in parts for c in part.chunks], pa.int64()).combine_chunks()


def _words(rule: str, element: str, column: str) -> str:
    known = elements().get(element)
    title = known.title if known else "本行"
    place = f"【{column}】" if column else ""
    how = "；请在合同 codes 中写明每个取值对应的代码" if rule == "code.unknown" else ""
    return f"{place}{rules()[rule].zh.format(title=title)}（{rule}）{how}"


def _first_rows(contract: Contract, standard: Path) -> tuple[dict[str, str], ...]:
    """Return the first usable rows under the source's own headers, masked."""
    columns = [
        (column.source, elements()[column.element], element_columns(elements()[column.element])[0].name)
        for column in contract.columns
        if column.element in elements()
    ]
    for path in sorted(standard.glob("standard-*.parquet")):
        table = pq.read_table(path)
        if table.num_rows == 0:
            continue
        rows = table.slice(0, _SHOWN_ROWS).to_pylist()
        return tuple(_shown(row, columns) for row in rows)
    return ()


def _shown(row: Mapping[str, Any], columns: Sequence[tuple[str, Element, str]]) -> dict[str, str]:
    """Return a row under the source's headers; a column of several identifiers shows the one that the row has."""
    shown: dict[str, str] = {}
    for header, element, name in columns:
        shown[header] = shown.get(header) or masked(row.get(name), element)
    return shown


def masked(value: Any, element: Element) -> str:
    """Return a standard value as text in which no person can be recognised: numbers, names, addresses, free text."""
    if value is None:
        return ""
    text = str(value)
    if element.sensitivity in {"identifier", "person_name"} or element.type == "phone":
        return text[:1] + "*" * min(6, len(text) - 1)
    if element.sensitivity == "name" or element.type == "name":
        is_business = len(text) > 4 and any(word in text for word in _BUSINESS)
        return text if is_business else text[:1] + "*" * min(6, len(text) - 1)
    if element.sensitivity in {"free_text", "restricted"} and element.type in {"text", "document_no"}:
        return f"（{len(text)} 字）"
    if element.sensitivity == "restricted" and element.type == "date":
        return text[:4] + "-**-**"
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
