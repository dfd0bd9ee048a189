"""The error tree. Data trouble is data (issue rows); these are for machinery and for whole deliveries.

ChengxinError                 root; carries a Chinese sentence for the operator
├── ContractError             contracts.loader, contracts.plan: the file is wrong; fix the file
├── SourceUnavailable         connectors: the source does not answer; try again later
├── DeliveryCorrupt           connectors.landing, standardise.reader: bytes are not what was announced; ask again
├── NotClosable               dataset.closings: rows to be settled by hand are no refused rows; check their numbers
├── DeliveryMismatch          standardise, connectors.database: columns are not those of the contract; nothing is taken
├── StoreUnavailable          store.remote: the object store that holds the home does not answer; try again later
├── CommitConflict            publish.snapshot, store: somebody else moved the pointer or took the place; try again
├── CommitUnknown             publish.snapshot, store.remote: the outcome of a commit is not known; look first
├── SnapshotDamaged           dataset.reader, publish.snapshot: no readable snapshot is left, or a named one is damaged
└── InvariantBroken           anywhere: a sum that must hold does not; a bug, so stop
"""

import errno
import os


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

    By standardise; by connectors.database before anything lands, where the type of a column cannot be taken.
    """

    def __init__(self, message: str, *, missing: tuple[str, ...] = (), undeclared: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.missing = missing
        self.undeclared = undeclared


class NotReleasable(ChengxinError):
    """Raised by pipeline.release when a held batch has nothing usable. Mend the contract or ask for it again."""


class NotClosable(ChengxinError):
    """Raised by dataset.closings when rows that somebody wants to settle are no refused rows. Check the numbers."""


class CommitConflict(ChengxinError):
    """Raised by publish.snapshot when the pointer moved under us. Retry."""

    retryable = True


class CommitUnknown(ChengxinError):
    """Raised by publish.snapshot when it cannot tell whether a commit happened. Look first."""


class SnapshotDamaged(ChengxinError):
    """Raised by dataset.reader and publish.snapshot when no readable snapshot is left, or a named one is damaged."""


class InvariantBroken(ChengxinError):
    """Raised anywhere when an accounting sum or another invariant fails. A bug: stop, publish nothing."""


def no_room(error: BaseException) -> bool:
    """Tell whether the disk is full. Arrow and DuckDB raise errors of their own for it, with the system's text."""
    codes = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
    told = getattr(error, "errno", None) in codes or any(os.strerror(code) in str(error) for code in codes)
    return told or (error.__cause__ is not None and no_room(error.__cause__))
