import pytest
import sqlalchemy

from chengxin.connectors.database.answer import AnswerTable, write_answer
from chengxin.errors import ContractError, SourceUnavailable

COLUMNS = ("批次号", "记录键", "问题 (100%)", "说明")
TABLE = AnswerTable("反馈 表", COLUMNS, ("批次号", "记录键"))
ROWS = [("b1", "1", "日期", "请按 YYYY-MM-DD 填写"), ("b1", "2", "名称", None)]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def engine(request, tmp_path, monkeypatch):
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    else:
        url = f"sqlite:///{tmp_path / 'staging.db'}"
        (tmp_path / "staging.db").touch()
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", url)
    engine = sqlalchemy.create_engine(url)
    yield engine
    run(engine, 'DROP TABLE IF EXISTS "反馈 表"')
    engine.dispose()


def run(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def held(engine):
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql('SELECT * FROM "反馈 表" ORDER BY 1, 2')]


def test_the_same_answer_is_written_once(engine):
    assert write_answer("staging", TABLE, ROWS) == 2
    assert write_answer("staging", TABLE, iter(ROWS)) == 0
    assert write_answer("staging", TABLE, [*ROWS, ("b2", "1", "金额", "缺少单位")]) == 1
    assert held(engine) == [*ROWS, ("b2", "1", "金额", "缺少单位")]


def test_an_answer_of_many_rows_is_whole_or_not_there(engine):
    def rows():
        for number in range(1_200):
            yield ("b1", f"{number:05d}", "日期", "x")
        raise RuntimeError("the writer died")

    with pytest.raises(RuntimeError):
        write_answer("staging", TABLE, rows())
    assert write_answer("staging", TABLE, [("b1", f"{n:05d}", "日期", "x") for n in range(1_200)]) == 1_200
    assert len(held(engine)) == 1_200


def test_a_table_of_the_department_keeps_its_other_columns(engine):
    run(
        engine,
        'CREATE TABLE "反馈 表" ("处理人" TEXT, "批次号" VARCHAR(50), "记录键" VARCHAR(50), "说明" TEXT)',
    )
    table = AnswerTable("反馈 表", ("批次号", "记录键", "说明"), ("批次号", "记录键"), create=False)
    assert write_answer("staging", table, [("b1", "1", "x")]) == 1
    assert write_answer("staging", table, [("b1", "1", "x")]) == 0
    assert held(engine) == [(None, "b1", "1", "x")]


def test_a_missing_table_or_column_is_named(engine):
    with pytest.raises(ContractError, match="反馈 表”不存在"):
        write_answer("staging", AnswerTable("反馈 表", COLUMNS, ("批次号",), create=False), ROWS)
    run(engine, 'CREATE TABLE "反馈 表" ("批次号" VARCHAR(50), "记录键" VARCHAR(50))')
    with pytest.raises(ContractError, match="缺少列：问题 \\(100%\\)、说明"):
        write_answer("staging", TABLE, ROWS)
    with pytest.raises(ContractError, match="编号"):
        write_answer("staging", AnswerTable("反馈 表", COLUMNS, ("编号",)), ROWS)


@pytest.mark.server
def test_the_right_to_insert_is_enough(postgres_url, monkeypatch):
    owner = sqlalchemy.create_engine(postgres_url)
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", postgres_url)
    write_answer("staging", TABLE, ROWS)
    run(owner, "CREATE ROLE answerer LOGIN", 'GRANT INSERT ON "反馈 表" TO answerer')
    url = sqlalchemy.make_url(postgres_url).set(username="answerer")
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", url.render_as_string(False))
    try:
        assert write_answer("staging", TABLE, [*ROWS, ("b3", "1", None, None)]) == 1
        assert len(held(owner)) == 3
        run(owner, 'REVOKE INSERT ON "反馈 表" FROM answerer')
        with pytest.raises(SourceUnavailable, match="表“反馈 表”失败（InsufficientPrivilege 42501）"):
            write_answer("staging", TABLE, [("b4", "1", "秘密", None)])
    finally:
        run(owner, 'DROP TABLE "反馈 表"', "DROP ROLE answerer")
        owner.dispose()
