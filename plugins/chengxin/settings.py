"""Frozen settings, read once at the edge (CLI, orchestration) and handed down."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def secret(name: str, env: Mapping[str, str] = os.environ) -> str | None:
    """Return a secret: the variable `name`, else what the file holds that is named by `<name>_FILE`.

    Else the file `name` in the folder CHENGXIN_CREDENTIALS; None where there is none. Raises OSError, in words, where a
    file cannot be read: a secret that is missing must not pass for none.
    """
    if value := env.get(name, "").strip():
        return value
    place, folder = env.get(f"{name}_FILE", "").strip(), env.get("CHENGXIN_CREDENTIALS", "").strip()
    if not place and folder and (Path(folder) / name).exists():
        place = str(Path(folder) / name)
    if not place:
        return None
    try:
        return Path(place).read_text("utf-8").strip() or None
    except OSError as error:
        raise OSError(error.errno, f"{name} 的文件读不到（{error.strerror}）") from None


def explained(env: Mapping[str, str] = os.environ) -> Path | None:
    """Return CHENGXIN_EXPLAIN: the folder in which each step of the engine leaves its plan; None = nowhere."""
    folder = env.get("CHENGXIN_EXPLAIN", "").strip()
    return Path(folder) if folder else None


@dataclass(frozen=True)
class Limits:
    """How large a delivery may be; beyond it is refused with a reason, never read halfway.

    file_bytes: one received file. unpacked_bytes: all that comes out of a delivery's archives. ratio: unpacked to
    packed size of one archive. members: files in one archive.
    """

    file_bytes: int = 4 << 30
    unpacked_bytes: int = 16 << 30
    ratio: int = 300
    members: int = 1000

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> "Limits":
        """Read CHENGXIN_MAX_FILE_MIB, _MAX_UNPACKED_MIB, _MAX_RATIO and _MAX_MEMBERS."""
        return cls(
            int(env.get("CHENGXIN_MAX_FILE_MIB", "4096")) << 20,
            int(env.get("CHENGXIN_MAX_UNPACKED_MIB", "16384")) << 20,
            int(env.get("CHENGXIN_MAX_RATIO", "300")),
            int(env.get("CHENGXIN_MAX_MEMBERS", "1000")),
        )


@dataclass(frozen=True)
class Settings:
    """Where things lie and how much of the machine may be used.

    home: root of landing, batches, registry and published snapshots. origin: its URL where the home lies in an object
    store; then `home` is a working copy below `work`, up to date within `store.remote` only.
    memory_limit_mib: what DuckDB may hold before it spills; keep it at or below half of the container.
    workers: processes for standardising large files; threads for DuckDB.
    token_key: the open tier's key as configured (publishing.open_tier.key); without one the tier has no persons.
    limits: how large a delivery may be. tries: how often a batch may fail before it is set aside.
    contact: whom departments ask, as receipts say it.
    """

    home: Path
    contracts: Path = PROJECT / "dags" / "contracts"
    expectations: Path = PROJECT / "expectations"
    memory_limit_mib: int = 1536
    workers: int = 2
    token_key: bytes | None = field(default=None, repr=False)
    limits: Limits = Limits()
    tries: int = 3
    origin: str | None = None
    work: Path = PROJECT / "build" / "work"
    contact: str | None = None

    def shown(self, path: Path) -> str:
        """Return where others find a file or folder of the home."""
        return str(path) if self.origin is None else f"{self.origin}/{path.relative_to(self.home).as_posix()}"

    @classmethod
    def from_environment(
        cls, *, home: str | Path | None = None, contracts: str | Path | None = None, env: Mapping[str, str] = os.environ
    ) -> "Settings":
        """Read CHENGXIN_HOME, _WORK, _CONTRACTS, _EXPECTATIONS, _MEMORY_MIB, _WORKERS, _TOKEN_KEY[_FILE], _TRIES.

        Also CHENGXIN_CONTACT and the limits. Arguments win.
        """
        key = secret("CHENGXIN_TOKEN_KEY", env)
        wanted = str(home or env.get("CHENGXIN_HOME") or "build/home")
        origin = wanted.rstrip("/") if "://" in wanted else None
        work = Path(env.get("CHENGXIN_WORK") or "build/work").resolve()
        return cls(
            home=work if origin else Path(wanted).resolve(),
            contracts=Path(contracts or env.get("CHENGXIN_CONTRACTS") or PROJECT / "dags" / "contracts").resolve(),
            expectations=Path(env.get("CHENGXIN_EXPECTATIONS") or PROJECT / "expectations").resolve(),
            memory_limit_mib=int(env.get("CHENGXIN_MEMORY_MIB", "1536")),
            workers=int(env.get("CHENGXIN_WORKERS", str(min(2, os.cpu_count() or 1)))),
            token_key=key.encode() if key else None,
            limits=Limits.from_environment(env),
            tries=max(1, int(env.get("CHENGXIN_TRIES", "3"))),
            origin=origin,
            work=work,
            contact=env.get("CHENGXIN_CONTACT", "").strip() or None,
        )
