"""How departments are assessed (绩效考评): measures, weights, levels. Read from assessment.yaml."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chengxin.model.declarations import read_yaml
from chengxin.model.working_days import WorkingDays

MeasureId = Literal["timely", "delivered", "in_place", "required", "fill", "passed", "mended"]
MEASURES: tuple[MeasureId, ...] = ("timely", "delivered", "in_place", "required", "fill", "passed", "mended")
NOT_ASSESSED = "不评"
_FILE = Path(__file__).with_suffix(".yaml")


class AssessmentPart(BaseModel):
    """Base of the blocks."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Measure(AssessmentPart):
    """One measure; numerator, denominator and rule say in Chinese what is counted. weight 0 = shown, not scored.

    short: two characters, the head of a narrow column.
    """

    title: str
    short: str
    weight: Annotated[int, Field(ge=0)]
    numerator: str
    denominator: str
    rule: str


class Level(AssessmentPart):
    """A level and the least score for it."""

    title: str
    least: Annotated[float, Field(ge=0, le=100, alias="from")]


class Assessment(AssessmentPart):
    """All that decides on a score. Scores go from 0 to 100, with one decimal."""

    measures: dict[MeasureId, Measure]
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]
    correction_days: Annotated[int, Field(ge=1)]
    steady: Annotated[float, Field(ge=0)]
    trend_months: Annotated[int, Field(ge=1)]

    def correction_deadline(self, arrived: date, days: WorkingDays) -> date:
        """Return the last day on which rows refused in a delivery of the day `arrived` are corrected in time."""
        return days.after(arrived, self.correction_days)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if set(self.measures) != set(MEASURES):
            raise ValueError("every measure must be declared")
        bounds = [level.least for level in self.levels]
        if bounds != sorted(set(bounds), reverse=True) or bounds[-1] != 0:
            raise ValueError("levels must fall and end at 0")
        if not any(m.weight for m in self.measures.values()):
            raise ValueError("some measure must have a weight")
        return self

    def points(self, numerator: int, denominator: int) -> float | None:
        """Return 0 to 100 with one decimal, half up; None when there is nothing to measure."""
        return _rounded(Decimal(100) * numerator / denominator) if denominator else None

    def score(self, points: dict[MeasureId, float | None]) -> float | None:
        """Return the weighted score of the measures that could be measured; None when there is none."""
        known = [(Decimal(str(p)), self.measures[m].weight) for m, p in points.items() if p is not None]
        total = sum(weight for _, weight in known)
        return _rounded(sum((p * w for p, w in known), Decimal(0)) / total) if total else None

    def level(self, score: float | None) -> str:
        """Return the level of a score."""
        if score is None:
            return NOT_ASSESSED
        return next(level.title for level in self.levels if score >= level.least)


def _rounded(value: Decimal) -> float:
    return float(value.quantize(Decimal("0.1"), ROUND_HALF_UP))


@cache
def assessment(path: Path = _FILE) -> Assessment:
    """Read how departments are assessed."""
    return Assessment.model_validate(read_yaml(path))
