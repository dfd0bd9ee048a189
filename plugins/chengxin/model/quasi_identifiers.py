"""Records about persons and households in the open tier: by name where a law orders it, else without anybody's name."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from chengxin.model.elements import elements

#: The subject types whose open records need a law or anonymity, and their titles.
PROTECTED = {"household": "个体工商户", "person": "自然人"}
_WITHIN = ("value", "suppressed")
#: The steps of generalisation by type of element, from the finest to the coarsest.
LADDERS: dict[str, tuple[str, ...]] = {
    "date": ("day", "month", "year", "suppressed"),
    "region": ("county", "prefecture", "province", "suppressed"),
    "code": _WITHIN,
    "year": _WITHIN,
    "flag": _WITHIN,
}
_ARTICLE = re.compile("第.+条|号")


def problems(
    shown: Collection[str],
    by_name: Mapping[str, str],
    columns: Mapping[str, Sequence[str]],
    known: Collection[str],
    *,
    founds: bool,
) -> Iterator[str]:
    """Yield in Chinese what is wrong with `open_persons` and `quasi_identifiers` of a kind.

    shown: the subject types that may be open. by_name: subject type -> article. known: the elements of the kind.
    founds: it makes subjects, whose names the subject tables show.
    """
    bare = [t for t in PROTECTED if t in shown and t not in by_name]
    titles = "、".join(PROTECTED[t] for t in bare)
    for subject_type, article in by_name.items():
        if subject_type not in PROTECTED or subject_type not in shown:
            yield f"open_persons：{subject_type} 不在公开规则的自然人、个体工商户之中"
        elif not _ARTICLE.search(article):
            yield f"open_persons：{subject_type} 须写明法律条款（第…条，或文号），现为“{article}”"
    if bare and not columns:
        yield f"{titles}可以公开，须写 open_persons（法律规定公布其名称的条款）或 quasi_identifiers（k-匿名的准标识列）"
    if bare and founds:
        yield f"{titles}由该种类建立主体，主体表公布其名称，须写 open_persons"
    if columns and not bare:
        yield "quasi_identifiers：没有需要匿名的自然人、个体工商户"
    for name, steps in columns.items():
        yield from _ladder_problems(name, steps, known)


def _ladder_problems(name: str, steps: Sequence[str], known: Collection[str]) -> Iterator[str]:
    here = f"quasi_identifiers 的 {name}"
    if name not in known:
        yield f"{here}：该种类没有这个数据元"
        return
    ladder = LADDERS.get(elements()[name].type)
    if ladder is None or elements()[name].sensitivity != "open":
        yield f"{here}：不能作为准标识列，只能是公开的日期、区划、代码、年度、是否"
    elif not steps or list(steps) != [step for step in ladder if step in steps]:
        yield f"{here}：泛化步骤须由细到粗，取自 {'、'.join(ladder)}"
