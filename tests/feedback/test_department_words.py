"""What is said to departments: of every rule, and of what operators are told."""

import pytest

from chengxin.feedback import words
from chengxin.model.rules import rules


def test_every_rule_says_what_is_wrong_and_how_to_mend_it():
    assert len(rules()) >= 72
    assert [r.id for r in rules().values() if not (r.zh.strip() and r.mend_zh.strip() and r.mend_en.strip())] == []
    assert [
        r.id for r in rules().values() if not r.mend_zh.startswith(("请", "如", "有", "主体", "向", "个体", "确"))
    ] == []


def test_no_sentence_of_a_rule_breaks_off():
    texts = [text for rule in rules().values() for text in (rule.zh, rule.en, rule.mend_zh, rule.mend_en)]
    assert [text for text in texts if text.count("（") != text.count("）") or text.count("(") != text.count(")")] == []


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("缺少列：甲。请提供部门按合同重报，或由平台在合同 columns/aliases/ignored 中声明后重跑",
         "缺少列：甲。请贵单位按合同重报；数据约定需要修订的，请与平台联系"),
        ("请核对合同 columns 的 unit，或请提供部门按约定的单位重报", "请贵单位按约定的单位重报"),
        ("请提供部门带上表头重报；如来文本来没有表头，请在合同中写 file.header: 0 并按文件顺序列出 columns",
         "请贵单位带上表头重报"),
        ("疑问数据 3 行，占 30.0%，高于提醒线 5.0%", "疑问数据 3 行，占 30.0%，高于提醒线 5.0%"),
    ],
)  # fmt: skip
def test_words_for_operators_become_words_for_departments(message, said):
    assert words.for_department(message) == said


OWN = words.OwnWords({"decision_on": "处罚决定日期", "reg_no": "注册号", "fine": "罚没款"})


@pytest.mark.parametrize(
    ("rule", "message", "said"),
    [
        ("penalty.decision_on.future", "决定日期不晚于今天：1 行不符合", "处罚决定日期不晚于今天：1 行不符合"),
        ("fill.reg_no", "字段『工商注册号』填充率 0.0%，整列为空", "字段『注册号』填充率 0.0%，整列为空"),
        ("penalty.fine_yuan.negative", "罚款金额不为负：1 行不符合", "罚没款不为负：1 行不符合"),
        ("rows", "决定日期、罚款金额等见附表", "决定日期、罚款金额等见附表"),  # not a finding about these fields
        ("fill.authority_name", "字段『作出机关』填充率 0.0%", "字段『作出机关』填充率 0.0%"),  # not of its table
    ],
)
def test_a_finding_names_the_field_as_the_department_does(rule, message, said):
    assert words.for_department(message, rule, OWN) == said
