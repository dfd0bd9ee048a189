"""Administrative divisions: today's list, history, and names as departments write them."""

import csv
import os
from pathlib import Path

import pytest

from chengxin.model import regions

SHARED = Path(os.environ.get("CHENGXIN_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")


def counties_today() -> set[str]:
    return {
        r.code
        for r in regions.regions()
        if r.code.startswith("43") and r.level == "county" and r.valid_to is None and r.name != "市辖区"
    }


def test_hunan_has_122_counties_in_14_prefectures() -> None:
    counties = counties_today()
    assert len(counties) == 122
    assert len({code[:4] for code in counties}) == 14


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("430122", "430112"),
        ("430124", "430182"),
        ("430221", "430212"),
        ("430521", "430582"),
        ("431121", "431181"),
        ("432121", "430321"),
        ("432123", "430281"),  # twice moved, and once a city under the province itself
        ("430102", "430102"),
    ],
)
def test_retired_codes_lead_to_the_code_of_today(old: str, new: str) -> None:
    assert regions.successor(old) == new


def test_a_code_split_among_counties_leads_to_their_prefecture() -> None:
    assert regions.successor("430403") == "430400"
    assert regions.successor("432301") == "430900"


def test_every_successor_is_in_use() -> None:
    for region in regions.regions():
        if region.code.startswith("43"):
            today = regions.successor(region.code)
            assert today is not None and not regions.is_retired(today), region.code


def test_unknown_codes_have_no_successor() -> None:
    assert regions.successor("430199") is None
    assert regions.name_of("430199") is None


def test_prefecture_of_retired_foreign_and_absent_codes() -> None:
    assert regions.prefecture_of("432121") == "4303"
    assert regions.prefecture_of("430000") == "4300"
    assert regions.prefecture_of("430199") == "4301"
    assert regions.prefecture_of("110105") == "0000"
    assert regions.prefecture_of(None) == "0000"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("长沙市", "430100"),
        ("长沙", "430100"),
        ("长沙县", "430121"),
        ("岳麓区", "430104"),
        ("湖南省长沙市岳麓区", "430104"),
        ("宁乡县", "430182"),
        ("湘西州", "433100"),
        ("湘西土家族苗族自治州", "433100"),
        ("江华", "431129"),
        ("靖州苗族侗族自治县", "431229"),
        ("零陵地区", "431100"),
        ("省本级", "430000"),
        ("湖南省", "430000"),
        ("广西", "450000"),
        ("株洲市东区", "430202"),
    ],
)
def test_reads_names_as_departments_write_them(name: str, code: str) -> None:
    assert regions.code_of_name(name) == code


def test_names_borne_by_several_cities_are_not_guessed() -> None:
    assert regions.code_of_name("东区") is None
    assert regions.code_of_name("郊区") is None
    assert regions.code_of_name("不存在县") is None


def test_permits_count_as_known_codes() -> None:
    assert {"810000", "820000", "830000"} <= regions.known_codes()
    assert "83" in regions.province_prefixes()


@pytest.mark.realdata
@pytest.mark.skipif(not SHARED.is_dir(), reason="shared data not here")
def test_no_code_ever_in_use_is_missing() -> None:
    path = SHARED / "data/regions/areacodes-1981-2025.csv"
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["代码"] for row in rows} - regions.known_codes() == set()
    today = {r["代码"] for r in rows if r["代码"].startswith("43") and r["级别"] == "县级" and r["状态"] == "在用"}
    assert today <= counties_today()
