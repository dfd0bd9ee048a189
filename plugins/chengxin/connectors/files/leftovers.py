"""Uploads that broke off: why a delivery may be late although its file is half there."""

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from chengxin.clock import SHANGHAI, instant_of_timestamp
from chengxin.connectors.base import read_options
from chengxin.connectors.files.options import FileDropOptions
from chengxin.connectors.files.places import is_unfinished, place_of
from chengxin.contracts.models import Contract
from chengxin.errors import ChengxinError
from chengxin.home import Home


@dataclass(frozen=True)
class Leftovers:
    """Half-written files in a drop folder of this machine. Their names may be anybody's, so they are only counted."""

    folder: str
    files: int
    newest: datetime

    def words(self) -> str:
        """Describe it in Chinese."""
        at = self.newest.astimezone(SHANGHAI)
        return f"报送目录 {self.folder} 里有 {self.files} 个未写完的文件，最后写入 {at:%Y-%m-%d %H:%M}"


def leftovers(home: Home, contract: Contract) -> Leftovers | None:
    """Look for half-written files where a source drops its files; None where there are none, or one cannot look."""
    if contract.delivery.connector != "file_drop":
        return None
    try:
        options = read_options(FileDropOptions, contract)
        if options.connection is not None:
            return None  # far away: an overview must not wait for it
        with closing(place_of(home, None, options.folder)) as place:
            deep = "/" in options.pattern
            found = [e.changed for e in place.entries(deep=deep) if is_unfinished(e.name)]
    except (ChengxinError, OSError):
        return None
    return Leftovers(options.folder, len(found), instant_of_timestamp(max(found))) if found else None
