"""Find digests that occur more than once, by sorting numbers: a tenth of what grouping them costs an engine."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

Digests = npt.NDArray[np.uint64]
AT_ONCE = 1 << 24  # digests, 128 MiB


def repeated(share: Callable[[int, int], Iterable[Digests]], rows: int, at_once: int = AT_ONCE) -> Digests:
    """Return the digests that occur more than once among `rows` ones, each once, in no order.

    share: gives, for (n, of), those digests that leave n when divided by `of`; it is asked once for about every
    `at_once` rows, so memory is bounded.
    """
    of = max(1, -(-rows // at_once))
    return np.concatenate([_twice([*share(n, of)]) for n in range(of)])


def _twice(pieces: list[Digests]) -> Digests:
    digests = np.concatenate(pieces) if pieces else np.zeros(0, np.uint64)
    digests.sort()
    again = digests[1:] == digests[:-1]
    return np.unique(digests[1:][again])
