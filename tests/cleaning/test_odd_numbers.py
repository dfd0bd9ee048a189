"""Day numbers of a spreadsheet in a text are told where days written out beside them make them doubtful."""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from chengxin.cleaning.kernels import CleanOptions, clean
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


@pytest.mark.parametrize("time", ["T16:00:00", " 16:00:00.000", " 16:00"])
def test_days_that_are_written_in_utc_are_told(contract, time):
    days = [day.isoformat() + time for day in DAYS]
    told = [(n, "decision_on") for n in range(1, 7)]
    assert doubtful(contract, days, [""] * 6, "date.utc") == told
    assert doubtful(contract, [*days[:5], f"{DAYS[5]} 09:30:00"], [""] * 6, "date.utc") == []  # an hour is meant
    assert doubtful(contract, [day + "Z" for day in days], [""] * 6, "date.utc") == []  # says so itself
    assert doubtful(contract, days[:4], [""] * 4, "date.utc") == []


DAYS = [date(2026, 1, 1) + timedelta(7 * n) for n in range(6)]


@pytest.mark.parametrize("from_1904", [False, True])
def test_a_number_among_days_is_told(contract, from_1904):
    days = [day.isoformat() for day in DAYS]
    days[2] = number(DAYS[2], from_1904)
    assert doubtful(contract, days, [""] * 6) == [(3, "decision_on")]


def test_numbers_are_told_where_the_days_beside_say_that_they_count_from_1904(contract):
    near = [(day + timedelta(10)).isoformat() for day in DAYS]
    assert len(doubtful(contract, [number(day, True) for day in DAYS], near)) == 6
    assert doubtful(contract, [number(day) for day in DAYS], near) == []


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


@pytest.mark.parametrize(
    ("element", "value", "is_odd"),
    [
        ("authority_name", "11430100006120345X", True),
        ("decision_no", "101", True),
        ("decision_no", "2024-1-14", True),
        ("decision_no", "湘罚101", False),
        ("penalty_content", "5000", False),
    ],
)
def test_few_numbers_among_words_are_told(contract, element, value, is_odd):
    rows = [penalty(n, subject_name=f"湖南示例{n}有限公司", uscc=uscc(n), valid_to_on="") for n in range(6)]
    rows[3][element] = value
    _, _, issues = standardise_rows(contract, [{name: row[name] for name in NAMES} for row in rows])
    assert ("value.number" in issues["rule"].to_pylist()) == is_odd
    _, _, issues = standardise_rows(contract, [{name: row[name] for name in NAMES} | {element: value} for row in rows])
    assert "value.number" not in issues["rule"].to_pylist()  # it is how the source writes it


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("张总", "name.address"),
        ("李经理", "name.address"),
        ("张理", None),
        ("王总平", None),
        ("欧阳女士", "name.address"),
    ],
)
def test_a_form_of_address_is_no_name(name, rule):
    told = dict(clean(pa.array(["王某", name]), "name", options=CleanOptions()).issues)
    assert [r for r, rows in told.items() if r.startswith("name.") and rows[1].as_py()] == ([rule] if rule else [])


def found(contract, rows):
    """Return row, rule and element of what was told of penalties."""
    base = [penalty(n, subject_name=f"湖南示例{n}有限公司", uscc=uscc(n), valid_to_on="") for n in range(len(rows))]
    sent = [
        {name: row.get(name, "") for name in (*NAMES, "fine")} | change for row, change in zip(base, rows, strict=True)
    ]
    passed, _, issues = standardise_rows(contract, sent)
    told = zip(*(issues[name].to_pylist() for name in ("source_row", "rule", "element")), strict=True)
    return sorted(told), passed


@pytest.mark.parametrize(
    ("fine", "content", "told"),
    [
        ("4000", "罚款4000元", True),  # in 万元
        ("4000", "处以罚款人民币4,000.00元", True),
        ("0.00004", "罚款4000元", True),  # 0.4 yuan
        ("0.00004", "处罚款0.4万元", True),
        ("0.4", "罚款4000元", False),
        ("4000", "罚款4000万元", False),
        ("4000", "罚款", False),
        ("4000", "罚款3000元", False),
    ],
)
def test_a_fine_of_another_unit_than_its_text_is_dropped(tmp_path, fine, content, told):
    office = Office(tmp_path)
    columns = [{"source": n, "element": n, **({"unit": "万元"} if n == "fine" else {})} for n in (*NAMES, "fine")]
    office.contract("test_pen", "penalty", (), columns=columns)
    issues, passed = found(office.contracts["test_pen"], [{"fine": fine, "penalty_content": content}])
    assert issues == ([(1, "money.unit_differs", "fine")] if told else [])
    assert (passed["fine_yuan"][0].as_py() is None) == told


def test_columns_that_were_filled_down_are_told(contract):
    def days(step, count):
        return [{"decision_on": step(n).isoformat()} for n in range(count)]

    def rules(rows):
        return {rule for _, rule, _ in found(contract, [{"fine": None} | row for row in rows])[0]}

    contract = contract.model_copy(update={"ignored": {"fine": "不用"}})
    assert rules(days(lambda n: date(2025, 1, 1) + timedelta(n), 20)) == {"dates.filled_down"}
    assert rules(days(lambda n: date(2010 + n, 3, 1), 8)) == {"dates.filled_down"}
    assert rules(days(lambda n: date(2025, 1, 1) + timedelta(n), 19)) == set()
    assert rules(days(lambda n: date(2025, 1, 1), 20)) == set()
    assert rules([{"decision_no": f"湘罚〔{year}〕1号"} for year in (2026, 1949, 2026)]) == set()
    assert (
        rules([{"decision_no": "湘罚〔2042〕1号"}])
        == rules([{"decision_no": "湘罚〔1924〕1号"}])
        == {"document_no.year"}
    )
    assert rules([{"decision_on": "1949-09-30"}]) == {"dates.ancient"}
