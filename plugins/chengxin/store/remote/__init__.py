"""The home in an object store: a process works on a copy of its own, and publishes what a stage made of it.

For a home in a folder of this machine everything here is the call itself. Why it is so, and what is transferred when:
docs/decisions/20261125-home-in-an-object-store.md.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from chengxin.errors import ChengxinError
from chengxin.settings import Settings
from chengxin.store.remote import publishing
from chengxin.store.remote.copy import WorkingCopy
from chengxin.store.remote.scopes import EVERYTHING, Scope

log = logging.getLogger(__name__)
T = TypeVar("T")
_POINTERS = ("published/government/current.json", "published/open/current.json")
_copies: dict[tuple[int, str, str], WorkingCopy] = {}  # a process keeps its copies to its end


def run(settings: Settings, what: str, scope: Scope, call: Callable[[Settings], T]) -> T:
    """Run a stage on the newest state of the home and publish what it made; see WorkingCopy.run."""
    if settings.origin is None:
        return call(settings)
    copy = _copy(settings)
    return copy.run(what, scope, lambda: call(replace(settings, home=copy.home)))


@contextmanager
def changing(settings: Settings, what: str, scope: Scope = EVERYTHING) -> Iterator[Settings]:
    """Give settings whose home is up to date; what is changed in it is published at the end."""
    if settings.origin is None:
        yield settings
        return
    copy = _copy(settings)
    with copy.changing(what, scope):
        yield replace(settings, home=copy.home)


def here(settings: Settings, scope: Scope = EVERYTHING) -> Settings:
    """Return settings whose home is a folder of this machine, up to date as far as the scope goes; for reading."""
    if settings.origin is None:
        return settings
    copy = _copy(settings)
    copy.pull(scope)
    return replace(settings, home=copy.home)


@contextmanager
def followed(settings: Settings, scope: Scope, seconds: float = 10) -> Iterator[Settings]:
    """Give settings whose home is kept up to date while they are in use, for whoever serves what it reads there."""
    if settings.origin is None:
        yield settings
        return
    copy, over = _copy(settings), threading.Event()

    def follow() -> None:
        while not over.wait(seconds):
            try:
                copy.pull(scope)
            except ChengxinError as error:  # what was there is still served
                log.warning("%s", error)

    copy.pull(scope)
    thread = threading.Thread(target=follow, name="chengxin-follow", daemon=True)
    thread.start()
    try:
        yield replace(settings, home=copy.home)
    finally:
        over.set()
        thread.join()


def sweep(settings: Settings) -> int:
    """Delete from the object store what killed runs left there; return how many objects.

    CHENGXIN_STRAY_MINUTES: how long an upload or download may last before it counts as left behind.
    """
    if settings.origin is None:
        return 0
    copy = _copy(settings)
    young = timedelta(minutes=int(os.environ.get("CHENGXIN_STRAY_MINUTES", "60")))
    return publishing.sweep(copy, {"what": "sweep"}, young) + copy.forget_unused(young)


def anew(settings: Settings, pattern: str = "*") -> list[str]:
    """Read files of the home from the store whether a copy is here or not; say in Chinese what is not as published."""
    return [] if settings.origin is None else _copy(settings).fetch_anew(pattern)


def opened(settings: Settings) -> Settings:
    """Return settings whose home is a folder of this machine, as `here`, without bringing it up to date."""
    return settings if settings.origin is None else replace(settings, home=_copy(settings).home)


def settle(settings: Settings) -> None:
    """Let the pointers that outside readers see name what was published, should a kill have come between."""
    if settings.origin is not None:
        publishing.settle(_copy(settings), _POINTERS)


def _copy(settings: Settings) -> WorkingCopy:
    assert settings.origin is not None
    key = (os.getpid(), settings.origin, str(settings.work))
    if key not in _copies:
        _copies[key] = WorkingCopy(settings.origin, settings.work)
    return _copies[key]
