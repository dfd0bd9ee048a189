"""Small JSON files, read by the hundred thousand: no Path objects, one open and one read each."""

import json
import os
from datetime import UTC, datetime
from typing import Any

from chengxin.clock import SHANGHAI


def read_json(path: str) -> dict[str, Any] | None:
    """Read a JSON object; None when it is not there or cannot be read (the stage that owns it will say so)."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        text = os.read(descriptor, found.st_size)
        while len(text) < found.st_size and (more := os.read(descriptor, found.st_size - len(text))):
            text += more
        body = json.loads(text)
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)
    return body if isinstance(body, dict) else None


def stamp(path: str) -> str:
    """Return what changes with a file: time and size; empty when it is not there."""
    try:
        found = os.stat(path)  # noqa: PTH116  see the head
    except OSError:
        return ""
    return f"{found.st_mtime_ns}-{found.st_size}"


def folders(path: str) -> list[str]:
    """Return the names of the folders in a folder, sorted; none where there is no such folder."""
    try:
        with os.scandir(path) as found:
            return sorted(f.name for f in found if not f.name.startswith(".") and f.is_dir())
    except OSError:
        return []


def instant(text: str) -> str:
    """Return an instant in UTC, in the one form that sorts as text."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="seconds")


def day(text: str) -> str:
    """Return the Shanghai day of an instant."""
    return datetime.fromisoformat(text).astimezone(SHANGHAI).date().isoformat()
