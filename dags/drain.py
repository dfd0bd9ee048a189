"""The DAGs that take received batches in: one for each domain of the contracts."""

from airflow.sdk import get_parsing_context

from chengxin.contracts import loader
from chengxin.orchestration import drain
from chengxin.settings import Settings

asked = get_parsing_context().dag_id
for domain in loader.domains(Settings.from_environment().contracts):
    dag_id = drain.dag_id(domain)
    if asked in (None, dag_id):
        globals()[dag_id] = drain.build(domain)
