"""Every way of paging against a server that really pages so, and servers whose pages do not fit together."""

import json
from datetime import datetime

import pytest

from chengxin.clock import SHANGHAI
from chengxin.errors import ContractError, DeliveryCorrupt, SourceUnavailable
from http_sources import ROWS, Desk, page_of, paged
from servers import Answer, Asked, rows_answer

pytestmark = pytest.mark.server
OFFSET = {"paging": "offset", "size_param": "limit"}


def by_offset(rows):
    def behave(asked: Asked) -> Answer:
        start, limit = int(asked.query["offset"]), int(asked.query["limit"])
        return rows_answer(rows[start : start + limit], len(rows))

    return behave


@pytest.mark.parametrize("cap", [10, 4])
def test_by_offset_also_where_the_server_gives_smaller_pages(desk: Desk, cap):
    def behave(asked: Asked) -> Answer:
        start = int(asked.query["offset"])
        return rows_answer(ROWS[start : start + cap], len(ROWS))

    server = desk.serve(behave)
    [batch] = desk.pull(desk.contract(**OFFSET))
    assert desk.rows(batch) == ROWS
    assert [a.query["offset"] for a in server.asked] == [str(n) for n in range(0, 25, cap)]


@pytest.mark.parametrize("rows", [ROWS[:23], ROWS[:3], ROWS[:2], []])
def test_by_offset_without_a_total_a_server_that_gives_fewer_rows_than_asked_for_is_read_to_its_end(desk: Desk, rows):
    server = desk.serve(lambda a: rows_answer(rows[int(a.query["offset"]) :][:3]))
    [batch] = desk.pull(desk.contract(**OFFSET, total=None, page_size=5))
    assert desk.rows(batch) == rows
    starts = [*range(0, len(rows), 3), len(rows)]  # until nothing comes
    assert [a.query["offset"] for a in server.asked] == [str(n) for n in starts]


def test_without_a_total_a_short_page_in_the_middle_is_not_the_end(desk: Desk):
    pages = [ROWS[:5], ROWS[5:8], ROWS[8:13], ROWS[13:18], ROWS[18:23]]
    desk.serve(lambda asked: rows_answer(dict(enumerate(pages, 1)).get(int(asked.query["page"]), [])))
    [batch] = desk.pull(desk.contract(total=None, page_size=5))
    assert desk.rows(batch) == ROWS[:23]


@pytest.mark.parametrize("rows", [ROWS[:2], ROWS[:3], ROWS])
def test_an_overlap_without_a_total_ends_where_nothing_new_comes(desk: Desk, rows):
    desk.serve(lambda a: rows_answer(rows[int(a.query["offset"]) :][:7]))
    [batch] = desk.pull(desk.contract(**OFFSET, total=None, overlap_rows=3))
    assert {row["id"] for row in desk.rows(batch)} == {row["id"] for row in rows}


def test_an_overlap_as_large_as_what_the_server_gives_at_once_is_refused(desk: Desk):
    desk.serve(lambda a: rows_answer(ROWS[int(a.query["offset"]) :][:3]))
    with pytest.raises(DeliveryCorrupt, match="重复返回"):
        desk.pull(desk.contract(**OFFSET, total=None, overlap_rows=3))


def test_by_offset_with_an_overlap_that_shows_that_nothing_moved(desk: Desk):
    server = desk.serve(by_offset(ROWS))
    [batch] = desk.pull(desk.contract(**OFFSET, overlap_rows=1))
    assert [a.query["offset"] for a in server.asked] == ["0", "9", "18"]
    assert {row["id"] for row in desk.rows(batch)} == set(range(25))


def test_rows_that_move_between_pages_are_seen_by_the_overlap_and_pulled_anew(desk: Desk):
    state = {"rows": ROWS}

    def behave(asked: Asked) -> Answer:
        answer = by_offset(state["rows"])(asked)
        if len(server.asked) == 1:
            # One leaves the part that was read, one comes to the rest: the total tells nothing.
            state["rows"] = [*ROWS[1:], {**ROWS[0], "id": 99}]
        return answer

    server = desk.serve(behave)
    [batch] = desk.pull(desk.contract(**OFFSET, overlap_rows=1))
    assert {row["id"] for row in desk.rows(batch)} == {*range(1, 25), 99}
    assert [a.query["offset"] for a in server.asked] == ["0", "9", "0", "9", "18"]


@pytest.mark.parametrize("last", [None, False, "", 0])
def test_by_cursor_until_there_is_no_next(desk: Desk, last):
    def behave(asked: Asked) -> Answer:
        start = int(asked.query.get("cursor", "c0")[1:])
        following = f"c{start + 10}" if start + 10 < len(ROWS) else last
        return Answer(json.dumps({"data": {"rows": ROWS[start : start + 10], "next": following}}).encode())

    server = desk.serve(behave)
    [batch] = desk.pull(desk.contract(paging="cursor", next="data.next", total=None))
    assert desk.rows(batch) == ROWS
    assert [a.query.get("cursor") for a in server.asked] == [None, "c10", "c20"]


def test_a_cursor_that_runs_in_a_circle_is_noticed(desk: Desk):
    def behave(_: Asked) -> Answer:
        n = len(server.asked)
        return Answer(json.dumps({"data": {"rows": [ROWS[n % 25]], "next": f"c{n % 2}"}}).encode())

    server = desk.serve(behave)
    with pytest.raises(DeliveryCorrupt, match="又指向前面的一页"):
        desk.pull(desk.contract(paging="cursor", next="data.next", total=None))
    assert len(server.asked) < 5


def test_windows_of_time_are_asked_one_after_the_other_with_an_overlap_at_the_start(desk: Desk):
    desk.now = datetime.fromisoformat("2026-11-20T12:00:00+08:00")
    day = [datetime(2026, 11, 17 + n // 7, n % 7, tzinfo=SHANGHAI) for n in range(25)]

    def behave(asked: Asked) -> Answer:
        since, until = (datetime.fromisoformat(asked.query[k]).astimezone(SHANGHAI) for k in ("since", "until"))
        found = [row for row, moment in zip(ROWS, day, strict=True) if since <= moment < until]
        return page_of(found, asked)

    server = desk.serve(behave)
    windows = {
        "since_param": "since", "until_param": "until", "start": "2026-11-17", "window_hours": 24,
        "overlap_seconds": 3600, "page_size": 5,
    }  # fmt: skip
    [batch] = desk.pull(desk.contract("incremental", **windows))
    assert [row["id"] for row in desk.rows(batch)] == list(range(25))
    assert {a.query["since"] for a in server.asked} == {f"2026-11-{n}T00:00:00+08:00" for n in (17, 18, 19, 20)}
    assert server.asked[-1].query["until"] == "2026-11-20T12:00:00+08:00"
    server.asked.clear()
    desk.now = datetime.fromisoformat("2026-11-20T13:00:00+08:00")
    desk.pull(desk.contract("incremental", **windows))
    assert server.asked[0].query["since"] == "2026-11-20T11:00:00+08:00"


def test_nothing_new_in_any_window_is_no_delivery_and_leaves_nothing(desk: Desk):
    desk.now = datetime.fromisoformat("2026-11-20T12:00:00+08:00")
    state = {"rows": ROWS[:3]}
    server = desk.serve(lambda asked: page_of(state["rows"], asked))
    options = {"since_param": "since", "until_param": "until", "start": "2026-11-20", "window_hours": 6}
    contract = desk.contract("incremental", **options)
    assert len(desk.pull(contract)) == 1
    server.asked.clear()
    state["rows"] = []
    desk.now = datetime.fromisoformat("2026-11-22T12:00:00+08:00")
    assert desk.pull(contract) == []
    assert len(server.asked) == 48 / 6
    assert desk.leftovers() == []


def test_parameters_go_into_a_json_object_as_numbers(desk: Desk):
    def behave(asked: Asked) -> Answer:
        start = (asked.json["pageNum"] - 1) * asked.json["pageSize"]
        return rows_answer(ROWS[start : start + asked.json["pageSize"]], len(ROWS))

    server = desk.serve(behave)
    options = {"page_param": "pageNum", "size_param": "pageSize", "query": {"region": "430000", "all": True}}
    [batch] = desk.pull(desk.contract(method="POST", send="json", **options))
    assert desk.rows(batch) == ROWS
    assert server.asked[1].json == {"region": "430000", "all": True, "pageNum": 2, "pageSize": 10}
    assert (server.asked[0].method, server.asked[0].query) == ("POST", {})


def test_parameters_go_into_a_form(desk: Desk):
    server = desk.serve(lambda asked: rows_answer(ROWS[:3], 3))
    desk.pull(desk.contract(method="POST", send="form", query={"地区": "长沙 市"}))
    assert server.asked[0].body == b"%E5%9C%B0%E5%8C%BA=%E9%95%BF%E6%B2%99+%E5%B8%82&page=1&page_size=10"


def test_a_body_template_is_filled_and_its_values_escaped(desk: Desk):
    server = desk.serve(lambda asked: rows_answer(ROWS[:3], 3))
    desk.set_variable("TAX_TOKEN", 'a"b')
    template = '{"head": {"token": "${token}"}, "body": {"page": ${page}, "since": "${since}"}}'
    options = {"body": template, "body_env": {"token": "TAX_TOKEN"}, "since_param": "since"}
    desk.pull(desk.contract(method="POST", send="body", **options))
    assert server.asked[0].json == {"head": {"token": 'a"b'}, "body": {"page": 1, "since": ""}}


def test_a_total_that_changes_while_paging_leads_to_another_pass(desk: Desk):
    state = {"rows": ROWS[:20]}

    def behave(asked: Asked) -> Answer:
        answer = page_of(state["rows"], asked)
        state["rows"] = ROWS
        return answer

    server = desk.serve(behave)
    [batch] = desk.pull(desk.contract())
    assert desk.rows(batch) == ROWS
    assert [a.query["page"] for a in server.asked] == ["1", "2", "3", "1", "2", "3"]
    assert desk.leftovers() == []


def test_a_source_that_never_comes_to_rest_is_given_up(desk: Desk):
    def behave(asked: Asked) -> Answer:
        return page_of(ROWS[: 11 + len(server.asked)], asked)

    server = desk.serve(behave)
    with pytest.raises(DeliveryCorrupt, match="数据一直在变化"):
        desk.pull(desk.contract(passes=2))
    assert desk.leftovers() == []


def overlapping(rows, step=7, size=10):
    """Pages that begin before the one before them ended."""

    def behave(asked: Asked) -> Answer:
        start = (int(asked.query["page"]) - 1) * step
        return rows_answer(rows[start : start + size], len(rows))

    return behave


@pytest.mark.parametrize("key", [["id"], []])
def test_pages_that_overlap_bring_all_rows(desk: Desk, key):
    server = desk.serve(overlapping(ROWS))
    [batch] = desk.pull(desk.contract(key=key))
    assert {row["id"] for row in desk.rows(batch)} == set(range(25))
    # 10 + 10 + 10 rows are more than 25, but not all of them: the fourth page is asked for.
    assert [a.query["page"] for a in server.asked] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("key", [["id"], []])
def test_a_gap_behind_an_overlap_is_noticed(desk: Desk, key):
    pages = {1: ROWS[:10], 2: ROWS[5:15], 3: ROWS[20:25]}
    desk.serve(lambda asked: rows_answer(pages.get(int(asked.query["page"]), []), 25))
    contract = desk.contract(key=key)
    if key:
        with pytest.raises(DeliveryCorrupt, match="其中 5 行重复"):
            desk.pull(contract)
        return
    # Without a key equal rows may be two of the source's own; only a second look at the same rows allows that.
    assert len(desk.pull(contract)) == 1


def test_equal_rows_on_two_pages_are_taken_when_a_second_pass_shows_them_again(desk: Desk):
    rows = [*ROWS[:12], ROWS[3]]
    server = desk.serve(paged(rows))
    [batch] = desk.pull(desk.contract())
    assert desk.rows(batch) == rows
    assert [a.query["page"] for a in server.asked] == ["1", "2", "3"] * 2


def test_overlapping_pages_without_a_total_are_taken_when_they_come_again(desk: Desk):
    pages = {1: ROWS[:10], 2: ROWS[9:15]}
    server = desk.serve(lambda asked: rows_answer(pages.get(int(asked.query["page"]), [])))
    [batch] = desk.pull(desk.contract(total=None))
    assert len(desk.rows(batch)) == 16
    assert [a.query["page"] for a in server.asked] == ["1", "2", "3"] * 2


def test_a_pull_has_bounds(desk: Desk):
    desk.serve(lambda asked: page_of([{"id": n, "text": "x" * 3000} for n in range(2000)], asked))
    with pytest.raises(DeliveryCorrupt, match="超过 2 页"):
        desk.pull(desk.contract(max_pages=2))
    with pytest.raises(DeliveryCorrupt, match="超过 1 MiB"):
        desk.pull(desk.contract(page_size=100, pull_mib=1))
    assert desk.leftovers() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"paging": "cursor"}, "next"),
        ({"send": "json"}, "POST"),
        ({"method": "POST", "send": "body"}, "模板"),
        ({"method": "POST", "send": "body", "body": "${nobody}"}, "nobody"),
        ({"overlap_rows": 1}, "offset"),
        ({"window_hours": 1}, "until_param"),
        ({"headers": {"Authorization": "x"}}, "Authorization"),
        ({"query": {"access_token": "x"}}, "access_token"),
        ({"unwrap": "return"}, "xml"),
    ],
)
def test_options_that_do_not_fit_together_are_named(desk: Desk, options, words):
    desk.serve(paged(ROWS))
    with pytest.raises(ContractError, match=words):
        desk.pull(desk.contract(**options))


def by_link(spell, *, header: bool, rows=ROWS):
    """Page by a link to the next page. spell: makes the link from the server's URL and where the next page starts."""

    def behave(asked: Asked, url: str) -> Answer:
        start = int(asked.query.get("from", "0"))
        following = spell(url, start + 10) if start + 10 < len(rows) else None
        body = {"data": {"rows": rows[start : start + 10]}}
        if header:
            told = f'<{url}/arrears>; rel="first", <{following}>; rel="next"' if following else '<x>; rel="first"'
            return Answer(json.dumps(body).encode(), headers={"Link": told})
        return Answer(json.dumps(body | {"links": {"next": following}}).encode())

    return behave


LINKED = {"paging": "link", "total": None, "size_param": None}


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    "spell",
    [
        lambda url, n: f"{url}/arrears?from={n}&size=10",
        lambda url, n: f"/api/arrears?from={n}",
        lambda url, n: f"?from={n}",
        lambda url, n: f"arrears?from={n}#top",
    ],
)
def test_by_links_absolute_or_relative_in_the_body_or_in_the_header(desk: Desk, spell, header):
    server = desk.serve(lambda asked: by_link(spell, header=header)(asked, server.url))
    [batch] = desk.pull(desk.contract(**LINKED, **({} if header else {"next": "links.next"})))
    assert desk.rows(batch) == ROWS
    assert [(a.path, a.query.get("from")) for a in server.asked] == [("/api/arrears", f) for f in (None, "10", "20")]


@pytest.mark.parametrize(
    "link",
    ["http://127.0.0.1:1/api/arrears?from=10", "//other.example/api/arrears", "/other/arrears", "../arrears",
     "https://127.0.0.1/api/arrears", "file:///etc/passwd"],
)  # fmt: skip
def test_a_link_that_leads_elsewhere_is_refused_unasked(desk: Desk, link):
    server = desk.serve(lambda asked: by_link(lambda *_: link, header=True)(asked, server.url))
    with pytest.raises(SourceUnavailable, match="另一台主机") as told:
        desk.pull(desk.contract(**LINKED))
    assert link not in str(told.value)
    assert len(server.asked) == 1


def test_links_that_run_in_a_circle_are_noticed(desk: Desk):
    rows = [{"id": n} for n in range(500)]
    server = desk.serve(
        lambda asked: by_link(lambda _, n: f"?from={n % 20}", header=False, rows=rows)(asked, server.url)
    )
    with pytest.raises(DeliveryCorrupt, match=r"重复返回|又指向前面的一页"):
        desk.pull(desk.contract(**LINKED, next="links.next"))
    assert len(server.asked) < 5


def test_secrets_in_a_link_are_not_kept_and_given_anew(desk: Desk):
    desk.set_variable("TAX_TOKEN", "t0p-s3cret")

    def behave(asked: Asked) -> Answer:
        assert asked.query_string.count("t0p-s3cret") == 1
        if asked.query.get("from") == "10":
            kept = [p.read_text() for p in (desk.settings.home / "landing").rglob("*.next")]
            state["kept"] = kept
        return by_link(lambda url, n: f"{url}/arrears?from={n}&token=t0p-s3cret", header=True)(asked, server.url)

    state: dict = {}
    server = desk.serve(behave)
    [batch] = desk.pull(desk.contract(**LINKED, query_env={"token": "TAX_TOKEN"}))
    assert desk.rows(batch) == ROWS
    assert state["kept"] == [f"{server.url}/arrears?from=10"]


def test_a_pull_by_header_links_goes_on_where_it_died(desk: Desk):
    def behave(asked: Asked) -> Answer:
        if asked.query.get("from") == "20" and not state:
            state.append("died")
            return Answer(b"", status=503)
        return by_link(lambda _, n: f"?from={n}", header=True)(asked, server.url)

    state: list[str] = []
    server = desk.serve(behave)
    contract = desk.contract(**LINKED, attempts=1)
    with pytest.raises(SourceUnavailable):
        desk.pull(contract)
    [batch] = desk.pull(contract)
    assert desk.rows(batch) == ROWS
    assert [a.query.get("from") for a in server.asked] == [None, "10", "20", "20"]
    assert desk.leftovers() == []
