"""The command line: `chengxin --help`. Chinese for people, `--json` for programs.

Exit codes: 0 fine, 3 something was held, 1 machinery failed, 2 usage.
"""

import chengxin.cli.alerts
import chengxin.cli.commands
import chengxin.cli.home
import chengxin.cli.housekeeping
import chengxin.cli.onboarding
import chengxin.cli.retry  # noqa: F401  # all add their commands to the group
from chengxin.cli.group import main

__all__ = ["main"]
