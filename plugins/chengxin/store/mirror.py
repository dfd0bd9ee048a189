"""Copies of files of one home in another folder: each whole or not there, and none that is there already."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from chengxin.store.atomic import BUILDING, fsync_file, fsync_folder, naming


class Mirror:
    """Copies files from a home to the same names below another folder. copied: how many, and how many bytes.

    What has size and time of the file there is taken for a copy of it. Files that are one file there are one here.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self._source, self._target = source, target
        self._one: dict[tuple[int, int], Path] = {}
        self.copied = 0
        self.bytes = 0

    def copy(self, path: Path) -> None:
        """Copy one file of the source durably, but for its folder's entry. Raise FileNotFoundError where it is gone."""
        found, target = path.stat(), self._target / path.relative_to(self._source)
        key = (found.st_dev, found.st_ino)
        if not self._is_there(target, found):
            target.parent.mkdir(parents=True, exist_ok=True)
            building = target.with_name(BUILDING + target.name)
            with naming(building):
                building.unlink(missing_ok=True)
                if key in self._one:
                    os.link(self._one[key], building)
                else:
                    shutil.copy2(path, building)
                    fsync_file(building)
                    self.bytes += found.st_size
                building.rename(target)
            self.copied += 1
        if found.st_nlink > 1:
            self._one[key] = target

    def copy_tree(self, folder: Path, *, but: tuple[str, ...] = ()) -> None:
        """Copy all files below a folder of the source, deepest first, and make their folders durable.

        What is under construction is left out, what lies in folders of these names, and what goes away meanwhile.
        """
        for root, folders, files in os.walk(folder):
            folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in but)
            for name in sorted(n for n in files if not n.startswith(".")):
                with suppress(FileNotFoundError):
                    self.copy(Path(root) / name)
            self.settle(Path(root))

    def settle(self, folder: Path) -> None:
        """Make what was copied from a folder of the source durable under its names."""
        target = self._target / folder.relative_to(self._source)
        if target.is_dir():
            fsync_folder(target)

    @staticmethod
    def _is_there(target: Path, found: os.stat_result) -> bool:
        try:
            there = target.stat()
        except FileNotFoundError:
            return False
        return (there.st_size, there.st_mtime_ns) == (found.st_size, found.st_mtime_ns)
