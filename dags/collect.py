"""The DAG that looks at the sources."""

from airflow.sdk import get_parsing_context

from chengxin.contracts import loader
from chengxin.orchestration import collect
from chengxin.settings import Settings

if get_parsing_context().dag_id in (None, collect.DAG_ID):
    dag = collect.build(loader.domains(Settings.from_environment().contracts))
