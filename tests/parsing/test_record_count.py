"""A number of records that a file states beside its rows is found where its meaning is sure, and nowhere else."""

from typing import Any

import pytest

from chengxin.contracts.models import FileSpec
from chengxin.parsing.reader import plan, read


def stated(tmp_path: Any, body: bytes, **spec: Any) -> tuple[int, ...]:
    path = tmp_path / f"f.{spec['format']}"
    path.write_bytes(body)
    found = FileSpec.model_validate(spec)
    return tuple(n for piece in plan(path, found) for chunk in read(piece, found) for n in chunk.statements.stated)


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ('"total":3', (3,)),
        ('"totalCount":"3"', (3,)),
        ('"record_count":3', (3,)),
        ('"条数":3', (3,)),
        ('"总数":"3条"', (3,)),
        ('"本次报送条数":3', (3,)),
        ('"num":3', (3,)),
        ('"head":{"recordNum":3}', (3,)),
        ('"trailer":{"count":3}', (3,)),
        ('"meta":{"total":3}', (3,)),
        ('"summary":{"total":120000}', ()),
        ('"summary":{"total":120000,"recordCount":3}', (3,)),
        ('"total":3,"start":"2026-01-01","end":"2026-01-31"', (3,)),  # a period, no paging
        ('"报文头":{"记录数":"1,003"}', (1003,)),
        ('"total":3,"count":2', (2,)),  # one of the two agrees: the other may be of the whole list
        ('"total":3,"page":1,"pageSize":20', (3,)),  # all on one page
        ('"total":300,"page":1,"pageSize":20', ()),
        ('"total":300,"pageNo":1', ()),
        ('"total":300,"hasNext":true', ()),
        ('"page":{"total":300,"size":2,"current":1}', ()),
        ('"count":2,"total":300,"limit":2,"offset":4', ()),
        ('"num":3,"size":2', ()),
        ('"code":200', ()),
        ('"page":3', ()),
        ('"totalPage":3', ()),
        ('"totalAmount":300', ()),
        ('"total":3.5', ()),
        ('"成功条数":1', ()),
        ('"batch":{"total":3}', ()),
        ('"total":null', ()),
    ],
)
@pytest.mark.parametrize("form", ['{%s,"rows":%s}', '{"rows":%s,%s}'])
def test_numbers_beside_the_rows_of_a_json_file(tmp_path, beside, expected, form):
    rows = '[{"a":"1"},{"a":"2"}]'
    body = form % ((beside, rows) if form.startswith("{%s") else (rows, beside))
    assert stated(tmp_path, body.encode(), format="json", records="rows") == expected


def test_a_total_around_counts_and_num_only_beside_the_rows(tmp_path):
    body = '{"num":7,"data":{"rows":[{"a":"1"}]},"total":9}'
    assert stated(tmp_path, body.encode(), format="json", records="data.rows") == (9,)
    assert stated(tmp_path, body.replace("total", "x").encode(), format="json", records="data.rows") == ()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<D><count>3</count><R><a>1</a></R></D>", (3,)),
        ("<D><R><a>1</a></R><条数>3</条数></D>", (3,)),
        ('<D total="3"><R><a>1</a></R></D>', (3,)),
        ("<D><head><recordCount>3</recordCount></head><R><a>1</a></R></D>", (3,)),
        ("<D><R><a>1</a></R><Trailer><count>3</count></Trailer></D>", (3,)),
        ('<D><R><a>1</a></R><footer count="3" total="120000"/></D>', (3,)),
        ("<D><R><a>1</a></R><summary><total>120000</total></summary></D>", ()),  # of amounts
        ("<D><total><![CDATA[3]]></total><R><a>1</a></R></D>", (3,)),
        ("<D><total>3</total><pageNum>1</pageNum><R><a>1</a></R></D>", ()),
        ("<D><E><count>3</count><R><a>2</a></R></E><R><a>1</a></R></D>", "两处记录"),
        ("<D><E><count>3</count></E><R><a>1</a></R></D>", ()),
        ("<D><code>3</code><page>3</page><R><total>5</total></R></D>", ()),
        ("<D><total>3</total></D>", (3,)),
    ],
)
def test_numbers_beside_the_rows_of_an_xml_file(tmp_path, body, expected):
    if isinstance(expected, str):
        with pytest.raises(Exception, match=expected):
            stated(tmp_path, body.encode(), format="xml", records="D/R")
        return
    assert stated(tmp_path, body.encode(), format="xml", records="D/R") == expected


def unfinished(tmp_path: Any, body: str, **spec: Any) -> tuple[str, ...]:
    path = tmp_path / f"f.{spec['format']}"
    path.write_text(body, "utf-8")
    found = FileSpec.model_validate(spec)
    return tuple(n for piece in plan(path, found) for chunk in read(piece, found) for n in chunk.statements.unfinished)


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ('"hasMore":true', ("hasMore=true",)),
        ('"truncated":"true"', ("truncated=true",)),
        ('"isLastPage":false', ("isLastPage=false",)),
        ('"success":false,"code":500', ("success=false", "code=500")),
        ('"next":"https://gov.example/a?id=43"', ("next",)),
        ('"page":{"hasNext":true}', ("hasNext=true",)),
        ('"pageNo":1,"totalPages":38', ("totalPages=38",)),
        ('"pageNo":1,"totalPages":1', ()),
        ('"pageNo":1,"totalPages":3,"total":1', ()),  # all rows are here, whatever pages they came in
        ('"pages":38', ()),  # of paper, perhaps
        ('"hasMore":false,"next":null,"nextCursor":"","success":true', ()),
        ('"code":200,"status":"ok","errorCode":"0000"', ()),
        ('"code":430000,"message":"OK","isLast":true', ()),
        ('"errors":[{"message":"x"}]', ("errors=true",)),
        ('"error":[],"errors":null', ()),
        ('"msg":"结果过多，最多显示 1000 条"', ("msg=最多显示 1000 条",)),
    ],
)
@pytest.mark.parametrize("form", ['{%s,"rows":%s}', '{"rows":%s,%s}'])
def test_a_file_that_says_that_it_is_not_all_is_heard(tmp_path, beside, expected, form):
    rows = '[{"a":"1","code":"500","next":"x"}]'
    body = form % ((beside, rows) if form.startswith("{%s") else (rows, beside))
    assert unfinished(tmp_path, body, format="json", records="rows") == expected


def test_the_head_of_a_message_says_that_the_answer_failed(tmp_path):
    body = "<msg><head><code>%s</code></head><body><row><a>1</a></row></body></msg>"
    assert unfinished(tmp_path, body % "500", format="xml", records="msg/body/row") == ("code=500",)
    assert unfinished(tmp_path, body % "0", format="xml", records="msg/body/row") == ()
