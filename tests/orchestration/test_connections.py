"""Connections that Airflow keeps, as connectors read them."""

import json
import os

import pytest
from airflow.sdk import Connection
from airflow.sdk._shared.secrets_masker import redact

from chengxin.connectors.database.session import Limits, reading
from chengxin.connectors.files.places import Address
from chengxin.contracts.models import Contract
from chengxin.errors import SourceUnavailable
from chengxin.orchestration.connections import provide, variables


def contract(**delivery) -> Contract:
    return Contract.model_validate(
        {
            "format": 1, "id": "tax_arrears", "title": "欠税公告", "department": {"code": "T-1", "name": "测试"},
            "domain": "tax", "kind": "tax_arrears", "basis": {"legal": "测试", "share": "无条件"},
            "delivery": delivery, "columns": [{"source": "名称", "element": "subject_name"}],
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"conn_type": "postgres", "host": "db.example", "port": 5432, "schema": "staging", "login": "reader",
             "password": "p@ss/1", "extra": json.dumps({"sslmode": "verify-full"})},
            {"": "postgresql://reader:p%40ss%2F1@db.example:5432/staging?sslmode=verify-full"},
        ),
        (
            {"conn_type": "http", "host": "https://api.example/gateway", "port": 8443, "login": "u", "password": "p",
             "extra": json.dumps({"key": "K", "secret": "S", "timeout": 5})},
            {"": "https://u:p@api.example:8443/gateway", "_KEY": "K", "_SECRET": "S"},
        ),
        ({"conn_type": "http", "host": "api.example", "schema": "https"}, {"": "https://api.example"}),
        (
            {"conn_type": "sftp", "host": "files.example", "schema": "exchange", "login": "tax", "password": "p",
             "extra": json.dumps({"fingerprint": "SHA256:a+b/c"})},
            {"": "sftp://tax:p@files.example/exchange?fingerprint=SHA256%3Aa%2Bb%2Fc"},
        ),
        (
            {"conn_type": "aws", "login": "AK", "password": "S/K", "schema": "bucket/in",
             "extra": json.dumps({"endpoint_url": "https://s3.example", "region_name": "cn"})},
            {"": "s3://AK:S%2FK@bucket/in?endpoint=https%3A%2F%2Fs3.example&region=cn"},
        ),
        ({"conn_type": "generic", "extra": json.dumps({"url": "dm+dmPython://u:p@h/db"})}, {"": "dm+dmPython://u:p@h/db"}),
    ],
)  # fmt: skip
def test_an_airflow_connection_reads_as_ours(given, expected):
    assert variables(Connection(conn_id="x", **given)) == expected


def test_what_is_escaped_for_a_url_comes_out_again(monkeypatch):
    made = Connection(conn_id="x", conn_type="sftp", host="h", login="a@b", password="p:/?#%",
                      extra=json.dumps({"fingerprint": "SHA256:a+b/c="}))  # fmt: skip
    monkeypatch.setenv("CHENGXIN_CONN_X", variables(made)[""])
    address = Address.of("x")
    assert (address.user, address.password, address.query) == ("a@b", "p:/?#%", {"fingerprint": "SHA256:a+b/c="})


@pytest.fixture
def staging(tmp_path, monkeypatch):
    (tmp_path / "staging.db").touch()
    monkeypatch.setenv(
        "AIRFLOW_CONN_STAGING", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "staging.db")})
    )
    monkeypatch.delenv("CHENGXIN_CONN_STAGING", raising=False)
    yield contract(connector="database", options={"connection": "staging", "table": "t"})
    os.environ.pop("CHENGXIN_CONN_STAGING", None)


def test_a_contract_finds_a_connection_of_airflow_by_its_name(staging):
    with pytest.raises(SourceUnavailable, match="CHENGXIN_CONN_STAGING"), reading("staging", "t", Limits()):
        pass
    provide(staging)
    with reading("staging", "t", Limits()) as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_the_variable_of_our_own_goes_first(staging, monkeypatch):
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", "sqlite:///elsewhere.db")
    provide(staging)
    assert os.environ["CHENGXIN_CONN_STAGING"] == "sqlite:///elsewhere.db"


def test_a_file_of_our_own_goes_before_a_connection_of_airflow(staging, monkeypatch, tmp_path):
    (tmp_path / "CHENGXIN_CONN_STAGING").write_text("sqlite:///elsewhere.db")
    monkeypatch.setenv("CHENGXIN_CREDENTIALS", str(tmp_path))
    provide(staging)
    assert "CHENGXIN_CONN_STAGING" not in os.environ


def test_an_unreadable_file_is_reported_by_its_connector(staging, monkeypatch, tmp_path):
    monkeypatch.setenv("CHENGXIN_CONN_STAGING_FILE", str(tmp_path / "nowhere"))
    provide(staging)
    with pytest.raises(SourceUnavailable, match="读不到"), reading("staging", "t", Limits()):
        pass


def test_airflow_hides_our_secrets_in_logs(staging, monkeypatch):
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", "postgresql://reader:p%40ss-word@db/x")
    monkeypatch.setenv("CHENGXIN_CONN_STAGING_SECRET", "s3cret-of-tests")
    provide(staging)
    said = redact("postgresql://reader:p%40ss-word@db/x refused p@ss-word and s3cret-of-tests")
    assert said == "postgresql://reader:***@db/x refused *** and ***"
