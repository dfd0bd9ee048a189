"""The DAGs made from the contracts: one for each, one that fails while a file cannot be used, and `completeness`.

They share a file so that the contracts are read once: Airflow runs each file in a process of its own.
"""

from airflow.sdk import get_parsing_context

from chengxin.contracts import loader
from chengxin.orchestration import completeness, ingest, problems
from chengxin.settings import Settings

asked = get_parsing_context().dag_id  # a task's process reads and builds only its own
loaded = loader.load(Settings.from_environment().contracts, only=ingest.dataset_of(asked))

for contract in loaded.contracts.values():
    dag_id = ingest.dag_id(contract.id)
    if asked in (None, dag_id):
        globals()[dag_id] = ingest.build(contract)

if loaded.problems and asked in (None, problems.DAG_ID):
    globals()[problems.DAG_ID] = problems.build(loaded.problems)

if asked in (None, completeness.DAG_ID):
    tell = completeness.build(loaded.contracts.values())  # what is expected decides when Airflow starts a run
