"""Invented and corrupted names: from a seed, and never the name they came from by chance alone."""

from chengxin.identity.by_name.training.corruption import Corruption, recombined, split
from chengxin.identity.by_name.training.invention import invented, representatives


def test_inventions_are_different_and_come_from_the_seed() -> None:
    assert len(set(invented(2000, 3))) == 2000
    assert invented(200, 3) == invented(2000, 3)[:200]
    assert representatives(5, 1) != representatives(5, 2)


def test_corruptions_come_from_the_seed_and_change_the_name() -> None:
    names = invented(500, 4)
    first, second = Corruption(names, 1), Corruption(names, 1)
    wrong = [first.corrupt(name) for name in names]
    assert [second.corrupt(name) for name in names] == wrong
    assert sum(a != b for a, b in zip(names, wrong, strict=True)) > 450
    assert all(wrong)


def test_recombined_names_are_names_of_nobody() -> None:
    names = invented(500, 4)
    assert not set(recombined(names, 100, 1)) & set(names)


def test_a_name_splits_into_regions_middle_and_form() -> None:
    assert split("湖南省长沙市凯岳建材有限公司") == (["湖南省", "长沙市"], "凯岳建材", "有限公司")
    assert split("凯岳") == ([], "凯岳", "")
