"""Day numbers of a spreadsheet in a text are told where days written out beside them make them doubtful."""

from datetime import date, timedelta

import pytest

from chengxin.cleaning.mapper import standardise_rows
from chengxin.contracts.models import Contract
from deliveries import Office, penalty, uscc

NAMES = ("subject_name", "uscc", "decision_no", "decision_on", "valid_to_on", "authority_name", "penalty_content")
ZERO = date(1899, 12, 30)


@pytest.fixture
def contract(tmp_path) -> Contract:
    office = Office(tmp_path)
    office.contract("test_pen", "penalty", NAMES)
    return office.contracts["test_pen"]


def number(day: date, from_1904: bool = False) -> str:
    """Return the number of a day."""
    return str((day - ZERO).days - 1462 * from_1904)


def doubtful(
    contract: Contract, days: list[str], beside: list[str], rule: str = "date.serial"
) -> list[tuple[int, str]]:
    """Return row and element of the days that are told."""
    rows = [
        {k: str(v) for k, v in penalty(n, subject_name=f"湖南示例{n}有限公司", uscc=uscc(n)).items() if k in NAMES}
        | {"decision_on": day, "valid_to_on": other}
        for n, (day, other) in enumerate(zip(days, beside, strict=True), 1)
    ]
    issues = standardise_rows(contract, rows)[2].to_pylist()
    return [(i["source_row"], i["element"]) for i in issues if i["rule"] == rule]


DAYS = [date(2026, 1, 1) + timedelta(7 * n) for n in range(6)]


@pytest.mark.parametrize("from_1904", [False, True])
def test_a_number_among_days_is_told(contract, from_1904):
    days = [day.isoformat() for day in DAYS]
    days[2] = number(DAYS[2], from_1904)
    assert doubtful(contract, days, [""] * 6) == [(3, "decision_on")]


def test_numbers_alone_are_taken_as_they_are(contract):
    numbers = [number(day) for day in DAYS]
    assert doubtful(contract, numbers, [""] * 6) == []
    assert doubtful(contract, numbers, numbers) == []
    later = [date(day.year + 3, day.month, day.day).isoformat() for day in DAYS]
    assert doubtful(contract, numbers, later) == []


@pytest.mark.parametrize(
    ("word", "rule"),
    [
        ("否", "name.no_letter"),
        ("是", "name.no_letter"),
        ("未知", None),
        ("NA", None),
        ("-", None),
        ("示例否决局", ""),
        ("authority_name", "name.no_letter"),
    ],
)
def test_a_word_for_nothing_is_no_authority(contract, word, rule):
    row = penalty(1, subject_name="湖南示例有限公司", uscc=uscc(1), valid_to_on="")
    row = {name: row[name] for name in NAMES}
    passed, refused, issues = standardise_rows(contract, [row, row | {"authority_name": word}])
    found = {rule for rule in issues["rule"].to_pylist() if not rule.startswith("field.")}
    assert passed["authority_name"].to_pylist() == ["示例市监局", word if rule == "" else None]
    assert (refused.num_rows, found) == (0, {rule} if rule else set())


def found(contract, rows):
    """Return row, rule and element of what was told of penalties."""
    base = [penalty(n, subject_name=f"湖南示例{n}有限公司", uscc=uscc(n), valid_to_on="") for n in range(len(rows))]
    sent = [
        {name: row.get(name, "") for name in (*NAMES, "fine")} | change for row, change in zip(base, rows, strict=True)
    ]
    passed, _, issues = standardise_rows(contract, sent)
    told = zip(*(issues[name].to_pylist() for name in ("source_row", "rule", "element")), strict=True)
    return sorted(told), passed


def test_years_to_come_and_days_before_the_republic_are_reported(contract):
    def rules(rows):
        return {rule for _, rule, _ in found(contract, [{"fine": None} | row for row in rows])[0]}

    contract = contract.model_copy(update={"ignored": {"fine": "不用"}})
    assert rules([{"decision_no": f"湘罚〔{year}〕1号"} for year in (2026, 1949, 2026)]) == set()
    assert rules([{"decision_no": "湘罚〔2042〕1号"}]) == {"document_no.year"}
    assert rules([{"decision_no": "湘罚〔1924〕1号"}]) == {"document_no.year"}
    assert rules([{"decision_on": "1949-09-30"}]) == {"dates.ancient"}
