"""The only part of the package that imports Airflow: builds DAGs, maps our errors to its outcomes."""

from chengxin.store.privacy import keep_private

keep_private()  # every process of Airflow's that has anything of ours: tasks, and those from which they are forked
