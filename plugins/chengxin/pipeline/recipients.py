"""Recipients: bring their tiers and what the serving app knows of them up to the declarations."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from chengxin.contracts.models import Contract
from chengxin.contracts.recipients import Recipient, load
from chengxin.errors import ContractError
from chengxin.home import Home
from chengxin.pipeline import at_home
from chengxin.publishing import commit
from chengxin.publishing.cuts import derivation
from chengxin.publishing.cuts.cut import Cut
from chengxin.records import recipients as records
from chengxin.records import withdrawal_notices
from chengxin.records.recipients import Token
from chengxin.records.withdrawal_notices import Notice
from chengxin.store import lock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Granted:
    """A recipient as it stands. tier: what it reads. holds: whether its grant holds today."""

    recipient: Recipient
    tier: str
    holds: bool
    tokens: tuple[Token, ...]


@at_home.publication
def recipients(home: Home, contracts: Mapping[str, Contract]) -> list[Granted]:
    """Return the usable recipients with their valid tokens."""
    tokens = records.tokens(home.layout, home.clock.now())
    today = home.clock.today()
    return [
        Granted(r, Cut.of(r).tier, r.valid.since <= today <= r.valid.to, tuple(tokens.get(r.id, ())))
        for r in load(home.settings.recipients, contracts).recipients.values()
    ]


@at_home.publication
def apply_recipients(home: Home, contracts: Mapping[str, Contract]) -> list[str]:
    """Derive the tier of every grant that holds today, take the others away, and note who may read which.

    Return the tiers that changed. A declaration that cannot be used gives its recipient nothing.
    """
    layout = home.layout
    loaded = load(home.settings.recipients, contracts)
    for problem in loaded.problems:
        log.warning("%s：%s", problem.path, problem.message)
    today = home.clock.today()
    held = {r.id: r for r in loaded.recipients.values() if r.valid.since <= today <= r.valid.to}
    cuts = {name: Cut.of(recipient) for name, recipient in held.items()}
    tiers = {name: cut.tier for name, cut in cuts.items()}
    with lock.held(layout, "cuts"):
        # Who lost a grant is refused before its tier goes; who gained one is let in when its tier is there.
        # Whose grant is over is still known, so that it is told why it is refused.
        everybody = loaded.recipients
        known = {n: r for n, r in everybody.items() if n not in held or layout.pointer(tiers[n]).exists()}
        records.serve(layout, known, tiers, home.clock.now())
        government = commit.current(layout, "government")
        if government is None:
            return []
        by_tier = {cut.tier: cut for cut in cuts.values()}
        changed = derivation.publish(layout, government, by_tier, home.clock.now(), today)
        records.serve(layout, everybody, tiers, home.clock.now())
    return changed


@at_home.publication
def renew_notices(home: Home) -> list[Notice]:
    """Take in what the serving app wrote, and enter the notices of withdrawal that are due; return all."""
    return withdrawal_notices.renew(home)


@at_home.publication
def issue_token(home: Home, contracts: Mapping[str, Contract], name: str, by: str, days: int) -> tuple[Token, str]:
    """Give a recipient a new token; the others stay valid until they are revoked or expire."""
    loaded = load(home.settings.recipients, contracts)
    recipient = loaded.recipients.get(name)
    if recipient is None:
        wrong = [p.message for p in loaded.problems if p.path.endswith(f"/{name}.yaml")]
        if wrong:
            raise ContractError(f"接收方 {name} 的声明有误，不能发令牌：{'；'.join(wrong)}")
        raise ContractError(f"没有名为 {name} 的接收方；可用：{'、'.join(loaded.recipients) or '（无）'}")
    issued = records.issue(home.layout, recipient, at=home.clock.now(), by=by, days=days)
    apply_recipients(home, contracts)
    return issued


@at_home.publication
def revoke_tokens(
    home: Home, contracts: Mapping[str, Contract], name: str, by: str, number: int | None = None
) -> list[Token]:
    """Revoke one token of a recipient, or all; the next request with it is refused."""
    gone = records.revoke(home.layout, name, number, at=home.clock.now(), by=by)
    apply_recipients(home, contracts)
    return gone
