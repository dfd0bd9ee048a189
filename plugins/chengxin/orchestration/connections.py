"""Connections that Airflow keeps (its environment, a secrets backend, its database) for contracts that name them.

What CHENGXIN_CONN_<NAME> says goes first. Else the connection of that name is put there, for this task's process only.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from chengxin.contracts.models import Contract
from chengxin.contracts.secrets import is_connection_name

# Airflow's name of a type of connection -> our scheme; others are their own.
_SCHEMES = {"postgres": "postgresql", "ssh": "sftp", "aws": "s3"}
# What an HTTP connection may hold beside its address, see connectors.http_auth.
_HTTP_PARTS = ("key", "secret", "token_url", "cert", "cert_key", "cert_password", "ca")


def provide(contract: Contract) -> None:
    """Put the connections that a contract names into the environment, where Airflow knows them and nobody else does."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from chengxin.connectors.base import connection_variable

    for name in sorted(_named(contract)):
        variable = connection_variable(name)
        if os.environ.get(variable, "").strip():
            continue
        try:
            found = Connection.get(name)
        except AirflowNotFoundException:
            continue  # the connector says which variable it misses
        for part, value in variables(found).items():
            os.environ.setdefault(variable + part, value)


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
