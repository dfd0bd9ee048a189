"""The invented subjects: enterprises, households and persons with identifiers whose check characters hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Literal

import numpy as np

from chengxin.model.identifiers import (
    loan_card_check_digits,
    org_code_check_character,
    reg_no_check_digit,
    resident_check_character,
    uscc_check_character,
)
from chengxin.model.regions import name_of, regions

_SURNAMES = "陈李王张刘周杨黄罗唐谭彭肖曾邓欧阳"
_GIVEN = "沐岚棠珩澍祎昀芷筠栩骁霁翊瑄祺垚淼犇堃喆赟䶮"
_BRANDS = "禾岳湘澧沅浏麓芙星朗启泰恒瑞晟卓锦云川鼎润合众立信诚达远博雅森源"
_TRADES = (
    ("科技", "I6510", "软件开发；信息系统集成"),
    ("商贸", "F5199", "日用百货、五金产品销售"),
    ("食品", "C1411", "糕点、面包制造；食品销售"),
    ("建材", "C3021", "水泥制品制造；建筑材料销售"),
    ("农业", "A0141", "蔬菜种植；农产品初加工"),
    ("物流", "G5430", "普通货物道路运输；仓储服务"),
    ("餐饮管理", "H6210", "餐饮服务；餐饮企业管理"),
    ("环保工程", "N7721", "水污染治理；环保设备销售"),
    ("医药", "F5251", "药品零售；医疗器械销售"),
    ("文化传媒", "R8710", "广告设计、制作、代理"),
)  # fmt: skip
_SHOPS = ("小吃店", "副食店", "理发店", "五金店", "服装店", "汽车修理店", "水果店", "打印店")
# Like today's codes (MA...), but from the ends of the range that are far from being reached.
_ORG_RANGE = {"enterprise": "MAYX", "household": "MAYW"}

SubjectKind = Literal["enterprise", "household", "person"]


@dataclass(frozen=True)
class Sizes:
    """How many subjects there are; the records grow with the enterprises."""

    enterprises: int = 3_000
    households: int = 1_500
    persons: int = 3_000


@dataclass(frozen=True)
class Subject:
    """One invented subject. Fields that its kind does not have are empty.

    late: its registration arrives one round after records about it. changed: renamed between the rounds, before that
    it was called `former_name`. unknown: nobody ever registers it.
    """

    number: int
    kind: SubjectKind
    name: str
    region: str
    uscc: str = ""
    org_code: str = ""
    reg_no: str = ""
    tax_no: str = ""
    loan_card_no: str = ""
    person_doc: str = ""
    born: date = date(1970, 1, 1)
    established: date = date(2010, 1, 1)
    former_name: str = ""
    operator: int = 0
    trade: int = 0
    late: bool = False
    changed: bool = False
    unknown: bool = False


@dataclass(frozen=True)
class World:
    """All subjects. A subject's operator is an index into persons."""

    persons: tuple[Subject, ...]
    enterprises: tuple[Subject, ...]
    households: tuple[Subject, ...]

    def operator(self, subject: Subject) -> Subject:
        """Return the legal representative, or the operator of a household; a person is his own."""
        return subject if subject.kind == "person" else self.persons[subject.operator]


@cache
def counties() -> tuple[str, ...]:
    """Return the codes of the county units of Hunan in use."""
    found = {r.code for r in regions() if r.level == "county" and r.code.startswith("43") and r.valid_to is None}
    return tuple(sorted(code for code in found if name_of(code)))


def place(region: str) -> tuple[str, str]:
    """Return the names of the prefecture and of the county of a code."""
    return name_of(region[:4] + "00") or "湖南省", name_of(region) or ""


def make_world(seed: int, sizes: Sizes) -> World:
    """Invent everybody. The same seed and sizes give the same world."""
    rng = np.random.default_rng([seed, 1])
    persons = tuple(_persons(rng, sizes.persons))
    names: set[str] = set()
    enterprises = tuple(_organisations(rng, sizes.enterprises, len(persons), "enterprise", names))
    households = tuple(_organisations(rng, sizes.households, len(persons), "household", names))
    return World(persons, enterprises, households)


def resident_id(region: str, born: date) -> str:
    """Return a resident id that passes every check and was never issued: its sequence is 000."""
    body = f"{region}{born:%Y%m%d}000"
    return body + resident_check_character(body)


def _persons(rng: np.random.Generator, count: int) -> Iterator[Subject]:
    codes = counties()
    taken: set[tuple[str, int]] = set()
    late, unknown = rng.random(count) < 0.03, rng.random(count) < 0.01
    for number in range(count):
        while True:
            region, age = codes[rng.integers(len(codes))], int(rng.integers(18 * 365, 80 * 365))
            if (region, age) not in taken:
                break
        taken.add((region, age))
        born = date(2026, 10, 1) - timedelta(days=age)
        name, former = _person_name(rng), _person_name(rng) if rng.random() < 0.02 else ""
        yield Subject(
            number, "person", name, region, person_doc=resident_id(region, born), born=born, former_name=former,
            late=bool(late[number]), unknown=bool(unknown[number]),
        )  # fmt: skip


def _person_name(rng: np.random.Generator) -> str:
    given = "".join(_GIVEN[i] for i in rng.integers(len(_GIVEN), size=int(rng.integers(1, 3))))
    if rng.random() < 0.01:
        return f"阿{_GIVEN[rng.integers(len(_GIVEN))]}·{given}"
    surname = _SURNAMES[rng.integers(len(_SURNAMES) - 2)] if rng.random() > 0.02 else "欧阳"
    return surname + given


def _organisations(
    rng: np.random.Generator, count: int, persons: int, kind: SubjectKind, names: set[str]
) -> Iterator[Subject]:
    if count > 10_000:
        raise ValueError("the invented range of organisation codes holds 10,000")
    codes, enterprise = counties(), kind == "enterprise"
    late, unknown = rng.random(count) < 0.04, rng.random(count) < 0.01
    for number in range(count):
        region, trade = codes[rng.integers(len(codes))], int(rng.integers(len(_TRADES)))
        serial = number + (0 if enterprise else 50_000)
        org = f"{_ORG_RANGE[kind]}{number:04d}"
        org += org_code_check_character(org)
        body = f"9{'1' if enterprise else '2'}{region}{org}"
        uscc = body + uscc_check_character(body)
        reg = f"{region}{'2' if enterprise else '6'}9{serial:06d}"
        loan = f"{region[:4]}{900_000_000 + serial:010d}"
        name = _organisation_name(rng, region, trade, enterprise, names)
        renamed = enterprise and rng.random() < 0.05
        yield Subject(
            number, kind, name, region, uscc=uscc, org_code=org, reg_no=reg + reg_no_check_digit(reg),
            tax_no=uscc if rng.random() < 0.8 else region + org, loan_card_no=loan + loan_card_check_digits(loan),
            established=date(1998, 1, 1) + timedelta(days=int(rng.integers(27 * 365))),
            former_name=_organisation_name(rng, region, trade, enterprise, names) if renamed else "",
            operator=int(rng.integers(persons)), trade=trade, late=bool(late[number]), unknown=bool(unknown[number]),
            changed=renamed and bool(rng.random() < 0.4),
        )  # fmt: skip


def _organisation_name(rng: np.random.Generator, region: str, trade: int, enterprise: bool, names: set[str]) -> str:
    prefecture, county = place(region)
    if not enterprise:
        # Households of one name are common, and the resolver must cope.
        return f"{county}{_syllables(rng, 2)}{_SHOPS[rng.integers(len(_SHOPS))]}"
    short = prefecture.removesuffix("市").removesuffix("土家族苗族自治州")
    for extra in range(2, 6):
        name = f"{short}{_syllables(rng, extra)}{_TRADES[trade][0]}有限公司"
        if name not in names:
            names.add(name)
            return name
    raise AssertionError("the syllables do not suffice")


def _syllables(rng: np.random.Generator, count: int) -> str:
    return "".join(_BRANDS[i] for i in rng.integers(len(_BRANDS), size=count))


def trade_of(subject: Subject) -> tuple[str, str, str]:
    """Return trade name, industry code and business scope of an organisation."""
    return _TRADES[subject.trade]
