"""The DAG that enters withdrawals which people propose and confirm on a page."""

from airflow.sdk import get_parsing_context

from chengxin.orchestration import legal_acts

if get_parsing_context().dag_id in (None, legal_acts.DAG_ID):
    dag = legal_acts.build()
