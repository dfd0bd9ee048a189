"""Whether OpenLineage is configured, and what names the producer of its events.

Internal: `airflow.providers.openlineage.conf`, `_PRODUCER` of its adapter. Public alternative: `emit` itself, which is
silent where it is not. The question only saves what every task would else build for nothing: facets, and the import of
their client.
"""


def is_off() -> bool:
    """Return whether nothing would be emitted."""
    from airflow.providers.openlineage import conf

    return bool(conf.is_disabled())


def producer() -> str:
    """Return the URI that the provider's own events bear."""
    from airflow.providers.openlineage.plugins.adapter import _PRODUCER

    return str(_PRODUCER)
