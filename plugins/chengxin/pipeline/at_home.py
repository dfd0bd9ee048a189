"""Stages of a home in an object store run on a copy that is up to date; what they made is published afterwards."""

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from chengxin.contracts.models import Contract
from chengxin.facts import Batch
from chengxin.home import Home
from chengxin.store.remote import scopes
from chengxin.store.remote.scopes import Scope

P = ParamSpec("P")
R = TypeVar("R")
Stage = Callable[Concatenate[Home, P], R]


def stage(
    scope: Callable[..., Scope], name: Callable[..., str] = lambda *_, **__: ""
) -> Callable[[Stage[P, R]], Stage[P, R]]:
    """Make a stage out of a function of a home. scope, name: what it works on, by its other arguments."""

    def wrapped(function: Stage[P, R]) -> Stage[P, R]:
        @functools.wraps(function)
        def run(home: Home, /, *args: P.args, **kwargs: P.kwargs) -> R:
            what = f"{function.__name__} {name(*args, **kwargs)}".strip()
            return home.run(what, scope(*args, **kwargs), lambda here: function(here, *args, **kwargs))

        return run

    return wrapped


def _dataset(contract: Contract, *_: Any, **__: Any) -> str:
    return contract.id


def _batch(_: Contract, landed: Batch, *__: Any, **___: Any) -> str:
    return landed.batch_id


landing = stage(lambda contract, *_, **__: scopes.landing(contract.id), _dataset)
landed = stage(lambda dataset, *_, **__: scopes.landing(dataset), lambda _, batch_id: batch_id)
batch_stage = stage(lambda contract, landed, *_, **__: scopes.batch(contract.id, landed.batch_id), _batch)
dataset_stage = stage(lambda contract, *_, **__: scopes.whole_dataset(contract.id), _dataset)
linking = stage(lambda *_, **__: scopes.UNPUBLISHED)
facts = stage(lambda *_, **__: scopes.FACTS)
publication = stage(lambda *_, **__: scopes.WITHOUT_PAYLOAD)
everything = stage(lambda *_, **__: scopes.EVERYTHING)
