"""Where a pull ends, against servers that cap, count only the page, hide that there is more, or refuse the rest."""

import json

import pytest

from chengxin.errors import ContractError, DeliveryCorrupt, SourceUnavailable
from http_sources import ROWS, Desk
from servers import Answer, Asked, rows_answer

pytestmark = pytest.mark.server
STAMPED = [{**row, "updated": 1_700_000_000_000 + row["id"] // 3 * 1000} for row in ROWS]
TIME = {
    "paging": "time", "time_field": "updated", "since_param": "since", "since_format": "epoch_ms", "total": None,
    "size_param": "limit",
}  # fmt: skip


def answer(value) -> Answer:
    return Answer(json.dumps(value, ensure_ascii=False).encode())


def capped(rows, cap, total=None, beyond=None, **around):
    """Page by number, never more than `cap` rows. total: of (page, start); beyond: what comes after the last page."""

    def behave(asked: Asked) -> Answer:
        start = (int(asked.query.get("page", 1)) - 1) * cap
        page = rows[start : start + cap]
        if not page and beyond:
            return beyond
        said = {} if total is None else {"total": total(page, start)}
        return answer({"code": 0, "data": {"rows": page, **said}, **around})

    return behave


@pytest.mark.parametrize(
    ("total", "words"),
    [
        (lambda page, start: len(page), "本页的行数"),
        (lambda page, start: start + len(page), "总是等于已收到的行数"),
        (lambda page, start: 8, "声明共 8 行，实际收到 25 行"),
    ],
)
def test_a_total_that_is_not_that_of_all_rows_is_told_where_the_server_gives_less_than_asked_for(
    desk: Desk, total, words
):
    desk.serve(capped(ROWS, 7, total))
    with pytest.raises(DeliveryCorrupt, match=words):
        desk.pull(desk.contract(page_size=500))
    assert desk.leftovers() == []


def test_a_whole_list_on_one_short_page_costs_one_request_more(desk: Desk):
    server = desk.serve(capped(ROWS[:4], 500, lambda page, start: 4))
    [batch] = desk.pull(desk.contract())
    assert desk.rows(batch) == ROWS[:4]
    assert len(server.asked) == 2


def test_a_total_and_a_page_shorter_than_others_are_the_end(desk: Desk):
    server = desk.serve(capped(ROWS, 10, lambda page, start: 25))
    [batch] = desk.pull(desk.contract())
    assert desk.rows(batch) == ROWS
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "beyond",
    [
        Answer(b"no such page", status=404),
        Answer(b'{"code": 5001, "msg": "no data"}'),
        Answer(b'{"code": 0, "data": null}'),
        Answer(b'{"msg": "nothing"}'),
        Answer(b"", status=500),
        Answer(b"", status=204),
    ],
)
@pytest.mark.parametrize("rows", [ROWS[:4], ROWS[:20]])
def test_whatever_a_server_answers_beyond_all_announced_rows_is_the_end(desk: Desk, rows, beyond):
    server = desk.serve(capped(rows, 10, lambda page, start: len(rows), beyond))
    [batch] = desk.pull(desk.contract(code="code", code_ok=["0"]))
    assert desk.rows(batch) == rows
    assert len({a.query["page"] for a in server.asked}) == len(rows) // 10 + 1 + (len(rows) < 10)


@pytest.mark.parametrize("status", [401, 403, 503])
def test_an_answer_that_says_nothing_of_the_end_is_none(desk: Desk, status):
    refusal = [Answer(b"", status=status)]
    desk.serve(lambda asked: capped(ROWS[:4], 10, lambda page, start: 4, refusal[0] if refusal else None)(asked))
    contract = desk.contract(attempts=1)
    with pytest.raises(SourceUnavailable, match=str(status)):
        desk.pull(contract)
    refusal.clear()
    [batch] = desk.pull(contract)  # the page that came is kept
    assert desk.rows(batch) == ROWS[:4]


def test_a_search_engine_that_counts_to_ten_thousand_and_refuses_the_rest_is_not_believed(desk: Desk):
    rows = [{"id": n} for n in range(10_000)]
    desk.serve(capped(rows, 5_000, lambda page, start: 10_000, Answer(b"too deep", status=400)))
    with pytest.raises(SourceUnavailable, match=r"第 3 页.*status_end: \[400\]"):
        desk.pull(desk.contract(page_size=5_000))


@pytest.mark.parametrize(
    ("beyond", "options", "advice"),
    [
        (Answer(b"<h1>Not Found</h1>", status=404), {"status_end": [404]}, r"status_end: \[404\]"),
        (Answer(b"", status=500), {"status_end": [500]}, r"status_end: \[500\]"),
        (Answer(b"", status=204), {"status_end": [204]}, r"status_end: \[204\]"),
        (Answer(b'{"code": 5001, "msg": "no data"}'), {"code_end": ["5001"]}, r'code_end: \["5001"\]'),
    ],
)
def test_what_a_server_answers_beyond_its_last_page_can_be_declared(desk: Desk, beyond, options, advice):
    server = desk.serve(capped(ROWS, 10, beyond=beyond))
    common = {"total": None, "code": "code", "code_ok": ["0"]}
    with pytest.raises(SourceUnavailable, match=rf"第 4 页.*{advice}"):
        desk.pull(desk.contract(**common))
    server.asked.clear()
    [batch] = desk.pull(desk.contract(**common, **options))
    assert desk.rows(batch) == ROWS
    asked = [int(a.query["page"]) for a in server.asked]
    # a status is believed when it comes twice, a code at once
    assert list(dict.fromkeys(asked)) == [1, 2, 3, 4, *([5] if "status_end" in options else []), 0]
    assert desk.leftovers() == []


@pytest.mark.parametrize("paging", ["page", "offset"])
@pytest.mark.parametrize("status", [404, 500])
def test_one_page_that_a_server_fails_at_is_no_end_whatever_is_declared(desk: Desk, status, paging):
    def behave(asked: Asked) -> Answer:
        start = int(asked.query.get("offset", (int(asked.query.get("page", 1)) - 1) * 10))
        return Answer(b"", status=status) if start == 10 else rows_answer(ROWS[start : start + 10])

    desk.serve(behave)
    with pytest.raises(DeliveryCorrupt, match="拒绝了一页，其后的页却还有记录"):
        desk.pull(desk.contract(total=None, status_end=[status], paging=paging, size_param="limit"))
    assert desk.leftovers() == []


def test_a_passing_error_is_tried_again_though_it_is_declared_as_the_end(desk: Desk):
    failed: list[str] = []

    def behave(asked: Asked) -> Answer:
        if asked.query["page"] == "2" and not failed:
            failed.append("2")
            return Answer(b"", status=500)
        return capped(ROWS, 10, beyond=Answer(b"", status=500))(asked)

    desk.serve(behave)
    [batch] = desk.pull(desk.contract(total=None, status_end=[500]))
    assert desk.rows(batch) == ROWS


def test_the_end_that_was_refused_is_not_asked_for_again(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    server = desk.serve(capped(ROWS[:4], 10, beyond=Answer(b"", status=404)))
    contract = desk.contract(total=None, status_end=[404])
    from chengxin.connectors.http import pull

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pull, "fsync_folder", die)  # killed when all pages are there
        with pytest.raises(KeyboardInterrupt):
            desk.pull(contract)
    assert [a.query["page"] for a in server.asked] == ["1", "2", "3", "0"]
    [batch] = desk.pull(contract)
    assert desk.rows(batch) == ROWS[:4]
    assert [a.query["page"] for a in server.asked[4:]] == ["0"]
    assert desk.leftovers() == []


def test_no_data_on_the_first_page_is_an_empty_delivery_by_code_and_an_error_by_status(desk: Desk):
    desk.serve(lambda asked: Answer(b'{"code": 5001, "msg": "no data"}'))
    options = {"total": None, "code": "code", "code_end": ["5001"], "since_param": "since"}
    assert desk.pull(desk.contract("incremental", **options)) == []
    desk.serve(lambda asked: Answer(b"", status=404))
    with pytest.raises(SourceUnavailable, match="HTTP 404"):  # or the path is wrong
        desk.pull(desk.contract("incremental", **options, status_end=[404]))
    assert desk.leftovers() == []


def test_a_code_of_no_more_rows_beside_rows_loses_none(desk: Desk):
    pages = {1: ROWS[:10], 2: ROWS[10:13]}
    desk.serve(
        lambda a: answer({"code": 5001 if (n := int(a.query["page"])) > 1 else 0, "data": {"rows": pages.get(n, [])}})
    )
    [batch] = desk.pull(desk.contract(total=None, code="code", code_end=["5001"]))
    assert desk.rows(batch) == ROWS[:13]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"code_end": ["1"]}, "code_end 需要 code"),
        ({"code": "code", "code_end": ["0"]}, "不能有相同的业务码"),
        ({"status_end": [503]}, "status_end 只能是"),
        ({"status_end": [301]}, "status_end 只能是"),
        ({"status_end": [404], "paging": "none"}, "没有下一页"),
    ],
)
def test_ends_that_mean_something_else_are_refused(desk: Desk, options, words):
    desk.serve(capped(ROWS, 10))
    with pytest.raises(ContractError, match=words):
        desk.pull(desk.contract(**options))


@pytest.mark.parametrize(
    ("around", "words"),
    [
        ({"data": {"rows": ROWS[:10], "totalCount": 25}}, "totalCount=25"),
        ({"data": {"rows": ROWS[:10], "total": "25"}}, "total=25"),
        ({"data": {"rows": ROWS[:10]}, "page": {"total_pages": 3, "number": 1}}, "total_pages=3"),
        ({"data": {"rows": ROWS[:10], "total": 10, "pages": 3}}, "pages=3"),
        ({"data": {"rows": ROWS[:10], "hasNext": True}}, "hasNext=true"),
        ({"data": {"rows": ROWS[:10], "last": False}}, "last=false"),
        ({"data": {"rows": ROWS[:10]}, "count": 25, "next": "http://x/?page=2", "previous": None}, "count=25"),
        ({"data": {"rows": ROWS[:10]}, "next_cursor": "c2"}, "next_cursor"),
        ({"data": {"rows": ROWS[:10]}, "_links": {"next": {"href": "/a?p=2"}}}, "next"),
        ({"data": {"rows": ROWS[:10]}, "总数": 25}, "总数=25"),
        ({"data": {"rows": ROWS[:10], "total": {"value": 25, "relation": "eq"}}}, "total=25"),
    ],
)
@pytest.mark.parametrize("paging", [{"paging": "none"}, {"page_size": 0}])
def test_one_page_that_itself_says_that_there_is_more_is_refused(desk: Desk, around, words, paging):
    desk.serve(lambda asked: answer(around))
    with pytest.raises(DeliveryCorrupt, match=words):
        desk.pull(desk.contract(total=None, **paging))
    assert desk.leftovers() == []
    name = words.partition("=")[0]
    unrelated = ["count", "next"] if name == "count" else [name]
    assert len(desk.pull(desk.contract(total=None, **paging, not_paging=unrelated))) == 1


@pytest.mark.parametrize(
    "around",
    [
        {"total": 4}, {"total": 4, "pages": 1, "hasNextPage": False, "isLastPage": True, "nextPage": 0, "pageNum": 1},
        {"count": 4, "next": None, "previous": None}, {"totalElements": 4, "totalPages": 1, "last": True, "number": 0},
        {"current": 1, "size": 10, "pages": 1, "total": 4, "orders": [], "searchCount": True}, {"total": None},
        {"links": {"self": "/x", "next": ""}}, {"lastPage": True, "totalPage": 1, "totalRow": 4, "pageNumber": 1},
        {"total": 2}, {"recordCount": 4, "status": "SUCCESS"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("paging", [{"paging": "none"}, {"page_size": 0}, {}, {"paging": "cursor", "next": "data.c"}])
def test_usual_fields_beside_a_whole_list_raise_no_alarm(desk: Desk, around, paging):
    desk.serve(
        lambda a: answer({"data": {"rows": ROWS[:4] if a.query.get("page", "1") == "1" else [], "c": None, **around}})
    )
    [batch] = desk.pull(desk.contract(total=None, **paging))
    assert desk.rows(batch) == ROWS[:4]


def test_one_page_with_a_link_to_the_next_in_its_header_is_refused(desk: Desk):
    desk.serve(lambda asked: rows_answer(ROWS[:10], Link='<?page=2>; rel="next"'))
    with pytest.raises(DeliveryCorrupt, match="Link: rel=next"):
        desk.pull(desk.contract(paging="none", total=None))


def test_pages_without_a_declared_total_that_end_before_what_the_answer_counts_are_refused(desk: Desk):
    # The server gives nothing beyond its second page, and counts on.
    desk.serve(capped(ROWS[:20], 10, lambda page, start: 25))
    with pytest.raises(DeliveryCorrupt, match="total=25，而只收到 2 页、20 行"):
        desk.pull(desk.contract(total=None))


@pytest.mark.parametrize("hint", [{"hasNext": True}, {"totalPages": 5}])
def test_an_empty_page_in_the_middle_that_says_that_more_follows_is_no_end(desk: Desk, hint):
    pages = {1: ROWS[:10], 2: [], 3: ROWS[20:25]}
    desk.serve(lambda a: answer({"data": {"rows": pages.get(int(a.query["page"]), [])}, **hint}))
    with pytest.raises(DeliveryCorrupt, match=f"{next(iter(hint))}="):
        desk.pull(desk.contract(total=None))


def test_pages_that_begin_at_nought_where_the_contract_begins_at_one_are_noticed_by_what_the_answer_counts(desk: Desk):
    def behave(asked: Asked) -> Answer:
        start = int(asked.query["page"]) * 10
        return answer({"data": {"rows": ROWS[start : start + 10]}, "page": {"totalElements": 25, "totalPages": 3}})

    desk.serve(behave)
    with pytest.raises(DeliveryCorrupt, match=r"totalElements=25.*first_page"):
        desk.pull(desk.contract(total=None))
    [batch] = desk.pull(desk.contract(total=None, first_page=0))
    assert desk.rows(batch) == ROWS


@pytest.mark.parametrize("rows", [ROWS, ROWS[:4]])
@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_pages_that_begin_at_nought_are_noticed_where_the_answer_counts_nothing(desk: Desk, rows, mode):
    desk.serve(lambda a: rows_answer(rows[(start := int(a.query["page"]) * 10) : start + 10]))
    with pytest.raises(DeliveryCorrupt, match=rf"第 0 页另有 {min(10, len(rows))} 行.*first_page: 0"):
        desk.pull(desk.contract(mode, total=None))
    assert desk.leftovers() == []
    [batch] = desk.pull(desk.contract(mode, total=None, first_page=0))
    assert desk.rows(batch) == rows


@pytest.mark.parametrize(
    "nought",
    [
        Answer(b"", status=400),
        Answer(b"", status=403),
        Answer(b"<html>blocked</html>", headers={"Content-Type": "text/html"}),
        rows_answer(ROWS[:10]),
        rows_answer(ROWS[15:]),
        rows_answer(ROWS),
        rows_answer([]),
        answer({"code": 500, "msg": "error"}),
    ],
)
def test_whatever_a_server_answers_to_page_nought_beside_rows_of_its_own_does_no_harm(desk: Desk, nought):
    server = desk.serve(lambda a: nought if a.query["page"] == "0" else capped(ROWS, 10)(a))
    contract = desk.contract("incremental", total=None, since_param="since")
    [batch] = desk.pull(contract)
    assert desk.rows(batch) == ROWS
    server.asked.clear()
    desk.pull(contract)  # the numbers of its pages are known by now
    assert "0" not in [a.query["page"] for a in server.asked]


def test_no_row_where_the_answer_counts_some_is_not_nothing_new(desk: Desk):
    state = {"rows": ROWS[:3]}
    desk.serve(lambda a: answer({"data": {"rows": state["rows"] if a.query["page"] == "1" else [], "total": 3}}))
    contract = desk.contract("incremental", since_param="since")
    assert len(desk.pull(contract)) == 1
    state["rows"] = []
    with pytest.raises(DeliveryCorrupt, match="声明共 3 行，实际收到 0 行"):
        desk.pull(contract)
    with pytest.raises(DeliveryCorrupt, match="total=3"):
        desk.pull(desk.contract("incremental", since_param="since", total=None))
    assert desk.leftovers() == []


def test_a_server_that_gives_ten_rows_whatever_is_asked_for_is_not_read_as_whole(desk: Desk):
    desk.serve(lambda asked: rows_answer(ROWS[:10]))
    with pytest.raises(DeliveryCorrupt, match="只给 10 行而不理会分页参数"):
        desk.pull(desk.contract(total=None, page_size=500))
    [batch] = desk.pull(desk.contract(total=None, paging="none"))
    assert desk.rows(batch) == ROWS[:10]


def test_a_next_that_is_nowhere_on_a_full_page_is_refused(desk: Desk):
    def behave(asked: Asked) -> Answer:
        return answer({"data": {"rows": ROWS[:10], "nextMark": "m2"}})

    desk.serve(behave)
    with pytest.raises(DeliveryCorrupt, match=r"没有下一页游标“data.mark”.*next"):
        desk.pull(desk.contract(paging="cursor", next="data.mark", total=None))


@pytest.mark.parametrize("around", [{"hasMore": True}, {"nextCursor": "c2"}, {"total": 25}])
def test_a_next_that_is_nowhere_on_a_short_page_is_refused_where_the_answer_says_that_there_is_more(desk: Desk, around):
    desk.serve(lambda asked: answer({"data": {"rows": ROWS[:4], **around}}))
    with pytest.raises(DeliveryCorrupt, match=f"{next(iter(around))}"):
        desk.pull(desk.contract(paging="cursor", next="data.mark", total=None))


@pytest.mark.parametrize("around", [{"total": 10}, {"hasMore": False}, {"next": None}])
def test_a_next_that_is_left_out_on_a_page_that_is_all_is_the_end(desk: Desk, around):
    desk.serve(lambda asked: answer({"data": {"rows": ROWS[:10], **around}}))
    [batch] = desk.pull(desk.contract(paging="cursor", next="data.mark", total=None))
    assert desk.rows(batch) == ROWS[:10]


def test_a_next_that_is_left_out_on_a_full_last_page_is_the_end(desk: Desk):
    def behave(asked: Asked) -> Answer:
        start = int(asked.query.get("cursor", "0"))
        following = {"next": str(start + 10)} if start + 10 < 20 else {}
        return answer({"data": {"rows": ROWS[start : min(start + 10, 20)], **following}})

    desk.serve(behave)
    [batch] = desk.pull(desk.contract(paging="cursor", next="data.next", total=None))
    assert desk.rows(batch) == ROWS[:20]


def by_stamp(rows, cap, **around):
    def behave(asked: Asked) -> Answer:
        since = int(asked.query.get("since", "0"))
        return answer({"data": {"rows": [r for r in rows if r["updated"] >= since][:cap], **around}})

    return behave


@pytest.mark.parametrize("cap", [4, 7, 500])
@pytest.mark.parametrize("rows", [STAMPED, STAMPED[:1], STAMPED[:2], STAMPED[:3], STAMPED[:4], []])
def test_by_time_stamp_a_server_that_gives_less_than_asked_for_is_read_to_its_end(desk: Desk, rows, cap):
    server = desk.serve(by_stamp(rows, cap))
    [batch] = desk.pull(desk.contract(**TIME, page_size=50))
    assert {row["id"] for row in desk.rows(batch)} == {row["id"] for row in rows}
    if cap == 500:
        assert desk.rows(batch) == rows  # what comes once more at the end does not land
        assert len(server.asked) == (2 if rows else 1)


@pytest.mark.parametrize("key", [["id"], []])
def test_by_time_stamp_rows_of_one_moment_beyond_what_the_server_gives_are_not_missed(desk: Desk, key):
    rows = [{**row, "updated": 5 if row["id"] < 13 else 6} for row in ROWS]
    desk.serve(by_stamp(rows, 10))
    for size in (10, 50):
        with pytest.raises(DeliveryCorrupt, match=r"同一时间戳的记录可能超过一页（10 行）"):
            desk.pull(desk.contract(**TIME, page_size=size, key=key))


def test_by_time_stamp_a_load_of_one_moment_is_read_once_unless_it_is_as_long_as_pages_are(desk: Desk):
    rows = [{**row, "updated": 5} for row in ROWS]
    desk.serve(by_stamp(rows[:13], 500))
    [batch] = desk.pull(desk.contract(**TIME, page_size=50))
    assert desk.rows(batch) == rows[:13]
    desk.serve(by_stamp(rows, 20))
    with pytest.raises(DeliveryCorrupt, match="同一时间戳的记录可能超过一页（20 行）"):
        desk.pull(desk.contract(**TIME, page_size=50))
    desk.serve(by_stamp(rows[:20], 500, total=20))
    [batch] = desk.pull(desk.contract(**TIME, page_size=50))
    assert desk.rows(batch) == rows[:20]


def test_by_time_stamp_a_filter_that_leaves_the_moment_out_is_refused_on_the_last_page_too(desk: Desk):
    desk.serve(
        lambda a: answer({"data": {"rows": [r for r in STAMPED if r["updated"] > int(a.query.get("since", 0))][:50]}})
    )
    with pytest.raises(DeliveryCorrupt, match="不早于"):
        desk.pull(desk.contract(**TIME, page_size=50))


@pytest.mark.parametrize("empty", [[], None])
def test_an_empty_page_before_others_is_no_end(desk: Desk, empty):
    def behave(asked: Asked) -> Answer:
        page = int(asked.query["page"])
        rows = empty if page == 2 else ROWS[(page - 1) * 10 : page * 10] if page else []
        return Answer(json.dumps({"data": {"rows": rows}}, ensure_ascii=False).encode())

    desk.serve(behave)
    with pytest.raises(DeliveryCorrupt, match="有一页是空的或不完整，再问它或其后的一页却有 5 行"):
        desk.pull(desk.contract(total=None))


@pytest.mark.parametrize(
    "said",
    [
        {"partial": True},
        {"timed_out": True},
        {"success": False},
        {"errors": ["4 rows skipped"]},
        {"error": {"id": 7}},
        {"msg": "数据量过大，仅返回前 10 条"},
        {"warning": "超时，仅返回部分数据"},
    ],
)
def test_a_page_that_says_that_it_is_only_a_part_is_not_taken(desk: Desk, said):
    def behave(asked: Asked) -> Answer:
        page = int(asked.query["page"])
        rows = ROWS[(page - 1) * 10 : page * 10] if page else []
        more = said if page == 2 else {}
        return Answer(json.dumps({"data": {"rows": rows}, **more}, ensure_ascii=False).encode())

    desk.serve(behave)
    with pytest.raises(DeliveryCorrupt, match="没有给全"):
        desk.pull(desk.contract(total=None, passes=1))
    assert len(desk.pull(desk.contract(total=None, not_paging=list(said)))) == 1


@pytest.mark.parametrize("said", [{"errors": []}, {"error": None}, {"msg": "返回全部数据，部分字段已脱敏"}])
def test_a_page_that_says_that_nothing_failed_is_taken(desk: Desk, said):
    def behave(asked: Asked) -> Answer:
        page = int(asked.query["page"])
        rows = ROWS[(page - 1) * 10 : page * 10] if page else []
        return Answer(json.dumps({"data": {"rows": rows}, **said}, ensure_ascii=False).encode())

    desk.serve(behave)
    assert len(desk.pull(desk.contract(total=None))) == 1
