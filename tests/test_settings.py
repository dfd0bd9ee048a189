"""Secrets come from a variable, a file, or a folder of credentials; one that is missing does not pass for none."""

from datetime import timedelta

import pytest

from chengxin.connectors.base import connection_url
from chengxin.errors import ContractError, SourceUnavailable
from chengxin.settings import Approval, Limits, Retention, Settings, secret


def test_a_variable_precedes_its_file_and_the_file_the_folder(tmp_path):
    (tmp_path / "file").write_text("from-file\n")
    (tmp_path / "KEY").write_text("from-folder\n")
    folder = {"CHENGXIN_CREDENTIALS": str(tmp_path)}
    named = {"KEY_FILE": str(tmp_path / "file")}
    assert secret("KEY", {"KEY": "given", **named, **folder}) == "given"
    assert secret("KEY", named | folder) == "from-file"
    assert secret("KEY", folder) == "from-folder"
    assert secret("OTHER", folder) is None
    assert secret("KEY", {"KEY": "  "}) is None


def test_a_file_that_is_named_and_missing_is_no_empty_secret(tmp_path):
    with pytest.raises(OSError, match="CHENGXIN_TOKEN_KEY"):
        Settings.from_environment(env={"CHENGXIN_TOKEN_KEY_FILE": str(tmp_path / "none")})


def test_the_key_of_the_open_tier_may_lie_in_a_file(tmp_path):
    (tmp_path / "key").write_text("geheim\n")
    made = Settings.from_environment(env={"CHENGXIN_TOKEN_KEY_FILE": str(tmp_path / "key")})
    assert made.token_key == b"geheim"
    assert "geheim" not in repr(made)


def test_a_connection_may_be_in_a_file_a_missing_one_is_named(tmp_path):
    (tmp_path / "url").write_text("https://user:word@example.invalid/api\n")
    assert connection_url("tax_api", {"CHENGXIN_CONN_TAX_API_FILE": str(tmp_path / "url")}).endswith("/api")
    with pytest.raises(SourceUnavailable, match="CHENGXIN_CONN_TAX_API"):
        connection_url("tax_api", {"CHENGXIN_CONN_TAX_API_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("name", "text"),
    [("WORKERS", "many"), ("TRIES", "0"), ("NOW", "2026-11-23T08:00:00"), ("KEEP_DAYS", "-1"), ("RETRY_SECONDS", "x")],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(name, text):
    with pytest.raises(ContractError, match=f"CHENGXIN_{name} .*{text}"):
        Settings.from_environment(env={f"CHENGXIN_{name}": text})


def test_a_secret_is_read_when_it_is_needed(tmp_path):
    made = Settings.from_environment(env={"CHENGXIN_ALERTS_SMTP_FILE": str(tmp_path / "none")})
    with pytest.raises(OSError, match="CHENGXIN_ALERTS_SMTP"):
        made.alerts.smtp.read()


def test_every_default_is_what_an_empty_environment_gives():
    made = Settings.from_environment(env={})
    assert (made.limits, made.retention, made.approval) == (Limits(), Retention(), Approval())
    assert (made.alerts.channels, made.alerts.remind_after, made.tries) == (("log",), timedelta(days=7), 3)
