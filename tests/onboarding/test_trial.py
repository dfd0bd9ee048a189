"""`contracts try` says what would come out; `contracts draft` writes what can be tried. Neither touches a home."""

import csv
import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from pipeline_runs import told, words

from deliveries import person_doc, uscc

HEADER = ["企业名称", "统一社会信用代码", "注册日期", "法人代表", "证件号码", "注册地址", "联系电话"]
CONTRACT = """
format: 1
id: demo_list
title: 示例名单
department: {code: T-1, name: 测试部门}
domain: demo
kind: registration
basis: {legal: 测试, share: 无条件}
delivery: {options: {folder: demo/list}}
columns:
  - {source: 企业名称, element: subject_name}
  - {source: 统一社会信用代码, element: uscc}
  - {source: 注册日期, element: established_on}
  - {source: 法人代表, element: legal_rep_name}
  - {source: 证件号码, element: legal_rep_doc_no}
  - {source: 注册地址, element: address}
  - {source: 联系电话, element: contact_phone}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of contracts and a delivery of twenty rows, two of them with a damaged code."""
    folder = tmp_path / "contracts" / "demo"
    folder.mkdir(parents=True)
    (folder / "demo_list.yaml").write_text(CONTRACT, "utf-8")
    deliver(tmp_path / "名单.csv", HEADER, bad=2)
    return tmp_path


def deliver(path: Path, header: list[str], *, bad: int) -> None:
    rows = [
        [f"株洲样本{n}商贸有限公司", uscc(n)[:-1] + "?" if n < bad else uscc(n), "2024年1月8日", "张某明",
         person_doc(n), f"株洲市样本路{n}号", f"1380000{n:04d}"]
        for n in range(20)
    ]  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *(row[: len(header)] for row in rows)])


def run(place: Path, *arguments: str) -> CompletedProcess[str]:
    return told(words(place / "home", place / "contracts", "contracts", *arguments), place)


def test_a_trial_counts_explains_and_masks_and_lands_nothing(place):
    before = sorted(p.relative_to(place) for p in place.rglob("*"))
    done = run(place, "try", "demo_list", "名单.csv", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["received"], told["passed"], told["quarantined"], told["verdict"]) == (20, 18, 2, "accept")
    assert told["reasons"][0]["rows"] == 2
    assert any("【统一社会信用代码】" in reason["zh"] for reason in told["reasons"])
    assert told["rows"][0]["注册日期"] == "2024-01-08"
    assert told["rows"][0]["企业名称"] == "株洲样本2商贸有限公司"
    assert told["rows"][0]["法人代表"] == "张**"
    for secret in ("张某明", person_doc(2), "株洲市样本路", "13800000002"):
        assert secret not in done.stdout + done.stderr
    assert sorted(p.relative_to(place) for p in place.rglob("*")) == before


def test_an_unknown_code_is_told_with_where_to_translate_it(place):
    path = place / "contracts" / "demo" / "demo_list.yaml"
    path.write_text(path.read_text("utf-8").replace("element: contact_phone", "element: reg_status_code"), "utf-8")
    told = json.loads(run(place, "try", "demo_list", "名单.csv", "--json").stdout)
    (said,) = [w["zh"] for w in told["warnings"] if "code.unknown" in w["zh"]]
    assert said.startswith("【联系电话】")
    assert "请在合同 codes 中写明" in said


def test_a_delivery_of_other_columns_would_be_held(place):
    deliver(place / "别的.csv", ["单位", *HEADER[1:4]], bad=0)
    done = run(place, "try", "contracts/demo/demo_list.yaml", "别的.csv")
    assert done.returncode == 3
    assert "整批暂停" in done.stdout
    assert "缺少列：企业名称" in done.stdout
    assert "合同未声明的列：单位" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("try", "unknown", "名单.csv"), "没有名为 unknown 的数据集"),
        (("try", "demo_list", "nowhere.csv"), "nowhere.csv"),
        (("try", "broken.yaml", "名单.csv"), "合同有误"),
        (("draft", "nowhere.csv"), "没有文件 nowhere.csv"),
        (("draft", "名单.csv", "-o", "contracts/demo/demo_list.yaml"), "已存在"),
        (("draft", "名单.csv", "-o", "大写.yaml"), "数据集代码"),
        (("draft", "名单.csv", "--department", "省局"), "代码:名称"),
    ],
)
def test_wrong_use_is_told_in_chinese_with_exit_code_two(place, arguments, words):
    (place / "broken.yaml").write_text("format: 1\nid: broken\n", "utf-8")
    done = run(place, *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_from_a_never_seen_file_to_a_linted_contract(place):
    target = place / "contracts" / "demo" / "demo_firms.yaml"
    done = run(place, "draft", "名单.csv", "-o", str(target), "--department", "T-1:测试部门")
    assert done.returncode == 0, done.stderr
    assert "registration" in done.stderr
    text = target.read_text("utf-8")
    assert "90 % 通过校验" in text
    refused = run(place, "lint")
    assert refused.returncode == 1
    assert "demo_firms" in refused.stdout
    assert "尚未决定" in refused.stdout
    target.write_text(text.replace("legal: 待定, share: 不予", "legal: 测试, share: 无条件"), "utf-8")
    tried = run(place, "try", str(target), "名单.csv", "--json")
    assert tried.returncode == 0, tried.stderr
    assert json.loads(tried.stdout)["undecided"] == []
    linted = run(place, "lint")
    assert linted.returncode == 0, linted.stdout
