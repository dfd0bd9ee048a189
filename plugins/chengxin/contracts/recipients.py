"""Recipients of the government tier: who may have which kinds, columns and regions, for what, on what basis, how long.

One YAML file in dags/recipients/<id>.yaml is one recipient. A grant never exceeds the contracts of its kinds.
Source: 政务数据共享条例 (State Council order 809), sharing by purpose and without additional use.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from chengxin.contracts.loader import Problem, parse, yaml_files
from chengxin.contracts.models import Contract, Part, Text
from chengxin.model.kinds import kinds
from chengxin.model.regions import known_codes
from chengxin.model.schema import kind_columns

# Rows are distinguished, judged and traced by them.
KEPT = frozenset({"record_id", "subject_id", "subject_type", "batch_id", "source_file", "source_row"})
_KindName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,62}$")]
_Region = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}([0-9]{2}([0-9]{2})?)?$")]


class Columns(Part):
    """Which columns are left out, or which alone are given."""

    drop: tuple[_KindName, ...] = ()
    only: tuple[_KindName, ...] = ()

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.drop and self.only:
            raise ValueError("drop 与 only 只写一个")
        return self


class Grant(Part):
    """What of some kinds is given. regions: codes or their first two or four digits, by the subject's home; none = all.

    persons: whether rows about natural persons are given.
    """

    kinds: Annotated[tuple[_KindName, ...], Field(min_length=1)]
    columns: Columns = Columns()
    regions: tuple[_Region, ...] = ()
    persons: Literal["none", "all"] = "none"


class Valid(Part):
    """First and last day, in China's calendar."""

    since: Annotated[date, Field(alias="from")]
    to: date

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.to < self.since:
            raise ValueError("to 早于 from")
        return self


class Recipient(Part):
    """One recipient. level: `authorised` data is never handed over as files. per_second: questions about subjects.

    rows_per_day: rows of files and answers that it may be handed in a day of China; none = no limit.

    match_for: the purposes for which it may ask which firm a name is (GET /match); none = it may not.
    """

    format: Literal[1]
    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
    title: Text
    level: Literal["government", "authorised"]
    basis: Text
    purpose: Text
    valid: Valid
    grants: Annotated[tuple[Grant, ...], Field(min_length=1)]
    per_second: Annotated[float, Field(gt=0, le=100)] = 5.0
    rows_per_day: Annotated[int, Field(gt=0)] | None = None
    match_for: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """The usable recipients by id, sorted, and what is wrong with the others."""

    recipients: dict[str, Recipient]
    problems: tuple[Problem, ...]


def load(folder: Path, contracts: Mapping[str, Contract]) -> Loaded:
    """Read and check every recipient of a folder; none where there is no folder. Never raises for a bad file."""
    recipients: dict[str, Recipient] = {}
    problems: list[Problem] = []
    for path in yaml_files(folder) if folder.is_dir() else ():
        recipient, wrong = parse(path, Recipient)
        if recipient is not None:
            wrong = [*lint(recipient, contracts)]
            if recipient.id != path.stem:
                wrong.append(f"id：应与文件名相同，文件名为 {path.stem}，id 为 {recipient.id}")
        shown = f"{folder.name}/{path.name}"
        problems += [Problem(shown, message) for message in wrong]
        if recipient is not None and not wrong:
            recipients[recipient.id] = recipient
    return Loaded(dict(sorted(recipients.items())), tuple(sorted(problems)))


def lint(recipient: Recipient, contracts: Mapping[str, Contract]) -> Iterator[str]:
    """Yield where the grants of a recipient exceed what contracts and kinds allow, or name what there is not."""
    if recipient.level == "authorised":
        yield "level：授权层的数据不以文件提供，只能逐笔查询；这里只能写 government"
    seen: set[str] = set()
    for n, grant in enumerate(recipient.grants):
        for name in grant.kinds:
            where = f"grants[{n}]：{name}"
            if name not in kinds():
                yield f"{where} 不是记录种类，可用：{'、'.join(kinds())}"
                continue
            if name in seen:
                yield f"{where} 在另一条授权中已有；一个种类只写一处"
            seen.add(name)
            yield from _exceeding(where, name, grant, contracts)
        unknown = [r for r in grant.regions if not any(code.startswith(r) for code in known_codes())]
        if unknown:
            yield f"grants[{n}].regions：没有 {'、'.join(unknown)} 这个行政区划"


def _exceeding(where: str, name: str, grant: Grant, contracts: Mapping[str, Contract]) -> Iterator[str]:
    if kinds()[name].sealed:
        yield f"{where} 是不予共享的种类，不能授权"
        return
    if not kinds()[name].levels & {"government", "open"}:
        yield f"{where} 须经信息主体授权逐项查询，不能整批授权"
    sealed = [c.id for c in contracts.values() if c.kind == name and c.basis.share == "不予"]
    if sealed and len(sealed) == sum(c.kind == name for c in contracts.values()):
        yield f"{where} 的数据集（{'、'.join(sealed)}）不予共享，不能授权"
    known = {column.name for column in kind_columns(kinds()[name])}
    wrong = [c for c in (*grant.columns.drop, *grant.columns.only) if c not in known]
    if wrong:
        yield f"{where} 没有 {'、'.join(wrong)} 这些列"
    kept = sorted(KEPT.intersection(grant.columns.drop))
    if kept:
        yield f"{where} 的 {'、'.join(kept)} 用来区分和追溯记录，不能去掉"
