"""Templates to HTML: the environment, the language of the reader, links, numbers and times."""

import json
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from chengxin import __version__
from chengxin.clock import SHANGHAI
from chengxin.orchestration.pages.access import Reader
from chengxin.orchestration.pages.words import english
from chengxin.orchestration.paths import PREFIX

COOKIE = "chengxin_language"
MENU = (
    ("", "总览"),
    ("batches", "批次"),
    ("refused", "疑问数据"),
    ("waiting", "未关联数据"),
    ("identity", "身份核对"),
    ("snapshots", "快照"),
    ("catalogue", "资源目录"),
    ("sharing", "依法共享"),
    ("scorecards", "绩效考评"),
)


def language(request: Request) -> str:
    """Return zh or en: what was asked for just now, else what was chosen before, else Chinese."""
    wanted = request.query_params.get("lang") or request.cookies.get(COOKIE)
    return "en" if wanted == "en" else "zh"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("chengxin.orchestration.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"n": number, "when": when, "size": size, "data": data}
    return environment


def warm() -> None:
    """Compile all templates and read the English words."""
    for name in _environment().list_templates():
        _environment().get_template(name)
    english("")


def number(value: Any) -> str:
    """Return a count with separators; nothing known = a dash."""
    return "–" if value is None else f"{value:,}"


def when(value: str | None) -> str:
    """Return an instant as it is on a clock in Hunan, to the minute."""
    return datetime.fromisoformat(value).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M") if value else "–"


def size(value: int | None) -> str:
    """Return bytes as kB, MB or GB."""
    amount, unit = float(value or 0), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def data(value: Any) -> Markup:
    """Return JSON that may stand inside a script element."""
    text = json.dumps(value, ensure_ascii=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


def page(
    request: Request, reader: Reader | None, template: str, *, section: str | None, status: int = 200, **values: Any
) -> HTMLResponse:
    """Render a template for a reader; None where nobody is known, as when a request failed."""
    lang = language(request)
    base = str(request.scope.get("root_path", ""))

    def link(path: str = "", **query: Any) -> str:
        kept = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{base}/{path}" + (f"?{urlencode(kept)}" if kept else "")

    def here(**changed: Any) -> str:
        return "?" + urlencode({**request.query_params, **changed})

    html = (
        _environment()
        .get_template(template)
        .render(
            t=(lambda text: english(text)) if lang == "en" else (lambda text: text),
            lang=lang,
            link=link,
            here=here,
            airflow=base.removesuffix(PREFIX),
            menu=MENU,
            section=section,
            reader=reader,
            building=request.app.state.index.building if reader else None,
            status=status,
            version=__version__,
            **values,
        )
    )
    response = HTMLResponse(html, status)
    if request.query_params.get("lang") in {"zh", "en"}:
        secure = request.url.scheme == "https"
        response.set_cookie(
            COOKIE, lang, max_age=31536000, path=f"{base}/", samesite="lax", httponly=True, secure=secure
        )
    return response
