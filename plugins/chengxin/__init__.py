"""Chengxin (诚信湖南): the pipeline through which a province exchanges credit information."""

from chengxin.settings import put_default

# Arrow's first choice here gives memory back and takes it again all the time, in huge pages that the kernel clears:
# publishing spent half of its CPU on that. Read by pyarrow when it is imported; worker processes inherit it.
put_default({"ARROW_DEFAULT_MEMORY_POOL": "jemalloc"})
# jemalloc in turn gives back what was not used for a second (Arrow's setting): a tenth of publishing's CPU.
put_default({"JE_ARROW_MALLOC_CONF": "dirty_decay_ms:30000,muzzy_decay_ms:30000"})

__version__ = "0.1.0"
