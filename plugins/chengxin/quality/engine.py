"""Great Expectations' side: an execution engine that answers metrics from a Scan, and the run of one suite with it.

Importing this module imports Great Expectations (about 3 seconds): do it inside functions only.
"""

import logging
import uuid
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, ClassVar, Literal

from chengxin.errors import ChengxinError, ContractError, InvariantBroken
from chengxin.quality.metrics import STRUCTURE_METRICS, Answer, needs_of, resolve
from chengxin.quality.scan import Scan
from chengxin.settings import put_default

put_default({"GX_ANALYTICS_ENABLED": "False"})
logging.getLogger("great_expectations").setLevel(logging.WARNING)  # else 200 lines a task log

import great_expectations as gx  # noqa: E402  the two lines above must come first
import pandas as pd  # type: ignore[import-untyped]  # noqa: E402
from great_expectations.data_context.types.base import (  # noqa: E402
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent import PandasDatasource  # noqa: E402
from great_expectations.execution_engine import PandasExecutionEngine  # noqa: E402

_RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0, "exclude_unexpected_values": True}
_NAMESPACE = uuid.UUID("6c1f3c0e-6b0d-5d5e-9a43-3f7d2a1b0c9e")
_DTYPES = {"VARCHAR": "str", "DATE": "datetime64[ns]", "BIGINT": "int64", "INTEGER": "int32", "BOOLEAN": "boolean"}


class DuckDBExecutionEngine(PandasExecutionEngine):  # type: ignore[misc]  # GX ships no types
    """Answer GX metrics from DuckDB. Structure metrics are pandas' own, on an empty frame with the batch's columns.

    A metric that is not known raises by name. GX turns exceptions of an engine into unsuccessful results, so the first
    one is also kept in `trouble`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scan: Scan | None = None
        self.trouble: Exception | None = None

    def resolve_metrics(
        self,
        metrics_to_resolve: Iterable[Any],
        metrics: dict[Any, Any] | None = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> dict[Any, Any]:
        """Resolve one wave of metrics: all their needs in one scan."""
        try:
            return self._resolve(list(metrics_to_resolve), metrics, runtime_configuration)
        except Exception as error:
            self.trouble = self.trouble or error
            raise

    def _resolve(self, wanted: list[Any], metrics: Any, runtime_configuration: Any) -> dict[Any, Any]:
        if self.scan is None:
            raise InvariantBroken("校验引擎没有绑定批次")
        structure = [m for m in wanted if m.metric_name in STRUCTURE_METRICS]
        found: dict[Any, Any] = {}
        if structure:
            found.update(super().resolve_metrics(structure, metrics, runtime_configuration))
        answers: list[tuple[Any, Answer]] = []
        for metric in wanted:
            if metric.metric_name in STRUCTURE_METRICS:
                continue
            answer = resolve(
                metric.metric_name, metric.metric_domain_kwargs, metric.metric_value_kwargs, self.scan.types
            )
            if answer is None:
                raise InvariantBroken(f"校验引擎不认识指标 {metric.metric_name}")
            answers.append((metric.id, answer))
        known = self.scan.ask(need for _, answer in answers for need in answer.needs)
        for identifier, answer in answers:
            found[identifier] = answer.finish(*(known[need] for need in answer.needs))
        return found


class ChengxinDatasource(PandasDatasource):  # type: ignore[misc]  # GX ships no types
    """A GX data source whose engine is ours."""

    type: Literal["chengxin"] = "chengxin"
    execution_engine_override: ClassVar[Any] = DuckDBExecutionEngine


def judge(suite: Mapping[str, Any], scan: Scan) -> list[dict[str, Any]]:
    """Let GX judge the batch by a bound suite; return one JSON result an expectation, in the order of the suite.

    Raises ChengxinError where anything but the data is wrong; a failed metric never becomes a result.
    """
    scan.ask(need for expectation in suite["expectations"] for need in needs_of(expectation, scan.types))
    batch, engine = _batch(scan)
    order = {str(uuid.uuid5(_NAMESPACE, str(n))): n for n in range(len(suite["expectations"]))}
    numbered = [{**e, "id": key} for key, e in zip(order, suite["expectations"], strict=True)]
    try:
        built = gx.ExpectationSuite(name=suite["name"], expectations=numbered)
        outcome = batch.validate(built, result_format=_RESULT_FORMAT).to_json_dict()
    except Exception as error:
        raise _as_ours(engine.trouble or error) from error
    if engine.trouble is not None:
        raise _as_ours(engine.trouble) from engine.trouble
    results: dict[int, dict[str, Any]] = {}
    for result in outcome["results"]:
        _refuse_exception(result)
        results[order[result["expectation_config"]["id"]]] = result
    if len(results) != len(order):
        raise InvariantBroken(f"Great Expectations 只回答了 {len(order)} 条规则中的 {len(results)} 条")
    return [results[n] for n in range(len(order))]


@cache
def _asset() -> tuple[Any, DuckDBExecutionEngine]:
    """Return the batch definition through which this process judges one batch after the other, and its engine."""
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    source = context.data_sources.add_chengxin("batch")
    asset = source.add_dataframe_asset("standard")
    return asset.add_batch_definition_whole_dataframe("whole"), source.get_execution_engine()


def _batch(scan: Scan) -> tuple[Any, DuckDBExecutionEngine]:
    definition, engine = _asset()
    engine.scan, engine.trouble = scan, None
    frame = pd.DataFrame({name: pd.Series(dtype=_DTYPES.get(kind, "object")) for name, kind in scan.types.items()})
    return definition.get_batch({"dataframe": frame}), engine


def _refuse_exception(result: Mapping[str, Any]) -> None:
    info = result.get("exception_info") or {}
    each = [info] if "raised_exception" in info else [v for v in info.values() if isinstance(v, Mapping)]
    for part in each:
        inner = part.get("exception_info", part)
        if inner.get("raised_exception", True):
            kind = result["expectation_config"]["type"]
            raise InvariantBroken(f"规则 {kind} 无法计算：{inner.get('exception_message')}")


def _as_ours(error: Exception) -> ChengxinError:
    if isinstance(error, ChengxinError):
        return error
    if type(error).__module__.startswith(("great_expectations", "pydantic")):
        return ContractError(f"Great Expectations 不接受此规则集：{error}")
    return InvariantBroken(f"校验引擎出错：{type(error).__name__}: {error}")
