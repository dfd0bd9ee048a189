"""The error tree. Data trouble is data (issue rows); these are for machinery and for whole deliveries.

ChengxinError              root; carries a Chinese sentence for the operator
├── ContractError          contracts.loader, contracts.plan: the file is wrong; fix the file
├── SourceUnavailable      connectors: the source does not answer; try again later
├── DeliveryCorrupt        connectors.landing, parsing: bytes are not what was announced; ask again
├── DeliveryMismatch       cleaning, connectors.database: columns are not those of the contract; nothing is taken
├── NotReleasable          pipeline.release: nothing of a held batch is usable
├── NotClosable            records.closings: rows to be settled by hand are no quarantined rows; check their numbers
├── ActRefused             records.acts: a legal act names no record, is the second on one, or comes too early
├── JudgementRefused       identity.ledger: a judgement contradicts one that stands, or confirms one's own proposal
├── Withheld               publishing.reader: a file holds a record that an act took out; read tables, or wait
├── NotAnswered            feedback.answers: the answer to some batch cannot be made; the others are answered
├── Unforeseen             pipeline: something failed in a way that nobody foresaw; told without a value, see the log
├── StoreUnavailable       store.remote: the object store that holds the home does not answer; try again later
├── WorkerDied             cleaning: a worker process was ended from outside, mostly for want of memory; try again
├── CommitConflict         publishing.commit, store: somebody else moved the pointer or took the place; try again
├── CommitUnknown          publishing.commit, store.remote: the outcome of a commit is not known; look first
├── HomeOutdated           store.journal, records.journal: the home was made in another format; make it anew
├── SnapshotDamaged        publishing.reader, publishing.commit: no readable snapshot is left, or a named one is damaged
└── InvariantBroken        anywhere: a sum that must hold does not; a bug, so stop
    └── HomeDamaged        store.journal, records.journal: the journal is not what it was; restore the home
"""

import errno
import os
import re
import traceback
from pathlib import Path


class ChengxinError(Exception):
    """Root of all errors raised on purpose. The text is for operators and never holds a personal value."""

    retryable = False


class ContractError(ChengxinError):
    """Raised by contracts.* when a contract cannot be used as it stands. Fix the file."""


class SourceUnavailable(ChengxinError):
    """Raised by connectors when the department's side does not answer. Retry."""

    retryable = True


class StoreUnavailable(ChengxinError):
    """Raised by store.remote when the object store that holds the home does not answer. Retry."""

    retryable = True


class DeliveryCorrupt(ChengxinError):
    """Raised by landing and readers when the bytes are not what was announced. Ask for the delivery again."""


class DeliveryMismatch(ChengxinError):
    """Raised when the columns are not those of the contract. The batch is held; tell the department.

    By standardise; by connectors.database.connector before anything lands, where the type of a column cannot be taken.
    """

    def __init__(self, message: str, *, missing: tuple[str, ...] = (), undeclared: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.missing = missing
        self.undeclared = undeclared


class NotAnswered(ChengxinError):
    """Raised by feedback.answers, after all others are answered, when the answer to some batch cannot be made."""


class Unforeseen(ChengxinError):
    """Raised by pipeline for what others raise and nobody foresaw: damage of a new kind, or a bug of ours."""


class NotReleasable(ChengxinError):
    """Raised by pipeline.release when a held batch has nothing usable. Mend the contract or ask for it again."""


class NotClosable(ChengxinError):
    """Raised by records.closings when rows that somebody wants to settle are no refused rows. Check the numbers."""


class ActRefused(ChengxinError):
    """Raised by records.acts when a legal act cannot be entered as it stands. Check document, number and day."""


class JudgementRefused(ChengxinError):
    """Raised by identity.ledger when a judgement cannot be entered as it stands. Undo the other one, or ask another."""


class Withheld(ChengxinError):
    """Raised by publishing.reader for a file with a record that an act took out, until it is issued again."""


class WorkerDied(ChengxinError):
    """Raised by standardise when one of its processes ended by itself, mostly because memory ran out. Retry."""

    retryable = True


class CommitConflict(ChengxinError):
    """Raised by publishing.commit when the pointer moved under us. Retry."""

    retryable = True


class CommitUnknown(ChengxinError):
    """Raised by publishing.commit when it cannot know whether a commit happened. Look first."""


class SnapshotDamaged(ChengxinError):
    """Raised by publishing.reader and .commit when no readable snapshot is left, or a named one is damaged."""


class HomeOutdated(ChengxinError):
    """Raised by store.journal and records.journal when the home is of another format. Ingest anew into another."""


class InvariantBroken(ChengxinError):
    """Raised anywhere when an accounting sum or another invariant fails. A bug: stop, publish nothing."""


class HomeDamaged(InvariantBroken):
    """Raised by store.journal and records.journal where the journal is not what it was. Restore a newer copy."""


_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_BROKEN = (errno.EIO, errno.EROFS)
# what libraries say that keep no errno: DuckDB where its own share of the disk is used up, and SQLite
_WORDS = {errno.ENOSPC: ("max_temp_directory_size", "database or disk is full"), errno.EIO: ("disk I/O error",)}


def no_room(error: BaseException) -> bool:
    """Return whether the disk is full. Arrow and DuckDB raise errors of their own for it, with the system's text."""
    return _says(error, _FULL)


def failed_write(error: BaseException, home: str | Path) -> str | None:
    """Describe in one Chinese sentence which disk failed and what to do; None when `error` is about something else.

    home: where the disk is when the error names no file. Only folders are named: a file may be called after a person.
    """
    if not (no_room(error) or _says(error, _BROKEN)):
        return None
    name = getattr(error, "filename", None) or next(iter(re.findall(r'"(/[^"]+)"', str(error))), None)
    where = Path(os.fsdecode(name)).parent if name else home
    if no_room(error):
        return (
            f"未能写完：{where} 所在的磁盘空间不足，或超过配额、文件大小限制；"
            "请腾出空间后重跑同一命令，已完成的部分不会丢失"
        )
    return (
        f"读写失败：{where} 所在的磁盘或存储出错；请检查磁盘和系统日志，恢复后重跑同一命令，再用 chengxin verify 核验"
    )


def _says(error: BaseException, codes: tuple[int, ...]) -> bool:
    words = [word for code in codes for word in (os.strerror(code), *_WORDS.get(code, ()))]
    told = getattr(error, "errno", None) in codes or any(word in str(error) for word in words)
    return told or (error.__cause__ is not None and _says(error.__cause__, codes))


def of_home(error: BaseException) -> bool:
    """Return whether this is trouble of the whole home, with which no other batch would fare better."""
    if isinstance(error, StoreUnavailable | CommitUnknown | HomeDamaged) or no_room(error) or _says(error, _BROKEN):
        return True
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def failure_text(error: BaseException, doing: str) -> str:
    """Return a sentence about an error: its own where it is one of ours, else its kind and place, never a value."""
    if isinstance(error, ChengxinError):
        return str(error)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "chengxin" in Path(f.filename).parts]
    place = f"，{'/'.join(Path(frames[-1].filename).parts[-2:])} 第 {frames[-1].lineno} 行" if frames else ""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{doing}时遇到未预料的错误（{name}{place}）；请把这句话告知维护人员"
