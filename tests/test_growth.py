"""What a command reads does not grow with the square of what there is: each small file is opened once, or never."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.state.database import caught_up
from chengxin.store.layout import VALIDATION
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc

# Prints, after the command, how often each file below the home was opened.
COUNTED = """
import collections, json, os, sys
home, opened = os.path.realpath(sys.argv[2]), collections.Counter()
def audit(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and os.path.realpath(arguments[0]).startswith(home):
        opened[os.path.relpath(os.path.realpath(arguments[0]), home)] += 1
sys.addaudithook(audit)
from chengxin.cli import main
try:
    main()
finally:
    print(json.dumps(opened), file=sys.stderr)
"""
# The same for the stages of one delivery.
INGESTED = COUNTED.replace("from chengxin.cli import main\n", "").replace(
    "    main()\n",
    """
    from pathlib import Path
    from chengxin import pipeline
    from chengxin.connectors.files.drop import file_delivery
    from chengxin.contracts.loader import load
    from chengxin.home import Home
    here = Home.from_environment(home=sys.argv[2], contracts=sys.argv[4])
    contract = load(Path(sys.argv[4])).contracts["pen"]
    landed = pipeline.land(here, contract, file_delivery(here, contract, Path(sys.argv[5])))
    opened.clear()
    assert pipeline.ingest(here, contract, landed)["received"] == 2
""",
)
BATCHES = 6


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    office = Office(tmp_path_factory.mktemp("growth"))
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", *(company(n) for n in range(1, 9)), day=0)
    for n in range(BATCHES):
        office.deliver("pen", penalty(n, uscc=uscc(n + 1)), penalty(100 + n, uscc="?"), day=1 + n)
    office.publish()
    for contract in office.contracts.values():
        pipeline.answer(Home(office.settings, Clock(START)), contract)
    return office


def opened(office: Office, *arguments: str, code: str = COUNTED) -> Counter[str]:
    """Run a command in a process of its own; return how often it opened each file of the home."""
    words = ["--home", str(office.settings.home), "--contracts", str(office.settings.contracts), *arguments]
    inbox = {"CHENGXIN_INBOX": str(office.folder / "inbox")}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, env=os.environ | inbox
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Counter(json.loads(done.stderr.splitlines()[-1]))


def of(found: Counter[str], top: str, ending: str) -> list[int]:
    return [n for path, n in found.items() if path.startswith(f"{top}/") and path.endswith(ending)]


@pytest.mark.slow
def test_status_opens_the_newest_entry_and_no_receipt(office: Office) -> None:
    found = opened(office, "status")
    assert of(found, "admissions", ".json") == [2], "its digest, and the format of the home"
    assert of(found, "landing", "receipt.json") == []
    assert of(found, "batches", ".json") == []


@pytest.mark.slow
def test_a_run_with_nothing_new_opens_no_file_of_a_batch(office: Office) -> None:
    (office.folder / "inbox").mkdir()
    found = opened(office, "run")
    assert [n for path, n in found.items() if path.startswith("admissions/")] == [2]
    assert of(found, "batches", "") == []
    assert of(found, "landing", "receipt.json") == [1] * (BATCHES + 1)
    assert of(found, "feedback", "") == [1, 1], "answered.json of both data sets"


def test_an_answer_that_could_not_be_sent_is_tried_again(office: Office, tmp_path: Path) -> None:
    contract, settings, clock = office.contracts["pen"], office.settings, Clock(START)
    outbox = settings.home / "outbox"
    kept = outbox.rename(tmp_path / "kept")
    outbox.write_text("no folder")
    office.deliver("pen", penalty(50, uscc="?"), penalty(51, uscc=uscc(1)), day=20)
    [failed] = pipeline.answer(Home(settings, clock), contract)
    assert failed.problem
    [failed] = pipeline.answer(Home(settings, clock), contract)
    assert failed.problem
    outbox.unlink()
    kept.rename(outbox)
    [sent] = pipeline.answer(Home(settings, clock), contract)
    assert sent.sent
    assert pipeline.answer(Home(settings, clock), contract) == []


def test_an_ingest_opens_of_other_batches_only_what_was_usual(office: Office) -> None:
    path = office.write("pen", [penalty(900, uscc=uscc(3)), penalty(0, uscc=uscc(1))], day=20)
    with caught_up(office.layout):
        pass
    found = opened(office, str(path), code=INGESTED)
    batch = {p.split("/")[2] for p in found if p.startswith("batches/pen/") and "/standard/" in p}
    assert len(batch) == 1, batch
    others = [p.split("/", 3)[3] for p in found if p.startswith("batches/") and p.split("/")[2] not in batch]
    assert set(others) <= {VALIDATION}, others
