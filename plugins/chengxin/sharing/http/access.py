"""Who may read what, and how often: bearer tokens for the government tier, a bucket of questions for everybody."""

import hmac
import time
from collections import OrderedDict
from hashlib import sha256
from threading import Lock

from fastapi import HTTPException, Request

from chengxin.errors import ChengxinError

TOKENS = "CHENGXIN_SERVE_TOKENS"
LEAST = 16  # characters of a token
PER_SECOND, BURST, CLIENTS = 5.0, 20.0, 10_000


def tokens(text: str | None) -> tuple[bytes, ...]:
    """Return the digests of the tokens, one a line. Raise ChengxinError for one that could be guessed."""
    lines = (text or "").split()
    if any(len(line) < LEAST for line in lines):
        raise ChengxinError(f"{TOKENS} 中有令牌不足 {LEAST} 个字符，太容易被猜到")
    return tuple(sha256(line.encode()).digest() for line in lines)


class Gate:
    """Lets requests in. known: digests of the government tier's tokens; none = that tier is served to nobody."""

    def __init__(self, known: tuple[bytes, ...]) -> None:
        self._known = known
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def tier(self, request: Request, tier: str) -> None:
        """Refuse the government tier to whoever has no token for it, the authorised one to everybody."""
        if tier == "open":
            return
        if tier == "authorised":
            raise HTTPException(
                403, "授权层不提供下载和查询接口：这些记录须经信息主体授权逐项查询 (by consent of the subject only)"
            )
        if self._token(request) is None:
            raise HTTPException(401, "政务共享层须持令牌读取 (a token is needed)", {"WWW-Authenticate": "Bearer"})

    def _token(self, request: Request) -> bytes | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        digest = sha256(given.strip().encode()).digest()
        # All are compared, so that the time says nothing.
        found = [hmac.compare_digest(digest, known) for known in self._known]
        return digest if scheme.lower() == "bearer" and any(found) else None

    def question(self, request: Request) -> None:
        """Take one question from the bucket of a token, else of an address; refuse when it is empty."""
        key = self._token(request) or (request.client.host if request.client else "").encode()
        now = time.monotonic()
        with self._lock:
            left, at = self._left.pop(key, (BURST, now))
            left = min(BURST, left + (now - at) * PER_SECOND)
            self._left[key] = (left - 1 if left >= 1 else left, now)
            while len(self._left) > CLIENTS:
                self._left.popitem(last=False)
        if left < 1:
            raise HTTPException(429, "查询过于频繁，请稍后再试 (too many questions)", {"Retry-After": "1"})
