"""The shapes in which dates and instants arrive, one text at a time (domain: 4.7). Columns call this per distinct text.

Bare digits that could be two days (190905, 2019090512, 2019.1 out of a spreadsheet) are none (date.ambiguous): the
contract may say which form a column has.

Without an offset a time is Shanghai time. Epoch numbers are instants, so their day is taken in Asia/Shanghai, which had
summer time from 1986 to 1991: a fixed +8 would turn 1988-07-01 into the day before.
Open-ended validity (长期, 2099-12-31, 2999-12-31, 9999-12-31) is the date 9999-12-31, without an issue.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple

from chengxin.clock import SHANGHAI
from chengxin.model.identifiers import EXCEL_PREFIX, narrow
from chengxin.model.vocabularies import Placeholders, vocabulary

OPEN_ENDED = date(9999, 12, 31)
OLDEST, NEWEST = 1800, 2200
_OPEN_WORDS = re.compile(vocabulary(Placeholders).open_ended)
_OPEN_DATES = {(2099, 12, 31), (2999, 12, 31), (9999, 12, 31), (9999, 9, 9)}
_PLACEHOLDER_DATES = {(0, 0, 0), (1, 1, 1), (1900, 1, 1), (1900, 1, 0), (1899, 12, 30), (1899, 12, 31), (1753, 1, 1)}
_EXCEL_DAY_ZERO = date(1899, 12, 30)
_EPOCHS = (-5_364_662_400, 7_258_118_400)  # seconds: from 1800 to 2200
_STAMPS_FROM = 1_900_000_000  # as seconds 2030; from here on ten digits may be year, month, day and hour
_STAMPS_TO = 2100  # twelve digits of a later year, 215107200000, are milliseconds: a midnight of 1976
_LONGEST = 15  # digits of an epoch number
_PIVOT = 50  # two-digit years from here on are of the last century

_TIME = (
    r"(?:[T ]*(?P<hour>\d{1,2})[:时](?P<minute>\d{1,2})"
    r"(?:[:分](?P<second>\d{1,2})(?:[.,](?P<fraction>\d{1,9}))?)?[秒分]?"
    r" *(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?"
)
_DASHED = re.compile(r"(?P<year>\d{4})[-/.年 ](?P<month>\d{1,2})[-/.月 ](?P<day>\d{1,2})[日号]?" + _TIME)
_COMPACT = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})" + _TIME)
_STAMP = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?")
_MONTH = re.compile(r"(?P<year>\d{4})(?:[-/.年](?P<month>\d{1,2})月?(?:份)?|(?P<compact>\d{2}))")
_YEAR = re.compile(r"(?P<year>\d{4})年?(?:度)?")
_JAVA = re.compile(r"[A-Z]{3} ([A-Z]{3}) (\d{1,2}) (\d{1,2}):(\d{2}):(\d{2}) (?:CST|GMT\+08:00) (\d{4})")
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_CHINESE = re.compile(
    "([零〇○◯O0一二三四五六七八九]{4})年"
    "(?:(元|[〇零一二三四五六七八九十廿]{1,3})月)?(?:([〇零一二三四五六七八九十廿卅]{1,4})[日号])?"
)
_CHINESE_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | dict.fromkeys("〇○◯O0", 0)


class DateReading(NamedTuple):
    """A date or instant or None, and the rule broken, if any."""

    value: date | datetime | None
    rule: str | None = None


_INVALID = DateReading(None, "date.invalid")
_AMBIGUOUS = DateReading(None, "date.ambiguous")


@lru_cache(maxsize=200_000)
def read_date(text: str, form: str | None = None) -> DateReading:
    """Read a calendar day in China from one trimmed text that is no null token.

    form: of bare digits, as in contracts.models.Column.date_form.
    """
    reading = _read(text, form)
    value = reading.value
    if isinstance(value, datetime):
        day = value.astimezone(SHANGHAI).date()
        if (day.year, day.month, day.day) in _PLACEHOLDER_DATES | _OPEN_DATES:  # of an epoch number
            return _assembled({"year": str(day.year), "month": str(day.month), "day": str(day.day)})
        return reading._replace(value=day) if OLDEST <= day.year <= NEWEST else _INVALID
    return reading


@lru_cache(maxsize=200_000)
def read_instant(text: str, form: str | None = None) -> DateReading:
    """Read an instant (aware, UTC) from one trimmed text; a day without a time is its midnight in Shanghai."""
    reading = _read(text, form)
    value = reading.value
    if value is None or value == OPEN_ENDED:
        return reading if value is None else _INVALID
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=SHANGHAI)
    return reading._replace(value=value.astimezone(UTC))


def _read(raw: str, form: str | None) -> DateReading:
    text = narrow(raw).strip().strip(EXCEL_PREFIX).upper()
    text = re.sub(r"\s+", " ", text)
    if _OPEN_WORDS.fullmatch(text):
        return DateReading(OPEN_ENDED)
    if re.fullmatch(r"-?\d+(?:\.\d*)?", text):
        return _in_form(text, form) if form else _from_number(text)
    packed = text.replace(" ", "") if "年" in text else text
    for pattern in (_DASHED, _COMPACT):
        if found := pattern.fullmatch(packed) or pattern.fullmatch(text):
            return _assembled(found.groupdict())
    if found := _MONTH.fullmatch(packed) or _YEAR.fullmatch(packed):
        return _partial(found.groupdict())
    if found := _JAVA.fullmatch(text):
        month, day, hour, minute, second, year = found.groups()
        if month in _MONTH_NAMES:
            number = str(_MONTH_NAMES.index(month) + 1)
            return _assembled(
                {"year": year, "month": number, "day": day, "hour": hour, "minute": minute, "second": second}
            )
    if found := _CHINESE.fullmatch(packed):
        return _from_chinese(*found.groups())
    return _INVALID


def _in_form(text: str, form: str) -> DateReading:
    """Read digits in the form that the contract states; digits of another length keep their usual meaning."""
    whole, _, tail = text.partition(".")
    if form.startswith("epoch"):
        number = int(whole) if len(whole) <= _LONGEST and not tail.strip("0") else None
        reading = _INVALID if number is None else _at(number / 1000 if form == "epoch_ms" else number)
        return _AMBIGUOUS if _is_of_another_form(whole, form) and not _is_midnight(reading) else reading
    if form == "excel" and len(whole) == 5 and whole.isdigit():
        return _from_excel(int(whole))
    if len(whole) == 6 and whole.isdigit() and not tail.strip("0"):
        if form == "yyyymm":
            return _partial({"year": whole[:4], "month": whole[4:]})
        if form == "yymmdd":
            century = "19" if int(whole[:2]) >= _PIVOT else "20"
            return _assembled({"year": century + whole[:2], "month": whole[2:4], "day": whole[4:]})
    if form == "yymmdd" and whole.isdigit() and len(whole) < 6 and int(whole):  # 50101 was 050101, no day number
        return _AMBIGUOUS
    return _from_number(text)


def _is_of_another_form(digits: str, form: str) -> bool:
    """Return whether a number in an epoch column may be a day (20240105), or seconds among milliseconds."""
    if form == "epoch_ms" and len(digits) == 10 and digits.isdigit():
        return True
    day = _COMPACT.fullmatch(digits) if len(digits) == 8 else None
    return day is not None and _assembled(day.groupdict()).value is not None


def _from_number(text: str) -> DateReading:
    """Read digits only: 20190905, 201909, 2019, stamps of 12 or 14, Excel serials, epoch seconds and milliseconds."""
    whole, _, tail = text.partition(".")
    digits = whole.lstrip("-")
    if tail.strip("0"):
        if re.fullmatch(r"\d{4}", whole) and len(tail) <= 2:  # 2013.11 is a month; 2013.1 may have been 2013.10
            return _AMBIGUOUS if tail == "1" else _partial({"year": whole, "month": tail})
        return _from_serial(whole) if len(digits) == 5 and whole == digits else _INVALID
    if whole != digits:
        return _from_epoch(int(whole), len(digits))
    size = len(digits)
    if set(digits) == {"0"}:
        return DateReading(None, "date.placeholder")
    if size == 8 and (found := _COMPACT.fullmatch(digits)):
        return _assembled(found.groupdict())
    if size in (12, 14) and (found := _STAMP.fullmatch(digits)):
        reading = _assembled(found.groupdict())
        if size == 14 or (reading.value is not None and reading.value.year <= _STAMPS_TO):
            is_both = size == 12 and _is_midnight(_at(int(digits) / 1000))
            return _AMBIGUOUS if is_both else reading
    if size == 6:
        return _from_six(digits)
    if size == 4:
        return _partial({"year": digits})
    if size == 5:
        return _from_serial(digits)
    return _from_epoch(int(digits), size)


def _from_six(digits: str) -> DateReading:
    """Read 201909 as a month unless it could be a day as well (200812, 190905)."""
    month = _partial({"year": digits[:4], "month": digits[4:]})
    day = _assembled({"year": "20" + digits[:2], "month": digits[2:4], "day": digits[4:]})
    return month if day.value is None else _AMBIGUOUS


def _from_serial(digits: str) -> DateReading:
    """Read a day number of a spreadsheet unless it could be a year and a month (20195)."""
    is_month = 1900 <= int(digits[:4]) <= 2100 and digits[4] != "0"
    return _AMBIGUOUS if is_month else _from_excel(int(digits))


def _from_excel(serial: int) -> DateReading:
    return DateReading(_EXCEL_DAY_ZERO + timedelta(serial)) if 3654 <= serial <= 73_050 else _INVALID


def _from_epoch(number: int, size: int) -> DateReading:
    """Read milliseconds of 13 digits and seconds of 10 before 2030; any other only where it is exactly a midnight.

    Hardly any number is a midnight by chance (one in 3.6 million; of seconds, one in 3600), while 2019090512 or
    201913010830 are mistyped or shortened stamps.
    """
    if not 9 <= size <= 13:
        return _INVALID
    millis, seconds = _at(number / 1000), _at(number)
    if size == 13 and number > 0:
        return millis
    is_millis = number % 3_600_000 == 0 and _is_midnight(millis)
    is_seconds = size <= 10 and _is_midnight(seconds)
    if is_millis:
        return _AMBIGUOUS if is_seconds else millis
    return seconds if is_seconds or (size == 10 and 0 < number < _STAMPS_FROM) else _AMBIGUOUS


def _at(seconds: float) -> DateReading:
    if not _EPOCHS[0] <= seconds < _EPOCHS[1]:
        return _INVALID
    return DateReading(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))


def _is_midnight(reading: DateReading) -> bool:
    value = reading.value
    if not isinstance(value, datetime):
        return False
    return any(not (t.hour or t.minute or t.second or t.microsecond) for t in (value, value.astimezone(SHANGHAI)))


def _partial(found: dict[str, str | None]) -> DateReading:
    year, month = int(found["year"] or 0), int(found.get("month") or found.get("compact") or 1)
    if year == 0:
        return DateReading(None, "date.placeholder")
    if not (OLDEST <= year <= NEWEST and 1 <= month <= 12):
        return _INVALID
    return DateReading(date(year, month, 1), "date.partial")


def _assembled(found: dict[str, str | None]) -> DateReading:
    """Make a date, or an instant where a time was given."""
    parts = int(found["year"] or 0), int(found["month"] or 0), int(found["day"] or 0)
    if parts in _PLACEHOLDER_DATES:
        return DateReading(None, "date.placeholder")
    if parts in _OPEN_DATES:
        return DateReading(OPEN_ENDED)
    try:
        day = date(*parts)
        if not OLDEST <= day.year <= NEWEST:
            return _INVALID
        if found.get("hour") is None:
            return DateReading(day)
        fraction = (found.get("fraction") or "0")[:6].ljust(6, "0")
        clock = int(found["hour"] or 0), int(found["minute"] or 0), int(found.get("second") or 0), int(fraction)
        moment = datetime(*parts, *clock, tzinfo=_zone(found.get("zone")))
    except ValueError:
        return _INVALID
    return DateReading(moment)


def _zone(text: str | None) -> tzinfo:
    if not text:
        return SHANGHAI
    if text[0] not in "+-":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[3:].lstrip(":") or 0)
    return timezone(timedelta(minutes=minutes if text[0] == "+" else -minutes))


def _from_chinese(year: str, month: str | None, day: str | None) -> DateReading:
    number = int("".join(str(_CHINESE_DIGITS[c]) for c in year))
    months = 1 if month in (None, "元") else _small_number(str(month))
    days = 1 if day is None else _small_number(day)
    if months is None or days is None:
        return _INVALID
    reading = _assembled({"year": str(number), "month": str(months), "day": str(days)})
    if reading.value is None or (month is not None and day is not None):
        return reading
    return reading._replace(rule="date.partial") if day is None else _INVALID


def _small_number(text: str) -> int | None:
    """Read a Chinese number up to 39: 五, 十, 十二, 二十, 二十五, 廿五, 三十一, 〇五, 一二."""
    text = text.replace("廿", "二十").replace("卅", "三十")
    if "十" in text:
        tens, _, ones = text.partition("十")
        if len(tens) > 1 or len(ones) > 1:
            return None
        return (_CHINESE_DIGITS[tens] if tens else 1) * 10 + (_CHINESE_DIGITS[ones] if ones else 0)
    return int("".join(str(_CHINESE_DIGITS[c]) for c in text))
