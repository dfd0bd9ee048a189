"""Judgement of a batch by Great Expectations, with an execution engine of ours on DuckDB over Parquet."""
