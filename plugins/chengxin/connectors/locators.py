"""Where a connector finds a delivery again, one model a shape. Light: who reads a receipt imports no driver."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chengxin.facts import Delivery, Locator


@dataclass(frozen=True)
class Entry:
    """One file of a folder, not opened.

    name: path below the folder, `/` between its parts, readable. key: how the place finds it again, plain ASCII or
    text, fit for JSON. changed: its modification time, seconds since 1970. fingerprint: equal = surely the same bytes,
    once nothing `touched` it (renamed, replaced, written) for a moment.
    """

    name: str
    key: str
    size: int
    changed: float
    fingerprint: str
    touched: float


@dataclass(frozen=True, kw_only=True)
class FileLocator(Locator):
    """Files of a folder. local: given by hand, outside the inbox; the key of an entry is then its whole path."""

    connector: str = "file_drop"
    connection: str | None = None
    folder: str = "."
    local: bool = False
    files: tuple[Entry, ...] = ()
    manifest: Entry | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", tuple(_entry(file) for file in self.files))  # JSON gives mappings
        object.__setattr__(self, "manifest", _entry(self.manifest) if self.manifest else None)


@dataclass(frozen=True, kw_only=True)
class HttpLocator(Locator):
    """A pull of an interface. since, until: its window. server_time: the source's clock, where the next one begins."""

    connector: str = "http_api"
    since: str | None = None
    until: str | None = None
    server_time: str | None = None


@dataclass(frozen=True, kw_only=True)
class DatabaseLocator(Locator):
    """A pull of a table. since: the watermark from which it begins; watermark: the newest one.

    seen: digest of the rows that may still change there. behind: rows before them. whole: when all was offered last.
    """

    connector: str = "database"
    since: str | None = None
    watermark: str | None = None
    seen: str | None = None
    behind: int | None = None
    whole: str | None = None


_SHAPES: dict[str, type[Locator]] = {
    "": Locator,
    "file_drop": FileLocator,
    "http_api": HttpLocator,
    "database": DatabaseLocator,
}


def locator_of(data: Mapping[str, Any]) -> Locator:
    """Rebuild a locator from JSON; raise KeyError or TypeError where that is none."""
    return _SHAPES[data.get("connector", "")](**data)


def delivery_of(data: Mapping[str, Any]) -> Delivery:
    """Rebuild a delivery from `facts.as_json`."""
    return Delivery.from_json({**data, "locator": locator_of(data["locator"])})


def from_instant(connector: str, at: str) -> Locator:
    """Return the cursor of a pull that begins at an instant, ISO 8601; of files, all are offered."""
    begins = {"http_api": HttpLocator(server_time=at), "database": DatabaseLocator(watermark=at)}
    return begins.get(connector, Locator())


def _entry(given: Any) -> Entry:
    return given if isinstance(given, Entry) else Entry(**given)
