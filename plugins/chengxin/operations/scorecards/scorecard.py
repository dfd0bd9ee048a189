"""绩效考评: one scorecard a month for every department and prefecture. A draft at any time; once issued it is frozen.

    <home>/scorecards/<yyyymm>/scorecard.json     everything, each number with numerator and denominator
    <home>/scorecards/<yyyymm>/scorecard.parquet  the same measures as rows
    <home>/scorecards/<yyyymm>/scorecard.html     the page for people

An issued month is a folder of read-only files that nothing writes again; later deliveries show in later months.
"""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin import __version__
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import contract_digest
from chengxin.errors import ContractError, InvariantBroken
from chengxin.home import Home
from chengxin.model.assessment import MEASURES, assessment
from chengxin.model.regions import HUNAN, name_of, prefecture_of
from chengxin.model.working_days import working_days
from chengxin.operations.scorecards.figures import Figures, Month, figures
from chengxin.operations.scorecards.page import page
from chengxin.records import journal
from chengxin.store import atomic, lock
from chengxin.store.layout import Layout

JSON, PARQUET, PAGE = "scorecard.json", "scorecard.parquet", "scorecard.html"
ROWS = pa.schema(
    [(name, pa.string()) for name in ("month", "scope", "code", "name", "level")]
    + [("score", pa.float64()), ("measure", pa.string()), ("numerator", pa.int64()), ("denominator", pa.int64())]
    + [("points", pa.float64()), ("weight", pa.int32())]
)
SCOPES = ("departments", "prefectures", "datasets")
_READ_ONLY = 0o400


@dataclass(frozen=True)
class Issued:
    """An issued scorecard. fresh: issued by this very call."""

    folder: Path
    body: dict[str, Any]
    fresh: bool


def folder_of(layout: Layout, month: str) -> Path:
    """Return where the scorecard of a month (yyyymm) lies once issued."""
    return layout.home / "scorecards" / month


def issued_months(layout: Layout) -> list[str]:
    """Return the months that have been issued, ascending."""
    return sorted(p.parent.name for p in (layout.home / "scorecards").glob(f"[0-9]*/{JSON}"))


def issued(layout: Layout, month: str) -> dict[str, Any] | None:
    """Return the issued scorecard of a month (yyyymm); None when it has not been issued."""
    path = folder_of(layout, month) / JSON
    return dict(atomic.read_json(path)) if path.exists() else None


def month_before(day: date) -> str:
    """Return the month (yyyymm) before that of a day."""
    return f"{day.replace(day=1) - timedelta(days=1):%Y%m}"


def issue(home: Home, contracts: Mapping[str, Contract], month: str) -> Issued | None:
    """Issue the scorecard of a month that is over; issued already = return it as it is, whatever has come since.

    None when nothing had ever been delivered by then: an empty scorecard would stand for ever.
    """
    layout = home.layout
    folder = folder_of(layout, month)
    with lock.held(layout, "scorecards"):
        known = issued(layout, month)
        if known:
            return Issued(folder, known, fresh=False)
        if _bounds(month)[1] >= home.clock.today():
            raise InvariantBroken(f"{month} 尚未结束，只能查看草稿，不能定稿；请于下月再定稿")
        body = _assess(home, contracts, month, "issued")
        if all(one["last_arrival"] is None for one in body["datasets"]):
            return None
        with atomic.building(folder) as building:
            pq.write_table(rows(body), building / PARQUET, compression="zstd")
            atomic.write_bytes(building / PAGE, page(body).encode())
            body["files"] = {name: atomic.sha256_file(building / name) for name in (PARQUET, PAGE)}
            atomic.write_json(building / JSON, body)
            for name in (JSON, PARQUET, PAGE):
                (building / name).chmod(_READ_ONLY)
    return Issued(folder, body, fresh=True)


def draft(home: Home, contracts: Mapping[str, Contract], month: str) -> dict[str, Any]:
    """Return what the scorecard of a month would be now: up to yesterday while the month runs. Writes nothing."""
    return _assess(home, contracts, month, "draft")


def rows(body: Mapping[str, Any]) -> pa.Table:
    """Return a scorecard as rows (ROWS), one for each measure of each department, prefecture and data set."""
    return pa.Table.from_pylist(
        [
            {
                "month": body["month"],
                "scope": scope,
                **{n: one[n] for n in ("code", "name", "level", "score")},
                **measure,
            }
            for scope in SCOPES
            for one in body[scope]
            for measure in one["measures"]
        ],
        ROWS,
    )


def _bounds(month: str) -> tuple[date, date]:
    """Return the first and last day of a month; raise ContractError when it is none."""
    try:
        first = date(int(month[:4]), int(month[4:]), 1)
    except ValueError:
        first = None
    if first is None or len(month) != 6:
        raise ContractError(f"“{month}”不是月份；请写成六位，如 202610")
    return first, first.replace(day=monthrange(first.year, first.month)[1])


def _assess(home: Home, contracts: Mapping[str, Contract], month: str, state: str) -> dict[str, Any]:
    layout = home.layout
    journal.refuse_outdated(layout)
    first, last = _bounds(month)
    through = min(last, home.clock.today() - timedelta(days=1))
    if home.clock.today() <= first:
        raise ContractError(f"{month} 尚无已过完的一天，没有可考评的数据")
    rules, days = assessment(), working_days()
    found = figures(contracts, layout, Month(first, through, rules, days))
    earlier = [m for m in issued_months(layout) if m < month][-rules.trend_months :]
    before = [b for m in earlier if (b := issued(layout, m))]
    groups: dict[str, dict[tuple[str, str], list[str]]] = {scope: {} for scope in SCOPES}
    for dataset, contract in sorted(contracts.items()):
        place = prefecture_of(contract.region) + "00"
        where = "省本级" if place == HUNAN else name_of(place) or "省外或不明"
        groups["departments"].setdefault((contract.department.code, contract.department.name), []).append(dataset)
        groups["prefectures"].setdefault((place, where), []).append(dataset)
        groups["datasets"].setdefault((dataset, contract.title), []).append(dataset)
    orders = journal.accounts(layout).table()["order"]
    return {
        "format": 1,
        "month": month,
        "state": state,
        "first": first.isoformat(),
        "through": through.isoformat(),
        "made_at": home.clock.now().isoformat(),
        "rules": rules.model_dump(mode="json", by_alias=True),
        "calendar": {
            "unknown_years": days.unknown_years(first, through),
            "sources": {str(y): days.sources[y] for y in sorted({first.year, through.year} & days.known)},
        },
        "made_from": {
            "library": __version__,
            "last_order": max(orders.to_pylist(), default=None),
            "contracts": {c: contract_digest(contracts[c]) for c in sorted(contracts)},
        },
        **{
            scope: [
                _entry(scope, key, {dataset: found[dataset] for dataset in members}, contracts, before)
                for key, members in sorted(groups[scope].items())
            ]
            for scope in SCOPES
        },
    }


def _entry(
    scope: str,
    key: tuple[str, str],
    found: Mapping[str, Figures],
    contracts: Mapping[str, Contract],
    before: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return the scorecard of one department, prefecture or data set. found: the figures of its data sets."""
    rules, total = assessment(), Figures()
    for figure in found.values():
        total += figure
    points = {m: rules.points(*total.parts[m]) for m in MEASURES}
    score = rules.score(points)
    entry = {
        "code": key[0],
        "name": key[1],
        "score": score,
        "level": rules.level(score),
        "trend": _trend(scope, key[0], score, before),
        "measures": [
            {
                "measure": m,
                "numerator": total.parts[m][0],
                "denominator": total.parts[m][1],
                "points": points[m],
                "weight": rules.measures[m].weight,
            }
            for m in MEASURES
        ],
        "counts": total.counts,
    }
    if scope != "datasets":
        return {**entry, "datasets": list(found)}
    contract, own = contracts[key[0]], asdict(found[key[0]])
    return {
        **entry,
        "department": contract.department.code,
        "region": contract.region,
        "cadence": contract.delivery.cadence,
        "late_after": contract.delivery.late_after,
        "last_arrival": own["last_arrival"].isoformat() if own["last_arrival"] else None,
        "late": own["late"],
        "missing": own["missing"],
    }


def _trend(scope: str, code: str, score: float | None, before: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare with the issued months before: the last one, and the line of all that are shown."""
    line = [
        {"month": body["month"], "score": one["score"], "level": one["level"]}
        for body in before
        for one in body[scope]
        if one["code"] == code and one["score"] is not None
    ]
    if not line or score is None:
        return {"direction": None, "change": None, "since": None, "months": line}
    change = round(score - line[-1]["score"], 1)
    steady = assessment().steady
    direction = "持平" if abs(change) <= steady else "上升" if change > 0 else "下降"
    return {"direction": direction, "change": change, "since": line[-1]["month"], "months": line}
