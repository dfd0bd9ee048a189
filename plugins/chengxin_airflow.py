"""The only Airflow plugin file: registers views, links and apps. .airflowignore hides the rest of plugins/."""

from airflow.plugins_manager import AirflowPlugin

from chengxin.orchestration.pages import views


class ChengxinPlugin(AirflowPlugin):
    """Chengxin's entry in Airflow."""

    name = "chengxin"
    fastapi_apps = views.apps()
    external_views = views.external_views()
