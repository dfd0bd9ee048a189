"""The ways data reach us: file drops, HTTP interfaces, database tables, all behind one Protocol; landing makes batches.

The shapes are loaded when a contract asks for one: a Dag file that only reads contracts imports no driver.
"""

from importlib import import_module
from typing import cast

from chengxin.connectors.base import Connector
from chengxin.contracts.models import Contract
from chengxin.errors import ContractError

_SHAPES = {
    "file_drop": ("files.connector", "FileDrop"),
    "http_api": ("http.connector", "HttpApi"),
    "database": ("database.connector", "Database"),
}

__all__ = ["Connector", "connector_for", "connector_named", "options_problem"]


def connector_named(name: str) -> Connector:
    """Return the connector of a shape (`file_drop`, `http_api`, `database`)."""
    if name not in _SHAPES:
        raise ContractError(f"没有名为“{name}”的接入方式；可用：{'、'.join(_SHAPES)}")
    module, shape = _SHAPES[name]
    return cast(Connector, getattr(import_module(f"chengxin.connectors.{module}"), shape)())


def connector_for(contract: Contract) -> Connector:
    """Return the connector that a contract names."""
    return connector_named(contract.delivery.connector)


def options_problem(contract: Contract) -> str | None:
    """Describe in Chinese what is wrong with the delivery options of a contract, or None; touches no source."""
    try:
        connector_for(contract).options(contract)
    except ContractError as error:
        return str(error)
    return None
