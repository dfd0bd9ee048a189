"""The command line: `chengxin --help`. Chinese for people, `--json` for programs.

Exit codes: 0 fine, 3 something was held, 1 machinery failed, 2 usage.
"""

import chengxin.cli.onboarding  # noqa: F401  # adds its commands to the group
from chengxin.cli.commands import main

__all__ = ["main"]
