"""`chengxin home copy`: a home in a folder becomes one in an object store, whole or not at all, killed or not."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline_runs import chengxin, command

from chengxin.store.remote.copy import scan
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc
from object_stores import Server, s3_server

KILLS = (0, 1, 9, 40)  # after so many objects, and between the entry that counts and the pointers


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with s3_server() as running:
        yield running


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """A home with two snapshots, a refused row and what belongs to this machine only."""
    office = Office(tmp_path_factory.mktemp("office"))
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    office.deliver("test_reg", *[company(n) for n in range(1, 6)], day=0)
    office.deliver("test_penalty", penalty(1, uscc=uscc(1)), penalty(9, uscc=uscc(1), decision_on="不详"), day=1)
    assert office.publish(1)
    office.deliver("test_reg", company(6), day=2)
    assert office.publish(2)
    (office.settings.home / "inbox").mkdir(exist_ok=True)
    (office.settings.home / "inbox" / "来文.csv").write_text("还在本机")
    return office


class Copying:
    """The command towards one bucket."""

    def __init__(self, server: Server, office: Office, folder: Path, bucket: str) -> None:
        self.server, self.office, self.bucket = server, office, bucket
        self.home, self.url = office.settings.home, f"s3://{bucket}/home"
        self.environment = server.environment(CHENGXIN_WORK=str(folder / "work"))
        self.contracts = office.folder / "contracts"

    def run(self, *, code: int = 0) -> dict[str, object]:
        arguments = ("home", "copy", str(self.home), self.url)
        if code:
            done = subprocess.run(
                command(self.home, self.contracts, *arguments), env=os.environ | self.environment,
                capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == code, done.stderr
            return {"said": done.stderr}
        return chengxin(self.home, self.contracts, *arguments, **self.environment)

    def at(self, machine: Path, *arguments: str) -> dict[str, object]:
        environment = self.environment | {"CHENGXIN_WORK": str(machine)}
        return chengxin(self.url, self.contracts, *arguments, **environment)  # type: ignore[arg-type]

    def killed(self, after: int) -> int:
        """Start it and kill it when so many objects were written; return how many there are."""
        process = subprocess.Popen(
            command(self.home, self.contracts, "home", "copy", str(self.home), self.url),
            env=os.environ | self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        written = 0

        def kill(method: str, path: str) -> bool:
            nonlocal written
            written += method in {"PUT", "COPY"} and path.count("/") > 2
            if written > after and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
            return False

        self.server.gate.after = kill
        try:
            process.wait(120)
        finally:
            self.server.gate.after = lambda method, path: False
        assert process.returncode == -signal.SIGKILL
        return len(self.objects())

    def objects(self) -> dict[str, bytes]:
        return self.server.objects(self.bucket, "home/")


@pytest.mark.slow
def test_every_file_of_the_home_arrives_and_work_goes_on(server, office, tmp_path):
    copying = Copying(server, office, tmp_path, "whole")
    files = scan(copying.home)
    done = copying.run()
    assert (done["files"], done["kept"], done["done_before"]) == (len(files), 0, False)
    objects = copying.objects()
    assert {path: objects[path] for path in files} == {path: (copying.home / path).read_bytes() for path in files}
    assert not any(name.startswith(("inbox", "locks", "cache")) for name in objects)
    assert copying.run()["done_before"]
    assert copying.objects() == objects
    assert copying.at(tmp_path / "other", "verify")["problems"] == []
    status = copying.at(tmp_path / "other", "status")
    assert {r["dataset"]: r["received"] for r in status["datasets"]} == {"test_reg": 6, "test_penalty": 2}
    assert copying.at(tmp_path / "other", "publish")["snapshot"] is None, "nothing changed by moving"


@pytest.mark.slow
def test_a_killed_copy_shows_nothing_and_resumes(server, office, tmp_path):
    copying = Copying(server, office, tmp_path, "killed")
    lay = 0
    for after in KILLS:
        lay = copying.killed(after)
        objects = copying.objects()
        assert not any(name.startswith(".log/") for name in objects), "no entry: it is no home yet"
        assert not any(name.startswith("published/") and name.endswith("current.json") for name in objects)
    assert lay > KILLS[-2]
    assert copying.run()["kept"] > 0
    assert copying.at(tmp_path / "other", "verify")["problems"] == []
    pointer = json.loads(copying.objects()["published/open/current.json"])
    assert pointer == json.loads((copying.home / "published/open/current.json").read_text())


@pytest.mark.slow
def test_a_copy_that_is_killed_before_its_pointers_is_completed(server, office, tmp_path):
    copying = Copying(server, office, tmp_path, "last-moment")
    total = len(scan(copying.home))
    copying.killed(total)  # the entry of the log is written after all files
    objects = copying.objects()
    assert ".log/00000000.json" in objects
    assert "published/open/current.json" not in objects
    assert copying.run()["done_before"]
    assert "published/open/current.json" in copying.objects()


@pytest.mark.slow
def test_a_store_with_another_home_is_left_alone(server, office, tmp_path):
    copying = Copying(server, office, tmp_path, "taken")
    copying.run()
    before = copying.objects()
    other = Office(tmp_path / "another")
    other.contract("test_reg", "registration", REGISTRATION)
    other.deliver("test_reg", company(1), day=0)
    mine = Copying(server, other, tmp_path / "another", "taken")
    assert "已有数据目录" in str(mine.run(code=1)["said"])
    assert copying.objects() == before


@pytest.mark.slow
def test_bytes_that_come_back_changed_are_noticed(server, office, tmp_path):
    copying = Copying(server, office, tmp_path, "damaging")
    damaged = []

    def damage(method: str, path: str) -> bool:
        if method == "PUT" and path.endswith("receipt.json") and not damaged:
            damaged.append(path)
        return False

    server.gate.after = damage
    client = server.client()

    def spoil(method: str, path: str) -> bool:
        if method == "GET" and damaged and path == damaged[0]:
            server.gate.before = lambda method, path: False
            client.put_object(Bucket="damaging", Key=path.removeprefix("/damaging/"), Body=b"{}")
        return False

    server.gate.before = spoil
    try:
        said = copying.run(code=1)["said"]
    finally:
        server.gate.after = server.gate.before = lambda method, path: False
    assert "读回的内容不符" in str(said)
    assert not any(name.startswith(".log/") for name in copying.objects())
