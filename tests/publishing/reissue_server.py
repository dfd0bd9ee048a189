"""As commit_server, but the child issues a home's snapshots again. Run by test_reissue_kill.py under strace."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from chengxin.home import Home
from chengxin.pipeline import acts
from chengxin.settings import Settings
from publishing.commit_server import main

KEY = b"a key for tests that is long enough to be one"


def home(folder: Path) -> Home:
    """Return a home with a key for its open tier."""
    return Home(Settings(home=folder, token_key=KEY))


def reissue(folder: Path) -> None:
    """Do what a run does."""
    acts.reissue(home(folder))


if __name__ == "__main__":
    main(reissue)
