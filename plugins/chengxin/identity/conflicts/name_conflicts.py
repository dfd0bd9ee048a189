"""Rows with the code of one subject and another name: the code counts, and the contradiction is told.

File of a links folder:
  misnamed.parquet  row_id, other_id, why, adm_order. why: other = found by their USCC, with a name which is none of
                    their subject's and is that of exactly one other organisation; same = whose name and registration
                    number are those of another USCC, and nothing tells which of the two codes is mistyped; unknown =
                    found by a code, with a name that is none of their subject's, present or former
"""

from collections.abc import Sequence
from pathlib import Path

from chengxin.engine.session import Connection
from chengxin.identity.by_code import CODE_RULES, RoleLink
from chengxin.identity.conflicts import places

NAME = "misnamed.parquet"
OTHER, SAME, UNKNOWN = "other", "same", "unknown"
#: Column of the standard rows: the match key of a name, where it is another text.
_FORM = "subject_name_form"
# As match keys are made, but for forms of letters: a name that this does not make equal is not told of.
_KEY = r"upper(regexp_replace({0}, '[\s　（）()〔〕\[\]【】《》·•・.。,，、-]', '', 'g'))"


def key_of(name: str) -> str:
    """Return SQL for the match key of a name, as far as SQL can make it."""
    return _KEY.format(name)


def renamed(link: RoleLink, alias: str) -> str:
    """Return SQL that tells whether the row `s` bears another name than its subject in `lookup_uscc` does now."""
    if "name" not in link.fields or "uscc" not in link.fields:
        return "false"
    return f"coalesce({alias}.name_hash <> hash(s.{link.fields['name']}), false)"


def write(connection: Connection, link: RoleLink, target: Path, order: int, *, registers: bool, founds: bool) -> None:
    """Leave the table `misnamed` (row_id) and the file, where there is any. Needs `rows`, `linked` and the lookups.

    registers: rows of a registering kind may tell a new name; they count only where their registration number is the
    other's as well. founds: rows may found subjects, so that the other, or their own, may be of this very batch.
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE misnamed (row_id BIGINT, other_id BIGINT)")
    connection.execute("CREATE OR REPLACE TEMP TABLE same_named (row_id BIGINT, other_id BIGINT)")
    connection.execute("CREATE OR REPLACE TEMP TABLE unknown_named (row_id BIGINT, other_id BIGINT)")
    if "name" not in link.fields:
        return
    if "uscc" in link.fields:
        _of_others(connection, link, registers=registers, founds=founds)
    if not registers:
        _of_nobody(connection, link)
    told = f"""SELECT *, '{OTHER}' AS why FROM misnamed
        UNION ALL SELECT *, '{SAME}' FROM same_named WHERE row_id NOT IN (SELECT row_id FROM misnamed)
        UNION ALL SELECT *, '{UNKNOWN}' FROM unknown_named"""
    if connection.execute(f"SELECT count(*) FROM ({told})").fetchall()[0][0]:
        connection.execute(f"""COPY (SELECT *, {order} AS adm_order FROM ({told}) ORDER BY row_id)
            TO '{target / NAME}' (FORMAT parquet)""")


def _of_others(connection: Connection, link: RoleLink, *, registers: bool, founds: bool) -> None:
    """Fill `misnamed` and `same_named`."""
    name = key_of(f"s.{link.fields['name']}")
    number = f"s.{link.fields['reg_no']}" if "reg_no" in link.fields else "NULL"
    also = ""
    if registers:
        also = """AND EXISTS (SELECT 1 FROM registry_identifiers x WHERE x.subject_id = b.subject_id
            AND x.identifier_type = 'reg_no' AND x.identifier_value = c.reg_no)"""
    connection.execute(f"""INSERT INTO misnamed
        WITH candidates AS (SELECT l.row_id, l.subject_id, {name} AS name_key, {number} AS reg_no
            FROM (SELECT row_id, subject_id FROM linked WHERE renamed AND NOT waiting) l JOIN rows s USING (row_id))
        SELECT c.row_id, min(b.subject_id) FROM candidates c
        JOIN registry_names b ON b.name_key = c.name_key AND b.subject_id <> c.subject_id
        JOIN subject_now w ON w.subject_id = b.subject_id AND w.subject_type <> 'person'
        WHERE NOT EXISTS (SELECT 1 FROM registry_names a
            WHERE a.subject_id = c.subject_id AND a.name_key = c.name_key) {also}
        GROUP BY c.row_id HAVING min(b.subject_id) = max(b.subject_id)""")
    if founds and "reg_no" in link.fields:
        _of_this_batch(connection, name, number)


def _of_nobody(connection: Connection, link: RoleLink) -> None:
    """Fill `unknown_named` with rows whose code has a bearer of whom no name is known that theirs may be.

    A household is often called by its operator's name. A masked name is none.
    """
    name = f"s.{link.fields['name']}"
    by_other_codes = ", ".join(f"'{rule}'" for rule in CODE_RULES if rule != "uscc")
    connection.execute(f"""INSERT INTO unknown_named
        WITH candidates AS (SELECT l.row_id, l.subject_id, {name} AS name, coalesce(s.{_FORM}, {name}) AS name_key
            FROM (SELECT row_id, subject_id FROM linked WHERE NOT waiting AND (renamed OR rule IN ({by_other_codes}))) l
            JOIN rows s USING (row_id) WHERE {name} IS NOT NULL AND NOT regexp_matches({name}, '[*＊]')),
        strangers AS (SELECT * FROM candidates c WHERE NOT EXISTS (SELECT 1 FROM registry_names a
            WHERE a.subject_id = c.subject_id AND a.name_key = c.name_key))
        SELECT c.row_id, NULL FROM strangers c
        WHERE EXISTS (SELECT 1 FROM registry_names a WHERE a.subject_id = c.subject_id)
            AND NOT EXISTS (SELECT 1 FROM subject_now w WHERE w.subject_id = c.subject_id
                AND w.subject_type = 'household' AND w.legal_rep = c.name)
            AND c.row_id NOT IN (SELECT row_id FROM misnamed)""")


def _of_this_batch(connection: Connection, name: str, number: str) -> None:
    """Add rows that share name and registration number with another subject, where one of the two is of this batch.

    A subject that has another name, in the registry or, if it is new, on another row, is the one that is misnamed.
    """
    new = "SELECT subject_id FROM new_subject"
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE claims AS
        WITH suspect AS (
            SELECT {number} AS reg_no FROM rows s WHERE {number} IS NOT NULL GROUP BY 1 HAVING count(*) > 1
            UNION SELECT {number} FROM rows s JOIN linked l USING (row_id) JOIN registry_identifiers x
                ON x.identifier_type = 'reg_no' AND x.identifier_value = {number} AND x.subject_id <> l.subject_id
            WHERE l.subject_id IN ({new}))
        SELECT l.row_id, l.subject_id, {name} AS name_key, {number} AS reg_no, l.rule = 'uscc' AS by_uscc
        FROM rows s JOIN linked l USING (row_id)
        WHERE NOT l.waiting AND {name} <> '' AND {number} IN (SELECT reg_no FROM suspect)""")
    if not connection.execute("SELECT count(*) FROM claims").fetchall()[0][0]:
        return
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE bearers AS
        WITH borne AS (
            SELECT subject_id, name_key, reg_no FROM claims
            UNION SELECT x.subject_id, b.name_key, x.identifier_value FROM registry_identifiers x
                JOIN registry_names b USING (subject_id)
                WHERE x.identifier_type = 'reg_no' AND x.identifier_value IN (SELECT reg_no FROM claims)),
        called AS (
            SELECT subject_id, name_key, true AS known FROM registry_names
                WHERE subject_id IN (SELECT subject_id FROM borne)
            UNION SELECT l.subject_id, {name}, false FROM linked l JOIN rows s USING (row_id)
                WHERE NOT l.waiting AND {name} <> '' AND l.subject_id IN (SELECT subject_id FROM borne))
        SELECT *, CASE WHEN EXISTS (SELECT 1 FROM called c WHERE c.subject_id = b.subject_id AND c.known)
                THEN NOT EXISTS (SELECT 1 FROM called c
                    WHERE c.subject_id = b.subject_id AND c.known AND c.name_key = b.name_key)
                ELSE EXISTS (SELECT 1 FROM called c WHERE c.subject_id = b.subject_id AND c.name_key <> b.name_key)
            END AS otherwise
        FROM borne b""")
    pairs = """SELECT c.row_id, min(o.subject_id) AS subject, bool_and(o.otherwise) AS others_are
        FROM claims c JOIN bearers b USING (subject_id, name_key, reg_no)
        JOIN bearers o ON o.name_key = c.name_key AND o.reg_no = c.reg_no AND o.subject_id <> c.subject_id"""
    connection.execute(f"""INSERT INTO misnamed SELECT row_id, subject FROM (
            {pairs}
            WHERE c.by_uscc AND b.otherwise GROUP BY c.row_id)
        WHERE row_id NOT IN (SELECT row_id FROM misnamed)""")
    connection.execute(f"""INSERT INTO same_named SELECT row_id, subject FROM (
            {pairs}
            WHERE c.subject_id IN ({new}) AND NOT b.otherwise GROUP BY c.row_id)
        WHERE NOT others_are""")


def rows_of(folders: Sequence[Path]) -> dict[int, str]:
    """Return the row ids of a batch that are so named, ascending, each with `why`."""
    told = places.read(folders, NAME)
    if told is None:
        return {}
    return dict(sorted(zip(told["row_id"].to_pylist(), told["why"].to_pylist(), strict=True)))
