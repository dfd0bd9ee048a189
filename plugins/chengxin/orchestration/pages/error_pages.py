"""Refusals and failures: a short page for people, with a way back; JSON for programs, as FastAPI gives it."""

import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from chengxin.orchestration.pages.rendering import language, page

TITLES = {
    400: "这样查看不行",
    403: "没有权限",
    404: "没有这个页面或这项内容",
    422: "地址里的条件不合规",
    500: "程序出错",
    503: "暂时不可用",
}
ADVICE = {
    403: "需要查看的，请管理员在 Airflow 中授予该数据集流程的权限。",
    404: "可能是链接写错，也可能是该内容已删除或改名。",
    422: "请返回列表，重新选择条件。",
    500: "错误已记入 api-server 日志；请稍后重试，仍不行的，把地址和时间告诉维护人员。",
}
_BOTH = re.compile(r"(.+) \(([^()]*)\)")  # 中文 (English)


def install(app: FastAPI) -> None:
    """Let an app answer people with a page and programs with JSON."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(Exception, _failed)


def wants_page(request: Request) -> bool:
    """Return whether a person asks: a browser names HTML."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


async def _refused(request: Request, error: Any) -> Response:
    if error.status_code not in TITLES or not wants_page(request):
        return await http_exception_handler(request, error)
    both = _BOTH.fullmatch(str(error.detail))
    told = both[2 if language(request) == "en" else 1] if both else str(error.detail)
    return _page(request, error.status_code, "" if told.isascii() and not both else told)  # "Not Found" states nothing


async def _not_understood(request: Request, error: Any) -> Response:
    if not wants_page(request):
        return await request_validation_exception_handler(request, error)
    return _page(request, 422, "、".join(dict.fromkeys(str(e["loc"][-1]) for e in error.errors())))


async def _failed(request: Request, _: Exception) -> Response:
    """Answer; what went wrong is raised again for the server's log."""
    return _page(request, 500, "") if wants_page(request) else JSONResponse({"detail": "Internal Server Error"}, 500)


def _page(request: Request, status: int, told: str) -> Response:
    return page(
        request, None, "error.html.j2", section=None, status=status, title=TITLES[status],
        advice=ADVICE.get(status, ""), told=told,
    )  # fmt: skip
