"""Dates and instants in every shape departments send."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kernel_cases import cleaned, one

from chengxin.clock import SHANGHAI

DAY = date(2019, 9, 5)
OPEN = date(9999, 12, 31)


@pytest.mark.parametrize(
    "text",
    [
        "2019-09-05",
        "2019/9/5",
        "20190905",
        "2019.9.5",
        "2019年9月5日",
        "2019年09月05日",
        "二〇一九年九月五日",
        "二○一九年九月五日",
        "二O一九年九月五日",
        "二零一九年九月五日",
        "43713",
        "43713.0",
        "1567612800000",
        "1567612800",
        "2019-09-05 00:00:00.0",
        "2019-9-5 0:00:00",
        "2019-09-05T00:00:00+08:00",
        "2019-09-04 16:00:00+00",
        "2019-09-05 00:00:00.25+08",
        "2019-09-05 05:30:00 +1330",
        "2019-09-04T16:00:00Z",
        "20190905000000",
        "２０１９－０９－０５",
        "'2019-09-05",
        "\u30002019-09-05 ",
        "20190905.0",
        "2019年 9月 5日",
        "Thu Sep 05 00:00:00 CST 2019",
    ],
)
def test_reads_every_shape_of_one_day(text: str) -> None:
    assert one("date", text) == (DAY, [])


@pytest.mark.parametrize(
    "text", ["长期", "长期有效", "永久", "无固定期限", "2099-12-31", "9999-12-31", "20991231", "2099-12-31 00:00:00"]
)
def test_open_ended_validity_is_one_date_and_no_issue(text: str) -> None:
    assert one("date", text) == (OPEN, [])


@pytest.mark.parametrize(
    "text", ["1900-01-01", "0000-00-00", "1900/1/1", "00000000", "1900-01-01 00:00:00", "0001-01-01"]
)
def test_fillers_are_absent_with_a_warning(text: str) -> None:
    assert one("date", text) == (None, ["date.placeholder"])


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2014年08月", date(2014, 8, 1)),
        ("2013-11", date(2013, 11, 1)),
        ("2012", date(2012, 1, 1)),
        ("2012年", date(2012, 1, 1)),
        ("201311", date(2013, 11, 1)),
        ("二〇一九年九月", date(2019, 9, 1)),
    ],
)
def test_month_or_year_alone_becomes_its_first_day(text: str, day: date) -> None:
    assert one("date", text) == (day, ["date.partial"])


@pytest.mark.parametrize(
    "text", ["2019-02-30", "2019-13-01", "20190230", "二〇一九年二月三十日", "昨天", "2019-9-5-1", "1", "1234567"]
)
def test_impossible_days_are_errors(text: str) -> None:
    assert one("date", text) == (None, ["date.invalid"])


@pytest.mark.parametrize(
    "text",
    [
        "190905",  # 2019-09-05, or May 1905?
        "200812",  # December 2008, or 2020-08-12?
        "991231",
        "20195",  # May 2019, or a day number of a spreadsheet?
        "2019.1",  # January, or what a spreadsheet left of 2019.10?
        "201909055",
        "2019090512",  # year, month, day and hour, or a second in 2033?
        "20190905123",
        "201913010830",  # no stamp; as milliseconds a moment in 1976
        "144000000",  # as seconds and as milliseconds a midnight
    ],
)
def test_digits_that_may_be_several_days_are_none(text: str) -> None:
    assert one("date", text) == (None, ["date.ambiguous"])
    assert one("instant", text) == (None, ["date.ambiguous"])


@pytest.mark.parametrize(
    ("form", "text", "day", "broken"),
    [
        ("yymmdd", "190905", date(2019, 9, 5), []),
        ("yymmdd", "991231", date(1999, 12, 31), []),
        ("yymmdd", "991331", None, ["date.invalid"]),
        ("yymmdd", "20190905", date(2019, 9, 5), []),
        ("yyyymm", "200812", date(2008, 12, 1), ["date.partial"]),
        ("excel", "20195", date(1955, 4, 16), []),
        ("epoch_ms", "144000000", date(1970, 1, 3), []),
        ("epoch_ms", "-7948800000", date(1969, 10, 1), []),
        ("epoch_ms", "1567612800000", date(2019, 9, 5), []),
        ("epoch_ms", "2019-09-05", date(2019, 9, 5), []),
        ("yymmdd", "50101", None, ["date.ambiguous"]),
        ("yymmdd", "0", None, ["date.placeholder"]),
        ("epoch_s", "20190905", None, ["date.ambiguous"]),
        ("epoch_s", "20217600", date(1970, 8, 23), []),
        ("epoch_ms", "20190905", None, ["date.ambiguous"]),
        ("epoch_ms", "1704470400", None, ["date.ambiguous"]),
        ("epoch_ms", "2073600000", date(1970, 1, 25), []),
        ("epoch_s", "9" * 400, None, ["date.invalid"]),
    ],
)
def test_the_contract_says_what_digits_mean(form: str, text: str, day: date | None, broken: list[str]) -> None:
    assert one("date", text, date_form=form) == (day, broken)


@settings(max_examples=100, deadline=None)
@given(st.dates(date(1930, 1, 1), date(2098, 12, 30)))
def test_midnight_is_read_from_epoch_milliseconds_of_any_length(day: date) -> None:
    millis = int(datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).timestamp() * 1000)
    value, broken = one("date", str(millis))
    if abs(millis) >= 10**10 and not is_minute(str(millis)):
        assert (value, broken) == (day, [])
    assert value in (day, None)


def is_minute(text: str) -> bool:
    """Tell whether digits are a day and a minute as well: 192211200000 may be 1922-11-20 00:00."""
    with suppress(ValueError):
        return bool(datetime.strptime(text, "%Y%m%d%H%M"))  # noqa: DTZ007
    return False


def test_digits_that_are_a_minute_as_well_are_ambiguous() -> None:
    assert one("date", "192211200000") == (None, ["date.ambiguous"])


def test_epoch_numbers_follow_shanghai_summer_time() -> None:
    midnight = datetime(1988, 7, 1, tzinfo=SHANGHAI)
    millis = int(midnight.timestamp() * 1000)
    assert (datetime(1970, 1, 1) + timedelta(milliseconds=millis, hours=8)).date() == date(1988, 6, 30)  # noqa: DTZ001
    assert one("date", str(millis)) == (date(1988, 7, 1), [])


def test_words_for_nothing_are_no_issue() -> None:
    assert cleaned("date", ["", "/", "无", None]) == [(None, [])] * 4


@settings(max_examples=100, deadline=None)
@given(
    st.dates(date(1901, 1, 1), date(2098, 12, 31)), st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y年%m月%d日"])
)
def test_reads_back_any_day(day: date, form: str) -> None:
    assert one("date", day.strftime(form)) == (day, [])


@settings(max_examples=100, deadline=None)
@given(st.dates(date(1971, 1, 1), date(2098, 12, 30)))
@example(date(1976, 10, 26))  # 215107200000, which is no 2151-07-20
@example(date(1976, 2, 4))
def test_reads_back_local_midnight_from_epoch_milliseconds(day: date) -> None:
    millis = int(datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).timestamp() * 1000)
    found = one("date", str(millis)) if len(str(millis)) >= 11 else (day, [])
    # 192211200000 is a midnight of 1976, and 1922-11-20
    assert found == (day, []) or (found == (None, ["date.ambiguous"]) and str(millis).endswith("00000"))


@pytest.mark.parametrize(
    "text",
    ["2019-09-05 08:30:00", "2019-09-05T08:30:00", "2019-09-05 08:30:00.0", "2019-09-05T00:30:00Z", "1567643400000"],
)
def test_reads_every_shape_of_one_instant(text: str) -> None:
    assert one("instant", text) == (datetime(2019, 9, 5, 0, 30, tzinfo=UTC), [])


@settings(max_examples=100, deadline=None)
@given(st.datetimes(datetime(1985, 1, 1), datetime(2098, 12, 30)))  # noqa: DTZ001
def test_plain_timestamps_are_shanghai_time(moment: datetime) -> None:
    local = moment.replace(microsecond=0, tzinfo=SHANGHAI)
    instant = local.astimezone(UTC)
    assert one("instant", local.strftime("%Y-%m-%d %H:%M:%S")) == (instant, [])
    assert one("instant", local.strftime("%Y-%m-%d %H:%M:%S.0")) == (instant, [])
    if instant.year > 2001:
        assert one("instant", str(int(instant.timestamp()) * 1000 + 7)) == (instant + timedelta(milliseconds=7), [])


@pytest.mark.parametrize(
    "text", ["2019-02-30 00:00:00", "2019-09-05 25:00:00", "2019-09-05x08:30:00", "2099-12-31 00:00:00"]
)
def test_impossible_instants_are_errors(text: str) -> None:
    assert one("instant", text) == (None, ["date.invalid"])
