"""A step declares what it reads, and what it leaves has the declared columns."""

import pytest

from chengxin.engine.step import Schema, Step, identifier, union
from chengxin.errors import InvariantBroken


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM rows",
        'SELECT a FROM "rows"',
        "SELECT r.a FROM links l JOIN rows r USING (a)",
        "SELECT a FROM links WHERE a NOT IN (SELECT a FROM rows)",
        "WITH few AS (SELECT a FROM rows) SELECT a FROM few",
    ],
)
def test_a_table_that_is_not_declared_is_refused(sql):
    with pytest.raises(InvariantBroken, match="reads rows without declaring it"):
        Step("found", ("links",), sql).check({"links", "rows"})
    Step("found", ("links", "rows"), sql).check({"links", "rows"})


def test_a_table_that_nobody_left_is_refused():
    with pytest.raises(InvariantBroken, match="reads rows, which no step or input left"):
        Step("found", ("rows",), "SELECT a FROM rows").check({"links"})


def test_a_step_does_not_read_what_it_leaves():
    with pytest.raises(InvariantBroken, match="reads what it leaves"):
        Step("rows", ("rows",), "SELECT a FROM rows").check({"rows"})


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a IS NOT DISTINCT FROM before FROM rows",
        "SELECT a FROM unnest([1, 2]) t(a)",
        "WITH few AS MATERIALIZED (SELECT 1 AS a), more AS (SELECT a FROM few) SELECT a FROM more JOIN few USING (a)",
    ],
)
def test_what_is_no_table_needs_no_declaration(sql):
    Step("found", ("rows",), sql).check({"rows"})


def test_only_the_values_that_the_sql_asks_for_are_given():
    step = Step("found", (), "SELECT $order AS adm_order, $h1 AS h", {"order": 3, "h1": "x", "as_of": "2026"})
    assert step.given == {"order": 3, "h1": "x"}
    assert "x" not in repr(step)


def test_other_columns_than_declared_are_refused():
    schema = Schema({"row_id": "BIGINT", "rule": "VARCHAR"})
    schema.check("found", {"rule": "VARCHAR", "row_id": "BIGINT"})
    with pytest.raises(InvariantBroken, match="table found"):
        schema.check("found", {"row_id": "INTEGER", "rule": "VARCHAR"})


def test_names_and_unions():
    assert identifier('a"b', "s") == 's."a""b"'
    empty = Schema({"row_id": "BIGINT"})
    assert union(["SELECT 1", "SELECT 2"], empty) == "SELECT 1 UNION ALL SELECT 2"
    assert union([], empty) == 'SELECT CAST(NULL AS BIGINT) AS "row_id" WHERE false'
