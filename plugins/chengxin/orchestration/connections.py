"""Connections that Airflow keeps (its environment, a secrets backend, its database) for contracts that name them.

What CHENGXIN_CONN_<NAME> or its file says goes first. Else the connection of that name is put there, for this task's
process only. Airflow hides in logs what is secret in its own connections; here it is told of ours.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from chengxin.contracts.models import Contract
from chengxin.contracts.secrets import is_connection_name
from chengxin.errors import SourceUnavailable
from chengxin.settings import put_default

# Airflow's name of a type of connection -> our scheme; others are their own.
_SCHEMES = {"postgres": "postgresql", "ssh": "sftp", "aws": "s3"}
# What an HTTP connection may hold beside its address, see connectors.http.auth.
_HTTP_PARTS = ("key", "secret", "token_url", "cert", "cert_key", "cert_password", "ca")
_SECRET_PARTS = ("KEY", "SECRET", "CERT_PASSWORD")


def provide(contract: Contract) -> None:
    """Put the connections that a contract names into the environment, where Airflow knows them and nobody else does."""
    for name in sorted(_named(contract)):
        with suppress(SourceUnavailable):  # a file that cannot be read: the connector says so, of this contract alone
            _provide(name)


def _provide(name: str) -> None:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from chengxin.connectors.base import connection_variable, given

    variable = connection_variable(name)
    if not given(variable):
        try:
            found = Connection.get(name)
        except AirflowNotFoundException:
            return  # the connector says which variable it misses
        put_default({variable + part: value for part, value in variables(found).items()})
    _hide([_password(given(variable) or ""), *(given(f"{variable}_{part}") for part in _SECRET_PARTS)])


def _hide(values: Iterable[str | None]) -> None:
    """Let Airflow write asterisks for secrets wherever they would stand in a log, as they are and as in a URL."""
    from airflow.sdk.log import mask_secret

    for value in filter(None, values):
        for written in {value, quote(value, safe="")}:
            mask_secret(written)


def _password(url: str) -> str | None:
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return None  # no URL; the connector says so


def _named(contract: Contract) -> Iterator[str]:
    for name in {contract.delivery.options.get("connection"), contract.feedback.connection}:
        if isinstance(name, str) and is_connection_name(name):
            yield name


def variables(connection: Any) -> dict[str, str]:
    """Return an Airflow connection as we write it: suffix of the variable -> value; "" is the URL.

    The extra `url` is taken as it stands. Else host, login, password, port and schema make the URL; extras become its
    query, or for HTTP the variables of the same name (key, secret, token_url, cert ...).
    """
    extra = {str(key): value for key, value in connection.extra_dejson.items() if isinstance(value, str | int)}
    if "url" in extra:
        return {"": str(extra.pop("url")), **_parts(extra)}
    if connection.conn_type in {"http", "https"}:
        return {"": _http(connection), **_parts(extra)}
    if connection.conn_type == "sqlite":
        return {"": f"sqlite:///{connection.host}"}
    scheme = _SCHEMES.get(connection.conn_type, connection.conn_type)
    place = (connection.host or "") + (f":{connection.port}" if connection.port else "")
    path = connection.schema or ""
    if scheme == "s3":  # the schema is bucket/prefix
        place = ""
        extra = {key.removesuffix("_url").removesuffix("_name"): value for key, value in extra.items()}
    query = f"?{urlencode(extra, quote_via=quote)}" if extra else ""
    return {"": f"{scheme}://{_login(connection)}{place}{'' if scheme == 's3' else '/'}{path}{query}"}


def _login(connection: Any) -> str:
    if not connection.login:
        return ""
    password = f":{quote(connection.password, safe='')}" if connection.password else ""
    return f"{quote(connection.login, safe='')}{password}@"


def _http(connection: Any) -> str:
    """Return the base URL as Airflow's own HTTP hook reads it: the host may bear scheme and path, schema the scheme."""
    scheme, _, rest = (connection.host or "").rpartition("://")
    host, slash, path = rest.partition("/")
    port = f":{connection.port}" if connection.port and ":" not in host else ""
    return f"{scheme or connection.schema or connection.conn_type}://{_login(connection)}{host}{port}{slash}{path}"


def _parts(extra: Mapping[str, Any]) -> dict[str, str]:
    return {f"_{part.upper()}": str(extra[part]) for part in _HTTP_PARTS if part in extra}
