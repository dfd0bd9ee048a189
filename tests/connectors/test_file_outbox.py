"""Answers that go back to where a drop folder lies: a real OpenSSH server, a real S3 server."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chengxin.connectors.receivers import RECEIPT, Answer, hand_over
from chengxin.errors import ContractError, SourceUnavailable
from chengxin.home import Home
from chengxin.store.atomic import write_json
from file_servers import Store, sftp, store


@pytest.fixture(scope="module")
def openssh():
    with sftp() as server:
        if server is None:
            pytest.skip("OpenSSH is not installed")
        yield server


@pytest.fixture(scope="module")
def objects():
    with store() as server:
        yield server


@pytest.fixture
def server(openssh, monkeypatch):
    for name in ("inbox", "outbox"):
        shutil.rmtree(openssh.folder / name, ignore_errors=True)
    openssh.inbox.mkdir()
    monkeypatch.setenv("CHENGXIN_CONN_TAX", openssh.url())
    return openssh


@pytest.fixture
def bucket(objects, monkeypatch) -> Store:
    client = objects.client()
    for entry in client.list_objects_v2(Bucket=objects.bucket).get("Contents", []):
        client.delete_object(Bucket=objects.bucket, Key=entry["Key"])
    monkeypatch.setenv("CHENGXIN_CONN_TAX", objects.url())
    return objects


@pytest.fixture
def answer(tmp_path: Path) -> Callable[..., Answer]:
    def make(revision: int = 0, rows: str = "行号\r\n3\r\n") -> Answer:
        folder = tmp_path / f"package-{revision}"
        folder.mkdir(exist_ok=True)
        (folder / "回执.txt").write_text("收到 2 条")
        (folder / "需更正.csv").write_text(rows)
        write_json(folder / RECEIPT, {"id": f"b-r{revision}"})
        files = ("回执.txt", RECEIPT, "需更正.csv")
        return Answer(
            id=f"b-r{revision}",
            name=f"处罚.csv-反馈-6bbec143-{revision + 1}",
            folder=folder,
            files=files,
            rows="rows.parquet",
            summary="",
        )

    return make


def given(make_contract, folder: str = "省/税务", **feedback):
    made = make_contract(connection="tax", folder=folder)
    return made.model_copy(update={"feedback": made.feedback.model_copy(update=feedback)})


def under(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def listing(bucket: Store) -> dict[str, bytes]:
    client = bucket.client()
    found = client.list_objects_v2(Bucket=bucket.bucket).get("Contents", [])
    return {e["Key"]: client.get_object(Bucket=bucket.bucket, Key=e["Key"])["Body"].read() for e in found}


def test_lays_the_answer_beside_the_drop_on_an_sftp_server(server, settings, make_contract, answer):
    (server.inbox / "省" / "税务").mkdir(parents=True)
    told = hand_over(Home(settings), given(make_contract), answer())
    assert told == "连接“tax”的 省/outbox/税务/处罚.csv-反馈-6bbec143-1"
    folder = server.inbox / "省" / "outbox" / "税务" / "处罚.csv-反馈-6bbec143-1"
    assert under(server.inbox) == sorted(str((folder / n).relative_to(server.inbox)) for n in answer().files)
    assert (folder / "需更正.csv").read_bytes() == "行号\r\n3\r\n".encode()
    assert not (settings.home / "outbox").exists()


def test_the_same_answer_is_left_alone_and_a_half_one_completed(server, settings, make_contract, answer):
    contract = given(make_contract)
    hand_over(Home(settings), contract, answer())
    folder = server.inbox / "省" / "outbox" / "税务" / answer().name
    os.utime(folder / "需更正.csv", (1, 1))
    hand_over(Home(settings), contract, answer())
    assert (folder / "需更正.csv").stat().st_mtime == 1
    (folder / RECEIPT).unlink()  # what a copy that was cut short looks like
    (folder / "需更正.csv").write_text("行")
    hand_over(Home(settings), contract, answer())
    assert under(folder) == sorted(answer().files)
    assert (folder / "需更正.csv").read_bytes() == "行号\r\n3\r\n".encode()


def test_uses_up_what_a_killed_upload_left(server, settings, make_contract, answer):
    left = server.inbox / "省" / "outbox" / "税务" / f".{answer().name}.part"
    left.mkdir(parents=True)
    (left / "需更正.csv").write_text("half and longer than the whole file will ever be, by far")
    hand_over(Home(settings), given(make_contract), answer())
    folder = left.with_name(answer().name)
    assert not left.exists()
    assert (folder / "需更正.csv").read_bytes() == "行号\r\n3\r\n".encode()


def test_a_drop_at_the_connections_own_folder_is_answered_beside(server, settings, make_contract, answer):
    told = hand_over(Home(settings), given(make_contract, folder="."), answer())
    assert told == "连接“tax”的 outbox/tax_arrears/处罚.csv-反馈-6bbec143-1"
    assert under(server.inbox) == []
    assert len(under(server.folder / "outbox" / "tax_arrears")) == 3


def test_an_unwritable_place_is_reported_and_tried_again(server, settings, make_contract, answer):
    (server.inbox / "省").mkdir()
    (server.inbox / "省" / "outbox").write_text("a file where the folder should be")
    with pytest.raises(SourceUnavailable, match="写入目录“省/outbox/税务”失败") as told:
        hand_over(Home(settings), given(make_contract), answer())
    assert "127.0.0.1" not in str(told.value)
    (server.inbox / "省" / "outbox").unlink()
    hand_over(Home(settings), given(make_contract), answer())


@pytest.mark.slow
def test_lays_the_answer_beside_the_drop_in_an_object_store(bucket, settings, make_contract, answer):
    contract = given(make_contract)
    told = hand_over(Home(settings), contract, answer())
    assert told == "连接“tax”的 省/outbox/税务/处罚.csv-反馈-6bbec143-1"
    folder = "in/省/outbox/税务/处罚.csv-反馈-6bbec143-1"
    assert sorted(listing(bucket)) == sorted(f"{folder}/{n}" for n in answer().files)
    bucket.put(f"{folder[3:]}/需更正.csv", b"changed by them")
    hand_over(Home(settings), contract, answer())
    assert listing(bucket)[f"{folder}/需更正.csv"] == b"changed by them"
    hand_over(Home(settings), contract, answer(1))
    assert len(listing(bucket)) == 6


def test_a_whole_bucket_as_drop_has_no_side_for_answers(bucket, settings, make_contract, answer, monkeypatch):
    monkeypatch.setenv("CHENGXIN_CONN_TAX", bucket.url().replace("/in?", "?"))
    with pytest.raises(ContractError, match=r"local: true"):
        hand_over(Home(settings), given(make_contract, folder="."), answer())


def test_answers_stay_here_where_the_contract_says_so(bucket, settings, make_contract, answer):
    told = hand_over(Home(settings), given(make_contract, local=True), answer())
    assert told == "发件箱 省/税务/处罚.csv-反馈-6bbec143-1"
    assert listing(bucket) == {}
    assert len(under(settings.home / "outbox")) == 3


@pytest.mark.parametrize("wanted", ["..", "../税务", "../../../x"])
def test_an_answer_never_leaves_the_outbox(server, settings, make_contract, answer, wanted):
    contract = given(make_contract)
    contract = contract.model_copy(update={"feedback": contract.feedback.model_copy(update={"folder": wanted})})
    with pytest.raises(SourceUnavailable, match="发件箱之外"):
        hand_over(Home(settings), contract, answer())
    with pytest.raises(SourceUnavailable, match="之外"):
        hand_over(Home(settings), given(make_contract, folder="../.."), answer())
    assert under(server.inbox) == []
