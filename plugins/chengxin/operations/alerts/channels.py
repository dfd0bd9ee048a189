"""Where alerts go: the log, e-mail, a webhook. Which ones, and their addresses, the settings name."""

import json
import logging
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from chengxin.errors import ContractError
from chengxin.settings import Alerts

T = TypeVar("T")
log = logging.getLogger("chengxin.alerts")
SECONDS = 15
PORTS = {"smtps": 465, "smtp": 587, "smtp+plain": 25}


@dataclass(frozen=True)
class Notice:
    """One thing to say. what: opened, reminded or closed; facts: the same for programs."""

    what: str
    subject: str
    body: str
    facts: dict[str, Any]


class Channel(Protocol):
    """One way to reach people. `tell` raises when it did not get through."""

    @property
    def name(self) -> str:
        """Return what CHENGXIN_ALERTS calls it."""

    def tell(self, notice: Notice) -> None:
        """Say it."""


class Log:
    """The log of the task that met the cause, and so whatever collects logs."""

    name = "log"

    def tell(self, notice: Notice) -> None:
        """Write it down: what is over as information, the rest as an error."""
        level = logging.INFO if notice.what == "closed" else logging.ERROR
        log.log(level, "%s\n%s", notice.subject, notice.body)


@dataclass(frozen=True)
class Mail:
    """E-mail over one SMTP server. A password is never sent without TLS."""

    server: str
    sender: str
    to: tuple[str, ...]
    name: str = "mail"

    def tell(self, notice: Notice) -> None:
        """Send one message to all."""
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = notice.subject, self.sender, ", ".join(self.to)
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="chengxin")
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(notice.body)
        parts = urlsplit(self.server)
        place = (parts.hostname or "", parts.port or PORTS[parts.scheme])
        context = ssl.create_default_context()
        if parts.scheme == "smtps":
            session: smtplib.SMTP = smtplib.SMTP_SSL(*place, timeout=SECONDS, context=context)
        else:
            session = smtplib.SMTP(*place, timeout=SECONDS)
        with session:
            if parts.scheme == "smtp":
                session.starttls(context=context)
            if parts.username:
                session.login(unquote(parts.username), unquote(parts.password or ""))
            session.send_message(message)


@dataclass(frozen=True)
class Webhook:
    """A JSON document posted to an address; signed where there is a key."""

    address: str
    key: str | None
    name: str = "webhook"

    def tell(self, notice: Notice) -> None:
        """Post it."""
        from chengxin.connectors.webhook import post  # requests: not at every parse of a DAG file

        body = {"event": notice.what, "subject": notice.subject, "text": notice.body, **notice.facts}
        post(self.address, json.dumps(body, ensure_ascii=False).encode(), self.key, seconds=SECONDS)


def channels(alerts: Alerts) -> list[Channel]:
    """Return the channels of the settings; raise ContractError where one lacks what it needs."""
    made: dict[str, Callable[[Alerts], Channel]] = {"log": _log, "mail": _mail, "webhook": _webhook}
    if alerts.channels == ("off",):
        return []
    unknown = sorted(set(alerts.channels) - set(made))
    if unknown:
        raise ContractError(f"CHENGXIN_ALERTS 中有不认识的渠道：{'、'.join(unknown)}；可用：{'、'.join(made)}")
    return [made[name](alerts) for name in alerts.channels]


def _log(_: Alerts) -> Log:
    return Log()


def _mail(alerts: Alerts) -> Mail:
    server = _needed("CHENGXIN_ALERTS_SMTP", alerts.smtp.read())
    sender = _needed("CHENGXIN_ALERTS_MAIL_FROM", alerts.mail_from)
    to = _needed("CHENGXIN_ALERTS_MAIL_TO", alerts.mail_to)
    parts = urlsplit(server)
    if parts.scheme not in PORTS or not parts.hostname or (parts.scheme == "smtp+plain" and parts.username):
        raise ContractError(
            "CHENGXIN_ALERTS_SMTP 应为 smtps://、smtp://（STARTTLS）或不带口令的 smtp+plain:// 加主机名"
        )
    return Mail(server, sender, to)


def _webhook(alerts: Alerts) -> Webhook:
    return Webhook(_needed("CHENGXIN_ALERTS_WEBHOOK", alerts.webhook.read()), alerts.webhook_key.read())


def _needed(name: str, value: T | None) -> T:
    if not value:
        raise ContractError(f"告警渠道缺少环境变量 {name}")
    return value
