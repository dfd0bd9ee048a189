"""The record kinds: which elements a kind of record has, who its subjects are, and who may see it. kinds/*.yaml."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from chengxin.errors import ContractError
from chengxin.model import quasi_identifiers
from chengxin.model.declarations import read_yaml
from chengxin.model.elements import Element, elements
from chengxin.model.sharing import NEGATIVE, Level, SharingRule, SubjectType, problems

IdentityPart = Literal[
    "uscc", "org_code", "reg_no", "tax_no", "person_doc", "loan_card_no", "name", "legal_rep", "region"
]


class KindPart(BaseModel):
    """Base of the blocks of a kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Role(KindPart):
    """Somebody a record is about: which elements carry his identity.

    identity: identity part -> element id. required: without a subject in this role the record waits (未关联).
    other_when: element -> values with which he cannot be the main subject: nobody is surety for himself.
    """

    title: str
    identity: dict[IdentityPart, str]
    required: bool = True
    other_when: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Check(KindPart):
    """A check of each row, and the elements that it compares, in the order that it takes them.

    currency: the currency of the amounts. at_home: a division in Hunan, then what may place the record elsewhere (its
    province, its USCC). not_after: the first day is not after the second. not_future, not_ancient: of each day.
    born: a birthday is the one within a resident identity number.
    """

    check: Literal["currency", "at_home", "not_after", "not_future", "not_ancient", "born"]
    of: Annotated[tuple[str, ...], Field(min_length=1)]


class Publicity(KindPart):
    """Where a negative record has what its publicity depends on; classes and terms stand in lawful_terms.yaml.

    class_by: texts that name the penalty; none = the class is that of the kind. start: the day of the document, the
    first of these with a value. ended_on: the day on which the entry left its list, the kind's effective_to_on.
    conduct_ended_on: the day on which a person's bad conduct ended.
    """

    class_by: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    ended_on: str | None = None
    conduct_ended_on: str | None = None


class NameHistory(KindPart):
    """How a record gives a former name of its subject.

    when: element -> values that make it a record about the name; empty = every record. before, after: elements with the
    names. changed_on: element with the day on which the name before ended; None = not known.
    """

    before: str
    after: str
    when: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    changed_on: str | None = None


class Kind(KindPart):
    """One record kind = one typed table.

    registers: this kind founds subjects of these types (by the record's own identity), or adds to them.
        found: a record whose subject is unknown makes a new subject; names: former names are taken from it.
    name_history: where former names stand; a kind that registers names has it, one that founds subjects may.
    key: elements that, with the subject, name one record; the same key again is a new version or a duplicate. Empty =
        one record a subject. key_optional: those of the key that a source may lack altogether.
    one_number: those of the key that alone should name one record of a subject: a second record with them is told.
    checks: of each row, beside those that every kind has (cleaning.row_checks).
    settled_at_zero: the amount that, once it is zero, leaves no record: such a row withdraws it.
    sharing: the level of each record; where no rule fits it is authorised. Of a negative kind the loader adds a first
        rule. Sealed records are ingested and in no snapshot (e.g. 治安管理处罚法 art. 136).
    event_on ...: the elements that fill the common times of credit_record. title_by, amount: its title (the first with
        a value) and its amount.
    open_persons: subject type (person, household) -> article of the law that orders publication by name.
    quasi_identifiers: element -> steps from fine to coarse (see the module of that name), in the order in which they
        are taken: what open records show that are about persons or households for whom there is no such law.
    standing: what a record is where one of these elements has one of these values.
    publicity: of negative records only.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,62}$")]
    title: str
    title_en: str
    catalogue_class: str
    registers: Literal["none", "found", "names"] = "none"
    founds: Literal["organisation", "person"] | None = None
    name_history: NameHistory | None = None
    roles: dict[Literal["subject", "related"], Role]
    elements: tuple[str, ...]
    required: tuple[str, ...] = ()
    key: tuple[str, ...]
    key_optional: tuple[str, ...] = ()
    one_number: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    settled_at_zero: str | None = None
    event_on: str | None = None
    effective_from_on: str | None = None
    effective_to_on: str | None = None
    publicity_until_on: str | None = None
    title_by: tuple[str, ...] = ()
    amount: str | None = None
    standing: dict[Literal["withdrawn", "objected"], dict[str, tuple[str, ...]]] = Field(default_factory=dict)
    publicity: Publicity | None = None
    sharing: tuple[SharingRule, ...] = ()
    open_persons: dict[str, str] = Field(default_factory=dict)
    quasi_identifiers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    basis: str | None = None
    note: str | None = None

    def element_list(self) -> list[Element]:
        """Return the kind's elements in column order."""
        return [elements()[e] for e in self.elements]

    @property
    def levels(self) -> set[Level]:
        """Return the levels that its records may have."""
        decided = any(not rule.values and not rule.standing and rule.level != "open" for rule in self.sharing)
        return {rule.level for rule in self.sharing} | (set() if decided else {"authorised"})

    @property
    def sealed(self) -> bool:
        """Return whether all its records are sealed."""
        return self.levels == {"sealed"}

    @property
    def open_types(self) -> frozenset[SubjectType]:
        """Return of which subjects records may be open; of none where the kind is never open."""
        return frozenset(t for rule in self.sharing if rule.level == "open" for t in rule.subject_types)

    @property
    def anonymous_types(self) -> frozenset[SubjectType]:
        """Return of which subjects open records are published without anything that leads to the subject."""
        return frozenset(t for t in self.open_types if t in quasi_identifiers.PROTECTED and t not in self.open_persons)


@cache
def kinds(folder: Path = Path(__file__).parent / "kinds") -> dict[str, Kind]:
    """Return all record kinds by id, sorted. Raise ContractError where the rules of one are wrong."""
    return {p.stem: _kind(p) for p in sorted(folder.glob("*.yaml"))}


def _kind(path: Path) -> Kind:
    kind = Kind(id=path.stem, **read_yaml(path))
    if kind.publicity:
        kind = kind.model_copy(update={"sharing": (NEGATIVE, *kind.sharing)})
    if wrong := list(problems(kind.sharing, kind.elements)):
        raise ContractError(f"记录种类 {path.name} 的 sharing 有误：{'；'.join(wrong)}")
    found = quasi_identifiers.problems(
        kind.open_types,
        kind.open_persons,
        kind.quasi_identifiers,
        kind.elements,
        founds=kind.registers == "found",
    )
    if wrong := list(found):
        raise ContractError(f"记录种类 {path.name} 的开放规则有误：{'；'.join(wrong)}")
    return kind
