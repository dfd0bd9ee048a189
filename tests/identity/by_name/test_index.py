"""Blocking: which registered names are compared with a name that is asked."""

import numpy as np

from chengxin.identity.by_name.index import Index, Names, Pairs, rank
from chengxin.identity.by_name.training.invention import invented

NAMES = [*invented(3000, 5), "长沙凯岳建材有限公司"]
INDEX = Index.of(Names.of(NAMES), np.arange(len(NAMES)))


def candidates(name: str, **more: int) -> list[str]:
    found = INDEX.candidates(Names.of([name]), **({"bucket": 30, "keep": 8} | more))
    return [NAMES[place] for place in found.registered]


def test_every_core_at_distance_one_is_a_candidate() -> None:
    wrong = ("凯越建材", "凯建材", "凯岳岳建材", "岳建材", "凯岳建", "凯岳建筑")
    assert [core for core in wrong if NAMES[-1] not in candidates(f"长沙{core}有限公司")] == []


def test_moved_and_cut_parts_are_found_by_rare_bigrams() -> None:
    assert NAMES[-1] in candidates("凯岳新型装饰建材厂")


def test_the_nearest_stay_and_come_by_the_name_asked() -> None:
    asked = Names.of(NAMES[:200])
    pairs = INDEX.candidates(asked, bucket=30, keep=3)
    assert max(np.bincount(pairs.asked)) == 3
    assert (np.diff(pairs.asked) >= 0).all()
    own = {(a, r) for a, r in zip(pairs.asked.tolist(), pairs.registered.tolist(), strict=True) if a == r}
    assert len(own) > 150  # its own name is among the nearest, but where many share a core


def test_candidates_do_not_depend_on_who_else_is_asked() -> None:
    asked = Names.of(NAMES[:60])
    alone = [INDEX.candidates(asked.take(slice(row, row + 1)), bucket=30, keep=8).registered for row in range(60)]
    assert np.concatenate(alone).tolist() == INDEX.candidates(asked, bucket=30, keep=8).registered.tolist()


def test_nothing_in_common_gives_no_candidate() -> None:
    nothing = Index.of(Names.of([]), np.zeros(0, np.int64))
    assert len(nothing.candidates(Names.of(["凯岳建材厂"]), bucket=30, keep=8)) == 0
    assert candidates("ZQXJ") == []


def test_the_rank_counts_within_a_group() -> None:
    assert rank(np.array([0, 0, 3, 3, 3, 7])).tolist() == [0, 1, 0, 1, 2, 0]
    assert isinstance(Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64)).take(np.zeros(0, np.int64)), Pairs)
