"""All variables of the environment in one frozen model, read once at the edge (CLI, orchestration) and handed down.

docs/reference/settings.md is generated from it. Connections that contracts name (CHENGXIN_CONN_<NAME>) are looked up by
`secret` when they are needed: their names are not known before.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_origin, get_type_hints

from chengxin.errors import ContractError
from chengxin.settings import values
from chengxin.settings.environment import environment, secret

PROJECT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Variable:
    """A variable of the environment. read: makes its text a value, raising ValueError with what it should be.

    default: as the reference page shows it.
    """

    name: str
    meaning: str
    read: Callable[[str], Any] = str
    default: str = ""


@dataclass(frozen=True)
class Secret:
    """A secret, read when it is needed: a file that cannot be read concerns only what needs it."""

    name: str = ""
    env: Mapping[str, str] | None = field(default=None, repr=False)

    def read(self) -> str | None:
        """Return it; None where it is not set. Raise OSError as `secret`."""
        return secret(self.name, self.env)


@dataclass(frozen=True)
class Limits:
    """How large a delivery may be; beyond it is refused with a reason, never read halfway."""

    file_bytes: Annotated[int, Variable("CHENGXIN_MAX_FILE_MIB", "one received file", values.mib, "4096")] = 4 << 30
    unpacked_bytes: Annotated[
        int,
        Variable(
            "CHENGXIN_MAX_UNPACKED_MIB",
            "all that comes out of one delivery's archives; so much room may be needed below the home",
            values.mib,
            "16384",
        ),
    ] = 16 << 30
    ratio: Annotated[
        int,
        Variable(
            "CHENGXIN_MAX_RATIO", "unpacked to packed size of one archive (above 64 MiB)", values.number(1), "300"
        ),
    ] = 300
    members: Annotated[int, Variable("CHENGXIN_MAX_MEMBERS", "files in one archive", values.number(1), "1000")] = 1000


@dataclass(frozen=True)
class Retention:
    """How long snapshots are kept."""

    days: Annotated[
        int | None,
        Variable(
            "CHENGXIN_KEEP_DAYS", "snapshots younger than so many days stay; older ones too: all", values.kept, "8"
        ),
    ] = 8
    months: Annotated[
        int,
        Variable(
            "CHENGXIN_KEEP_MONTHS", "of so many months, up to now, the last snapshot stays", values.number(), "12"
        ),
    ] = 12


@dataclass(frozen=True)
class Approval:
    """Who is asked before a publication, and how long an answer may take."""

    asks: Annotated[
        bool,
        Variable(
            "CHENGXIN_APPROVAL",
            "`never`: nobody is asked before a publication (trials only)",
            values.other_than("never"),
        ),
    ] = True
    hours: Annotated[
        float,
        Variable(
            "CHENGXIN_APPROVAL_HOURS",
            "a question that nobody answers for so long is answered 不发布",
            values.amount,
            "20",
        ),
    ] = 20.0
    approvers: Annotated[
        tuple[str, ...],
        Variable(
            "CHENGXIN_APPROVERS",
            "who may answer: `id:name` of Airflow users, separated by commas (an id alone is its own name); "
            "empty = whoever may answer questions in Airflow",
            values.names,
        ),
    ] = ()
    twice: Annotated[
        bool,
        Variable(
            "CHENGXIN_SECOND_APPROVAL",
            "when a second person is asked: `released` = for batches that somebody released, or `all`",
            values.twice,
            "released",
        ),
    ] = False


@dataclass(frozen=True)
class Alerts:
    """Where alerts go."""

    channels: Annotated[
        tuple[str, ...],
        Variable(
            "CHENGXIN_ALERTS",
            "channels, separated by commas: `log`, `mail`, `webhook`; `off` = none",
            values.names,
            "log",
        ),
    ] = ("log",)
    smtp: Annotated[
        Secret,
        Variable(
            "CHENGXIN_ALERTS_SMTP",
            "`smtps://user:password@host:465`, `smtp://host:587` (STARTTLS) or, without a password, "
            "`smtp+plain://host:25`",
        ),
    ] = field(default_factory=Secret)
    mail_from: Annotated[str, Variable("CHENGXIN_ALERTS_MAIL_FROM", "sender of the mails")] = ""
    mail_to: Annotated[
        tuple[str, ...], Variable("CHENGXIN_ALERTS_MAIL_TO", "receivers, separated by commas", values.names)
    ] = ()
    webhook: Annotated[Secret, Variable("CHENGXIN_ALERTS_WEBHOOK", "where JSON is posted")] = field(
        default_factory=Secret
    )
    webhook_key: Annotated[
        Secret,
        Variable(
            "CHENGXIN_ALERTS_WEBHOOK_KEY", "with it, `X-Chengxin-Signature` holds `sha256=` HMAC of the body, in hex"
        ),
    ] = field(default_factory=Secret)
    address: Annotated[
        str,
        Variable(
            "CHENGXIN_ALERTS_ADDRESS",
            "Airflow's address for links",
            lambda text: text.rstrip("/"),
            "`AIRFLOW__API__BASE_URL`",
        ),
    ] = ""
    remind_after: Annotated[
        timedelta,
        Variable(
            "CHENGXIN_ALERTS_REMIND_DAYS",
            "days after which an open alert is repeated",
            lambda text: timedelta(days=values.amount(text)),
            "7",
        ),
    ] = timedelta(days=7)


@dataclass(frozen=True)
class Settings:
    """Where things lie, how much of the machine may be used, who is asked and told.

    origin: the URL of a home in an object store; then `home` is a working copy below `work`, up to date within `Home`
    only.
    """

    home: Annotated[
        Path, Variable("CHENGXIN_HOME", "the home, as `--home`: a folder, or `s3://bucket/prefix`", str, "`build/home`")
    ]
    contracts: Annotated[
        Path,
        Variable("CHENGXIN_CONTRACTS", "folder of the contracts, as `--contracts`", values.folder, "`dags/contracts`"),
    ] = PROJECT / "dags" / "contracts"
    recipients: Annotated[
        Path,
        Variable(
            "CHENGXIN_RECIPIENTS",
            "folder of the recipients and what they are granted",
            values.folder,
            "`dags/recipients`",
        ),
    ] = PROJECT / "dags" / "recipients"
    expectations: Annotated[
        Path, Variable("CHENGXIN_EXPECTATIONS", "folder of the rule packs", values.folder, "`expectations`")
    ] = PROJECT / "expectations"
    memory_limit_mib: Annotated[
        int,
        Variable(
            "CHENGXIN_MEMORY_MIB",
            "what DuckDB may hold before it spills; at most half of the container",
            values.number(1),
            "1536",
        ),
    ] = 1536
    workers: Annotated[
        int,
        Variable(
            "CHENGXIN_WORKERS",
            "processes that standardise a large file; threads of DuckDB",
            values.number(1),
            "2, or 1 core",
        ),
    ] = 2
    token_key: Annotated[
        bytes | None,
        Variable(
            "CHENGXIN_TOKEN_KEY",
            "master key, 32 characters or more; without it no persons in the open tier, and no authorised tier",
        ),
    ] = field(default=None, repr=False)
    tries: Annotated[
        int, Variable("CHENGXIN_TRIES", "how often a batch may fail before it is set aside", values.number(1), "3")
    ] = 3
    origin: str | None = None
    work: Annotated[
        Path,
        Variable(
            "CHENGXIN_WORK",
            "with a home in an object store: folder of this machine's working copies, one home a folder; a fast "
            "disk as large as the home",
            values.folder,
            "`build/work`",
        ),
    ] = PROJECT / "build" / "work"
    stray: Annotated[
        timedelta,
        Variable(
            "CHENGXIN_STRAY_MINUTES",
            "how long an upload or download may last before it counts as left behind",
            lambda text: timedelta(minutes=values.number()(text)),
            "60",
        ),
    ] = timedelta(minutes=60)
    now: Annotated[
        datetime | None,
        Variable("CHENGXIN_NOW", "a fixed instant (ISO 8601 with offset) instead of the clock", values.instant),
    ] = None
    contact: Annotated[
        str | None,
        Variable("CHENGXIN_CONTACT", "whom departments ask, for their receipts; a contract's `feedback.contact` wins"),
    ] = None
    inbox: Annotated[
        Path | None, Variable("CHENGXIN_INBOX", "folder of all file drops", values.folder, "`<home>/inbox`")
    ] = None
    outbox: Annotated[
        Path | None,
        Variable("CHENGXIN_OUTBOX", "where answers to departments go", values.folder, "`outbox` beside the inbox"),
    ] = None
    outbox_group: Annotated[
        str | None,
        Variable("CHENGXIN_OUTBOX_GROUP", "group (name or number) that may read the answers; else its own user alone"),
    ] = None
    cache: Annotated[
        Path | None,
        Variable("CHENGXIN_CACHE", "folder of the pages' index, on a disk of this machine", Path, "`<home>/cache`"),
    ] = None
    plans: Annotated[
        Path | None,
        Variable("CHENGXIN_EXPLAIN", "folder in which each SQL step leaves its plan with times, for developers", Path),
    ] = None
    serve_tokens: Annotated[
        Secret,
        Variable("CHENGXIN_SERVE_TOKENS", "tokens of those who may read the government tier, one a line"),
    ] = field(default_factory=Secret)
    match_log: Annotated[
        Path | None,
        Variable("CHENGXIN_MATCH_LOG", "file in which `serve` writes who asked for names; without it nobody may", Path),
    ] = None
    access_log: Annotated[
        Path | None,
        Variable(
            "CHENGXIN_ACCESS_LOG",
            "folder in which `serve` writes what it hands to whom, and receipts; default: `accesses/` of the home",
            Path,
        ),
    ] = None
    retry_pause: Annotated[
        timedelta,
        Variable(
            "CHENGXIN_RETRY_SECONDS",
            "the first pause before a task is tried again; the others follow from it",
            lambda text: timedelta(seconds=values.amount(text)),
            "120",
        ),
    ] = timedelta(seconds=120)
    preloads: Annotated[
        bool,
        Variable(
            "CHENGXIN_PRELOAD", "`off`: the scheduler loads nothing before it forks its tasks", values.other_than("off")
        ),
    ] = True
    limits: Limits = Limits()
    retention: Retention = Retention()
    approval: Approval = Approval()
    alerts: Alerts = field(default_factory=Alerts)

    def shown(self, path: Path) -> str:
        """Return where others find a file or folder of the home."""
        return str(path) if self.origin is None else f"{self.origin}/{path.relative_to(self.home).as_posix()}"

    @classmethod
    def from_environment(
        cls,
        *,
        home: str | Path | None = None,
        contracts: str | Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> "Settings":
        """Read all variables; arguments win. Raise ContractError for a wrong value, OSError as `secret`."""
        found = _read(cls, env)
        key = secret("CHENGXIN_TOKEN_KEY", env)
        wanted = str(home or found.get("home") or "build/home")
        origin = wanted.rstrip("/") if "://" in wanted else None
        work = found.get("work") or Path("build/work").resolve()
        fixed = {"home": work if origin else Path(wanted).resolve(), "origin": origin, "work": work}
        fixed |= {"contracts": Path(contracts).resolve()} if contracts else {}
        fixed |= {"token_key": key.encode() if key else None}
        return cls(**({"workers": min(2, os.cpu_count() or 1)} | found | fixed))


def variables(group: type = Settings) -> Iterator[tuple[str, Variable, Any]]:
    """Return every variable of a group of settings and the groups in it: field, variable, type of the value."""
    for name, hint in _hints(group).items():
        if isinstance(hint, type) and is_dataclass(hint):
            yield from variables(hint)
        elif get_origin(hint) is Annotated:
            yield name, hint.__metadata__[0], hint.__origin__


def _read(group: type, env: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the fields of a group that are set. Raise ContractError for a value that makes no sense."""
    found: dict[str, Any] = {}
    given = environment() if env is None else env
    for name, hint in _hints(group).items():
        if isinstance(hint, type) and is_dataclass(hint):
            found[name] = hint(**_read(hint, env))
        elif get_origin(hint) is Annotated:
            variable = hint.__metadata__[0]
            if hint.__origin__ is Secret:
                found[name] = Secret(variable.name, env)
            elif text := given.get(variable.name, "").strip():
                try:
                    found[name] = variable.read(text)
                except ValueError as error:
                    raise ContractError(f"环境变量 {variable.name} 应为{error}，现为“{text}”") from None
    if group is Alerts and (address := given.get("AIRFLOW__API__BASE_URL", "").rstrip("/")):
        found.setdefault("address", address)
    return found


@cache
def _hints(group: type) -> dict[str, Any]:
    return get_type_hints(group, include_extras=True)
