"""Under what a batch or a snapshot was made: digests of contract and suite, versions of library and engines."""

import hashlib
from pathlib import Path

from chengxin import __version__
from chengxin.cleaning import run as standardising
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import contract_digest
from chengxin.home import Home
from chengxin.identity import digests


def validation_digest(home: Home, contract: Contract) -> str:
    """Return what decides a verdict: what decides the standardised rows, and the rule pack."""
    pack = home.settings.expectations / f"{contract.kind}.json"
    body = pack.read_bytes() if pack.exists() else b""
    return f"{standardising.standard_digest(contract)}+{hashlib.sha256(body).hexdigest()[:12]}"


def suites(folder: Path) -> dict[str, str]:
    """Return the digest of each rule pack."""
    return {p.stem: hashlib.sha256(p.read_bytes()).hexdigest()[:12] for p in sorted(folder.glob("*.json"))}


VERSIONS_BY = "versions_by"  # in the versions of an account, where it is not the key


def versions_of(home: Home, contract: Contract) -> dict[str, str]:
    """Return what an admission notes: versions of library, engines, stored digests; digests of contract and suite."""
    return {
        "library": __version__,
        "contract": contract_digest(contract),
        "suite": validation_digest(home, contract).rsplit("+", 1)[1],
        digests.KEY: digests.VERSION,
        **engines(),
        **({VERSIONS_BY: contract.delivery.versions_by} if contract.delivery.versions_by != "key" else {}),
    }


def engines() -> dict[str, str]:
    """Return the versions of the engines that decide bytes."""
    from importlib.metadata import version

    return {name: version(name) for name in ("duckdb", "pyarrow", "great-expectations")}
