"""Fixtures that more than one layer's tests use; builders stay beside the tests that need them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from chengxin.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of hundreds of processes compiles our code again

MEMORY = Path("/dev/shm")  # where there is room: every stage waits for the disk many times, at milliseconds each
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(autouse=True)
def mask() -> Iterator[None]:
    """Keep the process's file mask, which a command that is called in this process narrows for good."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the project; the test is skipped where it is absent."""
    folder = Path(os.environ.get("CHENGXIN_SHARED") or PROJECT.parent / "shared") / "data"
    if not folder.is_dir():
        pytest.skip("no shared data here")
    return folder
