"""Ids of snapshots that were issued again: `<id>-r1`, then `-r2`; the manifest names all that it stands in place of."""

import re

from chengxin.store.manifest import Manifest

_ID = re.compile(r"(.+?)(?:-r(\d+))?")


def stem(snapshot_id: str) -> str:
    """Return the id under which a snapshot was first published."""
    found = _ID.fullmatch(snapshot_id)
    return found[1] if found else snapshot_id


def following(snapshot_id: str) -> str:
    """Return the id under which a snapshot is issued the next time."""
    found = _ID.fullmatch(snapshot_id)
    return f"{stem(snapshot_id)}-r{int(found[2] or 0) + 1 if found else 1}"


def superseded(manifest: Manifest) -> list[str]:
    """Return the ids that a snapshot stands in place of, oldest first."""
    return [entry["snapshot"] for entry in manifest.basis.supersedes]


def cleared(manifest: Manifest) -> list[int]:
    """Return under how many acts rows were taken out of a snapshot, each time that it was issued again."""
    return [entry["epoch"] for entry in manifest.basis.supersedes]
