"""The only part of the package that imports Airflow: builds DAGs, maps our errors to its outcomes."""
