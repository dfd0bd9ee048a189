"""What a worker process does first. It imports no pyarrow, because it has to come before that."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from chengxin.store.memory import keep_freed_memory


class _NoPandas(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is kept out of this process", name="pandas")
        return None


def leave_pandas_out() -> None:
    """Keep pyarrow from importing pandas where it finds it: a third of a worker's start, and nothing here uses it."""
    sys.meta_path.insert(0, _NoPandas())


def prepare() -> None:
    """Prepare a worker process; its memory goes back when it ends."""
    leave_pandas_out()
    keep_freed_memory()
