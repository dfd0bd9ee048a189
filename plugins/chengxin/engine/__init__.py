"""The DuckDB session of linking, records and publishing."""
