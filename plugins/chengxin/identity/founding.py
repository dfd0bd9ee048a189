"""New subjects: a record of a founding kind whose subject nobody knows makes one. Numbers follow the order of rows.

A code that several subjects bear founds nobody: its row waits, or every delivery would make another subject of it.
"""

from chengxin.engine.cascade import Cascade
from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step, union
from chengxin.identity.by_code import CODES, Lookup, RoleLink, link_role
from chengxin.model.kinds import Kind

NEW_SUBJECT = Schema({"subject_id": "BIGINT"})
# By which codes a subject may be founded, best first. A name alone founds nobody.
FOUNDING_CODES = {"organisation": ("uscc", "org_code", "reg_no"), "person": ("person_doc",)}


def found(
    session: Session, kind: Kind, link: RoleLink, lookup: Lookup, *, next_id: int, founding: str
) -> tuple[int, Lookup, Cascade]:
    """Link the view `rows` and found subjects for what is left, code by code.

    founding: SQL that tells of a row_id whether that row may found: one that withdraws its record does not. Leaves
    `new_subject` (subject_id). Return how many were founded, what is looked up from then on, and what
    `link_role` returned last.
    """
    renames = kind.founds == "person"
    linked = link_role(session, link, lookup, renames=renames)
    founded, made = 0, list[str]()
    for code in FOUNDING_CODES[kind.founds or "organisation"]:
        if code not in link.fields:
            continue
        founders = _founders(link, code, lookup, next_id + founded, founding)
        if added := session.leave(founders):
            made.append(_founded(session, kind, link, founders.name, lookup.generation + 1))
            lookup = _look_up_too(session, lookup, made[-1])
            founded += added
            linked = link_role(session, link, lookup, renames=renames)
    new = union((f"SELECT subject_id FROM {table}" for table in made), NEW_SUBJECT)
    session.view(Step("new_subject", tuple(made), new))
    return founded, lookup, linked


def _founders(link: RoleLink, code: str, lookup: Lookup, next_id: int, founding: str) -> Step:
    """Return the step that gives each code that nobody bears yet its number, and the row that founds."""
    column = link.column(code)
    sql = f"""SELECT CAST($before AS BIGINT) + row_number() OVER (ORDER BY row_id) AS subject_id, row_id FROM (
        SELECT min(row_id) AS row_id FROM {link.unfound} s WHERE {column} IS NOT NULL
        AND row_id NOT IN (SELECT row_id FROM {link.linked}) AND {founding}
        AND NOT EXISTS (SELECT 1 FROM {lookup.ambiguous} a
            WHERE a.identifier_type = '{code}' AND a.identifier_value = {column})
        GROUP BY {column})"""
    reads = (link.unfound, link.linked, lookup.ambiguous, "rows")
    return Step(f"founders_{lookup.generation + 1}", reads, sql, {"before": next_id - 1})


def _founded(session: Session, kind: Kind, link: RoleLink, founders: str, generation: int) -> str:
    """Leave the founded subjects and, in came_<generation>, the identifiers that came with them; return the former."""
    name, rows = f"founded_{generation}", f"{founders} f JOIN {link.unfound} s USING (row_id)"
    uscc = link.column("uscc") if "uscc" in link.fields else "CAST(NULL AS VARCHAR)"
    subjects = f"""SELECT f.subject_id, {part_of(kind, link)} AS part, {type_of(kind, link)} AS subject_type,
        {legal_rep(link)} AS legal_rep, {uscc} AS uscc FROM {rows}"""
    session.leave(Step(name, (founders, link.unfound), subjects))
    came = f"""SELECT identifier_type, identifier_value, min(subject_id) AS low, max(subject_id) AS high
        FROM ({identifiers_of(link, "f.subject_id", rows)}) GROUP BY identifier_type, identifier_value"""
    session.leave(Step(f"came_{generation}", (founders, link.unfound), came))
    return name


def _look_up_too(session: Session, before: Lookup, founded: str) -> Lookup:
    """Return what is looked up with what came: a code that then names several subjects is ambiguous."""
    now = Lookup(before.generation + 1)
    came, shared = f"came_{now.generation}", f"shared_{now.generation}"

    def known(table: str, of: str) -> str:
        return f"""EXISTS (SELECT 1 FROM {table} a
            WHERE a.identifier_type = {of}.identifier_type AND a.identifier_value = {of}.identifier_value)"""

    twice = f"""SELECT identifier_type, identifier_value FROM {came} c
        WHERE (low < high OR {known(before.codes, "c")}) AND NOT {known(before.ambiguous, "c")}"""
    session.leave(Step(shared, (came, before.codes, before.ambiguous), twice))
    both = f"SELECT * FROM {before.ambiguous} UNION ALL SELECT * FROM {shared}"
    session.view(Step(now.ambiguous, (before.ambiguous, shared), both))
    codes = f"""SELECT * FROM {before.codes} l WHERE NOT {known(shared, "l")}
        UNION ALL SELECT identifier_type, identifier_value, low FROM {came} c WHERE NOT {known(now.ambiguous, "c")}"""
    session.view(Step(now.codes, (before.codes, shared, came, now.ambiguous), codes))
    by_uscc = f"""SELECT * FROM {before.uscc}
        UNION ALL SELECT uscc, subject_id, part, subject_type, NULL FROM {founded} WHERE uscc IS NOT NULL"""
    session.view(Step(now.uscc, (before.uscc, founded), by_uscc))
    subjects = f"""SELECT * FROM {before.subjects}
        UNION ALL SELECT subject_id, part, subject_type, legal_rep, NULL FROM {founded}"""
    session.view(Step(now.subjects, (before.subjects, founded), subjects))
    return now


def identifiers_of(link: RoleLink, subject: str, rows: str) -> str:
    """Return SQL for (subject_id, identifier_type, identifier_value, row_id) of the rows `s`, one row an identifier."""
    selects = [
        f"SELECT {subject} AS subject_id, '{part}' AS identifier_type, {link.column(part)} AS identifier_value,"
        f" s.row_id FROM {rows} WHERE {link.column(part)} IS NOT NULL"
        for part in CODES
        if part in link.fields
    ]
    if "uscc" in link.fields:
        uscc = link.column("uscc")
        selects.append(
            f"SELECT {subject}, 'org_code', substr({uscc}, 9, 9), s.row_id FROM {rows} WHERE {uscc} IS NOT NULL"
        )
    return " UNION ALL ".join(selects)


def part_of(kind: Kind, link: RoleLink) -> str:
    """Return SQL for the part a new subject lives in for ever: its prefecture as first known; persons apart."""
    sources = []
    if "region" in link.fields:
        sources.append(link.column("region"))
    if kind.founds == "person":
        sources.append(link.column("person_doc"))
    else:
        sources += [f"substr({link.column('uscc')}, 3, 6)"] if "uscc" in link.fields else []
        sources += [link.column("reg_no")] if "reg_no" in link.fields else []
    region = f"left(coalesce({', '.join([*sources, repr('')])}), 4)"
    prefix = "'p' || " if kind.founds == "person" else ""
    return f"{prefix}CASE WHEN left({region}, 2) = '43' THEN {region} ELSE '0000' END"


def type_of(kind: Kind, link: RoleLink) -> str:
    """Return SQL for the type of a new subject (GB 32100 department and category, GS 15 seventh digit)."""
    if kind.founds == "person":
        return "'person'"
    cases = []
    if "uscc" in link.fields:
        uscc = link.column("uscc")
        cases.append(f"WHEN {uscc} IS NOT NULL THEN {type_by_uscc(uscc)}")
    if "reg_no" in link.fields:
        reg_no = link.column("reg_no")
        cases += [
            f"WHEN length({reg_no}) = 15 AND substr({reg_no}, 7, 1) IN ('6', '7', '8', '9') THEN 'household'",
            f"WHEN {reg_no} IS NOT NULL THEN 'enterprise'",
        ]
    return f"CASE {' '.join(cases)} ELSE 'organisation' END" if cases else "'organisation'"


def type_by_uscc(uscc: str) -> str:
    """Return SQL for the type of a subject with this USCC."""
    return f"""CASE WHEN left({uscc}, 2) = '92' THEN 'household' WHEN left({uscc}, 1) = '9' THEN 'enterprise'
        ELSE 'organisation' END"""


def legal_rep(link: RoleLink) -> str:
    """Return SQL for the legal representative's name of the row `s`."""
    return link.column("legal_rep") if "legal_rep" in link.fields else "CAST(NULL AS VARCHAR)"
