"""The subject tables of a draft: for each touched part, what the registry says of its subjects, in today's version."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step
from chengxin.facts import Admission
from chengxin.identity.registry import TABLES, RegistryFiles
from chengxin.publishing.assembly.origins import FILES_BITS, Origins
from chengxin.publishing.assembly.tables import write_parts
from chengxin.state import seals
from chengxin.store.layout import Layout
from chengxin.store.manifest import FileEntry


@dataclass(frozen=True)
class Known:
    """What the registry holds, and what of it may be shown. sealed: data sets that never reach a snapshot."""

    layout: Layout
    admissions: tuple[Admission, ...]
    sealed: frozenset[str]
    last_order: int

    @property
    def shown(self) -> RegistryFiles:
        """The part of the registry that may be published."""
        return RegistryFiles(self.layout, tuple(a for a in self.admissions if a.dataset not in self.sealed))

    @property
    def fresh(self) -> RegistryFiles:
        """What of it came after the snapshot before."""
        return RegistryFiles(self.layout, tuple(a for a in self.shown.admissions if a.order > self.last_order))

    @property
    def concealed(self) -> list[Path]:
        """The subjects of sealed data sets."""
        sealed = tuple(a for a in self.admissions if a.dataset in self.sealed)
        return RegistryFiles(self.layout, sealed).files("subjects")


def write(
    session: Session,
    known: Known,
    origins: Origins,
    *,
    records: Sequence[Path],
    folder: Path,
    new_files: dict[str, list[FileEntry]],
    replaced: dict[str, set[str]],
) -> None:
    """Write subject, subject_identifier and subject_name for the parts that fresh admissions touch.

    records: credit_record files of the draft. A subject known from a sealed data set alone, but with records from
    another one, is shown by its number and type. Where there may be such, all parts are written.
    """
    _attach(session, known, origins, records)
    if not session.leave(_TOUCHED):
        return
    seals.check(known.layout, known.shown.admissions, *(f"{seals.LINKS}{table}." for table in TABLES))
    touched = {part for (part,) in session.fetch(Step("parts", ("touched",), "SELECT part FROM touched"))}
    for name in TABLES:
        shown = f"shown_{name}"
        more = "UNION ALL BY NAME SELECT * FROM nameless" if name == "subjects" else ""
        rows = f"""SELECT r.*, f.first + (r.row_id >> {FILES_BITS}) AS origin, f.adm_order,
                r.row_id & ((1::BIGINT << {FILES_BITS}) - 1) AS source_row
            FROM (SELECT * FROM {shown} {more}) r JOIN registry_files f USING (filename)
            WHERE part IN (SELECT part FROM touched)"""
        session.view(Step(f"{name}_here", (shown, "nameless", "registry_files", "touched"), rows))
    here = tuple(f"{name}_here" for name in TABLES)
    for table, query in (("subject", _SUBJECT), ("subject_identifier", _IDENTIFIER), ("subject_name", _NAME)):
        files_written = write_parts(session, Step(table, here, query), origins, folder)
        new_files.setdefault(table, []).extend(files_written)
        replaced.setdefault(table, set()).update(touched)


def _attach(session: Session, known: Known, origins: Origins, records: Sequence[Path]) -> None:
    """Take as inputs the registry as it may be shown, what of it is fresh, and the subjects of sealed data sets."""
    _origin_of_files(session, known, origins)
    touching = known.shown if known.concealed else known.fresh
    for name, schema in TABLES.items():
        with_file = Schema({**schema.columns, "filename": "VARCHAR"})
        session.files(f"shown_{name}", known.shown.files(name), with_file, filename=True)
        session.files(f"touching_{name}", touching.files(name), schema)
    with_file = Schema({**TABLES["subjects"].columns, "filename": "VARCHAR"})
    session.files("concealed", known.concealed, with_file, filename=True)
    session.files("records", records if known.concealed else [], _RECORDS)
    session.view(_NAMELESS)


_RECORDS = Schema({"subject_id": "BIGINT", "related_subject_id": "BIGINT"})
_NAMELESS = Step(
    "nameless",
    ("concealed", "records", "shown_subjects"),
    """SELECT * REPLACE (NULL AS name, NULL AS name_key, NULL AS uscc, NULL AS legal_rep, NULL AS region_code,
            NULL AS status_code, NULL AS born_on)
        FROM concealed WHERE subject_id IN (
            SELECT subject_id FROM records
            UNION SELECT related_subject_id FROM records WHERE related_subject_id IS NOT NULL)
        AND subject_id NOT IN (SELECT subject_id FROM shown_subjects)""",
)
_TOUCHED = Step(
    "touched",
    ("touching_subjects", "touching_identifiers", "touching_names", "nameless"),
    """SELECT part FROM touching_subjects UNION SELECT part FROM touching_identifiers
        UNION SELECT part FROM touching_names UNION SELECT part FROM nameless""",
)


# Most subjects, identifiers and names were stated once: those are taken as they are, only the others are aggregated.
_NEWEST, _OLDEST = "(version_at, adm_order, row_id)", "(adm_order, row_id)"
_SEVERAL = "SELECT subject_id FROM subjects_here GROUP BY subject_id HAVING count(*) > 1"
_SUBJECT_FIELDS = (
    "subject_type", "name", "uscc", "region_code", "status_code", "born_on", "origin", "source_row",
)  # fmt: skip
_NO_SOURCE = "NULL::VARCHAR AS source_record_id, NULL::TIMESTAMPTZ AS source_updated_at"
# A change of name counts from its day on, until the register itself says in a newer version how its subject is called.
_RENAMED = """SELECT subject_id, max(valid_from_on) AS since,
        arg_max(name, (valid_from_on, adm_order, row_id)) AS new_name,
        arg_max(name_key, (valid_from_on, adm_order, row_id)) AS new_key
    FROM names_here WHERE valid_from_on IS NOT NULL AND (valid_to_on IS NULL OR valid_to_on < valid_from_on)
    GROUP BY subject_id"""
_SINCE = "since > CAST(version_at AT TIME ZONE 'Asia/Shanghai' AS DATE)"
_SUBJECT = f"""WITH several AS MATERIALIZED ({_SEVERAL}), renamed AS ({_RENAMED})
    SELECT * REPLACE (CASE WHEN {_SINCE} THEN new_name ELSE name END AS name), {_NO_SOURCE} FROM (
        SELECT subject_id, part, version_at, {", ".join(_SUBJECT_FIELDS)}
        FROM subjects_here ANTI JOIN several USING (subject_id)
        UNION ALL BY NAME
        SELECT subject_id, min(part) AS part, max(version_at) AS version_at,
            {", ".join(f"arg_max({f}, {_NEWEST}) AS {f}" for f in _SUBJECT_FIELDS)}
        FROM subjects_here SEMI JOIN several USING (subject_id) GROUP BY subject_id)
    LEFT JOIN renamed USING (subject_id)
    ORDER BY part, subject_id"""
_IDENTIFIER_KEY = "subject_id, identifier_type, identifier_value"
_IDENTIFIER = f"""WITH several AS MATERIALIZED (
        SELECT hash({_IDENTIFIER_KEY}) AS digest FROM identifiers_here GROUP BY digest HAVING count(*) > 1)
    SELECT *, NULL::DATE AS valid_from_on, NULL::DATE AS valid_to_on, {_NO_SOURCE} FROM (
        SELECT {_IDENTIFIER_KEY}, part, origin, source_row
        FROM identifiers_here ANTI JOIN several ON digest = hash({_IDENTIFIER_KEY})
        UNION ALL BY NAME
        SELECT {_IDENTIFIER_KEY}, min(part) AS part, arg_min(origin, {_OLDEST}) AS origin,
            arg_min(source_row, {_OLDEST}) AS source_row
        FROM identifiers_here SEMI JOIN several ON digest = hash({_IDENTIFIER_KEY}) GROUP BY {_IDENTIFIER_KEY})
    ORDER BY part, {_IDENTIFIER_KEY}"""
_NAME = f"""WITH several AS MATERIALIZED ({_SEVERAL}),
    renamed AS ({_RENAMED}),
    now AS (
        SELECT subject_id, CASE WHEN {_SINCE} THEN new_key ELSE name_key END AS name_key FROM (
            SELECT subject_id, name_key, version_at FROM subjects_here ANTI JOIN several USING (subject_id)
            UNION ALL
            SELECT subject_id, arg_max(name_key, {_NEWEST}), max(version_at)
            FROM subjects_here SEMI JOIN several USING (subject_id) GROUP BY subject_id)
        LEFT JOIN renamed USING (subject_id)),
    repeated AS MATERIALIZED (
        SELECT hash(subject_id, name_key) AS digest FROM names_here GROUP BY digest HAVING count(*) > 1),
    names AS (
        SELECT subject_id, name_key, part, name, valid_from_on, valid_to_on, origin, source_row
        FROM names_here ANTI JOIN repeated ON digest = hash(subject_id, name_key)
        UNION ALL BY NAME
        SELECT subject_id, name_key, min(part) AS part, arg_min(name, {_OLDEST}) AS name,
            max(valid_from_on) AS valid_from_on, max(valid_to_on) AS valid_to_on,
            arg_min(origin, {_OLDEST}) AS origin, arg_min(source_row, {_OLDEST}) AS source_row
        FROM names_here SEMI JOIN repeated ON digest = hash(subject_id, name_key) GROUP BY subject_id, name_key)
    SELECT n.* REPLACE (CASE WHEN n.name_key = now.name_key THEN NULL ELSE valid_to_on END AS valid_to_on),
        coalesce(n.name_key = now.name_key, false) AS is_current, {_NO_SOURCE}
    FROM names n LEFT JOIN now USING (subject_id)
    ORDER BY part, subject_id, name_key"""


def _origin_of_files(session: Session, known: Known, origins: Origins) -> None:
    folders = [known.layout.links(a.dataset, a.batch_id, a.revision) for a in known.admissions]
    firsts = [origins.first[a.dataset, a.batch_id] for a in known.admissions for _ in TABLES]
    orders = [a.order for a in known.admissions for _ in TABLES]
    given = pa.table(
        {
            "filename": pa.array([str(f / f"{name}.parquet") for f in folders for name in TABLES], pa.string()),
            "first": pa.array(firsts, pa.int64()),
            "adm_order": pa.array(orders, pa.int64()),
        }
    )
    session.rows("registry_files", given)
