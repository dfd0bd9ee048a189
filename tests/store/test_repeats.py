import numpy as np
import pytest

from chengxin.store.repeats import AT_ONCE, repeated


def shares(digests: np.ndarray, asked: list[tuple[int, int]], piece: int = 7):
    def share(n: int, of: int):
        asked.append((n, of))
        mine = digests[digests % np.uint64(of) == n]
        return (mine[at : at + piece] for at in range(0, len(mine), piece))

    return share


@pytest.mark.parametrize("at_once", [1, 13, 1000, 10**6])
def test_finds_repeats_whatever_is_held_at_once(at_once):
    digests = np.random.default_rng(5).integers(0, 2**63, 2000, dtype=np.uint64)
    digests[:300] = digests[300:600]
    digests[600] = digests[601] = digests[602]
    values, counts = np.unique(digests, return_counts=True)
    asked: list[tuple[int, int]] = []
    found = repeated(shares(digests, asked), len(digests), at_once)
    assert sorted(found.tolist()) == values[counts > 1].tolist()
    assert len(asked) == -(-len(digests) // at_once)


@pytest.mark.parametrize("digests", [[], [4], [4, 5, 6]])
def test_finds_nothing_where_nothing_repeats(digests):
    assert repeated(shares(np.array(digests, np.uint64), []), len(digests)).tolist() == []


def test_memory_is_bounded_at_128_mib_of_digests():
    assert AT_ONCE * 8 == 128 << 20
