"""The DAG of each month's scorecard (绩效考评)."""

from airflow.sdk import get_parsing_context

from chengxin.orchestration import scorecard

if get_parsing_context().dag_id in (None, scorecard.DAG_ID):
    issue = scorecard.build()
