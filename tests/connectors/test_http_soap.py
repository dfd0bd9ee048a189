"""XML interfaces of the double-publicity kind: an envelope by POST, rows in the answer, read to the end."""

from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest

from chengxin.connectors import landing
from chengxin.errors import DeliveryCorrupt, SourceUnavailable
from chengxin.home import Home
from chengxin.parsing.reader import plan, read
from http_sources import Desk
from servers import Answer, Asked

pytestmark = pytest.mark.server
ENVELOPE = """<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:s="urn:sgs">
 <soapenv:Header/><soapenv:Body><s:query><token>${token}</token><area>${area}</area>
 <pageNo>${pageNo}</pageNo><pageSize>${page_size}</pageSize></s:query></soapenv:Body></soapenv:Envelope>"""
OPTIONS = {
    "method": "POST", "send": "body", "body": ENVELOPE, "body_env": {"token": "TAX_TOKEN"},
    "headers": {"SOAPAction": '"urn:sgs#query"'}, "page_param": "pageNo", "query": {"area": "长沙<市>&"},
    "code": "queryResponse/code", "code_ok": ["00"], "total": "queryResponse/total", "path": "sgs",
}  # fmt: skip
FILE = {"format": "xml", "records": "ROWDATA/ROW"}
ROWS = [{"纳税人名称": f"湖南示例{n}有限公司", "备注": "A<B & C"} for n in range(25)]


def rowdata(rows) -> str:
    fields = ("".join(f"<{k}>{escape(v)}</{k}>" for k, v in row.items()) for row in rows)
    return f"<ROWDATA>{''.join(f'<ROW>{row}</ROW>' for row in fields)}</ROWDATA>"


def reply(content: str, total: int, code: str = "00", encoding: str = "utf-8") -> Answer:
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?>'
        '<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>'
        f'<ns:queryResponse xmlns:ns="urn:sgs"><code>{code}</code><total>{total}</total>{content}</ns:queryResponse>'
        "</S:Body></S:Envelope>"
    )
    return Answer(text.encode(encoding), headers={"Content-Type": f"text/xml; charset={encoding}"})


def behaving(wrap=lambda text: text, encoding="utf-8"):
    def behave(asked: Asked) -> Answer:
        said = {e.tag.rpartition("}")[2]: e.text for e in ElementTree.fromstring(asked.body).iter()}
        if said["token"] != "t<&>k" or said["area"] != "长沙<市>&" or asked.headers["SOAPAction"] != '"urn:sgs#query"':
            return reply("", 0, code="07")
        start, size = (int(said["pageNo"]) - 1) * int(said["pageSize"]), int(said["pageSize"])
        return reply(wrap(rowdata(ROWS[start : start + size])), len(ROWS), encoding=encoding)

    return behave


def standardised(desk: Desk, contract, batch) -> list[dict]:
    """Read the landed pages as the next stage does."""
    return [
        row
        for path in landing.payload(Home(desk.settings), batch)
        for piece in plan(Path(path), contract.file)
        for chunk in read(piece, contract.file)
        for row in chunk.table.to_pylist()
    ]


@pytest.fixture
def soap(desk: Desk) -> Desk:
    desk.set_variable("TAX_TOKEN", "t<&>k")
    return desk


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_pages_of_an_envelope_land_unchanged_and_are_read(soap: Desk, encoding):
    soap.serve(behaving(encoding=encoding))
    contract = soap.contract(file=FILE | {"encoding": encoding}, **OPTIONS)
    [batch] = soap.pull(contract)
    assert [f.name for f in batch.files] == ["page-00001.xml", "page-00002.xml", "page-00003.xml"]
    assert landing.payload(Home(soap.settings), batch)[0].read_bytes().startswith(b"<?xml")
    assert standardised(soap, contract, batch) == ROWS


@pytest.mark.parametrize("wrap", [escape, lambda text: f"<![CDATA[<?xml version='1.0' encoding='GBK'?>{text}]]>"])
def test_rows_inside_a_text_are_unwrapped(soap: Desk, wrap):
    soap.serve(behaving(wrap=lambda text: f"<return>{wrap(text)}</return>"))
    contract = soap.contract(file=FILE, **OPTIONS, unwrap="queryResponse/return")
    [batch] = soap.pull(contract)
    assert landing.payload(Home(soap.settings), batch)[0].read_bytes() == rowdata(ROWS[:10]).encode()
    assert standardised(soap, contract, batch) == ROWS


def test_an_answer_code_other_than_00_is_an_error(soap: Desk):
    soap.set_variable("TAX_TOKEN", "wrong")
    soap.serve(behaving())
    with pytest.raises(SourceUnavailable, match="queryResponse/code=07"):
        soap.pull(soap.contract(file=FILE, **OPTIONS))


BAD = {
    "web page": (Answer(b"<html><body>login</body></html>"), SourceUnavailable, "网页"),
    "cut off": (Answer(b"<S:Envelope xmlns:S='urn:s'><S:Body><ROWDATA><ROW>"), DeliveryCorrupt, "XML.*截断"),
    "bomb": (
        Answer(b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><r><code>00</code><ROWDATA>&b;</ROWDATA></r>'),
        DeliveryCorrupt,
        "DTD",
    ),
    "file of ours": (
        Answer(b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>'),
        DeliveryCorrupt,
        "DTD",
    ),
    "no rows": (reply("<other/>", 0), DeliveryCorrupt, "记录列表"),
    "fault": (Answer(b"<S:Envelope xmlns:S='urn:s'><S:Fault/></S:Envelope>"), SourceUnavailable, "缺失"),
    "fault with status": (Answer(b"<S:Fault xmlns:S='urn:s'/>", status=500), SourceUnavailable, "HTTP 500"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_answer_that_is_no_page_is_named_and_nothing_lands(soap: Desk, case):
    answer, error, words = BAD[case]
    soap.serve(lambda asked: answer)
    with pytest.raises(error, match=words):
        soap.pull(soap.contract(file=FILE, **OPTIONS))
    assert not list((soap.settings.home / "landing").rglob("*.xml"))


def test_rows_under_another_name_on_a_page_do_not_end_the_pull(soap: Desk):
    server = soap.serve(lambda asked: turned(behaving()(asked), server))
    with pytest.raises(DeliveryCorrupt, match="没有记录列表“ROWDATA/ROW”"):
        soap.pull(soap.contract(file=FILE, **OPTIONS | {"total": None}))


def turned(answer: Answer, server) -> Answer:
    """Name the rows of the second page otherwise, and say no total."""
    body = answer.body.replace(b"ROW>", b"Row>") if len(server.asked) == 2 else answer.body
    return Answer(body.replace(b"<total>25</total>", b""), headers=answer.headers)
