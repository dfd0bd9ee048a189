"""A home in an object store: the same bytes as on a disk, whichever machine does which stage, and read from there."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pipeline_runs import chengxin, command

from chengxin import pipeline
from chengxin.clock import Clock, instant_of_timestamp
from chengxin.connectors.files.drop import file_delivery
from chengxin.home import Home
from chengxin.publishing import reader
from chengxin.settings import Settings
from deliveries import ARREARS, PENALTY, REGISTRATION, START, Office, company, penalty, uscc
from object_stores import KEY, SECRET, Server, s3_server, use

NOW = "2026-03-20T10:00:00+08:00"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with s3_server() as running:
        yield running


@dataclass
class FarOffice(Office):
    """An office whose home lies in an object store; every stage is done by a machine that has seen nothing of it."""

    url: str = ""
    machines: int = 0

    @property
    def settings(self) -> Settings:
        self.machines += 1
        work = self.folder / f"machine-{self.machines}"
        return Settings(home=work, contracts=self.folder / "contracts", workers=2, origin=self.url, work=work)

    def ingest(self, dataset: str, path: Path) -> dict[str, Any]:
        contract, clock = self.contracts[dataset], Clock(instant_of_timestamp(path.stat().st_mtime))
        landed = pipeline.land(
            Home(self.settings, clock), contract, file_delivery(Home(self.settings, clock), contract, path)
        )
        pipeline.standardise(Home(self.settings), contract, landed)
        pipeline.validate(Home(self.settings, clock), contract, landed)
        pipeline.admit(Home(self.settings, clock), contract, landed)
        pipeline.answer(Home(self.settings, clock), contract)
        return pipeline.counts_of(Home(self.settings).here(), contract, landed)


def two_rounds(office: Office) -> list[dict[str, Any]]:
    """Take two rounds in and publish each: updates, withdrawals, repetitions, refused rows, a subject that is late."""
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    office.contract("test_arrears", "tax_arrears", ARREARS, mode="full")
    owed = {"tax_type_name": "增值税", "authority_name": "示例局", "published_on": "2026-02-01"}
    rows = [penalty(n, uscc=uscc(n)) for n in range(1, 8)]
    done = [
        office.deliver("test_reg", *[company(n) for n in range(1, 6)], company(8, region_code="430202"), day=0),
        office.deliver("test_penalty", *rows, rows[0], penalty(9, uscc=uscc(1), decision_on="不详"), day=1),
        office.deliver("test_arrears", *[owed | {"uscc": uscc(n), "arrears_balance": 100} for n in (1, 2, 6)], day=1),
    ]
    office.publish(1)
    done += [
        office.deliver("test_reg", company(2, legal_rep_name="示例甲"), company(6), day=2),
        office.deliver("test_penalty", penalty(1, uscc=uscc(1), penalty_content="更正"), day=3),
        office.deliver("test_arrears", owed | {"uscc": uscc(1), "arrears_balance": 50}, day=3),
    ]
    office.publish(3)
    return done


@pytest.mark.slow
def test_the_same_bytes_come_out_whichever_machine_works(server, tmp_path, monkeypatch):
    use(server, monkeypatch)
    monkeypatch.setenv("CHENGXIN_NOW", NOW)
    near, far = Office(tmp_path / "near"), FarOffice(tmp_path / "far", url="s3://same-bytes/home")
    assert two_rounds(near) == two_rounds(far)
    home = near.settings.home
    exact = ("admissions", "landing", "published")
    there = {name: data for name, data in server.objects("same-bytes", "home/").items() if not name.startswith(".")}
    here = {
        p.relative_to(home).as_posix(): p.read_bytes() for top in exact for p in (home / top).rglob("*") if p.is_file()
    }
    here = {name: data for name, data in here.items() if not name.endswith("seen.json")}
    assert {name: data for name, data in there.items() if name.split("/")[0] in exact} == here
    assert any("current.json" in name for name in here)
    batches = {p.relative_to(home).as_posix() for p in (home / "batches").rglob("*") if p.is_file()}
    assert {name for name in there if name.startswith("batches/")} == batches
    copied = [path for method, path in server.gate.requests if method == "COPY"]
    assert copied, "what the second snapshot shares with the first did not leave the store"
    settings = far.settings
    assert pipeline.publish(Home(settings, Clock(START)), far.contracts) is None
    assert Home(settings).anew() == []


@pytest.mark.slow
def test_a_snapshot_is_read_in_the_store(server, tmp_path, monkeypatch):
    use(server, monkeypatch)
    far = FarOffice(tmp_path, url="s3://read-there/home")
    far.contract("test_reg", "registration", REGISTRATION)
    far.deliver("test_reg", *[company(n) for n in range(1, 6)], day=0)
    snapshot = far.publish()
    folder = snapshot.tiers["government"].path
    assert folder == f"s3://read-there/home/published/government/snapshots/{snapshot.id}"
    names = {f"湖南示例{n}有限公司" for n in range(1, 6)}

    import duckdb
    import fsspec
    import polars
    import pyarrow.dataset
    from pyarrow.fs import S3FileSystem

    arrow = S3FileSystem(access_key=KEY, secret_key=SECRET, region="us-east-1", endpoint_override=server.endpoint)
    read = pyarrow.dataset.dataset(f"{folder[5:]}/subject", filesystem=arrow, partitioning=None).to_table()
    assert set(read["name"].to_pylist()) == names
    with duckdb.connect() as connection:
        connection.register_filesystem(fsspec.filesystem("s3", skip_instance_cache=True))
        [(count,)] = connection.execute(
            f"SELECT count(*) FROM read_parquet('{folder}/registration/*.parquet')"
        ).fetchall()
    assert count == 5
    found = polars.read_parquet(
        f"{folder}/subject/*.parquet",
        storage_options={
            "aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "aws_region": "us-east-1",
            "aws_endpoint_url": server.endpoint, "aws_allow_http": "true",
        },
    )  # fmt: skip
    assert set(found["name"]) == names
    monkeypatch.setenv("CHENGXIN_WORK", str(tmp_path / "reader"))
    opened = reader.open_snapshot("s3://read-there/home")
    assert (opened.id, opened.tables["subject"], opened.warnings) == (snapshot.id, 5, ())
    assert opened.lookup(1)["subject"]["name"].to_pylist() == ["湖南示例1有限公司"]
    assert {p.name for p in (tmp_path / "reader/copies/0").iterdir()} == {"published", "inbox", "outbox"}


class Machine:
    """The command line on one machine."""

    def __init__(self, server: Server, folder: Path, name: str, url: str) -> None:
        self.url, self.contracts = url, folder / "contracts"
        self.environment = server.environment(
            CHENGXIN_WORK=str(folder / name), CHENGXIN_INBOX=str(folder / "inbox"), CHENGXIN_NOW=NOW,
            CHENGXIN_STRAY_MINUTES="0",
        )  # fmt: skip

    def run(self, *arguments: str, code: int = 0, **env: str) -> dict[str, Any]:
        return chengxin(self.url, self.contracts, *arguments, code=code, **self.environment | env)  # type: ignore[arg-type]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(self.url, self.contracts, *arguments, "--json"),  # type: ignore[arg-type]
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | self.environment,
        )  # fmt: skip


def inbox_of(office: Office) -> Path:
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    inbox = office.folder / "inbox"
    for dataset in office.contracts:
        (inbox / dataset).mkdir(parents=True)
    office.write("test_reg", [company(n) for n in range(1, 6)], day=0).rename(inbox / "test_reg/1.csv")
    rows = [penalty(n, uscc=uscc(n)) for n in range(1, 4)]
    office.write("test_penalty", [*rows, penalty(9, uscc=uscc(1), decision_on="不详")], day=1).rename(
        inbox / "test_penalty/1.csv"
    )
    return inbox


@pytest.mark.slow
def test_every_command_works_on_it(server, tmp_path):
    office = Office(tmp_path)
    inbox = inbox_of(office)
    url = "s3://commands/some/home"
    one, other = Machine(server, tmp_path, "one", url), Machine(server, tmp_path, "other", url)
    done = one.run("run")
    assert done["snapshot"]["tiers"]["open"]["path"].startswith(f"{url}/published/open/snapshots/")
    status = other.run("status")
    assert {r["dataset"]: (r["received"], r["accepted"]) for r in status["datasets"]} == {
        "test_reg": (5, 5), "test_penalty": (4, 3),
    }  # fmt: skip
    assert status["snapshots"]["government"]["id"] == done["snapshot"]["id"]
    assert len(other.run("quarantine", "test_penalty")["rows"]) == 1
    assert [s["subject_id"] for s in other.run("show", uscc(2))["subjects"]] == [2]
    assert other.run("feedback", "test_penalty")["answers"][0]["folder"].startswith(f"{url}/feedback/")
    later = {"CHENGXIN_NOW": "2026-04-02T10:00:00+08:00"}
    assert other.run("scorecard", "202603", "--issue", **later)["state"] == "issued"
    assert [o["dataset"] for o in one.run("overdue", code=3, **later)["overdue"]] != []
    office.write("test_reg", [company(6)], day=2).rename(inbox / "test_reg/2.csv")
    second = other.run("run", **later)["snapshot"]["id"]
    tidied = one.run("tidy", "--days", "1", "--all", **later)
    assert (tidied["rehash"]["batches"], tidied["rehash"]["problems"]) == (3, [])
    assert one.run("verify")["problems"] == []
    objects = server.objects("commands", "some/home/")
    assert json.loads(objects["published/open/current.json"])["snapshot_id"] == second
    assert "scorecards/202603/scorecard.json" in objects
    damaged = next(name for name in objects if name.startswith(f"published/open/snapshots/{second}/subject/"))
    server.client().put_object(Bucket="commands", Key=f"some/home/{damaged}", Body=b"PAR1 no more")
    problems = other.run("verify", code=1)["problems"]
    assert any(damaged in problem for problem in problems)
    assert f"published/open/snapshots/{second}/DAMAGED.json" in server.objects("commands", "some/home/")


@pytest.mark.slow
def test_machines_that_ingest_and_publish_at_once_end_right(server, tmp_path):
    inbox = inbox_of(Office(tmp_path))
    url = "s3://at-once/home"
    machines = [Machine(server, tmp_path, name, url) for name in ("one", "other", "third")]
    datasets = ("test_reg", "test_penalty", "test_reg")
    started = [
        machine.start("ingest", dataset, f"--file={inbox / dataset / '1.csv'}")
        for machine, dataset in zip(machines, datasets, strict=True)
    ]
    for process in started:
        out, err = process.communicate()
        assert process.returncode == 0, err[-2000:]
        assert json.loads(out)["batches"][0]["verdict"] in {"accept", "warn"}
    machines[0].run("publish")
    assert machines[1].run("verify")["problems"] == []
    objects = server.objects("at-once", "home/")
    entries = [json.loads(data)["batch_id"] for name, data in objects.items() if name.startswith("admissions/")]
    assert len(set(entries)) == 2
    assert machines[2].run("show", uscc(2))["subjects"][0]["tables"]["penalty"]
    assert machines[2].run("run")["snapshot"] is None, "on the same day"
