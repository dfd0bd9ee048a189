"""Put a folder of files on an SFTP server so that it is seen whole or not at all."""

import posixpath
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import paramiko


def upload(client: paramiko.SFTPClient, folder: str, name: str, files: Sequence[Path]) -> None:
    """Put files into folder/name. The last one is the mark: nothing is done where it lies there with the same bytes.

    The folder is filled under a hidden name and renamed. One of that name that has no such mark, e.g. copied by hand
    half way, is completed file by file, the mark last. Raises OSError, EOFError or SSHException.
    """
    target, mark = posixpath.join(folder, name), files[-1]
    with suppress(FileNotFoundError), client.open(posixpath.join(target, mark.name), "rb") as there:
        if there.read() == mark.read_bytes():
            return
    _folder(client, folder)
    if _is_folder(client, target):
        for path in files:
            part = posixpath.join(target, f".{path.name}.part")
            client.put(str(path), part)
            _rename(client, part, posixpath.join(target, path.name))
        return
    part = posixpath.join(folder, f".{name}.part")  # always the same, so that what a killed run left is used up
    _folder(client, part)
    for path in files:
        client.put(str(path), posixpath.join(part, path.name))
    _rename(client, part, target)


def _folder(client: paramiko.SFTPClient, path: str) -> None:
    """Make a folder and those above it where they are missing."""
    if not path or _is_folder(client, path):
        return
    _folder(client, posixpath.dirname(path))
    try:
        client.mkdir(path)
    except PermissionError:
        raise
    except OSError:
        if not _is_folder(client, path):  # else somebody else has made it meanwhile
            raise


def _is_folder(client: paramiko.SFTPClient, path: str) -> bool:
    try:
        return stat.S_ISDIR(client.stat(path).st_mode or 0)
    except FileNotFoundError:
        return False


def _rename(client: paramiko.SFTPClient, old: str, new: str) -> None:
    """Rename over what is there; a server that does not know how (only OpenSSH's extension does) removes it before."""
    try:
        client.posix_rename(old, new)
    except PermissionError:
        raise
    except OSError:
        with suppress(OSError):
            client.remove(new)
        client.rename(old, new)
