"""Fines against the words of the decision: 罚款4000元 beside 40,000,000 was sent in another unit than agreed."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.parsing.buffers import Mask, Rows, take, valid

_APART = 10_000  # 万元 and 元
_MANY, _FEW = 1_000_000.0, 100.0  # yuan; what is between is not looked at: the other would be as odd
_AMOUNT = r"(?:人民币)?[:：]?\s*(?P<number>[0-9][0-9,]*(?:\.[0-9]+)?)\s*(?P<unit>万)?元"
_WORDS = {"fine": "罚款(?:金额)?[计为共]*" + _AMOUNT, "confiscated": "没收[^0-9，。；;,]{0,16}" + _AMOUNT}


def in_other_unit(values: Mapping[str, pa.Array]) -> Iterator[tuple[str, Mask]]:
    """Yield element and mask of amounts that are 10,000 times what the penalty's text says, or a 10,000th."""
    text = values.get("penalty_content")
    for element, words in _WORDS.items():
        amounts = values.get(f"{element}_yuan")
        if text is None or amounts is None:
            continue
        yuan = pc.cast(amounts, pa.float64()).to_numpy(zero_copy_only=False)
        rows: Rows = np.flatnonzero(((yuan >= _MANY) | ((yuan < _FEW) & (yuan > 0))) & valid(text))
        if not len(rows):
            continue
        found = pc.extract_regex(take(text, rows), words)
        number = pc.cast(pc.replace_substring(pc.struct_field(found, "number"), ",", ""), pa.float64())
        stated = number.to_numpy(zero_copy_only=False) * np.where(
            np.asarray(pc.fill_null(pc.equal(pc.struct_field(found, "unit"), "万"), False)), _APART, 1
        )
        near = np.isclose(yuan[rows], stated * _APART, 1e-9) | np.isclose(yuan[rows] * _APART, stated, 1e-9)
        hits = np.zeros(len(yuan), np.bool_)
        hits[rows[near & (stated > 0)]] = True
        if hits.any():
            yield element, hits
