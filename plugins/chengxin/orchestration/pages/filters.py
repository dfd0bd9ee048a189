"""The filter of the lists, from the address of a page."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import BaseModel, Field, StringConstraints

from chengxin.orchestration.drain import PREFIX as DRAIN
from chengxin.orchestration.ingest import dataset_of
from chengxin.orchestration.pages.access import ReaderDep

_Name = Annotated[str, Field(max_length=100)]
_Day = Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]


class Asked(BaseModel):
    """What the address of a list may narrow it to."""

    dataset: _Name = ""
    department: _Name = ""
    state: Annotated[str, Field(pattern="^(admitted|held|stopped|open|warn)?$")] = ""
    rule: _Name = ""
    since: _Day = ""
    until: _Day = ""
    text: Annotated[_Name, StringConstraints(strip_whitespace=True)] = ""


def wanted(reader: ReaderDep, asked: Annotated[Asked, Query()]) -> Any:
    """Return the filter, narrowed to what the reader may see."""
    from chengxin.operations.index.lists import Filter

    return Filter(**asked.model_dump(), only=reader.only)


def of_dag(wanted: Annotated[Any, Depends(wanted)], reader: ReaderDep, dag_id: str) -> Any:
    """Return the filter for the data set of a DAG, or of a drain for all; None for a DAG that handles no batches."""
    dataset = dataset_of(dag_id)
    if dataset is None:
        return wanted if dag_id.startswith(DRAIN) else None
    reader.require(dataset)
    return replace(wanted, dataset=dataset)


class Place(BaseModel):
    """Where a queue is read on. raw: values as sent. skip: batches before it; after: the last row seen of the batch."""

    raw: bool = False
    skip: Annotated[int, Field(ge=0)] = 0
    after: int = -1


FilterDep = Annotated[Any, Depends(wanted)]
DagFilterDep = Annotated[Any, Depends(of_dag)]
PlaceDep = Annotated[Place, Query()]
