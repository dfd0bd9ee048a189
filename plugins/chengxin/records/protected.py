"""What the refused and waiting rows of a full delivery mean: their records are not withdrawn.

The new version of such a record is unusable, or waits for a subject that is not known.

A refused row names the records with its own key; else those with its name, or an identifier of its subject, whose key
fields do not differ from what it has of them. Where it names nothing at all it may mean any record.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from chengxin.contracts.models import Contract
from chengxin.engine.session import Connection, parquet
from chengxin.facts import Admission, Doubt
from chengxin.identity.batch_links import Outcome
from chengxin.identity.by_code import CODES
from chengxin.identity.record_keys import RECORD_ID
from chengxin.parsing.notes import TABLES
from chengxin.records.match_keys import RowKeys
from chengxin.store import atomic
from chengxin.store.layout import Layout

SPARED, WITHHELD = "full.spared", "full.withheld"


@dataclass(frozen=True)
class Sparing:
    """Called by identity.batch_links (Spare). order, batch_id: of the batch that is linked; everything: the journal."""

    contract: Contract
    layout: Layout
    order: int
    batch_id: str
    everything: Sequence[Admission]

    def __call__(self, connection: Connection, batch_id: str) -> int:
        """Leave `spared`: the records in `missing` that refused or waiting rows of the batch name.

        Count the refused rows that name none.
        """
        connection.execute("CREATE TEMP TABLE spared (record_id VARCHAR)")
        quarantine = sorted(self.layout.standard(self.contract.id, batch_id).glob("quarantine-*.parquet"))
        refused = connection.execute(f"SELECT count(*) FROM {parquet(quarantine)} WHERE {self._meant()}").fetchall()
        missing = connection.execute("SELECT DISTINCT held_in FROM missing ORDER BY 1").fetchall()
        waiting = self._waiting(batch_id)
        some = connection.execute(f"SELECT count(*) FROM ({waiting})").fetchall()[0][0] if waiting else 0
        if not (refused[0][0] or some) or not missing:
            return 0
        with TemporaryDirectory(prefix=atomic.BUILDING, dir=self.layout.work) as folder:
            written = Path(folder) / "keys.parquet"
            self.keys.write(connection, quarantine, written)
            connection.execute(f"""CREATE TEMP TABLE refused_keys AS SELECT k.* FROM {parquet([written])} k
                JOIN (SELECT row_id FROM {parquet(quarantine)} WHERE {self._meant()}) USING (row_id)""")
        unnamed = connection.execute(f"SELECT count(*) FROM refused_keys r WHERE NOT {self._named()}").fetchall()[0][0]
        if some:
            shown = ", ".join(f"CAST(s.{c} AS VARCHAR) AS {c}" for c in self._columns())
            standard = sorted(self.layout.standard(self.contract.id, batch_id).glob("standard-*.parquet"))
            connection.execute(f"""INSERT INTO refused_keys BY NAME SELECT row_id, {shown}
                FROM {parquet(standard)} s JOIN ({waiting}) USING (row_id)""")
        connection.execute(f"CREATE TEMP TABLE meant AS {' UNION ALL '.join(self._versions([n for (n,) in missing]))}")
        for anchor in self._anchors():
            connection.execute(f"""INSERT INTO spared SELECT DISTINCT m.record_id FROM meant m
                JOIN refused_keys r ON {anchor} WHERE m.record_id NOT IN (SELECT record_id FROM spared)""")
        return int(unnamed)

    def _waiting(self, batch_id: str) -> str:
        """Return SQL for the row_id of the batch's rows that wait: of the one that is linked, or as last tried."""
        if batch_id == self.batch_id:
            return "SELECT row_id FROM linked WHERE waiting"
        newest = max((a.revision for a in self.everything if a.batch_id == batch_id), default=-1)
        path = self.layout.links(self.contract.id, batch_id, newest) / "linked.parquet"
        return f"SELECT row_id FROM {parquet([path])} WHERE waiting" if path.exists() else ""

    def _columns(self) -> list[str]:
        """Return the standard columns that name a record, and its subject."""
        own = [RECORD_ID] if self.keys.has_record_id else []
        return list(dict.fromkeys([*own, *map(self.keys.column, (*self.keys.parts, *self.codes))]))

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """The elements with identifiers of the subject that the contract fills."""
        plan = RowKeys(self.contract).plan
        filled = {c.element.id for c in plan.columns if c.constant is None}
        identity = plan.kind.roles["subject"].identity
        return tuple(e for part, e in identity.items() if part in CODES and e in filled)

    @cached_property
    def keys(self) -> RowKeys:
        """By what rows are known again."""
        return RowKeys(self.contract, self.codes)

    def _meant(self) -> str:
        """Return SQL that tells whether a refused row means a record: totals and notes of a table do not."""
        if self.contract.file.format not in TABLES:
            return "true"
        return "NOT coalesce(list_bool_or(list_transform(reasons, lambda x: x.rule = 'row.not_a_record')), false)"

    def _versions(self, orders: Sequence[int]) -> Iterator[str]:
        """Yield SQL for the standard rows of the missing records, batch by batch."""
        columns = "".join(f", s.{c}" for c in self._columns())
        names = {self.order: self.batch_id}
        for a in self.everything:
            if a.dataset == self.contract.id and a.revision == 0:
                names[a.order] = a.batch_id
        for order in orders:
            files = sorted(self.layout.standard(self.contract.id, names[order]).glob("standard-*.parquet"))
            yield f"""SELECT m.record_id{columns} FROM {parquet(files)} s
                JOIN (SELECT record_id, row_id FROM missing WHERE held_in = {order}) m USING (row_id)"""

    def _anchors(self) -> Iterator[str]:
        """Yield the conditions under which a refused row `r` names a held one `m`, each with an equality."""
        if self.keys.has_record_id:
            yield f"m.{RECORD_ID} = r.{RECORD_ID}"
        texts = {p: (self.keys.text(p, "m"), self.keys.text(p, "r")) for p in (*self.keys.parts, *self.codes)}
        fields = [p for p in self.keys.parts if p != self.keys.name]
        agree = "".join(f" AND ({texts[p][1]} IS NULL OR {texts[p][0]} = {texts[p][1]})" for p in fields)
        for part in self._bearers():
            yield f"{texts[part][0]} = {texts[part][1]}{agree}"
        if must := self._must():
            told = " AND ".join(f"{texts[p][0]} = {texts[p][1]}" for p in must)
            yield f"{told}{agree} AND {self._nobody()}"

    def _bearers(self) -> list[str]:
        """Return the parts that tell whom a row is about."""
        return [*(p for p in self.keys.parts if p == self.keys.name), *self.codes]

    def _must(self) -> list[str]:
        """Return the key fields that together name a record even where nobody is named."""
        optional = self.keys.plan.kind.key_optional
        return [p for p in self.keys.parts if p != self.keys.name and p not in optional]

    def _nobody(self) -> str:
        return " AND ".join(["true", *(f"{self.keys.text(p, 'r')} IS NULL" for p in self._bearers())])

    def _named(self) -> str:
        """Return SQL that tells whether a refused row `r` names anything."""
        must = [f"{self.keys.text(p, 'r')} IS NOT NULL" for p in self._must()]
        said = [f"({' AND '.join(must)})"] if must else []
        said += [f"NOT ({self._nobody()})"] if self._bearers() else []
        said += [f"r.{RECORD_ID} IS NOT NULL"] if self.keys.has_record_id else []
        return f"({' OR '.join(said)})" if said else "false"


def doubts(outcome: Outcome) -> list[Doubt]:
    """Report what was not withdrawn, and why."""
    found = []
    if outcome.withheld:
        rows = outcome.unnamed
        found.append(Doubt(rule=WITHHELD, stated=rows, found=outcome.withheld, rows=rows))
    if outcome.spared:
        found.append(Doubt(rule=SPARED, found=outcome.spared))
    return found
