"""The DAG that publishes; scheduled on the assets of all data sets."""

from airflow.sdk import get_parsing_context

from chengxin.contracts import loader
from chengxin.orchestration import snapshot
from chengxin.settings import Settings

if get_parsing_context().dag_id in (None, snapshot.DAG_ID):
    dag = snapshot.build(loader.names(Settings.from_environment().contracts))
