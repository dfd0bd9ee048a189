"""What every connector promises, and how connections are named, found and shown without their secrets."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from chengxin.contracts.models import Contract
from chengxin.contracts.secrets import NO_ADDRESS, is_connection_name
from chengxin.errors import ContractError, SourceUnavailable
from chengxin.facts import Delivery, Locator
from chengxin.home import Home
from chengxin.settings import secret


class Options(BaseModel):
    """Base of the `delivery.options` of a connector: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


NOWHERE = Locator()


class Connector(Protocol):
    """One way to reach a source. `discover` looks, `fetch` copies; neither knows of batches.

    Each shape has its own locator (connectors.locators).
    """

    def options(self, contract: Contract) -> Options:
        """Read the contract's delivery options; raise ContractError when they do not fit this shape."""

    def discover(self, home: Home, contract: Contract, cursor: Locator = NOWHERE, /) -> list[Delivery]:
        """List what the source offers beyond `cursor`, by offered_at, then name. Writes nothing but a `pull` folder.

        cursor: the locator of the newest landed pull of the data set; NOWHERE before the first.
        Raises SourceUnavailable.
        """

    def fetch(self, home: Home, delivery: Delivery, contract: Contract, target: Path) -> Mapping[str, int] | None:
        """Stream the delivery's bytes, unchanged, into files directly under `target`.

        Return how many rows the source states that a file has, by its name, where it says so.
        Raises SourceUnavailable (try again) or DeliveryCorrupt (not the bytes that were announced).
        """


OptionsT = TypeVar("OptionsT", bound=Options)


def read_options(model: type[OptionsT], contract: Contract) -> OptionsT:
    """Check a contract's delivery options against a connector's model; raise ContractError in words."""
    try:
        return model.model_validate(contract.delivery.options)
    except ValidationError as error:
        wrong = "；".join(
            f"{'.'.join(map(str, e['loc'])) or 'options'}：{e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise ContractError(f"合同 {contract.id} 的 delivery.options 不正确：{wrong}") from None


def connection_variable(name: str) -> str:
    """Return the environment variable that holds a connection: `tax_api` -> CHENGXIN_CONN_TAX_API.

    Raises ContractError, without repeating it, for what is an address: it may hold a password.
    """
    if not is_connection_name(name):
        raise ContractError(f"connection {NO_ADDRESS}")
    return "CHENGXIN_CONN_" + re.sub(r"\W", "_", name).upper()


def connection_url(name: str, environment: Mapping[str, str] | None = None) -> str:
    """Return the URL of a named connection; raise SourceUnavailable when the environment has none."""
    variable = connection_variable(name)
    url = given(variable, environment)
    if not url:
        raise SourceUnavailable(f"没有找到连接“{name}”：请设置环境变量 {variable}（或 {variable}_FILE）")
    return url


def given(variable: str, environment: Mapping[str, str] | None = None) -> str | None:
    """Return a secret of a connection, from the variable or its file; raise SourceUnavailable for a missing file."""
    try:
        return secret(variable, environment)
    except OSError as error:
        raise SourceUnavailable(str(error.strerror)) from None


def masked(url: str) -> str:
    """Return a URL that may be shown: scheme, host, port and path; no user, password, query or fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{'***@' if '@' in parts.netloc else ''}{host}{parts.path}"
