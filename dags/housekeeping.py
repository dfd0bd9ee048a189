"""The DAG of the daily chores."""

from airflow.sdk import get_parsing_context

from chengxin.contracts import loader
from chengxin.orchestration import housekeeping
from chengxin.settings import Settings

if get_parsing_context().dag_id in (None, housekeeping.DAG_ID):
    dag = housekeeping.build(loader.load(Settings.from_environment().contracts).contracts)
