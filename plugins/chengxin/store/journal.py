"""An append-only journal: numbered JSON files, each created exactly once. Its order is the order of the world."""

import json
import os
from pathlib import Path
from typing import Any

from chengxin.errors import CommitConflict
from chengxin.store.atomic import BUILDING, fsync_folder


def append(folder: Path, number: int, entry: dict[str, Any]) -> None:
    """Create entry `number` durably. Raise CommitConflict if somebody else created it first."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{number:08d}.json"
    temporary = folder / f"{BUILDING}{number:08d}"
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(entry, stream, ensure_ascii=False, indent=1, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(temporary, target)
    except FileExistsError as error:
        raise CommitConflict(f"日志第 {number} 条已由另一个进程写入，请重试") from error
    finally:
        temporary.unlink()
    fsync_folder(folder)


def entries(folder: Path, *, after: int = -1) -> list[dict[str, Any]]:
    """Return all entries with a number greater than `after`, in order."""
    paths = sorted(folder.glob("[0-9]*.json"))
    return [json.loads(p.read_bytes()) for p in paths if int(p.stem) > after]
