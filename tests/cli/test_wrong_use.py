"""What the command line says when it is used wrongly: one sentence that names what exists, and never a traceback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pipeline_runs import LIST_COLUMNS, chengxin, command, contract, told
from pipeline_runs import words as arguments

from deliveries import uscc

HEADER = ",".join(LIST_COLUMNS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A home with one batch and its contracts; another home stands beside it."""
    root = tmp_path_factory.mktemp("wrong")
    home, contracts, file = root / "home", root / "contracts", root / "名单.csv"
    contract(contracts, "commerce_list", "registration", LIST_COLUMNS, file={"format": "csv"})
    row = f"长沙示例科技有限公司,{uscc(1)},1999-01-08,N/A,张某,5118,软件开发,湖南,长沙,长沙市开福区"
    file.write_text(f"{HEADER}\n{row}\n", "utf-8")
    chengxin(home, contracts, "ingest", "commerce_list", "--file", str(file))
    return home, contracts


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["alerts"],
        ["overdue"],
        ["publish"],
        ["verify"],
        ["show", "1"],
        ["tidy"],
        ["scorecard"],
        ["quarantine", "commerce_list"],
        ["feedback", "commerce_list"],
        ["release", "commerce_list", "x", "--reason", "y"],
        ["retry", "commerce_list", "x"],
        ["serve"],
    ],
    ids=lambda words: words[0],
)
def test_a_mistyped_home_names_the_homes_near_it(place: tuple[Path, Path], words: list[str]) -> None:
    home, contracts = place
    done = told(arguments(home.with_name("hmoe"), contracts, *words))
    assert done.returncode == 2
    assert str(home) in done.stderr and "不存在" in done.stderr
    assert not home.with_name("hmoe").exists()


def test_a_folder_that_is_no_home_is_told_from_one(place: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    done = told(arguments(tmp_path, place[1], "status"))
    assert done.returncode == 2 and "不是数据目录" in done.stderr


def test_ingest_says_that_it_makes_a_new_home(place: tuple[Path, Path], tmp_path: Path) -> None:
    home, contracts = place
    file = next((home / "landing" / "commerce_list").glob("*/payload/*"))
    done = told(arguments(tmp_path / "new", contracts, "ingest", "commerce_list", "--file", str(file)))
    assert done.returncode == 0 and f"新建数据目录 {tmp_path / 'new'}" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["quarantine", "commerce_list", "--batch"],
        ["feedback", "commerce_list", "--batch"],
        ["quarantine", "close", "commerce_list", "--rows", "2", "--reason", "x", "--batch"],
        ["retry", "commerce_list"],
        ["release", "commerce_list", "--reason", "x"],
    ],
    ids=["quarantine", "feedback", "close", "retry", "release"],
)
def test_a_mistyped_batch_names_the_batches(place: tuple[Path, Path], words: list[str]) -> None:
    home, contracts = place
    batch = next((home / "landing" / "commerce_list").glob("commerce_list-*")).name
    done = told(arguments(home, contracts, *words, batch[:-1]))
    assert done.returncode == 2 and batch in done.stderr


@pytest.mark.slow
def test_a_home_that_may_not_be_written_is_one_line(place: tuple[Path, Path]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount the home read-only")
    home, contracts = place
    mounts = f"mount --bind {home} {home} && mount -o remount,ro,bind {home}"
    program = [sys.executable, "-m", "chengxin.cli", *arguments(home, contracts, "run")]
    words = ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh", *program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr and "只读" in done.stderr and len(done.stderr.splitlines()) <= 2


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_interrupted_says_that_it_may_be_run_again(tmp_path: Path) -> None:
    process = _demo(tmp_path)
    assert process.stderr is not None
    first = [process.stderr.readline(), process.stderr.readline()]
    assert any("演示开始" in line for line in first), first  # progress from the first second
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "可以重新运行同一命令" in err and "Traceback" not in err


@pytest.mark.parametrize("module", ["click", "pydantic", "rich.progress", "chengxin.cli.group"])
def test_interrupted_while_it_starts_is_one_sentence(tmp_path: Path, module: str) -> None:
    # Python tells of an import before it begins: the signal comes in the midst of it.
    program = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
def audit(event, arguments):
    if event == "import" and arguments[0] == {module!r}:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(audit)
from chengxin.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "--home", str(tmp_path / "home"), "status"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130
    assert "可以重新运行同一命令" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_interrupted_twice_ends_without_a_trace(tmp_path: Path) -> None:
    process = _demo(tmp_path)
    assert process.stderr is not None
    while "第 1 轮" not in (line := process.stderr.readline()):
        assert line
    time.sleep(1)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    assert process.returncode in {130, -signal.SIGINT}  # the last moments of Python are the signal's own
    err = process.stderr.read()
    assert "可以重新运行同一命令" in err and "Traceback" not in err, err


def _demo(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "chengxin.cli", "--home", str(folder / "home"), "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.slow
def test_serve_prints_its_address_and_takes_the_next_port(place: tuple[Path, Path]) -> None:
    home, contracts = place
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        done = told(arguments(home, contracts, "serve", "--port", str(number)))
        assert done.returncode == 2 and f"端口 {number} 已被占用" in done.stderr
    first = subprocess.Popen(command(home, contracts, "serve"), stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    one = first.stdout.readline()
    second = subprocess.Popen(command(home, contracts, "serve"), stdout=subprocess.PIPE, text=True)
    assert second.stdout is not None
    other = second.stdout.readline()
    for process in (first, second):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert "http://127.0.0.1:" in one and "http://127.0.0.1:" in other and one != other
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_draft_is_tried_wherever_it_lies(place: tuple[Path, Path], tmp_path: Path) -> None:
    home, contracts = place
    draft = tmp_path / "some" / "folder" / "my-draft.yml"
    draft.parent.mkdir(parents=True)
    draft.write_bytes((contracts / "commerce" / "commerce_list.yaml").read_bytes())
    file = next((home / "landing" / "commerce_list").glob("*/payload/*"))
    words = arguments(home, contracts, "contracts", "try", "some/folder/my-draft.yml", str(file), "--json")
    done = told(words, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["received"] == 1


def test_version_is_one_line(tmp_path: Path) -> None:
    done = told(["--version"], tmp_path)
    assert (done.returncode, done.stdout.split()[0]) == (0, "chengxin")
