"""Chengxin (诚信湖南): the pipeline through which a province exchanges credit information."""

__version__ = "0.1.0"
