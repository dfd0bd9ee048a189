"""The base classes of a partition mapper and of a window.

Internal by their place, `airflow.partition_mappers`, which the task SDK does not hold. Public alternative: the classes
of the same name in `airflow.sdk`, which lack `to_downstream` and `decode_downstream`, so no mapper can be made of them.
Airflow's own examples of plugins (`example_dags/plugins/custom_partition_mapper.py`) import these.
"""

from airflow.partition_mappers.base import PartitionMapper
from airflow.partition_mappers.window import Window

__all__ = ["PartitionMapper", "Window"]
