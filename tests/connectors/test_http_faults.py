"""Servers that misbehave on purpose: each fault is named, costs no more than a retry, and never half a delivery."""

import gzip
import json
import time
import traceback

import pytest

from chengxin.connectors import landing
from chengxin.errors import DeliveryCorrupt, SourceUnavailable
from chengxin.home import Home
from http_sources import ROWS, Desk, page_of, paged
from servers import Answer, Asked, rows_answer

pytestmark = pytest.mark.server


def document(**more) -> bytes:
    return json.dumps(more, ensure_ascii=False).encode()


SOMETIMES = {
    "web page": Answer(b"<html>busy</html>", headers={"Content-Type": "text/html; charset=gbk"}),
    "web page called json": Answer(b"\xef\xbb\xbf\n<!DOCTYPE html><html>"),
    "cut off": Answer(b'{"data": {"rows": [', announce=500),
    "cut off in chunks": Answer(b'{"data": {"rows": [{"id": 1}', announce=0, chunked=True),
    "half a document in chunks": Answer(b'{"data": {"rows": [{"id": 1}', chunked=True),
    "half a gzip": Answer(gzip.compress(b'{"data": {"rows": []}}')[:20], headers={"Content-Encoding": "gzip"}),
    "broken gzip": Answer(b'{"data": {"rows": []}}', headers={"Content-Encoding": "gzip"}),
    "neither UTF-8 nor GB18030": Answer(b'{"data": {"rows": [{"a": "\xff\xff\xff"}]}}'),
    "empty body": Answer(b""),
    "busy in words": Answer(document(code=503, msg="系统繁忙")),
    "busy": Answer(status=503),
    "too many": Answer(status=429, headers={"Retry-After": "Mon, 23 Nov 2020 00:00:00 GMT"}),
    "nonsense to wait for": Answer(status=503, headers={"Retry-After": "soon"}),
    "longer than announced": Answer(b'{"data": {"rows": []}}', announce=10),
}


@pytest.mark.parametrize("case", SOMETIMES)
def test_a_passing_fault_on_any_page_costs_a_retry(desk: Desk, case):
    def behave(asked: Asked) -> Answer:
        return SOMETIMES[case] if len(server.asked) in (1, 3) else page_of(ROWS, asked)

    server = desk.serve(behave)
    [batch] = desk.pull(desk.contract(code="code", code_ok=["", "0"]))
    assert desk.rows(batch) == ROWS
    assert len(server.asked) == 5
    assert desk.leftovers() == []


@pytest.mark.parametrize("declared", ["application/json; charset=iso-8859-1", "text/plain"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_wrong_charset_in_the_header_changes_nothing(desk: Desk, declared, encoding):
    body = document(data={"rows": ROWS[:3], "total": 3}).decode().encode(encoding)
    desk.serve(lambda asked: Answer(body, headers={"Content-Type": declared}))
    [batch] = desk.pull(desk.contract())
    assert landing.payload(Home(desk.settings), batch)[0].read_bytes() == body


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_compressed_unasked_lands_uncompressed(desk: Desk, chunked):
    plain = document(data={"rows": ROWS[:3], "total": 3})
    server = desk.serve(lambda a: Answer(gzip.compress(plain), headers={"Content-Encoding": "gzip"}, chunked=chunked))
    [batch] = desk.pull(desk.contract())
    assert landing.payload(Home(desk.settings), batch)[0].read_bytes() == plain
    assert server.asked[0].headers["Accept-Encoding"] == "identity"


def test_a_small_answer_that_swells_when_uncompressed_is_refused(desk: Desk):
    bomb = gzip.compress(b'{"data": "' + b" " * (64 << 20) + b'"}')
    desk.serve(lambda asked: Answer(bomb, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(DeliveryCorrupt, match="超过 1 MiB"):
        desk.pull(desk.contract(page_mib=1))


@pytest.mark.parametrize("last", [{"rows": [], "total": 20}, {"rows": None, "total": 20}])
def test_an_empty_last_page_does_not_land(desk: Desk, last):
    def behave(asked: Asked) -> Answer:
        if asked.query["page"] == "3":
            return Answer(document(data=last))
        return rows_answer(page_rows(asked))

    def page_rows(asked: Asked) -> list[dict]:
        start = (int(asked.query["page"]) - 1) * 10
        return ROWS[start : start + 10]

    server = desk.serve(behave)
    [batch] = desk.pull(desk.contract(total=None))
    assert desk.rows(batch) == ROWS[:20]
    assert len(server.asked) == 3


@pytest.mark.parametrize("code", [401, "E-17", "10001"])
def test_a_business_error_in_status_200_is_named_by_code_only(desk: Desk, code):
    desk.serve(lambda asked: Answer(document(code=code, msg="token abc123 无效，用户 张某", data={"rows": []})))
    with pytest.raises(SourceUnavailable, match=f"tax_api.*业务错误码 code={code}") as e:
        desk.pull(desk.contract(code="code"))
    assert not any(word in "".join(traceback.format_exception(e.value)) for word in ("abc123", "张某"))


@pytest.mark.parametrize("answer", [{"code": 500}, {"status": "error"}, {"success": False}, {"errcode": "40001"}])
def test_an_undeclared_error_is_no_empty_delivery(desk: Desk, answer):
    desk.serve(lambda asked: Answer(document(**answer, data={"rows": [], "total": 0})))
    with pytest.raises(DeliveryCorrupt, match="code_ok"):
        desk.pull(desk.contract())


@pytest.mark.parametrize("answer", [{"code": 0}, {"code": "200"}, {"status": "success"}, {"success": True}])
def test_an_empty_delivery_is_one(desk: Desk, answer):
    desk.serve(lambda asked: Answer(document(**answer, data={"rows": [], "total": 0})))
    assert len(desk.pull(desk.contract())) == 1


def test_a_long_retry_after_ends_the_pull_which_goes_on_then(desk: Desk):
    state = {"down": True}

    def behave(asked: Asked) -> Answer:
        if asked.query["page"] == "2" and state["down"]:
            return Answer(status=503, headers={"Retry-After": "3600"})
        return page_of(ROWS, asked)

    server = desk.serve(behave)
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match="3600 秒后再来"):
        desk.pull(desk.contract())
    assert time.monotonic() - started < 5
    state["down"] = False
    [batch] = desk.pull(desk.contract())
    assert desk.rows(batch) == ROWS
    assert [a.query["page"] for a in server.asked] == ["1", "2", "2", "3"]


def test_waits_as_long_as_the_server_asks(desk: Desk):
    def behave(asked: Asked) -> Answer:
        return Answer(status=429, headers={"Retry-After": "1"}) if len(server.asked) == 1 else page_of(ROWS[:3], asked)

    server = desk.serve(behave)
    started = time.monotonic()
    desk.pull(desk.contract())
    assert time.monotonic() - started >= 1


def test_asks_no_more_often_than_allowed(desk: Desk):
    moments = []

    def behave(asked: Asked) -> Answer:
        moments.append(time.monotonic())
        return page_of(ROWS, asked)

    desk.serve(behave)
    desk.pull(desk.contract(requests_per_second=10, page_size=4))
    # Discovery and the pages are two sessions: the limit holds within each.
    assert moments[-1] - moments[1] >= 0.25


def test_a_refused_connection_names_itself_and_its_host_only(desk: Desk):
    server = desk.serve(paged(ROWS))
    server.close()
    desk.set_variable("CHENGXIN_CONN_TAX_API", f"http://reader:geheim@127.0.0.1:{server.port}/api?token=geheim")
    with pytest.raises(SourceUnavailable, match=rf"tax_api.*127\.0\.0\.1:{server.port}") as failure:
        desk.pull(desk.contract())
    assert "geheim" not in "".join(traceback.format_exception(failure.value))


def test_a_page_that_stays_broken_keeps_those_before_it(desk: Desk):
    state = {"broken": True}

    def behave(asked: Asked) -> Answer:
        if asked.query["page"] == "3" and state["broken"]:
            return Answer(b'{"data": {"rows": [', announce=500)
        return page_of(ROWS, asked)

    server = desk.serve(behave)
    with pytest.raises(DeliveryCorrupt, match="断开"):
        desk.pull(desk.contract())
    assert not list((desk.settings.home / "landing").rglob("receipt.json"))
    state["broken"] = False
    [batch] = desk.pull(desk.contract())
    assert desk.rows(batch) == ROWS
    assert [a.query["page"] for a in server.asked] == ["1", "2", "3", "3", "3", "3"]


@pytest.mark.parametrize("change", ["options", "age", "server"])
def test_kept_pages_of_another_question_are_forgotten(desk: Desk, change):
    down = {"is": True}

    def behave(asked: Asked) -> Answer:
        return Answer(status=503) if asked.query["page"] == "2" and down["is"] else page_of(ROWS, asked)

    server = desk.serve(behave)
    with pytest.raises(SourceUnavailable):
        desk.pull(desk.contract())
    assert len(desk.leftovers()) == 1
    down["is"] = False
    options = {"options": {"query": {"region": "4301"}}, "age": {"resume_hours": 0}, "server": {}}[change]
    if change == "age":
        time.sleep(1.1)
    if change == "server":
        server = desk.serve(behave)
    server.asked.clear()
    [batch] = desk.pull(desk.contract(**options))
    assert desk.rows(batch) == ROWS
    assert [a.query["page"] for a in server.asked] == ["1", "2", "3"]
    assert desk.leftovers() == []
