"""Legal acts hold for the firm, whatever id its records are published under."""

import pytest

from chengxin.publishing.reader import open_snapshot
from chengxin.publishing.suppression.sweep import sweep
from deliveries import Office, penalty, uscc
from publishing.test_legal_acts import TIERS, contents, decisions, enter, fined, home, numbers, office, rebuilt
from publishing.test_merges import merge, undo

__all__ = ["office"]


def seen(office: Office, tier: str = "government") -> list[str]:
    """Return the decisions that a reader gets, what is hidden at once left out."""
    return sorted(open_snapshot(office.settings.home, tier).table("penalty")["decision_no"].to_pylist())


def agree(office: Office, day: float) -> None:
    assert rebuilt(office, day) == {tier: contents(office, tier) for tier in TIERS}
    assert sweep(home(office, day)).left == {}


def test_what_an_act_took_out_stays_out_under_another_id(office: Office) -> None:
    merged = merge(office, 4, 1)
    office.publish(day=3)
    assert office.table("penalty", "subject_id, linked_subject_id")[0] == (1, 4)
    enter(office, "repair", 4, day=3)
    for tier in TIERS:
        assert seen(office, tier) == numbers(1, 2, 3)
    undo(office, merged)
    office.deliver("test_pen", fined(4, remark="补"), day=4)
    office.publish(day=4)
    for tier in TIERS:
        assert decisions(office, tier) == seen(office, tier) == numbers(1, 2, 3)
    agree(office, 4)


@pytest.mark.slow
def test_an_act_follows_its_record_into_the_merged_firm(office: Office) -> None:
    enter(office, "objection", 2)
    enter(office, "repair", 3)
    office.publish(day=2)
    judgements = [merge(office, 2, 1), merge(office, 3, 1)]
    office.publish(day=3)
    assert (seen(office), seen(office, "open")) == (numbers(1, 2, 4), numbers(1, 4))
    office.deliver("test_city", penalty(3, uscc=uscc(1), penalty_class_name="罚款"), day=4)
    office.publish(day=4)
    assert seen(office) == numbers(1, 2, 4), "the same decision, delivered about the firm's other id"
    agree(office, 4)
    for judgement in judgements:
        undo(office, judgement)
    office.publish(day=5)
    assert office.table("penalty", "decision_no, subject_id")[2] == (*numbers(3), 1), "another firm's decision now"
    assert (seen(office), seen(office, "open")) == (numbers(1, 2, 3, 4), numbers(1, 3, 4))
    agree(office, 5)


@pytest.mark.slow
def test_a_merge_takes_out_what_an_act_removed_of_the_firm(office: Office) -> None:
    """Firm 1 has the decision as well: it is the repaired one from the moment that both are one firm."""
    office.deliver("test_city", penalty(3, uscc=uscc(1), penalty_class_name="罚款"), day=2)
    enter(office, "repair", 3)
    office.publish(day=2)
    assert seen(office) == numbers(1, 2, 3, 4)
    judgement = merge(office, 3, 1)
    office.publish(day=3)
    assert seen(office) == numbers(1, 2, 4)
    agree(office, 3)
    undo(office, judgement)
    office.publish(day=4)
    assert seen(office) == numbers(1, 2, 3, 4)
