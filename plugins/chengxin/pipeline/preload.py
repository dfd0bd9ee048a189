"""What every stage needs and no batch changes, imported and read once: processes forked afterwards have it already."""

from functools import cache

import numpy as np

from chengxin.cleaning.kernels.check_digits import resident_state, uscc_state
from chengxin.connectors import connector_named
from chengxin.model.codelists import codelists
from chengxin.model.elements import elements
from chengxin.model.kinds import kinds
from chengxin.model.regions import name_of
from chengxin.model.rules import rules

SHAPES = ("file_drop", "http_api", "database")


@cache
def warm_up() -> None:
    """Import the libraries that stages import when they need them, and read the model.

    Safe before a fork: it starts no thread and leaves no file, connection or database open. Contracts and rule packs
    are not read: people change them while processes run.
    """
    import chengxin.quality.engine  # noqa: F401  Great Expectations: 3 seconds

    for shape in SHAPES:
        connector_named(shape)
    for read in (elements, kinds, codelists, rules):
        read()
    name_of("430000")
    for judge in (uscc_state, resident_state):
        judge(np.zeros((1, 18), np.uint8))  # makes their tables
