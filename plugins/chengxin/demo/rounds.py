"""What each round of deliveries holds: news, corrections, repetitions, withdrawals, and one useless delivery."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from chengxin.contracts.models import Column, Contract
from chengxin.demo.spelling import Text, spell, style_of
from chengxin.demo.timetable import Timetable
from chengxin.demo.values import Record, values
from chengxin.demo.world import Subject, World
from chengxin.model.elements import elements

# In round 2 this kind arrives with every date empty: a delivery that must be held.
HELD_KIND = "settlement_account"


@dataclass(frozen=True)
class Mix:
    """Who a kind is about: rows for each enterprise of the world, and the shares of households and persons in them."""

    rows: float
    households: float = 0.0
    persons: float = 0.0


_MIXES = {
    "registration_change": Mix(0.12),
    "abnormal_operation": Mix(0.12, households=0.3),
    "serious_violation": Mix(0.03),
    "equity_pledge": Mix(0.06),
    "licence": Mix(0.35, households=0.3, persons=0.05),
    "penalty": Mix(0.3, households=0.3, persons=0.1),
    "tax_rating": Mix(0.8),
    "tax_arrears": Mix(0.08, households=0.2),
    "tax_non_normal": Mix(0.08, households=0.3),
    "tax_major_violation": Mix(0.02),
    "identity_check": Mix(0.15, persons=1.0),
    "special_industry_licence": Mix(0.08, households=0.3),
    "security_penalty": Mix(0.05, persons=1.0),
    "overdue_loan": Mix(0.15, persons=0.5),
    "guarantee": Mix(0.08, persons=0.4),
    "settlement_account": Mix(0.3),
    "bounced_cheque": Mix(0.04),
    "dishonest_person": Mix(0.1, households=0.1, persons=0.5),
}
# What a correction changes where no amount is stated: the first of these that a source has. {n}: years from now.
_CORRECTIONS = {
    "remark": "更正",
    "doc_valid_to_on": "{10}0501",
    "publicity_until_on": "{1}-12-31",
    "valid_to_on": "{2}-12-31",
    "listed_reason": "更正后的示例原因",
    "violation_facts": "更正后的示例事实",
    "address": "更正后的示例地址",
}
# The official filler of 双公示 for 'has no credit code'.
FILLER = "00000000000000000X"
# Decisions from which period; older ones are published no more.
_SPAN_DAYS = 500
# Days before the last event: when the tax office listed arrears, and when it listed them anew.
_LISTED, _LISTED_ANEW = 115, 16
# A full list grows from delivery to delivery by one in so many of its rows.
_GROWTH = 20


@dataclass(frozen=True)
class Delivered:
    """The rows of one delivery: texts by header as sent; all columns equally long.

    updated: when the source last touched each row (for interfaces and tables that are asked for changes).
    """

    headers: tuple[str, ...]
    columns: tuple[tuple[Text, ...], ...]
    updated: tuple[datetime, ...]

    def __len__(self) -> int:
        return len(self.updated)

    def rows(self) -> list[tuple[Text, ...]]:
        """Return the rows."""
        return list(zip(*self.columns, strict=True))

    def part(self, first: int, last: int) -> "Delivered":
        """Return the rows from `first` on and before `last`."""
        return Delivered(self.headers, tuple(c[first:last] for c in self.columns), self.updated[first:last])


def deliveries(
    contract: Contract, world: World, seed: int, number: int, timetable: Timetable
) -> list[tuple[date, Delivered]]:
    """Return what a source delivers in round 1 or 2, day by day: rows by turns, or a full list that grows."""
    if number == 2:
        return [(timetable.today, deliver(contract, world, seed, 2, timetable))] if timetable.again(contract) else []
    whole, days = deliver(contract, world, seed, 1, timetable), timetable.first_days(contract)
    count, parts = len(whole), len(days)
    if contract.delivery.mode == "full":
        step = max(count // _GROWTH, 1)
        return [(day, whole.part(0, count - step * (parts - 1 - n))) for n, day in enumerate(days)]
    return [(day, whole.part(count * n // parts, count * (n + 1) // parts)) for n, day in enumerate(days)]


def deliver(contract: Contract, world: World, seed: int, number: int, timetable: Timetable) -> Delivered:
    """Return all that a source delivers in round 1 or 2 (for full deliveries: everything that it then holds)."""
    rng = np.random.default_rng([seed, zlib.crc32(contract.id.encode())])
    record = _record(contract, world, rng, timetable.last_event)
    table = {column.source: _column(record, column) for column in contract.columns}
    phase = _phases(record, rng)
    if number == 1:
        chosen = np.flatnonzero(phase.known & ~phase.news)
        chosen = np.sort(np.concatenate([chosen, chosen[phase.repeated[chosen]]]))
        changed = np.zeros(len(record), bool)
    else:
        full = contract.delivery.mode == "full"
        wanted = phase.known & (~phase.withdrawn if full else phase.news | phase.corrected | phase.repeated)
        chosen, changed = np.flatnonzero(wanted), phase.corrected | phase.news
        table = _corrected(contract, record, table, phase.corrected)
    touched = _touched(contract, len(record), timetable)
    updated = [touched[2 if changed[i] else 1] + timedelta(seconds=int(i) // 4) for i in chosen]
    table |= _stamps(contract, table, chosen, updated)
    if number == 2 and contract.kind == HELD_KIND:
        table = _without_dates(contract, table)
    table |= {header: [style_of(contract, contract.columns[0]).null] * len(record) for header in contract.ignored}
    texts = tuple(tuple(column[i] for i in chosen) for column in table.values())
    return Delivered(tuple(table), texts, tuple(updated))


@dataclass(frozen=True)
class _Phases:
    """For every row of a data set, masks: ever sent, new in round 2, withdrawn or corrected then, sent twice."""

    known: np.ndarray
    news: np.ndarray
    withdrawn: np.ndarray
    corrected: np.ndarray
    repeated: np.ndarray


def _record(contract: Contract, world: World, rng: np.random.Generator, last: date) -> Record:
    subjects = _subjects(contract, world, rng)
    others = [world.enterprises[i] for i in rng.integers(len(world.enterprises), size=len(subjects))]
    related = [world.operator(o) if i % 4 == 3 else o for i, o in enumerate(others)]
    ages = rng.integers(1, _SPAN_DAYS, size=len(subjects))
    days = [last - timedelta(days=int(age)) for age in ages]
    if contract.kind == "tax_rating":
        rated = date(last.year, 4, 8)
        days = [rated if rated <= last else rated.replace(year=last.year - 1)] * len(subjects)
    if contract.kind == "tax_arrears":
        days = [last - timedelta(days=_LISTED)] * len(subjects)
    amounts = [Decimal(int(v)) for v in rng.lognormal(12, 1.2, size=len(subjects)) + 1_000]
    return Record(contract, world, rng, subjects, related, days, amounts, last)


def _subjects(contract: Contract, world: World, rng: np.random.Generator) -> list[Subject]:
    if contract.kind == "registration":
        return [*world.enterprises, *world.households]
    if contract.kind == "person_base":
        return list(world.persons)
    mix = _MIXES.get(contract.kind, Mix(0.05))
    count = max(8, int(mix.rows * len(world.enterprises)))
    pools: list[Sequence[Subject]] = [world.enterprises, world.households, world.persons]
    if contract.region[2:] != "0000":
        # A prefecture decides about its own; where a small world has none of them, about anybody.
        pools = [[s for s in pool if s.region[:4] == contract.region[:4]] or pool for pool in pools]
    shares = [1 - mix.households - mix.persons, mix.households, mix.persons]
    kinds = rng.choice(3, size=count, p=shares)
    if contract.kind in ("tax_rating", "settlement_account"):
        return [pools[0][i] for i in rng.choice(len(pools[0]), size=min(count, len(pools[0])), replace=False)]
    drawn = [pools[k][rng.integers(len(pools[k]))] for k in kinds]
    if contract.kind == "registration_change":
        drawn = [s for s in world.enterprises if s.former_name] + drawn
    return [_as_known(s, draw) for s, draw in zip(drawn, rng.random(len(drawn)), strict=True)]


def _as_known(subject: Subject, draw: float) -> Subject:
    """Return a subject as a clerk knows it: some by a former name alone, some households by registration number."""
    if subject.kind == "household" and draw < 0.2:
        return replace(subject, uscc=FILLER, tax_no="", org_code="")
    if subject.kind == "enterprise" and draw < 0.04:
        name = subject.former_name or subject.name
        return replace(subject, name=name, uscc="", org_code="", reg_no="", tax_no="", loan_card_no="")
    return subject


def _column(record: Record, column: Column) -> list[Text]:
    element = elements()[column.element]
    return spell(record.rng, record.contract, column, element, values(record, element))


def _phases(record: Record, rng: np.random.Generator) -> _Phases:
    count = len(record)
    founding = record.contract.kind in ("registration", "person_base")
    late = np.array([s.late for s in record.subjects])
    renamed = np.array([s.changed for s in record.subjects])
    news = late if founding else rng.random(count) < 0.25
    if record.contract.kind == "registration_change":
        news = np.where([bool(s.former_name) for s in record.subjects], renamed, news)
    known = ~np.array([s.unknown for s in record.subjects]) if founding else np.ones(count, bool)
    corrected = ~news & ((rng.random(count) < 0.04) | (renamed & founding))
    if record.contract.kind == "tax_arrears":
        corrected = ~news
    withdrawn = ~news & (rng.random(count) < 0.05)
    repeated = ~news & (rng.random(count) < (0.005 if founding else 0.015))
    return _Phases(known, news, withdrawn, corrected, repeated)


def _corrected(
    contract: Contract, record: Record, table: dict[str, list[Text]], rows: np.ndarray
) -> dict[str, list[Text]]:
    """Return the table as it stands in round 2: in some rows the first amount, or else one other value, put right."""
    at = {column.element: column for column in contract.columns}
    money = next((c for c in contract.columns if elements()[c.element].type == "money"), None)
    result = dict(table)
    if money:
        places = 6 if money.unit == "万元" else 2
        texts = table[money.source]
        result[money.source] = [_raised(t, places) if c else t for t, c in zip(texts, rows, strict=True)]
    else:
        for element in [e for e in _CORRECTIONS if e in at][:1]:
            years = [record.last_event.year + n for n in range(11)]
            texts, right = table[at[element].source], _CORRECTIONS[element].format(*years)
            result[at[element].source] = [right if c else t for t, c in zip(texts, rows, strict=True)]
    if contract.kind == "tax_arrears" and "published_on" in at:
        source = at["published_on"].source
        result[source] = [(record.last_event - timedelta(days=_LISTED_ANEW)).isoformat()] * len(record)
    return result


def _raised(text: Text, places: int) -> Text:
    """Raise a plainly written amount by a tenth; leave the odd ones alone."""
    if not text or not text.replace(".", "", 1).isdigit():
        return text
    return f"{(Decimal(text) * 11 / 10).quantize(Decimal(1).scaleb(-places)).normalize():f}"


def _touched(contract: Contract, count: int, timetable: Timetable) -> dict[int, datetime]:
    """Return by round when the source began to touch its rows; many rows share an instant, as after a bulk load."""
    took = timedelta(seconds=count // 4 + 1)
    first, today = timetable.first_days(contract)[0], timetable.today
    return {number: timetable.moment(contract, day) - took for number, day in ((1, first), (2, today))}


def _stamps(
    contract: Contract, table: dict[str, list[Text]], chosen: np.ndarray, updated: Sequence[datetime]
) -> dict[str, list[Text]]:
    """Write the source's own time stamps, and the names that were in force in round 1."""
    column = next((c for c in contract.columns if c.element == "source_updated_at"), None)
    if column is None:
        return {}
    stamps = list(table[column.source])
    for i, moment in zip(chosen, updated, strict=True):
        stamps[i] = f"{moment:%Y-%m-%d %H:%M:%S}"
    return {column.source: stamps}


def _without_dates(contract: Contract, table: dict[str, list[Text]]) -> dict[str, list[Text]]:
    dates = {c.source for c in contract.columns if elements()[c.element].type == "date"}
    return {header: [""] * len(column) if header in dates else column for header, column in table.items()}


def before_renaming(world: World) -> World:
    """Return the world of round 1, in which those who rename themselves later still have their former names."""
    former: list[Any] = [replace(s, name=s.former_name) if s.changed else s for s in world.enterprises]
    return replace(world, enterprises=tuple(former))
