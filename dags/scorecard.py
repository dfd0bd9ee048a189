"""The DAG that issues the monthly scorecards (绩效考评)."""

from airflow.sdk import get_parsing_context

from chengxin.contracts import loader
from chengxin.orchestration import scorecard
from chengxin.settings import Settings

if get_parsing_context().dag_id in (None, scorecard.DAG_ID):
    dag = scorecard.build(loader.load(Settings.from_environment().contracts).contracts)
