"""Polluted files through contracts for clean ones: read right, refused with the reason, never silently wrong."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polluted_files import HEADER, TRUTH, Polluted, every_file

from chengxin.cleaning.issues import ISSUES
from chengxin.cleaning.quarantine import QUARANTINE
from chengxin.cleaning.run import run
from chengxin.contracts.models import Contract
from chengxin.facts import Batch, LandedFile

ELEMENTS = ("decision_no", "subject_name", "uscc", "fine", "decision_on", "authority_name")
STORED = ("decision_no", "subject_name", "uscc", "fine_yuan", "decision_on", "authority_name")
FILES = every_file()


def contract(file: Polluted) -> Contract:
    return Contract.model_validate(
        {
            "format": 1, "id": "t_red", "title": "测试", "department": {"code": "TT", "name": "测试部门"},
            "domain": "test", "kind": "penalty", "basis": {"legal": "测试", "share": "无条件"}, "file": file.spec,
            "columns": [{"source": s, "element": e} for s, e in zip(HEADER, ELEMENTS, strict=True)],
        }
    )  # fmt: skip


def parts(folder: Path, kind: str) -> pa.Table:
    """Return a table of the batch; a table without rows has no file, but `standard` always has one."""
    empty = {"issues": [ISSUES.empty_table()], "quarantine": [QUARANTINE.empty_table()], "standard": []}[kind]
    return pa.concat_tables([*empty, *(pq.read_table(path) for path in sorted(folder.glob(f"{kind}-*.parquet")))])


def outcome(file: Polluted, home: Path) -> tuple[str, str]:
    """Return what became of a file, and the words or rules that say why. Fails where something is silently wrong."""
    payload = home / "payload"
    payload.mkdir()
    name = f"f.{file.spec.get('format', 'csv')}"
    (payload / name).write_bytes(file.body)
    at = datetime(2026, 11, 23, tzinfo=UTC)
    batch = Batch(
        dataset="t_red",
        batch_id="b",
        mode="incremental",
        origin="file_drop:x",
        delivery=name,
        received_at=at,
        as_of=at,
        files=(LandedFile(name, len(file.body), "0" * 64),),
    )
    done = run(contract(file), batch, payload, home / "standard", workers=1)
    if done.mismatch:
        unreadable = re.search("已损坏|不合规范|不予读取", done.mismatch)
        if file.body.startswith(b"PK") and not unreadable:  # neither lines of the package nor those of other sheets
            known = 0 if name.endswith("csv") else len(TRUTH)
            assert known <= done.received <= known + 3, done.received
        return "refused", done.mismatch
    issues, refused = parts(home / "standard", "issues"), parts(home / "standard", "quarantine")
    told = set(zip(issues["source_row"].to_pylist(), issues["element"].to_pylist(), strict=True))
    truth = {row[0]: (*row[:3], Decimal(row[3]), row[4], row[5]) for row in TRUTH}
    seen = set()
    for row in parts(home / "standard", "standard").to_pylist():
        meant = truth.get(row["decision_no"])
        if meant is None:  # a row that the file really holds beside the truth
            assert file.holds(row["decision_no"]), row
            continue
        seen.add(row["decision_no"])
        for name, column, value in zip(ELEMENTS, STORED, meant, strict=True):
            stored = str(row[column]) if column == "decision_on" and row[column] else row[column]
            same = stored == value or stored in file.meant
            assert same or (row[column] is None and (row["source_row"], name) in told), (file.name, column)
    raw = " ".join(str(text) for text in refused.to_pydict().values())
    lost = [number for number in truth if file.holds(number) and number not in seen and number not in raw]
    assert not lost, "rows lost without a word"
    rules = sorted(set(issues["rule"].to_pylist()))
    return ("rows" if refused.num_rows or issues.num_rows else "right"), " ".join(rules)


@pytest.fixture(scope="module")
def counts() -> Iterator[Counter[str]]:
    found: Counter[str] = Counter()
    yield found
    files = found.pop("files", 0)
    print(f"\n{files} polluted files: {dict(found)}, silently wrong {files - found.total()}")


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_a_polluted_file_is_read_right_or_refused_with_reason(
    file: Polluted, tmp_path: Path, counts: Counter[str]
) -> None:
    counts["files"] += 1
    found, why = outcome(file, tmp_path)
    counts[found] += 1
    assert (found, bool(re.search(file.words, why))) == (file.outcome, True), why
