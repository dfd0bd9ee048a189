"""What an answer says of its pages beside the rows, whatever the contract declares: `totalCount: 57`, `hasNext: true`.

Read to contradict only: a pull never ends because of such a field, but one that seems to be whole is not believed
where the answer itself says that there is more.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chengxin.model.paging import (
    AROUND,
    CUT_SHORT,
    FAULTS,
    LAST,
    MESSAGES,
    MORE,
    NEXT,
    NOTHING,
    PAGES,
    PART,
    TOTAL,
    fold,
)

_NUMBER = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True)
class Hints:
    """What was found. total, pages: (name, number) of all rows, of all pages.

    more: what says that more follows, as `name=value`; done: something says that nothing follows.
    part: what says that the answer is only a part of the page, or a failure in spite of its rows.
    """

    total: tuple[str, int] | None = None
    pages: tuple[str, int] | None = None
    more: str | None = None
    done: bool = False
    part: str | None = None


def hints_of(found: Iterable[tuple[str, Any]], unrelated: Collection[str] = ()) -> Hints:
    """Read fields by their names. unrelated: names that the contract says mean something else."""
    totals: list[tuple[str, int]] = []
    pages: list[tuple[str, int]] = []
    more, done, part = None, False, None
    for name, value in found:
        folded = fold(name)
        if name in unrelated:
            continue
        if folded in FAULTS and isinstance(value, list | dict) and value:
            part = part or name
        if isinstance(value, str) and folded in MESSAGES and (said := CUT_SHORT.search(value)):
            part = part or f"{name}={said[0]}"
        if isinstance(value, list):
            continue
        text = _text(value)
        if folded in TOTAL and (number := _number(value)) is not None:
            totals.append((name, number))
        elif folded in PAGES and (number := _number(value)) is not None:
            pages.append((name, number))
            done |= number <= 1
        elif (folded in PART and text == "true") or (folded == "success" and text == "false"):
            part = part or f"{name}={text}"
        elif folded in MORE | LAST and text in {"true", "false"}:
            follows = (text == "true") == (folded in MORE)
            more, done = (more or f"{name}={text}" if follows else more), done or not follows
        elif folded in NEXT:
            # its value is not shown: it may be a number that names a person
            more, done = (more or name if text not in NOTHING else more), done or text in NOTHING
    return Hints(_greatest(totals), _greatest(pages), more, done, part)


def merged(hints: Sequence[Hints]) -> Hints:
    """Return what several pages say: the greatest numbers, that one is a part, and of the last whether more follows."""
    totals = [h.total for h in hints if h.total]
    pages = [h.pages for h in hints if h.pages]
    last = hints[-1] if hints else Hints()
    part = next((h.part for h in hints if h.part), None)
    return Hints(_greatest(totals), _greatest(pages), last.more, last.done, part)


def levels(documents: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of JSON objects that lie around the rows, those of paging objects in them too."""
    for document in documents:
        for name, value in document.items():
            yield name, value
            if isinstance(value, dict) and fold(name) in AROUND:
                yield from value.items()


def _greatest(told: list[tuple[str, int]]) -> tuple[str, int] | None:
    return max(told, key=lambda pair: pair[1], default=None)


def _number(value: Any) -> int | None:
    if isinstance(value, dict):  # search engines: {"total": {"value": 57}}
        value = value.get("value")
    if isinstance(value, bool):
        return None
    text = str(value).strip()
    return int(text) if _NUMBER.fullmatch(text) else None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):  # HAL: {"next": {"href": ...}}
        value = value.get("href") or ""
    text = "" if value is None else str(value).strip()
    return text.lower() if text.lower() in NOTHING | {"true"} else text
