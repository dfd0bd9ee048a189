"""Answers as interfaces of departments give them on odd days: none is silently taken for fewer rows than there are."""

import gzip
import json

import pytest

from chengxin.connectors import landing
from chengxin.errors import ChengxinError, DeliveryCorrupt, DeliveryMismatch
from chengxin.home import Home
from chengxin.parsing.reader import plan, read
from http_sources import ROWS, Desk
from servers import Answer, Asked

pytestmark = pytest.mark.server
SOAP = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>'
FAULT = SOAP.format("<s:Fault><faultcode>s:Server</faultcode><faultstring>down</faultstring></s:Fault>")
ROW = "<ROW><id>{}</id></ROW>"


def number(asked: Asked) -> int:
    return int(asked.query.get("page", "1"))


def pages(*bodies: object, beyond: object = None):
    """Serve these bodies as pages 1, 2 ...; JSON where they are no bytes."""

    def behave(asked: Asked) -> Answer:
        body = bodies[number(asked) - 1] if number(asked) <= len(bodies) else beyond
        if isinstance(body, Answer):
            return body
        return Answer(body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode())

    return behave


def rows_of(desk: Desk, contract) -> list[str]:
    """Pull, and return the ids that the reader finds in what landed."""
    [batch] = desk.pull(contract)
    found = []
    for path in landing.payload(Home(desk.settings), batch):
        for piece in plan(path, contract.file):
            for chunk in read(piece, contract.file):
                found += chunk.table["id"].to_pylist() if "id" in chunk.table.column_names else []
                assert not chunk.damaged
    return found


FIRST = {"code": 0, "data": {"rows": ROWS[:10]}}
IDS = [str(row["id"]) for row in ROWS[:10]]


@pytest.mark.parametrize(
    "beyond",
    [
        {"code": 0, "data": {"rows": []}},
        {"code": 0, "data": {"rows": None}},
        {"code": 0, "data": None},
        {"code": 0, "data": {}},
        {"code": 0, "data": []},
    ],
)
def test_any_spelling_of_a_page_without_rows_ends_a_pull(desk: Desk, beyond):
    desk.serve(pages(FIRST, beyond=beyond))
    assert rows_of(desk, desk.contract(total=None, code="code")) == IDS


@pytest.mark.parametrize(
    "beyond",
    [
        {"code": 0, "data": {"rows": {}}},
        {"code": 0, "data": {"rows": "none"}},
        {"code": 0, "data": {"list": ROWS[10:20]}},
        {"code": 0},
        {"code": 0, "data": "没有数据"},
        {"code": "500", "data": None},
        b'{"code": 0, "data": {"rows": []}',
        b"",
        Answer(gzip.compress(b'{"code": 0, "data": {"rows": []}}')[:-14], headers={"Content-Encoding": "gzip"}),
        Answer(b"<html>login</html>", headers={"Content-Type": "text/html"}),
    ],
)
def test_what_only_resembles_a_page_without_rows_ends_none(desk: Desk, beyond):
    desk.serve(pages(FIRST, beyond=beyond))
    with pytest.raises(ChengxinError):
        desk.pull(desk.contract(total=None, code="code"))
    assert landing.batches(Home(desk.settings), "tax_arrears") == []


@pytest.mark.parametrize("total", ["25", " 25 ", 25])
def test_a_total_may_be_a_text(desk: Desk, total):
    bodies = [{"data": {"rows": ROWS[n : n + 10], "total": total}} for n in (0, 10, 20)]
    server = desk.serve(pages(*bodies))
    assert len(rows_of(desk, desk.contract())) == 25
    assert len(server.asked) == 3


@pytest.mark.parametrize("total", ["共25条", "25.0", "", [25]])
def test_a_total_that_is_no_number_is_refused(desk: Desk, total):
    desk.serve(pages({"data": {"rows": ROWS[:10], "total": total}}))
    with pytest.raises(DeliveryCorrupt, match="不是数字"):
        desk.pull(desk.contract())


@pytest.mark.parametrize("fault", [FAULT, "<Error><Message>down</Message></Error>", "<exception/>"])
@pytest.mark.parametrize("records", ["ROW", "ROWDATA/ROW"])
def test_a_fault_with_status_200_is_no_page_without_rows(desk: Desk, fault, records):
    first = SOAP.format(f"<q><ROWDATA>{''.join(ROW.format(n) for n in range(10))}</ROWDATA></q>").encode()
    file = {"format": "xml", "records": records}
    desk.serve(pages(first, beyond=fault.encode()))
    with pytest.raises(DeliveryCorrupt, match="没有记录列表"):
        desk.pull(desk.contract(file=file, total=None))
    desk.serve(pages(first, beyond=SOAP.format("<q><ROWDATA/></q>").encode()))
    assert len(rows_of(desk, desk.contract(file=file, total=None))) == 10


@pytest.mark.parametrize(
    "body", [b'\xef\xbb\xbf{"data": {"rows": [{"id": 1, "x": NaN}]}}', b'{"data":{"rows":[{"id":1}]}}\n']
)
def test_a_byte_order_mark_and_a_number_that_is_none_do_no_harm(desk: Desk, body):
    desk.serve(pages(body))
    assert rows_of(desk, desk.contract(total=None, paging="none")) == ["1"]


def test_an_object_that_stands_twice_in_an_answer_is_refused(desk: Desk):
    for body in (
        b'{"data": {"rows": [{"id": 1}]}, "data": {"rows": [{"id": 2}, {"id": 3}]}}',
        b'{"data": {"rows": [{"id": 1}], "rows": []}}',
        b'{"data": {"rows": [{"id": 1}], "next": "2", "next": null}}',
    ):
        desk.serve(pages(body))
        with pytest.raises(DeliveryCorrupt, match="出现两次"):
            rows_of(desk, desk.contract(total=None, paging="none"))


def test_an_empty_list_of_errors_before_the_rows_is_not_the_rows(desk: Desk):
    desk.serve(pages({"errors": [], "items": ROWS[:4]}))
    contract = desk.contract("incremental", {"format": "json"}, total=None, paging="none", since_param="since")
    assert len(desk.pull(contract)) == 1
    with pytest.raises(DeliveryMismatch, match="几个记录数组"):
        rows_of(desk, desk.contract(file={"format": "json"}, total=None, paging="none"))


@pytest.mark.parametrize("size", [10, 20, 500])
def test_a_server_that_ignores_the_size_is_read_to_its_end(desk: Desk, size):
    def behave(asked: Asked) -> Answer:
        start = (number(asked) - 1) * 7
        return Answer(json.dumps({"data": {"rows": ROWS[start : start + 7], "total": 25}}).encode())

    desk.serve(behave)
    assert len(rows_of(desk, desk.contract(page_size=size))) == 25
    assert len(rows_of(desk, desk.contract(page_size=size, total=None, passes=2))) == 25


def test_a_server_that_ignores_paging_needs_a_total(desk: Desk):
    desk.serve(pages(*[{"data": {"rows": ROWS, "total": 25}}] * 9))
    assert len(rows_of(desk, desk.contract())) == 25
    with pytest.raises(DeliveryCorrupt, match="重复返回"):
        desk.pull(desk.contract(total=None))
