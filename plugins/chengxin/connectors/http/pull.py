"""One pull: its pages kept on disk as they come, so that a run that dies asks only for what it does not have.

    landing/<dataset>/.pull-<id>/pull.json              what is pulled; there once the first page is
    landing/<dataset>/.pull-<id>/pass-1/page-00001.json each written whole or not at all; the numbers are the journal
    landing/<dataset>/.pull-<id>/pass-1/page-00001.next the link to the next page, where the page itself does not say it
    landing/<dataset>/.pull-<id>/pass-1/page-00002.end  instead of a page that the server refused, being at its end

A pass that shows that the source changed under it is kept for comparison and followed by another. Landing removes the
folder once its batch is there.
"""

import os
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from chengxin.clock import Clock, instant_of_timestamp
from chengxin.connectors.http.pages import NoRowsError, Page, Shape, read_body, unwrapped
from chengxin.connectors.http.paginator import Paging, Walk
from chengxin.connectors.http.replies import RefusedError
from chengxin.errors import DeliveryCorrupt, SourceUnavailable
from chengxin.store.atomic import building, fsync_folder, read_json, write_bytes, write_json

PULL = ".pull-"
_HEADER = "pull.json"

#: Asks for a page by paging parameters, or by the link to it.
Ask = Callable[[dict[str, str | int], str | None], tuple[bytes, Page]]


@dataclass(frozen=True)
class Limits:
    """mib: of all pages of a pull. passes: how often at most to walk through; pause: seconds between two."""

    mib: int
    passes: int
    pause: float


class Pull:
    """A pull in its folder, which need not exist yet.

    header: JSON values that `open_pull` compares and that the delivery is made from.
    """

    def __init__(self, folder: Path, paging: Paging, shape: Shape, limits: Limits) -> None:
        self.folder = folder
        self._paging, self._shape, self._limits = paging, shape, limits
        self._suffix = "xml" if shape.is_xml else "json"

    def begin(self, ask: Ask, header: Callable[[], dict[str, Any]]) -> Walk:
        """Ask until there are rows; keep the pull and return the walk so far.

        header: called after the first page, when the server has said what time it is.
        Raises DeliveryCorrupt where no rows come although a total announces some.
        """
        walk = Walk(self._paging)
        with building(self.folder) as folder:
            (folder / "pass-1").mkdir()
            while not walk.is_done and not walk.rows:
                walk.advance(self._page(folder / "pass-1", walk, ask)[1])
            trouble = walk.trouble() if walk.is_done else None
            if trouble and not walk.rows:  # no further pass will follow
                raise DeliveryCorrupt(trouble.message)
            write_json(folder / _HEADER, header())
        return walk

    def finish(self, ask: Ask, target: Path) -> None:
        """Ask for the pages that are not there yet and put all that hold rows into `target`: page-00001 ...

        Raises DeliveryCorrupt where no pass is complete and consistent; then the pull is given up.
        """
        try:
            pages = self._consistent(ask)
        except _InconsistentError as error:
            self.discard()
            raise DeliveryCorrupt(str(error)) from None
        for number, path in enumerate(pages, 1):
            _give(path, target / f"page-{number:05d}.{self._suffix}", self._shape)
        fsync_folder(target)

    def discard(self) -> None:
        """Forget the pull."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _consistent(self, ask: Ask) -> list[Path]:
        before: Walk | None = None
        for number in range(1, self._limits.passes + 1):
            folder = self.folder / f"pass-{number}"
            if not folder.is_dir():
                time.sleep(self._limits.pause if before else 0)
                folder.mkdir(parents=True)
            walk, pages = self._pass(folder, ask)
            trouble = walk.trouble()
            if trouble is None or (trouble.settled and before and walk.same_pages(before)):
                return pages
            before = walk
        assert trouble is not None
        raise _InconsistentError(trouble.message)

    def _pass(self, folder: Path, ask: Ask) -> tuple[Walk, list[Path]]:
        walk, size = Walk(self._paging), 0
        pages: list[tuple[Path, int]] = []
        while not walk.is_done:
            path, page = self._page(folder, walk, ask)
            try:
                is_new = walk.advance(page)
            except DeliveryCorrupt as error:
                raise _InconsistentError(str(error)) from None
            if is_new or not pages:
                pages.append((path, len(page.rows)))
            size += path.stat().st_size
            if size > self._limits.mib << 20:
                raise _InconsistentError(
                    f"接口“{self._shape.label}”一次拉取超过 {self._limits.mib} MiB；请缩小范围或调整 pull_mib"
                )
        filled = [path for path, rows in pages if rows]
        return walk, filled or [path for path, _ in pages[:1]]

    def _page(self, folder: Path, walk: Walk, ask: Ask) -> tuple[Path, Page]:
        """Return the next page, kept or asked for."""
        path = folder / f"page-{walk.pages + 1:05d}.{self._suffix}"
        following, end = path.with_suffix(".next"), path.with_suffix(".end")
        if end.exists():
            return end, Page(is_end=True)
        if path.exists():
            page = read_body(path.read_bytes(), self._shape)
            is_linked = following.exists() and self._shape.link_header
            return path, replace(page, next=following.read_text()) if is_linked else page
        try:
            body, page = ask(walk.stretch.parameters(), walk.stretch.link())
        except (RefusedError, NoRowsError) as refusal:
            self._check_end(walk, refusal)
            write_bytes(end, b"")
            return end, Page(is_end=True)
        if self._shape.link_header and page.next:
            write_bytes(following, page.next.encode())
        write_bytes(path, body)
        return path, page

    def _check_end(self, walk: Walk, refusal: RefusedError | NoRowsError) -> None:
        """Raise where an answer without a page is not the end: on the first page it never is."""
        declared = isinstance(refusal, RefusedError) and refusal.status in self._shape.status_end
        if walk.pages and (declared or walk.stretch.ends_with_any_refusal):
            return
        if isinstance(refusal, RefusedError) and walk.pages:
            raise SourceUnavailable(
                f"{refusal}；这是第 {walk.pages + 1} 页，若对方以此表示没有更多记录，请在合同中声明 {refusal.advice}"
            ) from None
        raise refusal


class _InconsistentError(DeliveryCorrupt):
    """What was pulled cannot be relied on, and going on with it would not help."""


def new_folder(landing: Path) -> Path:
    """Return a folder for a new pull; nothing is created."""
    return landing / f"{PULL}{secrets.token_hex(8)}"


def open_pull(landing: Path, wanted: dict[str, Any], keep: timedelta) -> tuple[str, dict[str, Any]] | None:
    """Return name and header of the pull that was cut short and agrees with `wanted`; forget all others.

    keep: a pull that got no page for so long is forgotten too: its pages may be of another state of the source.
    """
    found = None
    for folder in sorted(landing.glob(f"{PULL}*"), key=lambda f: f.stat().st_mtime):
        try:
            header = read_json(folder / _HEADER)
            fits = all(header[key] == value for key, value in wanted.items())
        except (OSError, ValueError, KeyError, TypeError):
            fits = False
        if fits and not found and Clock().now() - _last_page(folder) <= keep:
            found = (folder.name, header)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return found


def _last_page(folder: Path) -> datetime:
    return instant_of_timestamp(max(path.stat().st_mtime for path in folder.rglob("*")))


def _give(path: Path, target: Path, shape: Shape) -> None:
    if shape.unwrap:
        write_bytes(target, unwrapped(path.read_bytes(), shape))
        return
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
