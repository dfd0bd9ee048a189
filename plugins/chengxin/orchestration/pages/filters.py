"""The filter of the lists, from the address of a page."""

from typing import Annotated, Any

from fastapi import Depends, Query

from chengxin.orchestration.pages.access import ReaderDep

_Name = Annotated[str, Query(max_length=100)]
_Day = Annotated[str, Query(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]


def wanted(
    reader: ReaderDep,
    dataset: _Name = "",
    department: _Name = "",
    state: Annotated[str, Query(pattern="^(admitted|held|stopped|open|warn)?$")] = "",
    rule: _Name = "",
    since: _Day = "",
    until: _Day = "",
    text: _Name = "",
) -> Any:
    """Return the filter, narrowed to what the reader may see."""
    from chengxin.operations.index.lists import Filter

    return Filter(dataset, department, state, rule, since, until, text.strip(), reader.only)


FilterDep = Annotated[Any, Depends(wanted)]
