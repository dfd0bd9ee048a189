"""What the kernel tests share: one value or a column in, values and rules per row out."""

from datetime import date
from typing import Any

import pyarrow as pa

from chengxin.cleaning.kernels import CleanOptions, clean
from chengxin.model.rules import rules

TODAY = date(2026, 11, 23)


def cleaned(kind: str, texts: list[str | None], **options: Any) -> list[tuple[Any, list[str]]]:
    """Clean a column; per row return its value and the rules it breaks."""
    options.setdefault("today", TODAY)
    result = clean(pa.array(texts, pa.string()), kind, options=CleanOptions(**options))
    assert len(result.values) == len(texts)
    masks = {rule: mask.to_pylist() for rule, mask in result.issues}
    assert all(any(mask) for mask in masks.values()), "only rules with a hit are named"
    assert set(masks) <= set(rules())
    return [
        (value, [rule for rule, mask in masks.items() if mask[row]])
        for row, value in enumerate(result.values.to_pylist())
    ]


def one(kind: str, text: str | None, **options: Any) -> tuple[Any, list[str]]:
    """Clean one value among sound neighbours, so that masks and rows are really told apart."""
    return cleaned(kind, [None, text, None], **options)[1]
