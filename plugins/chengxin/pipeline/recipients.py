"""Recipients: bring their tiers and what the serving app knows of them up to the declarations."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chengxin.clock import SHANGHAI
from chengxin.contracts.models import Contract
from chengxin.contracts.recipients import Recipient, load
from chengxin.errors import ContractError
from chengxin.home import Home
from chengxin.model.lawful_terms import lawful_terms
from chengxin.pipeline import at_home
from chengxin.publishing import commit, key, pseudonyms
from chengxin.publishing.cuts import derivation
from chengxin.publishing.cuts.cut import Cut
from chengxin.publishing.cuts.derivation import Keys
from chengxin.publishing.reader import open_snapshot
from chengxin.publishing.suppression import entries
from chengxin.records import recipients as records
from chengxin.records.recipients import Epoch, Token
from chengxin.records.withdrawal_notices import Notice
from chengxin.store import lock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Granted:
    """A recipient as it stands. tier: what it reads. epoch: of its pseudonyms. holds: whether its grant holds today."""

    recipient: Recipient
    tier: str
    epoch: Epoch
    holds: bool
    tokens: tuple[Token, ...]


@at_home.publication
def recipients(home: Home, contracts: Mapping[str, Contract]) -> list[Granted]:
    """Return the usable recipients with their valid tokens."""
    tokens, epochs = records.tokens(home.layout, home.clock.now()), records.epochs(home.layout)
    today = home.clock.today()
    known = ((r, epochs.get(r.id, Epoch())) for r in load(home.settings.recipients, contracts).recipients.values())
    return [
        Granted(
            r, Cut.of(r, epoch.number).tier, epoch, r.valid.since <= today <= r.valid.to, tuple(tokens.get(r.id, ()))
        )
        for r, epoch in known
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
    epochs = {name: records.epochs(layout).get(name, Epoch()) for name in held}
    cuts = {name: Cut.of(recipient, epochs[name].number) for name, recipient in held.items()}
    tiers = {name: cut.tier for name, cut in cuts.items()}
    entries.renew(home)  # a new cut has handles of its own, of what is to be hidden too
    with lock.held(layout, "cuts"):
        # Who lost a grant is refused before its tier goes; who gained one is let in when its tier is there.
        # Whose grant is over is still known, so that it is told why it is refused.
        everybody = loaded.recipients
        known = {n: r for n, r in everybody.items() if n not in held or layout.pointer(tiers[n]).exists()}
        records.serve(layout, known, tiers, home.clock.now())
        government = commit.current(layout, "government")
        if government is None:
            return []
        by_tier = {cut.tier: (cut, _keys(home, cut, epochs[name])) for name, cut in cuts.items()}
        changed = derivation.publish(home, government, by_tier)
        records.serve(layout, everybody, tiers, home.clock.now())
    return changed


def _keys(home: Home, cut: Cut, epoch: Epoch) -> Keys:
    """Return the keys of a cut; without persons it has none."""
    master = key.master(home)
    if not cut.bearer:
        return Keys()
    if master is None:
        log.warning("接收方 %s 的授权含自然人：%s", cut.bearer, key.problem(home))
    own = pseudonyms.key_of(master, cut.bearer, epoch.number)
    until = epoch.since and epoch.since.astimezone(SHANGHAI).date() + timedelta(
        days=lawful_terms().terms["translation"].value
    )
    translates = until is not None and home.clock.today() <= until
    return Keys(own, pseudonyms.key_of(master, cut.bearer, epoch.number - 1) if translates else None)


@at_home.publication
def renew_notices(home: Home) -> list[Notice]:
    """Take in what the serving app wrote, and enter the notices of withdrawal that are due; return all."""
    return entries.renew_notices(home)


@at_home.publication
def rotate(home: Home, contracts: Mapping[str, Contract], name: str, by: str) -> Epoch:
    """Begin a new epoch of a recipient: the persons in its cut get new numbers, for a time with a translation."""
    granted = {one.recipient.id: one for one in recipients(home, contracts)}
    if name not in granted or not any(g.persons == "all" for g in granted[name].recipient.grants):
        raise ContractError(f"没有名为 {name} 的、授权含自然人的接收方；其他接收方不使用代号")
    begun = records.rotate(home.layout, name, at=home.clock.now(), by=by)
    apply_recipients(home, contracts)
    return begun


@at_home.publication
def identify(home: Home, name: str, number: str) -> list[dict[str, Any]]:
    """Return the records that a recipient knows by a pseudonym, of any of its epochs."""
    government = open_snapshot(home.settings.home, "government")
    return pseudonyms.identify(government, number, pseudonyms.of_recipients(home).get(name, ()))


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
