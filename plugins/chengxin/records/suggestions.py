"""The code of a company whose exact name the registry knows, for a row that gives none that can be used.

Of organisations alone, never of natural persons or households, and only where nobody else bears the name.
"""

from chengxin.engine.session import Session
from chengxin.engine.step import Step
from chengxin.identity.registry import Registry

_FOUND = """WITH hits AS (SELECT DISTINCT name, name_key, subject_id FROM registry_names
        WHERE name IN (SELECT name FROM asked_names)),
    bearers AS (SELECT h.name, count(DISTINCT n.subject_id) AS n, min(h.subject_id) AS subject_id
        FROM hits h JOIN registry_names n USING (name_key) GROUP BY h.name),
    subjects AS (SELECT subject_id, arg_max(uscc, (version_at, row_id)) FILTER (uscc IS NOT NULL) AS uscc,
            bool_and(subject_type IN ('enterprise', 'organisation')) AS is_organisation
        FROM registry_subjects WHERE subject_id IN (SELECT subject_id FROM bearers) GROUP BY subject_id)
    SELECT a.row_id, s.uscc FROM asked_names a JOIN bearers b ON b.name = a.name AND b.n = 1
    JOIN subjects s USING (subject_id) WHERE s.is_organisation AND s.uscc IS NOT NULL"""


def codes(session: Session, registry: Registry, asked: Step) -> dict[int, str]:
    """Return row_id -> the registered USCC. asked: row_id and name, NULL where it shall not be looked up."""
    session.leave(asked)
    named = f"SELECT * FROM {asked.name} WHERE name IS NOT NULL"
    if not session.leave(Step("asked_names", (asked.name,), named)):
        return {}
    registry.files().attach(session)
    return dict(session.fetch(Step("suggested", ("asked_names", "registry_names", "registry_subjects"), _FOUND)))
