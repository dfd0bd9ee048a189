"""A stage's way to the home: where that lies in an object store, on a copy that is up to date, published afterwards."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from chengxin.contracts.models import Contract
from chengxin.facts import Batch
from chengxin.settings import Settings
from chengxin.store import remote
from chengxin.store.remote import scopes
from chengxin.store.remote.scopes import Scope

P = ParamSpec("P")
R = TypeVar("R")


def stage(choose: Callable[[str, str], Scope]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a stage out of a function that is given Settings.

    choose: what it works on, by data set and batch (empty where it is given none).
    """

    def wrapped(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            given = [*args, *kwargs.values()]
            settings = next(a for a in given if isinstance(a, Settings))
            dataset = next((a if isinstance(a, str) else a.id for a in given if isinstance(a, Contract | str)), "")
            batch_id = next((a.batch_id for a in given if isinstance(a, Batch)), "")

            def call(here: Settings) -> R:
                swapped: Any = [here if a is settings else a for a in args]
                named: Any = {name: here if a is settings else a for name, a in kwargs.items()}
                return function(*swapped, **named)

            return remote.run(
                settings, f"{function.__name__} {batch_id or dataset}".strip(), choose(dataset, batch_id), call
            )

        return run

    return wrapped


landing = stage(lambda dataset, _: scopes.landing(dataset))
batch_stage = stage(scopes.batch)
dataset_stage = stage(lambda dataset, _: scopes.whole_dataset(dataset))
linking = stage(lambda *_: scopes.UNPUBLISHED)
facts = stage(lambda *_: scopes.FACTS)
publication = stage(lambda *_: scopes.WITHOUT_PAYLOAD)
everything = stage(lambda *_: scopes.EVERYTHING)
