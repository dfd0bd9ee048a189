"""A session runs steps over inputs: tables, views, files; it logs them and explains them."""

import logging
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chengxin.engine.cascade import Cascade
from chengxin.engine.session import Session, session
from chengxin.engine.step import Schema, Step
from chengxin.errors import InvariantBroken
from chengxin.facts import Resources
from chengxin.home import Home

NUMBERED = Schema({"row_id": "BIGINT", "name": "VARCHAR"})


@pytest.fixture
def steps(tmp_path) -> Iterator[Session]:
    with session(tmp_path, Resources(memory_limit_mib=256, threads=2)) as opened:
        opened.rows("given", pa.table({"row_id": [1, 2, 3], "name": ["a", "b", None]}))
        yield opened


def test_a_step_leaves_a_table_that_the_next_reads(steps):
    assert steps.leave(Step("named", ("given",), "SELECT * FROM given WHERE name IS NOT NULL"), NUMBERED) == 2
    steps.view(Step("named_twice", ("named",), "SELECT * FROM named UNION ALL SELECT * FROM named"))
    assert steps.count("named_twice") == 4
    assert steps.count("named_twice", "name = 'a'") == 2
    assert steps.columns("named") == dict(NUMBERED.columns)


def test_what_was_not_left_cannot_be_read(steps):
    with pytest.raises(InvariantBroken, match="reads others"):
        steps.leave(Step("found", ("others",), "SELECT * FROM others"))
    with pytest.raises(InvariantBroken, match="table found"):
        steps.leave(Step("found", ("given",), "SELECT name FROM given"), NUMBERED)


def test_what_a_text_holds_is_neither_a_table_nor_a_value(steps):
    steps.view(Step("found", ("given",), "SELECT row_id, 'FROM others, it''s $name' AS said FROM given"))
    assert steps.fetch(Step("all", ("found",), "SELECT DISTINCT said FROM found")) == [("FROM others, it's $name",)]
    with pytest.raises(InvariantBroken, match="reads it's without"):
        steps.view(Step("wrong", ("given",), """SELECT * FROM "it's" WHERE name = 'x'"""))


def test_branches_have_inputs_of_their_own(steps):
    with steps.branch() as branch:
        branch.rows("given", pa.table({"row_id": [7]}))
        assert branch.count("given") == 1
        with pytest.raises(InvariantBroken, match="no step or input left"):
            branch.count("named")
    assert steps.count("given") == 3


def test_values_are_parameters(steps):
    evil = "a'; DROP TABLE given; --"
    step = Step("found", ("given",), "SELECT row_id, $name AS name FROM given WHERE row_id > $most ORDER BY row_id",
                {"name": evil, "most": 1})  # fmt: skip
    assert steps.fetch(step) == [(2, evil), (3, evil)]
    assert steps.table(step).num_rows == 2
    with pytest.raises(ValueError, match="takes no values"):
        steps.view(step)


def test_files_are_inputs_and_no_file_is_an_empty_one(steps, tmp_path):
    path = tmp_path / "it's.parquet"
    written = Step("written", ("given",), "SELECT *, CAST($order AS INTEGER) AS n FROM given", {"order": 7})
    assert steps.write(written, path) == 3
    steps.files("read", [path], filename=True)
    assert steps.count("read", "n = 7") == 3
    assert steps.columns("read")["filename"] == "VARCHAR"
    steps.files("read", [], NUMBERED)
    assert steps.count("read") == 0
    assert steps.columns("read") == dict(NUMBERED.columns)
    with pytest.raises(AssertionError, match="no file"):
        steps.files("nothing", [])


def test_ordered_reads_keep_their_order(steps, tmp_path):
    rows = pa.table({"row_id": pa.array(range(300_000), pa.int64()), "name": ["x"] * 300_000})
    pq.write_table(rows, tmp_path / "many.parquet", row_group_size=20_000)
    steps.files("many", [tmp_path / "many.parquet"])
    ordered = Step("ordered", ("many",), "SELECT row_id FROM many WHERE row_id % 3 <> 1 ORDER BY row_id DESC")
    wanted = [n for n in reversed(range(300_000)) if n % 3 != 1]
    assert steps.table(ordered)["row_id"].to_pylist() == wanted
    assert [n for batch in steps.reader(ordered, 50_000) for n in batch.column(0).to_pylist()] == wanted


def test_a_cascade_asks_each_rule_for_the_rows_that_are_left(steps):
    found = Cascade(steps, "found", Schema({"row_id": "BIGINT", "rule": "VARCHAR"}))

    def rule(name: str, where: str) -> int:
        sql = f"SELECT row_id, '{name}' AS rule FROM given s WHERE {where} AND {found.left('s')}"
        return found.add(name, ("given",), sql)

    found.close()
    assert steps.count("found") == 0
    assert [rule("a", "name = 'a'"), rule("none", "false"), rule("all", "true")] == [1, 0, 2]
    found.close()
    every = Step("every", ("found",), "SELECT row_id, rule FROM found ORDER BY 1")
    assert steps.fetch(every) == [(1, "a"), (2, "all"), (3, "all")]


def test_the_log_has_names_rows_and_times_but_no_value(steps, caplog, tmp_path):
    with caplog.at_level(logging.DEBUG, "chengxin.engine.session"):
        sql = "SELECT * FROM given WHERE name = $name"
        steps.leave(Step("found", ("given",), sql, {"name": "张三"}))
        steps.write(Step("file", ("found",), "SELECT * FROM found"), tmp_path / "f.parquet")
    said = [record.getMessage() for record in caplog.records]
    assert [text.split(" in ")[0] for text in said] == ["step found: 0 rows", "step file: 0 rows"]
    assert "张三" not in str(said)


def test_plans_of_all_steps_lie_in_the_folder_that_the_setting_names(tmp_path, monkeypatch):
    monkeypatch.setenv("CHENGXIN_EXPLAIN", str(tmp_path / "plans"))
    with session(tmp_path / "work", Home.from_environment(home=tmp_path).resources) as opened:
        opened.rows("given", pa.table({"row_id": [1, 2, 3]}))
        opened.leave(Step("few", ("given",), "SELECT * FROM given WHERE row_id < $most", {"most": 3}))
        assert opened.count("few") == 2
    plans = sorted((tmp_path / "plans").iterdir())
    assert [p.stem.split("-")[-1] for p in plans] == ["few", "few_counted"]
    assert "given" in plans[0].read_text("utf-8")
