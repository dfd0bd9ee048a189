"""Which files of a home a stage works on: what is fetched before it, and where its changes are looked for after it.

A folder that a stage may replace is fetched whole, or left alone whole: what was never fetched cannot be missed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from chengxin.store.layout import VALIDATION

# Of one machine, or made again when it is missed: never in the object store.
_LOCAL = {"locks", "state", "work", "cache", "drafts", "inbox", "outbox", "demo", "airflow"}
_CACHES = ("seen.json", "keys-")  # by the times of files
_PAYLOAD = "landing/*/payload/*"


@dataclass(frozen=True)
class Scope:
    """reads, but: GLOB patterns of what is fetched and what is not (`*` crosses folders). roots: where changes lie."""

    reads: tuple[str, ...] = ("*",)
    but: tuple[str, ...] = ()
    roots: tuple[str, ...] = ("",)


EVERYTHING = Scope()
WITHOUT_PAYLOAD = Scope(but=(_PAYLOAD,))  # a publication
UNPUBLISHED = Scope(but=(_PAYLOAD, "published/*"))
FACTS = Scope(but=(_PAYLOAD, "*.parquet"))  # what was decided, no rows
RECEIPTS = Scope(but=(_PAYLOAD, "batches/*.parquet", "feedback/*.parquet", "published/*"))
PUBLISHED = Scope(("published/*",), (), ("published",))
ACCESSES = Scope(("accesses/*",), (), ("accesses",))
PAGES = Scope(but=(_PAYLOAD, "published/*.parquet"))


def published(tier: str) -> Scope:
    """Return what a reader of a tier needs."""
    return Scope((f"published/{tier}/*", "published/overlay.json"), (), (f"published/{tier}",))


def alerts(dataset: str = "") -> Scope:
    """Return the book of alerts, and the receipts of a data set that a look into it may need."""
    return Scope(("alerts/*", f"landing/{dataset}/*.json"), (), ("alerts",))


def landing(dataset: str) -> Scope:
    """Return what taking in deliveries of a data set needs: receipts, verdicts, accounts; no rows."""
    return _of_dataset(dataset, (), (_PAYLOAD, "*.parquet"))


def whole_dataset(dataset: str) -> Scope:
    """Return all that was made of a data set's deliveries, and the registry; not what was received."""
    return _of_dataset(dataset, ("batches/*/links-*",), (_PAYLOAD,))


def batch(dataset: str, batch_id: str) -> Scope:
    """Return all of one batch, the registry, and of the data set's other batches what was decided and what refused."""
    mine = (f"landing/{dataset}/{batch_id}/*", f"batches/{dataset}/{batch_id}/*")
    facts = (f"landing/{dataset}/*.json", f"batches/{dataset}/*.json", f"batches/{dataset}/*/{VALIDATION}")
    refused = tuple(f"batches/{dataset}/*/standard/{name}-*" for name in ("quarantine", "answers"))
    shared = (*refused, "admissions/*", "registry/*", "batches/*/links-*")
    return Scope((*mine, *facts, *shared), (), _roots(dataset))


def _of_dataset(dataset: str, more: tuple[str, ...], but: tuple[str, ...]) -> Scope:
    own = tuple(f"{top}/{dataset}/*" for top in ("landing", "batches", "feedback", "closings"))
    return Scope((*own, "admissions/*", "registry/*", *more), but, _roots(dataset))


def _roots(dataset: str) -> tuple[str, ...]:
    return (
        f"landing/{dataset}",
        f"batches/{dataset}",
        f"feedback/{dataset}",
        f"closings/{dataset}",
        "admissions",
        "registry",
    )


def belongs(path: str) -> bool:
    """Return whether a file (path below the home) is part of the home, or of this machine only."""
    parts = path.split("/")
    hidden = any(part.startswith(".") for part in parts)
    return len(parts) > 1 and not hidden and parts[0] not in _LOCAL and not parts[-1].startswith(_CACHES)


def areas(paths: set[str]) -> Iterator[str]:
    """Return what two writers may not change at once, the same as the locks guard on one machine."""
    for path in paths:
        parts = path.split("/")
        if parts[0] in {"admissions", "registry"} or (parts[0] == "batches" and _is_link(parts[3:])):
            yield "registry"
        elif parts[0] in {"landing", "batches", "feedback", "closings"}:
            yield "/".join(parts[:2])
        elif parts[0] == "alerts":
            yield path
        else:
            yield parts[0]


def _is_link(rest: list[str]) -> bool:
    return bool(rest) and (rest[0].startswith("links-") or rest[0] == "tried.json")
