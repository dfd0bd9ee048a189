"""What a record says: for every data element a column of true values, before a department spells them its own way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from chengxin.clock import SHANGHAI
from chengxin.contracts.models import Contract
from chengxin.demo.world import Subject, World, place, trade_of
from chengxin.model.codelists import codelists
from chengxin.model.elements import Element

LAST_DAY = date(2026, 10, 31)
LONG = date(2099, 12, 31)


@dataclass(frozen=True)
class Record:
    """The rows of one data set while they are made: who they are about and when."""

    contract: Contract
    world: World
    rng: np.random.Generator
    subjects: Sequence[Subject]
    related: Sequence[Subject]
    days: Sequence[date]

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
        return _amounts(record, 8.5, 1.2)
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


def _amounts(record: Record, mean: float, spread: float, share: float = 1.0) -> list[Decimal | None]:
    drawn = record.rng.lognormal(mean, spread, size=len(record))
    kept = record.rng.random(len(record)) < share
    return [Decimal(int(v * 100)) / 100 if keep else None for v, keep in zip(drawn, kept, strict=True)]


def _authority(record: Record) -> list[str]:
    """Name the authority of the domain in the subject's prefecture."""
    pattern = {
        "commerce": "{}市场监督管理局", "tax": "国家税务总局{}税务局", "police": "{}公安局", "court": "{}中级人民法院",
        "banking": "中国人民银行湖南省分行",
    }.get(record.contract.domain, "{}人民政府")  # fmt: skip
    return [pattern.format(place(s.region)[0]) for s in record.subjects]


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


TEXTS: dict[str, tuple[str, ...]] = {
    "listed_reason": ("未依照规定公示年度报告", "通过登记的住所无法联系", "公示信息隐瞒真实情况、弄虚作假"),
    "removal_reason": ("已补报年度报告并公示", "住所已变更并可取得联系"),
    "violation_type_name": ("虚假宣传", "无照经营", "销售不合格商品", "未明码标价"),
    "violation_facts": ("示例事实：经检查发现与规定不符", "示例事实：经举报核实"),
    "legal_basis": ("广告法第五十五条", "产品质量法第四十九条", "价格法第四十二条"),
    "penalty_class_name": ("罚款", "警告", "罚款;没收违法所得", "警告、罚款"),
    "penalty_content": ("责令改正，处以罚款", "警告", "没收违法所得，处以罚款"),
    "decision_title": ("准予行政许可决定书",),
    "item_name": ("食品经营许可", "食品生产许可", "烟草专卖零售许可"),
    "certificate_name": ("食品经营许可证", "烟草专卖零售许可证", "道路运输经营许可证"),
    "licence_content": ("食品销售", "烟草制品零售", "普通货运"),
    "tax_type_name": ("增值税", "企业所得税", "城市维护建设税", "印花税"),
    "case_type_name": ("虚开增值税专用发票", "偷税", "骗取出口退税"),
    "handling": ("依法追缴税款并处罚款", "依法移送司法机关"),
    "report_period_name": ("2026年第1期", "2026年第2期"),
    "loan_type_name": ("流动资金贷款", "个人经营贷款", "固定资产贷款"),
    "refusal_reason": ("存款不足", "签章与预留印鉴不符"),
    "obligation": ("支付货款", "偿还借款本息", "支付租金"),
    "conduct": ("有履行能力而拒不履行生效法律文书确定义务", "违反财产报告制度"),
    "requested_by_name": ("湖南省发展和改革委员会", "湖南省市场监督管理局"),
    "entity_type_name": ("有限责任公司", "个体工商户", "农民专业合作社"),
}

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
    "age": _of_subject(lambda s: 2026 - s.born.year, "person"),
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
    "removed_by_name": lambda r: [None] * len(r),
    "removal_reason": lambda r: [None] * len(r),
    "removed_on": lambda r: [None] * len(r),
    "authority_uscc": lambda r: [None] * len(r),
    "data_source_name": _authority,
    "data_source_uscc": lambda r: [None] * len(r),
    "institution_cert_no": lambda r: [None] * len(r),
    "social_org_no": lambda r: [None] * len(r),
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
    "pledgee_id_no": lambda r: [None] * len(r),
    "institution_code": lambda r: ["B0001H24301000"] * len(r),
    "institution_name": lambda r: r.pick(("示例银行长沙分行", "示例银行岳阳分行", "示例村镇银行")),
    "intermediary_name": lambda r: [None] * len(r),
    "performance_code": lambda r: r.pick(["1", "2", "3"], [0.8, 0.15, 0.05]),
    "performed_part": lambda r: [None] * len(r),
    "unperformed_part": lambda r: [None] * len(r),
    "tax_grade_code": lambda r: r.pick(["A", "B", "M", "C", "D"], [0.25, 0.45, 0.2, 0.06, 0.04]),
    "rating_year": lambda r: [2025] * len(r),
    "fine": lambda r: _amounts(r, 8.5, 1.0, 0.85),
    "confiscated": lambda r: _amounts(r, 7.5, 1.2, 0.2),
    "revoked_certificate": lambda r: [None] * len(r),
    "remark": lambda r: [None] * len(r),
    "decision_status_code": lambda r: r.pick(["1", "2"], [0.97, 0.03]),
    "check_result_code": lambda r: r.pick(["1", "2", "3"], [0.93, 0.05, 0.02]),
    "account_status_code": lambda r: ["1"] * len(r),
    "repayment_status_code": lambda r: ["2"] * len(r),
    "five_class_code": lambda r: r.pick(["2", "3", "4", "5"], [0.6, 0.2, 0.15, 0.05]),
    "valid_to_on": lambda r: r.after(3 * 365, 0.8),
    "publicity_until_on": lambda r: r.after(365),
    "published_on": lambda r: r.after(7),
    "filed_on": lambda r: r.after(-60),
    "refused_on": lambda r: r.after(-30),
    "closed_on": lambda r: [None] * len(r),
    "released_on": lambda r: r.after(90, 0.15),
    "granted_on": lambda r: r.after(-400),
    "due_on": lambda r: r.after(-35),
    "overdue_since_on": lambda r: r.after(-34),
    "period_from_on": lambda r: r.after(-120),
    "period_to_on": lambda r: r.after(-30),
}
