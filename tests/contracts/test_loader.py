"""A bad contract file becomes a problem in words; the good ones load all the same."""

from pathlib import Path

import pytest

from chengxin.contracts.loader import load

GOOD = """
format: 1
id: demo_list
title: 示例名单
department: {code: 430000-DEMO, name: 示例部门}
domain: demo
kind: registration
basis: {legal: 示例, share: 无条件}
columns:
  - {source: 名称, element: subject_name}
  - {source: 代码, element: uscc}
"""


def write(folder: Path, text: str, name: str = "demo/demo_list.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def only_message(folder: Path) -> str:
    loaded = load(folder)
    assert loaded.contracts == {}
    assert len(loaded.problems) == 1
    assert loaded.problems[0].path == "demo/demo_list.yaml"
    return loaded.problems[0].message


def test_good_file_loads(tmp_path):
    write(tmp_path, GOOD)
    loaded = load(tmp_path)
    assert list(loaded.contracts) == ["demo_list"]
    assert loaded.problems == ()


def test_bad_file_does_not_take_the_good_one_with_it(tmp_path):
    write(tmp_path, GOOD)
    write(tmp_path, "format: [", "demo/broken.yaml")
    write(tmp_path, "", "demo/empty.yaml")
    loaded = load(tmp_path)
    assert list(loaded.contracts) == ["demo_list"]
    assert [problem.path for problem in loaded.problems] == ["demo/broken.yaml", "demo/empty.yaml"]


def test_order_does_not_depend_on_the_file_system(tmp_path):
    for name in ("b_two", "a_one", "c_three"):
        write(tmp_path, GOOD.replace("demo_list", name), f"demo/{name}.yaml")
    assert list(load(tmp_path).contracts) == ["a_one", "b_two", "c_three"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("element: uscc", "elemnt: uscc"), "columns[1].elemnt：没有这个键，是否想写 element"),
        (("element: uscc", "element: Uscc"), "columns[1].element：写法应符合"),
        (("title: 示例名单\n", ""), "title：缺少必填项"),
        (("share: 无条件", "share: 全部"), "basis.share：只能是 '无条件'、'有条件'、'不予'"),
        (("share: 无条件", "share: 有条件"), "须写明共享条件"),
        (("element: uscc", "element: subject_name"), "数据元对应了不止一次"),
        (("id: demo_list", "id: other_list"), "id：应与文件名相同"),
        (("domain: demo", "domain: tax"), "domain：应与所在目录 demo 相同"),
        (("domain: demo", "domain: demo\ndomain: demo"), "键 domain 出现两次"),
        (("format: 1", "format: 2"), "format：只能是 1"),
        (("columns:", "columns: 3\nignored:"), "columns：应为列表"),
    ],
)
def test_problem_says_where_and_what(tmp_path, change, message):
    write(tmp_path, GOOD.replace(*change))
    loaded = load(tmp_path)
    assert loaded.contracts == {}
    assert any(message in problem.message for problem in loaded.problems), loaded.problems


def test_file_in_another_encoding_is_a_problem(tmp_path):
    write(tmp_path, "").write_bytes(GOOD.encode("gb18030"))
    assert "UTF-8" in only_message(tmp_path)


def test_yaml_cannot_build_python_objects(tmp_path):
    write(tmp_path, GOOD.replace("示例名单", "!!python/object/apply:os.getcwd []"))
    assert "YAML 写法有误" in only_message(tmp_path)


def test_numbers_dates_and_words_stay_the_text_that_was_written(tmp_path):
    write(
        tmp_path,
        GOOD
        + "constants: {region_code: 430100}\nfile: {format: xls, sheet: 2, header: 3}\n"
        + "examples:\n  - note: 前导零\n    row: {名称: no, 代码: 000123}\n"
        + "    expect: {state: passed, values: {established_on: 2019-09-05}}\n",
    )
    contract = load(tmp_path).contracts["demo_list"]
    assert contract.constants == {"region_code": "430100"}
    assert (contract.file.sheet, contract.file.header) == (2, 3)
    assert contract.examples[0].row == {"名称": "no", "代码": "000123"}
    assert contract.examples[0].expect.values == {"established_on": "2019-09-05"}


def test_same_id_in_two_folders_is_a_problem(tmp_path):
    write(tmp_path, GOOD)
    write(tmp_path, GOOD.replace("domain: demo", "domain: other"), "other/demo_list.yaml")
    loaded = load(tmp_path)
    assert loaded.contracts["demo_list"].domain == "demo"
    assert [problem.path for problem in loaded.problems] == ["other/demo_list.yaml"]


def test_contract_may_lie_directly_in_the_folder(tmp_path):
    write(tmp_path, GOOD, "demo_list.yaml")
    assert load(tmp_path).problems == ()


def test_missing_folder_is_a_problem(tmp_path):
    assert load(tmp_path / "nowhere").problems
