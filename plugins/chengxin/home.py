"""Where a run works: settings, layout, clock and limits. The first argument of every stage.

A home in a folder of this machine is used in place. Of a home in an object store a process has a working copy of its
own; a stage runs on a copy that is up to date, and what it made is published afterwards. Why it is so, and what is
transferred when: docs/decisions/20261125-home-in-an-object-store.md.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from chengxin.clock import Clock
from chengxin.errors import ChengxinError
from chengxin.facts import Resources
from chengxin.settings import Limits, Settings
from chengxin.store.layout import Layout
from chengxin.store.remote import publishing
from chengxin.store.remote.copy import WorkingCopy
from chengxin.store.remote.scopes import EVERYTHING, Scope

log = logging.getLogger(__name__)
T = TypeVar("T")
_POINTERS = ("published/government/current.json", "published/open/current.json")
_copies: dict[tuple[int, str, str], WorkingCopy] = {}  # a process keeps its copies to its end


@dataclass(frozen=True)
class Home:
    """Settings and clock of one run, and the folders that follow from them."""

    settings: Settings
    clock: Clock = field(default_factory=Clock)

    @classmethod
    def from_environment(cls, *, home: str | Path | None = None, contracts: str | Path | None = None) -> "Home":
        """Read the environment; arguments win."""
        settings = Settings.from_environment(home=home, contracts=contracts)
        return cls(settings, Clock(settings.now))

    @cached_property
    def layout(self) -> Layout:
        """The folders of the home."""
        return Layout(self.settings.home)

    @property
    def accesses(self) -> Path:
        """Where the serving app writes what it hands over; `accesses/` of a home in a folder where nothing is set."""
        settings = self.settings
        return settings.access_log or (self.layout.accesses if settings.origin is None else settings.work / "accesses")

    @property
    def limits(self) -> Limits:
        """How large a delivery may be."""
        return self.settings.limits

    @property
    def resources(self) -> Resources:
        """What a session of the engine may use."""
        settings = self.settings
        return Resources(memory_limit_mib=settings.memory_limit_mib, threads=settings.workers, plans=settings.plans)

    def run(self, what: str, scope: Scope, call: Callable[["Home"], T]) -> T:
        """Run a stage on the newest state of the home and publish what it made; see WorkingCopy.run."""
        if self.settings.origin is None:
            return call(self)
        return self._copy().run(what, scope, lambda: call(self.opened()))

    @contextmanager
    def changing(self, what: str, scope: Scope = EVERYTHING) -> Iterator["Home"]:
        """Give a home that is up to date; what is changed in it is published at the end."""
        if self.settings.origin is None:
            yield self
            return
        with self._copy().changing(what, scope):
            yield self.opened()

    def here(self, scope: Scope = EVERYTHING) -> "Home":
        """Return the home as a folder of this machine, up to date as far as the scope goes; for reading."""
        if self.settings.origin is not None:
            self._copy().pull(scope)
        return self.opened()

    @contextmanager
    def followed(self, scope: Scope, seconds: float = 10) -> Iterator["Home"]:
        """Give a home that is kept up to date while it is in use, for whoever serves what it reads there."""
        if self.settings.origin is None:
            yield self
            return
        copy, over = self._copy(), threading.Event()

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
            yield self.opened()
        finally:
            over.set()
            thread.join()

    def opened(self) -> "Home":
        """Return the home as a folder of this machine, as `here`, without bringing it up to date."""
        if self.settings.origin is None:
            return self
        return replace(self, settings=replace(self.settings, home=self._copy().home))

    def sweep(self) -> int:
        """Delete from the object store what killed runs left there; return how many objects."""
        if self.settings.origin is None:
            return 0
        copy, young = self._copy(), self.settings.stray
        return publishing.sweep(copy, {"what": "sweep"}, young) + copy.forget_unused(young)

    def anew(self, pattern: str = "*") -> list[str]:
        """Read files from the store whether a copy is here or not; return in Chinese what is not as published."""
        return [] if self.settings.origin is None else self._copy().fetch_anew(pattern)

    def settle(self) -> None:
        """Let the pointers that outside readers see name what was published, should a kill have come between."""
        if self.settings.origin is not None:
            publishing.settle(self._copy(), _POINTERS)

    def _copy(self) -> WorkingCopy:
        assert self.settings.origin is not None
        key = (os.getpid(), self.settings.origin, str(self.settings.work))
        if key not in _copies:
            _copies[key] = WorkingCopy(self.settings.origin, self.settings.work)
        _copies[key].clock = self.clock
        return _copies[key]
