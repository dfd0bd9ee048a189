"""The least any tool must do: DuckDB reads the UTF-8 twin as text and writes zstd Parquet. Nothing is checked.

python bench/baseline_duckdb.py SOURCE.csv TARGET.parquet MEMORY_MIB THREADS
"""

import sys

import duckdb


def copy(source: str, target: str, memory_mib: int, threads: int) -> None:
    """Copy a CSV to Parquet, all columns text."""
    with duckdb.connect(config={"memory_limit": f"{memory_mib}MiB", "threads": threads}) as connection:
        read = "read_csv(?, all_varchar=true, header=true, delim=',', quote='\"')"
        connection.execute(f"COPY (SELECT * FROM {read}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)", [source])


if __name__ == "__main__":
    copy(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
