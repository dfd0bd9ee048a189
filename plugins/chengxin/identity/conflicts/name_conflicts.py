"""Rows with the code of one subject and another name: the code counts, and the contradiction is told.

File of a links folder:
  misnamed.parquet  row_id, other_id, why, adm_order. why: other = found by their USCC, with a name which is none of
                    their subject's and is that of exactly one other organisation; same = whose name and registration
                    number are those of another USCC, and nothing tells which of the two codes is mistyped; unknown =
                    found by a code, with a name that is none of their subject's, present or former
"""

from collections.abc import Sequence
from pathlib import Path

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step
from chengxin.identity.by_code import CODE_RULES, RoleLink
from chengxin.identity.conflicts import places

NAME = "misnamed.parquet"
OTHER, SAME, UNKNOWN = "other", "same", "unknown"
#: Rows that are named otherwise, and the subject whose name they bear, where there is one.
NAMED = Schema({"row_id": "BIGINT", "other_id": "BIGINT"})
#: Column of the standard rows: the match key of a name, where it is another text.
_FORM = "subject_name_form"
# As match keys are made, but for forms of letters: a name that this does not make equal is not told of.
_KEY = r"upper(regexp_replace({0}, '[\s　（）()〔〕\[\]【】《》·•・.。,，、-]', '', 'g'))"


def key_of(name: str) -> str:
    """Return SQL for the match key of a name, as far as SQL can make it."""
    return _KEY.format(name)


def renamed(link: RoleLink, alias: str) -> str:
    """Return the SQL condition that the row `s` bears another name than its subject in `lookup_uscc` does now."""
    if "name" not in link.fields or "uscc" not in link.fields:
        return "false"
    return f"coalesce({alias}.name_hash <> hash({link.column('name')}), false)"


def write(session: Session, link: RoleLink, target: Path, order: int, *, registers: bool, founds: bool) -> None:
    """Leave the table `misnamed` (row_id, other_id) and the file, where there is any.

    Needs `rows`, `linked` and the lookups. registers: rows of a registering kind may tell a new name; they count only
    where their registration number is the other's as well. founds: rows may found subjects, so that the other, or their
    own, may be of this very batch.
    """
    named, by_uscc = "name" in link.fields, "name" in link.fields and "uscc" in link.fields
    here = by_uscc and founds and "reg_no" in link.fields and _claims(session, link)
    others = _of_others(link, registers=registers) if by_uscc else Step("misnamed_before", (), NAMED.empty)
    session.leave(others, NAMED)
    session.leave(_CLAIMED if here else Step("misnamed", (others.name,), f"SELECT * FROM {others.name}"), NAMED)
    session.leave(_SAME_NAMED if here else Step("same_named", (), NAMED.empty), NAMED)
    unknown = named and not registers
    session.leave(_of_nobody(link) if unknown else Step("unknown_named", (), NAMED.empty), NAMED)
    told = f"""SELECT *, '{OTHER}' AS why FROM misnamed
        UNION ALL SELECT *, '{SAME}' FROM same_named WHERE row_id NOT IN (SELECT row_id FROM misnamed)
        UNION ALL SELECT *, '{UNKNOWN}' FROM unknown_named"""
    if session.leave(Step("named_otherwise", ("misnamed", "same_named", "unknown_named"), told)):
        said = "SELECT *, CAST($order AS INTEGER) AS adm_order FROM named_otherwise ORDER BY row_id"
        session.write(Step("misnamed_file", ("named_otherwise",), said, {"order": order}), target / NAME)


def _of_others(link: RoleLink, *, registers: bool) -> Step:
    """Return the step with the rows whose name is that of one other organisation, and none of their subject's."""
    name = key_of(link.column("name"))
    number = link.column("reg_no") if "reg_no" in link.fields else "NULL"
    also = ""
    if registers:
        also = """AND EXISTS (SELECT 1 FROM registry_identifiers x WHERE x.subject_id = b.subject_id
            AND x.identifier_type = 'reg_no' AND x.identifier_value = c.reg_no)"""
    sql = f"""WITH candidates AS (SELECT l.row_id, l.subject_id, {name} AS name_key, {number} AS reg_no
            FROM (SELECT row_id, subject_id FROM linked WHERE renamed AND NOT waiting) l JOIN rows s USING (row_id))
        SELECT c.row_id, min(b.subject_id) AS other_id FROM candidates c
        JOIN registry_names b ON b.name_key = c.name_key AND b.subject_id <> c.subject_id
        JOIN subject_now w ON w.subject_id = b.subject_id AND w.subject_type <> 'person'
        WHERE NOT EXISTS (SELECT 1 FROM registry_names a
            WHERE a.subject_id = c.subject_id AND a.name_key = c.name_key) {also}
        GROUP BY c.row_id HAVING min(b.subject_id) = max(b.subject_id)"""
    reads = ("linked", "rows", "registry_names", "registry_identifiers", "subject_now")
    return Step("misnamed_before", reads, sql)


def _of_nobody(link: RoleLink) -> Step:
    """Return the step with the rows whose code has a bearer of whom no name is known that theirs may be.

    A household is often called by its operator's name. A masked name is none.
    """
    name = link.column("name")
    by_other_codes = ", ".join(f"'{rule}'" for rule in CODE_RULES if rule != "uscc")
    sql = f"""WITH candidates AS (SELECT l.row_id, l.subject_id, {name} AS name, coalesce(s.{_FORM}, {name}) AS name_key
            FROM (SELECT row_id, subject_id FROM linked WHERE NOT waiting AND (renamed OR rule IN ({by_other_codes}))) l
            JOIN rows s USING (row_id) WHERE {name} IS NOT NULL AND NOT regexp_matches({name}, '[*＊]')),
        strangers AS (SELECT * FROM candidates c WHERE NOT EXISTS (SELECT 1 FROM registry_names a
            WHERE a.subject_id = c.subject_id AND a.name_key = c.name_key))
        SELECT c.row_id, CAST(NULL AS BIGINT) AS other_id FROM strangers c
        WHERE EXISTS (SELECT 1 FROM registry_names a WHERE a.subject_id = c.subject_id)
            AND NOT EXISTS (SELECT 1 FROM subject_now w WHERE w.subject_id = c.subject_id
                AND w.subject_type = 'household' AND w.legal_rep = c.name)
            AND c.row_id NOT IN (SELECT row_id FROM misnamed)"""
    return Step("unknown_named", ("linked", "rows", "registry_names", "subject_now", "misnamed"), sql)


def _claims(session: Session, link: RoleLink) -> bool:
    """Leave `claims` and `bearers`: rows that share a registration number with another subject, one of this batch.

    Return whether there are any. A subject that has another name, in the registry or, if it is new, on another row, is
    the one that is misnamed.
    """
    name, number = key_of(link.column("name")), link.column("reg_no")
    claims = f"""WITH suspect AS (
            SELECT {number} AS reg_no FROM rows s WHERE {number} IS NOT NULL GROUP BY 1 HAVING count(*) > 1
            UNION SELECT {number} FROM rows s JOIN linked l USING (row_id) JOIN registry_identifiers x
                ON x.identifier_type = 'reg_no' AND x.identifier_value = {number} AND x.subject_id <> l.subject_id
            WHERE l.subject_id IN (SELECT subject_id FROM new_subject))
        SELECT l.row_id, l.subject_id, {name} AS name_key, {number} AS reg_no, l.rule = 'uscc' AS by_uscc
        FROM rows s JOIN linked l USING (row_id)
        WHERE NOT l.waiting AND {name} <> '' AND {number} IN (SELECT reg_no FROM suspect)"""
    if not session.leave(Step("claims", ("rows", "linked", "registry_identifiers", "new_subject"), claims)):
        return False
    bearers = f"""WITH borne AS (
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
        FROM borne b"""
    session.leave(Step("bearers", ("claims", "registry_identifiers", "registry_names", "linked", "rows"), bearers))
    return True


_PAIRS = """SELECT c.row_id, min(o.subject_id) AS other_id, bool_and(o.otherwise) AS others_are
    FROM claims c JOIN bearers b USING (subject_id, name_key, reg_no)
    JOIN bearers o ON o.name_key = c.name_key AND o.reg_no = c.reg_no AND o.subject_id <> c.subject_id"""
_CLAIMED = Step(
    "misnamed",
    ("misnamed_before", "claims", "bearers"),
    f"""SELECT * FROM misnamed_before UNION ALL
        SELECT row_id, other_id FROM ({_PAIRS} WHERE c.by_uscc AND b.otherwise GROUP BY c.row_id)
        WHERE row_id NOT IN (SELECT row_id FROM misnamed_before)""",
)
_SAME_NAMED = Step(
    "same_named",
    ("claims", "bearers", "new_subject"),
    f"""SELECT row_id, other_id FROM (
            {_PAIRS} WHERE c.subject_id IN (SELECT subject_id FROM new_subject) AND NOT b.otherwise GROUP BY c.row_id)
        WHERE NOT others_are""",
)


def rows_of(folders: Sequence[Path]) -> dict[int, str]:
    """Return the row ids of a batch that are so named, ascending, each with `why`."""
    told = places.read(folders, NAME)
    if told is None:
        return {}
    return dict(sorted(zip(told["row_id"].to_pylist(), told["why"].to_pylist(), strict=True)))
