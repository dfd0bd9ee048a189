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

from chengxin.engine.session import Connection, parquet
from chengxin.identity import digests
from chengxin.identity.conflicts import places
from chengxin.identity.record_keys import SUBJECT, VERSION_ORDER, compared
from chengxin.model.kinds import Kind
from chengxin.model.schema import ColumnSpec, kind_columns
from chengxin.store.repeats import Digests

NAME = "alike.parquet"
NEAR = "near"
#: The part of a key that departments write now in full, now short.
_LOOSE = "authority_name"
_PLACE = "record_id, subject_id, payload, version_at, batch_order, row_id"


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


@dataclass(frozen=True)
class Route:
    """What another data set of the group holds: the linked.parquet and withdrawn.parquet of its admissions.

    void: SQL that tells which of its versions `c` were reopened since.
    """

    linked: Sequence[Path]
    withdrawn: Sequence[Path]
    void: str


@dataclass(frozen=True)
class Alike:
    """What is told of one batch. by_number: whether the source's own number names the record.

    linked: the linked.parquet of the data set's earlier admissions (none for full deliveries); void: SQL that tells
    which of their versions `c` were reopened since. routes: the other data sets of its group.
    batches: batch_order -> batch id. standard: the passed rows of a batch, by id. repeated: the digests `near` that
    more than one settled row of this batch has.
    """

    kind: Kind
    by_number: bool
    linked: Sequence[Path]
    void: str
    routes: Sequence[Route]
    batches: Mapping[int, str]
    standard: Callable[[str], list[Path]]
    repeated: Callable[[], Digests]

    def write(self, connection: Connection, target: Path, order: int, said_already: Sequence[Path]) -> None:
        """Write the file where there is something to tell. Needs the tables `linked`, `mine`, `gone`, `missed`.

        said_already: files whose rows (row_id) are told of otherwise.
        """
        earlier = [p for p in self.linked if NEAR in pq.read_schema(p).names]
        if not self._candidates(connection, earlier, said_already):
            return
        self._tell(connection)
        places.write(
            connection, "likened", "exchanged", target / NAME, batches=self.batches, standard=self.standard, order=order
        )

    def _candidates(self, connection: Connection, earlier: Sequence[Path], said_already: Sequence[Path]) -> bool:
        """Leave the table `nearby`: settled rows, here and held, near to a new record; tell whether there are any."""
        told = f"AND row_id NOT IN (SELECT row_id FROM {parquet(said_already)})" if said_already else ""
        settled = f"""SELECT {_PLACE}, {NEAR}, true AS here, row_id NOT IN (SELECT row_id FROM missed) {told}
                AND record_id NOT IN (SELECT record_id FROM mine WHERE NOT here) AS fresh
            FROM linked WHERE NOT waiting AND payload IS NOT NULL AND {NEAR} IS NOT NULL"""
        connection.register("near_twice", pa.table({"h": self.repeated()}))
        connection.execute(f"CREATE TEMP TABLE nearby AS {settled} AND {NEAR} IN (SELECT h FROM near_twice)")
        connection.unregister("near_twice")
        connection.execute("CREATE TEMP TABLE nearby_held AS SELECT * FROM nearby WHERE false")
        for route in self.routes:
            _hold_of(route, connection, settled)
        if earlier:
            connection.execute(f"""INSERT INTO nearby_held
                SELECT {_PLACE}, {NEAR}, false AS here, false AS fresh FROM {parquet(earlier)} c
                WHERE NOT waiting AND NOT {self.void} AND payload IS NOT NULL
                AND {NEAR} IN (SELECT {NEAR} FROM ({settled}) WHERE fresh)""")
        if earlier or self.routes:
            connection.execute(f"""INSERT INTO nearby SELECT * FROM ({settled})
                WHERE {NEAR} IN (SELECT {NEAR} FROM nearby_held) AND row_id NOT IN (SELECT row_id FROM nearby)""")
            connection.execute("INSERT INTO nearby SELECT * FROM nearby_held")
        return bool(connection.execute("SELECT count(*) FROM nearby WHERE fresh").fetchall()[0][0])

    def _tell(self, connection: Connection) -> None:
        """Leave the table `likened` (row_id, other_order, other_id, exchanged)."""
        key = _key(self.kind)
        said = [f"coalesce({compared(c, 's')}, '')" for c in key]
        exact = f"concat_ws(chr(31), {', '.join(said)})"
        written = [*(_written(c) for c in key if c.name != _LOOSE), f"s.{self.kind.event_on}"]
        batches = connection.execute("SELECT DISTINCT batch_order, here FROM nearby ORDER BY ALL").fetchall()
        texts = " UNION ALL ".join(
            f"""SELECT n.*, {exact} AS exact, concat_ws(chr(31), {", ".join(written)}) AS said FROM nearby n
            JOIN {"rows" if here else parquet(self.standard(self.batches[batch]))} s USING (row_id)
            WHERE n.batch_order = {batch} AND n.here = {here}"""
            for batch, here in batches
        )
        connection.execute(f"CREATE TEMP TABLE spelled AS {texts}")
        # Numbers of the source's own that name records: of one key several may be meant, but not with the same content.
        ways = [("said", "concat(exact, chr(31), subject_id)")] + (
            [("payload::VARCHAR", "record_id")] if self.by_number else []
        )
        connection.execute(
            "CREATE TEMP TABLE likened (row_id BIGINT, other_order BIGINT, other_id BIGINT, exchanged BOOL)"
        )
        for content, identity in ways:
            connection.execute(f"""INSERT INTO likened
                SELECT row_id, first.batch_order, first.row_id, first.subject_id <> subject_id FROM (
                    SELECT *, {identity} AS identity, first_value(struct_pack(identity := {identity}, here := here,
                            record_id := record_id, subject_id := subject_id, batch_order := batch_order,
                            row_id := row_id)) OVER (PARTITION BY {NEAR}, {content}
                        ORDER BY here, version_at, batch_order, row_id) AS first
                    FROM spelled WHERE record_id NOT IN (SELECT record_id FROM gone))
                WHERE fresh AND identity <> first.identity AND record_id <> first.record_id
                AND (subject_id = first.subject_id OR NOT first.here)
                AND row_id NOT IN (SELECT row_id FROM likened)""")


def _hold_of(route: Route, connection: Connection, settled: str) -> None:
    """Add to `nearby_held` what another route holds that is near to a new record which it does not hold itself.

    What both write alike is one record, and that are nearly all: they are left out first.
    """
    linked = [p for p in route.linked if NEAR in pq.read_schema(p).names]
    if not linked:
        return
    standing = f"{parquet(linked)} c WHERE NOT waiting AND NOT {route.void}"
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE near_route AS
        WITH unknown AS (SELECT {NEAR} FROM ({settled})
            WHERE fresh AND record_id NOT IN (SELECT record_id FROM {standing}))
        SELECT {_PLACE}, {NEAR} FROM {standing} AND payload IS NOT NULL AND {NEAR} IN (SELECT {NEAR} FROM unknown)""")
    versions = f"SELECT record_id, payload, version_at, batch_order, row_id FROM {standing}"
    if route.withdrawn:
        versions += f""" UNION ALL SELECT record_id, NULL, version_at, batch_order, -1
            FROM {parquet(route.withdrawn)}"""
    connection.execute(f"""INSERT INTO nearby_held SELECT *, false, false FROM near_route WHERE record_id NOT IN (
        SELECT record_id FROM ({versions}) WHERE record_id IN (SELECT record_id FROM near_route)
        GROUP BY record_id HAVING max_by(payload IS NULL, ({VERSION_ORDER})))""")


def told(folders: Sequence[Path]) -> tuple[int, int]:
    """Return how many rows of a batch are like another record, and how many of these have its roles exchanged.

    folders: the links folders of its revisions.
    """
    rows = places.read(folders, NAME)
    if rows is None:
        return 0, 0
    rows = rows.group_by("row_id").aggregate([("exchanged", "max")])
    return rows.num_rows, pc.sum(rows["exchanged_max"]).as_py() or 0
