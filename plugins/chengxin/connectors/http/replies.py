"""What an HTTP server answered: a reply, a refusal, or something that may be better next time."""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from requests.structures import CaseInsensitiveDict

from chengxin.clock import Clock
from chengxin.errors import ChengxinError, SourceUnavailable

#: Statuses of a server that may do better in a moment.
BUSY = (408, 425, 429, 500, 502, 503, 504)


class Reply(NamedTuple):
    """One answer: status, headers, and the body unchanged (a transfer compression is undone)."""

    status: int
    headers: CaseInsensitiveDict[str]
    body: bytes


class TryAgainError(Exception):
    """An answer that may be better next time: what to raise in the end, and how long the server asks us to wait."""

    def __init__(self, final: ChengxinError, wait: float | None = None) -> None:
        super().__init__(str(final))
        self.final, self.wait = final, wait


class RefusedError(SourceUnavailable):
    """The server answered, and gives no page: an error, or its way of saying that there are no more.

    status: of HTTP, None where a business code says so. advice: the options that would declare it for the latter.
    """

    def __init__(self, message: str, advice: str, status: int | None = None) -> None:
        super().__init__(message)
        self.advice, self.status = advice, status


def retry_after(header: str | None) -> float | None:
    """Return the seconds that the header Retry-After asks to wait for; None where it states nothing."""
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header).astimezone(UTC) - Clock().now()).total_seconds())
    except ValueError:
        return None
