"""Refused rows that a person settled by hand (办结): an append-only journal a data set; undone by another entry.

Their batch counts them as refused as before: only that nobody waits for them any more is said here.

    <home>/closings/<dataset>/00000000.json ...
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.clock import SHANGHAI
from chengxin.errors import NotClosable
from chengxin.store import journal
from chengxin.store.layout import Layout
from chengxin.store.lock import held

_PLACE = ["row_id", "source_file", "source_row"]
_SPAN = re.compile(r"0*([0-9]{1,12})(?:[-–~～至]0*([0-9]{1,12}))?")
MOST = 10_000  # rows of one entry


@dataclass(frozen=True, kw_only=True)
class Closing:
    """One entry. id: its place in the journal. rows: row ids of a batch; reopens: they wait again."""

    id: int
    at: str
    by: str
    reason: str
    batch_id: str
    rows: tuple[int, ...]
    reopens: bool = False

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from what the journal holds."""
        return cls(**{**data, "rows": tuple(data["rows"])})

    @property
    def told(self) -> str:
        """Say who settled it, when and why."""
        at = datetime.fromisoformat(self.at).astimezone(SHANGHAI)
        return f"{self.by} {at:%Y-%m-%d %H:%M}：{self.reason}"


@dataclass(frozen=True)
class Asked:
    """What became of one demand: how many rows changed, and how many were as wanted already."""

    batch_id: str
    changed: int
    already: int


def read(layout: Layout, dataset: str) -> tuple[Closing, ...]:
    """Return all entries of a data set, in order."""
    return tuple(Closing.from_json(e) for e in journal.entries(layout.closings(dataset)))


def in_force(entries: Iterable[Closing]) -> dict[str, dict[int, Closing]]:
    """Return, by batch, the rows that are settled now, each with the entry that did so."""
    found: dict[str, dict[int, Closing]] = {}
    for entry in entries:
        rows = found.setdefault(entry.batch_id, {})
        for row in entry.rows:
            if entry.reopens:
                rows.pop(row, None)
            else:
                rows.setdefault(row, entry)
    return {batch: rows for batch, rows in found.items() if rows}


def enter(
    layout: Layout,
    dataset: str,
    batch_id: str,
    wanted: Sequence[str],
    *,
    at: datetime,
    by: str,
    reason: str,
    reopens: bool = False,
) -> Asked:
    """Enter that refused rows are settled (reopens: wait again). Done already = nothing is entered.

    wanted: `12`, `12-15` or `12,15`, rows of the received file; `name:12` where the batch has several files.
    Raise NotClosable, naming them, where some are no refused rows of the batch: then none is settled.
    """
    by, reason = by.strip(), reason.strip()
    if not (by and reason):
        raise NotClosable("办结疑问数据须写明由谁办结、为何办结")
    rows = _rows(sorted(layout.standard(dataset, batch_id).glob("quarantine-*.parquet")), wanted, batch_id)
    with held(layout, f"closings-{dataset}"):
        entries = read(layout, dataset)
        now = in_force(entries).get(batch_id, {})
        changing = [r for r in rows if (r in now) == reopens]
        if changing:
            entry = Closing(
                id=len(entries),
                at=at.isoformat(),
                by=by,
                reason=reason,
                batch_id=batch_id,
                rows=tuple(changing),
                reopens=reopens,
            )
            journal.append(layout.closings(dataset), entry.id, asdict(entry))
    return Asked(batch_id, len(changing), len(rows) - len(changing))


def _rows(quarantine: Sequence[Path], wanted: Sequence[str], batch_id: str) -> list[int]:
    """Return the row ids that are asked for, ascending."""
    files = {f for p in quarantine for f in pc.unique(pq.read_table(p, columns=_PLACE[1:2])[0]).to_pylist()}
    spans = list(_spans(wanted, files))
    asked = pa.array(sorted({row for _, first, last in spans for row in range(first, last + 1)}), pa.int64())
    known: dict[int, dict[str, int]] = {}
    for path in quarantine:  # of a batch all of whose rows were refused only those asked for are looked at one by one
        columns = pq.read_table(path, columns=_PLACE, filters=pc.field("source_row").isin(asked))
        for row_id, file, row in zip(*(columns[n].to_pylist() for n in _PLACE), strict=True):
            known.setdefault(row, {})[file] = row_id
    found: set[int] = set()
    unknown: list[str] = []
    for file, first, last in spans:
        for row in range(first, last + 1):
            places = known.get(row, {})
            if file is None and len(places) > 1:
                raise NotClosable(f"第 {row} 行在 {'、'.join(sorted(places))} 中都有，请写成 文件名:{row}")
            hits = list(places.values()) if file is None else [places[file]] if file in places else []
            if hits:
                found.update(hits)
            else:
                unknown.append(f"{file}:{row}" if file else str(row))
    if unknown:
        more = f" 等 {len(unknown)} 行" if len(unknown) > 20 else ""
        raise NotClosable(
            f"{batch_id} 的疑问数据中没有这些行：{'、'.join(unknown[:20])}{more}；什么也没有办结，请核对行号"
        )
    if not found:
        raise NotClosable("请写明行号，如 12,15-18")
    return sorted(found)


def _spans(wanted: Sequence[str], files: set[str]) -> Iterator[tuple[str | None, int, int]]:
    """Yield (file or None, first row, last row) of what is asked for."""
    asked = 0
    for text in wanted:
        file, _, rest = text.strip().rpartition(":")
        parts = [text.strip()] if file in files else re.split(r"[,，、;；]", text)
        for part in filter(None, map(str.strip, parts)):
            file, _, rest = part.rpartition(":")
            span = _SPAN.fullmatch(rest.strip())
            if span is None:
                raise NotClosable(f"看不懂行号“{part}”；请写成 12、12,15 或 12-18（有多个文件的：文件名:12）")
            first, last = int(span[1]), int(span[2] or span[1])
            asked += last - first + 1
            if last < first or asked > MOST:
                raise NotClosable(f"行号“{part}”的范围不对，或一次超过 {MOST} 行")
            yield (file or None), first, last


def digest(settled: Mapping[str, Mapping[int, Closing]]) -> list[Any]:
    """Return, by batch, how many rows are settled and by which entries: what an answer depends on."""
    return [[b, len(rows), sorted({c.id for c in rows.values()})] for b, rows in sorted(settled.items())]
