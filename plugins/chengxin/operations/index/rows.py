"""The refused (疑问) and the waiting (未关联) rows themselves, read from the batches' files a page at a time.

Values leave this module hidden (redaction.py) unless the caller states that the reader may see them as sent.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chengxin.clock import SHANGHAI
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of
from chengxin.engine.session import Session
from chengxin.engine.step import Step, identifier
from chengxin.facts import Resources
from chengxin.home import Home
from chengxin.identity.by_code import OTHERWISE_NAMED, SHARED_CODE
from chengxin.model.elements import elements
from chengxin.model.rules import rules
from chengxin.operations.index.redaction import element_ways, hide, hide_row, ways
from chengxin.records import closings
from chengxin.records.quarantine import stored

PATIENCE = 0.25  # seconds after which a page ends early and states where the next one begins
NO_FIELD, ANY_FIELD = ("本行", "row"), ("该项", "field")
_WAITS = {
    None: "主体尚未登记",
    OTHERWISE_NAMED: "证件号码登记在另一个姓名之下",
    SHARED_CODE: "代码登记在不止一个主体之下",
}
_DAMAGED = "〔整行损坏，原文已隐去，共 {n} 字〕"


@dataclass(frozen=True)
class Reason:
    """One reason in words: what is wrong and what the department should do, Chinese and English."""

    rule: str
    column: str
    zh: str
    en: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a queue. values: header (or element) -> text, hidden unless permitted. linked_by: how far it came.

    closed: who settled it by hand, when and why.
    """

    dataset: str
    batch_id: str
    row_id: int
    file: str
    row: int
    values: dict[str, str | None]
    reasons: tuple[Reason, ...] = ()
    linked_by: str | None = None
    closed: str | None = None

    @property
    def waits(self) -> str:
        """Why a waiting row waits."""
        return _WAITS.get(self.linked_by, "关联主体尚未登记")


@dataclass
class Found:
    """A page of rows. further: where to go on (batches to skip, row to go on after), None at the end."""

    rows: list[Row] = field(default_factory=list)
    further: tuple[int, int] | None = None


def reason(rule_id: str, element: str, column: str) -> Reason:
    """Spell out one reason; an unknown rule (of an older version) is shown by its id."""
    rule = rules().get(rule_id)
    known = elements().get(element)
    if rule is None:
        return Reason(rule_id, column, rule_id, rule_id)
    zh, en = (known.title, known.title_en) if known else NO_FIELD if column else ANY_FIELD
    words = f"{rule.zh.format(title=zh)}。{rule.mend_zh.format(title=zh)}".replace("。。", "。")
    if (zh, en) == ANY_FIELD:  # no name to put between quotes
        words = words.replace("必填项“该项”", "必填项").replace("“该项”", "该项")
    return Reason(rule_id, column, words, f"{rule.en.format(title=en)}: {rule.mend_en.format(title=en)}")


class Rows:
    """Reads rows of one home. Use it for one request and close it."""

    def __init__(self, home: Home) -> None:
        self._layout = home.layout
        self._closed: dict[str, dict[str, dict[int, closings.Closing]]] = {}
        resources = Resources(memory_limit_mib=512, plans=home.settings.plans)
        self._steps = Session.open(resources, zone=SHANGHAI.key)

    def __enter__(self) -> "Rows":
        return self

    def __exit__(self, *_: object) -> None:
        self._steps.close()

    def refused(
        self, contract: Contract, batch_id: str, *, after: int = -1, limit: int = 50, rule: str = "", raw: bool = False
    ) -> list[Row]:
        """Return the refused rows of a batch, in the order of the delivery, from the one after `after` on."""
        files = sorted(self._layout.standard(contract.id, batch_id).glob("quarantine-*.parquet"))
        if not files:
            return []
        self._steps.files("quarantine", files)
        condition = "AND list_contains(list_transform(reasons, lambda x: x.rule), $rule)" if rule else ""
        sql = f"""SELECT row_id, source_file, source_row, raw, reasons FROM ({stored("quarantine")})
            WHERE row_id > $after {condition} ORDER BY row_id LIMIT $limit"""
        values = {"after": after, "limit": limit, "rule": rule}
        found = self._steps.fetch(Step("refused_page", ("quarantine",), sql, values))
        how, by_hand = ways(contract), self._by_hand(contract.id).get(batch_id, {})
        return [
            Row(
                dataset=contract.id,
                batch_id=batch_id,
                row_id=row_id,
                file=file,
                row=row,
                values=_as_sent(text, how, raw),
                reasons=tuple(reason(r["rule"], r["element"], r["source_column"]) for r in reasons),
                closed=by_hand[row_id].told if row_id in by_hand else None,
            )
            for row_id, file, row, text, reasons in found
        ]

    def _by_hand(self, dataset: str) -> dict[str, dict[int, closings.Closing]]:
        if dataset not in self._closed:
            self._closed[dataset] = closings.in_force(closings.read(self._layout, dataset))
        return self._closed[dataset]

    def waiting(
        self, contract: Contract, batch_id: str, *, after: int = -1, limit: int = 50, raw: bool = False
    ) -> list[Row]:
        """Return the rows of a batch whose subject is not known yet, as last tried."""
        links = sorted(self._layout.batch(contract.id, batch_id).glob("links-*/linked.parquet"))
        standard = sorted(self._layout.standard(contract.id, batch_id).glob("standard-*.parquet"))
        if not links or not standard:
            return []
        self._steps.files("linked", links)
        self._steps.files("standard", standard)
        page = """SELECT row_id, arg_max(rule, adm_order) AS rule
            FROM linked WHERE row_id > $after GROUP BY row_id HAVING arg_max(waiting, adm_order)
            ORDER BY row_id LIMIT $limit"""
        self._steps.leave(Step("page", ("linked",), page, {"after": after, "limit": limit}))
        columns = _identifying_columns(contract)
        listed = "".join(f", {identifier(name, 's')}::VARCHAR" for name in columns)
        sql = f"""SELECT p.row_id, p.rule, s.source_file, s.source_row{listed} FROM page p
            JOIN standard s USING (row_id) ORDER BY p.row_id"""
        found = self._steps.fetch(Step("waiting_page", ("page", "standard"), sql))
        how = element_ways()
        shown = []
        for row_id, rule, file, row, *values in found:
            told = {
                elements()[name].title: value if raw else hide(value, how.get(name, "unknown"))
                for name, value in zip(columns, values, strict=True)
                if value
            }
            shown.append(
                Row(
                    dataset=contract.id,
                    batch_id=batch_id,
                    row_id=row_id,
                    file=file,
                    row=row,
                    values=told,
                    linked_by=rule,
                )
            )
        return shown


def _identifying_columns(contract: Contract) -> list[str]:
    """Return the columns that identify a row's subject and record: elements of the kind's roles and of its key."""
    kind = kind_of(contract)
    mapped = {c.element for c in contract.columns}
    wanted = [e for role in kind.roles.values() for e in role.identity.values()] + list(kind.key) + ["region_code"]
    plain = [e for e in wanted if e in mapped and elements()[e].type != "money"]
    return list(dict.fromkeys(plain))


def _as_sent(text: str | None, how: Any, raw: bool) -> dict[str, str | None]:
    if text is None:
        return {}
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return {"": text if raw else _DAMAGED.format(n=len(text))}
    values = {str(name): None if value is None else str(value) for name, value in body.items()}
    return values if raw else hide_row(values, how)


def refused_page(
    reader: Rows,
    contracts: Any,
    batches: Sequence[Any],
    start: tuple[int, int],
    *,
    rule: str,
    raw: bool,
    limit: int = 50,
) -> Found:
    """Return a page of refused rows over several batches; contracts: data set -> Contract or None."""
    return _page(batches, start, limit, contracts, lambda c, b, **k: reader.refused(c, b, rule=rule, raw=raw, **k))


def waiting_page(
    reader: Rows, contracts: Any, batches: Sequence[Any], start: tuple[int, int], *, raw: bool, limit: int = 50
) -> Found:
    """Return a page of waiting rows over several batches."""
    return _page(batches, start, limit, contracts, lambda c, b, **k: reader.waiting(c, b, raw=raw, **k))


def _page(batches: Sequence[Any], start: tuple[int, int], limit: int, contracts: Any, read: Any) -> Found:
    """Collect rows from batches[0] on; `start` counts batches that the caller has skipped already."""
    found = Found()
    skipped, after = start
    began = time.perf_counter()
    for n, batch in enumerate(batches):
        contract = contracts(batch["dataset"])
        if contract is not None:
            missing = limit - len(found.rows)
            rows = read(contract, batch["batch_id"], after=after, limit=missing + 1)
            found.rows += rows[:missing]
            if len(rows) > missing:
                last = found.rows[-1].row_id if missing else after
                found.further = (skipped + n, last)
                return found
        after = -1
        if time.perf_counter() - began > PATIENCE and n + 1 < len(batches):
            found.further = (skipped + n + 1, -1)
            return found
    return found


def every(read: Any, contracts: Any, batches: Sequence[Any], *, most: int, chunk: int = 2000) -> Iterator[Row]:
    """Give up to `most` rows of these batches, a chunk at a time; read: a bound method of Rows with its options."""
    given = 0
    for batch in batches:
        contract, after = contracts(batch["dataset"]), -1
        while contract is not None and given < most:
            rows = read(contract, batch["batch_id"], after=after, limit=min(chunk, most - given))
            if not rows:
                break
            yield from rows
            given, after = given + len(rows), rows[-1].row_id
            if len(rows) < chunk:
                break
