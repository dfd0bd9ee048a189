"""The tables of anonymous rows: what the files of a kind set aside, together.

What a file sets aside stays in the home until the file changes, so a class that spans files costs no file anew.
"""

from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.publishing.open_tier import derivations, generalisation
from chengxin.publishing.open_tier.derivations import Derivation
from chengxin.publishing.open_tier.job import Job
from chengxin.publishing.open_tier.rules import TableRule
from chengxin.store import atomic
from chengxin.store.manifest import FileEntry, TableEntry
from chengxin.store.parquet import write_parquet


def set_aside(job: Job, entry: FileEntry, rows: list[pa.Table]) -> str | None:
    """Keep in the home the rows of a file that are published anonymously only; return the file's name."""
    folder = derivations.aside(job.layout, entry.table)
    written = write_parquet(pa.concat_tables(rows), folder, table=entry.table, part=entry.part) if rows else None
    if written is None:
        return None
    atomic.fsync_file(folder / written.name)
    return written.name


def derive(job: Job, rule: TableRule, made: Iterable[Derivation]) -> Derivation:
    """Make the table of a kind's anonymous rows from what its files set aside; all files have a part in each class."""
    kind, table = rule.conditions[""], generalisation.table_of(rule.name)
    of, digest = tuple(sorted(d.aside for d in made if d.table == rule.name and d.aside)), job.digests[rule.name]
    known = job.known.get(table, of, digest, None, job.today)
    if known is not None:
        return known
    pieces = [pq.read_table(derivations.aside(job.layout, rule.name, name), partitioning=None) for name in of]
    rows = pa.concat_tables([generalisation.schema(kind).empty_table(), *pieces])
    done = generalisation.anonymise(rows, kind.quasi_identifiers, rule.terms.anonymity.least)
    written = write_parquet(done.rows, job.draft / table, table=table, part=generalisation.PART)
    counts = Counter[str]()
    derivations.count(done.rows.append_column("kind", pa.repeat(table, done.rows.num_rows)), counts)
    found = {
        "table": table,
        "k": rule.terms.anonymity.least,
        "reached": done.reached,
        "rows": done.rows.num_rows,
        "generalised": done.generalised,
        "left_out": done.left_out,
    }
    day = job.today.isoformat()
    return Derivation(table, of, digest, None, day, None, dict(sorted(counts.items())), written, anonymity=found)


def listed(job: Job, rule: TableRule, files: Iterable[FileEntry]) -> TableEntry:
    """Return the entry of the table in the manifest. files: of the tier."""
    name = generalisation.table_of(rule.name)
    described = {column.name: column for column in job.government.tables[rule.name].schema}
    columns = generalisation.columns(rule.conditions[""], described)
    return TableEntry.of(columns, [f for f in files if f.table == name])
