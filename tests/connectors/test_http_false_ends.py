"""Pages that only look like the end of a pull: faults of one moment, and answers out of a cache."""

import json

import pytest

from chengxin.errors import DeliveryCorrupt
from http_sources import ROWS, Desk
from servers import Answer, Asked, rows_answer

pytestmark = pytest.mark.server
CACHED = {
    "the last page is the first": ([ROWS[:5], ROWS[5:10], ROWS[:5]], "其后的一页却是空的"),
    "the last page is the one before": ([ROWS[:5], ROWS[5:10], ROWS[5:10]], "其后的一页却是空的"),
    "a page is the last": ([ROWS[:5], ROWS[10:15], ROWS[5:10], ROWS[10:15]], "重复返回"),
}


@pytest.mark.parametrize("case", CACHED)
def test_a_page_out_of_a_cache_is_not_taken_for_the_end(desk: Desk, case):
    pages, words = CACHED[case]
    desk.serve(lambda asked: rows_answer(dict(enumerate(pages, 1)).get(int(asked.query["page"]), [])))
    with pytest.raises(DeliveryCorrupt, match=words):
        desk.pull(desk.contract(total=None, page_size=5))
    assert desk.leftovers() == []


def test_a_page_out_of_a_cache_is_not_taken_for_equal_rows(desk: Desk):
    pages = [ROWS[:5], ROWS[5:10], ROWS[:5], ROWS[15:20]]
    desk.serve(lambda asked: rows_answer(dict(enumerate(pages, 1)).get(int(asked.query["page"]), []), 20))
    with pytest.raises(DeliveryCorrupt, match="两页的记录完全相同"):
        desk.pull(desk.contract(page_size=5))


def by_cursor(rows, faulty, *, forgets=False):
    """Page by cursor; the second page is `faulty` the first time. forgets: a cursor holds once."""
    asked_for: list[str] = []

    def behave(asked: Asked) -> Answer:
        cursor = asked.query.get("cursor", "0")
        asked_for.append(cursor)
        start = int(cursor)
        if forgets and asked_for.count(cursor) > 1:
            return Answer(b"{}", status=404)
        if start == 10 and asked_for.count(cursor) == 1 and faulty is not None:
            return Answer(json.dumps(faulty).encode())
        following = {"next": str(start + 10)} if start + 10 < len(rows) else {}
        return Answer(
            json.dumps({"data": {"rows": rows[start : start + 10], **following}}, ensure_ascii=False).encode()
        )

    return behave


@pytest.mark.parametrize(
    "faulty",
    [
        {"data": None},
        {"data": {"rows": []}},
        {"data": {"rows": [], "next": None}},
        {"data": {"rows": ROWS[10:12]}},
        {"data": {"rows": ROWS[10:20], "next": None}},
    ],
)
def test_by_cursor_a_page_that_ends_the_list_by_what_it_lacks_is_asked_for_again(desk: Desk, faulty):
    contract = desk.contract(total=None, paging="cursor", next="data.next")
    desk.serve(by_cursor(ROWS, faulty))
    with pytest.raises(DeliveryCorrupt, match="再问它或其后的一页却有 10 行"):
        desk.pull(contract)
    assert desk.leftovers() == []
    for forgets in (False, True):
        server = desk.serve(by_cursor(ROWS, None, forgets=forgets))
        [batch] = desk.pull(contract)
        assert desk.rows(batch) == ROWS
        assert [a.query.get("cursor") for a in server.asked] == [None, "10", "20", "20"]


@pytest.mark.parametrize("paging", ["page", "offset"])
def test_an_empty_page_that_was_a_fault_of_one_moment_is_no_end(desk: Desk, paging):
    def behave(asked: Asked) -> Answer:
        start = int(asked.query["offset"]) if paging == "offset" else (int(asked.query["page"]) - 1) * 10
        again = sum(a.query == asked.query for a in server.asked) > 1
        return rows_answer(ROWS[start : start + 10] if start < 20 or again else [])

    server = desk.serve(behave)
    with pytest.raises(DeliveryCorrupt, match="再问它或其后的一页却有 5 行"):
        desk.pull(desk.contract(total=None, paging=paging))


@pytest.mark.parametrize("paging", ["cursor", "link"])
def test_a_full_first_page_that_says_it_is_the_last_is_asked_for_again(desk: Desk, paging):
    def behave(asked: Asked) -> Answer:
        following = "/api/arrears?cursor=10" if paging == "link" else "10"
        rows = ROWS[10:] if "cursor" in asked.query else ROWS[:10]
        more = following if len(server.asked) > 1 and "cursor" not in asked.query else None
        return Answer(json.dumps({"data": {"rows": rows, "next": more}}, ensure_ascii=False).encode())

    server = desk.serve(behave)
    contract = desk.contract(total=None, paging=paging, next="data.next")
    with pytest.raises(DeliveryCorrupt, match="再问它或其后的一页却有 10 行"):
        desk.pull(contract)
    desk.serve(lambda asked: Answer(json.dumps({"data": {"rows": ROWS[:10], "next": None}}).encode()))
    [batch] = desk.pull(contract)
    assert len(desk.rows(batch)) == 10
