"""New subjects: a record of a founding kind whose subject nobody knows makes one. Numbers follow the order of rows.

A code that several subjects bear founds nobody: its row waits, or every delivery would make another subject of it.
"""

from chengxin.engine.session import Connection
from chengxin.identity.by_code import CODES, RoleLink, link_role
from chengxin.model.kinds import Kind

# By which codes a subject may be founded, best first. A name alone founds nobody.
FOUNDING_CODES = {"organisation": ("uscc", "org_code", "reg_no"), "person": ("person_doc",)}


def found(connection: Connection, kind: Kind, link: RoleLink, next_id: int, founding: str) -> int:
    """Link the view `rows` and found subjects for what is left, code by code. Return how many were founded.

    founding: SQL that tells of a row_id whether that row may found: one that withdraws its record does not.

    Leaves the temp tables linked_subject (as link_role) and new_subject, and extends lookup, lookup_uscc, subject_now.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE new_subject (subject_id BIGINT, part VARCHAR, subject_type VARCHAR)"
    )
    renames = kind.founds == "person"
    link_role(connection, link, "rows", "linked_subject", renames=renames)
    founded = 0
    for code in FOUNDING_CODES[kind.founds or "organisation"]:
        if code in link.fields:
            added = _found_by(connection, kind, link, code, next_id + founded, founding)
            if added:
                founded += added
                link_role(connection, link, "rows", "linked_subject", renames=renames)
    return founded


def _found_by(connection: Connection, kind: Kind, link: RoleLink, code: str, next_id: int, founding: str) -> int:
    column = link.fields[code]
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE founders AS
        SELECT {next_id - 1} + row_number() OVER (ORDER BY row_id) AS subject_id, row_id FROM (
            SELECT min(row_id) AS row_id FROM unfound s WHERE {column} IS NOT NULL
            AND row_id NOT IN (SELECT row_id FROM linked_subject) AND {founding}
            AND NOT EXISTS (SELECT 1 FROM ambiguous a
                WHERE a.identifier_type = '{code}' AND a.identifier_value = s.{column})
            GROUP BY {column})""")
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE founded_now AS
        SELECT f.subject_id, {part_of(kind, link)} AS part, {type_of(kind, link)} AS subject_type,
               {legal_rep(link)} AS legal_rep, f.row_id
        FROM founders f JOIN unfound s USING (row_id)""")
    connection.execute("INSERT INTO new_subject SELECT subject_id, part, subject_type FROM founded_now")
    connection.execute(
        "INSERT INTO subject_now SELECT subject_id, part, subject_type, legal_rep, NULL FROM founded_now"
    )
    found_rows = "founders f JOIN unfound s USING (row_id)"
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE came AS
        SELECT identifier_type, identifier_value, min(subject_id) AS low, max(subject_id) AS high
        FROM ({identifiers_of(link, "f.subject_id", found_rows)}) GROUP BY ALL""")
    _look_up_too(connection)
    if "uscc" in link.fields:
        connection.execute(f"""INSERT INTO lookup_uscc
            SELECT s.{link.fields["uscc"]}, f.subject_id, n.part, n.subject_type, NULL
            FROM {found_rows} JOIN founded_now n USING (subject_id) WHERE s.{link.fields["uscc"]} IS NOT NULL""")
    return int(connection.execute("SELECT count(*) FROM founders").fetchall()[0][0])


def _look_up_too(connection: Connection) -> None:
    """Add the identifiers in `came` to `lookup`; whatever then names several subjects goes to `ambiguous`."""
    same = "a.identifier_type = c.identifier_type AND a.identifier_value = c.identifier_value"
    connection.execute(f"""INSERT INTO ambiguous SELECT identifier_type, identifier_value FROM came c
        WHERE low < high OR EXISTS (SELECT 1 FROM lookup a WHERE {same})""")
    connection.execute(f"DELETE FROM lookup c WHERE EXISTS (SELECT 1 FROM ambiguous a WHERE {same})")
    connection.execute(f"""INSERT INTO lookup SELECT identifier_type, identifier_value, low FROM came c
        WHERE NOT EXISTS (SELECT 1 FROM ambiguous a WHERE {same})""")


def identifiers_of(link: RoleLink, subject: str, rows: str) -> str:
    """Return SQL for (subject_id, identifier_type, identifier_value, row_id) of the rows `s`, one row an identifier."""
    selects = [
        f"SELECT {subject} AS subject_id, '{part}' AS identifier_type, s.{link.fields[part]} AS identifier_value,"
        f" s.row_id FROM {rows} WHERE s.{link.fields[part]} IS NOT NULL"
        for part in CODES
        if part in link.fields
    ]
    if "uscc" in link.fields:
        uscc = f"s.{link.fields['uscc']}"
        selects.append(
            f"SELECT {subject}, 'org_code', substr({uscc}, 9, 9), s.row_id FROM {rows} WHERE {uscc} IS NOT NULL"
        )
    return " UNION ALL ".join(selects)


def part_of(kind: Kind, link: RoleLink) -> str:
    """Return SQL for the part a new subject lives in for ever: its prefecture as first known; persons apart."""
    sources = []
    if "region" in link.fields:
        sources.append(f"s.{link.fields['region']}")
    if kind.founds == "person":
        sources.append(f"s.{link.fields['person_doc']}")
    else:
        sources += [f"substr(s.{link.fields['uscc']}, 3, 6)"] if "uscc" in link.fields else []
        sources += [f"s.{link.fields['reg_no']}"] if "reg_no" in link.fields else []
    region = f"left(coalesce({', '.join([*sources, repr('')])}), 4)"
    prefix = "'p' || " if kind.founds == "person" else ""
    return f"{prefix}CASE WHEN left({region}, 2) = '43' THEN {region} ELSE '0000' END"


def type_of(kind: Kind, link: RoleLink) -> str:
    """Return SQL for the type of a new subject (GB 32100 department and category, GS 15 seventh digit)."""
    if kind.founds == "person":
        return "'person'"
    cases = []
    if "uscc" in link.fields:
        uscc = f"s.{link.fields['uscc']}"
        cases.append(f"WHEN {uscc} IS NOT NULL THEN {type_by_uscc(uscc)}")
    if "reg_no" in link.fields:
        reg_no = f"s.{link.fields['reg_no']}"
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
    return f"s.{link.fields['legal_rep']}" if "legal_rep" in link.fields else "CAST(NULL AS VARCHAR)"
