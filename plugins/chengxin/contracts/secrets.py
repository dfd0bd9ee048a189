"""Credentials that stand in a contract, where they must not: they belong into the environment, under a name.

What is found is said by its place and its name only, never by its value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chengxin.contracts.models import Contract

INSTEAD = "请改用环境变量：连接地址 CHENGXIN_CONN_<名称>、headers_env、query_env、body_env 或 auth"
NO_ADDRESS = "应为连接的名称，不是地址；地址写在环境变量 CHENGXIN_CONN_<名称> 中"
CONNECTION = re.compile(r"[\w.-]{1,64}")

_WORDS = r"authorization|cookie|token|secret|passw(?:or)?d|pwd|(?:api|app|access)[-_]?key"
_NAME = rf"(?:[\w.-]*?(?:{_WORDS})|(?:[\w.-]*[_.-])?sign(?:ature)?)"
_IS_NAME = re.compile(rf"{_WORDS}|(?:^|[_.-])sign(?:ature)?$", re.IGNORECASE)
# name=value, "name": "value", <name ...>value<: nothing, ${...} and a name of an environment variable are no values
_VALUE = r"(?!\$\{)[^\s\"'<>&,;{}]+"
_IN_TEXT = re.compile(
    rf"(?:(?<![\w.-])(?P<pair>{_NAME})[\"']?\s*[:=]\s*[\"']?|<(?:\w+:)?(?P<tag>{_NAME})(?:\s[^<>]*)?>\s*)({_VALUE})",
    re.IGNORECASE,
)
_IN_ADDRESS = re.compile(r"://[^/\s:@]*:?[^/\s@]+@")
_BEARER = re.compile(r"\b(?:bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
# Values that look like one by themselves: a password by its kinds of characters; in a header, where no other long
# number has a place, a key. In a query such a number may be the id of a resource.
_PASSWORD = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[!@#$%^&*?])[\x21-\x7e]{8,64}")
_KEY = re.compile(r"[0-9a-fA-F]{32,}|(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[\w+/-]{32,}={0,2}")
# Options that hold names: of parameters, headers, variables and paths, and what stands for the connection itself.
_NAMES = re.compile(r"(_env|_name|_param|_field|_format)$|^(auth|key|code|next|total|records|table|schema|watermark)$")


def is_secret_name(name: str) -> bool:
    """Return whether a header or parameter of this name carries a secret."""
    return bool(_IS_NAME.search(name))


def is_connection_name(name: str) -> bool:
    """Return whether this can be the name of a connection; an address is none."""
    return CONNECTION.fullmatch(name) is not None


def secret_in(text: str) -> str | None:
    """Return what in a text looks like a credential, without its value; None where nothing does."""
    if _IN_ADDRESS.search(text):
        return "地址中的用户名和口令"
    if _BEARER.search(text):
        return "Authorization 的值"
    found = _IN_TEXT.search(text)
    return (found["pair"] or found["tag"]) if found else None


def secrets(contract: Contract) -> Iterator[str]:
    """Yield where a contract holds what looks like a credential."""
    feedback = contract.feedback
    places: list[tuple[str, Any]] = [
        ("delivery.options", contract.delivery.options),
        ("feedback.options", feedback.options),
        ("feedback.path", feedback.path),
    ]
    for place, value in places:
        for where, what in _within(place, value):
            yield f"{where}：{what} 像是密钥，不得写入合同；{INSTEAD}"
    named = (
        ("delivery.options.connection", contract.delivery.options.get("connection")),
        ("feedback.connection", feedback.connection),
    )
    for place, name in named:
        if isinstance(name, str) and not is_connection_name(name):
            yield f"{place}：{NO_ADDRESS} (a name, not an address)"


def _within(place: str, value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield (place, what) of every credential within a value of options; `name`: the key that holds it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not _NAMES.search(str(key)):
                yield from _within(f"{place}.{key}", inner, str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _within(place, inner, name)
    elif isinstance(value, str) and name != "connection":
        what = name if (value and is_secret_name(name)) or _looks_secret(place, value) else secret_in(value)
        if what:
            yield place, what


def _looks_secret(place: str, value: str) -> bool:
    """Return whether a parameter's or header's whole value looks like a credential, whatever its name."""
    if ".headers." in place:
        return bool(_KEY.fullmatch(value) or _PASSWORD.fullmatch(value))
    return ".query." in place and "${" not in value and _PASSWORD.fullmatch(value) is not None
