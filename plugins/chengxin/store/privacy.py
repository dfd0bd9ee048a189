"""Whose the files are: what a process of ours makes is for its own user alone, but for answers that a group reads."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

OTHERS = 0o077
GROUP = "CHENGXIN_OUTBOX_GROUP"
_MARKS = {"admissions", "copies", "inbox", "landing"}
_SHARED = {"inbox", "outbox"}  # departments, or a share that is mounted there, decide on these


def keep_private() -> int:
    """Let this process and those that it starts make files for their own user only; return the mask it had."""
    return os.umask(OTHERS)


def close(folder: Path) -> None:
    """Take a home, or a folder of working copies, from everybody but its user; one that is closed costs one look.

    One that was made under another mask is walked once; its inbox and outbox are left as they are. A folder that looks
    like neither is left alone, and so is what belongs to somebody else or lies on a disk that is read-only.
    """
    with suppress(OSError):
        inside = {path.name for path in folder.iterdir()} if folder.stat().st_mode & OTHERS else None
        if inside is None or (inside and not inside & _MARKS):
            return
        for root, folders, files in os.walk(folder):
            if Path(root) == folder:
                folders[:] = [name for name in folders if name not in _SHARED]
            for name in (*folders, *files):
                _close(Path(root) / name)
        _close(folder)  # last: a walk that was interrupted begins again


def _close(path: Path) -> None:
    with suppress(FileNotFoundError, PermissionError):  # gone meanwhile, or somebody else's
        mode = path.lstat().st_mode
        if mode & OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~OTHERS)


def let_read(path: Path, group: str) -> None:
    """Let a group read a file, or enter and list a folder. Raises OSError or LookupError where it cannot be."""
    shutil.chown(path, group=int(group) if group.isdecimal() else group)
    path.chmod(0o750 if path.is_dir() else 0o640)
