"""What of the registry the rows of a batch can touch: linking a few rows must not group all subjects there are.

V = the values that the rows give or are looked up by, K = their names. Touched are the subjects that bear one of V or
of K, or that a judgement or a correction names. Left are these subjects with all their names, and the identifiers in V
and those USCCs that touched subjects bear, with every bearer: enough to tell which of them names several.
"""

from collections.abc import Collection, Sequence

from chengxin.engine.session import Connection
from chengxin.identity.by_code import RoleLink
from chengxin.identity.conflicts.name_conflicts import key_of

#: A registry with fewer identifiers for each row of the batch is looked up whole: sorting out would cost more.
_WORTH = 2.0


def narrow(connection: Connection, links: Collection[RoleLink], also: Sequence[int]) -> None:
    """Create registry_subjects, registry_identifiers and registry_names.

    Needs `rows`, `judged_for` and the views all_*. also: subjects that are touched whatever the rows say.
    """
    counted = "SELECT (SELECT count(*) FROM all_identifiers), (SELECT count(*) FROM rows)"
    identifiers, rows = connection.execute(counted).fetchall()[0]
    if identifiers < _WORTH * rows:
        for table in ("subjects", "identifiers", "names"):
            connection.execute(f"CREATE OR REPLACE TEMP VIEW registry_{table} AS FROM all_{table}")
        return
    values = [f"SELECT {value} AS value FROM rows s" for link in links for value in link.values()]
    names = [f"SELECT {key} AS name_key FROM rows s" for link in links for key in _keys(link)]
    connection.execute(_distinct("touched_value", "value VARCHAR", values))
    connection.execute(_distinct("touched_name", "name_key VARCHAR", names))
    connection.execute("""CREATE OR REPLACE TEMP TABLE touched_identifiers AS
        SELECT * FROM all_identifiers WHERE identifier_value IN (SELECT value FROM touched_value)""")
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT subject_id FROM (
        SELECT subject_id FROM touched_identifiers
        UNION ALL SELECT subject_id FROM all_names WHERE name_key IN (SELECT name_key FROM touched_name)
        UNION ALL SELECT subject_id FROM judged_for
        UNION ALL SELECT unnest($also::BIGINT[]))""",
        {"also": list(also)},
    )
    mine = "subject_id IN (SELECT subject_id FROM touched)"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE registry_subjects AS SELECT * FROM all_subjects WHERE {mine}")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE registry_names AS SELECT * FROM all_names WHERE {mine}")
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE touched_uscc AS
        SELECT DISTINCT identifier_value FROM all_identifiers WHERE identifier_type = 'uscc' AND {mine}
        AND identifier_value NOT IN (SELECT value FROM touched_value)""")
    connection.execute("""CREATE OR REPLACE TEMP TABLE registry_identifiers AS FROM touched_identifiers
        UNION ALL SELECT * FROM all_identifiers
        WHERE identifier_value IN (SELECT identifier_value FROM touched_uscc)""")


def _keys(link: RoleLink) -> list[str]:
    return [f"s.{link.fields['name_key']}", key_of(f"s.{link.fields['name']}")] if "name" in link.fields else []


def _distinct(table: str, columns: str, selects: Sequence[str]) -> str:
    if not selects:
        return f"CREATE OR REPLACE TEMP TABLE {table} ({columns})"
    column = columns.partition(" ")[0]
    return f"""CREATE OR REPLACE TEMP TABLE {table} AS
        SELECT DISTINCT {column} FROM ({" UNION ALL ".join(selects)}) WHERE {column} IS NOT NULL"""
