"""Where a pull ends: by the declared total, else by the empty page beyond the last; and what is refused as no proof."""

import json

import pytest

from chengxin.connectors import landing
from chengxin.errors import ContractError, DeliveryCorrupt, SourceUnavailable
from chengxin.home import Home
from http_sources import ROWS, Desk
from servers import Answer, Asked, rows_answer

pytestmark = pytest.mark.server


def answer(value) -> Answer:
    return Answer(json.dumps(value, ensure_ascii=False).encode())


def capped(rows, cap, total=None, beyond=None):
    """Page by number, never more than `cap` rows. total: of (page, start); beyond: what comes after the last page."""

    def behave(asked: Asked) -> Answer:
        start = (int(asked.query.get("page", 1)) - 1) * cap
        page = rows[start : start + cap]
        if not page and beyond:
            return beyond
        return answer({"code": 0, "data": {"rows": page} | ({} if total is None else {"total": total(page, start)})})

    return behave


def repeating(pages, total=None):
    """Give the last page again for any number beyond it, as common paging libraries do."""
    return lambda asked: rows_answer(pages[min(int(asked.query["page"]), len(pages)) - 1], total)


# -- with a total


@pytest.mark.parametrize(
    ("total", "words"),
    [
        (lambda page, start: len(page), "可能只是本页的"),
        (lambda page, start: start + len(page), "可能只是本页的"),
        (lambda page, start: 8, "声明共 8 行，实际收到 14 行"),
        (lambda page, start: 26, "声明共 26 行，实际收到 25 行"),
        (lambda page, start: None, "第一页没有合同声明的总行数"),
    ],
)
def test_rows_must_be_as_many_as_the_total(desk: Desk, total, words):
    desk.serve(capped(ROWS, 7, total))
    with pytest.raises(DeliveryCorrupt, match=words):
        desk.pull(desk.contract(page_size=500))
    assert desk.leftovers() == []


def test_no_row_is_asked_for_beyond_the_total(desk: Desk):
    server = desk.serve(capped(ROWS, 10, lambda page, start: 25))
    [batch] = desk.pull(desk.contract())
    assert desk.rows(batch) == ROWS
    assert len(server.asked) == 3


BEYOND = {
    "404": Answer(b"no such page", status=404),
    "500": Answer(b"", status=500),
    "204": Answer(b"", status=204),
    "code": Answer(b'{"code": 5001, "msg": "no data"}'),
    "null": Answer(b'{"code": 0, "data": null}'),
    "no list": Answer(b'{"code": 0}'),
    "empty": rows_answer([], 0),
    "the page again": answer({"code": 0, "data": {"rows": ROWS[:4], "total": 4}}),
}


@pytest.mark.parametrize("beyond", BEYOND)
def test_a_total_of_one_page_is_proved_by_the_next_one(desk: Desk, beyond):
    server = desk.serve(capped(ROWS[:4], 10, lambda page, start: 4, BEYOND[beyond]))
    code = {} if beyond == "empty" else {"code": "code", "code_ok": ["0"]}
    [batch] = desk.pull(desk.contract(**code))
    assert desk.rows(batch) == ROWS[:4]
    assert {a.query["page"] for a in server.asked} == {"1", "2"}


@pytest.mark.parametrize("status", [401, 403, 503])
def test_an_answer_that_shows_no_end_is_none(desk: Desk, status):
    refusal = [Answer(b"", status=status)]
    desk.serve(lambda asked: capped(ROWS[:4], 10, lambda page, start: 4, refusal[0] if refusal else None)(asked))
    contract = desk.contract(attempts=1)
    with pytest.raises(SourceUnavailable, match=str(status)):
        desk.pull(contract)
    refusal.clear()
    [batch] = desk.pull(contract)  # the page that came is kept
    assert desk.rows(batch) == ROWS[:4]


def test_no_row_where_the_total_counts_some_is_refused(desk: Desk):
    state = {"rows": ROWS[:3]}
    desk.serve(lambda a: answer({"data": {"rows": state["rows"] if a.query["page"] == "1" else [], "total": 3}}))
    contract = desk.contract("incremental", since_param="since")
    assert len(desk.pull(contract)) == 1
    state["rows"] = []
    with pytest.raises(DeliveryCorrupt, match="声明共 3 行，实际收到 0 行"):
        desk.pull(contract)
    assert desk.leftovers() == []


def test_with_a_total_a_repeated_last_page_is_never_reached(desk: Desk):
    for pages in ([ROWS[:10], ROWS[10:20], ROWS[20:25]], [ROWS[:10]]):
        rows = [row for page in pages for row in page]
        desk.serve(repeating(pages, len(rows)))
        [batch] = desk.pull(desk.contract())
        assert desk.rows(batch) == rows


# -- without


@pytest.mark.parametrize("cap", [10, 7, 5])
def test_without_a_total_only_an_empty_page_is_the_end(desk: Desk, cap):
    server = desk.serve(capped(ROWS, cap))
    [batch] = desk.pull(desk.contract(total=None))
    assert desk.rows(batch) == ROWS
    assert [int(a.query["page"]) for a in server.asked] == list(range(1, -(-25 // cap) + 2))


@pytest.mark.parametrize(
    "pages",
    [[ROWS[:10]], [ROWS[:10], ROWS[10:13]], [ROWS[:5], ROWS[5:10], ROWS[:5]], [ROWS[:5], ROWS[::-1][:5], ROWS[:5]]],
)
def test_a_page_that_comes_again_is_refused(desk: Desk, pages):
    desk.serve(repeating(pages))
    with pytest.raises(DeliveryCorrupt, match=r"重复返回同样的一页.*请在合同中声明 total"):
        desk.pull(desk.contract(total=None))
    assert desk.leftovers() == []


def test_a_page_that_comes_again_is_refused_with_a_total(desk: Desk):
    pages = [ROWS[:5], ROWS[5:10], ROWS[:5], ROWS[15:20]]  # the third came out of a cache
    desk.serve(lambda asked: rows_answer(dict(enumerate(pages, 1)).get(int(asked.query["page"]), []), 20))
    with pytest.raises(DeliveryCorrupt, match="重复返回"):
        desk.pull(desk.contract(page_size=5))


def test_pages_by_number_need_their_first_one(desk: Desk):
    desk.serve(lambda a: rows_answer(ROWS[(start := int(a.query["page"]) * 10) : start + 10]))
    bare = desk.contract(total=None)
    options = {k: v for k, v in bare.delivery.options.items() if k != "first_page"}
    with pytest.raises(ContractError, match="first_page"):
        desk.pull(bare.model_copy(update={"delivery": bare.delivery.model_copy(update={"options": options})}))
    [batch] = desk.pull(desk.contract(total=None, first_page=0))
    assert desk.rows(batch) == ROWS


@pytest.mark.parametrize(
    ("beyond", "options", "advice"),
    [
        (Answer(b"<h1>Not Found</h1>", status=404), {"status_end": [404]}, r"status_end: \[404\]"),
        (Answer(b"", status=500), {"status_end": [500]}, r"status_end: \[500\]"),
        (Answer(b"", status=204), {"status_end": [204]}, r"status_end: \[204\]"),
        (Answer(b'{"code": 5001, "msg": "no data"}'), {"code_end": ["5001"]}, r'code_end: \["5001"\]'),
    ],
)
def test_what_comes_beyond_the_last_page_can_be_declared(desk: Desk, beyond, options, advice):
    server = desk.serve(capped(ROWS, 10, beyond=beyond))
    common = {"total": None, "code": "code", "code_ok": ["0"]}
    with pytest.raises(SourceUnavailable, match=rf"第 4 页.*{advice}"):
        desk.pull(desk.contract(**common))
    server.asked.clear()
    [batch] = desk.pull(desk.contract(**common, **options))
    assert desk.rows(batch) == ROWS
    assert list(dict.fromkeys(int(a.query["page"]) for a in server.asked)) == [1, 2, 3, 4]
    assert desk.leftovers() == []


def test_a_passing_error_is_tried_again_though_declared_as_end(desk: Desk):
    failed: list[str] = []

    def behave(asked: Asked) -> Answer:
        if asked.query["page"] == "2" and not failed:
            failed.append("2")
            return Answer(b"", status=500)
        return capped(ROWS, 10, beyond=Answer(b"", status=500))(asked)

    desk.serve(behave)
    [batch] = desk.pull(desk.contract(total=None, status_end=[500]))
    assert desk.rows(batch) == ROWS


def test_an_end_that_was_refused_is_not_asked_for_again(desk: Desk):
    server = desk.serve(capped(ROWS[:4], 10, beyond=Answer(b"", status=404)))
    contract = desk.contract(total=None, status_end=[404])
    [delivery] = landing.offered(Home(desk.settings), contract)
    kept = desk.settings.home / "landing" / "tax_arrears" / delivery.locator.pull / "pass-1"
    (kept / "page-00002.end").touch()  # as a run leaves it that is killed then
    [batch] = desk.pull(contract)
    assert desk.rows(batch) == ROWS[:4]
    assert [a.query["page"] for a in server.asked] == ["1"]
    assert desk.leftovers() == []


def test_no_data_at_first_is_empty_by_code_an_error_by_status(desk: Desk):
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
        ({"next_omitted": True}, "next_omitted 需要 next"),
    ],
)
def test_ends_that_mean_something_else_are_refused(desk: Desk, options, words):
    desk.serve(capped(ROWS, 10))
    with pytest.raises(ContractError, match=words):
        desk.pull(desk.contract(**options))


# -- by cursor


def by_cursor(place, total=None):
    """Page by cursor; the last page lacks the place of the next one."""

    def behave(asked: Asked) -> Answer:
        start = int(asked.query.get("cursor", "0"))
        following = {place: str(start + 10)} if start + 10 < len(ROWS) else {}
        return answer({"data": {"rows": ROWS[start : start + 10], **following, "total": total}})

    return behave


@pytest.mark.parametrize("place", ["next", "nextMark"])
def test_a_page_without_the_place_of_the_next_is_no_last_page(desk: Desk, place):
    desk.serve(by_cursor(place))
    contract = desk.contract(paging="cursor", next="data.next", total=None)
    with pytest.raises(DeliveryCorrupt, match=r"没有“data.next”.*next_omitted"):
        desk.pull(contract)
    assert desk.leftovers() == []


@pytest.mark.parametrize("how", [{"next_omitted": True, "total": None}, {"total": "data.total"}])
def test_a_next_that_the_last_page_omits_can_be_declared(desk: Desk, how):
    server = desk.serve(by_cursor("next", 25))
    [batch] = desk.pull(desk.contract(paging="cursor", next="data.next", **how))
    assert desk.rows(batch) == ROWS
    assert len(server.asked) == 3


def test_a_cursor_that_ends_before_the_total_is_refused(desk: Desk):
    desk.serve(by_cursor("nextMark", 25))
    with pytest.raises(DeliveryCorrupt, match="声明共 25 行，实际收到 10 行"):
        desk.pull(desk.contract(paging="cursor", next="data.next", passes=1))
