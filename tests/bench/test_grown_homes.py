"""Homes that the bench of growth synthesises are such as the pipeline writes; measuring leaves them as they are."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from chengxin import pipeline
from chengxin.connectors import landing
from chengxin.contracts.loader import load
from chengxin.home import Home
from chengxin.publishing.verify import verify
from chengxin.records import journal

BENCH = Path(__file__).resolve().parents[2] / "bench"
BATCHES, SUBJECTS, DATASETS = 30, 120, 4
SIZES = ["--datasets", str(DATASETS), "--templates", "2"]


def run(program: str, *words: str | Path) -> str:
    command = [sys.executable, BENCH / program, *words]
    environment = os.environ | {"CHENGXIN_TOKEN_KEY": "a key of the test"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("growth")
    return Path(run("grown_homes.py", folder, "--batches", str(BATCHES), "--subjects", str(SUBJECTS), *SIZES))


def state_of(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_what_is_measured_runs_on_a_copy(grown: Path) -> None:
    before, found = state_of(grown), grown.parent / "found.json"
    sizes = ["--batches", str(BATCHES), "--base", str(SUBJECTS), *SIZES]
    run("growth.py", "--folder", grown.parent, "--json", found, "--only", "opens", "--rounds", "1", *sizes)
    assert state_of(grown) == before
    counts = {entry["name"]: entry["ratio"] for entry in json.loads(found.read_text())}
    assert counts[f"growth:opens:{BATCHES}:admissions"] >= 1


@pytest.mark.slow
def test_a_grown_home_publishes_what_its_batches_accepted(grown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHENGXIN_TOKEN_KEY", "a key of the test")
    home = Home.from_environment(home=grown / "home", contracts=grown / "contracts")
    accounts = journal.admissions(home.layout)
    assert Counter(a.kind for a in accounts) == {"registration": 3, "penalty": BATCHES - 3}
    assert len({a.dataset for a in accounts}) == DATASETS
    assert all(a.counts.adds_up() and a.accepted for a in accounts)
    published = pipeline.publish(home, load(home.settings.contracts).contracts)
    assert published is not None
    accepted = sum(a.accepted for a in accounts if a.kind == "penalty")
    tables = published.tiers["government"].tables
    assert (tables["penalty"], tables["subject"]) == (accepted, SUBJECTS)
    assert [p for a in accounts for p in landing.verify_landed(home, landing.landed(home, a.dataset, a.batch_id))] == []
    assert verify(home.layout, "government") == []
