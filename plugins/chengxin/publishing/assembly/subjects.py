"""The subject tables of a draft: what the registry states of the subjects that fresh facts name, in today's version.

Their rows take the place of those in the snapshot before; all other rows of its files stay as they are. The state tells
which admissions have facts about them. What identifies a subject is only added to: the files published tell the rest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step
from chengxin.facts import Admission
from chengxin.identity.registry import TABLES, RegistryFiles
from chengxin.publishing.assembly.origins import FILES_BITS, Origins
from chengxin.publishing.assembly.tables import holding, write_parts
from chengxin.publishing.merges import Merges
from chengxin.publishing.registry_facts import about
from chengxin.state import seals
from chengxin.store.layout import Layout
from chengxin.store.manifest import FileEntry

Kept = Callable[[str, set[str]], Mapping[Path, FileEntry]]  # table, parts -> its files of the snapshot before


@dataclass(frozen=True)
class Known:
    """What the registry holds, and what of it may be shown. sealed: data sets that never reach a snapshot."""

    layout: Layout
    admissions: tuple[Admission, ...]
    sealed: frozenset[str]
    last_order: int
    merges: Merges

    @property
    def shown(self) -> RegistryFiles:
        """The part of the registry that may be published."""
        return RegistryFiles(self.layout, tuple(a for a in self.admissions if a.dataset not in self.sealed))

    @property
    def fresh(self) -> RegistryFiles:
        """What of it came after the snapshot before."""
        return RegistryFiles(self.layout, tuple(a for a in self.shown.admissions if a.order > self.last_order))

    @property
    def concealed(self) -> RegistryFiles:
        """The subjects of sealed data sets."""
        return RegistryFiles(self.layout, tuple(a for a in self.admissions if a.dataset in self.sealed))

    def about(self, session: Session) -> RegistryFiles:
        """Return what of the registry holds facts about the subjects in `touched`; all where that is not much more."""
        asked = Step("asked_subjects", ("touched",), "SELECT subject_id FROM touched")
        subjects = session.table(asked)["subject_id"].to_pylist()
        return about(self.shown, self.merges.members(subjects))


def write(
    session: Session,
    known: Known,
    origins: Origins,
    *,
    records: list[Path],
    kept: Kept,
    folder: Path,
    new_files: dict[str, list[FileEntry]],
    replaced: dict[str, set[str]],
) -> None:
    """Write subject, subject_identifier and subject_name for the parts that fresh admissions touch.

    records: credit_record files of the draft; asked only where a data set that registers is sealed. A subject known
    from such a data set alone, but with records from another one, is shown by its number and type. Where there may be
    such, or nothing was published before, all parts are written anew.
    """
    concealed = known.concealed.files("subjects")
    anew, merges = known.last_order < 0 or bool(concealed), known.merges
    fresh = known.shown if anew else known.fresh
    for name in TABLES:
        _take(session, f"fresh_{name}", name, fresh.files(name), merges)
    _conceal(session, concealed, records, merges)
    renewed = sorted(merges.renewed | merges.gone)
    parts = pa.array([merges.parts[i] for i in renewed], pa.string())
    session.rows("renewed", pa.table({"subject_id": pa.array(renewed, pa.int64()), "part": parts}))
    if not session.leave(_TOUCHED_PARTS):
        return
    touched = {part for (part,) in session.fetch(Step("parts", ("touched_parts",), "SELECT part FROM touched_parts"))}
    if anew:
        files: dict[str, dict[Path, FileEntry]] = {}
        facts, counting = fresh, (*fresh.admissions, *known.concealed.admissions)
    else:
        session.leave(_TOUCHED)
        facts = known.about(session)
        counting = tuple({a.order: a for a in (*facts.admissions, *fresh.admissions)}.values())
        files = {table: dict(kept(table, touched)) for table in _TABLES}
    seals.check(known.layout, counting, *(f"{seals.LINKS}{table}." for table in TABLES))
    _origin_of_files(session, known.layout, counting, origins)
    # Published identifiers are no help where subjects became one, or two again: they do not tell whose each was.
    published = [] if merges.changed else list(files.get("subject_identifier", ()))
    if published:
        session.files("published_identifiers", published)
        origins.attach(session, "published_identifiers")
    _gather(session, facts, merges, anew=anew, published=bool(published))
    here = tuple(f"{name}_here" for name in TABLES)
    for table, query in _TABLES.items():
        step = Step(table, here, query)
        older = files.get(table, {})
        written = write_parts(session, step, origins, folder, kept=older, gone=merges.gone)
        new_files.setdefault(table, []).extend(written)
        parts_now = {f.part for f in written} | holding(older, merges.gone)
        replaced.setdefault(table, set()).update(touched if anew else parts_now)


def _take(session: Session, name: str, table: str, files: list[Path], merges: Merges) -> None:
    """Take registry files as the input `name`, under the current ids."""
    schema = Schema({**TABLES[table].columns, "filename": "VARCHAR"})
    if not merges:
        session.files(name, files, schema, filename=True)
        return
    session.files(f"{name}_linked", files, schema, filename=True)
    sql = f"SELECT * FROM {merges.followed(f'{name}_linked')}"
    session.view(Step(name, (f"{name}_linked", *merges.reads), sql))


def _conceal(session: Session, concealed: list[Path], records: list[Path], merges: Merges) -> None:
    """Leave `nameless`: the subjects of sealed data sets that other records name."""
    _take(session, "concealed", "subjects", concealed, merges)
    session.files("records", records if concealed else [], _RECORDS)
    session.view(_NAMELESS)


def _gather(session: Session, facts: RegistryFiles, merges: Merges, *, anew: bool, published: bool) -> None:
    """Leave what is said of the touched subjects: subjects_here, identifiers_here, names_here."""
    only = "" if anew else "WHERE subject_id IN (SELECT subject_id FROM touched)"
    for name in TABLES:
        source = f"fresh_{name}"
        if not anew and (name != "identifiers" or merges.changed):
            source = f"facts_{name}"
            _take(session, source, name, facts.files(name), merges)
        more = "UNION ALL BY NAME SELECT * FROM nameless" if name == "subjects" else ""
        rows = f"""SELECT r.*, f.first + (r.row_id >> {FILES_BITS}) AS origin, f.adm_order,
                r.row_id & ((1::BIGINT << {FILES_BITS}) - 1) AS source_row
            FROM (SELECT * FROM {source} {more}) r JOIN registry_files f USING (filename) {only}"""
        reads = [source, "nameless", "registry_files", *([] if anew else ["touched"])]
        if name == "identifiers" and published:
            rows += " UNION ALL BY NAME " + _PUBLISHED
            reads += ["published_identifiers", "origins"]
        session.view(Step(f"{name}_here", tuple(reads), rows))


_RECORDS = Schema({"subject_id": "BIGINT", "related_subject_id": "BIGINT"})
_NAMELESS = Step(
    "nameless",
    ("concealed", "records", "fresh_subjects"),
    """SELECT * REPLACE (NULL AS name, NULL AS name_key, NULL AS uscc, NULL AS legal_rep, NULL AS region_code,
            NULL AS status_code, NULL AS born_on)
        FROM concealed WHERE subject_id IN (
            SELECT subject_id FROM records
            UNION SELECT related_subject_id FROM records WHERE related_subject_id IS NOT NULL)
        AND subject_id NOT IN (SELECT subject_id FROM fresh_subjects)""",
)
_TOUCHED_PARTS = Step(
    "touched_parts",
    ("fresh_subjects", "fresh_identifiers", "fresh_names", "nameless", "renewed"),
    """SELECT part FROM fresh_subjects UNION SELECT part FROM fresh_identifiers
        UNION SELECT part FROM fresh_names UNION SELECT part FROM nameless UNION SELECT part FROM renewed""",
)
_TOUCHED = Step(
    "touched",
    ("fresh_subjects", "fresh_identifiers", "fresh_names", "renewed"),
    """SELECT subject_id, min(part) AS part FROM (SELECT subject_id, part FROM fresh_subjects
        UNION ALL SELECT subject_id, part FROM fresh_identifiers
        UNION ALL SELECT subject_id, part FROM fresh_names
        UNION ALL SELECT subject_id, part FROM renewed) GROUP BY subject_id""",
)
# Of one identifier the oldest fact counts: that which was published is older than any fresh one.
_PUBLISHED = """SELECT subject_id, t.part, identifier_type, identifier_value, -1 AS row_id, o.origin, -1 AS adm_order,
        source_row
    FROM published_identifiers k JOIN touched t USING (subject_id) JOIN origins o USING (batch_id, source_file)"""


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


_TABLES = {"subject": _SUBJECT, "subject_identifier": _IDENTIFIER, "subject_name": _NAME}


def _origin_of_files(session: Session, layout: Layout, admissions: tuple[Admission, ...], origins: Origins) -> None:
    folders = [layout.links(a.dataset, a.batch_id, a.revision) for a in admissions]
    firsts = [origins.first(a.batch_id) for a in admissions for _ in TABLES]
    orders = [a.order for a in admissions for _ in TABLES]
    given = pa.table(
        {
            "filename": pa.array([str(f / f"{name}.parquet") for f in folders for name in TABLES], pa.string()),
            "first": pa.array(firsts, pa.int64()),
            "adm_order": pa.array(orders, pa.int64()),
        }
    )
    session.rows("registry_files", given)
