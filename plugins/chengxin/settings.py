"""Frozen settings, read once at the edge (CLI, orchestration) and handed down."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Settings:
    """Where things lie and how much of the machine may be used.

    home: root of landing, batches, registry and published snapshots.
    memory_limit_mib: what DuckDB may hold before it spills; keep it at or below half of the container.
    workers: processes for standardising large files; threads for DuckDB.
    token_key: HMAC key for the open tier's person tokens; without it the tokens stay empty.
    """

    home: Path
    contracts: Path = PROJECT / "dags" / "contracts"
    expectations: Path = PROJECT / "expectations"
    memory_limit_mib: int = 1536
    workers: int = 2
    token_key: bytes | None = field(default=None, repr=False)

    @classmethod
    def from_environment(
        cls, *, home: str | Path | None = None, contracts: str | Path | None = None, env: Mapping[str, str] = os.environ
    ) -> "Settings":
        """Read CHENGXIN_HOME, _CONTRACTS, _EXPECTATIONS, _MEMORY_MIB, _WORKERS and _TOKEN_KEY; arguments win."""
        key = env.get("CHENGXIN_TOKEN_KEY")
        return cls(
            home=Path(home or env.get("CHENGXIN_HOME") or "build/home").resolve(),
            contracts=Path(contracts or env.get("CHENGXIN_CONTRACTS") or PROJECT / "dags" / "contracts").resolve(),
            expectations=Path(env.get("CHENGXIN_EXPECTATIONS") or PROJECT / "expectations").resolve(),
            memory_limit_mib=int(env.get("CHENGXIN_MEMORY_MIB", "1536")),
            workers=int(env.get("CHENGXIN_WORKERS", str(min(2, os.cpu_count() or 1)))),
            token_key=key.encode() if key else None,
        )
