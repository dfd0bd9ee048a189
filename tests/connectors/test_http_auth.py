"""Signed requests, OAuth2, certificates: checked by a server that computes the same from the documentation alone."""

import base64
import hashlib
import hmac
import json
import ssl
import traceback
from urllib.parse import parse_qsl

import pytest
import trustme

from chengxin.connectors.http.auth import Auth, Request, canonical, parameter_sign
from chengxin.connectors.http.session import HttpConnection, HttpSession
from chengxin.errors import SourceUnavailable
from http_sources import ROWS, Desk, page_of, paged
from servers import Answer, Asked, rows_answer

pytestmark = pytest.mark.server
KEY, SECRET = "app-1", "s3cret-of-ours"


@pytest.fixture
def keyed(desk: Desk) -> Desk:
    desk.set_variable("CHENGXIN_CONN_TAX_API_KEY", KEY)
    desk.set_variable("CHENGXIN_CONN_TAX_API_SECRET", SECRET)
    return desk


def checked(asked: Asked, digest: str) -> bool:
    """Check the header signature as docs/sources/http.md describes it."""
    query = "&".join(sorted(asked.query_string.split("&"))) if asked.query_string else ""
    h = {name.lower(): value for name, value in asked.headers.items()}
    body = hashlib.sha256(asked.body).hexdigest()
    text = "\n".join([asked.method, asked.path, query, h["x-timestamp"], h["x-nonce"], body])
    return h["x-app-key"] == KEY and hmac.new(SECRET.encode(), text.encode(), digest).hexdigest() == h["x-signature"]


@pytest.mark.parametrize("digest", ["sha256", "sm3"])
@pytest.mark.parametrize("post", [False, True])
def test_signs_the_whole_request_in_headers(keyed: Desk, digest, post):
    if digest not in hashlib.algorithms_available:
        pytest.skip("this OpenSSL has no SM3")
    nonces = []

    def behave(asked: Asked) -> Answer:
        nonces.append(asked.headers.get("X-Nonce"))
        if not checked(asked, digest):
            return Answer(status=401)
        if post:
            start = (asked.json["page"] - 1) * 10
            return rows_answer(ROWS[start : start + 10], 25)
        return page_of(ROWS, asked)

    keyed.serve(behave)
    how = {"method": "POST", "send": "json"} if post else {}
    contract = keyed.contract(auth={"kind": "hmac", "digest": digest}, query={"地区": "长沙 市/+&="}, **how)
    [batch] = keyed.pull(contract)
    assert keyed.rows(batch) == ROWS
    assert len(set(nonces)) == 3


@pytest.mark.parametrize("style", ["hmac", "wrapped", "suffix"])
def test_signs_parameters_as_the_platforms_do(keyed: Desk, style):
    def behave(asked: Asked) -> Answer:
        pairs = sorted((k, v) for k, v in parse_qsl(asked.query_string) if k != "sign")
        amp, flat = "&".join(f"{k}={v}" for k, v in pairs), "".join(k + v for k, v in pairs)
        wanted = {
            "hmac": hmac.new(SECRET.encode(), amp.encode(), "sha256").hexdigest(),
            "wrapped": hashlib.sha256(f"{SECRET}{flat}{SECRET}".encode()).hexdigest(),
            "suffix": hashlib.sha256(f"{amp}&key={SECRET}".encode()).hexdigest(),
        }[style].upper()
        is_ours = (
            asked.query["sign"] == wanted and asked.query["app_key"] == KEY and len(asked.query["timestamp"]) == 19
        )
        return page_of(ROWS, asked) if is_ours else Answer(b'{"code": "40001", "msg": "bad sign"}')

    keyed.serve(behave)
    auth = {"kind": "sign", "style": style, "encoding": "HEX", "timestamp": "datetime", "nonce_name": ""}
    [batch] = keyed.pull(keyed.contract(auth=auth, query={"q": "长沙", "empty": ""}, code="code", code_ok=[""]))
    assert keyed.rows(batch) == ROWS


def test_signatures_of_known_requests_never_change():
    request = Request("POST", "v1/rows", (("b", "2"), ("a", "长 沙")), {}, b"{}")
    assert canonical(request, "/api/", "1700000000000", "n1") == (
        "POST\n/api/v1/rows\na=%E9%95%BF%20%E6%B2%99&b=2\n1700000000000\nn1\n"
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )
    known = base64.b64encode(hashlib.sha256(b"k" + b"a1b2" + b"body" + b"k").digest()).decode()
    auth = Auth(kind="sign", style="wrapped", encoding="base64")
    assert parameter_sign(auth, "k", [("b", "2"), ("a", "1"), ("c", "")], b"body") == known


def token_server(grants: list[str], refuse: set[str]):
    def behave(asked: Asked) -> Answer:
        if asked.path.endswith("/oauth/token"):
            basic = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
            is_ours = asked.headers["Authorization"] == f"Basic {basic}"
            if not is_ours or b"grant_type=client_credentials" not in asked.body:
                return Answer(status=401)
            grants.append(f"t{len(grants)}")
            return Answer(json.dumps({"access_token": grants[-1], "token_type": "Bearer"}).encode())
        token = asked.headers["Authorization"].removeprefix("Bearer ")
        if token in refuse or token not in grants:
            return Answer(status=401)
        if asked.query["page"] == "2":
            refuse.add("t0")
        return page_of(ROWS, asked)

    return behave


def test_fetches_an_oauth2_token_and_another_when_it_has_run_out(keyed: Desk):
    grants: list[str] = []
    keyed.serve(token_server(grants, set()))
    [batch] = keyed.pull(keyed.contract(auth={"kind": "oauth2", "scope": "read"}))
    assert keyed.rows(batch) == ROWS
    # One for discovery, one for the pages, one after t0 ... was refused in between.
    assert 2 <= len(grants) <= 3


def test_a_token_that_runs_out_is_renewed_before_it_is_refused(keyed: Desk):
    grants: list[str] = []

    def behave(asked: Asked) -> Answer:
        if asked.path.endswith("/oauth/token"):
            grants.append(f"t{len(grants)}")
            return Answer(json.dumps({"access_token": grants[-1], "expires_in": 50}).encode())  # and no token_type
        assert asked.headers["Authorization"] == f"Bearer {grants[-1]}"
        return page_of(ROWS, asked)

    keyed.serve(behave)
    [batch] = keyed.pull(keyed.contract(auth={"kind": "oauth2"}))
    assert keyed.rows(batch) == ROWS
    assert len(grants) == 3  # one a page


@pytest.mark.parametrize("answer", [b'{"error": "invalid_client"}', b'{"token": "x"}', b"<html>", b"[]"])
def test_an_answer_without_a_token_is_named_without_its_text(keyed: Desk, answer):
    keyed.serve(lambda asked: Answer(answer))
    with pytest.raises(SourceUnavailable, match=r"tax_api.*令牌服务") as failure:
        keyed.pull(keyed.contract(auth={"kind": "oauth2"}))
    assert "invalid_client" not in str(failure.value)


def test_a_refused_client_is_named_without_its_secret(keyed: Desk):
    keyed.set_variable("CHENGXIN_CONN_TAX_API_SECRET", "wrong-secret")
    keyed.serve(token_server([], set()))
    with pytest.raises(SourceUnavailable, match=r"tax_api.*令牌服务.*401") as failure:
        keyed.pull(keyed.contract(auth={"kind": "oauth2"}))
    assert "wrong-secret" not in "".join(traceback.format_exception(failure.value))


def test_a_missing_secret_is_named(desk: Desk):
    desk.serve(paged(ROWS))
    with pytest.raises(SourceUnavailable, match="CHENGXIN_CONN_TAX_API_KEY"):
        desk.pull(desk.contract(auth={"kind": "hmac"}))


def test_no_secret_stays_in_a_receipt_a_pull_or_an_error(keyed: Desk):
    server = keyed.serve(paged(ROWS))
    contract = keyed.contract(auth={"kind": "sign"}, query_env={"token": "TAX_TOKEN"})
    keyed.set_variable("TAX_TOKEN", "t0ken-of-ours")
    keyed.pull(contract)
    assert server.asked[0].query["token"] == "t0ken-of-ours"
    server.close()
    with pytest.raises(SourceUnavailable) as failure:
        keyed.pull(contract)
    texts = [p.read_text("utf-8") for p in keyed.settings.home.rglob("*") if p.is_file() and p.suffix]
    for text in [*texts, "".join(traceback.format_exception(failure.value))]:
        assert not any(secret in text for secret in (KEY, SECRET, "t0ken", "sign="))


@pytest.fixture
def authority(desk: Desk, tmp_path):
    """Give a certificate authority that the connection trusts, and write what it issues for clients."""
    ca, folder = trustme.CA(), tmp_path / "tls"
    folder.mkdir()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    desk.set_variable("CHENGXIN_CONN_TAX_API_CA", str(folder / "ca.pem"))
    issued = ca.issue_cert("client@example.org")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return ca, folder


def server_side(ca: trustme.CA, host: str = "127.0.0.1", *, mutual: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(host).configure_cert(context)
    if mutual:
        ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize("files", [("client.pem", None), ("cert.pem", "key.pem")])
def test_shows_its_certificate(desk: Desk, authority, files):
    ca, folder = authority
    for variable, name in zip(("CERT", "CERT_KEY"), files, strict=True):
        if name:
            desk.set_variable(f"CHENGXIN_CONN_TAX_API_{variable}", str(folder / name))
    desk.serve(paged(ROWS), tls=server_side(ca))
    [batch] = desk.pull(desk.contract())
    assert desk.rows(batch) == ROWS


def test_without_a_certificate_the_handshake_fails_in_words(desk: Desk, authority):
    ca, _ = authority
    server = desk.serve(paged(ROWS), tls=server_side(ca))
    with pytest.raises(SourceUnavailable, match="tax_api"):
        desk.pull(desk.contract())
    assert server.asked == []


def test_a_wrong_key_is_named_and_never_asked_for_at_a_terminal(desk: Desk, authority):
    ca, folder = authority
    ca.issue_cert("other@example.org").private_key_pem.write_to_path(folder / "key.pem")
    desk.set_variable("CHENGXIN_CONN_TAX_API_CERT", str(folder / "cert.pem"))
    desk.set_variable("CHENGXIN_CONN_TAX_API_CERT_KEY", str(folder / "key.pem"))
    desk.serve(paged(ROWS), tls=server_side(ca))
    with pytest.raises(SourceUnavailable, match="客户端证书或私钥"):
        desk.pull(desk.contract())


@pytest.mark.parametrize("case", ["other authority", "other host"])
def test_the_server_is_verified_also_when_we_show_a_certificate(desk: Desk, authority, case):
    ca, folder = authority
    desk.set_variable("CHENGXIN_CONN_TAX_API_CERT", str(folder / "client.pem"))
    tls = server_side(trustme.CA(), mutual=False) if case == "other authority" else server_side(ca, "example.org")
    server = desk.serve(paged(ROWS), tls=tls)
    with pytest.raises(SourceUnavailable, match="证书无法验证"):
        desk.pull(desk.contract())
    assert server.asked == []


def test_posts_json_and_files_by_the_same_rules(keyed: Desk, tmp_path):
    answers = [Answer(status=503, headers={"Retry-After": "0"}), Answer(status=202), Answer(status=201)]

    def behave(asked: Asked) -> Answer:
        return answers.pop(0) if checked(asked, "sha256") else Answer(status=401)

    server = keyed.serve(behave)
    file = tmp_path / "回执.csv"
    file.write_text("主键,原因\n", "utf-8")
    with HttpSession(HttpConnection(connection="tax_api", auth=Auth(kind="hmac"), backoff_seconds=0)) as session:
        reply = session.post_json("feedback", {"批次": "b1"}, headers={"Idempotency-Key": "b1"})
        assert (reply.status, session.post_file("feedback/file", file, fields={"batch": "b1"}).status) == (202, 201)
    assert [a.method for a in server.asked] == ["POST"] * 3
    assert server.asked[1].json == {"批次": "b1"}
    assert server.asked[1].headers["Idempotency-Key"] == "b1"
    assert file.read_bytes() in server.asked[2].body
    assert server.asked[2].headers["Content-Type"].startswith("multipart/form-data")


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_post_is_never_turned_into_a_get(desk: Desk, status):
    server = desk.serve(lambda asked: Answer(status=status, headers={"Location": "/api/elsewhere"}))
    with HttpSession(HttpConnection(connection="tax_api")) as session, pytest.raises(SourceUnavailable, match="跳转"):
        session.post_json("feedback", {})
    assert len(server.asked) == 1
