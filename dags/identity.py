"""The DAG that enters what people answer in clerical review."""

from airflow.sdk import get_parsing_context

from chengxin.orchestration import identity_review

if get_parsing_context().dag_id in (None, identity_review.DAG_ID):
    dag = identity_review.build()
