"""The command line: `chengxin --help`. Chinese for people, `--json` for programs.

Exit codes: 0 fine, 3 something was held, 1 machinery failed, 2 usage.
"""

import atexit
import gc

import chengxin.cli.housekeeping
import chengxin.cli.onboarding  # noqa: F401  # both add their commands to the group
from chengxin.cli.commands import main

# Great Expectations brings some 300,000 objects; looking through them when the process ends takes most of a second.
atexit.register(gc.freeze)

__all__ = ["main"]
