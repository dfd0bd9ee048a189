"""Secrets come from a variable, a file, or a folder of credentials; one that is missing does not pass for none."""

import pytest

from chengxin.connectors.base import connection_url
from chengxin.errors import SourceUnavailable
from chengxin.settings import Settings, secret


def test_the_variable_wins_over_its_file_and_the_file_over_the_folder(tmp_path):
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


def test_a_connection_may_lie_in_a_file_and_a_missing_one_is_named(tmp_path):
    (tmp_path / "url").write_text("https://user:word@example.invalid/api\n")
    assert connection_url("tax_api", {"CHENGXIN_CONN_TAX_API_FILE": str(tmp_path / "url")}).endswith("/api")
    with pytest.raises(SourceUnavailable, match="CHENGXIN_CONN_TAX_API"):
        connection_url("tax_api", {"CHENGXIN_CONN_TAX_API_FILE": str(tmp_path / "none")})
