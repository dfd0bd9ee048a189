import contextlib
import json
import socket
import ssl
import subprocess
import threading
import traceback
from datetime import UTC, datetime

import pytest

from chengxin.clock import Clock
from chengxin.connectors import landing
from chengxin.connectors.http.connector import HttpApi
from chengxin.errors import DeliveryCorrupt, SourceUnavailable
from chengxin.home import Home
from servers import Answer, Api, rows_answer

pytestmark = pytest.mark.server
CLOCK = Clock(datetime(2026, 11, 23, 8, tzinfo=UTC))
FAST = {"backoff_seconds": 0.01, "attempts": 3, "timeout_seconds": 0.5}
ROWS = [{"纳税人名称": f"公司{i}", "余额": str(i)} for i in range(25)]


@pytest.fixture
def api(monkeypatch):
    running = []

    def start(behave, **environment):
        server = Api(behave)
        running.append(server)
        monkeypatch.setenv("CHENGXIN_CONN_TAX_API", server.url)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return server

    yield start
    for server in running:
        server.close()


@pytest.fixture
def contract(make_contract):
    def make(mode="full", **options):
        fixed = {"connection": "tax_api", "path": "arrears", "page_size": 10, "first_page": 1, **FAST}
        return make_contract("http_api", mode, {"format": "json", "records": "data.rows"}, **{**fixed, **options})

    return make


def paged(rows, total=True, **headers):
    def behave(query, _headers, _n):
        size = int(query["page_size"])
        start = (int(query["page"]) - 1) * size
        return rows_answer(rows[start : start + size], len(rows) if total else None, **headers)

    return behave


def pull(contract, settings):
    return [landing.land(Home(settings, CLOCK), contract, d) for d in landing.offered(Home(settings), contract)]


def rows_of(settings, batch):
    return [row for p in landing.payload(Home(settings), batch) for row in json.loads(p.read_bytes())["data"]["rows"]]


@pytest.mark.parametrize("total", [True, False])
def test_pulls_all_pages_unchanged(api, contract, settings, total):
    api(paged(ROWS, total))
    [batch] = pull(contract(total="data.total" if total else None), settings)
    assert [f.name for f in batch.files] == ["page-00001.json", "page-00002.json", "page-00003.json"]
    assert rows_of(settings, batch) == ROWS
    assert batch.as_of == datetime(2026, 11, 20, 1, tzinfo=UTC)
    assert batch.origin == "http_api:tax_api/arrears"


def test_a_full_last_page_without_total_needs_one_more_look(api, contract, settings):
    api(paged(ROWS[:20], total=False))
    [batch] = pull(contract(), settings)
    assert len(batch.files) == 2


def test_the_same_answer_again_is_the_same_batch(api, contract, settings):
    api(paged(ROWS))
    [first] = pull(contract(), settings)
    assert pull(contract(), settings) == [first]


def test_a_source_that_returns_to_an_earlier_state_says_something_new(api, contract, settings):
    state = {"rows": ROWS}
    api(lambda q, h, n: paged(state["rows"])(q, h, n))
    [first] = pull(contract(), settings)
    state["rows"] = ROWS[:7]
    [second] = pull(contract(), settings)
    state["rows"] = ROWS
    [third] = pull(contract(), settings)
    assert len({first.batch_id, second.batch_id, third.batch_id}) == 3
    assert first.files == third.files
    assert landing.batches(Home(settings), "tax_arrears") == [first, second, third]
    assert pull(contract(), settings) == [third]


def test_asks_only_for_what_is_new_since_the_last_pull(api, contract, settings):
    state = {"modified": "Fri, 20 Nov 2026 01:00:00 GMT", "rows": ROWS[:3]}

    def behave(query, headers, number):
        return paged(state["rows"], **{"Last-Modified": state["modified"]})(query, headers, number)

    server = api(behave)
    incremental = contract("incremental", since_param="updated_since", overlap_seconds=60)
    first = pull(incremental, settings)
    assert pull(incremental, settings) == first, "the rows of the overlap are the same bytes: no other batch"
    state["rows"] = []
    assert pull(incremental, settings) == []
    state.update(modified="Fri, 20 Nov 2026 02:00:00 GMT", rows=ROWS[3:5])
    [second] = pull(incremental, settings)
    assert rows_of(settings, second) == ROWS[3:5]
    assert server.requests[-1][1]["updated_since"] == "2026-11-20T08:59:00+08:00"
    assert second.as_of == datetime(2026, 11, 20, 2, tzinfo=UTC)


def test_rows_are_taken_though_the_server_says_that_nothing_was_modified(api, contract, settings):
    state = {"rows": ROWS[:3]}

    def behave(query, headers, number):
        return paged(state["rows"], **{"Last-Modified": "Fri, 20 Nov 2026 01:00:00 GMT"})(query, headers, number)

    api(behave)
    incremental = contract("incremental", since_param="updated_since")
    pull(incremental, settings)
    state["rows"] = ROWS[3:5]
    [second] = pull(incremental, settings)
    assert rows_of(settings, second) == ROWS[3:5]


def test_tries_again_after_errors_and_heeds_retry_after(api, contract, settings):
    def behave(query, headers, number):
        if number <= 2:
            return Answer(status=503 if number == 1 else 429, headers={"Retry-After": "0"})
        return paged(ROWS)(query, headers, number)

    api(behave)
    [batch] = pull(contract(), settings)
    assert rows_of(settings, batch) == ROWS


BAD = {
    "down": (Answer(status=503), SourceUnavailable, "503"),
    "forbidden": (Answer(status=403), SourceUnavailable, "403"),
    "web page": (Answer(b"<html>login</html>", headers={"Content-Type": "text/html"}), SourceUnavailable, "网页"),
    "web page called json": (Answer(b" <!DOCTYPE html>"), SourceUnavailable, "网页"),
    "cut off": (Answer(b'{"data": {"rows": [', announce=500), DeliveryCorrupt, "断开"),
    "half a document": (Answer(b'{"data": {"rows": [{"a": 1}'), DeliveryCorrupt, "截断"),
    "no records": (Answer(b'{"data": {"error": "x"}}'), DeliveryCorrupt, "记录列表"),
    "silence": (Answer(b"{}", hang_seconds=3), SourceUnavailable, "没有回应"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_misbehaving_server_is_named_and_nothing_lands(api, contract, settings, case):
    answer, error, words = BAD[case]
    api(lambda q, h, n: answer)
    with pytest.raises(error, match=words):
        pull(contract(), settings)
    assert not list((settings.home / "landing").rglob("*.json"))


def test_a_page_that_breaks_off_is_fetched_again(api, contract, settings):
    def behave(query, headers, number):
        if number in (1, 3):
            return Answer(b'{"data": {"rows": [', announce=500)
        return paged(ROWS)(query, headers, number)

    api(behave)
    [batch] = pull(contract(), settings)
    assert rows_of(settings, batch) == ROWS


def test_missing_rows_are_noticed(api, contract, settings):
    def behave(query, *_):
        page = int(query["page"])
        return rows_answer(ROWS[:10] if page == 1 else [], 25)

    api(behave)
    with pytest.raises(DeliveryCorrupt, match="声明共 25 行，实际收到 10 行"):
        pull(contract(total="data.total"), settings)


def test_a_server_that_ignores_the_page_number_is_noticed(api, contract, settings):
    api(lambda q, h, n: rows_answer(ROWS[:10]))
    with pytest.raises(DeliveryCorrupt, match="重复返回"):
        pull(contract(), settings)


def test_a_dripping_server_cannot_hold_us(api, contract, settings):
    api(lambda q, h, n: Answer(b'{"data": {"rows": []}}', drip_seconds=0.2))
    with pytest.raises(SourceUnavailable, match="传输超过"):
        pull(contract(page_seconds=0.3, attempts=1), settings)


def test_a_page_larger_than_allowed_is_refused(api, contract, settings):
    api(lambda q, h, n: Answer(b'{"data": "' + b"x" * 2**21 + b'"}'))
    with pytest.raises(DeliveryCorrupt, match="page_size"):
        pull(contract(page_mib=1), settings)


def test_does_not_follow_to_another_host(api, contract, settings):
    other = Api(paged(ROWS))
    try:
        api(lambda q, h, n: Answer(status=302, headers={"Location": f"http://127.0.0.1:{other.port}/api/arrears"}))
        with pytest.raises(SourceUnavailable, match="另一台主机"):
            pull(contract(), settings)
        assert other.requests == []
    finally:
        other.close()


def test_follows_on_the_same_host(api, contract, settings):
    def behave(query, headers, number):
        if "moved" not in query:
            size, page = query["page_size"], query["page"]
            return Answer(status=307, headers={"Location": f"/v2/arrears?moved=1&page={page}&page_size={size}"})
        return paged(ROWS)(query, headers, number)

    api(behave)
    [batch] = pull(contract(), settings)
    assert rows_of(settings, batch) == ROWS


def test_a_certificate_that_nobody_vouches_for_is_refused(contract, settings, monkeypatch, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"]
    made = subprocess.run([*command, "-keyout", key, "-out", certificate], check=False, capture_output=True)
    if made.returncode:
        pytest.skip("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]
        listening = context.wrap_socket(plain, server_side=True)

        def serve():
            with contextlib.suppress(OSError):
                listening.accept()

        threading.Thread(target=serve, daemon=True).start()
        monkeypatch.setenv("CHENGXIN_CONN_TAX_API", f"https://127.0.0.1:{port}")
        with pytest.raises(SourceUnavailable, match="证书"):
            pull(contract(), settings)


def test_secrets_come_from_the_environment_and_show_nowhere(api, contract, settings, monkeypatch):
    server = api(paged(ROWS), TAX_TOKEN="s3cret-token")
    monkeypatch.setenv("CHENGXIN_CONN_TAX_API", server.url.replace("http://", "http://reader:pa%40ss@"))
    [batch] = pull(contract(headers_env={"X-Token": "TAX_TOKEN"}), settings)
    sent = server.requests[0][2]
    assert sent["X-Token"] == "s3cret-token"
    assert sent["Authorization"] == "Basic cmVhZGVyOnBhQHNz"
    receipt = (landing.payload(Home(settings), batch)[0].parents[1] / "receipt.json").read_text("utf-8")
    server.close()
    with pytest.raises(SourceUnavailable) as failure:
        pull(contract(headers_env={"X-Token": "TAX_TOKEN"}), settings)
    for text in (receipt, "".join(traceback.format_exception(failure.value))):
        assert not any(secret in text for secret in ("s3cret-", "reader", "pa%40ss@", "pa@ss"))


def test_a_missing_connection_or_token_is_named(contract, settings, monkeypatch):
    monkeypatch.delenv("CHENGXIN_CONN_TAX_API", raising=False)
    with pytest.raises(SourceUnavailable, match="CHENGXIN_CONN_TAX_API"):
        HttpApi().discover(Home(settings), contract())
    monkeypatch.setenv("CHENGXIN_CONN_TAX_API", "http://127.0.0.1:1")
    with pytest.raises(SourceUnavailable, match="NO_SUCH_TOKEN"):
        HttpApi().discover(Home(settings), contract(headers_env={"X-Token": "NO_SUCH_TOKEN"}))


def test_a_page_in_gb18030_is_kept_as_it_came(api, contract, settings):
    body = json.dumps({"data": {"rows": ROWS[:1]}}, ensure_ascii=False).encode("gb18030")
    api(lambda q, h, n: Answer(body))
    [batch] = pull(contract(page_size=0), settings)
    assert landing.payload(Home(settings), batch)[0].read_bytes() == body
