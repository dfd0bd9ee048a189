"""Invented names of organisations and of their representatives, all from a seed."""

import random

from chengxin.identity.by_name.training.vocabulary import divisions, words

_PARENTS = 600  # firms whose branches are invented


def invented(count: int, seed: int) -> list[str]:
    """Return different names of organisations."""
    draw = random.Random(seed)  # noqa: S311  # invented names, and the same in every run
    found: dict[str, None] = {}
    parents: list[str] = []
    while len(found) < count:
        name = _name(draw, parents)
        if name in found:
            continue
        found[name] = None
        if name.endswith(tuple(words()["parents"])) and len(parents) < _PARENTS and draw.random() < 0.05:
            parents.append(name)
    return list(found)


def representatives(count: int, seed: int) -> list[str]:
    """Return names of persons."""
    draw, vocabulary = random.Random(seed), words()  # noqa: S311
    given = [draw.choices(vocabulary["given_names"], k=draw.choice([1, 2])) for _ in range(count)]
    return [draw.choice(vocabulary["surnames"]) + "".join(characters) for characters in given]


def _name(draw: random.Random, parents: list[str]) -> str:
    vocabulary = words()
    prefecture, counties = draw.choice(list(divisions().items()))
    region = _region(draw, prefecture, counties)
    trade_name = _trade_name(draw, draw.choices([2, 3, 4], [72, 18, 10])[0])

    def one_of(group: str) -> str:
        return str(draw.choice(vocabulary[group]))

    trade, limited = one_of("trades"), one_of("limited")
    kind = draw.random()
    if kind < 0.62:
        return region + trade_name + trade + limited
    if kind < 0.76:
        return region + trade_name + (trade if draw.random() < 0.4 else "") + one_of("plants")
    if kind < 0.82:
        return f"{trade_name}{trade}({prefecture.removesuffix('市')}){limited}"
    if parents and kind < 0.94:
        place = draw.choice([*counties, prefecture]).rstrip("市区县") if draw.random() < 0.6 else ""
        own = draw.random()
        told = _trade_name(draw, 2) if own < 0.4 else one_of("numbers") if own < 0.7 else ""
        return draw.choice(parents) + place + told + one_of("branches")
    return region + one_of("ordinals") + trade + one_of("ordinal_forms")


def _trade_name(draw: random.Random, size: int) -> str:
    characters = words()["characters"]
    return "".join(draw.choices(characters, [1 / (1 + place / 12) for place in range(len(characters))], k=size))


def _region(draw: random.Random, prefecture: str, counties: list[str]) -> str:
    kind = draw.random()
    if kind < 0.25:
        return draw.choice(["湖南省", "湖南"])
    if kind < 0.65:
        return prefecture if draw.random() < 0.6 else prefecture.removesuffix("市")
    if kind < 0.9:
        return draw.choice(counties)
    return prefecture + draw.choice(counties) if kind < 0.96 else "湖南省" + prefecture
