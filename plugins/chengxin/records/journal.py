"""The admissions of a home: what has entered the data set, in order."""

import logging
from contextlib import suppress
from typing import Any

from chengxin.errors import HomeDamaged, HomeOutdated
from chengxin.facts import Admission, as_json
from chengxin.identity import digests
from chengxin.state.accounts import Accounts, accounts_of
from chengxin.store import journal, pointer
from chengxin.store.journal import Head
from chengxin.store.layout import Layout

log = logging.getLogger(__name__)
_GOVERNMENT = "government"  # the tier that is made from the journal


def admissions(layout: Layout) -> tuple[Admission, ...]:
    """Read the whole journal and return all admissions in order; several of one batch are its revisions.

    Raise HomeDamaged at a gap, at an entry that does not follow the one before, and where the journal is not the one
    that the current snapshot was made from; HomeOutdated where it, or the digests in it, are of another format.
    """
    published = pointer.journal_head(layout, _GOVERNMENT)  # first: the journal never ends before it, it only grows
    found: list[Admission] = []
    place = Head()
    for place, body in journal.since(layout.journal):
        found.append(_admission(layout, place, body))
        _refuse_other(layout, published, place)
    _refuse_shorter(layout, published, place.order)
    return tuple(found)


def accounts(layout: Layout) -> Accounts:
    """Return the accounts as they are now; only entries that are new are read. Raises as `admissions` does."""
    published = pointer.journal_head(layout, _GOVERNMENT)
    found = accounts_of(layout, _admission)
    _refuse_shorter(layout, published, found.head.order)
    if published:
        _refuse_other(layout, published, found.at(published.order))
    if found.newest:
        _refuse_digests(layout, found.newest.versions)
    return found


def check(layout: Layout) -> None:
    """Raise as `accounts` does."""
    accounts(layout)


def refuse_outdated(layout: Layout) -> None:
    """Raise HomeOutdated as `admissions` does, by the newest entry; what else is wrong is no concern of readers."""
    with suppress(HomeDamaged):
        if (newest := journal.newest(layout.journal)) >= 0:
            _refuse_digests(layout, journal.chained(layout.journal, newest).get("versions"))


def _refuse_shorter(layout: Layout, published: Head | None, order: int) -> None:
    if published and order < published.order:
        raise HomeDamaged(
            f"入库日志 {layout.journal.name} 只到第 {order} 条，而已发布的快照依据到第 {published.order} 条，"
            "它是较早的副本；已停止写入，未作任何改动。请用较新的备份恢复整个数据目录，再用 chengxin verify 核验"
        )


def _refuse_other(layout: Layout, published: Head | None, head: Head) -> None:
    if published and head.order == published.order and head.digest != published.digest:
        raise HomeDamaged(
            f"入库日志 {layout.journal.name} 第 {head.order} 条不是已发布的快照所依据的那一条，"
            "两者并非同一份；已停止写入，未作任何改动。请用较新的备份恢复整个数据目录，再用 chengxin verify 核验"
        )


def _admission(layout: Layout, head: Head, body: dict[str, Any]) -> Admission:
    _refuse_digests(layout, body.get("versions"))
    try:
        found = Admission.from_json(body)
    except (ValueError, TypeError, KeyError, AttributeError):
        found = None
    if found is None or found.order != head.order:
        raise HomeDamaged(f"入库日志 {layout.journal.name} 第 {head.order} 条已损坏，请从备份恢复")
    return found


def _refuse_digests(layout: Layout, versions: dict[str, Any] | None) -> None:
    """Raise HomeOutdated where an entry stores digests of another format; its other fields may be others as well."""
    version = str((versions or {}).get(digests.KEY, "1"))
    if version != digests.VERSION:
        raise HomeOutdated(
            f"数据目录 {layout.home} 由另一版本的程序入库（摘要格式 {version}，本版本为 {digests.VERSION}），"
            "不能接着使用：请改用当时的版本，或换一个新的数据目录，从 landing 中保存的来文重新入库"
        )


def latest(all_admissions: tuple[Admission, ...]) -> dict[tuple[str, str], Admission]:
    """Return the present account of every admitted batch, by (dataset, batch_id)."""
    return {(a.dataset, a.batch_id): a for a in all_admissions}


def admit(layout: Layout, admission: Admission, after: Head) -> Head:
    """Append an admission to the journal that ends with `after`; return where it ends now.

    Raise CommitConflict when its place is taken.
    """
    assert admission.order == after.order + 1, "an admission takes the next place"
    head = journal.append_chained(layout.journal, after, as_json(admission))
    if head.order % journal.BLOCK == 0:
        try:
            journal.seal(layout.journal)
        except OSError as error:  # the admission stands; the next block is sealed with this one
            log.warning("the journal could not be sealed: %s", error)
    return head
