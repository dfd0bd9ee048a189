"""`python -m chengxin.operations.index HOME CONTRACTS`: bring the index up to date in a process of its own.

For work of more than a moment: a thread of the server would keep pages waiting for the interpreter.
"""

import os
import sys
from pathlib import Path

from chengxin.home import Home
from chengxin.operations.index.follower import refresh
from chengxin.settings import Settings

if __name__ == "__main__":
    os.nice(5)  # pages come first
    refresh(Home(Settings(home=Path(sys.argv[1]), contracts=Path(sys.argv[2]))))
