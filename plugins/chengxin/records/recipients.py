"""The tokens and epochs of recipients: an append-only journal; and the file by which the serving app knows recipients.

<home>/recipients/00000000.json ...     who got which token, by its sha256, what was revoked, whose epoch began
<home>/published/recipients.json        what holds now; derived from the journal and the declarations
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chengxin.contracts.recipients import Recipient
from chengxin.store import atomic, journal
from chengxin.store.layout import Layout
from chengxin.store.lock import held

DAYS = 365  # for which a token holds
_BYTES = 32


@dataclass(frozen=True)
class Token:
    """One token of a recipient. number: its place in the journal; sha256: of the token, which is kept nowhere."""

    number: int
    recipient: str
    sha256: str
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Epoch:
    """For which time the pseudonyms of a recipient stand. number: from 1 on. since: None for the first."""

    number: int = 1
    since: datetime | None = None


def rotate(layout: Layout, recipient: str, *, at: datetime, by: str) -> Epoch:
    """Begin a new epoch of a recipient."""
    _enter(layout, {"recipient": recipient, "epoch": True, "at": at.isoformat(), "by": by})
    return epochs(layout)[recipient]


def epochs(layout: Layout) -> dict[str, Epoch]:
    """Return the present epoch of every recipient that the journal names; that of another is the first."""
    found: dict[str, Epoch] = {}
    for number in journal.numbers(layout.recipients):
        entry = journal.entry(layout.recipients, number)
        before = found.get(entry["recipient"], Epoch())
        begins = Epoch(before.number + 1, datetime.fromisoformat(entry["at"])) if "epoch" in entry else before
        found[entry["recipient"]] = begins
    return found


def issue(layout: Layout, recipient: Recipient, *, at: datetime, by: str, days: int = DAYS) -> tuple[Token, str]:
    """Enter a new token and return it with its text, which is shown this once. Others stay valid, for a rotation."""
    text = secrets.token_urlsafe(_BYTES)
    digest = hashlib.sha256(text.encode()).hexdigest()
    expires = at + timedelta(days=days)
    entry = {"recipient": recipient.id, "sha256": digest, "at": at.isoformat(), "by": by, "until": expires.isoformat()}
    return Token(_enter(layout, entry), recipient.id, digest, at, expires), text


def revoke(layout: Layout, recipient: str, number: int | None, *, at: datetime, by: str) -> list[Token]:
    """Revoke one token of a recipient, or all of them; return those that were valid till now."""
    gone = [t for t in tokens(layout, at).get(recipient, ()) if number in (None, t.number)]
    if gone:
        _enter(layout, {"recipient": recipient, "revokes": [t.number for t in gone], "at": at.isoformat(), "by": by})
    return gone


def tokens(layout: Layout, now: datetime) -> dict[str, list[Token]]:
    """Return the tokens that are valid, by recipient, oldest first."""
    found: dict[int, Token] = {}
    for number in journal.numbers(layout.recipients):
        entry = journal.entry(layout.recipients, number)
        for revoked in entry.get("revokes", ()):
            found.pop(revoked, None)
        if "sha256" in entry:
            at, until = (datetime.fromisoformat(entry[name]) for name in ("at", "until"))
            found[number] = Token(number, entry["recipient"], entry["sha256"], at, until)
    valid: dict[str, list[Token]] = {}
    for token in found.values():
        if now < token.expires_at:
            valid.setdefault(token.recipient, []).append(token)
    return valid


def serve(layout: Layout, recipients: Mapping[str, Recipient], tiers: Mapping[str, str], now: datetime) -> None:
    """Write what the serving app is to know. tiers: of each whose grant holds; who has no declaration is nobody."""
    held_by = tokens(layout, now)
    body: list[dict[str, Any]] = [
        {
            "id": one.id,
            "tier": tiers.get(one.id, ""),
            "from": one.valid.since.isoformat(),
            "to": one.valid.to.isoformat(),
            "per_second": one.per_second,
            "rows_per_day": one.rows_per_day,
            "match_for": list(one.match_for),
            "tokens": [{"sha256": t.sha256, "until": t.expires_at.isoformat()} for t in held_by.get(one.id, ())],
        }
        for one in recipients.values()
    ]
    path = layout.served_recipients
    if body or path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(path, {"recipients": body})


def _enter(layout: Layout, entry: dict[str, Any]) -> int:
    with held(layout, "recipients"):
        number = max(journal.numbers(layout.recipients), default=-1) + 1
        journal.append(layout.recipients, number, entry)
    return number
