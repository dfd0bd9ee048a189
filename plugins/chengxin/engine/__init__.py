"""DuckDB, and the named steps of linking, records and publishing."""
