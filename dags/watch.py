"""The DAG of the hourly round."""

from airflow.sdk import get_parsing_context

from chengxin.orchestration import watch

if get_parsing_context().dag_id in (None, watch.DAG_ID):
    dag = watch.build()
