"""The DAGs of each month: its scorecard (绩效考评), and whether everybody has delivered."""

from airflow.sdk import get_parsing_context

from chengxin.contracts import loader
from chengxin.orchestration import completeness, scorecard
from chengxin.settings import Settings

asked = get_parsing_context().dag_id
if asked in (None, scorecard.DAG_ID):
    issue = scorecard.build()
if asked in (None, completeness.DAG_ID):
    # every contract is read: what is expected decides when Airflow starts a run
    tell = completeness.build(loader.load(Settings.from_environment().contracts).contracts.values())
