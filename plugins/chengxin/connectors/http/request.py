"""The request for one page: parameters into the query, a JSON object, a form or a template (SOAP envelopes)."""

import json
from string import Template
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.sax.saxutils import escape

from chengxin.connectors.base import given
from chengxin.connectors.http.auth import Request, signing_names
from chengxin.connectors.http.options import HttpApiOptions
from chengxin.errors import SourceUnavailable

_CONTENT_TYPES = {
    "json": "application/json; charset=utf-8",
    "form": "application/x-www-form-urlencoded",
}


def request_for(options: HttpApiOptions, paging: dict[str, str | int], *, is_xml: bool) -> Request:
    """Return the request for one page; raise SourceUnavailable where the environment lacks a secret it needs."""
    values = {**options.query, **_secrets(options.query_env, options), **paging}
    headers = {"Accept": "application/xml, text/xml" if is_xml else "application/json", **options.headers}
    if options.send == "query":
        return Request(options.method, options.path, tuple((k, _text(v)) for k, v in values.items()), headers)
    match options.send:
        case "json":
            text = json.dumps(values, ensure_ascii=False)
        case "form":
            text = urlencode({k: _text(v) for k, v in values.items()})
        case _:
            text = _filled(options, {**values, **_secrets(options.body_env, options)}, is_xml=is_xml)
    kind = options.content_type or _CONTENT_TYPES.get(options.send)
    headers["Content-Type"] = kind or ("text/xml; charset=utf-8" if is_xml else _CONTENT_TYPES["json"])
    return Request(options.method, options.path, (), headers, text.encode())


def linked_request(options: HttpApiOptions, link: str, *, is_xml: bool) -> Request:
    """Return the request for the page behind a link, which is relative to the base URL; our secrets are added anew."""
    parts = urlsplit(bare_link(options, link))
    query = (*parse_qsl(parts.query, keep_blank_values=True), *_secrets(options.query_env, options).items())
    headers = {"Accept": "application/xml, text/xml" if is_xml else "application/json", **options.headers}
    return Request("GET", parts.path, query, headers)


def bare_link(options: HttpApiOptions, link: str) -> str:
    """Return a link without the parameters that are ours to give: secrets, and those of a signature."""
    parts = urlsplit(link)
    ours = {*options.query_env, *signing_names(options.auth)}
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in ours]
    return parts._replace(query=urlencode(kept), fragment="").geturl()


def _filled(options: HttpApiOptions, values: dict[str, str | int | bool], *, is_xml: bool) -> str:
    """Fill the template; what has no value on this page (a first cursor, a first since) is empty."""
    known = dict.fromkeys(options.names(), "") | {k: _text(v) for k, v in values.items()}
    escaped = {
        k: escape(v, {'"': "&quot;"}) if is_xml else json.dumps(v, ensure_ascii=False)[1:-1] for k, v in known.items()
    }
    return Template(options.body or "").substitute(escaped)


def _secrets(variables: dict[str, str], options: HttpApiOptions) -> dict[str, str]:
    found = {name: given(variable) or "" for name, variable in variables.items()}
    missing = next((variables[name] for name, value in found.items() if not value), None)
    if missing:
        raise SourceUnavailable(f"连接“{options.connection}”需要环境变量 {missing}")
    return found


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
