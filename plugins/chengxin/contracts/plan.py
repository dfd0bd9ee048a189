"""From a contract to a column plan: which source column feeds which data element, and how it is cleaned."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from chengxin.contracts import corrections
from chengxin.contracts.headers import fold_header
from chengxin.contracts.models import UNDECIDED, Contract
from chengxin.errors import ContractError, DeliveryMismatch
from chengxin.model.elements import Element, elements
from chengxin.model.kinds import Kind, kinds
from chengxin.model.units import unit_in

ENVELOPE = ("source_record_id", "source_updated_at", "delivery_status_code")
PARTIAL = frozenset({"json", "jsonl", "xml"})  # formats whose records may leave out a field


@dataclass(frozen=True)
class ColumnPlan:
    """One element to fill: from source columns of these folded headers, or from a constant.

    one_of: all elements of which each cell of the column holds one; empty where the element has it for itself.
    """

    element: Element
    source: str
    folded: tuple[str, ...]
    required: bool
    optional: bool
    unit: str | None
    codes: dict[str, str] | None
    constant: str | None = None
    date_form: str | None = None
    one_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All that standardising needs to know of a contract."""

    contract: Contract
    kind: Kind
    columns: tuple[ColumnPlan, ...]
    ignored: frozenset[str]
    digest: str

    def match(self, headers: Sequence[str], *, partial: bool = False) -> dict[str, str]:
        """Map element id -> header as sent. Raise DeliveryMismatch on a missing or undeclared column.

        Columns that we put into a table of refused rows are passed over. partial: records may lack columns (JSON, XML),
        so only undeclared ones are a mismatch.
        """
        ours = set(self.ours(headers).values())
        headers = [h for h in headers if h not in ours]
        if self.contract.in_order:
            return self._by_position(headers)
        sent = self._sent_headers(headers)
        wanted = {f: c for c in self.columns if c.constant is None for f in c.folded}
        undeclared = tuple(h for f, h in sent.items() if f not in wanted and not self._is_ignored(f))
        found: dict[str, str] = {}
        for column in self.columns:
            hits = [sent[f] for f in column.folded if f in sent]
            if len(hits) > 1:
                undeclared += tuple(hits[1:])
            if hits:
                found[column.element.id] = hits[0]
        missing = (
            ()
            if partial and found
            else tuple(
                dict.fromkeys(
                    c.source
                    for c in self.columns
                    if c.constant is None and not c.optional and c.element.id not in found
                )
            )
        )
        if missing and not any(header.strip() for header in headers):
            raise DeliveryMismatch(f"{self.contract.id}：{self._nothing()}。请提供部门核对后重新报送", missing=missing)
        if missing or undeclared:
            raise self._mismatch(missing, undeclared)
        self._same_units(found)
        return found

    def ours(self, headers: Sequence[str]) -> dict[str, str]:
        """Return our title -> header as sent, of the columns that we put into a table of refused rows."""
        return corrections.ours(headers, {f for c in self.columns for f in c.folded} | self.ignored)

    def is_ours(self, headers: Sequence[str]) -> bool:
        """Tell by its header whether a table is one of refused rows that we sent."""
        return len(self.ours(headers)) >= corrections.TELLING

    def _nothing(self) -> str:
        """Describe what a delivery lacks that has no names at all."""
        if self.contract.file.format in {"json", "jsonl"}:
            return "来文中没有能读出的记录：文件是空的，数组是空的，或各条不是完整的 JSON 对象（jsonl 每行一个）"
        if self.contract.file.format == "xml":
            return "来文中没有能读出的记录：文件是空的，没有约定的记录元素（records），或报文的包法不同（wrapped）"
        return "来文没有列名：文件是空的，或缺少表头"

    def _same_units(self, found: dict[str, str]) -> None:
        """Raise DeliveryMismatch where a header states another unit of money than the contract: 10,000 times wrong."""
        for column in self.columns:
            header = found.get(column.element.id, "") if column.element.type == "money" else ""
            if (unit := unit_in(header)) and unit.differs(column.unit, in_currency=self.in_currency):
                raise DeliveryMismatch(
                    f"{self.contract.id}：列名“{header[:40]}”写明单位是 {unit.word}，"
                    f"合同中该列的单位却是 {column.unit or '元'}；"
                    "请核对合同 columns 的 unit，或请提供部门按约定的单位重报"
                )

    @property
    def in_currency(self) -> bool:
        """Whether the contract has another column, or a constant, for the currency of amounts."""
        return any(column.element.id == "currency_code" for column in self.columns)

    def _is_ignored(self, folded: str) -> bool:
        """Return whether a column is left out; `@type` stands for this attribute of any XML element."""
        return folded in self.ignored or ("@" in folded and "@" + folded.rpartition("@")[2] in self.ignored)

    def _sent_headers(self, headers: Sequence[str]) -> dict[str, str]:
        """Return folded header -> header as sent. Raise DeliveryMismatch where two of them fold to one."""
        sent: dict[str, str] = {}
        for header in headers:
            if header.strip() and (other := sent.setdefault(fold_header(header), header)) != header:
                raise DeliveryMismatch(
                    f"{self.contract.id}：列名“{other[:40]}”与“{header[:40]}”只差括号、空格或标点，分不清用哪一列；"
                    "请提供部门改名或删去其中一列后重报"
                )
        return sent

    def _by_position(self, headers: Sequence[str]) -> dict[str, str]:
        wanted = list(dict.fromkeys(c.source for c in self.columns if c.constant is None))
        if len(headers) != len(wanted):
            raise DeliveryMismatch(
                f"{self.contract.id}：合同按顺序声明 {len(wanted)} 列，文件有 {len(headers)} 列；"
                "请核对合同 columns 或来文"
            )
        sent = dict(zip(wanted, headers, strict=True))
        return {c.element.id: sent[c.source] for c in self.columns if c.constant is None}

    def _mismatch(self, missing: tuple[str, ...], undeclared: tuple[str, ...]) -> DeliveryMismatch:
        parts = []
        if missing:
            parts.append(f"缺少列：{'、'.join(missing)}")
        if undeclared:
            parts.append(f"合同未声明的列：{'、'.join(h[:40] for h in undeclared[:20])}")
        advice = "请提供部门按合同重报，或由平台在合同 columns/aliases/ignored 中声明后重跑"
        return DeliveryMismatch(
            f"{self.contract.id}：{'；'.join(parts)}。{advice}", missing=missing, undeclared=undeclared
        )


def kind_of(contract: Contract) -> Kind:
    """Return the contract's record kind."""
    try:
        return kinds()[contract.kind]
    except KeyError:
        raise ContractError(f"{contract.id}：未知的记录种类 kind: {contract.kind}") from None


def registers_first(contract: Contract) -> int:
    """Return the place of a data set among others: what founds subjects comes before what is linked with them."""
    return ("found", "names", "none").index(kind_of(contract).registers)


def contract_digest(contract: Contract) -> str:
    """Return a digest of everything in the contract that decides what comes out (12 hex characters)."""
    body = contract.model_dump(mode="json", exclude={"examples", "feedback"})
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]


def plan_of(contract: Contract) -> Plan:
    """Compile a contract. Raise ContractError where it names things that do not exist."""
    kind, known = kind_of(contract), elements()
    allowed = set(kind.elements) | set(ENVELOPE)
    columns = []
    for column in contract.columns:
        element = _element(contract, column.element, known, allowed)
        required = column.required if column.required is not None else element.id in kind.required
        columns.append(
            ColumnPlan(
                element,
                column.source,
                tuple(dict.fromkeys(map(fold_header, (column.source, *column.aliases)))),
                required,
                column.optional,
                None if column.unit == UNDECIDED else column.unit,
                contract.codes.get(element.id),
                date_form=column.date_form,
                one_of=column.one_of,
            )
        )
    for name, value in contract.constants.items():
        element = _element(contract, name, known, allowed)
        columns.append(
            ColumnPlan(
                element, f"={name}", (), element.id in kind.required, False, None, contract.codes.get(name), value
            )
        )
    ignored = frozenset(map(fold_header, contract.ignored))
    return Plan(contract, kind, tuple(columns), ignored, contract_digest(contract))


def _element(contract: Contract, name: str, known: dict[str, Element], allowed: set[str]) -> Element:
    if name not in known:
        raise ContractError(f"{contract.id}：没有名为 {name} 的数据元（见 docs/reference/elements.md）")
    if name not in allowed:
        raise ContractError(
            f"{contract.id}：数据元 {name} 不属于记录种类 {contract.kind}（见 docs/reference/kinds.md）"
        )
    return known[name]
