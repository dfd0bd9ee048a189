"""Values that were not taken though their rows were: an amount that is none, a region that does not exist."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.cleaning.issues import NOT_STORED
from chengxin.feedback import words
from chengxin.records.match_keys import RowKeys

VALUE = "value"
_ALSO = pa.array(sorted(NOT_STORED), pa.string())
_COLUMNS = ["row_id", "source_file", "source_row", "element", "source_column", "rule", "level", "value"]


def untaken(issues: Sequence[Path], keys: RowKeys, own: words.OwnWords = words.OURS) -> Iterator[pa.RecordBatch]:
    """Yield one line a value: source_file, source_row, label, source_column, rule, problem, remedy, value; by row.

    issues: the issue parts of a batch, beside which its other parts lie. label: the source's own key of the
    record, else what of name and key fields was taken.
    """
    for path in issues:
        found = pq.read_table(path, columns=_COLUMNS)
        lost = pc.or_(pc.equal(found["level"], "error"), pc.is_in(found["rule"], value_set=_ALSO))
        found = found.filter(lost)
        if not found.num_rows:
            continue
        passed = _labels(path, keys)
        found = found.join(passed, "row_id", join_type="inner").sort_by(
            [(n, "ascending") for n in ("row_id", "source_column", "rule")]
        )
        pairs = pc.binary_join_element_wise(found["rule"], found["element"], " ", null_handling="replace")
        reasons = pairs.combine_chunks().dictionary_encode()
        distinct = (pair.split(" ") for pair in reasons.dictionary.to_pylist())
        told = [words.sentences(rule, element, own) for rule, element in distinct]
        columns = {n: found[n] for n in ("source_file", "source_row", "label", "source_column", "rule")}
        sentences = {
            name: pa.array([both[n] for both in told], pa.string()).take(reasons.indices)
            for n, name in enumerate(("problem", "remedy"))
        }
        yield from pa.table({**columns, **sentences, VALUE: found["value"]}).combine_chunks().to_batches()


def _labels(issues: Path, keys: RowKeys) -> pa.Table:
    """Return row_id and label of the rows that passed beside a part of issues."""
    part = issues.with_name(issues.name.replace("issues-", "standard-", 1))
    if not part.exists():
        return pa.table({"row_id": pa.array([], pa.int64()), "label": pa.array([], pa.string())})
    rows = pq.read_table(part, columns=["row_id", *keys.naming])
    return pa.table({"row_id": rows["row_id"], "label": keys.labels(rows)})
