"""The file of lawful terms: a jurist changes it, and what it may not hold is refused by name."""

from pathlib import Path

import pytest

from chengxin.contracts.lint import lint
from chengxin.errors import ContractError
from chengxin.model.kinds import kinds
from chengxin.model.lawful_terms import FILE, UNKNOWN, Span, lawful_terms

TERMS = lawful_terms()


def changed(tmp_path: Path, before: str, after: str) -> Path:
    text = FILE.read_text("utf-8")
    assert before in text
    path = tmp_path / "lawful_terms.yaml"
    path.write_text(text.replace(before, after, 1), "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("警告", "minor"),
        ("罚款", "general"),
        ("警告、罚款", "general"),
        ("罚款;没收违法所得", "general"),
        ("罚款；吊销许可证件", "serious"),
        ("暂扣或者吊销执照", "general"),
        ("暂扣或者吊销执照；责令关闭", "serious"),
        ("没收非法财物、其他", "general"),
        ("其他", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_the_heaviest_of_several_penalties_gives_the_class(text, code):
    assert TERMS.class_of(text) == code


def test_a_ministrys_own_term_goes_before_that_of_the_class():
    assert TERMS.spans("serious", "dishonest_person") == (Span(value=2, unit="year"), Span(value=5, unit="year"))
    assert TERMS.spans("serious", "penalty") == (Span(value=3, unit="year"),) * 2
    assert TERMS.spans("listed", "abnormal_operation") == (None, None)


def test_every_rule_states_article_mark_and_day():
    rules = [
        *TERMS.classes.values(),
        *TERMS.kinds.values(),
        *TERMS.terms.values(),
        TERMS.penalty_words_article,
        TERMS.anonymity,
    ]
    assert all(rule.article and rule.mark and rule.since for rule in rules)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("{class: minor, words", "{class: mild, words", "mild"),
        ("abnormal_operation: {class: listed", "abnormal_operation: {class: noted", "noted"),
        ("{value: 3, unit: month}", "{value: 3, unit: moon}", "classes.minor.longest.unit"),
        ("{value: 3, unit: month}", "{value: 0, unit: month}", "classes.minor.longest.value"),
        ("mark: P", "mark: X", "classes.minor.mark"),
        ("{least: 5,", "{least: 1,", "anonymity.least"),
        ("    since: 2026-04-01\n", "", "classes.minor.since"),
        ("  withdrawal: {", "  withdrawl: {", "withdrawl"),
        ("classes:", "classes: [", "YAML"),
    ],
)
def test_what_it_may_not_hold_is_refused_by_name(tmp_path, before, after, named):
    with pytest.raises(ContractError, match=named):
        lawful_terms(changed(tmp_path, before, after))


def test_lint_names_the_file(tmp_path):
    path = changed(tmp_path, "unit: month", "unit: moon")
    assert [p for p in lint({}, tmp_path, terms=path) if p.path == path.name and "unit" in p.message]
    assert not [p for p in lint({}, tmp_path) if "lawful" in p.path]


def test_every_negative_kind_has_its_class():
    by_kind = {k.id for k in kinds().values() if k.publicity and not k.publicity.class_by}
    assert by_kind == set(TERMS.kinds)


def test_a_change_of_the_file_changes_its_digest(tmp_path):
    other = lawful_terms(changed(tmp_path, "{value: 3, unit: month}", "{value: 2, unit: month}"))
    assert other.digest() != TERMS.digest() == lawful_terms(FILE).digest()
