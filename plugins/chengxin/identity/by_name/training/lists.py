"""Invented lists to evaluate on, of another seed than the training: a registry, names asked, and the right answers."""

import random

from chengxin.identity.by_name.evaluation import Query, Registered
from chengxin.identity.by_name.training.corruption import Corruption
from chengxin.identity.by_name.training.course import Firms
from chengxin.identity.by_name.training.invention import representatives

_SEED = 20_261_201
_WRITTEN_OTHERWISE, _ABSENT, _PERSONS = 0.17, 0.1, 0.2  # shares of the names asked; the last two on top of them
_LEGAL_REP, _REGION = 0.35, 0.5


def invented_lists(asked: int = 8000, seed: int = _SEED) -> tuple[list[Registered], list[Query]]:
    """Return registered names and queries: as usual most names are written as registered, and some have no answer."""
    firms, draw = Firms.invent(asked, seed), random.Random(seed)  # noqa: S311
    corruption = Corruption(firms.names[:asked], seed)
    pool = [
        Registered(f"F{number}", name, prefecture=int(prefecture), legal_rep=rep)
        for number, (name, prefecture, rep) in enumerate(
            zip(firms.names, firms.prefectures, firms.legal_reps, strict=True)
        )
    ]
    queries = []
    for firm in pool[:asked]:
        name = corruption.corrupt(firm.name) if draw.random() < _WRITTEN_OTHERWISE else firm.name
        region = firm.prefecture if draw.random() < _REGION else 0
        queries.append(Query(name, firm.code, region, firm.legal_rep if draw.random() < _LEGAL_REP else ""))
    queries += [Query(name) for name in draw.sample(firms.absent, int(asked * _ABSENT))]
    return pool, queries + [Query(name, person=True) for name in representatives(int(asked * _PERSONS), seed)]
