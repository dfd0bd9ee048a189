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
from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step, identifier
from chengxin.facts import Admission, Doubt
from chengxin.identity.batch_links import Outcome
from chengxin.identity.by_code import CODES
from chengxin.identity.record_keys import RECORD_ID
from chengxin.identity.versions import LINKED
from chengxin.parsing.notes import TABLES
from chengxin.records.match_keys import RowKeys
from chengxin.store import atomic
from chengxin.store.layout import Layout

SPARED, WITHHELD = "full.spared", "full.withheld"
SPARED_RECORDS = Schema({"record_id": "VARCHAR"})
_REFUSED = Schema({"row_id": "BIGINT", "reasons": "STRUCT(rule VARCHAR)[]"})


@dataclass(frozen=True)
class Sparing:
    """Called by identity.batch_links (Spare). order, batch_id: of the batch; mine: the accounts of its data set."""

    contract: Contract
    layout: Layout
    order: int
    batch_id: str
    mine: Sequence[Admission]

    def __call__(self, session: Session, batch_id: str) -> int:
        """Leave `spared`: the records in `missing` that refused or waiting rows of the batch name.

        Count the refused rows that name none.
        """
        session.files("spare_quarantine", self._files(batch_id, "quarantine"), _REFUSED)
        refused = Step(
            "refused_rows", ("spare_quarantine",), f"SELECT row_id FROM spare_quarantine WHERE {self._meant()}"
        )
        waiting = self._waiting(session, batch_id)
        missing = session.fetch(
            Step("missing_batches", ("missing",), "SELECT DISTINCT held_in FROM missing ORDER BY 1")
        )
        if not session.leave(refused) + session.leave(waiting) or not missing:
            session.leave(Step("spared", (), SPARED_RECORDS.empty))
            return 0
        self._name(session, batch_id)
        versions = self._versions(session, [n for (n,) in missing])
        anchors = " UNION ".join(
            f"SELECT m.record_id FROM meant m JOIN named r ON {anchor}" for anchor in self._anchors()
        )
        session.leave(versions)
        spared = Step("spared", ("meant", "named"), anchors or SPARED_RECORDS.empty)
        session.leave(spared)
        return session.count("refused_keys", f"NOT {self._named('refused_keys')}")

    def _name(self, session: Session, batch_id: str) -> None:
        """Leave `refused_keys`, what names a record in refused rows, and `named`, with those of waiting rows."""
        with TemporaryDirectory(prefix=atomic.BUILDING, dir=self.layout.work) as folder:
            written = Path(folder) / "keys.parquet"
            self.keys.write(session, self._files(batch_id, "quarantine"), written)
            session.files("written_keys", [written])
            keys = "SELECT k.* FROM written_keys k JOIN refused_rows USING (row_id)"
            session.leave(Step("refused_keys", ("written_keys", "refused_rows"), keys))
        session.files("spare_standard", self._files(batch_id, "standard"))
        shown = "".join(f", CAST({identifier(c, 's')} AS VARCHAR) AS {identifier(c)}" for c in self._columns())
        named = f"""SELECT * FROM refused_keys UNION ALL BY NAME
            SELECT row_id{shown} FROM spare_standard s JOIN spare_waiting USING (row_id)"""
        session.view(Step("named", ("refused_keys", "spare_standard", "spare_waiting"), named))

    def _files(self, batch_id: str, name: str) -> list[Path]:
        return sorted(self.layout.standard(self.contract.id, batch_id).glob(f"{name}-*.parquet"))

    def _waiting(self, session: Session, batch_id: str) -> Step:
        """Return the step with the batch's rows that wait: of the one that is linked, or as last tried."""
        rows = "linked"
        if batch_id != self.batch_id:
            newest = max((a.revision for a in self.mine if a.batch_id == batch_id), default=-1)
            path = self.layout.links(self.contract.id, batch_id, newest) / "linked.parquet"
            session.files("spare_linked", [path] if path.exists() else [], LINKED)
            rows = "spare_linked"
        return Step("spare_waiting", (rows,), f"SELECT row_id FROM {rows} WHERE waiting")

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
        """Return the SQL condition that a refused row means a record: totals and notes of a table do not."""
        if self.contract.file.format not in TABLES:
            return "true"
        return "NOT coalesce(list_bool_or(list_transform(reasons, lambda x: x.rule = 'row.not_a_record')), false)"

    def _versions(self, session: Session, orders: Sequence[int]) -> Step:
        """Return the step `meant` with the standard rows of the missing records."""
        columns = "".join(f", {identifier(c, 's')}" for c in self._columns())
        names = {a.order: a.batch_id for a in self.mine if a.revision == 0}
        names = {self.order: self.batch_id} | names
        selects = []
        for order in orders:
            session.files(f"missing_{order}", self._files(names[order], "standard"))
            selects.append(f"""SELECT m.record_id{columns} FROM missing_{order} s
                JOIN (SELECT record_id, row_id FROM missing WHERE held_in = {order}) m USING (row_id)""")
        return Step("meant", ("missing", *(f"missing_{order}" for order in orders)), " UNION ALL ".join(selects))

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

    def _nobody(self, alias: str = "r") -> str:
        return " AND ".join(["true", *(f"{self.keys.text(p, alias)} IS NULL" for p in self._bearers())])

    def _named(self, alias: str) -> str:
        """Return the SQL condition that a refused row names anything."""
        must = [f"{self.keys.text(p, alias)} IS NOT NULL" for p in self._must()]
        said = [f"({' AND '.join(must)})"] if must else []
        said += [f"NOT ({self._nobody(alias)})"] if self._bearers() else []
        said += [f"{alias}.{RECORD_ID} IS NOT NULL"] if self.keys.has_record_id else []
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
