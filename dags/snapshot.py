"""The DAG that publishes; scheduled on one asset and once a day."""

from airflow.sdk import get_parsing_context

from chengxin.orchestration import snapshot

if get_parsing_context().dag_id in (None, snapshot.DAG_ID):
    dag = snapshot.build()
