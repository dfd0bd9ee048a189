"""The accounts of the open tier: what its files hold of each kind and data set, and that its tables agree."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from chengxin.errors import InvariantBroken
from chengxin.publishing.open_tier import derivations
from chengxin.publishing.open_tier.anonymity import SUFFIX
from chengxin.publishing.open_tier.derivations import Derivation
from chengxin.publishing.open_tier.rules import CREDIT_RECORD
from chengxin.store.manifest import TableEntry

_REGISTRY = {"subject", "subject_identifier", "subject_name", CREDIT_RECORD}


def count(rows: pa.Table, counts: Counter[str]) -> None:
    """Count the rows of each kind, department and dataset by their codes."""
    for batch in rows.select(["kind", "department_code", "dataset"]).to_batches():
        coded = [c if pa.types.is_dictionary(c.type) else c.dictionary_encode() for c in batch.columns]
        texts = [column.dictionary for column in coded]
        shape = tuple(len(text) for text in texts)
        codes = np.ravel_multi_index([np.asarray(column.indices) for column in coded], shape)
        for code, found in zip(*np.unique(codes, return_counts=True), strict=True):
            group = (text[int(n)].as_py() for text, n in zip(texts, np.unravel_index(code, shape), strict=True))
            counts["|".join(group)] += int(found)


def sources(made: Iterable[Derivation]) -> dict[str, dict[str, Any]]:
    """Add up the visible records of each dataset."""
    total: dict[str, dict[str, Any]] = {}
    for (_, department, dataset), rows in derivations.counted(made).items():
        found = total.setdefault(dataset, {"department": department, "rows": 0})
        found["rows"] += rows
    return dict(sorted(total.items()))


def agree(tables: Mapping[str, TableEntry], made: Iterable[Derivation]) -> None:
    """Check that credit_record shows as many records of each kind as the kind's own table; it has no anonymous ones."""
    if CREDIT_RECORD not in tables:
        return
    counted: Counter[str] = Counter()
    for (kind, _, _), rows in derivations.counted(made).items():
        counted[kind] += rows
    typed = {name: table.rows for name, table in tables.items() if name not in _REGISTRY}
    wrong = {k: (counted[k], typed.get(k, 0)) for k in {*counted, *typed} if counted[k] != typed.get(k, 0)}
    if wrong:
        stated = "；".join(
            f"{kind}：{'清点' if kind.endswith(SUFFIX) else '总表'} {a} 条，明细表 {b} 条"
            for kind, (a, b) in sorted(wrong.items())
        )
        raise InvariantBroken(f"开放层的信用记录总表与明细表不一致：{stated}")
