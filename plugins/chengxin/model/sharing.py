"""Who may have a record: the levels, and the rules by which the kinds give them."""

from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from chengxin.model.codelists import codelists
from chengxin.model.elements import elements

SubjectType = Literal["enterprise", "household", "organisation", "person"]
Level = Literal["sealed", "authorised", "government", "open"]
Standing = Literal["standing", "objected", "expired", "ended", "withdrawn", "repaired"]
LEVELS: tuple[Level, ...] = get_args(Level)


class SharingRule(BaseModel):
    """The records of a kind for which all stated conditions hold have this level; the first rule that fits decides.

    when: element -> values. standing: on the day.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Level
    subject_types: tuple[SubjectType, ...] = ()
    when: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    standing: tuple[Standing, ...] = ()

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        """Return column -> values that a record must have."""
        types = {"subject_type": tuple(map(str, self.subject_types))} if self.subject_types else {}
        return {**types, **self.when}

    def covers(self, other: "SharingRule") -> bool:
        """Return whether it fits wherever another one does. An open rule depends on the clock of publicity as well."""
        mine = {**self.values, **({"": self.standing} if self.standing else {})}
        others = {**other.values, **({"": other.standing} if other.standing else {})}
        narrower = all(name in others and set(others[name]) <= set(values) for name, values in mine.items())
        return self.level != "open" and narrower


#: Of every negative kind, before its own rules.
NEGATIVE = SharingRule(level="sealed", standing=("repaired", "withdrawn"))


def problems(rules: Sequence[SharingRule], known: Sequence[str]) -> Iterator[str]:
    """Yield in Chinese what is wrong with the rules of a kind. known: its elements."""
    for n, rule in enumerate(rules):
        here = f"第 {n + 1} 条规则（{rule.level}）"
        for name, values in rule.when.items():
            listed = codelists().get(elements()[name].codelist or "") if name in elements() else None
            if name not in known:
                yield f"{here}：该种类没有数据元 {name}"
            elif listed is None:
                yield f"{here}：{name} 没有代码表，不能作为条件"
            elif unknown := sorted(set(values) - set(listed)):
                yield f"{here}：{name} 的代码表中没有 {'、'.join(unknown)}"
        if rule.level == "open" and rule.standing != ("standing",):
            yield f"{here}：只有有效的记录可以公开，请写 standing: [standing]"
        if rule.level == "open" and not rule.subject_types:
            yield f"{here}：请写明 subject_types，自然人不得因未写而公开"
        if any(earlier.covers(rule) for earlier in rules[:n]):
            yield f"{here}：前面的规则已全部包括，永远轮不到它"
