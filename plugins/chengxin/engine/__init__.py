"""DuckDB, and the named steps of all that asks it."""
