"""What OpenLineage hears of the data, beside the events that Airflow sends of itself: what a task read and wrote.

    source/<department>/<dataset>  ->  received/  ->  standard/, quarantine/  ->  admitted/<dataset>
    admitted/<dataset> ...         ->  published/<tier>/<table>                          all in namespace `chengxin`

Names, versions, columns, counts and verdicts: never a value of a row. Silent unless Airflow's provider is configured.
A task handles many batches. So each batch is a run of its own, a child of the task's run: what was read for one is not
mixed with what was written of another. A publication goes in a RUNNING event of the task's own run.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID, uuid5

from chengxin.contracts.models import Contract
from chengxin.facts import Admission, Batch, StandardBatch, Verdict
from chengxin.home import Home
from chengxin.orchestration.airflow_internals.openlineage_switch import is_off, producer

log = logging.getLogger(__name__)
NAMESPACE = "chengxin"
SEVERITY = {"critical": "error", "warning": "warn", "info": "warn"}


def landed(contract: Contract, batch: Batch) -> None:
    """Tell that a delivery was received as a batch."""
    if is_off():
        return
    statistics = {"size": sum(file.size for file in batch.files), "fileCount": len(batch.files)}
    source = _input(f"source/{contract.department.code}/{contract.id}", contract)
    received = _output(f"received/{contract.id}", contract, batch.batch_id, statistics)
    _emit_batch(contract, f"{batch.batch_id} land", "COMPLETE", [source], [received])


def standardised(contract: Contract, done: StandardBatch) -> None:
    """Tell what became of the received rows."""
    if is_off():
        return
    passed = _output(f"standard/{contract.id}", contract, done.batch_id, {"rowCount": done.passed}, columns=True)
    refused = _output(f"quarantine/{contract.id}", contract, done.batch_id, {"rowCount": done.quarantined})
    received = _input(f"received/{contract.id}", contract, done.batch_id)
    _emit_batch(contract, done.batch_id, "START", [received], [passed, refused])


def validated(contract: Contract, verdict: Verdict) -> None:
    """Tell what did not hold of a batch, and the verdict."""
    if is_off():
        return
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality

    found = [
        quality.Assertion(
            assertion=f.rule,
            success=False,
            severity=SEVERITY[f.severity],
            actual=None if f.failing_rows is None else str(f.failing_rows),
        )
        for f in verdict.findings
    ]
    found.append(quality.Assertion(assertion="verdict", success=verdict.status != "hold", actual=verdict.status))
    checked = {"dataQualityAssertions": quality.DataQualityAssertionsDatasetFacet(assertions=found)}
    standard = _input(f"standard/{contract.id}", contract, verdict.batch_id, checked)
    _emit_batch(contract, verdict.batch_id, "COMPLETE" if verdict.status == "hold" else "RUNNING", [standard], [])


def admitted(contract: Contract, admission: Admission) -> None:
    """Tell how many rows of a batch were accepted."""
    if is_off():
        return
    outlet = _output(
        f"admitted/{contract.id}", contract, admission.batch_id, {"rowCount": admission.accepted}, columns=True
    )
    standard = _input(f"standard/{contract.id}", contract, admission.batch_id)
    _emit_batch(contract, admission.batch_id, "COMPLETE", [standard], [outlet])


def failed(contract: Contract, batch_id: str) -> None:
    """Tell that a batch came to no end."""
    if not is_off():
        _emit_batch(contract, batch_id, "FAIL", [], [])


def published(home: Home) -> None:
    """Tell which data sets the current snapshot is made of, and the rows and columns of its tables in each tier."""
    if is_off():
        return
    from openlineage.client.event_v2 import Dataset, OutputDataset

    from chengxin.publishing import commit

    found = [commit.current(home.layout, tier) for tier in ("government", "open")]
    manifests = [manifest for manifest in found if manifest]
    sources = sorted({name for m in manifests if m.tier == "government" for name in m.sources})
    tables = [
        OutputDataset(
            namespace=NAMESPACE,
            name=f"published/{manifest.tier}/{name}",
            facets=_version(manifest.snapshot_id) | _columns((c.name, c.type, c.title) for c in table.schema),
            outputFacets=_statistics(
                {"rowCount": table.rows, "fileCount": len(table.files), "size": sum(f.size for f in table.files)}
            ),
        )
        for manifest in manifests
        for name, table in manifest.tables.items()
    ]
    _emit([Dataset(namespace=NAMESPACE, name=f"admitted/{name}") for name in sources], tables)


def _emit_batch(contract: Contract, name: str, state: str, inputs: list[Any], outputs: list[Any]) -> None:
    """Emit an event of the run of one batch within the running task. name: what tells it from other runs there."""
    from airflow.providers.openlineage.api import emit
    from airflow.providers.openlineage.plugins import macros
    from airflow.sdk import get_current_context
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import parent_run

    from chengxin.clock import Clock

    try:
        ti = get_current_context()["ti"]
        namespace, job, run = macros.lineage_job_namespace(), macros.lineage_job_name(ti), macros.lineage_run_id(ti)
        parent = parent_run.ParentRunFacet(run=parent_run.Run(runId=run), job=parent_run.Job(namespace, job))
        emit(
            RunEvent(
                eventType=RunState(state),
                eventTime=Clock().now().isoformat(),
                run=Run(runId=str(uuid5(UUID(run), name)), facets={"parent": parent}),
                job=Job(namespace=namespace, name=f"{job}.{contract.id}"),
                inputs=inputs,
                outputs=outputs,
                producer=producer(),
            )
        )
    except Exception as error:  # as the provider's own: a broken telling breaks no task
        log.warning("OpenLineage: %s", type(error).__name__)


def _emit(inputs: list[Any], outputs: list[Any]) -> None:
    from airflow.providers.openlineage.api import emit_dataset_lineage

    emit_dataset_lineage(inputs=inputs, outputs=outputs)


def _input(name: str, contract: Contract, version: str | None = None, checked: Mapping[str, Any] | None = None) -> Any:
    from openlineage.client.event_v2 import InputDataset

    facets = _about(contract) | (_version(version) if version else {})
    return InputDataset(namespace=NAMESPACE, name=name, facets=facets, inputFacets=dict(checked or {}))


def _output(
    name: str, contract: Contract, version: str, statistics: Mapping[str, Any], *, columns: bool = False
) -> Any:
    from openlineage.client.event_v2 import OutputDataset

    from chengxin.contracts.plan import kind_of
    from chengxin.model.schema import kind_columns

    facets = _about(contract) | _version(version)
    if columns:
        facets |= _columns((c.name, c.type, c.title) for c in kind_columns(kind_of(contract)))
    return OutputDataset(namespace=NAMESPACE, name=name, facets=facets, outputFacets=_statistics(statistics))


def _about(contract: Contract) -> dict[str, Any]:
    from openlineage.client.facet_v2 import documentation_dataset, ownership_dataset

    owner = ownership_dataset.Owner(name=contract.department.code, type="department")
    return {
        "documentation": documentation_dataset.DocumentationDatasetFacet(description=contract.title),
        "ownership": ownership_dataset.OwnershipDatasetFacet(owners=[owner]),
    }


def _version(version: str) -> dict[str, Any]:
    from openlineage.client.facet_v2 import dataset_version_dataset

    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=version)}


def _columns(columns: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    from openlineage.client.facet_v2 import schema_dataset

    fields = [schema_dataset.SchemaDatasetFacetFields(name=n, type=t, description=title) for n, t, title in columns]
    return {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}


def _statistics(statistics: Mapping[str, Any]) -> dict[str, Any]:
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistic

    return {"outputStatistics": statistic.OutputStatisticsOutputDatasetFacet(**statistics)}
