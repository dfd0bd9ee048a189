"""What the law states of time: classes of publicity, their terms, ministries' exceptions; from lawful_terms.yaml."""

import hashlib
import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from chengxin.errors import ContractError
from chengxin.model.declarations import read_yaml

FILE = Path(__file__).with_suffix(".yaml")
UNKNOWN = "unknown"
_TermName = Literal["bad_information", "majority", "withdrawal", "objection_check", "objection_answer",
    "notice_receipt", "notice_suspension", "translation"]  # fmt: skip
_PIECES = re.compile(r"[;；、，,/\s]+")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Source(_Part):
    """Where a rule stands. mark: V = text seen, P = press or summary, M = from memory. since: in force from."""

    article: str
    mark: Literal["V", "P", "M"]
    since: date
    note: str = ""


class Span(_Part):
    """A length of time from a day on."""

    value: Annotated[int, Field(ge=1)]
    unit: Literal["day", "month", "year"]


class Term(Source):
    """A term of the law that is no term of publicity."""

    value: Annotated[int, Field(ge=1)]
    unit: Literal["day", "working_day", "month", "year"]


class PublicityClass(Source):
    """One class of publicity. longest: from the day of the document on; None = no term of its own.

    usual: where the source gives no end; None = longest. is_open: whether the open tier may show it at all.
    """

    title: str
    title_en: str
    is_open: bool = True
    usual: Span | None = None
    longest: Span | None = None


class Anonymity(Source):
    """Of how many subjects at least each class of open rows about persons and households without a name must be."""

    least: Annotated[int, Field(ge=2)]


class KindRule(Source):
    """The class of all records of a kind, and the terms of a ministry's own rule in place of those of the class."""

    code: Annotated[str, Field(alias="class")]
    usual: Span | None = None
    longest: Span | None = None


class Words(_Part):
    """Words for kinds of penalty, and the class that they belong to."""

    code: Annotated[str, Field(alias="class")]
    words: Annotated[tuple[str, ...], Field(min_length=1)]


class LawfulTerms(_Part):
    """The whole file. The classes that penalty_words name stand in `classes` from the lightest to the heaviest."""

    classes: dict[str, PublicityClass]
    penalty_words: tuple[Words, ...]
    penalty_words_article: Source
    kinds: dict[str, KindRule]
    anonymity: Anonymity
    terms: dict[_TermName, Term]

    @model_validator(mode="after")
    def _classes_are_known(self) -> "LawfulTerms":
        named = {UNKNOWN, *(w.code for w in self.penalty_words), *(rule.code for rule in self.kinds.values())}
        if missing := sorted(named - set(self.classes)):
            raise ValueError(f"没有公示类别 {'、'.join(missing)}，可用：{'、'.join(self.classes)}")
        return self

    def class_of(self, text: str) -> str:
        """Return the class of what a decision imposes: the heaviest of its pieces."""
        order = list(self.classes)
        found = [code for piece in _PIECES.split(text) if (code := self._class_of_piece(piece))]
        return max(found, key=order.index, default=UNKNOWN)

    def _class_of_piece(self, piece: str) -> str | None:
        return next((w.code for w in self.penalty_words if any(word in piece for word in w.words)), None)

    def spans(self, code: str, kind_id: str) -> tuple[Span | None, Span | None]:
        """Return (usual, longest) of the records of a kind that are of a class; (None, None) = no term."""
        rule = self.kinds.get(kind_id)
        given = rule if rule and rule.code == code and rule.longest else self.classes[code]
        return given.usual or given.longest, given.longest

    def digest(self) -> str:
        """Return a digest of all rules: what was published under others is stale."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


@cache
def lawful_terms(path: Path = FILE) -> LawfulTerms:
    """Read the file. Raise ContractError where a class, a unit or a value is unknown or missing."""
    try:
        return LawfulTerms(**read_yaml(path))
    except ValidationError as error:
        places = [f"{'.'.join(map(str, e['loc'])) or '全文'}：{e['msg']}" for e in error.errors()]
        raise ContractError(f"{path.name}：{'；'.join(places)}") from error
    except (yaml.YAMLError, TypeError) as error:
        raise ContractError(f"{path.name}：不是合格的 YAML 文件（{type(error).__name__}）") from error
