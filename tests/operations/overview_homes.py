"""Invent a home of any size: contracts, receipts, summaries, verdicts, a journal, refused rows, snapshots. No values.

Only what the index and the pages read is there; nothing of it went through the pipeline. Run it to make one to measure:

    python tests/operations/overview_homes.py FOLDER --datasets 700 --days 365
"""

import argparse
import errno
import json
import os
import random
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from deliveries import write_held

TODAY = datetime(2026, 11, 24, tzinfo=UTC).date()
REASON = pa.struct([("rule", pa.string()), ("element", pa.string()), ("source_column", pa.string())])
MEASURES = ("timely", "delivered", "in_place", "required", "fill", "passed", "mended")
RULES = ("uscc.check", "date.invalid", "field.required_missing", "code.unknown")


@dataclass(frozen=True)
class Size:
    """How large an invented home is; one batch a data set and day, but for late ones."""

    datasets: int = 20
    days: int = 30
    departments: int = 5
    snapshots: int = 10


def make(folder: Path, size: Size) -> Path:
    """Make a home in `folder`/home with contracts in `folder`/contracts; return the home."""
    chance = random.Random(20261124)
    names = [_contract(folder / "contracts", n, size) for n in range(size.datasets)]
    home = folder / "home"
    refused = _refused(folder / "refused.parquet")
    journal = home / "admissions"
    journal.mkdir(parents=True)
    order = 0
    for day in range(size.days):
        on = TODAY - timedelta(days=size.days - 1 - day)
        for n, name in enumerate(names):
            if n % 7 == 3 and day > size.days - 15:
                continue  # late
            at = datetime.combine(on, time(1 + n % 8, n % 60), UTC)
            order += batch(home, name, at, chance, order=order, refused=refused)
    for n in range(size.snapshots):
        _snapshot(home, n, size.snapshots, order)
    for n in range(12):
        _scorecard(home, f"{2025 + (n + 10) // 12}{(n + 10) % 12 + 1:02d}", size, chance)
    return home


def _contract(folder: Path, n: int, size: Size) -> str:
    department = n % size.departments
    domain = f"d{department:02d}"
    name = f"{domain}_matter_{n:03d}"
    body = {
        "format": 1, "id": name, "title": f"示例数据集 {n:03d}", "domain": domain, "kind": "penalty",
        "department": {"code": f"43-D{department:02d}", "name": f"示例部门 {department:02d}"},
        "basis": {"legal": "示例依据", "share": "无条件"}, "delivery": {"options": {"folder": name}, "late_after": 2},
        "columns": [{"source": s, "element": e} for s, e in (("名称", "subject_name"), ("代码", "uscc"),
            ("证件", "person_doc_no"), ("文号", "decision_no"), ("日期", "decision_on"))],
    }  # fmt: skip
    path = folder / domain / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(body, allow_unicode=True), "utf-8")
    return name


def _refused(path: Path) -> Path:
    names = ("名称", "代码", "证件", "文号")
    values = [(f"示例{n}有限公司", f"91430100MA{n:08d}", f"4301021985010{n:04d}X", f"{n}号") for n in range(40)]
    rows = [dict(zip(names, row, strict=True)) for row in values]
    reasons = [[{"rule": RULES[n % 4], "element": "uscc", "source_column": "代码"}] for n in range(40)]
    table = pa.table(
        {
            "row_id": pa.array(range(40), pa.int64()),
            "source_file": ["来文.csv"] * 40,
            "source_row": pa.array(range(2, 42), pa.int64()),
            "raw": [json.dumps(row, ensure_ascii=False) for row in rows],
            "raw_bytes": pa.nulls(40, pa.binary()),
            "reasons": pa.array(reasons, pa.list_(REASON)),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    path.with_name("receipt.json").write_text(json.dumps({"refused": {"total": 40, "open": 40, "mended": {}}}))
    return path


def batch(home: Path, name: str, at: datetime, chance: random.Random, *, order: int, refused: Path) -> int:
    """Land a batch of data set `name`, and admit it as number `order` unless it is held; return how many entered."""
    batch_id = f"{name}-{at:%Y%m%d}-{chance.getrandbits(48):012x}"
    landed, standard = home / "landing" / name / batch_id, home / "batches" / name / batch_id / "standard"
    landed.mkdir(parents=True)
    standard.mkdir(parents=True)
    received, bad = chance.randrange(50, 5000), chance.choice((0, 0, 0, 40))
    held = chance.random() < 0.01
    unlinked = 0 if held else chance.choice((0, 0, 5))
    receipt = {"dataset": name, "batch_id": batch_id, "mode": "incremental", "origin": f"file_drop:{name}",
        "delivery": f"{at:%Y%m%d}.csv", "received_at": at.isoformat(), "as_of": at.isoformat(),
        "files": [{"name": f"{at:%Y%m%d}.csv", "size": received * 90, "sha256": "0" * 64}]}  # fmt: skip
    if bad:
        answered = home / "feedback" / name / batch_id / "0000"
        answered.mkdir(parents=True)
        for kind in ("回执.txt", "需更正.csv"):
            _link(refused, answered / kind)
        _link(refused.with_name("receipt.json"), answered / "回执.json")
    rules = {f"error:{rule}": 10 for rule in RULES} if bad else {}
    summary = {"dataset": name, "batch_id": batch_id, "received": received, "passed": received - bad,
        "quarantined": bad, "rules": rules, "digest": "x", "mismatch": None}  # fmt: skip
    (landed / "receipt.json").write_text(json.dumps(receipt))
    (standard / "summary.json").write_text(json.dumps(summary))
    if bad:
        _link(refused, standard / "quarantine-00000-000.parquet")
    if held:
        finding = {
            "rule": "fill.uscc",
            "severity": "critical",
            "message": "示例",
            "observed": None,
            "failing_rows": None,
        }
        verdict = {"dataset": name, "batch_id": batch_id, "status": "hold", "findings": [finding], "digest": "x"}
        write_held(standard.parent, verdict)
        return 0
    entry = {"dataset": name, "batch_id": batch_id, "revision": 0, "order": order, "known_from": at.isoformat(),
        "received": received, "accepted": received - bad - unlinked, "quarantined": bad, "duplicate": 0,
        "unlinked": unlinked, "withdrawn": 0, "new_subjects": 0, "verdict": "accept", "department": "x",
        "kind": "penalty", "mode": "incremental", "share": "无条件",
        "received_at": at.isoformat(), "as_of": at.isoformat(), "files": [f"{at:%Y%m%d}.csv"],
        "versions": {}}  # fmt: skip
    (home / "admissions" / f"{order:08d}.json").write_text(json.dumps(entry))
    return 1


def _link(source: Path, target: Path) -> None:
    """Give a file another name; one that has as many as its file system allows is copied and goes on with the copy."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        fresh = source.with_suffix(".fresh")
        shutil.copyfile(source, fresh)
        fresh.replace(source)
        os.link(source, target)


def _snapshot(home: Path, n: int, count: int, order: int) -> None:
    at = datetime.combine(TODAY - timedelta(days=count - n), time(12), UTC)
    name = f"{at:%Y%m%dT%H%M%SZ}-{n:06x}"
    tables = {
        f"table_{t:02d}": {
            "rows": 1000 * t + n,
            "schema": [],
            "files": [{"name": f"43{p:02d}-{n if p == n % 14 else 0:012x}.parquet", "size": 1000} for p in range(14)],
        }
        for t in range(20)
    }
    body = {"snapshot_id": name, "sequence": n + 1, "previous": None, "created_at": at.isoformat(), "reason": "示例",
        "as_of": at.date().isoformat(), "tables": tables, "sources": {}, "versions": {"library": "0"},
        "extra": {}, "journal": {"order": order * n // count, "digest": "0" * 64}}  # fmt: skip
    folder = home / "published" / "government" / "snapshots" / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(body))
    pointer = {"snapshot_id": name, "manifest_sha256": "0" * 64, "sequence": n + 1, "previous": None}
    (folder.parents[1] / "current.json").write_text(json.dumps(pointer))


def _scorecard(home: Path, month: str, size: Size, chance: random.Random) -> None:
    def entry(scope: str, n: int) -> dict[str, object]:
        points = [{"measure": m, "numerator": 9, "denominator": 10, "points": 90.0, "weight": 10} for m in MEASURES]
        score = round(chance.uniform(50, 100), 1)
        level = "优" if score >= 90 else "良" if score >= 80 else "中" if score >= 60 else "差"
        trend = {"direction": "上升", "change": 1.5, "previous": None}
        return {"code": f"{scope}{n:02d}", "name": f"示例{scope} {n:02d}", "score": score, "level": level,
            "trend": trend, "measures": points, "datasets": []}  # fmt: skip

    rules = {"measures": {m: {"title": m, "short": m} for m in MEASURES}}
    body = {"month": month, "rules": rules, "departments": [entry("部门", n) for n in range(size.departments)],
        "prefectures": [entry("市州", n) for n in range(14)]}  # fmt: skip
    folder = home / "scorecards" / month
    folder.mkdir(parents=True)
    (folder / "scorecard.json").write_text(json.dumps(body))
    (folder / "scorecard.html").write_text("<!doctype html><title>示例</title>")


def main() -> None:
    """Make a home of the size that the arguments say; the folder must not exist."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--datasets", type=int, default=700)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--departments", type=int, default=52)
    parser.add_argument("--snapshots", type=int, default=365)
    given = parser.parse_args()
    if shutil.disk_usage(given.folder.parent).free < given.datasets * given.days * 20_000:
        raise SystemExit("not enough room")
    make(given.folder, Size(given.datasets, given.days, given.departments, given.snapshots))


if __name__ == "__main__":
    main()
