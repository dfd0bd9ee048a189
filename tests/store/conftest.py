"""One S3 server for the tests of homes in an object store."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from chengxin.store.remote.copy import WorkingCopy
from object_stores import Server, s3_server, use

_buckets = count()


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server, unhurt at first; this process speaks with it."""
    use(running, monkeypatch)
    nothing = running.gate.before = running.gate.after = lambda method, path: False
    yield running
    running.gate.before = running.gate.after = nothing


@pytest.fixture
def url(server: Server) -> str:  # noqa: ARG001 - a home needs its server
    """A home of the test's own."""
    return f"s3://bucket-{next(_buckets)}/far"


@pytest.fixture
def machine(url: str, tmp_path: Path) -> Iterator[Callable[..., WorkingCopy]]:
    """Make a working copy of that home on the machine of this name."""
    made: list[WorkingCopy] = []

    def make(name: str = "a") -> WorkingCopy:
        made.append(WorkingCopy(url, tmp_path / name))
        return made[-1]

    yield make
    for copy in made:
        copy.close()
