"""Cases of a test that show much the same: a few every day, the others with `make test-slow`."""

from collections.abc import Iterable
from typing import Any

import pytest


def few(number: int, cases: Iterable[Any]) -> list[Any]:
    """Return the cases as parameters, those after the first `number` marked as slow."""
    every = [one if isinstance(one, tuple) else (one,) for one in cases]
    return [pytest.param(*one, marks=pytest.mark.slow if n >= number else ()) for n, one in enumerate(every)]
