"""Deterministic linking. Nothing is force-merged.

In the order of law: USCC, organisation code, registration number, tax number, person document, loan card number; then
what a judgement says (identity.ledger); then a name, only where no code was given, the region or at least the legal
representative fits, and one subject is left. A natural person is never found by name, nor by a document whose bearer
has another name than the row says: a mistyped number may be somebody's, a household's row may hold its operator's.
Each step is one named SQL statement, and the steps narrow: who is found by the first is not asked for by the second.
"""

from dataclasses import dataclass

from chengxin.contracts.models import Contract
from chengxin.contracts.plan import plan_of
from chengxin.engine.session import Connection
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

    def sql(self, expression: str) -> str:
        """Fill column names into a lookup expression over the row `s`."""
        return expression.format(**{part: f"s.{column}" for part, column in self.fields.items()})

    def values(self) -> list[str]:
        """Return SQL over the row `s` for every value that is looked up, or that a row may add to the registry."""
        asked = [value for _, needs, value, _ in _LOOKUPS if needs in self.fields]
        return [self.sql(e) for e in dict.fromkeys([*asked, *(f"{{{c}}}" for c in CODES if c in self.fields)])]


def prepare_lookup(connection: Connection) -> None:
    """Materialise what linking looks up: `lookup` holds values that name one subject, `ambiguous` those of several."""
    # Equal instants are decided by the text: which is arbitrary, but the same in every run.
    connection.execute("""CREATE OR REPLACE TEMP TABLE subject_now AS
        SELECT subject_id, min(part) AS part, arg_max(subject_type, (version_at, row_id, subject_type)) AS subject_type,
               arg_max(legal_rep, (version_at, row_id, legal_rep)) AS legal_rep,
               arg_max(hash(name), (version_at, row_id, name)) AS name_hash
        FROM registry_subjects GROUP BY subject_id""")
    connection.execute("""CREATE OR REPLACE TEMP TABLE lookup AS
        SELECT identifier_type, identifier_value, min(subject_id) AS subject_id
        FROM registry_identifiers GROUP BY ALL HAVING min(subject_id) = max(subject_id)""")
    connection.execute("""CREATE OR REPLACE TEMP TABLE ambiguous AS
        SELECT identifier_type, identifier_value
        FROM registry_identifiers GROUP BY ALL HAVING min(subject_id) < max(subject_id)""")
    connection.execute("""CREATE OR REPLACE TEMP TABLE lookup_uscc AS
        SELECT l.identifier_value AS uscc, l.subject_id, n.part, n.subject_type, n.name_hash
        FROM lookup l JOIN subject_now n USING (subject_id) WHERE identifier_type = 'uscc'""")


def link_role(connection: Connection, link: RoleLink, rows: str, into: str, *, renames: bool = False) -> None:
    """Create the temp table `into` (row_id, subject_id, rule) for rows of the view `rows` that are not found by USCC.

    Rows found by their USCC are left out: that lookup is a plain join, done where the rows are written.
    renames: the rows themselves say how a person is called, so that a document finds its bearer whatever the name.
    """
    wanted = ["s.row_id"] + [f"s.{c}" for c in dict.fromkeys(link.fields.values())]
    by_uscc = f"LEFT JOIN lookup_uscc u ON s.{link.fields['uscc']} = u.uscc" if "uscc" in link.fields else ""
    unfound = "WHERE u.subject_id IS NULL" if by_uscc else ""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE unfound AS SELECT {', '.join(wanted)} FROM {rows} s {by_uscc} {unfound}"
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {into} (row_id BIGINT, subject_id BIGINT, rule VARCHAR)")
    for rule, needs, value, identifier_type in _LOOKUPS:
        if needs in link.fields and rule != "uscc":
            connection.execute(_lookup_step(link, rule, value, identifier_type, into, renames=renames))
    for part in link.fields:
        if part in {"name_key", *CODES}:
            connection.execute(_judgement_step(link, part, into))
    if "name" in link.fields:
        connection.execute(_name_step(link, into))


def tell_why(connection: Connection, link: RoleLink, into: str) -> None:
    """Note in `into`, as made by `link_role`, why rows that are left wait though their code is known."""
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE waiting AS
        SELECT * FROM unfound WHERE row_id NOT IN (SELECT row_id FROM {into})""")
    for _, needs, value, identifier_type in _LOOKUPS:
        if needs not in link.fields:
            continue
        known = [(SHARED_CODE, "ambiguous")]
        if identifier_type == "person_doc" and "name_key" in link.fields:
            known.append((OTHERWISE_NAMED, "lookup"))
        for rule, bearers in known:
            connection.execute(f"""INSERT INTO {into} SELECT s.row_id, NULL, '{rule}' FROM waiting s
                JOIN {bearers} l ON l.identifier_type = '{identifier_type}' AND l.identifier_value = {link.sql(value)}
                WHERE s.row_id NOT IN (SELECT row_id FROM {into})""")


def _lookup_step(link: RoleLink, rule: str, value: str, identifier_type: str, into: str, *, renames: bool) -> str:
    # A row that carries a USCC of its own must not be drawn by an older code to a subject that has another USCC.
    guard = ""
    if identifier_type == "person_doc" and "name_key" in link.fields and not renames:
        name = f"s.{link.fields['name_key']}"
        guard = f"""AND ({name} IS NULL OR EXISTS (
            SELECT 1 FROM registry_names b WHERE b.subject_id = l.subject_id AND b.name_key = {name}))"""
    if identifier_type != "uscc" and "uscc" in link.fields:
        guard += f""" AND (s.{link.fields["uscc"]} IS NULL OR NOT EXISTS (
            SELECT 1 FROM lookup_uscc x WHERE x.subject_id = l.subject_id AND x.uscc <> s.{link.fields["uscc"]}))"""
    return f"""INSERT INTO {into}
        SELECT s.row_id, l.subject_id, '{rule}' FROM unfound s
        JOIN lookup l ON l.identifier_type = '{identifier_type}' AND l.identifier_value = {link.sql(value)}
        WHERE s.row_id NOT IN (SELECT row_id FROM {into}) {guard}"""


def _judgement_step(link: RoleLink, part: str, into: str) -> str:
    # A name that was judged says nothing of a row with a USCC of its own; neither does another code.
    others = CODES if part == "name_key" else ("uscc",)
    guard = " ".join(f"AND s.{link.fields[c]} IS NULL" for c in others if c in link.fields and c != part)
    return f"""INSERT INTO {into}
        SELECT s.row_id, min(j.subject_id), 'judgement' FROM unfound s
        JOIN judged_for j ON j.part = '{part}' AND j.value = s.{link.fields[part]}
        WHERE s.row_id NOT IN (SELECT row_id FROM {into}) {guard}
        GROUP BY s.row_id HAVING min(j.subject_id) = max(j.subject_id)"""


def _name_step(link: RoleLink, into: str) -> str:
    no_code = " AND ".join(f"s.{link.fields[c]} IS NULL" for c in CODES if c in link.fields) or "true"
    region = f"left(s.{link.fields['region']}, 4)" if "region" in link.fields else "NULL"
    legal_rep = f"s.{link.fields['legal_rep']}" if "legal_rep" in link.fields else "NULL"
    return f"""INSERT INTO {into}
        SELECT row_id, min(subject_id), 'name' FROM (
            SELECT s.row_id, n.subject_id
            FROM unfound s
            JOIN (SELECT DISTINCT name_key, subject_id FROM registry_names)
              n ON n.name_key = s.{link.fields["name_key"]}
            JOIN subject_now w ON w.subject_id = n.subject_id
            WHERE {no_code} AND s.row_id NOT IN (SELECT row_id FROM {into}) AND w.subject_type <> 'person'
              AND NOT EXISTS (SELECT 1 FROM judged_against j
                  WHERE j.value = s.{link.fields["name_key"]} AND j.subject_id = n.subject_id)
              AND CASE WHEN {region} IS NULL THEN {legal_rep} = w.legal_rep
                       ELSE {region} = w.part OR ({region} = '4300' AND left(w.part, 2) = '43') END
              AND ({legal_rep} IS NULL OR w.legal_rep IS NULL OR {legal_rep} = w.legal_rep))
        GROUP BY row_id HAVING min(subject_id) = max(subject_id)"""


def roles_of(contract: Contract) -> dict[str, RoleLink]:
    """Return the roles to link, by name, with the columns that the contract fills."""
    plan = plan_of(contract)
    filled = {c.element.id for c in plan.columns}
    return {role: RoleLink.of(role, declared, filled) for role, declared in plan.kind.roles.items()}


def joined(link: RoleLink, others: str, by_uscc: str, by_other: str) -> tuple[str, str]:
    """Return (subject_id expression, joins) of a role over the row `s`."""
    join = f"LEFT JOIN {others} {by_other} ON {by_other}.row_id = s.row_id"
    if "uscc" not in link.fields:
        return f"{by_other}.subject_id", join
    join = f"LEFT JOIN lookup_uscc {by_uscc} ON {by_uscc}.uscc = s.{link.fields['uscc']} {join}"
    return f"coalesce({by_uscc}.subject_id, {by_other}.subject_id)", join
