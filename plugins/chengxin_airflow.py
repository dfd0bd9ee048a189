"""The only Airflow plugin file: registers views, links and apps. .airflowignore hides the rest of plugins/."""

from airflow.plugins_manager import AirflowPlugin

from chengxin.orchestration import partitions, preload
from chengxin.orchestration.pages import views


class ChengxinPlugin(AirflowPlugin):
    """Chengxin's entry in Airflow."""

    name = "chengxin"
    listeners = [preload]  # noqa: RUF012  as Airflow declares it
    partition_mappers = [partitions.MonthOfDelivery]  # noqa: RUF012
    windows = [partitions.ExpectedDeliveries]  # noqa: RUF012
    fastapi_apps = views.apps()
    fastapi_root_middlewares = views.root_middlewares()
    external_views = views.external_views()
