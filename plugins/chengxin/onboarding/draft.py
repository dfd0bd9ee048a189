"""A contract proposed from a sample: layout, kind, columns, thresholds, invented examples. People decide the rest."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, get_args

import pyarrow as pa

from chengxin.cleaning.mapper import Mapper, standardise_rows
from chengxin.contracts.headers import fold_header
from chengxin.contracts.lint import lint_contract
from chengxin.contracts.models import UNDECIDED, Contract, Unit
from chengxin.errors import ContractError
from chengxin.model.codelists import codelists
from chengxin.model.kinds import Kind, kinds
from chengxin.model.regions import HUNAN, known_codes
from chengxin.onboarding.content import Evidence
from chengxin.onboarding.examples import Inventor, broken
from chengxin.onboarding.matches import Match, Proposal, proposal, propose
from chengxin.onboarding.sample import Sample
from chengxin.onboarding.vocabulary import Vocabulary, unit_of
from chengxin.parsing.reader import RawChunk

CLEAR = 3.0  # score from which a kind may be proposed at all
CLOSE = 1.5  # and how far the next one must lie behind
_CODES = ("uscc", "org_code", "reg_no", "tax_no", "person_doc", "loan_card_no")
_FULL = 0.9  # a column that is filled less was never meant to be filled always
_OF_REGION = re.compile(r"\d{6}-")  # a department's code begins with its region
_STANDARDS = ("GB", "GA/T", "ISO")  # code lists that do not differ from source to source


@dataclass(frozen=True)
class Wishes:
    """What the person already knows: any of it may be empty. department: (code, name)."""

    id: str = ""
    title: str = ""
    kind: str = ""
    domain: str = ""
    department: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A proposed contract and why it is as it is.

    body: the contract as plain values (kind 待定 where none fits). proposals: all kinds, best first; chosen: the one
    taken. clear: a kind could be proposed. given: a person has named the kind. refused: share of the sample that would
    be 疑问数据. lacks: what lint misses beside what is undecided, in words.
    units: element -> (unit, where it was found). words: element -> the source's own code words; 待定 where a
    person must say what they mean.
    """

    body: dict[str, Any]
    sample: Sample
    chosen: Proposal
    proposals: tuple[Proposal, ...]
    clear: bool
    units: Mapping[str, tuple[str, str]]
    words: Mapping[str, Mapping[str, str]]
    given: bool = False
    refused: float | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)
    lacks: tuple[str, ...] = ()

    @property
    def kind_doubts(self) -> tuple[str, ...]:
        """Describe in Chinese why a person should look at the proposed kind; none where somebody has chosen it."""
        first, *others = self.proposals
        if not self.clear or self.given:
            return ()
        matched = len(self.chosen.matches) - len(self.undecided)
        doubts = ["前两种的得分接近"] if others and first.score - others[0].score < CLOSE else []
        doubts += ["缺少必需的列"] if self.chosen.missing else []
        doubts += ["过半的列没有对应"] if 2 * matched < len(self.chosen.matches) else []
        return tuple(doubts)

    @property
    def undecided(self) -> tuple[Match, ...]:
        """Return the columns that nobody has decided about."""
        return tuple(m for m in self.chosen.matches if m.element is None)


def draft(sample: Sample, contracts: Mapping[str, Contract], wishes: Wishes) -> Draft:
    """Propose a contract for a sample. contracts: those at hand, whose headers are known spellings.

    Raises ContractError for an unknown kind.
    """
    if wishes.kind and wishes.kind not in kinds():
        raise ContractError(f"没有名为 {wishes.kind} 的记录种类；可用：{'、'.join(kinds())}")
    columns = {name: Evidence(sample.table[name].combine_chunks()) for name in sample.table.column_names}
    vocabulary = Vocabulary(contracts.values())
    title = wishes.title or sample.name
    ranked = propose(columns, vocabulary, title=title)
    chosen = proposal(columns, kinds()[wishes.kind], vocabulary, title=title) if wishes.kind else ranked[0]
    clear = bool(wishes.kind) or (chosen.score >= CLEAR and sum(m.element is not None for m in chosen.matches) >= 2)
    units = _units(chosen, columns, sample.unit)
    asked = {m.element.id: _own_words(m, columns) for m in chosen.matches if m.element and m.element.codelist}
    words = {name: found for name, found in asked.items() if found}
    body = _body(sample, chosen, wishes, units, words)
    refused: float | None = None
    lacks: tuple[str, ...] = ()
    if clear and body["columns"]:
        trial = Contract.model_validate({**body, "codes": {}})
        refused, lacks = _refused(trial, sample), tuple(w for w in lint_contract(trial) if "(undecided" not in w)
        body["quality"] = _quality(chosen, columns, refused)
        body["examples"] = _examples(trial, chosen, columns, frozenset(words))
    if not clear:
        body["kind"] = UNDECIDED
    notes = (*_siblings(chosen, contracts), *_of_table(sample, chosen))
    return Draft(
        body=body,
        sample=sample,
        chosen=chosen,
        proposals=tuple(ranked),
        clear=clear,
        units=units,
        words=words,
        given=bool(wishes.kind),
        refused=refused,
        notes=notes,
        lacks=lacks,
    )


def _siblings(chosen: Proposal, contracts: Mapping[str, Contract]) -> tuple[str, ...]:
    """Describe how data sets of the same kind are delivered; it cannot be seen in one file."""
    full = [c.id for c in contracts.values() if c.kind == chosen.kind.id and c.delivery.mode == "full"]
    return (f"同类数据集 {'、'.join(full)} 是全量清单（delivery.mode: full），请核对本数据集",) if full else ()


def _of_table(sample: Sample, chosen: Proposal) -> tuple[str, ...]:
    """Describe which columns of a table may be its watermark and the number of its records."""
    if sample.delivery.get("connector") != "database":
        return ()
    key, notes = sample.delivery["options"].get("key"), []
    if changed := next((m.header for m in chosen.matches if m.element and m.element.type == "instant"), None):
        notes.append(f"watermark 可能是“{changed}”：确随每次变更而增大的，写入 delivery.options")
    if isinstance(key, str) and any(m.header == key and m.element is None for m in chosen.matches):
        notes.append(f"“{key}”是该表的主键：同一条记录的主键不变的，请对应 source_record_id，更正后据此认出")
    return tuple(notes)


def _body(
    sample: Sample,
    chosen: Proposal,
    wishes: Wishes,
    units: Mapping[str, tuple[str, str]],
    words: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    kind = chosen.kind
    first = wishes.id.split("_")[0] if "_" in wishes.id else ""
    domain = wishes.domain or (first if len(first) > 1 else "new")  # a domain has two letters at least
    dataset = wishes.id or f"{domain}_{kind.id}"
    code, name = wishes.department or ("TODO", UNDECIDED)
    delivery = dict(sample.delivery)
    if delivery.get("connector", "file_drop") == "file_drop":
        delivery["options"] = {
            "folder": f"{domain}/{dataset.removeprefix(domain + '_')}",
            **delivery.get("options", {}),
        }
    columns = []
    for match in chosen.matches:
        if match.element:
            unit = units.get(match.element.id)
            more = ({"unit": unit[0]} if unit else {}) | ({"date_form": match.date_form} if match.date_form else {})
            named = [element.id for element in match.one_of] or match.element.id
            columns.append({"source": match.header, "element": named, **more})
    return {
        "format": 1,
        "id": dataset,
        "title": wishes.title or _title(sample.name, kind),
        "department": {"code": code, "name": name},
        "domain": domain,
        **({"region": code[:6]} if _OF_REGION.match(code) and code[:6] in known_codes() - {HUNAN} else {}),
        "kind": kind.id,
        "basis": {"legal": UNDECIDED, "share": "不予"},
        "delivery": delivery,
        "file": sample.spec,
        "columns": columns,
        "codes": {name: dict(found) for name, found in words.items()},
        "ignored": {m.header: UNDECIDED for m in chosen.matches if m.element is None},
    }


def _title(name: str, kind: Kind) -> str:
    words = re.sub(r"[\d\s_\-.]+", "", name.rsplit("/", maxsplit=1)[-1].split(".", maxsplit=1)[0])
    return words if len(re.findall("[\u4e00-\u9fff]", words)) >= 4 else kind.title


def _units(chosen: Proposal, columns: Mapping[str, Evidence], stated: str | None) -> dict[str, tuple[str, str]]:
    """Return the unit of bare amounts where the header or a line above it says it; values that name it need none."""
    found = {}
    for match in chosen.matches:
        if match.element is None or match.element.type != "money":
            continue
        unit = unit_of(match.header)
        bare = columns[match.header].matching(r"^[-+]?[0-9,.\s]+$")
        if unit:
            found[match.element.id] = (unit, "列名")
        elif bare > 0.1 and stated in get_args(Unit):
            found[match.element.id] = (str(stated), "表头上方")
        elif bare > 0.1:
            found[match.element.id] = (UNDECIDED, _unit_hint(match, columns[match.header]))
    return found


def _unit_hint(match: Match, evidence: Evidence) -> str:
    """Say what speaks for a unit that nothing states: ten thousand times too much is the commonest fault with money."""
    official = (match.element.source or "") if match.element else ""
    if "万元" in official and fold_header(match.header) in fold_header(official):
        return "，双公示标准为万元"
    decimals = evidence.matching(r"^\s*[-+]?[0-9,]+\.[0-9]{3,}\s*$")
    return "，小数多于两位，多半是万元" if decimals > 0.1 else ""


def _own_words(match: Match, columns: Mapping[str, Evidence]) -> dict[str, str]:
    """Return the few, repeated words of a code column that a person must translate, and with them its other codes.

    That is what the code list does not know, and bare numbers: 1 is 有效 in our list and 撤销 in many a source. Only
    where the element's list is a standard that everybody uses do numbers speak for themselves.
    """
    assert match.element is not None
    entries = codelists()[match.element.codelist or ""].values()
    known = {text for e in entries for text in (e.code, e.name, *e.aliases)}
    is_standard = (match.element.source or "").startswith(_STANDARDS)
    found = columns[match.header].words()
    asked = {w for w in found if w not in known or (w.isdigit() and len(w) <= 2 and not is_standard)}
    codes = {e.code for e in entries}
    return {w: UNDECIDED if w in asked else w for w in found if w in asked or w in codes} if asked else {}


def _refused(contract: Contract, sample: Sample) -> float:
    """Return the share of sample rows that would become 疑问数据."""
    rows = pa.array(range(1, sample.table.num_rows + 1), pa.int64())
    done = Mapper(contract, today=date.max, salt=contract.id).run(
        RawChunk(sample.table, rows, ()), file_no=0, file_name="sample"
    )
    refused: int = done.quarantined.num_rows
    return refused / max(len(rows), 1)


def _quality(chosen: Proposal, columns: Mapping[str, Evidence], refused: float) -> dict[str, Any]:
    """Set thresholds about twice as wide as the sample: what is usual passes, what is new is noticed."""
    warn = min(0.5, max(0.05, math.ceil(refused * 40) / 20))
    kind = chosen.kind
    watched = {*kind.required, *kind.key, kind.event_on, *kind.roles["subject"].identity.values()}
    fill = {
        m.element.id: math.floor(columns[m.header].fill * 8) / 10
        for m in chosen.matches
        if m.element
        and not m.one_of
        and m.element.id in watched
        and columns[m.header].fill >= (0.5 if m.element.id in kind.required else _FULL)
    }
    return {"quarantined": {"warn": warn, "hold": max(0.5, min(0.9, warn * 2))}, "fill": fill}


def _examples(
    contract: Contract, chosen: Proposal, columns: Mapping[str, Evidence], translated: frozenset[str]
) -> list[dict[str, Any]]:
    inventor = Inventor(columns, _official_words(chosen), translated)
    mapped = [m for m in chosen.matches if m.element]
    rows = [{m.header.strip(): inventor.value(m.header, m.element, n) for m in mapped if m.element} for n in (1, 2)]
    by_element = {m.element.id: m.header.strip() for m in mapped if m.element}  # as the contract names them
    kind = chosen.kind
    needed = {*kind.required, *kind.key, *kind.roles["subject"].identity.values()}
    short = {h: v for h, v in rows[1].items() if any(by_element.get(e) == h for e in needed)}
    wrong, note = _spoiled(dict(rows[0]), kind, by_element)
    found = []
    for text, row in (("各列齐全", rows[0]), ("只有必需的列", short), (note, wrong)):
        if row:
            found.append(_expected(contract, text, row, mapped))
    return found


def _official_words(chosen: Proposal) -> set[str]:
    lists = [codelists()[m.element.codelist] for m in chosen.matches if m.element and m.element.codelist]
    return {text for entries in lists for e in entries.values() for text in (e.code, e.name, *e.aliases)}


def _spoiled(row: dict[str, str], kind: Kind, by_element: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Spoil the codes of the subject, or take a required value away."""
    identity = kind.roles["subject"].identity
    coded = [by_element[e] for p in _CODES if (e := identity.get(p)) in by_element]  # type: ignore[call-overload]
    if coded:
        row[coded[0]] = broken(row[coded[0]])
        return {h: v for h, v in row.items() if h not in coded[1:]}, "标识的校验位错误，且没有其他标识"
    for name in kind.required:
        if name in by_element:
            return {h: v for h, v in row.items() if h != by_element[name]}, f"缺少必填的“{by_element[name]}”"
    return {}, ""


def _expected(contract: Contract, note: str, row: dict[str, str], mapped: list[Match]) -> dict[str, Any]:
    everything = dict.fromkeys(column.source for column in contract.columns)
    passed, _, issues = standardise_rows(contract, [everything | row])
    expect: dict[str, Any] = {"state": "passed" if passed.num_rows else "quarantined"}
    if passed.num_rows:
        chosen = [
            m.element.id for m in mapped if m.element and m.element.type in {"uscc", "date", "region", "code", "year"}
        ]
        values = {name: passed[name][0].as_py() for name in chosen if row.get(_header(mapped, name))}
        expect["values"] = {name: None if value is None else str(value) for name, value in list(values.items())[:4]}
    rules = sorted(set(issues["rule"].to_pylist()))
    if rules:
        expect["rules"] = rules
    return {"note": note, "row": row, "expect": expect}


def _header(mapped: list[Match], element: str) -> str:
    return next(m.header.strip() for m in mapped if m.element and m.element.id == element)
