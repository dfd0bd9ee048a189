"""No credential stands in a contract, and no message repeats one that does."""

import pytest
from pydantic import ValidationError

from chengxin.connectors.base import connection_url, read_options
from chengxin.connectors.database.connector import DatabaseOptions
from chengxin.connectors.http.options import HttpApiOptions
from chengxin.contracts.models import Contract
from chengxin.contracts.secrets import secrets
from chengxin.errors import ContractError

HIDDEN = "hunter2-geheim"
API = {"connection": "desk", "path": "list", "first_page": 1}
SOAP = {"method": "POST", "send": "body"}


def contract(connector: str, options: dict, feedback: dict | None = None) -> Contract:
    return Contract.model_validate(
        {
            "format": 1, "id": "tax_arrears", "title": "欠税公告", "department": {"code": "T-1", "name": "测试"},
            "domain": "tax", "kind": "tax_arrears", "basis": {"legal": "测试", "share": "无条件"},
            "delivery": {"connector": connector, "options": options}, "feedback": feedback or {},
            "columns": [{"source": "名称", "element": "subject_name"}],
        }
    )  # fmt: skip


BAD_API = [
    {"path": f"list?token={HIDDEN}"},
    {"path": f"list?page=1&app_key={HIDDEN}"},
    {"query": {"access_token": HIDDEN}},
    {"query": {"callback": f"https://user:{HIDDEN}@example.com/"}},
    {"headers": {"X-Auth": f"Bearer {HIDDEN}"}},
    {**SOAP, "body": f'{{"token": "{HIDDEN}", "page": ${{page}}}}'},
    {**SOAP, "body": f"<q><wsse:Password Type='x'>{HIDDEN}</wsse:Password></q>"},
    {**SOAP, "body": f"user=a&password={HIDDEN}"},
]


@pytest.mark.parametrize("options", BAD_API)
def test_a_credential_in_options_is_refused_and_not_repeated(options):
    bad = contract("http_api", API | options)
    (told,) = secrets(bad)
    assert "不得写入合同" in told and HIDDEN not in told
    with pytest.raises(ContractError, match="不得写入合同") as refused:
        read_options(HttpApiOptions, bad)
    assert HIDDEN not in str(refused.value)


@pytest.mark.parametrize(
    ("connector", "options"),
    [
        ("database", {"connection": f"postgresql://reader:{HIDDEN}@host/db", "table": "t"}),
        ("http_api", {"connection": f"https://u:{HIDDEN}@host"}),
        ("file_drop", {"connection": f"sftp://u:{HIDDEN}@host/in", "folder": "x"}),
    ],
)
def test_an_address_as_connection_is_refused_and_not_repeated(connector, options):
    (told,) = secrets(contract(connector, options))
    assert told.startswith("delivery.options.connection") and HIDDEN not in told
    with pytest.raises(ContractError) as refused:
        connection_url(options["connection"], {})
    assert HIDDEN not in str(refused.value)


@pytest.mark.parametrize(
    "feedback",
    [
        {"to": "post", "path": f"back?token={HIDDEN}"},
        {"to": "post", "connection": f"https://u:{HIDDEN}@host/"},
        {"to": "post", "options": {"headers": {"X-Token": HIDDEN}}},
        {"to": "table", "connection": f"mysql://u:{HIDDEN}@host/db"},
    ],
)
def test_a_credential_in_the_answer_is_refused_and_not_repeated(feedback):
    found = list(secrets(contract("file_drop", {"connection": "drop"}, feedback)))
    assert len(found) == 1 and found[0].startswith("feedback.") and HIDDEN not in found[0]


@pytest.mark.parametrize(
    "options",
    [
        {"auth": {"kind": "sign", "sign_name": "signature", "key_name": "appKey"}, "query": {"signDate": "2026"}},
        {"headers_env": {"X-Token": "TAX_TOKEN"}, "query_env": {"access_token": "TAX_TOKEN"}},
        {**SOAP, "body_env": {"token": "T"}, "body": '{"token": "${token}", "pageNo": ${page}, "sign": ""}'},
        {**SOAP, "body_env": {"t": "T"}, "body": "<q><token>${t}</token><designs>5</designs><n>${page}</n></q>"},
        {"paging": "cursor", "cursor_param": "pageToken", "next": "data.nextToken"},
        {"headers": {"SOAPAction": '"urn:sgs#query"'}, "path": "v2/tokens/list?assign=1"},
    ],
)
def test_names_of_secrets_and_of_their_places_are_allowed(options):
    good = contract("http_api", API | options)
    read_options(HttpApiOptions, good)
    assert list(secrets(good)) == []


def test_options_that_do_not_fit_are_told_without_their_values():
    with pytest.raises(ContractError) as refused:
        read_options(DatabaseOptions, contract("database", {"connection": "x", "table": "t", "chunk": HIDDEN}))
    assert HIDDEN not in str(refused.value)
    with pytest.raises(ValidationError):
        HttpApiOptions.model_validate(API | {"query": {"pwd": "x"}})


@pytest.mark.parametrize("options", [{"query": {"p": "Passw0rd!2026"}}, {"headers": {"X-Api": "9f8e7d6c5b4a3928" * 2}}])
def test_a_value_like_a_credential_is_refused_under_any_name(options):
    (told,) = secrets(contract("http_api", API | options))
    assert "不得写入合同" in told
    assert "Passw0rd" not in told and "9f8e" not in told


def test_a_resource_number_in_a_query_is_no_credential():
    options = {
        "query": {"resource": "9f8e7d6c5b4a3928" * 2, "area": "430000"},
        "headers": {"Accept": "application/json"},
    }
    assert list(secrets(contract("http_api", API | options))) == []
