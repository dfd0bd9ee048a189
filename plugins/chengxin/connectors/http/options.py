"""The delivery options of connector http_api."""

from datetime import date
from string import Template
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chengxin.connectors.http.paginator import PagingStyle
from chengxin.connectors.http.session import HttpConnection
from chengxin.contracts.secrets import INSTEAD, is_secret_name, secret_in

_NO_END = (401, 403, 407, 429, 502, 503, 504)


class HttpApiOptions(HttpConnection):
    """Options of an interface; those of the connection itself come on top (HttpConnection).

    path: below the base URL. method; send: where the parameters go: query, json, form, or body = a template.
    query, headers: fixed ones, nothing secret; query_env, body_env: name -> environment variable that holds the value.
    body: text with ${page}, ${page_size} and the other parameters by the names given to them here, and those of query
        and body_env; each value escaped for JSON or XML. content_type: of the body, default by its kind.
    records: where the rows lie in a page, default the contract's file.records. total: where the number of all rows
        stands; the pull must then yield exactly that many. key: fields that name a row, to tell rows that came twice.
    code, code_ok: where a business code stands and what it is when all is well; code_busy: worth another try; code_end:
        there are no (more) rows. status_end: HTTP statuses that say so, beyond the first page.
    unwrap (XML): the element whose text is the XML that holds the rows.
    paging: page, offset, cursor (`next` = where the next one stands), link (`next` = where the address of the next page
        stands; without it, in the header Link) or none; page_size 0 = one page holds all. first_page: its number, to be
        stated where no total is. next_omitted: the last page lacks the place of `next`.
    overlap_rows (offset): rows asked for again on each page, to see that nothing moved.
    since_param: limits a pull to what changed since the server time of the last one (mode incremental); until_param:
        and up to now; since_format: how instants are spelled; overlap_seconds: how far back before it to ask again;
        start: day where the first pull begins; window_hours: cut a pull into stretches of so many hours.
    max_pages, pull_mib: bounds of a pull. passes: how often at most to pull anew when the source changes meanwhile.
    resume_hours: how old the pages of an interrupted pull may be to go on from them.
    """

    path: str = ""
    method: Literal["GET", "POST"] = "GET"
    send: Literal["query", "json", "form", "body"] = "query"
    query: dict[str, str | int | bool] = Field(default_factory=dict)
    query_env: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | None = None
    body_env: dict[str, str] = Field(default_factory=dict)
    content_type: str | None = None
    records: str | None = None
    total: str | None = None
    key: tuple[str, ...] = ()
    code: str | None = None
    code_ok: tuple[str, ...] = ("0", "00", "200")
    code_busy: tuple[str, ...] = ("429", "500", "502", "503", "504")
    code_end: tuple[str, ...] = ()
    status_end: tuple[Annotated[int, Field(ge=204, le=599)], ...] = ()
    unwrap: str | None = None
    paging: PagingStyle = "page"
    page_param: str = "page"
    size_param: str | None = "page_size"
    first_page: int = 1
    page_size: Annotated[int, Field(ge=0)] = 500
    offset_param: str = "offset"
    overlap_rows: Annotated[int, Field(ge=0)] = 0
    cursor_param: str = "cursor"
    next: str | None = None
    next_omitted: bool = False
    since_param: str | None = None
    until_param: str | None = None
    since_format: Literal["iso", "date", "datetime", "epoch_s", "epoch_ms"] = "iso"
    overlap_seconds: Annotated[int, Field(ge=0)] = 0
    start: date | None = None
    window_hours: Annotated[int, Field(ge=1)] | None = None
    max_pages: Annotated[int, Field(ge=1, le=99_999)] = 99_999
    pull_mib: Annotated[int, Field(ge=1)] = 10_240
    passes: Annotated[int, Field(ge=1, le=9)] = 3
    resume_hours: Annotated[int, Field(ge=0)] = 12

    @model_validator(mode="after")
    def _agree(self) -> Self:
        wrong = [words for is_wrong, words in self._rules() if is_wrong]
        if wrong:
            raise ValueError("；".join(wrong))
        return self

    def _rules(self) -> list[tuple[bool, str]]:
        texts = [self.path, self.body or "", *map(str, (*self.headers.values(), *self.query.values()))]
        found = [name for name in (*self.headers, *self.query) if is_secret_name(name)]
        found += [what for text in texts if (what := secret_in(text))]
        return [
            (self.method == "GET" and self.send != "query", "send 为 json、form、body 时 method 应为 POST"),
            ((self.send == "body") != (self.body is not None), "send: body 与 body 模板须同时给出"),
            (bool(self.body_env) and self.send != "body", "body_env 只用于 send: body"),
            (self.paging == "cursor" and not self.next, "paging: cursor 需要 next（下一页游标所在的路径）"),
            (self.paging == "link" and self.method != "GET", "paging: link 只用于 method: GET"),
            (self.next_omitted and not self.next, "next_omitted 需要 next"),
            (
                self.paging == "page" and bool(self.page_size) and not self.total and not self._counts_pages(),
                "paging: page 没有 total 时须写明 first_page（第一页的页码，0 或 1）",
            ),
            (bool(self.overlap_rows) and self.paging != "offset", "overlap_rows 只用于 paging: offset"),
            (0 < self.page_size <= self.overlap_rows, "overlap_rows 应小于 page_size"),
            (
                bool(self.window_hours) and not (self.since_param and self.until_param and self.start),
                "window_hours 需要 since_param、until_param 与 start",
            ),
            (bool(self.code_end) and not self.code, "code_end 需要 code（业务码所在的路径）"),
            (
                bool({*self.code_end} & {*self.code_ok, *self.code_busy}),
                "code_end 与 code_ok、code_busy 不能有相同的业务码",
            ),
            (
                any(s in _NO_END or 204 < s < 400 for s in self.status_end),
                f"status_end 只能是 204 或 400 以上，不能是与权限、频率、停机有关的 {'、'.join(map(str, _NO_END))}",
            ),
            (bool(self.status_end) and self.paging == "none", "status_end 用于第一页之后，paging: none 没有下一页"),
            (bool(found), f"{'、'.join(found)} 像是密钥，不得写入合同；{INSTEAD}"),
            (bool(self._unknown()), f"body 模板中有未知的占位符 {self._unknown()}"),
        ]

    def _counts_pages(self) -> bool:
        return "first_page" in self.model_fields_set

    def names(self) -> set[str]:
        """Return the names of the parameters that a request may carry."""
        paging = {self.page_param, self.offset_param, self.cursor_param, self.size_param, self.since_param}
        return {name for name in paging | {self.until_param} if name} | {*self.query, *self.query_env, *self.body_env}

    def _unknown(self) -> str:
        template = Template(self.body or "")
        if not template.is_valid():
            return "$"
        return "、".join(sorted(set(template.get_identifiers()) - self.names()))
