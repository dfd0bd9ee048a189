"""One DAG for each contract, and one that fails while some contract file cannot be used."""

from airflow.sdk import get_parsing_context

from chengxin.contracts import loader
from chengxin.orchestration import ingest, problems
from chengxin.settings import Settings

asked = get_parsing_context().dag_id  # a task's process reads and builds only its own
loaded = loader.load(Settings.from_environment().contracts, only=ingest.dataset_of(asked))

for contract in loaded.contracts.values():
    dag_id = ingest.dag_id(contract.id)
    if asked in (None, dag_id):
        globals()[dag_id] = ingest.build(contract)

if loaded.problems and asked in (None, problems.DAG_ID):
    globals()[problems.DAG_ID] = problems.build(loaded.problems)
