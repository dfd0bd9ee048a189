"""What linking by name left of a batch, read again: each name asked with its best candidate, and why.

The evidence holds features and names; weights and words are those of this program. A link by another model is shown
without them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from chengxin.identity.by_name import model
from chengxin.identity.by_name.explanation import Explanation, explain_again
from chengxin.identity.name_links import CANDIDATES, IDENTITY
from chengxin.store.atomic import read_json

LINKED, REVIEW, WAITS = "linked", "review", "waits"


@dataclass(frozen=True)
class Answer:
    """A name asked and its best candidate. share: of the names asked that have an answer. cut: None = none was safe."""

    name_key: str = field(repr=False)
    region: str
    state: str
    subject_id: int  # 0: none
    sent: str = field(repr=False)
    registered: str = field(repr=False)
    posterior: float
    share: float
    cut: float | None
    explanation: Explanation | None = field(repr=False)


def answers(folders: Sequence[Path]) -> Iterator[Answer]:
    """Give the answers of a batch that has a candidate, by its links folders; of a name asked again, the last one."""
    found: dict[tuple[str, str, str], Answer] = {}
    for folder in folders:
        if (folder / CANDIDATES).exists():
            found.update(_read(folder))
    yield from (answer for _, answer in sorted(found.items()) if answer.subject_id)


def _read(folder: Path) -> Iterator[tuple[tuple[str, str, str], Answer]]:
    told, shipped = read_json(folder / IDENTITY), model.shipped()
    rows = pq.read_table(folder / CANDIDATES).to_pylist()
    second = {row["asked"]: row["posterior"] for row in rows if row["rank"] == 1}
    for row in rows:
        if row["rank"]:
            continue
        names, odds = (row["sent"], row["name"] or ""), (row["posterior"] or 0.0, second.get(row["asked"], 0.0))
        why = None
        if told["model"] == shipped.id and row["features"]:
            given = {"model": shipped, "share": told["share"], "of": told["registered_names"]}
            why = explain_again(names, row["features"], odds, **given)
        state = LINKED if row["is_linked"] else REVIEW if row["is_in_review"] else WAITS
        answer = Answer(
            row["name_key"],
            row["region"],
            state,
            row["subject_id"] or 0,
            *names,
            odds[0],
            told["share"],
            told["cut"],
            why,
        )
        yield (row["name_key"], row["region"], row["sent"]), answer
