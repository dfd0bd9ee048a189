"""The lint finds what a contract names and what does not exist, and what two files contradict each other in."""

from pathlib import Path

import pytest

from chengxin.contracts.lint import lint
from chengxin.contracts.models import Contract

BODY = {
    "format": 1,
    "id": "demo_penalty",
    "title": "示例处罚",
    "department": {"code": "430000-DEMO", "name": "示例部门"},
    "domain": "demo",
    "kind": "penalty",
    "basis": {"legal": "示例", "share": "无条件"},
    "columns": [
        {"source": "名称", "element": "subject_name"},
        {"source": "代码", "element": "uscc"},
        {"source": "文书号", "element": "decision_no"},
        {"source": "决定日期", "element": "decision_on"},
        {"source": "机关", "element": "authority_name"},
        {"source": "罚款", "element": "fine", "unit": "万元"},
        {"source": "状态", "element": "decision_status_code"},
    ],
}


def column(source: str, element: str, **more) -> dict:
    return {"source": source, "element": element, **more}


def messages(tmp_path: Path, **changes) -> list[str]:
    contract = Contract.model_validate({**BODY, **changes})
    return [problem.message for problem in lint({contract.id: contract}, tmp_path)]


def without(element: str) -> list[dict]:
    return [c for c in BODY["columns"] if c["element"] != element]


def test_sound_contract_has_no_problem(tmp_path):
    assert messages(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"region": "330009"}, "region：没有 330009 这个行政区划"),
        (
            {"columns": [*without("fine"), column("罚款（元）", "fine", unit="万元")]},
            "columns[6].unit：列名“罚款（元）”写明单位是 元，unit 却是 万元",
        ),
        (
            {"columns": [*without("fine"), column("罚款(万元)", "fine", unit="万元", aliases=["罚款金额_元"])]},
            "列名“罚款金额_元”写明单位是 元",
        ),
        (
            {"columns": [*without("fine"), column("罚款（万美元）", "fine", unit="万元")]},
            "列名“罚款（万美元）”写明单位是 万美元",
        ),
        ({"kind": "weather"}, "kind：没有名为 weather"),
        ({"columns": [*BODY["columns"], column("天气", "weather")]}, "没有名为 weather 的数据元"),
        ({"columns": [*BODY["columns"], column("年度", "rating_year")]}, "rating_year 不属于记录种类 penalty"),
        ({"columns": without("decision_no")}, "缺少 penalty 必需的数据元 decision_no"),
        ({"columns": without("authority_name")}, "缺少 penalty 的主键数据元 authority_name"),
        ({"columns": [c for c in without("uscc") if c["element"] != "subject_name"]}, "没有任何标识"),
        ({"columns": [*BODY["columns"], column("罚 款：", "confiscated")]}, "与 fine 的列名相同"),
        ({"columns": [*BODY["columns"], column("备注", "remark", unit="元")]}, "remark 不是金额"),
        ({"ignored": {"名 称": "不要"}}, "已对应 subject_name"),
        ({"codes": {"decision_status_code": {"0": "77"}}}, "代码表 decision_status 中没有 77"),
        ({"codes": {"fine": {"0": "1"}}}, "没有代码表"),
        ({"ignored": {"天气": "待定"}}, "ignored.天气：尚未决定"),
        ({"basis": {"legal": "待定", "share": "不予"}}, "basis.legal：尚未决定"),
        ({"department": {"code": "TODO", "name": "待定"}}, "department.name：尚未决定"),
        ({"codes": {"licence_class_code": {"0": "1"}}}, "没有来源列"),
        ({"delivery": {"connector": "http_api"}}, "http_api 需要 connection"),
        ({"delivery": {"connector": "database", "options": {"connection": "x"}}}, "database 需要 table"),
        ({"quality": {"fill": {"remark": 0.5}}}, "quality.fill.remark"),
        ({"kind": "security_penalty"}, "依法封存"),
        ({"kind": "registration", "linking": {"by_name": "equal"}}, "登记主体，只按代码"),
        ({"columns": without("subject_name"), "linking": {}}, "没有一列是主体名称"),
    ],
)
def test_finds(tmp_path, changes, message):
    assert any(message in found for found in messages(tmp_path, **changes))


def test_required_column_cannot_be_missing(tmp_path):
    columns = [*without("decision_on"), column("决定日期", "decision_on", optional=True)]
    assert any("列不能缺" in found for found in messages(tmp_path, columns=columns))


def test_constant_counts_as_mapped(tmp_path):
    changed = messages(tmp_path, columns=without("authority_name"), constants={"authority_name": "示例机关"})
    assert changed == []


def test_examples_name_what_exists(tmp_path):
    example = {
        "note": "x",
        "row": {"名称": "某公司", "天气": "晴"},
        "expect": {"state": "passed", "values": {"weather": "晴"}, "rules": ["weather.bad"]},
    }
    found = "\n".join(messages(tmp_path, examples=[example]))
    assert "examples[0].row：列名“天气”" in found
    assert "没有列 weather" in found
    assert "没有规则 weather.bad" in found


def test_fixed_width_fields_are_declared_and_do_not_overlap(tmp_path):
    fields = [{"source": "名称", "start": 1, "length": 20}, {"source": "邮编", "start": 10, "length": 6}]
    found = "\n".join(messages(tmp_path, file={"format": "fixed", "fields": fields}))
    assert "“邮编”既不在" in found
    assert "重叠" in found


def test_one_department_code_has_one_name(tmp_path):
    first = Contract.model_validate(BODY)
    second = Contract.model_validate(
        {**BODY, "id": "demo_second", "department": {"code": "430000-DEMO", "name": "另一部门"}}
    )
    found = lint({c.id: c for c in (first, second)}, tmp_path)
    assert [problem.path for problem in found] == ["demo/demo_second.yaml"]


def test_expectation_packs_parse_and_belong_to_a_kind(tmp_path):
    (tmp_path / "penalty.json").write_text("{", "utf-8")
    (tmp_path / "weather.json").write_text("{}", "utf-8")
    (tmp_path / "subject.json").write_text("[]", "utf-8")
    found = {Path(problem.path).name for problem in lint({}, tmp_path)}
    assert found == {"penalty.json", "weather.json", "subject.json"}


def routed(name: str, precedence: int, **changes) -> Contract:
    route = {"route": {"group": "penalties_of_both", "precedence": precedence}}
    return Contract.model_validate({**BODY, "id": name, "delivery": route, **changes})


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (routed("other", 2), None),
        (routed("other", 1), "1 已用于 demo_penalty"),
        (routed("other", 2, kind="licence"), "须为同一记录种类"),
        (Contract.model_validate({**BODY, "id": "penalties_of_both"}), "是一个数据集的编号"),
    ],
)
def test_routes_of_a_group_share_a_kind_and_differ_in_precedence(tmp_path, second, message):
    found = lint({c.id: c for c in (routed("demo_penalty", 1), second)}, tmp_path)
    said = [p.message for p in found if p.message.startswith("delivery.route")]
    assert len(said) == (0 if message is None else 1)
    assert message is None or message in said[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"delivery": {"options": {"folder": "../../etc"}}},
        {"delivery": {"options": {"folder": "/etc"}}},
        {"feedback": {"to": "file", "folder": "../../outside"}},
        {"feedback": {"to": "file", "folder": "/outside"}},
        {"delivery": {"connector": "http_api", "options": {"connection": "x", "path": "http://tax.example/a"}}},
    ],
)
def test_a_place_that_leads_elsewhere_is_refused(tmp_path, changes):
    (told,) = [m for m in messages(tmp_path, **changes) if "不是" in m]
    assert "相对路径" in told or "不是地址" in told


def test_a_folder_of_a_server_may_begin_at_its_root(tmp_path):
    assert messages(tmp_path, delivery={"options": {"connection": "x", "folder": "/处罚"}}) == []
