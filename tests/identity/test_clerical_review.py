"""Clerical review: what waits for a person, what his answers do, and when they stop the rule."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chengxin.clock import Clock
from chengxin.errors import JudgementRefused
from chengxin.home import Home
from chengxin.identity import clerical_review, ledger, precision
from chengxin.identity.by_name.training.invention import invented
from chengxin.pipeline import judgements
from chengxin.pipeline.judgements import Answer, Queue
from deliveries import ARREARS, PENALTY, REGISTRATION, START, Office, built_once, company, counts, lasting, penalty

FIRMS = ("长沙凯岳建材有限公司", "长沙凯跃建材有限公司")
NAME = "长沙凯越建材有限公司"  # sounds like both
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_arrears", "tax_arrears", ARREARS)
    office.contract("test_penalty", "penalty", PENALTY)
    names = (*FIRMS, *invented(60, 42))
    office.deliver("test_reg", *(company(n, subject_name=name) for n, name in enumerate(names, 1)), day=0)
    return office


def arrears(name: str, **more: Any) -> dict[str, Any]:
    return {"subject_name": name, "region_code": "430102", "tax_type_name": "增值税", "authority_name": "示例局",
            "published_on": "2026-02-01", "arrears_balance": 10} | more  # fmt: skip


def home(office: Office, day: float = 2) -> Home:
    return Home(office.settings, Clock(START + timedelta(days=day)))


def queue(office: Office, day: float = 2) -> Queue:
    return judgements.queue(home(office, day))


def answer(office: Office, about: str, outcome: Any, by: str = "示例甲", day: float = 2) -> Any:
    (done,) = judgements.answer(home(office, day), [Answer(about=about, outcome=outcome)], by=by)
    return done


def test_an_answer_links_what_waits_and_undo_restores_the_files(office: Office) -> None:
    office.deliver("test_arrears", arrears(NAME), arrears("长沙无关机械厂"), day=1)
    office.publish(day=1)
    before = counts(office.account("test_arrears")), lasting(office.snapshot())
    (case,) = queue(office).cases
    assert (case.sent, case.rows, case.is_heavy, case.is_linked) == (NAME, 1, False, False)
    assert [pair.subject_id for pair in case.pairs] == [1, 2]
    assert "“越”与“岳”同音" in str(case.explain(case.pairs[0]))
    said = answer(office, case.pairs[1].id, "same")
    assert said.evidence.keys() == {"posterior_ppm", "margin_ppm", "features"}
    assert {"region": "4301", "legal_rep": "", "outcome": "same"}.items() <= vars(said).items()
    assert queue(office).cases == []
    office.publish(day=2)
    assert office.linked("test_arrears") == [(2, 2, "judgement"), (3, 0, "waits")]
    assert counts(office.account("test_arrears")) == (1, 0, 0, 1)
    judgements.undo(home(office), said.id, by="示例乙", reason="看错了")
    office.publish(day=3)
    assert (counts(office.account("test_arrears")), lasting(office.snapshot())) == before
    assert [c.id for c in queue(office).cases] == [case.id]


def test_an_answer_holds_only_for_rows_that_state_the_same(office: Office) -> None:
    office.deliver("test_arrears", arrears(NAME), arrears(NAME, region_code="430302"), day=1)
    cases = queue(office).cases
    assert [case.region for case in cases] == ["4301", "4303"]  # what frees more rows is first
    answer(office, cases[0].pairs[0].id, "same")
    office.retry()
    assert office.linked("test_arrears") == [(2, 1, "judgement"), (3, 0, "waits")]
    assert [case.region for case in queue(office).cases] == ["4303"]


def test_two_persons_decide_what_is_heavy(office: Office) -> None:
    office.deliver("test_penalty", penalty(1, subject_name=NAME), day=1)
    (case,) = queue(office).cases
    assert case.is_heavy
    pair = case.pairs[0].id
    first = answer(office, pair, "same")
    assert office.retry() == []
    (case,) = queue(office).cases
    assert case.pairs[0].proposal == first
    assert "须由另一人确认" in str(answer(office, pair, "same"))
    assert "相反" in str(answer(office, pair, "different", by="示例乙"))
    assert answer(office, pair, "same", by="示例乙").confirms == first.id
    office.retry()
    assert office.rules("test_penalty") == ["judgement"]
    judgements.undo(home(office), first.id, by="示例丙", reason="看错了")
    office.retry()
    assert office.rules("test_penalty") == ["waits"]


def test_none_of_the_candidates_takes_them_out_and_unsure_waits(office: Office) -> None:
    office.deliver("test_arrears", arrears(NAME), arrears(NAME, region_code="430302"), day=1)
    first, second = queue(office).cases
    done = judgements.answer(home(office), [Answer(about=first.id, outcome="different")], by="示例甲")
    assert [one.outcome for one in done if isinstance(one, ledger.Judgement)] == ["different"] * 2
    answer(office, second.pairs[0].id, "unsure")
    assert [len(c.pairs) for c in queue(office).cases] == [1]
    answer(office, second.pairs[1].id, "unsure")
    assert queue(office).cases == []
    assert [c.id for c in queue(office, day=100).cases] == [second.id]
    office.retry()
    assert office.rules("test_arrears") == ["waits", "waits"]
    assert [c.id for c in queue(office, day=100).cases] == [second.id]
    assert isinstance(answer(office, "000000000000", "same"), JudgementRefused)


def sampled(office: Office, first: int, right: int, wrong: int) -> None:
    """Enter answers to a sample of links: names of nobody, so that nothing is linked otherwise."""
    said = [
        ledger.Said(
            subject_id=1,
            part="name_key",
            value=f"示例{n}",
            outcome="same" if n < first + right else "different",
            reason="r",
            is_sample=True,
        )
        for n in range(first, first + right + wrong)
    ]
    ledger.judge_all(office.layout, said, at=NOW, author="示例甲")


def test_the_rule_stops_where_the_sample_errs_until_resumed(office: Office) -> None:
    limits = precision.declared()["precision"]
    like = invented(60, 42)[3].replace("有限公司", "有限责任公司")
    sampled(office, 0, limits["answers"] - 3, 2)
    assert not queue(office).precision.is_stopped
    office.deliver("test_arrears", arrears(like), day=1)
    assert office.rules("test_arrears") == ["name_like"]
    sampled(office, 1000, 1, 0)
    found = queue(office).precision
    assert (found.is_stopped, found.answers, found.right) == (True, 200, 198)
    assert found.interval == pytest.approx((0.9643, 0.9973), abs=0.0005)
    ledger.undo(office.layout, 199, at=NOW, author="示例甲", reason="r")
    assert queue(office).precision.is_stopped
    office.deliver("test_arrears", arrears(like, arrears_balance=20, tax_type_name="消费税"), day=2)
    assert office.rules("test_arrears", 0) == ["name_like"]
    assert office.rules("test_arrears", 1) == ["waits"]
    judgements.resume(home(office), by="示例甲", reason="已查明")
    office.retry()
    assert office.rules("test_arrears", 1) == ["name_like"]
    assert queue(office).precision == precision.Precision(0, 0, False)


def test_a_sample_of_links_is_drawn_by_their_digests(office: Office) -> None:
    written = ("有限责任公司", "公司", "责任有限公司")
    names = [name.replace("有限公司", form) for name in invented(60, 42) for form in written]
    office.deliver("test_arrears", *(arrears(name) for name in names), day=1)
    linked = [r for _, _, r in office.linked("test_arrears")].count("name_like")
    drawn = [case for case in queue(office).cases if case.is_linked]
    account = office.account("test_arrears")
    folder = office.layout.links("test_arrears", account.batch_id, account.revision)
    every = [c for c in clerical_review._read(folder) if c.is_linked]
    one_in = precision.declared()["sample"]["one_in"]
    assert len(every) == linked > 20
    wanted = {c.pairs[0].id for c in every if int(c.pairs[0].id, 16) % one_in == 0}
    assert {c.pairs[0].id for c in drawn} == wanted
    assert drawn
    said = answer(office, drawn[0].pairs[0].id, "same")
    assert said.is_sample
    assert queue(office).precision == precision.Precision(1, 1, False)
    assert [case for case in queue(office, day=60).cases if case.is_linked] == []
