"""Airflow's own client of StatsD or OpenTelemetry, as [metrics] of airflow.cfg configures it.

Internal: `airflow.sdk.observability`, which `airflow.sdk` does not export. Public alternative: the API of
OpenTelemetry, which would be a second configuration beside Airflow's and no StatsD.
"""

from airflow.sdk.observability import stats

__all__ = ["stats"]
