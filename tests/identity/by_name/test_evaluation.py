"""`identity evaluate`: the figures, and what makes the command fail."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from chengxin.cli import identity  # noqa: F401  # adds its commands
from chengxin.cli.group import main
from chengxin.errors import ContractError
from chengxin.identity.by_name.evaluation import Layer, Query, Registered, evaluate, read
from chengxin.identity.by_name.model import shipped
from chengxin.identity.by_name.training.lists import invented_lists


@pytest.fixture(scope="module")
def lists() -> tuple[list[Registered], list[Query]]:
    return invented_lists(1200)


def test_invented_lists_are_linked_well_enough(lists: tuple[list[Registered], list[Query]]) -> None:
    found, explained = evaluate(*lists, shipped(), explain=3)
    assert found.is_sufficient
    assert found.recall(found.total) > found.recall(found.exact) + 0.08
    assert found.persons == 0
    assert found.blocking > 0.9
    assert len(explained) == 3
    assert sum(asked for _, asked, _, _ in found.kinds) > 0


def test_a_person_or_a_household_is_never_linked(lists: tuple[list[Registered], list[Query]]) -> None:
    pool, queries = lists
    bearers = [Registered("F-x", "王某某"), Registered("92430102MA4EXAMPLE", "长沙市凯岳便利店")]
    asked = [Query("王某某", person=True), Query("长沙市凯岳便利店"), Query("长沙市凯越便利店")]
    before, _ = evaluate(pool, queries, shipped())
    found, _ = evaluate([*pool, *bearers], [*queries, *asked], shipped())
    assert (found.persons, found.exact.linked) == (0, before.exact.linked)


def test_wrong_links_or_a_person_are_not_sufficient(lists: tuple[list[Registered], list[Query]]) -> None:
    found, _ = evaluate(*lists, shipped())
    assert not replace(found, persons=1).is_sufficient
    assert not replace(found, alike=Layer(found.alike.linked, 10)).is_sufficient
    assert not replace(found, exact=Layer(100, 0)).is_sufficient


def written(folder: Path, **tables: list[list[str]]) -> Path:
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", newline="") as lines:
            csv.writer(lines).writerows(rows)
    return folder


def test_the_command_prints_the_table_and_fails_for_recall(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        pool=[["code", "name", "former"], ["1", "长沙市凯岳建材有限公司", "0"], ["1", "长沙市旧名建材厂", "1"]],
        queries=[
            ["query_id", "name", "region", "legal_rep"],
            ["a", "长沙市旧名建材厂", "430100", ""],
            ["b", "无此企业", "", ""],
        ],
        truth=[["query_id", "code"], ["a", "1"], ["b", "1"]],
    )
    told = CliRunner().invoke(main, ["identity", "evaluate", "--on", str(folder)])
    assert told.exit_code == 1  # half of the queries are answered
    assert "名称一致" in told.output
    assert "人名误入 0 个" in told.output


def test_a_folder_without_the_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="pool"):
        read(tmp_path)
    written(tmp_path, pool=[["name"], ["凯岳"]], queries=[["query_id", "name"]], truth=[["query_id", "code"]])
    with pytest.raises(ContractError, match="code"):
        read(tmp_path)
