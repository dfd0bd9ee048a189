"""`python -m chengxin.cli`."""

from chengxin.cli import main

main()
