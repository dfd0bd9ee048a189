"""What of the registry the rows of a batch can touch: linking a few rows must not group all subjects there are.

V = the values that the rows give or are looked up by, K = their names. Touched are the subjects that bear one of V or
of K, or that a judgement or a correction names. Left are these subjects with all their names, and the identifiers in V
and those USCCs that touched subjects bear, with every bearer: enough to tell which of them names several.
"""

from collections.abc import Collection, Iterable, Sequence

import pyarrow as pa

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step, union
from chengxin.identity.by_code import RoleLink
from chengxin.identity.conflicts.name_conflicts import key_of

#: A registry with fewer identifiers for each row of the batch is looked up whole: sorting out would cost more.
_WORTH = 2.0
_VALUES = Schema({"value": "VARCHAR"})


def narrow(session: Session, links: Collection[RoleLink], also: Sequence[int]) -> None:
    """Leave registry_subjects, registry_identifiers and registry_names.

    Needs `rows`, `judged_for` and the inputs all_*. also: subjects that are touched whatever the rows say.
    """
    if session.count("all_identifiers") < _WORTH * session.count("rows"):
        for table in ("subjects", "identifiers", "names"):
            session.view(Step(f"registry_{table}", (f"all_{table}",), f"SELECT * FROM all_{table}"))
        return
    session.rows("named_subjects", pa.table({"subject_id": pa.array(also, pa.int64())}))
    session.leave(_distinct("touched_value", (value for link in links for value in link.values())))
    session.leave(_distinct("touched_name", (key for link in links for key in _keys(link))))
    for step in _STEPS:
        session.leave(step)


_MINE = "subject_id IN (SELECT subject_id FROM touched)"
_STEPS = (
    Step(
        "touched_identifiers",
        ("all_identifiers", "touched_value"),
        "SELECT * FROM all_identifiers WHERE identifier_value IN (SELECT value FROM touched_value)",
    ),
    Step(
        "touched",
        ("touched_identifiers", "all_names", "touched_name", "judged_for", "named_subjects"),
        """SELECT DISTINCT subject_id FROM (
            SELECT subject_id FROM touched_identifiers
            UNION ALL SELECT subject_id FROM all_names WHERE name_key IN (SELECT value FROM touched_name)
            UNION ALL SELECT subject_id FROM judged_for
            UNION ALL SELECT subject_id FROM named_subjects)""",
    ),
    Step("registry_subjects", ("all_subjects", "touched"), f"SELECT * FROM all_subjects WHERE {_MINE}"),
    Step("registry_names", ("all_names", "touched"), f"SELECT * FROM all_names WHERE {_MINE}"),
    Step(
        "touched_uscc",
        ("all_identifiers", "touched", "touched_value"),
        f"""SELECT DISTINCT identifier_value FROM all_identifiers WHERE identifier_type = 'uscc' AND {_MINE}
            AND identifier_value NOT IN (SELECT value FROM touched_value)""",
    ),
    Step(
        "registry_identifiers",
        ("touched_identifiers", "all_identifiers", "touched_uscc"),
        """SELECT * FROM touched_identifiers UNION ALL SELECT * FROM all_identifiers
            WHERE identifier_value IN (SELECT identifier_value FROM touched_uscc)""",
    ),
)


def _keys(link: RoleLink) -> list[str]:
    return [link.column("name_key"), key_of(link.column("name"))] if "name" in link.fields else []


def _distinct(table: str, values: Iterable[str]) -> Step:
    """Return the step that leaves the different values of these columns of `rows`."""
    every = union((f"SELECT {value} AS value FROM rows s" for value in values), _VALUES)
    return Step(table, ("rows",), f"SELECT DISTINCT value FROM ({every}) WHERE value IS NOT NULL")
