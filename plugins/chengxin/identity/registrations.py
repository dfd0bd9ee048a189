"""What an admitted batch of a registering kind adds to the registry: subject versions, identifiers, names."""

from pathlib import Path

from chengxin.engine.session import Session
from chengxin.engine.step import Step, literal
from chengxin.identity.by_code import RoleLink
from chengxin.identity.founding import identifiers_of
from chengxin.model.kinds import Kind

STATUS = ("reg_status_code", "person_status_code")


def write_registry(session: Session, kind: Kind, link: RoleLink, *, version_at: str, as_of: str, target: Path) -> None:
    """Write the registry files of a batch from its accepted rows (`rows`, `linked`, `superseded`, `duplicates`).

    own_identifiers and own_names are what its data set has added before. A row in `misnamed` adds nothing: its name and
    numbers are somebody else's. Nor does one in `corrected`: they were wrong. version_at: SQL that asks for as_of.

    A version that a newer one had overtaken when it came says nothing of its subject today; its names and codes count.
    """
    session.view(_ACCEPTED)
    files: dict[str, tuple[str, tuple[str, ...]]] = {
        "names": (_names(kind, link, version_at), ("accepted", "own_names")),
    }
    if kind.registers == "found":
        files["subjects"] = (_subjects(kind, link, version_at), ("accepted", "new_subject", "superseded"))
        files["identifiers"] = (_identifiers(link), ("accepted", "subject_now", "own_identifiers"))
    for name, (sql, reads) in files.items():
        session.write(Step(f"{name}_file", reads, sql, {"as_of": as_of}), target / f"{name}.parquet", "zstd")


_ACCEPTED = Step(
    "accepted",
    ("rows", "linked", "misnamed", "corrected", "duplicates"),
    """SELECT s.*, l.subject_id, l.part, l.subject_type FROM rows s JOIN linked l USING (row_id)
        WHERE NOT l.waiting AND l.payload IS NOT NULL AND s.row_id NOT IN (SELECT row_id FROM misnamed)
            AND s.row_id NOT IN (SELECT row_id FROM corrected) AND s.row_id NOT IN (SELECT row_id FROM duplicates)""",
)


def _subjects(kind: Kind, link: RoleLink, version_at: str) -> str:
    def field(part: str) -> str:
        return link.column(part) if part in link.fields else "CAST(NULL AS VARCHAR)"

    status = next((f"s.{e}" for e in STATUS if e in kind.elements), "CAST(NULL AS VARCHAR)")
    born = "s.born_on" if "born_on" in kind.elements else "CAST(NULL AS DATE)"
    if kind.founds == "person":  # the number itself carries the birth date (GB 11643)
        doc = field("person_doc")
        born = f"""coalesce({born}, CASE WHEN length({doc}) = 18
            THEN CAST(try_strptime(substr({doc}, 7, 8), '%Y%m%d') AS DATE) END)"""
    return f"""SELECT s.subject_id, s.subject_type, s.part, {field("name")} AS name, {field("name_key")} AS name_key,
            {field("uscc")} AS uscc, {field("legal_rep")} AS legal_rep, {field("region")} AS region_code,
            {status} AS status_code, {born} AS born_on, {version_at} AS version_at,
            s.subject_id IN (SELECT subject_id FROM new_subject) AS is_new, s.row_id
        FROM accepted s
        WHERE s.row_id NOT IN (SELECT row_id FROM superseded)
            OR s.subject_id IN (SELECT subject_id FROM new_subject)
        ORDER BY s.subject_id, s.row_id"""


def _identifiers(link: RoleLink) -> str:
    return f"""SELECT i.subject_id, n.part, i.identifier_type, i.identifier_value, min(i.row_id) AS row_id
        FROM ({identifiers_of(link, "s.subject_id", "accepted s")}) i JOIN subject_now n USING (subject_id)
        WHERE NOT EXISTS (SELECT 1 FROM own_identifiers r WHERE r.subject_id = i.subject_id
            AND r.identifier_type = i.identifier_type AND r.identifier_value = i.identifier_value)
        GROUP BY ALL ORDER BY 1, 3, 4"""


def _names(kind: Kind, link: RoleLink, version_at: str) -> str:
    selects, history = [], kind.name_history
    if kind.registers == "found" and "name" in link.fields:
        selects.append(
            f"SELECT subject_id, part, {link.column('name')} AS name, subject_name_key AS name_key,"
            " CAST(NULL AS DATE) AS valid_from_on, CAST(NULL AS DATE) AS valid_to_on, row_id FROM accepted s"
        )
    if history:
        about = (
            " AND ".join(f"{e} IN ({', '.join(map(literal, values))})" for e, values in history.when.items()) or "true"
        )
        day = "CAST(NULL AS DATE)"
        if history.changed_on:  # a day that had not come when the change was told is mistyped
            told = f"CAST(({version_at}) AT TIME ZONE 'Asia/Shanghai' AS DATE)"
            day = f"CASE WHEN s.{history.changed_on} <= {told} THEN s.{history.changed_on} END"
        for which, element, start, end in (
            ("before", history.before, "CAST(NULL AS DATE)", day),
            ("after", history.after, day, "CAST(NULL AS DATE)"),
        ):
            if kind.registers == "found" and element == link.fields.get("name"):
                continue  # the name that every row tells
            selects.append(
                f"SELECT subject_id, part, {element} AS name, {which}_name_key AS name_key, {start} AS valid_from_on,"
                f" {end} AS valid_to_on, row_id FROM accepted s WHERE {about}"
            )
    return f"""SELECT subject_id, part, arg_min(name, row_id) AS name, name_key, max(valid_from_on) AS valid_from_on,
            max(valid_to_on) AS valid_to_on, min(row_id) AS row_id
        FROM ({" UNION ALL ".join(selects)}) n
        WHERE name_key IS NOT NULL AND name_key <> '' AND NOT EXISTS (
            SELECT 1 FROM own_names r WHERE r.subject_id = n.subject_id AND r.name_key = n.name_key
            AND (n.valid_from_on IS NULL OR r.valid_from_on = n.valid_from_on)
            AND (n.valid_to_on IS NULL OR r.valid_to_on = n.valid_to_on))
        GROUP BY subject_id, part, name_key ORDER BY 1, 4"""
