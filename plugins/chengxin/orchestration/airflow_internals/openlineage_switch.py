"""Whether OpenLineage is configured.

Internal: `airflow.providers.openlineage.conf`. Public alternative: `emit_dataset_lineage` itself, which is silent where
it is not. The question only saves what every task would else build for nothing: facets, and the import of their client.
"""


def is_off() -> bool:
    """Return whether nothing would be emitted."""
    from airflow.providers.openlineage import conf

    return bool(conf.is_disabled())
