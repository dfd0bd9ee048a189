"""Run what no pipeline of this kind can leave out, by the bare libraries and nothing else; print the costs as JSON.

    python bench/floor.py --home H --gb18030 FILE --utf8 FILE

H: a home in which the main file has been published. Rules, keys and rows are those of the pipeline, but nothing is
checked, mended, sorted, reconciled or told: cleaning and sorting rows, Great Expectations, the registry, versions,
receipts, fsync and every import are missing.
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from chengxin.clock import SHANGHAI, Clock
from chengxin.identity.registry import RegistryFiles
from chengxin.quality.scan import plain_sql
from chengxin.quality.suites import bind
from chengxin.records import journal
from chengxin.store.atomic import read_json
from chengxin.store.layout import Layout
from measure import Cost, cpu_s

DATASET, KIND = "bench_penalty", "penalty"
ROW_GROUP = 20_480
MEMORY_MIB, THREADS = 1536, 2
KEY = "md5(concat_ws(chr(31), s.subject_name, s.decision_no, s.authority_name, s.decision_on))"


def decode(gb18030: Path) -> None:
    """Turn the delivered bytes into UTF-8 (glibc's iconv)."""
    subprocess.run(["iconv", "-f", "GB18030", "-t", "UTF-8", str(gb18030)], stdout=subprocess.DEVNULL, check=True)


def split(utf8: Path) -> None:
    """Split lines into columns of text (Arrow)."""
    header = utf8.open(encoding="utf-8").readline().strip().split(",")
    options = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), check_utf8=False)
    for _ in pyarrow.csv.open_csv(utf8, convert_options=options):
        pass


def hand_over(parts: Sequence[Path], folder: Path) -> None:
    """Write the standardised rows once, without a codec, and read them once, as stages that follow each other do."""
    for part in parts:
        pq.write_table(pq.read_table(part), folder / part.name, compression="none")


def judge(statements: Sequence[str]) -> None:
    """Ask the rules of the suite as plain SQL."""
    with connected() as connection:
        for statement in statements:
            connection.execute(statement).fetchall()


def link(parts: Sequence[Path], registry: Sequence[Path], folder: Path) -> None:
    """Find each row's subject by its code alone, digest its key and its content, and write that down."""
    columns = ", ".join(
        f"s.{name}" for name in pq.read_schema(parts[0]).names if not name.startswith(("row", "source"))
    )
    with connected() as connection:
        connection.execute(f"""COPY (
            SELECT s.row_id, u.subject_id, {KEY} AS record_id, hash({columns}) AS payload, s.source_updated_at
            FROM read_parquet({list(map(str, parts))}) s
            LEFT JOIN (SELECT identifier_value, subject_id FROM read_parquet({list(map(str, registry))})
                WHERE identifier_type = 'uscc') u ON u.identifier_value = s.uscc
        ) TO '{folder / "linked.parquet"}' (FORMAT parquet, COMPRESSION uncompressed)""")


def connected() -> duckdb.DuckDBPyConnection:
    """Open DuckDB with the memory and threads that all contestants have."""
    connection = duckdb.connect(config={"memory_limit": f"{MEMORY_MIB}MiB", "threads": THREADS})
    connection.execute("SET preserve_insertion_order = false")
    return connection


def write(table: pa.Table, path: Path) -> None:
    """Write sorted rows to zstd Parquet."""
    repeated = [name for name in table.column_names if name.endswith(("_code", "_type", "_name", "_id", "set", "file"))]
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=1,
        row_group_size=ROW_GROUP,
        use_dictionary=[n for n in repeated if n not in ("record_id", "subject_id", "subject_name")],
        write_statistics=[f.name for f in table.schema if not pa.types.is_string(f.type)],
    )


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--home", "--gb18030", "--utf8"):
        parser.add_argument(name, type=Path, required=True)
    args = parser.parse_args()
    layout = Layout(args.home)
    admissions = journal.admissions(layout)
    batch = next(a.batch_id for a in admissions if a.dataset == DATASET)
    parts = sorted(layout.standard(DATASET, batch).glob("standard-*.parquet"))
    registry = RegistryFiles(layout, admissions).files("identifiers")
    suite = bind(
        read_json(layout.validation(DATASET, batch) / "suite.json"),
        Clock().now().astimezone(SHANGHAI).date(),
    )
    statements = plain_sql(suite, parts, registry)
    costs: dict[str, Cost] = {}

    def run(name: str, step: Callable[[], None]) -> None:
        cpu, wall = cpu_s(), time.perf_counter()
        step()
        known = costs.get(name, Cost(0, 0, 0))
        costs[name] = Cost(known.cpu_s + cpu_s() - cpu, known.wall_s + time.perf_counter() - wall, 0)

    with TemporaryDirectory(dir=args.home) as scratch:
        folder = Path(scratch)
        run("decode", lambda: decode(args.gb18030))
        run("split", lambda: split(args.utf8))
        run("hand_over", lambda: hand_over(parts, folder))
        run("rules", lambda: judge(statements))
        run("link", lambda: link(parts, registry, folder))
        for tier in ("government", "open"):
            snapshot = layout.snapshot(tier, json.loads(layout.pointer(tier).read_text())["snapshot_id"])
            for path in [*snapshot.glob(f"{KIND}/*.parquet"), *snapshot.glob(f"credit_record/{KIND}-*.parquet")]:
                table = pq.read_table(path, partitioning=None).combine_chunks()
                run("write", lambda table=table: write(table, folder / "written.parquet"))  # type: ignore[misc]
    print(json.dumps({name: asdict(cost) for name, cost in costs.items()}))


if __name__ == "__main__":
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    main()
