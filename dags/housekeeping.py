"""The DAG of the daily chores."""

from airflow.sdk import get_parsing_context

from chengxin.orchestration import housekeeping

if get_parsing_context().dag_id in (None, housekeeping.DAG_ID):
    dag = housekeeping.build()
