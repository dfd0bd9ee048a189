"""Monthly scorecards: what is counted, how it is scored, and that an issued one never changes."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.contracts.cadence import due_after, periods
from chengxin.contracts.models import DeliverySpec
from chengxin.errors import ContractError, InvariantBroken
from chengxin.home import Home
from chengxin.model.assessment import assessment
from chengxin.model.working_days import working_days
from chengxin.operations.scorecards import scorecard
from deliveries import PENALTY, REGISTRATION, START, Office, built_once, company, penalty
from end_to_end.pipeline_runs import chengxin

APRIL, MAY = (Clock(datetime(2026, month, 6, 2, tzinfo=UTC)) for month in (4, 5))


def weekly(late_after: int = 1) -> dict[str, object]:
    return {"mode": "incremental", "options": {"folder": "reg"}, "cadence": "weekly", "late_after": late_after}


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    """A weekly source in March 2026 (START is Monday 2 March): in time, in time, late, then nothing."""
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION, delivery=weekly(), region="430100")
    office.deliver("reg", company(1), company(2), day=0)
    office.deliver("reg", company(3), {**company(4), "subject_name": ""}, day=7)
    office.deliver("reg", company(5), day=18)
    return office


def measures(body: dict, scope: str = "departments", n: int = 0) -> dict[str, tuple[int, int]]:
    return {m["measure"]: (m["numerator"], m["denominator"]) for m in body[scope][n]["measures"]}


def drafted(office: Office, month: str = "202603", clock: Clock = APRIL) -> dict:
    return scorecard.draft(Home(office.settings, clock), office.contracts, month)


def test_arrivals_are_judged_in_working_days_missing_ones_too(office):
    body = drafted(office)
    assert measures(body)["timely"] == (1, 3)
    late = body["datasets"][0]["late"]
    # due: 9 March + 7 days + 1 working day = 17 March; arrived Friday 20th. Then due 30 March, never came.
    assert late[0] == {"due": "2026-03-17", "arrived": "2026-03-20", "days": 3}
    assert late[1] == {"due": "2026-03-30", "arrived": None, "days": 2}


def test_every_period_without_a_delivery_is_named(office):
    body = drafted(office)
    assert measures(body)["delivered"] == (3, 4)  # weeks ending 8, 15, 22 and 29 March; the one of 1 March was before
    assert body["datasets"][0]["missing"] == ["2026-03-23～2026-03-29"]


def test_rows_and_required_values_are_counted_of_the_received(office):
    counted = measures(drafted(office))
    assert counted["passed"] == (4, 5)
    assert counted["required"] == (4, 5)  # the name, of every row
    numerator, denominator = counted["fill"]
    assert 0 < numerator < denominator


def test_department_and_prefecture_add_up_their_data_sets(office):
    office.contract("reg_b", "registration", REGISTRATION, region="430102")
    body = drafted(office)
    assert [p["name"] for p in body["prefectures"]] == ["长沙市"]
    assert measures(body)["in_place"] == measures(body, "prefectures")["in_place"] == (1, 2)
    assert body["departments"][0]["datasets"] == ["reg", "reg_b"]


def test_a_measure_of_nothing_gives_its_weight_to_the_others():
    rules = assessment()
    nothing = dict.fromkeys(rules.measures)
    assert rules.score(nothing) is None
    assert rules.level(None) == "不评"
    assert rules.score({**nothing, "timely": 100.0, "passed": 80.0}) == 90.0
    assert rules.score({**nothing, "timely": 100.0, "mended": 50.0}) == 85.7
    assert [rules.level(s) for s in (90.0, 89.9, 60.0, 59.9)] == ["优", "良", "中", "差"]


def test_refused_rows_mended_in_time_count_after_their_term(office):
    office.contract("base", "penalty", PENALTY, region="430100")
    wrong = [penalty(n, **company(n), decision_on="2026-02-30") for n in (1, 2)]
    office.deliver("base", *wrong, penalty(3, **company(3)), day=0)
    office.deliver("base", penalty(1, **company(1)), day=3)
    for contract in office.contracts.values():
        pipeline.answer(Home(office.settings, Clock(START + timedelta(days=4))), contract)
    base = next(n for n, d in enumerate(drafted(office)["datasets"]) if d["code"] == "base")
    assert measures(drafted(office), "datasets", base)["mended"] == (1, 2)
    assert drafted(office)["datasets"][base]["counts"]["mended_days"] == 3
    early = drafted(office, clock=Clock(datetime(2026, 3, 10, tzinfo=UTC)))
    assert measures(early, "datasets", base)["mended"] == (0, 0)


def test_an_issued_scorecard_never_changes(office):
    first = scorecard.issue(Home(office.settings, APRIL), office.contracts, "202603")
    before = {p.name: p.read_bytes() for p in first.folder.iterdir()}
    office.deliver("reg", company(6), day=20)
    again = scorecard.issue(Home(office.settings, MAY), office.contracts, "202603")
    assert (first.fresh, again.fresh) == (True, False)
    assert {p.name: p.read_bytes() for p in first.folder.iterdir()} == before
    assert again.body == first.body
    assert drafted(office)["departments"] != first.body["departments"]  # the late one is seen by a draft


def test_the_trend_is_taken_from_issued_months(office):
    march = scorecard.issue(Home(office.settings, APRIL), office.contracts, "202603").body["departments"][0]
    office.deliver("reg", company(6), day=33)
    april = scorecard.issue(Home(office.settings, MAY), office.contracts, "202604").body["departments"][0]
    assert april["trend"]["since"] == "202603"
    assert april["trend"]["change"] == round(april["score"] - march["score"], 1)
    assert [m["score"] for m in april["trend"]["months"]] == [march["score"]]


def test_nothing_is_issued_before_the_first_delivery(office):
    february = Clock(datetime(2026, 3, 6, 2, tzinfo=UTC))
    assert scorecard.issue(Home(office.settings, february), office.contracts, "202602") is None
    assert scorecard.issued_months(office.layout) == []


def test_a_running_month_is_a_draft_and_cannot_be_issued(office):
    clock = Clock(datetime(2026, 3, 18, 2, tzinfo=UTC))
    body = drafted(office, clock=clock)
    assert (body["state"], body["through"]) == ("draft", "2026-03-17")
    assert measures(body)["timely"] == (1, 2)
    with pytest.raises(InvariantBroken, match="尚未结束"):
        scorecard.issue(Home(office.settings, clock), office.contracts, "202603")
    for wrong in ("2026-3", "202613", "202703", "三月"):
        with pytest.raises(ContractError):
            drafted(office, wrong)


def test_parquet_and_page_hold_the_same_numbers(office):
    done = scorecard.issue(Home(office.settings, APRIL), office.contracts, "202603")
    rows = pq.read_table(done.folder / scorecard.PARQUET).to_pylist()
    timely = [r for r in rows if (r["scope"], r["measure"]) == ("departments", "timely")]
    assert [(r["numerator"], r["denominator"], r["level"]) for r in timely] == [
        (1, 3, done.body["departments"][0]["level"])
    ]
    page = (done.folder / scorecard.PAGE).read_text("utf-8")
    assert "1／3" in page
    assert "2026-03-17 → 2026-03-20" in page
    assert "http" not in page


def test_caches_may_be_deleted_and_a_shorter_journal_is_noticed(office):
    whole = drafted(office)
    for cache in (office.settings.home / "cache").glob("*.parquet"):
        cache.write_bytes(b"PAR1 torn")
    assert drafted(office) == whole
    last = max((office.settings.home / "admissions").glob("[0-9]*.json"))
    last.unlink()
    assert measures(drafted(office))["passed"][1] == 4
    assert drafted(office)["departments"][0]["counts"]["pending"] == 1


def test_the_command_shows_drafts_and_issues(office):
    home, contracts = office.settings.home, office.settings.contracts
    now = {"CHENGXIN_NOW": "2026-04-06T02:00:00+00:00"}
    issued = chengxin(home, contracts, "scorecard", "--issue", **now)
    assert (issued["month"], issued["state"]) == ("202603", "issued")
    shown = chengxin(home, contracts, "scorecard", "202603", "--department", "T-1", **now)
    assert shown["departments"] == issued["departments"]
    chengxin(home, contracts, "scorecard", "--department", "nobody", code=2, **now)


@pytest.mark.parametrize(
    ("last", "cadence", "late_after", "due"),
    [
        (date(2026, 9, 29), "daily", 1, date(2026, 10, 8)),  # the 30th, then over the National Day holidays
        (date(2026, 10, 8), "daily", 1, date(2026, 10, 10)),  # a Saturday that is worked
        (date(2026, 10, 30), "daily", 0, date(2026, 11, 2)),
        (date(2027, 10, 1), "weekly", 1, date(2027, 10, 11)),  # a year that nobody declared: Monday to Friday
        (date(2026, 1, 1), "irregular", 1, None),
    ],
)
def test_holidays_and_make_up_days_decide_when_a_delivery_is_due(last, cadence, late_after, due):
    assert due_after(last, DeliverySpec(cadence=cadence, late_after=late_after), working_days()) == due


def test_expected_periods_follow_calendar_and_holidays():
    days = working_days()
    october = periods("daily", date(2026, 10, 1), date(2026, 10, 31), days)
    assert len(october) == 18
    assert october[0] == (date(2026, 10, 1), date(2026, 10, 8))
    assert periods("quarterly", date(2026, 9, 1), date(2026, 9, 30), days) == [(date(2026, 7, 1), date(2026, 9, 30))]
    assert periods("yearly", date(2026, 11, 1), date(2026, 11, 30), days) == []
    assert days.unknown_years(date(2026, 1, 1), date(2027, 1, 1)) == [2027]


def test_a_calendar_with_an_impossible_make_up_day_is_refused(tmp_path):
    path = tmp_path / "days.yaml"
    path.write_text("years: {2026: {source: x, holidays: [2026-10-01..2026-10-07], worked: [2026-10-13]}}")
    with pytest.raises(ValueError, match="2026-10-13"):
        working_days(path)
