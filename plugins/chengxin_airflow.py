"""The only Airflow plugin file: registers views, links and apps. .airflowignore hides the rest of plugins/."""

from airflow.plugins_manager import AirflowPlugin


class ChengxinPlugin(AirflowPlugin):
    """Chengxin's entry in Airflow."""

    name = "chengxin"
