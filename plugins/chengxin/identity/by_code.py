"""Deterministic linking. Nothing is force-merged.

In the order of law: USCC, organisation code, registration number, tax number, person document, loan card number; then
what a judgement states (identity.ledger); then a name, only where no code was given, the region or at least the legal
representative fits, and one subject is left; where the row gives neither, only the name of one enterprise alone. A
natural person is never found by name, nor by a document whose bearer has another name than the row states: a mistyped
number may be somebody's, a household's row may hold its operator's.
Each rule is a step, and the steps narrow: who is found by the first is not asked for by the second.
"""

from dataclasses import dataclass
from typing import ClassVar

from chengxin.contracts.models import Contract
from chengxin.contracts.plan import plan_of
from chengxin.engine.cascade import Cascade
from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step, identifier, literal
from chengxin.identity.by_name.words import words
from chengxin.model.kinds import Role

# Rule, identity part it needs, SQL over the row `s` for the value to look up, identifier type it is looked up under.
_LOOKUPS: tuple[tuple[str, str, str, str], ...] = (
    ("uscc", "uscc", "{uscc}", "uscc"),
    ("org_code_in_uscc", "uscc", "substr({uscc}, 9, 9)", "org_code"),
    ("org_code", "org_code", "{org_code}", "org_code"),
    ("reg_no", "reg_no", "{reg_no}", "reg_no"),
    ("tax_no_is_uscc", "tax_no", "CASE WHEN length({tax_no}) = 18 THEN {tax_no} END", "uscc"),
    ("tax_no_last_nine", "tax_no", "CASE WHEN length({tax_no}) = 15 THEN right({tax_no}, 9) END", "org_code"),
    ("tax_no_person", "tax_no", "CASE WHEN length({tax_no}) IN (18, 20) THEN left({tax_no}, 18) END", "person_doc"),
    ("person_doc", "person_doc", "{person_doc}", "person_doc"),
    ("loan_card_no", "loan_card_no", "{loan_card_no}", "loan_card_no"),
)
#: The rules by which a code finds its bearer.
CODE_RULES = tuple(rule for rule, *_ in _LOOKUPS)
CODES = ("uscc", "org_code", "reg_no", "tax_no", "person_doc", "loan_card_no")
#: The rules of rows that wait: the bearer of the document has another name; several subjects bear the code.
OTHERWISE_NAMED, SHARED_CODE = "otherwise_named", "shared_code"
#: linked_<role>: the subject that a rule found for a row; none where the rule is why it waits.
LINKED_BY = Schema({"row_id": "BIGINT", "subject_id": "BIGINT", "rule": "VARCHAR"})


@dataclass(frozen=True)
class RoleLink:
    """One role to link. fields: identity part -> column of the standard rows; only columns the contract fills."""

    role: str
    fields: dict[str, str]

    @classmethod
    def of(cls, role: str, declared: Role, filled: set[str]) -> "RoleLink":
        """Take those identity parts of a role that the contract fills."""
        fields = {str(part): element for part, element in declared.identity.items() if element in filled}
        if "name" in fields:
            fields["name_key"] = f"{role}_name_key"
        return cls(role, fields)

    @property
    def linked(self) -> str:
        """The table of what the rules found."""
        return f"linked_{self.role}"

    @property
    def unfound(self) -> str:
        """The table of rows that are not found by USCC."""
        return f"unfound_{self.role}"

    @property
    def waiting(self) -> str:
        """The table of rows that no code, judgement or equal name finds."""
        return f"waiting_{self.role}"

    def column(self, part: str) -> str:
        """Return SQL for an identity part of the row `s`."""
        return identifier(self.fields[part], "s")

    def sql(self, expression: str) -> str:
        """Fill column names into a lookup expression over the row `s`."""
        return expression.format(**{part: self.column(part) for part in self.fields})

    def values(self) -> list[str]:
        """Return SQL over the row `s` for every value that is looked up, or that a row may add to the registry."""
        asked = [value for _, needs, value, _ in _LOOKUPS if needs in self.fields]
        return [self.sql(e) for e in dict.fromkeys([*asked, *(f"{{{c}}}" for c in CODES if c in self.fields)])]


@dataclass(frozen=True)
class Lookup:
    """The tables that linking looks up. generation: how often rows of this batch founded subjects.

    codes: identifier_type, identifier_value, subject_id of values that name one subject; ambiguous: those of several.
    uscc: uscc, subject_id, part, subject_type, name_hash. subjects: subject_id, part, subject_type, legal_rep,
    name_hash.
    """

    generation: int = 0

    SUBJECTS: ClassVar[Schema] = Schema(
        {"subject_id": "BIGINT", "part": "VARCHAR", "subject_type": "VARCHAR", "legal_rep": "VARCHAR",
         "name_hash": "UBIGINT"}
    )  # fmt: skip

    @property
    def codes(self) -> str:  # noqa: D102
        return f"lookup_{self.generation}"

    @property
    def ambiguous(self) -> str:  # noqa: D102
        return f"ambiguous_{self.generation}"

    @property
    def uscc(self) -> str:  # noqa: D102
        return f"lookup_uscc_{self.generation}"

    @property
    def subjects(self) -> str:  # noqa: D102
        return f"subject_now_{self.generation}"

    @property
    def tables(self) -> tuple[str, ...]:  # noqa: D102
        return self.codes, self.ambiguous, self.uscc, self.subjects


def prepare_lookup(session: Session) -> Lookup:
    """Leave what linking looks up in the registry."""
    lookup = Lookup()
    session.leave(Step(lookup.subjects, ("registry_subjects",), subjects_now("registry_subjects")))
    for table, subject, which in ((lookup.codes, ", min(subject_id) AS subject_id", "="), (lookup.ambiguous, "", "<")):
        grouped = f"""SELECT identifier_type, identifier_value{subject}
            FROM registry_identifiers GROUP BY identifier_type, identifier_value
            HAVING min(subject_id) {which} max(subject_id)"""
        session.leave(Step(table, ("registry_identifiers",), grouped))
    by_uscc = f"""SELECT l.identifier_value AS uscc, l.subject_id, n.part, n.subject_type, n.name_hash
        FROM {lookup.codes} l JOIN {lookup.subjects} n USING (subject_id) WHERE identifier_type = 'uscc'"""
    session.leave(Step(lookup.uscc, (lookup.codes, lookup.subjects), by_uscc))
    return lookup


def subjects_now(versions: str) -> str:
    """Return SQL for the subjects of these versions as Lookup.subjects holds them."""
    # Equal instants are decided by the text: which is arbitrary, but the same in every run.
    return f"""SELECT subject_id, min(part) AS part,
            arg_max(subject_type, (version_at, row_id, subject_type)) AS subject_type,
            arg_max(legal_rep, (version_at, row_id, legal_rep)) AS legal_rep,
            arg_max(hash(name), (version_at, row_id, name)) AS name_hash
        FROM {versions} GROUP BY subject_id"""


def link_role(
    session: Session, link: RoleLink, lookup: Lookup, *, renames: bool = False, confirmed: bool = True
) -> Cascade:
    """Leave the view linked_<role> (row_id, subject_id, rule) of rows that are not found by USCC.

    Rows found by their USCC are left out: that lookup is a plain join, done where the rows are written. renames: the
    rows themselves say how a person is called, so that a document finds its bearer whatever the name. confirmed: a name
    counts only where the region or the legal representative confirms it.
    """
    wanted = ", ".join(["s.row_id", *dict.fromkeys(map(link.column, link.fields))])
    unfound = f"SELECT {wanted} FROM rows s"
    if "uscc" in link.fields:
        unfound += f" LEFT JOIN {lookup.uscc} u ON {link.column('uscc')} = u.uscc WHERE u.subject_id IS NULL"
    rows = session.leave(Step(link.unfound, ("rows", lookup.uscc), unfound))
    found = Cascade(session, link.linked, LINKED_BY, rows=rows)
    reads = (link.unfound, "registry_names", "judged_for", "judged_against", *lookup.tables)
    for rule, needs, value, kind in _LOOKUPS:
        if needs in link.fields and rule != "uscc":
            found.add(rule, reads, _by_lookup(link, lookup, (rule, value, kind), found.left("s"), renames=renames))
    for part in link.fields:
        if part in {"name_key", *CODES}:
            found.add(f"judged_{part}", reads, _by_judgement(link, part, found.left("s")))
    if "name" in link.fields:
        found.add("name", reads, _by_name(link, lookup, found.left("s"), confirmed=confirmed))
    found.close()
    return found


def leave_waiting(link: RoleLink, found: Cascade) -> int:
    """Leave waiting_<role>, the rows that are left; return how many there are. found: of `link_role`."""
    rows = f"SELECT s.* FROM {link.unfound} s WHERE {found.left('s')}"
    return found.session.leave(Step(link.waiting, (link.unfound, *found.tables), rows))


def explain_waiting(link: RoleLink, lookup: Lookup, found: Cascade) -> None:
    """Add to linked_<role> why rows that are left wait though their code is known. Needs waiting_<role>."""
    selects: list[str] = []
    for _, needs, value, identifier_type in _LOOKUPS:
        known = [(SHARED_CODE, lookup.ambiguous)] if needs in link.fields else []
        if known and identifier_type == "person_doc" and "name_key" in link.fields:
            known.append((OTHERWISE_NAMED, lookup.codes))
        for rule, bearers in known:
            selects.append(
                f"""SELECT s.row_id, {len(selects)} AS place, '{rule}' AS rule FROM {link.waiting} s
                JOIN {bearers} l
                    ON l.identifier_type = '{identifier_type}' AND l.identifier_value = {link.sql(value)}"""
            )
    if selects:
        first = f"""SELECT row_id, CAST(NULL AS BIGINT) AS subject_id, arg_min(rule, place) AS rule
            FROM ({" UNION ALL ".join(selects)}) s WHERE {found.left("s")} GROUP BY row_id"""
        found.add("waits", (link.waiting, *lookup.tables), first)
    found.close()


def _by_lookup(link: RoleLink, lookup: Lookup, search: tuple[str, str, str], left: str, *, renames: bool) -> str:
    """search: rule, value and identifier type, as in _LOOKUPS."""
    rule, value, identifier_type = search
    # A row that carries a USCC of its own must not be drawn by an older code to a subject that has another USCC.
    guard = ""
    if identifier_type == "person_doc" and "name_key" in link.fields and not renames:
        name = link.column("name_key")
        guard = f"""AND ({name} IS NULL OR EXISTS (
            SELECT 1 FROM registry_names b WHERE b.subject_id = l.subject_id AND b.name_key = {name}))"""
    if identifier_type != "uscc" and "uscc" in link.fields:
        uscc = link.column("uscc")
        guard += f""" AND ({uscc} IS NULL OR NOT EXISTS (
            SELECT 1 FROM {lookup.uscc} x WHERE x.subject_id = l.subject_id AND x.uscc <> {uscc}))"""
    return f"""SELECT s.row_id, l.subject_id, '{rule}' AS rule FROM {link.unfound} s
        JOIN {lookup.codes} l ON l.identifier_type = '{identifier_type}' AND l.identifier_value = {link.sql(value)}
        WHERE {left} {guard}"""


def _by_judgement(link: RoleLink, part: str, left: str) -> str:
    # A name that was judged states nothing of a row with a USCC of its own; neither does another code.
    others = CODES if part == "name_key" else ("uscc",)
    guard = " ".join(f"AND {link.column(c)} IS NULL" for c in others if c in link.fields and c != part)
    return f"""SELECT s.row_id, min(j.subject_id) AS subject_id, 'judgement' AS rule FROM {link.unfound} s
        JOIN judged_for j ON j.part = '{part}' AND j.value = {link.column(part)} AND {is_about(link)}
        WHERE {left} {guard}
        GROUP BY s.row_id HAVING min(j.subject_id) = max(j.subject_id)"""


def uncoded(link: RoleLink) -> str:
    """Return the SQL condition that the row `s` gives no code."""
    return " AND ".join(f"{link.column(c)} IS NULL" for c in CODES if c in link.fields) or "true"


def stated(link: RoleLink) -> tuple[str, str]:
    """Return SQL for the prefecture and the representative that the row `s` states, NULL where it states none."""
    region = f"left({link.column('region')}, 4)" if "region" in link.fields else "CAST(NULL AS VARCHAR)"
    return region, link.column("legal_rep") if "legal_rep" in link.fields else "CAST(NULL AS VARCHAR)"


def representative(legal_rep: str) -> str:
    """Return SQL for a legal representative as the ledger holds him (ledger.digest); '' where there is none."""
    return f"CASE WHEN coalesce({legal_rep}, '') = '' THEN '' ELSE left(md5({legal_rep}), 16) END"


def is_about(link: RoleLink) -> str:
    """Return the SQL condition that the judgement `j` is about rows that state what the row `s` does."""
    region, legal_rep = stated(link)
    return f"""(j.region IS NULL OR j.region = coalesce({region}, ''))
        AND (j.legal_rep IS NULL OR j.legal_rep = {representative(legal_rep)})"""


def _by_name(link: RoleLink, lookup: Lookup, left: str, *, confirmed: bool) -> str:
    region, legal_rep = stated(link)
    name_key, name = link.column("name_key"), link.column("name")
    fits = f"""CASE WHEN {region} IS NULL THEN coalesce({legal_rep} = w.legal_rep, false)
        ELSE {region} = w.part OR ({region} = '4300' AND left(w.part, 2) = '43') END
        AND ({legal_rep} IS NULL OR w.legal_rep IS NULL OR {legal_rep} = w.legal_rep)"""
    # Nothing confirms the name: then it counts as that of one enterprise alone, whoever else bears it.
    alone = f"""{region} IS NULL AND {legal_rep} IS NULL AND NOT ({may_be_person(name)})"""
    alone = "false" if confirmed else alone
    return f"""SELECT row_id, min(subject_id) AS subject_id, 'name' AS rule FROM (
            SELECT s.row_id, n.subject_id, {alone} AS alone, w.subject_type
            FROM {link.unfound} s
            JOIN (SELECT DISTINCT name_key, subject_id FROM registry_names) n ON n.name_key = {name_key}
            JOIN {lookup.subjects} w ON w.subject_id = n.subject_id
            WHERE {uncoded(link)} AND {left} AND w.subject_type <> 'person'
              AND NOT EXISTS (SELECT 1 FROM judged_against j
                  WHERE j.value = {name_key} AND j.subject_id = n.subject_id AND {is_about(link)})
              AND (({alone}) OR ({fits})))
        GROUP BY row_id HAVING min(subject_id) = max(subject_id)
            AND NOT bool_or(alone AND subject_type <> 'enterprise')"""


def may_be_person(name: str) -> str:
    """Return SQL for by_name.words.may_be_person."""
    organisation = literal(words().organisation.pattern)
    return f"(length({name}) <= 4 OR contains({name}, '·')) AND NOT regexp_matches({name}, {organisation})"


def roles_of(contract: Contract) -> dict[str, RoleLink]:
    """Return the roles to link, by name, with the columns that the contract fills."""
    plan = plan_of(contract)
    filled = {c.element.id for c in plan.columns}
    return {role: RoleLink.of(role, declared, filled) for role, declared in plan.kind.roles.items()}


def joined(link: RoleLink, by_uscc: str, by_other: str) -> tuple[str, str]:
    """Return (subject_id expression, joins) of a role over the row `s`."""
    join = f"LEFT JOIN {link.linked} {by_other} ON {by_other}.row_id = s.row_id"
    if "uscc" not in link.fields:
        return f"{by_other}.subject_id", join
    join = f"LEFT JOIN lookup_uscc {by_uscc} ON {by_uscc}.uscc = {link.column('uscc')} {join}"
    return f"coalesce({by_uscc}.subject_id, {by_other}.subject_id)", join
