"""The mark of a listener.

`airflow.listeners` is what Airflow's docs of listeners import; what a listener is handed (an ORM row, a component of
the scheduler) is internal. Public alternative: callbacks of DAGs and tasks, which run after the run has started, and in
no scheduler or worker that starts.
"""

from airflow.listeners import hookimpl

__all__ = ["hookimpl"]
