"""A drop folder on a real OpenSSH server: login, host key, names, a connection that is cut."""

import os
import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from chengxin.clock import Clock
from chengxin.connectors import landing
from chengxin.connectors.files.connector import FileDrop
from chengxin.errors import DeliveryCorrupt, SourceUnavailable
from chengxin.home import Home
from file_servers import PASSWORD, Sftp, Wire, sftp

CLOCK = Clock(datetime(2026, 11, 23, 8, tzinfo=UTC))
DAY = 1_790_000_000
CONNECTION = "CHENGXIN_CONN_TAX_SFTP"


@pytest.fixture(scope="module")
def running() -> Iterator[Sftp]:
    with sftp() as server:
        if server is None:
            pytest.skip("OpenSSH is not installed")
        yield server


@pytest.fixture
def server(running, monkeypatch) -> Iterator[Sftp]:
    shutil.rmtree(running.inbox)
    running.inbox.mkdir()
    monkeypatch.setenv(CONNECTION, running.url())
    yield running


@pytest.fixture
def wire(server, monkeypatch) -> Iterator[Wire]:
    relay = Wire(server.port)
    monkeypatch.setenv(CONNECTION, server.url(port=relay.port))
    yield relay
    relay.close()


@pytest.fixture
def contract(make_contract):
    def make(**options):
        return make_contract(connection="tax_sftp", folder="税务", **options)

    return make


def put(server: Sftp, name: str | bytes, data: bytes = b"x", at: float = DAY) -> None:
    folder = os.fsencode(server.inbox / "税务")
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    path = os.path.join(folder, os.fsencode(name))  # noqa: PTH118
    with open(path, "wb") as out:  # noqa: PTH123
        out.write(data)
    os.utime(path, (at, at))


def land_all(contract, settings):
    return [landing.land(Home(settings, CLOCK), contract, d) for d in landing.offered(Home(settings), contract)]


def refusal(contract, settings) -> str:
    with pytest.raises(SourceUnavailable) as told:
        FileDrop().discover(Home(settings), contract)
    for secret in (PASSWORD, "sftp://", "127.0.0.1", "user@"):
        assert secret not in str(told.value)
    return str(told.value)


def test_lands_what_lies_there_with_a_key(server, settings, contract):
    data = random.Random(1).randbytes(3 << 20)
    put(server, "欠税公告_2026.csv", data)
    put(server, "欠税公告_2027.csv.filepart")
    put(server, "欠税公告_2027.csv.tmp")
    (server.inbox / "税务" / "link.csv").symlink_to("/etc/passwd")
    [batch] = land_all(contract(), settings)
    assert landing.payload(Home(settings), batch)[0].read_bytes() == data
    assert batch.origin == "file_drop:tax_sftp/税务/欠税公告_2026.csv"
    assert batch.as_of.timestamp() == DAY
    receipt = (settings.home / "landing/tax_arrears" / batch.batch_id / "receipt.json").read_text("utf-8")
    assert str(server.inbox) not in receipt
    assert landing.offered(Home(settings), contract()) == []


def test_logs_in_with_a_password(server, settings, contract, monkeypatch):
    if not server.has_password:
        pytest.skip("a password of the test's own needs root")
    put(server, "a.csv")
    monkeypatch.setenv(CONNECTION, server.url(password=PASSWORD))
    assert len(land_all(contract(), settings)) == 1
    monkeypatch.setenv(CONNECTION, server.url(password="wrong"))
    assert "不被接受" in refusal(contract(), settings)


def test_names_made_on_a_gbk_system_are_read(server, settings, contract):
    put(server, "行政处罚.csv".encode("gbk"), b"12")
    [batch] = land_all(contract(pattern="行政*.csv"), settings)
    assert [f.name for f in batch.files] == ["行政处罚.csv"]
    assert landing.payload(Home(settings), batch)[0].read_bytes() == b"12"


def test_searches_subfolders_only_when_the_pattern_says_so(server, settings, contract):
    put(server, "a.csv")
    (server.inbox / "税务" / "430100").mkdir()
    put(server, "430100/b.csv")
    found = [[d.name for d in FileDrop().discover(Home(settings), contract(pattern=p))] for p in ("*", "4301*/*.csv")]
    assert found == [["a.csv"], ["430100/b.csv"]]


@pytest.mark.usefixtures("server")
def test_a_folder_that_does_not_exist_yet_is_empty(settings, contract):
    assert FileDrop().discover(Home(settings), contract()) == []


@pytest.mark.usefixtures("server")
def test_never_leaves_the_folder_of_the_connection(settings, make_contract):
    with pytest.raises(SourceUnavailable, match="之外"):
        FileDrop().discover(Home(settings), make_contract(connection="tax_sftp", folder="../.."))


def test_a_server_of_which_no_key_is_registered_is_refused(server, settings, contract, monkeypatch):
    monkeypatch.setenv(CONNECTION, server.url(fingerprint="", known_hosts=""))
    assert "没有登记服务器主机密钥" in refusal(contract(), settings)
    (server.folder / "empty").write_text("")
    monkeypatch.setenv(CONNECTION, server.url(known_hosts=server.folder / "empty"))
    said = refusal(contract(), settings)
    assert server.fingerprint in said
    assert "没有登记" in said


def test_known_hosts_lets_the_right_server_in_and_a_changed_one_not(server, settings, contract, monkeypatch):
    put(server, "a.csv")
    monkeypatch.setenv(CONNECTION, server.url(known_hosts=server.known_hosts()))
    assert len(FileDrop().discover(Home(settings), contract())) == 1
    monkeypatch.setenv(CONNECTION, server.url(known_hosts=server.known_hosts(key="other.pub")))
    assert "冒充" in refusal(contract(), settings)
    monkeypatch.setenv(CONNECTION, server.url(fingerprint="SHA256:" + "A" * 43))
    assert "冒充" in refusal(contract(), settings)


def test_a_server_that_is_gone_is_a_matter_of_trying_again(server, settings, contract, monkeypatch):
    monkeypatch.setenv(CONNECTION, server.url(port=1))
    assert "没有应答" in refusal(contract(), settings)
    monkeypatch.setenv(CONNECTION, "ftp://user@host.example/x")
    with pytest.raises(SourceUnavailable, match="sftp://"):
        FileDrop().discover(Home(settings), contract())


def test_a_connection_cut_in_the_middle_goes_on_and_lands_every_byte(server, wire, settings, contract):
    data = random.Random(2).randbytes(6 << 20)
    put(server, "a.csv", data)
    [delivery] = landing.offered(Home(settings), contract())
    wire.cut_after, wire.cuts, made = 3 << 20, 1, wire.made
    batch = landing.land(Home(settings, CLOCK), contract(), delivery)
    assert landing.payload(Home(settings), batch)[0].read_bytes() == data
    assert wire.made - made == 2


def test_a_connection_that_is_always_cut_lands_nothing(server, wire, settings, contract):
    put(server, "a.csv", random.Random(3).randbytes(6 << 20))
    [delivery] = landing.offered(Home(settings), contract())
    wire.cut_after, wire.cuts = 1 << 20, 99
    with pytest.raises(SourceUnavailable, match="中断"):
        landing.land(Home(settings, CLOCK), contract(), delivery)
    assert [p for p in (settings.home / "landing").rglob("*") if p.is_file()] == []
    wire.cuts = 0
    assert len(land_all(contract(), settings)) == 1


def test_a_file_that_changed_since_it_was_found_is_refused(server, settings, contract):
    put(server, "a.csv", b"half")
    [delivery] = landing.offered(Home(settings), contract())
    put(server, "a.csv", b"half and more")
    with pytest.raises(DeliveryCorrupt, match="被改动"):
        landing.land(Home(settings, CLOCK), contract(), delivery)


def test_an_upload_is_left_alone_until_it_has_stood_still(server, settings, contract):
    put(server, "a.csv", at=datetime.now(UTC).timestamp())
    assert FileDrop().discover(Home(settings), contract()) == []
    put(server, "a.csv", at=datetime.now(UTC).timestamp() - 120)
    assert len(FileDrop().discover(Home(settings), contract())) == 1
    assert FileDrop().discover(Home(settings), contract(complete={"stable": 600})) == []


def test_a_manifest_and_several_files_work_as_in_a_local_folder(server, settings, contract):
    made = contract(pattern="欠税_{date}_{part}.csv", complete={"manifest": "清单_{date}.csv"})
    put(server, "欠税_20260301_A.csv", b"1")
    put(server, "欠税_20260301_B.csv", b"22")
    assert landing.offered(Home(settings), made) == []
    put(server, "清单_20260301.csv", "文件名,大小\n欠税_20260301_A.csv,1\n欠税_20260301_B.csv,2\n".encode("gbk"))
    [batch] = land_all(made, settings)
    assert [(f.name, f.size) for f in batch.files] == [("欠税_20260301_A.csv", 1), ("欠税_20260301_B.csv", 2)]
