"""linked.parquet as one step: what linking found for each row, and the keys of its record."""

from dataclasses import dataclass
from functools import cached_property

from chengxin.contracts.models import Contract
from chengxin.contracts.plan import plan_of
from chengxin.engine.step import Step
from chengxin.facts import Batch
from chengxin.identity import corrections, digests, record_keys
from chengxin.identity.by_code import RoleLink, joined, roles_of
from chengxin.identity.conflicts import name_conflicts, near_duplicates
from chengxin.identity.digests import NEAR, TWIN
from chengxin.identity.founding import type_by_uscc
from chengxin.model.kinds import Kind


@dataclass(frozen=True, kw_only=True)
class LinkedRows:
    """The SQL of one batch. identity: see record_keys. columns: those of its standard rows."""

    contract: Contract
    batch: Batch
    identity: str
    columns: tuple[str, ...]

    @cached_property
    def kind(self) -> Kind:
        """The record kind of the contract."""
        return plan_of(self.contract).kind

    @cached_property
    def links(self) -> dict[str, RoleLink]:
        """The roles to link, by name, with the columns that this contract fills."""
        return roles_of(self.contract)

    @property
    def by_number(self) -> bool:
        """Whether the source's own number names the record."""
        return self.contract.delivery.versions_by == record_keys.RECORD_ID

    @cached_property
    def withdrawal(self) -> str | None:
        """SQL condition that the row `s` withdraws its record; None where no row of this batch can."""
        return record_keys.withdrawal(self.kind, self.columns)

    @property
    def version_at(self) -> str:
        """SQL for since when the content of the row `s` holds; asks for the value as_of."""
        return record_keys.version_at(self.contract.delivery.mode)

    @property
    def as_of(self) -> str:
        """What the delivery counts as of, for `version_at`."""
        return self.batch.as_of.isoformat()

    def step(self, *, batch_order: int, order: int) -> Step:
        """Return the step. It reads `rows`, linked_<role>, `corrected` and the lookups."""
        subject, subject_join = joined(self.links["subject"], "u", "o")
        related, related_join = "CAST(NULL AS BIGINT)", ""
        if "related" in self.links:
            related, related_join = joined(self.links["related"], "v", "p")
        missing = f"(k.row_id IS NULL AND {self._missing(subject, related)})"
        subject, related = f"coalesce(k.subject_id, {subject})", f"coalesce(k.related_subject_id, {related})"
        part, subject_type = self._place()
        rule = f"CASE WHEN k.row_id IS NOT NULL THEN '{corrections.RULE}' ELSE {self._rule()} END"
        renamed = f"(k.row_id IS NULL AND {name_conflicts.renamed(self.links['subject'], 'u')})"
        digested = "".join(f", {sql} AS {name}" for name, sql in self._digests(subject, related).items())
        sql = f"""SELECT s.row_id, {subject} AS subject_id, {related} AS related_subject_id, {part} AS part,
                {subject_type} AS subject_type, {rule} AS rule, {missing} AS waiting,
                CASE WHEN NOT {missing} THEN {self._record_id(subject)} END AS record_id,
                {self._payload()} AS payload{digested}, {renamed} AS renamed, {self.version_at} AS version_at,
                CAST($place AS INTEGER) AS batch_order, CAST($order AS INTEGER) AS adm_order
            FROM rows s {subject_join} {related_join} LEFT JOIN corrected k ON k.row_id = s.row_id
            LEFT JOIN subject_now w ON w.subject_id = o.subject_id"""
        reads = ("rows", "corrected", "subject_now", "lookup_uscc", *(link.linked for link in self.links.values()))
        values = {"identity": self.identity, "as_of": self.as_of, "place": batch_order, "order": order}
        return Step("linked_file", reads, sql, values)

    def has(self, digest: str) -> bool:
        """Return whether the rows have this digest, TWIN or NEAR."""
        return digest in self._digests("0", "0")

    def _missing(self, subject: str, related: str) -> str:
        """Return the SQL condition that a role that is needed has no subject."""
        role = self.kind.roles.get("related")
        if not role or not role.required:
            return f"{subject} IS NULL"
        needed = f"AND NOT {self.withdrawal}" if self.withdrawal else ""
        return f"({subject} IS NULL OR {related} IS NULL {needed})"

    def _rule(self) -> str:
        has_uscc = "uscc" in self.links["subject"].fields
        rule = "CASE WHEN u.subject_id IS NOT NULL THEN 'uscc' ELSE o.rule END" if has_uscc else "o.rule"
        if "related" in self.links:
            found = joined(self.links["subject"], "u", "o")[0]
            told = f"{found} IS NOT NULL AND p.rule IS NOT NULL AND p.subject_id IS NULL"
            rule = f"CASE WHEN {told} THEN p.rule ELSE {rule} END"
        return rule

    def _place(self) -> tuple[str, str]:
        """Return SQL for part and type: they come with the USCC lookup, only the few others need a second look."""
        link = self.links["subject"]
        if "uscc" not in link.fields:
            return "coalesce(k.part, w.part)", "coalesce(k.subject_type, w.subject_type)"
        subject_type = "coalesce(u.subject_type, w.subject_type)"
        if self.kind.founds == "organisation":  # an old code's bearer is what its USCC says once it comes
            uscc = link.column("uscc")
            subject_type = f"CASE WHEN {uscc} IS NOT NULL THEN {type_by_uscc(uscc)} ELSE {subject_type} END"
        return "coalesce(k.part, u.part, w.part)", f"coalesce(k.subject_type, {subject_type})"

    def _record_id(self, subject: str) -> str:
        named = record_keys.numbered_id if self.by_number else record_keys.record_id
        return named(self.kind, subject)

    def _payload(self) -> str:
        says = record_keys.payload(self.kind)
        return f"CASE WHEN NOT {self.withdrawal} THEN {says} END" if self.withdrawal else says

    def _digests(self, subject: str, related: str) -> dict[str, str]:
        """Return the columns by which a number is known that names two records, and a record that is written otherwise.

        The former digests the number; where the number is the record, what the record would be without it.
        """
        filled = {c.element for c in self.contract.columns}
        numbers = []
        if self.by_number:
            numbers.append(digests.number(record_keys.natural(self.kind, subject)))
        elif record_keys.RECORD_ID in filled:
            numbers.append(digests.number(f"s.{record_keys.RECORD_ID}"))
        if not self.by_number and self.kind.one_number and filled.issuperset(self.kind.one_number):
            numbers.append(record_keys.one_number(self.kind, subject))
        found = {TWIN: f"coalesce({', '.join(numbers)})"} if numbers else {}
        near = near_duplicates.near(self.kind, filled, subject, related)
        return found | ({NEAR: near} if near else {})
