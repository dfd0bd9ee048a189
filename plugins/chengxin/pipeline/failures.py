"""Trouble of one batch or one data set: it is told, and keeps no other waiting. Trouble of the home ends the run."""

import logging
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from chengxin.contracts.models import Contract
from chengxin.errors import ChengxinError, InvariantBroken, SourceUnavailable, Unforeseen, failure_text, of_home
from chengxin.home import Home
from chengxin.operations.alerts.book import Book
from chengxin.operations.alerts.causes import Cause, of_contract
from chengxin.operations.alerts.channels import channels
from chengxin.operations.alerts.notices import deliver
from chengxin.store.remote import scopes

log = logging.getLogger(__name__)
_OF_RUNS = ("failed", "source", "broken")  # what is over when everything of a data set went well


@contextmanager
def guarded(doing: str) -> Iterator[None]:
    """Turn what nobody foresaw into an error that tells it without a value; its frames go to the log."""
    try:
        yield
    except ChengxinError:
        raise
    except Exception as error:
        if of_home(error):
            raise
        log.info("%s：%s\n%s", doing, type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        raise Unforeseen(failure_text(error, doing)) from None


class Failures:
    """What went wrong in one run. said: a sentence for each, as it is printed. page: where people look at the run."""

    def __init__(self, home: Home, page: str = "") -> None:
        self._home, self._page = home, page
        self._causes: list[Cause] = []
        self.said: list[str] = []

    @contextmanager
    def of(self, contract: Contract, doing: str, what: str = "") -> Iterator[None]:
        """Do something for a data set; what goes wrong is kept, and the caller goes on with the next one.

        what: the delivery or batch concerned. Raises what is trouble of the whole home.
        """
        try:
            with guarded(doing):
                yield
        except ChengxinError as error:
            if of_home(error):
                raise
            said = f"{contract.id}{' / ' if what else ''}{what}：{error}"
            self.said += [] if said in self.said else [said]
            kind = "source" if isinstance(error, SourceUnavailable) else "failed"
            kind = "broken" if isinstance(error, InvariantBroken) else kind
            reason = f"{doing}:{type(error).__name__}"
            text = f"{what}：{error}" if what else str(error)
            self._causes.append(of_contract(kind, contract, text, reason=reason, item=what, page=self._page))

    @contextmanager
    def of_publication(self) -> Iterator[None]:
        """Publish; what goes wrong is kept, and departments are answered all the same."""
        try:
            with guarded("发布"):
                yield
        except ChengxinError as error:
            if of_home(error):
                raise
            self.said.append(f"发布：{error}")
            kind = "broken" if isinstance(error, InvariantBroken) else "unpublished"
            self._causes.append(Cause(kind, "snapshot", str(error), f"publish:{type(error).__name__}"))

    def tell(self, whole: Collection[str] = (), doing: tuple[str, ...] = ("",)) -> None:
        """Open the alerts of what went wrong; close those of data sets of which everything was done, and went well.

        doing: what was done, where that is not all there is to do for a data set.
        """
        now, mine = self._home.clock.now(), {cause.id for cause in self._causes}
        bad = {cause.about for cause in self._causes}
        try:
            with self._home.changing("alerts", scopes.alerts()) as here:
                book = Book(here.layout)
                for cause in self._causes:
                    book.open(cause, now)
                over = {d for d in whole if d not in bad}
                book.close(
                    lambda e: (
                        e.cause.kind in _OF_RUNS
                        and e.cause.about in over
                        and e.cause.reason.startswith(doing)
                        and e.id not in mine
                    ),
                    now,
                )
                # The command prints what went wrong itself.
                deliver(here, [c for c in channels(self._home.settings.alerts) if c.name != "log"])
        except (OSError, ChengxinError, ValueError) as error:
            log.warning("告警未能登记或送出：%s", failure_text(error, "登记告警"))
