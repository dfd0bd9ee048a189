"""New records that say what another one says under a key that is written otherwise. Both stand, and both are told.

An increment that is sent again with its authority renamed (市场监督管理局, 市监局), its numbers padded (1号, 001号) or,
where the source's own number names the record, with new numbers makes second records of the same matters; one with the
two roles of its rows exchanged makes contrary ones. Full deliveries withdraw what they name otherwise: of these only
rows of the same delivery are compared. Of two routes of a group (delivery.route) that write a decision otherwise, the
one that came later is told.

Admissions made before their links held the digest `near` are not compared: to work it out, each new delivery would have
to read all their rows again.

File of a links folder:
  alike.parquet  row_id, other_batch, other_file, other_row, exchanged, adm_order: the row and the place of the one that
                 it is like; exchanged: that one has the two roles the other way round
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step, union
from chengxin.identity import digests
from chengxin.identity.conflicts import places
from chengxin.identity.digests import NEAR
from chengxin.identity.record_keys import SUBJECT, VERSION_ORDER, compared
from chengxin.identity.reopened_links import REOPENED, void
from chengxin.identity.versions import WITHDRAWN
from chengxin.model.kinds import Kind
from chengxin.model.schema import ColumnSpec, kind_columns
from chengxin.store.repeats import Digests

NAME = "alike.parquet"
#: The part of a key that departments write now in full, now short.
_LOOSE = "authority_name"
_PLACE = "record_id, subject_id, payload, version_at, batch_order, row_id"
_NEARBY = Schema(
    {
        "record_id": "VARCHAR",
        "subject_id": "BIGINT",
        "payload": "UBIGINT",
        "version_at": "TIMESTAMP WITH TIME ZONE",
        "batch_order": "INTEGER",
        "row_id": "BIGINT",
        NEAR: "UBIGINT",
        "here": "BOOLEAN",
        "fresh": "BOOLEAN",
    }
)


def near(kind: Kind, filled: set[str], subject: str, related: str) -> str | None:
    """Return SQL that digests whom and what day a row `s` is about; None where no key of the kind is written two ways.

    filled: the elements that the contract fills. Where there are two roles, their order does not count.
    """
    event = kind.event_on
    numbers = [c for c in _key(kind) if _is_number(c)]
    if kind.registers != "none" or event not in filled or not (numbers or (_LOOSE in kind.key and event in kind.key)):
        return None
    about = {SUBJECT: subject}
    if "related" in kind.roles:
        about = {SUBJECT: f"least({subject}, {related})", "other": f"greatest({subject}, {related})"}
    day = next(c for c in kind_columns(kind) if c.element and c.element.id == event)
    return digests.number(digests.row({**about, "on": digests.text(day, "s")}))


def _key(kind: Kind) -> list[ColumnSpec]:
    columns = {c.element.id: c for c in reversed(kind_columns(kind)) if c.element}
    return [columns[e] for e in kind.key]


def _is_number(column: ColumnSpec) -> bool:
    return column.element is not None and column.element.type == "document_no"


def _written(column: ColumnSpec) -> str:
    """Return SQL for a key column without what is written one way or another: leading zeros, signs, 第 and 号."""
    text = f"coalesce({compared(column, 's')}, '')"
    if not _is_number(column):
        return text
    plain = rf"regexp_replace(upper({text}), '[\s\pP\pS第号字]+', ' ', 'g')"
    short = rf"regexp_replace({plain}, '(^|[^0-9])0+([0-9])', '\1\2', 'g')"
    return rf"replace(regexp_replace({short}, '([0-9]) ([0-9])', '\1-\2', 'g'), ' ', '')"


@dataclass(frozen=True, kw_only=True)
class Route:
    """What another data set of the group holds: these files of its admissions."""

    linked: Sequence[Path]
    withdrawn: Sequence[Path]
    reopened: Sequence[Path]


@dataclass(frozen=True, kw_only=True)
class Alike:
    """What is told of one batch. by_number: whether the source's own number names the record.

    routes: the other data sets of its group. batches: batch_order -> batch id. standard: the passed rows of a batch, by
    id. repeated: the digests `near` that more than one settled row of this batch has. told: files whose rows (row_id)
    have another finding.
    """

    kind: Kind
    by_number: bool
    routes: Sequence[Route]
    batches: Mapping[int, str]
    standard: Callable[[str], list[Path]]
    repeated: Callable[[], Digests]
    told: Sequence[Path]

    def write(self, session: Session, target: Path, order: int) -> None:
        """Write the file where anything is found.

        Needs `linked`, `mine`, `gone`, `missed`, `reopened` and near_before.
        """
        self._nearby(session)
        if not session.count("nearby", "fresh"):
            return
        self._tell(session)
        places.write(
            session, "likened", "exchanged", target / NAME, batches=self.batches, standard=self.standard, order=order
        )

    def _nearby(self, session: Session) -> None:
        """Leave the table `nearby`: settled rows, here and held, near to a new record."""
        session.files("told_already", self.told, Schema({"row_id": "BIGINT"}))
        session.view(_SETTLED)
        session.rows("near_twice", pa.table({"h": self.repeated()}))
        session.leave(_HELD)
        held = [_HELD.name]
        for n, route in enumerate(self.routes):
            if linked := [p for p in route.linked if NEAR in pq.read_schema(p).names]:
                held.append(_held_by_route(session, f"route_{n}", route, linked))
        session.view(Step("near_held", tuple(held), union((f"SELECT * FROM {t}" for t in held), _NEARBY)))
        session.leave(_ALL)

    def _tell(self, session: Session) -> None:
        """Leave the table `likened` (row_id, other_order, other_id, exchanged)."""
        batches = session.fetch(
            Step("nearby_batches", ("nearby",), "SELECT DISTINCT batch_order, here FROM nearby ORDER BY ALL")
        )
        inputs = places.attach(session, [n for n, here in batches if not here], self.batches, self.standard)
        key = _key(self.kind)
        exact = ", ".join(f"coalesce({compared(c, 's')}, '')" for c in key)
        written = [*(_written(c) for c in key if c.name != _LOOSE), f"s.{self.kind.event_on}"]
        texts = " UNION ALL ".join(
            f"""SELECT n.*, concat_ws(chr(31), {exact}) AS exact, concat_ws(chr(31), {", ".join(written)}) AS said
            FROM nearby n JOIN {"rows" if here else inputs[batch]} s USING (row_id)
            WHERE n.batch_order = {batch} AND n.here = {here}"""
            for batch, here in batches
        )
        session.leave(Step("spelled", ("nearby", "rows", *inputs.values()), texts))
        session.leave(_likened("likened_by_text", "said", "concat(exact, chr(31), subject_id)"))
        # Numbers of the source's own that name records: of one key several may be meant, but not with the same content.
        likened = ["likened_by_text"]
        if self.by_number:
            session.leave(_likened("likened_by_content", "payload::VARCHAR", "record_id", "likened_by_text"))
            likened.append("likened_by_content")
        session.view(Step("likened", tuple(likened), " UNION ALL ".join(f"SELECT * FROM {t}" for t in likened)))


def _likened(name: str, content: str, identity: str, before: str | None = None) -> Step:
    """Return the step with the fresh rows that say what the first one says, under another identity.

    before: a step whose rows are not looked at.
    """
    left = f"AND row_id NOT IN (SELECT row_id FROM {before})" if before else ""
    sql = f"""SELECT row_id, first.batch_order AS other_order, first.row_id AS other_id,
            first.subject_id <> subject_id AS exchanged FROM (
            SELECT *, {identity} AS identity, first_value(struct_pack(identity := {identity}, here := here,
                    record_id := record_id, subject_id := subject_id, batch_order := batch_order,
                    row_id := row_id)) OVER (PARTITION BY {NEAR}, {content}
                ORDER BY here, version_at, batch_order, row_id) AS first
            FROM spelled WHERE record_id NOT IN (SELECT record_id FROM gone))
        WHERE fresh AND identity <> first.identity AND record_id <> first.record_id
        AND (subject_id = first.subject_id OR NOT first.here) {left}"""
    return Step(name, ("spelled", "gone", *([before] if before else [])), sql)


def _held_by_route(session: Session, name: str, route: Route, linked: Sequence[Path]) -> str:
    """Leave what another route holds that is near to a new record which it does not hold itself; return the table.

    What both write alike is one record, and that are nearly all: they are left out first.
    """
    links, withdrawn, reopened, near = (f"{name}_{n}" for n in ("linked", "withdrawn", "reopened", "near"))
    session.files(links, linked)
    session.files(withdrawn, route.withdrawn, WITHDRAWN)
    session.files(reopened, route.reopened, REOPENED)
    standing = f"{links} c WHERE NOT waiting AND NOT {void('c', reopened)}"
    sql = f"""WITH unknown AS (SELECT {NEAR} FROM near_settled
            WHERE fresh AND record_id NOT IN (SELECT record_id FROM {standing}))
        SELECT {_PLACE}, {NEAR} FROM {standing} AND payload IS NOT NULL AND {NEAR} IN (SELECT {NEAR} FROM unknown)"""
    session.leave(Step(near, (links, reopened, "near_settled"), sql))
    held = f"""SELECT *, false AS here, false AS fresh FROM {near} WHERE record_id NOT IN (
        SELECT record_id FROM (
            SELECT record_id, payload, version_at, batch_order, row_id FROM {standing}
            UNION ALL SELECT record_id, NULL, version_at, batch_order, -1 FROM {withdrawn})
        WHERE record_id IN (SELECT record_id FROM {near})
        GROUP BY record_id HAVING max_by(payload IS NULL, ({VERSION_ORDER})))"""
    session.leave(Step(f"{name}_held", (near, links, reopened, withdrawn), held))
    return f"{name}_held"


_SETTLED = Step(
    "near_settled",
    ("linked", "missed", "told_already", "mine"),
    f"""SELECT {_PLACE}, {NEAR}, true AS here, row_id NOT IN (SELECT row_id FROM missed)
            AND row_id NOT IN (SELECT row_id FROM told_already)
            AND record_id NOT IN (SELECT record_id FROM mine WHERE NOT here) AS fresh
        FROM linked WHERE NOT waiting AND payload IS NOT NULL AND {NEAR} IS NOT NULL""",
)
_HELD = Step(
    "near_held_before",
    ("near_before", "reopened", "near_settled"),
    f"""SELECT {_PLACE}, {NEAR}, false AS here, false AS fresh FROM near_before c
        WHERE NOT waiting AND NOT {void("c")} AND payload IS NOT NULL
        AND {NEAR} IN (SELECT {NEAR} FROM near_settled WHERE fresh)""",
)
_ALL = Step(
    "nearby",
    ("near_settled", "near_twice", "near_held"),
    f"""SELECT * FROM near_settled
        WHERE {NEAR} IN (SELECT h FROM near_twice) OR {NEAR} IN (SELECT {NEAR} FROM near_held)
        UNION ALL SELECT * FROM near_held""",
)


def counted(folders: Sequence[Path]) -> tuple[int, int]:
    """Return how many rows of a batch are like another record, and how many of these have its roles exchanged.

    folders: the links folders of its revisions.
    """
    rows = places.read(folders, NAME)
    if rows is None:
        return 0, 0
    rows = rows.group_by("row_id").aggregate([("exchanged", "max")])
    return rows.num_rows, pc.sum(rows["exchanged_max"]).as_py() or 0
