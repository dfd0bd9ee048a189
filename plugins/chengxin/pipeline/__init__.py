"""The stages of one batch and of one snapshot. No Airflow, no global state; every stage may be run again.

discover -> land -> standardise -> validate -> admit (link and account) -> answer      for a batch
retry_waiting -> publish (assemble, reconcile, gate, commit, derive)                   for a snapshot
"""

from chengxin.pipeline.answers import answer, close, outcomes, replay
from chengxin.pipeline.approval import Approval, Opinion, reject
from chengxin.pipeline.attempts import aside, forgive
from chengxin.pipeline.batches import (
    admit,
    as_account,
    batch,
    counts_of,
    discover,
    given,
    ingest,
    land,
    pending,
    release,
    standardise,
    validate,
)
from chengxin.pipeline.failures import Failures
from chengxin.pipeline.recipients import (
    apply_recipients,
    identify,
    issue_token,
    recipients,
    renew_notices,
    revoke_tokens,
    rotate,
)
from chengxin.pipeline.review import Review, released, review
from chengxin.pipeline.snapshots import current, publish, retry_waiting
from chengxin.pipeline.sweep import tidy

__all__ = [
    "Approval",
    "Failures",
    "Opinion",
    "Review",
    "admit",
    "answer",
    "apply_recipients",
    "as_account",
    "aside",
    "batch",
    "close",
    "counts_of",
    "current",
    "discover",
    "forgive",
    "given",
    "identify",
    "ingest",
    "issue_token",
    "land",
    "outcomes",
    "pending",
    "publish",
    "recipients",
    "reject",
    "release",
    "released",
    "renew_notices",
    "replay",
    "retry_waiting",
    "review",
    "revoke_tokens",
    "rotate",
    "standardise",
    "tidy",
    "validate",
]
