"""Who may read what, and how often: bearer tokens for the government tier, a bucket of questions for everybody.

A recipient reads the tier of its grant by the addresses of the government tier.
"""

import hmac
import json
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from fastapi import HTTPException, Request

from chengxin.clock import Clock
from chengxin.errors import ChengxinError
from chengxin.sharing.http.withdrawal_receipts import Withdrawals

TOKENS = "CHENGXIN_SERVE_TOKENS"
LEAST = 16  # characters of a token
PER_SECOND, BURST, CLIENTS = 5.0, 20.0, 10_000


def tokens(text: str | None) -> tuple[bytes, ...]:
    """Return the digests of the tokens, one a line. Raise ChengxinError for one that could be guessed."""
    lines = (text or "").split()
    if any(len(line) < LEAST for line in lines):
        raise ChengxinError(f"{TOKENS} 中有令牌不足 {LEAST} 个字符，太容易被猜到")
    return tuple(sha256(line.encode()).digest() for line in lines)


@dataclass(frozen=True)
class Holder:
    """Whose token a request bears. tier: what it reads. recipient, match_for: of a recipient's."""

    digest: bytes
    tier: str = "government"
    per_second: float = PER_SECOND
    recipient: str = ""
    match_for: tuple[str, ...] = ()
    rows_per_day: int | None = None

    @property
    def name(self) -> str:
        """Return under which name it is noted what was handed over: a recipient, or a token that names nobody."""
        return self.recipient or f"token-{self.digest.hex()[:12]}"


class Gate:
    """Lets requests in. known: digests of tokens for the whole government tier. served: the file about recipients.

    The file is looked at for each request: what was revoked a moment ago is refused now.
    """

    def __init__(
        self, known: tuple[bytes, ...], served: Path, withdrawals: Withdrawals, clock: Clock | None = None
    ) -> None:
        self._known, self._withdrawals = known, withdrawals
        self._served, self._clock = served, clock or Clock()
        self._stamp: object = None
        self._recipients: list[dict[str, Any]] = []
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def tier(self, request: Request, tier: str) -> str:
        """Return the tier that a request reads; refuse the government tier to whoever has no valid token for it.

        The authorised tier is refused to everybody.
        """
        if tier == "open":
            return tier
        if tier == "authorised":
            raise HTTPException(
                403, "授权层不提供下载和查询接口：这些记录须经信息主体授权逐项查询 (by consent of the subject only)"
            )
        holder = self.holder(request)
        if not holder.tier:
            raise HTTPException(403, "授权不在有效期内 (the grant is not in force)")
        if notice := self._withdrawals.suspending(holder.name):
            raise HTTPException(
                403,
                f"授权已中止：第 {notice.number} 号撤回通知应于 {notice.due} 前删除并回执，至今未收到；"
                f"补交回执（POST /v1/withdrawals/{notice.number}/receipt）后即恢复 (suspended: no receipt for notice"
                f" {notice.number}, due {notice.due}; post it to /v1/withdrawals/{notice.number}/receipt)",
            )
        return holder.tier

    def holder(self, request: Request) -> Holder:
        """Return whose token a request bears, whether its grant holds or not; refuse whoever has no valid one."""
        holder = self._holder(request)
        if holder is None:
            raise HTTPException(401, "政务共享层须持令牌读取 (a token is needed)", {"WWW-Authenticate": "Bearer"})
        return holder

    def matching(self, request: Request, purpose: str) -> Holder:
        """Return who asks which firm a name is; refuse whoever is no recipient with a grant for this purpose."""
        tier, holder = self.tier(request, "government"), self._holder(request)
        if holder is None or not tier or purpose not in holder.match_for:
            raise HTTPException(403, "授权中没有这一用途的名称匹配 (no grant to match names for this purpose)")
        return holder

    def _holder(self, request: Request) -> Holder | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        digest = sha256(given.strip().encode()).digest()
        # All are compared, so that the time states nothing.
        found = [Holder(digest) for known in self._known if hmac.compare_digest(digest, known)]
        now = self._clock.now()
        for recipient in self._served_recipients():
            holds = date.fromisoformat(recipient["from"]) <= self._clock.today() <= date.fromisoformat(recipient["to"])
            for token in recipient["tokens"]:
                same = hmac.compare_digest(digest, bytes.fromhex(token["sha256"]))
                if same and now < datetime.fromisoformat(token["until"]):
                    found.append(
                        Holder(
                            digest,
                            recipient["tier"] if holds else "",
                            recipient["per_second"],
                            recipient["id"],
                            tuple(recipient["match_for"]),
                            recipient["rows_per_day"],
                        )
                    )
        return found[0] if scheme.lower() == "bearer" and found else None

    def _served_recipients(self) -> list[dict[str, Any]]:
        try:
            seen = self._served.stat()
        except FileNotFoundError:
            return []
        stamp = (seen.st_ino, seen.st_mtime_ns, seen.st_size)
        if stamp != self._stamp:
            self._recipients, self._stamp = json.loads(self._served.read_bytes())["recipients"], stamp
        return self._recipients

    def question(self, request: Request) -> None:
        """Take one question from the bucket of a token, else of an address; refuse when it is empty."""
        holder = self._holder(request)
        key = holder.digest if holder else (request.client.host if request.client else "").encode()
        rate = holder.per_second if holder else PER_SECOND
        now = time.monotonic()
        with self._lock:
            left, at = self._left.pop(key, (BURST, now))
            left = min(BURST, left + (now - at) * rate)
            self._left[key] = (left - 1 if left >= 1 else left, now)
            while len(self._left) > CLIENTS:
                self._left.popitem(last=False)
        if left < 1:
            raise HTTPException(429, "查询过于频繁，请稍后再试 (too many questions)", {"Retry-After": "1"})
