"""The DAGs of clerical review: one enters what people answer, one reminds them every morning."""

from airflow.sdk import get_parsing_context

from chengxin.orchestration import identity_review

wanted = get_parsing_context().dag_id
if wanted in (None, identity_review.DAG_ID):
    dag = identity_review.build()
if wanted in (None, identity_review.BELL):
    bell = identity_review.build_bell()
