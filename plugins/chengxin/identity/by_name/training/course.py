"""One training: invented firms, pairs of names that are one firm or not, and the weights fitted to them.

Each round asks four kinds of names: corrupted and registered; clean but not registered (the firm itself is taken out,
so its nearest neighbours are the wrong answers); corrupted and not registered; recombined of others and not registered.
The mix sets the calibration: with few clean absentees probabilities come out ten times too high where most names have
no answer.
"""

import random
from dataclasses import dataclass

import numpy as np

from chengxin.identity.by_name.features import CROSSED, SIZES, compare
from chengxin.identity.by_name.hashes import Ints
from chengxin.identity.by_name.index import Index, Names
from chengxin.identity.by_name.model import Model
from chengxin.identity.by_name.parts import parse
from chengxin.identity.by_name.training.corruption import Corruption, recombined
from chengxin.identity.by_name.training.invention import invented, representatives
from chengxin.identity.by_name.training.regression import fit
from chengxin.model.regions import regions

#: Firms that are asked for in one round of the full training.
ASKED = 16_000
#: Of `Index.candidates`.
BUCKET, KEEP = 30, 8
#: Kinds of names asked and the weight of their pairs; their sum makes the prior.
_KINDS = {"registered": 1.0, "clean": 2.0, "corrupted": 0.5, "recombined": 1.0}
_PRIOR = _KINDS["registered"] / sum(_KINDS.values())
_ROUNDS, _PENALTY = 3, 1 / 0.3
_TRAINED = 0.8  # of the firms asked; the others are kept apart
_LEGAL_REP, _REGION, _WRONG_REP = 0.35, 0.5, 0.03  # shares of the rows that state them; of those stated wrongly


@dataclass(frozen=True)
class Firms:
    """Invented firms. own: how many of the names are asked for; the names behind them are only registered.

    absent: names of no firm.
    """

    names: list[str]
    legal_reps: list[str]
    prefectures: Ints
    own: int
    absent: list[str]

    @classmethod
    def invent(cls, asked: int, seed: int) -> "Firms":
        """Invent so many firms that are asked for, two and a half times as many neighbours, and absent ones."""
        names = invented(asked * 15 // 4, seed)
        others = names[asked:] + recombined(names[:asked], asked, seed + 10)
        registered = names[:asked] + others[: asked * 5 // 2]
        draw = np.random.default_rng(seed)
        # the prefecture that a name states is its own
        stated = parse(registered).prefecture
        known = np.array(
            sorted({int(r.code[:4]) for r in regions() if r.code.startswith("43") and r.level == "prefecture"})
        )
        prefectures = np.where(stated > 0, stated, draw.choice(known, len(registered)))
        own = representatives(asked, seed + 1)
        others_reps = random.Random(seed + 2).choices(own, k=len(registered) - asked)  # noqa: S311
        return cls(registered, own + others_reps, prefectures, asked, others[asked * 5 // 2 :])

    def index(self) -> Index:
        """Return the firms as a registry."""
        return Index.of(Names.of(self.names, self.prefectures, self.legal_reps), np.arange(len(self.names)))


@dataclass(frozen=True)
class Asked:
    """Names asked. firm: the place of the right answer, -1 where there is none. own: the firm to leave out."""

    names: list[str]
    row: Names
    firm: Ints
    own: Ints


def ask(firms: Firms, rows: Ints, kind: str, corruption: Corruption, *, seed: int) -> Asked:
    """Return names of one kind as rows state them, with legal representative and region for some."""
    draw = random.Random(seed)  # noqa: S311
    own = rows if kind != "recombined" else np.full(len(rows), -1)
    if kind == "recombined":
        names = draw.choices(firms.absent, k=len(rows))
        reps, prefectures = draw.choices(firms.legal_reps, k=len(rows)), parse(names).prefecture
    else:
        names = [firms.names[row] if kind == "clean" else corruption.corrupt(firms.names[row]) for row in rows]
        reps, prefectures = [firms.legal_reps[row] for row in rows], firms.prefectures[rows]
    stated = [rep if draw.random() < _LEGAL_REP * (1 - _WRONG_REP) else "" for rep in reps]
    places = np.where([draw.random() < _REGION for _ in rows], prefectures, 0)
    return Asked(names, Names.of(names, places, stated), own if kind == "registered" else np.full(len(rows), -1), own)


def train(asked: int = ASKED, seed: int = 1) -> Model:
    """Fit the weights. asked: firms asked for in a round; fewer make a quicker training of the same kind."""
    firms = Firms.invent(asked, seed)
    index, corruption = firms.index(), Corruption(firms.names[:asked], seed + 6)
    rows = np.sort(np.random.default_rng(seed + 2).permutation(asked)[: int(asked * _TRAINED)])
    features, answers, weights = [], [], []
    for number in range(_ROUNDS):
        for kind, weight in _KINDS.items():
            names = ask(firms, rows, kind, corruption, seed=seed * 1000 + number)
            # A firm that is missing neither is its name's rival nor counts where the rarity of its name is looked up.
            missing = kind not in {"registered", "recombined"}
            registry = index.without_own() if missing else index
            pairs = registry.candidates(names.row, bucket=BUCKET, keep=KEEP)
            if missing:
                pairs = pairs.take(pairs.registered != names.own[pairs.asked])
            compared = compare(names.row, registry, pairs)
            own = compared.pairs.registered == names.own[compared.pairs.asked]
            features.append(compared.features())
            answers.append(own)
            weights.append(np.full(len(own), weight))
    sizes = list(SIZES.values())
    bias, tables = fit(
        np.concatenate(features), sizes, np.concatenate(answers), np.concatenate(weights), penalty=_PENALTY
    )
    return Model("identity-1", _PRIOR, BUCKET, KEEP, bias, dict(zip(CROSSED, tables, strict=True)))
