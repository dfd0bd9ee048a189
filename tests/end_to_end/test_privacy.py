"""What is in a home is for its user alone, whatever mask a command has; a group may be let into the outbox."""

import grp
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from killing import ENVIRONMENT
from pipeline_runs import chengxin, command

from chengxin.store import privacy
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc

OURS = 1 if os.geteuid() == 0 else os.getegid()  # a group that we may give files to
OPEN = {"preexec_fn": lambda: os.umask(0o022)}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    office = Office(tmp_path_factory.mktemp("private"))
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    return office


def run(office: Office, home: Path, *words: str, **environment: str) -> None:
    """Run a command under the mask that most machines have."""
    done = subprocess.run(
        command(home, office.settings.contracts, *words), env=os.environ | ENVIRONMENT | environment,
        capture_output=True, text=True, check=False, **OPEN,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def sent(office: Office, day: float) -> list[str]:
    reg = office.write("test_reg", [company(n) for n in range(1, 4)], day=day)
    rows = [penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(2), decision_on="不详")]
    return [str(reg), str(office.write("test_penalty", rows, day=day))]


def read_by_others(folder: Path) -> list[str]:
    """What `find FOLDER -perm /077 ! -type l` lists."""
    done = subprocess.run(
        ["find", folder, "-perm", "/077", "!", "-type", "l"], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_home_and_all_in_it_is_private(office, tmp_path):
    home = tmp_path / "home"
    reg, penalties = sent(office, 0)
    run(office, home, "ingest", "test_reg", "--file", reg)
    run(office, home, "ingest", "test_penalty", "--file", penalties)
    run(office, home, "tidy")
    run(office, home, "quarantine", "test_penalty", "--export", str(tmp_path / "refused.csv"))
    assert {p.name for p in home.iterdir()} >= {
        "landing",
        "batches",
        "published",
        "feedback",
        "outbox",
        "locks",
        "work",
    }
    assert read_by_others(home) == []
    assert read_by_others(tmp_path / "refused.csv") == []


@pytest.mark.slow
def test_a_home_that_was_open_is_closed_by_the_next_run(office, tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    reg, penalties = sent(office, 1)
    run(office, home, "ingest", "test_reg", "--file", reg)
    for path in home.rglob("*"):
        path.chmod(0o775 if path.is_dir() else 0o664)
    home.chmod(0o755)
    (home / "elsewhere").symlink_to(reg)
    before = Path(reg).stat().st_mode
    run(office, home, "ingest", "test_penalty", "--file", penalties)
    left = [p for p in read_by_others(home) if not p.startswith(str(home / "outbox"))]
    assert left == []
    assert Path(reg).stat().st_mode == before, "what a link leads to is no part of the home"


def test_a_folder_that_is_no_home_is_left_as_it_is(tmp_path):
    (tmp_path / "of somebody").mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    privacy.close(tmp_path)
    assert len(read_by_others(tmp_path)) == 2


@pytest.mark.slow
def test_a_group_reads_the_outbox_and_nothing_else(office, tmp_path):
    home, outbox, group = tmp_path / "home", tmp_path / "outbox", grp.getgrgid(OURS).gr_name
    outbox.mkdir()
    outbox.chmod(0o750)
    reg, penalties = sent(office, 2)
    given = {"CHENGXIN_OUTBOX": str(outbox), "CHENGXIN_OUTBOX_GROUP": group}
    run(office, home, "ingest", "test_reg", "--file", reg, **given)
    run(office, home, "ingest", "test_penalty", "--file", penalties, **given)
    modes = {stat.S_IMODE(p.stat().st_mode) for p in outbox.rglob("*") if p.is_dir()}
    assert modes == {0o750}
    assert {stat.S_IMODE(p.stat().st_mode) for p in outbox.rglob("*") if p.is_file()} == {0o640}
    assert {p.group() for p in outbox.rglob("*")} == {group}
    assert read_by_others(home) == []


@pytest.mark.parametrize("given", [{"CHENGXIN_OUTBOX_GROUP": "no-such-group"}, {"CHENGXIN_OUTBOX": ""}])
def test_a_group_that_cannot_read_is_told(office, tmp_path, given):
    home, outbox = tmp_path / "home", tmp_path / "outbox"
    outbox.mkdir()
    reg, _ = sent(office, 3)
    environment = {"CHENGXIN_OUTBOX": str(outbox), "CHENGXIN_OUTBOX_GROUP": "root", **given}
    contracts = office.settings.contracts
    chengxin(home, contracts, "ingest", "test_reg", "--file", reg, code=1, **ENVIRONMENT, **environment)
    told = chengxin(home, contracts, "feedback", "test_reg", code=1, **ENVIRONMENT, **environment)
    assert "CHENGXIN_OUTBOX_GROUP" in told["answers"][0]["problem"]
    assert not list(outbox.rglob("*.csv"))


def test_tasks_of_airflow_make_private_files():
    code = "import os; os.umask(0o022); import chengxin.orchestration; print(oct(os.umask(0)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0o77"
