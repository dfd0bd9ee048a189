"""What a record says: for every data element a column of true values, before a department spells them its own way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np

from chengxin.clock import SHANGHAI
from chengxin.contracts.models import Contract
from chengxin.demo.phrases import TEXTS
from chengxin.demo.world import Subject, World, place, trade_of
from chengxin.model.codelists import codelists
from chengxin.model.elements import Element
from chengxin.model.identifiers import org_code_check_character, uscc_check_character

LONG = date(2099, 12, 31)


@dataclass(frozen=True)
class Record:
    """The rows of one data set while they are made: who they are about, when, and how much is at stake (yuan).

    last_event: nothing is told of later days.
    """

    contract: Contract
    world: World
    rng: np.random.Generator
    subjects: Sequence[Subject]
    related: Sequence[Subject]
    days: Sequence[date]
    amounts: Sequence[Decimal]
    last_event: date

    def __len__(self) -> int:
        return len(self.subjects)

    def pick(self, pool: Sequence[str], weights: Sequence[float] | None = None) -> list[str]:
        """Draw one value a row."""
        drawn = self.rng.choice(len(pool), size=len(self), p=weights)
        return [pool[i] for i in drawn]

    def after(self, days: int, share: float = 1.0) -> list[date | None]:
        """Return the day of each event plus `days`, for a share of the rows."""
        kept = self.rng.random(len(self)) < share
        return [day + timedelta(days=days) if keep else None for day, keep in zip(self.days, kept, strict=True)]

    def past(self, days: int, share: float) -> list[date | None]:
        """Like `after`, where the day has come already."""
        return [day if day and day <= self.last_event else None for day in self.after(days, share)]

    def some(self, pool: Sequence[str], share: float) -> list[str | None]:
        """Draw a value for a share of the rows."""
        kept = self.rng.random(len(self)) < share
        return [text if keep else None for text, keep in zip(self.pick(pool), kept, strict=True)]

    def part(self, low: float, high: float, share: float = 1.0) -> list[Decimal | None]:
        """Return a part of each amount, to the fen, for a share of the rows."""
        drawn = self.rng.uniform(low, high, size=len(self))
        kept = self.rng.random(len(self)) < share
        return [
            (amount * Decimal(int(d * 10_000)) / 10_000).quantize(Decimal("0.01")) if keep else None
            for amount, d, keep in zip(self.amounts, drawn, kept, strict=True)
        ]

    def numbers(self, text: str) -> list[str]:
        """Number the rows: `text` with {n} for the number, {year} of the event, {city} of the subject."""
        return [
            text.format(n=i + 1, year=day.year, city=place(s.region)[0].removesuffix("市"), code=s.region)
            for i, (day, s) in enumerate(zip(self.days, self.subjects, strict=True))
        ]


Maker = Callable[[Record], Sequence[Any]]


def values(record: Record, element: Element) -> Sequence[Any]:
    """Return the true values of an element, one a row; elements without a maker get something fitting their type."""
    maker = MAKERS.get(element.id)
    return maker(record) if maker else _of_type(record, element)


def _of_type(record: Record, element: Element) -> Sequence[Any]:
    if element.type == "code" and element.codelist:
        codes = list(codelists()[element.codelist])
        return record.pick(codes)
    if element.type == "money":
        return list(record.amounts)
    by_type: dict[str, Maker] = {
        "date": lambda r: r.after(0),
        "instant": lambda r: [datetime.combine(d, datetime.min.time(), SHANGHAI) + timedelta(hours=9) for d in r.days],
        "integer": lambda r: [int(v) for v in r.rng.integers(1, 12, size=len(r))],
        "year": lambda r: [day.year for day in r.days],
        "flag": lambda r: [bool(v) for v in r.rng.random(len(r)) < 0.02],
        "name": lambda r: [r.world.persons[i].name for i in r.rng.integers(len(r.world.persons), size=len(r))],
        "document_no": lambda r: r.numbers(f"{element.id[:2].upper()}{{year}}{{n:06d}}"),
        "phone": lambda r: [f"0731{n}" for n in r.rng.integers(80_000_000, 89_999_999, size=len(r))],
    }
    maker = by_type.get(element.type)
    if maker:
        return maker(record)
    return record.pick(TEXTS.get(element.id, ("",)))


def _of_subject(get: Callable[[Subject], Any], *kinds: str) -> Maker:
    return lambda r: [get(s) if not kinds or s.kind in kinds else None for s in r.subjects]


def _of_operator(get: Callable[[Subject], Any]) -> Maker:
    return lambda r: [None if s.kind == "person" else get(r.world.operator(s)) for s in r.subjects]


def _of_related(get: Callable[[Subject], Any], *kinds: str) -> Maker:
    return lambda r: [get(s) if not kinds or s.kind in kinds else None for s in r.related]


def _authority(record: Record) -> list[str]:
    """Name the authority of the domain in the subject's prefecture."""
    pattern = {
        "commerce": "{}市场监督管理局", "tax": "国家税务总局{}税务局", "police": "{}公安局", "court": "{}中级人民法院",
        "banking": "中国人民银行湖南省分行",
    }.get(record.contract.domain, "{}人民政府")  # fmt: skip
    return [pattern.format(place(s.region)[0]) for s in record.subjects]


def _authority_code(record: Record) -> list[str]:
    """Compute a credit code of the kind that authorities have, one for each prefecture."""
    return [_code_of_authority(s.region[:4]) for s in record.subjects]


@cache
def _code_of_authority(prefecture: str) -> str:
    org = f"MAYW9{prefecture[2:]}9"
    body = f"11{prefecture}00{org}{org_code_check_character(org)}"
    return body + uscc_check_character(body)


def _removals(record: Record) -> list[date | None]:
    """Return the days on which some older listings ended; the same on every call."""
    ended = [day + timedelta(days=200) if i % 4 == 0 else None for i, day in enumerate(record.days)]
    return [day if day and day <= record.last_event else None for day in ended]


def _closures(record: Record) -> list[date | None]:
    ended = [day + timedelta(days=150) if i % 9 == 0 else None for i, day in enumerate(record.days)]
    return [day if day and day <= record.last_event else None for day in ended]


def _where(marks: Sequence[Any], texts: Sequence[str]) -> list[str | None]:
    return [text if mark else None for mark, text in zip(marks, texts, strict=True)]


def _counterpart(subject: Subject) -> str:
    return {"enterprise": "1", "person": "2", "household": "3"}[subject.kind]


def _addresses(record: Record) -> list[str]:
    numbers = record.rng.integers(1, 400, size=len(record))
    return ["".join(place(s.region)) + f"示例路{n}号" for s, n in zip(record.subjects, numbers, strict=True)]


def _changes(record: Record) -> list[tuple[str, str, str, str]]:
    """Return code, item, before and after of each change; renamed subjects say their former name."""
    rows = []
    for i, subject in enumerate(record.subjects):
        if subject.former_name:
            rows.append(("01", "名称变更", subject.former_name, subject.name))
        else:
            before, after = f"{50 + i % 7 * 10}万元", f"{200 + i % 9 * 100}万元"
            rows.append(("04", "注册资本变更", before, after))
    return rows


def _dead(record: Record) -> list[bool]:
    return [s.number % 67 == 5 for s in record.subjects]


MAKERS: dict[str, Maker] = {
    "source_record_id": lambda r: [str(100_000 + i) for i in range(len(r))],
    "subject_name": _of_subject(lambda s: s.name),
    "person_name": _of_subject(lambda s: s.name),
    "uscc": _of_subject(lambda s: s.uscc, "enterprise", "household"),
    "org_code": _of_subject(lambda s: s.org_code, "enterprise"),
    "reg_no": _of_subject(lambda s: s.reg_no, "enterprise", "household"),
    "tax_no": _of_subject(lambda s: s.tax_no, "enterprise", "household"),
    "loan_card_no": _of_subject(lambda s: s.loan_card_no, "enterprise"),
    "person_doc_no": _of_subject(lambda s: s.person_doc, "person"),
    "person_doc_type_code": _of_subject(lambda _: "111", "person"),
    "legal_rep_name": _of_operator(lambda p: p.name),
    "legal_rep_doc_no": _of_operator(lambda p: p.person_doc),
    "legal_rep_doc_type_code": _of_operator(lambda _: "111"),
    "related_name": _of_related(lambda s: s.name),
    "related_uscc": _of_related(lambda s: s.uscc, "enterprise", "household"),
    "related_person_doc_no": _of_related(lambda s: s.person_doc, "person"),
    "counterpart_type_code": _of_subject(_counterpart),
    "region_code": _of_subject(lambda s: s.region),
    "province_name": _of_subject(lambda _: "湖南"),
    "prefecture_name": _of_subject(lambda s: place(s.region)[0]),
    "address": _addresses,
    "former_name": _of_subject(lambda s: s.former_name or None),
    "born_on": _of_subject(lambda s: s.born),
    "sex_code": _of_subject(lambda _: "2", "person"),
    "age": lambda r: [r.last_event.year - s.born.year if s.kind == "person" else None for s in r.subjects],
    "person_status_code": lambda r: ["1" if dead else "0" for dead in _dead(r)],
    "died_on": lambda r: [d if dead else None for d, dead in zip(r.days, _dead(r), strict=True)],
    "doc_valid_to_on": _of_subject(lambda s: LONG if s.number % 3 else date(2031, 5, 1)),
    "entity_type_code": _of_subject(lambda s: "1130" if s.kind == "enterprise" else "9500"),
    "entity_type_name": _of_subject(lambda s: "有限责任公司" if s.kind == "enterprise" else "个体工商户"),
    "industry_code": _of_subject(lambda s: trade_of(s)[1]),
    "business_scope": _of_subject(lambda s: trade_of(s)[2]),
    "registered_capital": lambda r: [
        Decimal(int(v)) * 10_000 for v in r.rng.choice([10, 50, 100, 200, 500, 1000, 5118], size=len(r))
    ],
    "currency_code": lambda r: ["CNY"] * len(r),
    "established_on": _of_subject(lambda s: s.established),
    "operating_from_on": _of_subject(lambda s: s.established),
    "operating_to_on": lambda r: [LONG] * len(r),
    "approved_on": _of_subject(lambda s: max(s.established, date(2024, 1, 8))),
    "reg_status_code": lambda r: r.pick(["1", "2", "3", "4", "6"], [0.9, 0.04, 0.04, 0.01, 0.01]),
    "change_item_code": lambda r: [c[0] for c in _changes(r)],
    "change_item_name": lambda r: [c[1] for c in _changes(r)],
    "value_before": lambda r: [c[2] for c in _changes(r)],
    "value_after": lambda r: [c[3] for c in _changes(r)],
    "authority_name": _authority,
    "removed_on": _removals,
    "removal_reason": lambda r: _where(_removals(r), r.pick(TEXTS["removal_reason"])),
    "removed_by_name": lambda r: _where(_removals(r), _authority(r)),
    "authority_uscc": _authority_code,
    "data_source_name": _authority,
    "data_source_uscc": _authority_code,
    "institution_cert_no": lambda r: r.some(("143000000001",), 0.01),
    "social_org_no": lambda r: r.some(("湘社证字第0001号",), 0.01),
    "decision_no": lambda r: r.numbers("{city}示罚决〔{year}〕{n}号"),
    "case_no": lambda r: r.numbers("（{year}）湘{code}执{n}号"),
    "enforcement_basis_no": lambda r: r.numbers("（{year}）湘{code}民初{n}号"),
    "basis_authority_name": _authority,
    "certificate_no": lambda r: r.numbers("示证{year}{n:06d}"),
    "account_permit_no": lambda r: r.numbers("J5510{n:09d}"),
    "request_no": lambda r: r.numbers("Q{year}{n:08d}"),
    "pledge_no": lambda r: r.numbers("A{year}{n:05d}"),
    "contract_no": lambda r: r.numbers("HT{year}{n:05d}"),
    "loan_no": lambda r: r.numbers("JJ{n:06d}"),
    "cheque_no": lambda r: r.numbers("30104310{n:08d}"),
    "pledgor_name": _of_operator(lambda p: p.name),
    "pledgor_id_no": _of_operator(lambda p: p.person_doc),
    "pledgee_name": lambda r: r.pick(("示例银行长沙分行", "示例担保有限公司")),
    "pledgee_id_no": lambda r: r.some([s.uscc for s in r.world.enterprises[:3]], 0.8),
    "institution_code": lambda r: ["B0001H24301000"] * len(r),
    "institution_name": lambda r: r.pick(("示例银行长沙分行", "示例银行岳阳分行", "示例村镇银行")),
    "intermediary_name": lambda r: r.some(("示例税务师事务所",), 0.2),
    "finance_rep_doc_no": lambda r: [
        r.world.persons[i].person_doc for i in r.rng.integers(len(r.world.persons), size=len(r))
    ],
    "performance_code": lambda r: r.pick(["1", "2", "3"], [0.8, 0.15, 0.05]),
    "performed_part": lambda r: r.some(("已支付部分货款",), 0.15),
    "unperformed_part": lambda r: r.some(("其余未履行",), 0.5),
    "tax_grade_code": lambda r: r.pick(["A", "B", "M", "C", "D"], [0.25, 0.45, 0.2, 0.06, 0.04]),
    "rating_year": lambda r: [day.year - 1 for day in r.days],
    "fine": lambda r: r.part(0.05, 0.05) if r.contract.domain == "banking" else r.part(0.01, 0.2, 0.85),
    "confiscated": lambda r: r.part(0.001, 0.05, 0.2),
    "loan_balance": lambda r: r.part(0.4, 0.4),
    "overdue_amount": lambda r: r.part(0.01, 0.2),
    "arrears_new": lambda r: r.part(0.1, 0.9),
    "revoked_certificate": lambda r: r.some(("吊销示例许可证",), 0.03),
    "remark": lambda r: r.some(("示例备注",), 0.05),
    "penalty_class_2_name": lambda r: r.some(("没收违法所得",), 0.1),
    "decision_status_code": lambda r: r.pick(["1", "2"], [0.97, 0.03]),
    "check_result_code": lambda r: r.pick(["1", "2", "3"], [0.93, 0.05, 0.02]),
    "account_status_code": lambda r: ["3" if closed else "1" for closed in _closures(r)],
    "closed_on": _closures,
    "repayment_status_code": lambda r: ["2"] * len(r),
    "five_class_code": lambda r: r.pick(["2", "3", "4", "5"], [0.6, 0.2, 0.15, 0.05]),
    "valid_to_on": lambda r: r.after(3 * 365, 0.8),
    "publicity_until_on": lambda r: r.after(365),
    "published_on": lambda r: r.after(7),
    "filed_on": lambda r: r.after(-60),
    "refused_on": lambda r: r.after(-30),
    "released_on": lambda r: r.past(90, 0.3),
    "granted_on": lambda r: r.after(-400),
    "due_on": lambda r: r.after(-35),
    "overdue_since_on": lambda r: r.after(-34),
    "period_from_on": lambda r: r.after(-120),
    "period_to_on": lambda r: r.after(-30),
}
