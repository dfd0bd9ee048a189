"""Names linked: no guess without evidence, the same answers whatever the chunks, and persons never."""

import numpy as np
import pytest

from chengxin.identity.by_name import linkage
from chengxin.identity.by_name.decoys import ACCEPTED
from chengxin.identity.by_name.explanation import explain
from chengxin.identity.by_name.index import Index, Names
from chengxin.identity.by_name.linkage import Linkage
from chengxin.identity.by_name.model import shipped
from chengxin.identity.by_name.training.corruption import Corruption
from chengxin.identity.by_name.training.invention import invented

NAMES = [*invented(2000, 12), "长沙市凯岳建材有限公司", "湘潭市凯岳供销合作社第一门市部"]
INDEX = Index.of(Names.of(NAMES), np.arange(len(NAMES)))
CORRUPTION = Corruption(NAMES, 5)
SURE = 3000  # links by an equal name in the same batch
ASKED = [CORRUPTION.corrupt(name) for name in NAMES[:400]] + invented(400, 99)


def link(names: list[str]) -> Linkage:
    return linkage.link(names, Names.of(names), INDEX, model=shipped(), seed="batch", sure=SURE)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = link(ASKED)
    monkeypatch.setattr(linkage, "_CHUNK", 301)
    parts = link(ASKED)
    assert whole.registered.tolist() == parts.registered.tolist()
    assert whole.posterior.tobytes() == parts.posterior.tobytes()
    assert (whole.share, whole.cut) == (parts.share, parts.cut)


def test_links_are_right_and_names_of_nobody_stay_unlinked() -> None:
    found = link(ASKED)
    right = np.append(np.arange(400), np.full(400, -1))
    wrong = found.linked & (found.subject != right)
    assert found.cut.posterior is not None
    assert found.linked[:400].sum() > 200
    assert wrong.sum() <= ACCEPTED * (SURE + found.linked.sum())
    assert not (found.linked & found.in_review).any()


def test_the_ordinal_of_a_branch_is_no_typing_error() -> None:
    found = link(["湘潭市凯岳供销合作社第二门市部"])
    assert not found.linked.any()


def test_nothing_asked_and_nothing_registered() -> None:
    assert len(link([]).posterior) == 0
    empty = Index.of(Names.of([]), np.zeros(0, np.int64))
    found = linkage.link(["凯岳建材厂"], Names.of(["凯岳建材厂"]), empty, model=shipped(), seed="1")
    assert (found.registered.tolist(), found.posterior.tolist()) == ([-1], [0.0])


def test_an_explanation_shows_what_was_seen_and_adds_up() -> None:
    name = "长沙市凯越建材有限公司"
    found = link([name])
    told = explain(
        (name, NAMES[found.registered[0]]), Names.of([name]), INDEX, int(found.registered[0]), model=shipped(),
        share=found.share,
    )  # fmt: skip
    assert told.registered == "长沙市凯岳建材有限公司"
    assert told.posterior == pytest.approx(found.posterior[0])
    assert told.second == pytest.approx(found.second[0])
    odds = told.posterior / (1 - told.posterior - told.second)
    assert np.log(odds) == pytest.approx(told.log_odds, abs=0.01)
    assert "“越”与“岳”同音" in told.text()
    assert "同市州" in told.text()
