"""Pools are made inside the scheduler's transaction, which a failure of ours must not take with it."""

import pytest
from airflow.utils.sqlalchemy import prohibit_commit
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chengxin.orchestration.airflow_internals import pool_table
from chengxin.orchestration.pools import NEW, PREFIX
from servers import postgres

TABLES = """
CREATE TABLE task_instance (dag_id text, run_id text, pool text);
CREATE TABLE slot_pool (id serial PRIMARY KEY, pool text UNIQUE, slots int, description text, include_deferred bool);
CREATE TABLE of_the_scheduler (said text);
INSERT INTO task_instance VALUES ('d', 'r', 'department-1'), ('d', 'r', 'default_pool'), ('d', 'other', 'department-2');
"""
POOLS = text("SELECT pool, slots FROM slot_pool ORDER BY pool")


@pytest.fixture
def database():
    with postgres() as url:
        if url is None:
            pytest.skip("no PostgreSQL here")
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text(TABLES))
        yield engine
        engine.dispose()


def test_a_run_makes_the_pools_that_it_names_once(database):
    with Session(database) as session, prohibit_commit(session) as guard:
        for _ in range(2):
            pool_table.make_missing(session, "d", "r", PREFIX, NEW)
        assert session.execute(POOLS).all() == [("department-1", 2)]
        guard.commit()
    with Session(database) as session, prohibit_commit(session) as guard:
        session.execute(text("UPDATE slot_pool SET slots = 7"))
        pool_table.make_missing(session, "d", "r", PREFIX, NEW)
        guard.commit()
    with database.connect() as connection:
        assert connection.execute(POOLS).all() == [("department-1", 7)]


def test_a_failing_statement_leaves_the_transaction_whole(database):
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE slot_pool DROP COLUMN description"))
    with Session(database) as session, prohibit_commit(session) as guard:
        session.execute(text("INSERT INTO of_the_scheduler VALUES ('before')"))
        with pytest.raises(DBAPIError):
            pool_table.make_missing(session, "d", "r", PREFIX, NEW)
        session.execute(text("INSERT INTO of_the_scheduler VALUES ('after')"))
        guard.commit()
    with database.connect() as connection:
        assert connection.execute(text("SELECT said FROM of_the_scheduler")).scalars().all() == ["before", "after"]
