"""Builders for end-to-end tests: contracts for the test's own data sets, and the CLI as a real process."""

import json
import os
import sys
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import yaml

from deliveries import lasting
from warm import Warm

LIST_COLUMNS = {
    "企业名称": "subject_name",
    "统一社会信用代码": "uscc",
    "注册日期": "established_on",
    "企业类型": "entity_type_name",
    "法人代表": "legal_rep_name",
    "注册资金": "registered_capital",
    "经营范围": "business_scope",
    "所在省份": "province_name",
    "地区": "region_code",
    "注册地址": "address",
}
JSON_KEYS = {
    "name": "subject_name", "code": "uscc", "registrationDay": "established_on", "character": "entity_type_name",
    "legalRepresentative": "legal_rep_name", "capital": "registered_capital", "businessScope": "business_scope",
    "province": "province_name", "city": "region_code", "address": "address",
}  # fmt: skip


def contract(
    folder: Path, dataset: str, kind: str, columns: dict[str, str], *, file: dict[str, Any], **more: Any
) -> None:
    """Write a contract file; `more` replaces or adds top-level keys."""
    domain = dataset.split("_")[0]
    body = {
        "format": 1, "id": dataset, "title": f"测试 {dataset}",
        "department": {"code": f"T-{domain}", "name": f"测试部门 {domain}"},
        "domain": domain, "kind": kind, "basis": {"legal": "测试", "share": "无条件"},
        "delivery": {"options": {"folder": dataset, "pattern": "*"}}, "file": file,
        "columns": [
            {"source": s, "element": e, **({"unit": "万元"} if e in {"registered_capital", "fine"} else {})}
            for s, e in columns.items()
        ],
        **more,
    }  # fmt: skip
    path = folder / domain / f"{dataset}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(body, allow_unicode=True, sort_keys=False), "utf-8")


def words(home: Path | str, contracts: Path, *arguments: str) -> list[str]:
    """Return the arguments of a chengxin call."""
    return ["--home", str(home), "--contracts", str(contracts), *arguments]


def command(home: Path, contracts: Path, *arguments: str) -> list[str]:
    """Return the command line of a chengxin call."""
    return [sys.executable, "-m", "chengxin.cli", *words(home, contracts, *arguments)]


def chengxin(home: Path, contracts: Path, *arguments: str, code: int = 0, **env: str) -> dict[str, Any]:
    """Run the CLI with --json in a process of its own and return what it printed; the exit code must be `code`."""
    done = told(words(home, contracts, *arguments, "--json"), **env)
    assert done.returncode == code, done.stderr[-3000:] + done.stdout[-1000:]
    return json.loads(done.stdout) if done.stdout else {}


def told(arguments: list[str], folder: Path | None = None, **env: str) -> CompletedProcess[str]:
    """Run the CLI in a process of its own, in this folder."""
    return _warm().run(arguments, os.environ | env, folder)


@cache
def _warm() -> Warm:
    """Return the process whose forks are the commands; it ends with this one."""
    return Warm("chengxin", os.environ | {"GX_ANALYTICS_ENABLED": "no"})


def published_files(home: Path) -> dict[str, bytes]:
    """Return the data files of the current snapshots of both tiers, by tier/table/name."""
    found = {}
    for pointer in sorted((home / "published").glob("*/current.json")):
        snapshot = pointer.parent / "snapshots" / json.loads(pointer.read_text())["snapshot_id"]
        found |= {f"{pointer.parent.name}/{name}": data for name, data in lasting(snapshot).items()}
    return found
