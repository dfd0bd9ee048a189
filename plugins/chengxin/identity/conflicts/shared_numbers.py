"""Rows that bear the number of another record: a key field was corrected, or the number was used again.

The number is the source's own key; where a row has none, what the kind states alone names one record of a subject.

Where the contract states that the number names the record (`delivery.versions_by`), the row has replaced what was held
under it; elsewhere both records stand. Either is told: never is one record silently two, or one another's.

File of a links folder:
  same_number.parquet  row_id, other_batch, other_file, other_row, one_subject, adm_order: the row and the place of the
                       row with the same number that it has replaced, or that stands beside it
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from chengxin.engine.session import Session
from chengxin.engine.step import Step
from chengxin.identity.conflicts import places
from chengxin.identity.digests import TWIN
from chengxin.identity.record_keys import VERSION_ORDER
from chengxin.identity.reopened_links import void
from chengxin.store.repeats import Digests

NAME = "same_number.parquet"
#: With so many rows of each, this batch and earlier ones, a row is compared that has their number: thousands may.
_NAMED = 20
_COLUMNS = ("record_id", TWIN, "subject_id", "version_at", "batch_order", "row_id", "adm_order", "payload")


@dataclass(frozen=True, kw_only=True)
class SameNumber:
    """What is told of one batch. replaces: whether the number names the record.

    key: SQL that digests the key fields of a row `s`, whoever it is about; None where the kind has none. identity: the
    value that it asks for.
    batches: batch_order -> batch id. standard: the passed rows of a batch, by id. repeated: the digests that more than
    one settled row of this batch has.
    """

    replaces: bool
    key: str | None
    identity: str
    batches: Mapping[int, str]
    standard: Callable[[str], list[Path]]
    repeated: Callable[[], Digests]

    def write(self, session: Session, target: Path, order: int) -> None:
        """Write the file where anything is found.

        Needs `linked`, `mine`, `gone`, `missed`, `reopened` and twin_before.
        """
        sql = f"""SELECT {", ".join(_COLUMNS)}, true AS here FROM linked WHERE NOT waiting
            UNION ALL SELECT {", ".join(_COLUMNS)}, false FROM twin_before c
            WHERE NOT waiting AND NOT {void("c")}"""
        session.view(Step("numbered", ("linked", "twin_before", "reopened"), sql))
        if self.replaces:
            session.leave(_REPLACED)
        else:
            self._beside(session)
        places.write(
            session, "told", "one_subject", target / NAME, batches=self.batches, standard=self.standard, order=order
        )

    def _beside(self, session: Session) -> None:
        """Leave `told`: rows of new records whose number another record bears that is not withdrawn.

        Of one delivery, rows about several subjects may be one decision with one number: they count where their key
        fields differ, or where there are none.
        """
        session.rows("twice", pa.table({"h": self.repeated()}))
        keyed = f"""SELECT row_id, {self.key or "row_id"} AS key FROM rows s
            WHERE row_id IN (SELECT unnest([row_id, other_id]) FROM pairs WHERE here AND NOT one_subject)"""
        session.leave(_FRESH)
        session.leave(_NEAR)
        session.leave(_PAIRS)
        session.leave(Step("keyed", ("rows", "pairs"), keyed, {"identity": self.identity}))
        session.leave(_BESIDE)


#: Rows that replaced a version of another key, or subject, under their number.
_REPLACED = Step(
    "told",
    ("numbered", "mine"),
    f"""SELECT row_id, other_order, other_id, subject_id = other_subject AS one_subject FROM (
            SELECT *, lag({TWIN}) OVER w AS other_twin, lag(subject_id) OVER w AS other_subject,
                lag(batch_order) OVER w AS other_order, lag(row_id) OVER w AS other_id
            FROM numbered WHERE payload IS NOT NULL AND record_id IN (SELECT record_id FROM mine)
            WINDOW w AS (PARTITION BY record_id ORDER BY {VERSION_ORDER}))
        WHERE here AND {TWIN} <> other_twin""",
)
# Of the records seen in this batch only those not known before may be a changed key.
_FRESH = Step(
    "fresh",
    ("linked", "missed", "mine", "twice", "numbered"),
    f"""SELECT record_id, {TWIN}, subject_id, version_at, batch_order, row_id FROM linked
        WHERE NOT waiting AND {TWIN} IS NOT NULL AND row_id NOT IN (SELECT row_id FROM missed)
        AND record_id NOT IN (SELECT record_id FROM mine WHERE NOT here)
        AND ({TWIN} IN (SELECT h FROM twice)
            OR {TWIN} IN (SELECT {TWIN} FROM numbered WHERE NOT here AND {TWIN} IS NOT NULL))""",
)
_NEAR = Step(
    "near_numbers",
    ("numbered", "fresh", "gone"),
    f"""SELECT record_id, {TWIN}, subject_id, version_at, batch_order, row_id, here FROM numbered
        WHERE payload IS NOT NULL AND {TWIN} IN (SELECT {TWIN} FROM fresh)
            AND record_id NOT IN (SELECT record_id FROM gone)
        QUALIFY row_number() OVER (PARTITION BY {TWIN}, here
            ORDER BY CASE WHEN here THEN row_id END, version_at DESC, batch_order DESC, row_id DESC) <= {_NAMED}""",
)
_PAIRS = Step(
    "pairs",
    ("fresh", "near_numbers"),
    f"""SELECT f.row_id, o.row_id AS other_id, o.batch_order AS other_order, o.version_at, o.here,
            o.subject_id = f.subject_id AS one_subject
        FROM fresh f JOIN near_numbers o ON o.{TWIN} = f.{TWIN} AND o.record_id <> f.record_id
            AND (NOT o.here OR o.row_id < f.row_id)""",
)
_BESIDE = Step(
    "told",
    ("pairs", "keyed"),
    """SELECT p.row_id, max_by(other_order, (version_at, other_order, other_id)) AS other_order,
            max_by(other_id, (version_at, other_order, other_id)) AS other_id,
            max_by(one_subject, (version_at, other_order, other_id)) AS one_subject
        FROM pairs p LEFT JOIN keyed a ON a.row_id = p.row_id LEFT JOIN keyed b ON here AND b.row_id = other_id
        WHERE NOT here OR one_subject OR a.key <> b.key GROUP BY p.row_id""",
)


def counted(folders: Sequence[Path]) -> tuple[int, int]:
    """Return how many rows of a batch bear the number of another record: of the same subject, and of another one.

    folders: the links folders of its revisions.
    """
    rows = places.read(folders, NAME)
    one = 0 if rows is None else pc.sum(rows["one_subject"]).as_py() or 0
    return one, 0 if rows is None else rows.num_rows - one
