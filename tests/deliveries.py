"""A home of the test's own, driven in this process: headers are element ids, deliveries are CSV files."""

import copy
import csv
import gzip
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import yaml

from chengxin import pipeline
from chengxin.clock import Clock, instant_of_timestamp
from chengxin.connectors.files.drop import file_delivery
from chengxin.contracts.models import Contract
from chengxin.facts import Admission, SnapshotRef, Verdict
from chengxin.home import Home
from chengxin.model.elements import elements
from chengxin.model.identifiers import (
    org_code_check_character,
    reg_no_check_digit,
    resident_check_character,
    uscc_check_character,
)
from chengxin.quality import evidence
from chengxin.records import journal
from chengxin.settings import Settings
from chengxin.store.layout import VALIDATION, Layout
from chengxin.store.manifest import BATCH

START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)

REGISTRATION = ("subject_name", "uscc", "org_code", "reg_no", "legal_rep_name", "reg_status_code", "region_code")
PENALTY = ("subject_name", "uscc", "org_code", "reg_no", "tax_no", "person_doc_no", "legal_rep_name", "region_code",
    "item_name", "decision_no", "decision_on", "authority_name", "penalty_content", "source_updated_at")  # fmt: skip
PERSON = ("person_name", "person_doc_no", "former_name", "region_code")
CHANGE = ("subject_name", "uscc", "reg_no", "change_item_code", "value_before", "value_after", "changed_on",
    "region_code")  # fmt: skip
GUARANTEE = ("subject_name", "uscc", "person_doc_no", "related_name", "related_uscc", "institution_code", "contract_no",
    "valid_from_on")  # fmt: skip
ARREARS = ("subject_name", "uscc", "tax_no", "tax_type_name", "arrears_balance", "authority_name", "published_on",
    "region_code")  # fmt: skip
SEALED = ("person_name", "person_doc_no", "decision_no", "decision_on", "violation_facts", "authority_name")


def org_code(n: int) -> str:
    """Return the n-th invented organisation code."""
    body = f"MA{n:06d}"
    return body + org_code_check_character(body)


def uscc(n: int, *, region: str = "430102", kind: str = "91", org: str | None = None) -> str:
    """Return the n-th invented code; `org` takes another organisation code inside."""
    body = kind + region + (org or org_code(n))
    return body + uscc_check_character(body)


def reg_no(n: int, *, region: str = "430102", household: bool = False) -> str:
    """Return the n-th invented registration number."""
    body = f"{region}{6 if household else 0}{n:07d}"
    return body + reg_no_check_digit(body)


def person_doc(n: int, *, region: str = "430102") -> str:
    """Return the n-th invented identity number."""
    body = f"{region}1985{1 + n // 28 % 12:02d}{1 + n % 28:02d}{n % 1000:03d}"
    return body + resident_check_character(body)


def company(n: int, **more: Any) -> dict[str, Any]:
    """Return a registration row."""
    return {"subject_name": f"湖南示例{n}有限公司", "uscc": uscc(n), "region_code": "430102"} | more


def renaming(n: int, before: str, after: str, **more: Any) -> dict[str, Any]:
    """Return a change of the n-th company's name."""
    return {"uscc": uscc(n), "change_item_code": "01", "value_before": before, "value_after": after,
            "changed_on": "2025-05-01", "region_code": "430102"} | more  # fmt: skip


def penalty(n: int, **more: Any) -> dict[str, Any]:
    """Return a penalty row with its own decision number; say about whom in `more`."""
    return {"decision_no": f"湘示罚〔2026〕{n}号", "decision_on": "2026-01-15", "authority_name": "示例市监局",
            "item_name": "示例案", "penalty_content": "罚款", "region_code": "430102"} | more  # fmt: skip


@dataclass
class Office:
    """Contracts, deliveries and a home. Days count from START; each bears the time of its day and comes then."""

    folder: Path
    contracts: dict[str, Contract] = field(default_factory=dict)
    _sent: int = 0

    @property
    def settings(self) -> Settings:
        return Settings(
            home=self.folder / "home",
            contracts=self.folder / "contracts",
            recipients=self.folder / "recipients",
            workers=2,
        )

    @property
    def layout(self) -> Layout:
        return Layout(self.settings.home)

    def contract(
        self, dataset: str, kind: str, names: Sequence[str], *, mode: str = "incremental", **more: Any
    ) -> None:
        """Declare a data set (or declare it anew)."""
        body = {
            "format": 1, "id": dataset, "title": f"测试 {dataset}", "department": {"code": "T-1", "name": "测试部门"},
            "domain": "test", "kind": kind, "basis": {"legal": "测试", "share": "无条件"},
            "delivery": {"mode": mode, "options": {"folder": dataset}},
            "quality": {"quarantined": {"warn": 0.9, "hold": 0.95}},
            "columns": [{"source": c, "element": c, "optional": True, **_unit(c)} for c in names],
        } | more  # fmt: skip
        path = self.settings.contracts / "test" / f"{dataset}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(body, allow_unicode=True, sort_keys=False), "utf-8")
        self.contracts[dataset] = Contract.model_validate(body)

    def write(self, dataset: str, rows: Sequence[dict[str, Any]], *, day: float, columns: Sequence[str] = ()) -> Path:
        """Write a delivery's file; its columns are those that some row fills, in the contract's order."""
        declared = list(dict.fromkeys(c.source for c in self.contracts[dataset].columns))
        names = list(columns) or [c for c in declared if any(c in r for r in rows)] or declared
        self._sent += 1
        path = self.folder / "sent" / f"{dataset}-{self._sent:03d}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, names, restval="", extrasaction="raise")
            writer.writeheader()
            writer.writerows(rows)
        at = (START + timedelta(days=day)).timestamp()
        os.utime(path, (at, at))
        return path

    def ingest(self, dataset: str, path: Path) -> dict[str, Any]:
        """Take a file in as far as the account; return the account, which must add up."""
        contract = self.contracts[dataset]
        clock = Clock(instant_of_timestamp(path.stat().st_mtime))
        landed = pipeline.land(
            Home(self.settings, clock), contract, file_delivery(Home(self.settings, clock), contract, path)
        )
        account = pipeline.ingest(Home(self.settings, clock), contract, landed)
        assert account["received"] == sum(account[n] for n in ("accepted", "quarantined", "duplicate", "unlinked"))
        return account

    def deliver(self, dataset: str, *rows: dict[str, Any], day: float) -> dict[str, Any]:
        """Write a delivery and take it in. Hundreds of tests begin with the same register: see `_begin`."""
        begins = type(self) is Office and not self.settings.home.exists()
        begins = begins and self.contracts[dataset].kind == "registration"
        return (self._begin if begins else self.ingest)(dataset, self.write(dataset, rows, day=day))

    def _begin(self, dataset: str, path: Path) -> dict[str, Any]:
        """Take in the first delivery of a home, once a process; where all is the same again, copy what became of it."""
        environment = {name: value for name, value in os.environ.items() if name.startswith("CHENGXIN_")}
        key = repr((dataset, path.name, path.stat().st_mtime, path.read_bytes(), self.contracts, environment))
        if key in _begun:
            shutil.copytree(Path(_folder.name) / str([*_begun].index(key)), self.settings.home)
        else:
            account = self.ingest(dataset, path)
            shutil.copytree(self.settings.home, Path(_folder.name) / str(len(_begun)))
            _begun[key] = account
        return dict(_begun[key])

    def retry(self) -> list[Admission]:
        """Try waiting rows again."""
        return pipeline.retry_waiting(Home(self.settings, Clock(START)), self.contracts)

    def publish(self, day: float = 0) -> SnapshotRef | None:
        """Try waiting rows again and publish."""
        self.retry()
        return pipeline.publish(Home(self.settings, Clock(START + timedelta(days=day))), self.contracts)

    def accounts(self) -> dict[str, Admission]:
        """Return the present account of every batch; each adds up."""
        found = {b: a for (_, b), a in journal.latest(journal.admissions(self.layout)).items()}
        assert all(a.counts.adds_up() for a in found.values())
        return found

    def account(self, dataset: str, n: int = 0) -> Admission:
        """Return the present account of the n-th admitted batch of a data set."""
        return [a for a in self.accounts().values() if a.dataset == dataset][n]

    def verdict(self, dataset: str, batch_id: str) -> Verdict:
        """Return the verdict of a batch."""
        return evidence.read_verdict(self.layout.validation(dataset, batch_id))

    def page(self, dataset: str, batch_id: str) -> str:
        """Return the report of a batch for people."""
        page = evidence.read_page(self.layout.validation(dataset, batch_id))
        assert page is not None
        return page

    def snapshot(self, tier: str = "government") -> Path:
        """Return the folder of the current snapshot."""
        return self.layout.snapshot(tier, json.loads(self.layout.pointer(tier).read_text())["snapshot_id"])

    def table(self, name: str, columns: str = "*", tier: str = "government") -> list[tuple[Any, ...]]:
        """Return these columns of all rows of a published table, sorted; nothing where the table does not exist."""
        folder = self.snapshot(tier) / name
        if not folder.is_dir():
            return []
        found = duckdb.sql(f"SELECT {columns} FROM '{folder}/*.parquet' ORDER BY ALL").to_arrow_table()
        return [tuple(row.values()) for row in found.to_pylist()]

    def linked(self, dataset: str, n: int = 0) -> list[tuple[Any, ...]]:
        """Return (source row, subject, rule) of a batch's rows as last tried; waiting rows have no subject."""
        a = self.account(dataset, n)
        files = [str(self.layout.links(dataset, a.batch_id, r) / "linked.parquet") for r in range(a.revision + 1)]
        return duckdb.sql(f"""SELECT (row_id & 1099511627775)::INT, max_by(CASE WHEN NOT waiting THEN subject_id ELSE 0
            END, adm_order), max_by(CASE WHEN waiting THEN 'waits' ELSE rule END, adm_order)
            FROM read_parquet({files}) GROUP BY row_id ORDER BY 1""").fetchall()

    def issues(self, dataset: str, n: int = 0) -> list[tuple[Any, ...]]:
        """Return (source row, rule, element) of what was said of a batch's values."""
        folder = self.layout.standard(dataset, self.account(dataset, n).batch_id)
        if not any(folder.glob("issues-*.parquet")):
            return []
        return duckdb.sql(f"SELECT source_row, rule, element FROM '{folder}/issues-*.parquet' ORDER BY ALL").fetchall()

    def rules(self, dataset: str, n: int = 0) -> list[str]:
        """Return by which rule each row of a batch was linked, or 'waits'."""
        return [rule for _, _, rule in self.linked(dataset, n)]


_folder = TemporaryDirectory()
_begun: dict[str, dict[str, Any]] = {}  # by all that decides it: the account; its number is the name of the home's copy


def built_once(build: Callable[..., Office]) -> Callable[..., Office]:
    """Let a fixture, of `tmp_path` and perhaps a parameter, build its office once a process and give out copies."""
    made: dict[object, Office] = {}

    @wraps(build)
    def copied(tmp_path: Path, **given: Any) -> Office:
        key = given["request"].param if given else None
        if key not in made:
            folder = Path(_folder.name) / f"{build.__module__} {key}"
            folder.mkdir()
            made[key] = build(folder, **given)
        office = copy.copy(made[key])
        office.folder, office.contracts = tmp_path, dict(office.contracts)
        shutil.copytree(made[key].folder, tmp_path, dirs_exist_ok=True)
        return office

    return copied


def lasting(snapshot: Path) -> dict[str, bytes]:
    """Return the Parquet files of a snapshot, without those that state when something was published: history and the
    admissions. The journal alone decides them.
    """
    paths = (p for p in sorted(snapshot.rglob("*.parquet")) if p.parent.name != BATCH)
    paths = (p for p in paths if not p.parent.name.endswith("_history"))
    return {p.relative_to(snapshot).as_posix(): p.read_bytes() for p in paths}


def write_held(folder: Path, verdict: dict[str, Any]) -> None:
    """Put a verdict into the folder of a batch, without what else validation leaves."""
    document = json.dumps({"verdict": verdict, "facts": {}, "page": ""}).encode()
    (folder / VALIDATION).write_bytes(gzip.compress(document))


def _unit(element: str) -> dict[str, str]:
    return {"unit": "元"} if elements()[element].type == "money" else {}


def counts(account: dict[str, Any] | Admission) -> tuple[int, int, int, int]:
    """Return accepted, quarantined, duplicate, unlinked."""
    get = account.__getitem__ if isinstance(account, dict) else lambda n: getattr(account, n)
    return tuple(get(n) for n in ("accepted", "quarantined", "duplicate", "unlinked"))  # type: ignore[return-value]
