"""File exchange from the folder to the published rows: archives, order of periods, deliveries of several files."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from deliveries import REGISTRATION, START, Office, company, counts

HEADER = "subject_name,uscc,region_code\n"


def rows(*companies: dict) -> bytes:
    return (HEADER + "".join(f"{c['subject_name']},{c['uscc']},{c['region_code']}\n" for c in companies)).encode()


@pytest.fixture
def office(tmp_path) -> Office:
    return Office(tmp_path)


def declare(office: Office, pattern: str, mode: str = "incremental", **options: object) -> None:
    office.contract("list", "registration", REGISTRATION[:2] + REGISTRATION[-1:], delivery={
        "mode": mode, "options": {"folder": "list", "pattern": pattern, **options},
    })  # fmt: skip


def drop(office: Office, name: str, data: bytes) -> Path:
    path = office.settings.home / "inbox" / "list" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (START.timestamp(), START.timestamp() + office._sent))
    office._sent += 1
    return path


def packed(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def run(office: Office) -> list[dict]:
    contract, clock = office.contracts["list"], Clock(START)
    for delivery in pipeline.discover(Home(office.settings), contract):
        pipeline.land(Home(office.settings, clock), contract, delivery)
    return [
        pipeline.ingest(Home(office.settings, clock), contract, b)
        for b in pipeline.pending(Home(office.settings), contract)
    ]


def test_published_rows_name_archive_and_member(office):
    declare(office, "*")
    drop(office, "a.zip", packed(("2.csv", rows(company(2))), ("1.csv", rows(company(1)))))
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        info = tarfile.TarInfo("深/3.csv")
        info.size = len(rows(company(3)))
        archive.addfile(info, io.BytesIO(rows(company(3))))
    drop(office, "b.tar.gz", tar.getvalue())
    drop(office, "c.csv", rows(company(4)))
    assert [counts(a) for a in run(office)] == [(2, 0, 0, 0), (1, 0, 0, 0), (1, 0, 0, 0)]
    office.publish()
    assert office.table("registration", "source_file, source_row, subject_name") == [
        ("a.zip!1.csv", 2, "湖南示例1有限公司"),
        ("a.zip!2.csv", 2, "湖南示例2有限公司"),
        ("b.tar.gz!深/3.csv", 2, "湖南示例3有限公司"),
        ("c.csv", 2, "湖南示例4有限公司"),
    ]


def test_an_unsafe_archive_is_held_and_keeps_nothing_waiting(office):
    declare(office, "*")
    received = packed(("../../stray.csv", rows(company(1))))
    drop(office, "a.zip", received)
    drop(office, "b.zip", packed(("1.csv", rows(company(2))))[:-30])
    drop(office, "c.csv", rows(company(3)))
    accounts = run(office)
    assert [a["verdict"] for a in accounts] == ["hold", "hold", "accept"]
    reports = [str(office.verdict("list", a["batch_id"])) for a in accounts]
    assert "指向压缩包之外" in reports[0]
    assert "不完整" in reports[1]
    landed = office.layout.landing("list", accounts[0]["batch_id"]) / "payload" / "a.zip"
    assert landed.read_bytes() == received
    assert not list(office.folder.rglob("*stray*"))
    assert not list(office.folder.rglob(".building-*"))
    assert run(office) == []
    office.publish()
    assert len(office.table("registration")) == 1


@pytest.mark.slow
def test_a_late_period_overtakes_no_newer_one(office):
    declare(office, "list_{date}_{seq}.csv")
    name = "registration", "subject_name"
    drop(office, "list_20260208_1.csv", rows(company(1, subject_name="三月八日示例有限公司")))
    run(office)
    drop(office, "list_20260201_2.csv", rows(company(1, subject_name="三月一日示例有限公司")))
    drop(office, "list_20260201_1.csv", rows(company(1, subject_name="三月一日早示例有限公司")))
    run(office)
    office.publish()
    assert office.table(*name) == [("三月八日示例有限公司",)]
    drop(office, "list_20260208_1.csv", rows(company(1, subject_name="三月八日更正有限公司")))
    run(office)
    office.publish(1)
    assert office.table(*name) == [("三月八日更正有限公司",)]


def test_a_late_older_full_list_withdraws_nothing_of_the_newer(office):
    declare(office, "list_{month}.csv", mode="full")
    drop(office, "list_202602.csv", rows(company(1), company(2)))
    run(office)
    drop(office, "list_202601.csv", rows(company(1), company(3)))
    run(office)
    office.publish()
    assert office.table("registration", "subject_name") == [("湖南示例1有限公司",), ("湖南示例2有限公司",)]


def test_several_files_are_one_delivery_of_a_full_list(office):
    declare(office, "list_{date}_{part}.csv", mode="full", complete={"marker": "{date}.ok"})
    for day, parts in (("20260201", ("A", "B")), ("20260202", ("A", "B"))):
        for n, part in enumerate(parts, 1):
            drop(office, f"list_{day}_{part}.csv", rows(company(n)))
        assert run(office) == []
        drop(office, f"{day}.ok", b"")
        [account] = run(office)
        assert account["received"] == 2
    office.publish()
    assert len(office.table("registration")) == 2
