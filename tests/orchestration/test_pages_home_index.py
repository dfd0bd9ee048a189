"""The pages and the index of a home: what is there is shown, however long the first one takes."""

import time
from datetime import UTC, datetime
from pathlib import Path

from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.operations.index import index
from chengxin.orchestration.pages.home_index import HomeIndex
from chengxin.settings import Settings
from operations.overview_homes import Size, make


def test_the_first_page_does_not_wait_for_a_whole_index(tmp_path: Path):
    home = make(tmp_path, Size(datasets=40, days=60))
    overview = HomeIndex(
        Home(Settings(home=home, contracts=tmp_path / "contracts"), Clock(datetime(2026, 11, 24, 4, tzinfo=UTC)))
    )
    with overview.reading() as connection:
        assert not index.meta(connection, "complete"), "shown while it is being filled"
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        with overview.reading() as connection:
            if index.meta(connection, "complete"):
                assert connection.execute("SELECT count(*) FROM batch").fetchone()[0] > 2000
                return
    raise AssertionError("the index never came to be whole")
