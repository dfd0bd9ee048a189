"""Administrative divisions with their history (GB/T 2260 and its yearly changes). Read from codelists/regions.csv.

Hunan is held with names, periods and successors; of other provinces only the codes and their years, which is what the
check of a resident id needs: it keeps the county code of the day it was issued for ever. Levels: province, prefecture,
county, zone (a development zone, coded by the statistics bureau and not by GB/T 2260).
"""

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HUNAN = "430000"
ELSEWHERE = "0000"
#: Names of Hunan places, whole or shortened, that places elsewhere bear as well (GB/T 2260, 1981 to 2025).
HOMONYMS = frozenset({"永定区", "永定", "资阳", "龙山", "东安", "华容", "平江", "江东区", "江东", "城北区", "城北"})
_ETHNIC = re.compile(r"(?:苗族侗族|土家族苗族|苗族|侗族|瑶族)?自治[县州]$")
_KIND_OF_PLACE = re.compile(r"[省市区县州]$")
_KIND_OF_PROVINCE = re.compile(r"(?:(?:壮族|回族|维吾尔)?自治区|特别行政区|省|市)$")


@dataclass(frozen=True)
class Region:
    """One code in one period. valid_from/valid_to: years, None = since the first edition / still in use.

    successor: code(s) that took over, parted by `;`; empty while the code is in use or where nobody recorded it.
    """

    code: str
    name: str
    level: str
    parent: str
    valid_from: int | None
    valid_to: int | None
    successor: str


@cache
def regions() -> tuple[Region, ...]:
    """Return every code in every period, by code and then by time."""
    path = Path(__file__).parent / "codelists" / "regions.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        return tuple(
            Region(
                row["code"],
                row["name"],
                row["level"],
                row["parent"],
                int(row["valid_from"]) if row["valid_from"] else None,
                int(row["valid_to"]) if row["valid_to"] else None,
                row["successor"],
            )
            for row in csv.DictReader(lines)
        )


@cache
def _latest() -> dict[str, Region]:
    return {region.code: region for region in regions()}


@cache
def known_codes() -> frozenset[str]:
    """Return every six-digit code that was ever valid anywhere in China, zones included."""
    return frozenset(_latest())


@cache
def province_prefixes() -> frozenset[str]:
    """Return the two-digit prefixes of all provinces, 81/82/83 of the residence permits included."""
    return frozenset(region.code[:2] for region in regions() if region.level == "province")


def name_of(code: str) -> str | None:
    """Return the latest name of a code; None for unknown codes and for those kept without a name."""
    region = _latest().get(code)
    return region.name or None if region else None


def is_retired(code: str) -> bool:
    """Return whether a known code of Hunan is no longer in use."""
    region = _latest().get(code)
    return region is not None and bool(region.successor) and region.level != "zone"


def successor(code: str) -> str | None:
    """Return the code in use today for a known code, itself if it still is; None if the code is unknown.

    Where several counties took over, their common prefecture is returned: more is not certain. The same holds for
    zones, which lie across county borders.
    """
    region = _latest().get(code)
    if region is None:
        return None
    heirs = {successor(heir) or heir for heir in region.successor.split(";") if heir}
    if not heirs:
        return code
    if len(heirs) == 1:
        return heirs.pop()
    prefectures = {heir[:4] for heir in heirs}
    return prefectures.pop() + "00" if len(prefectures) == 1 else HUNAN


def prefecture_of(code: str | None) -> str:
    """Return the four digits of today's prefecture in Hunan: 4301 ..., 4300 for the province, 0000 for elsewhere."""
    today = successor(code) if code else None
    if today is None and code and code[:4] + "00" in known_codes():
        today = successor(code[:4] + "00")
    return today[:4] if today and today.startswith("43") else ELSEWHERE


def code_of_name(name: str) -> str | None:
    """Return the code in use today of a Hunan place or a province, however the name is written; None if unknown.

    Accepts full and short forms (长沙市岳麓区, 湖南省长沙市岳麓区, 岳麓区, 岳麓, 湘西州) and retired names (宁乡县).
    """
    names = _names()
    for text in (name, name.removeprefix("湖南省"), name.removeprefix("湖南")):
        if text in names:
            return names[text]
    return None


@cache
def _names() -> dict[str, str]:
    """Spell out every accepted name. Today's names come before short ones, short ones before retired ones."""
    provinces = [r for r in regions() if r.level == "province"]
    hunan = [r for r in regions() if r.code.startswith("43") and r.level != "province" and r.name != "市辖区"]
    today = [r for r in hunan if r.valid_to is None and not r.successor]
    retired = [r for r in hunan if r not in today]
    found: dict[str, str] = {"省本级": HUNAN, "省级": HUNAN, "湖南": HUNAN, "湘西": "433100", "湘西州": "433100"}
    found["湘西自治州"] = "433100"
    for region in provinces:
        found.setdefault(region.name, region.code)
        found.setdefault(_KIND_OF_PROVINCE.sub("", region.name), region.code)
    prefectures = [r for r in today if r.level == "prefecture"]
    for region in prefectures:
        for tail in ("", "本级", "市辖区", "辖区", "直"):
            found.setdefault(region.name + tail, region.code)
        found.setdefault(_KIND_OF_PLACE.sub("", region.name), region.code)
    for level in ([r for r in today if r.level == "county"], [r for r in today if r.level == "zone"], retired):
        for region in level:
            for text in _spellings(region):
                found.setdefault(text, successor(region.code) or region.code)
    return found


def _spellings(region: Region) -> list[str]:
    """Give the forms of one name: with its prefecture in front, without 县/市/区, without the nationality."""
    forms = [region.name]
    short = _ETHNIC.sub("", region.name) if _ETHNIC.search(region.name) else _KIND_OF_PLACE.sub("", region.name)
    if _ETHNIC.search(region.name):
        forms.append(short + "县")
    if len(short) > 1 and region.level != "zone":
        forms.append(short)
    parent = name_of(region.parent) or ""
    above = [parent, _KIND_OF_PLACE.sub("", parent)] if parent and region.level != "prefecture" else []
    if region.parent == "433100":
        above.append("湘西州")
    # A bare retired name such as 东区 or 郊区 was borne by several cities: it is only accepted behind its city.
    bare = forms if len(region.name) > 2 or not region.valid_to else []
    return bare + [prefix + form for prefix in above for form in forms]
