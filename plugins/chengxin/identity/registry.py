"""The subject registry: the union of what every admitted batch added to it. Read-only; nothing is ever edited.

A founding batch leaves `subjects.parquet`, `identifiers.parquet` and `names.parquet` in its links folder. The registry
at any moment is those files of all admissions in the journal: it can be rebuilt from nothing and needs no database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.engine.session import Session
from chengxin.engine.step import Schema
from chengxin.facts import Admission
from chengxin.state import lookups
from chengxin.state.accounts import Accounts, registers
from chengxin.state.database import caught_up
from chengxin.store.layout import Layout

#: With fewer rows known for each row of a batch, all are read from their files: looking each up would cost more.
WORTH = 2.0
SUBJECTS = Schema(
    {
        "subject_id": "BIGINT",
        "subject_type": "VARCHAR",
        "part": "VARCHAR",
        "name": "VARCHAR",
        "name_key": "VARCHAR",
        "uscc": "VARCHAR",
        "legal_rep": "VARCHAR",
        "region_code": "VARCHAR",
        "status_code": "VARCHAR",
        "born_on": "DATE",
        "version_at": "TIMESTAMP WITH TIME ZONE",
        "is_new": "BOOLEAN",
        "row_id": "BIGINT",
    }
)
IDENTIFIERS = Schema(
    {
        "subject_id": "BIGINT",
        "part": "VARCHAR",
        "identifier_type": "VARCHAR",
        "identifier_value": "VARCHAR",
        "row_id": "BIGINT",
    }
)
NAMES = Schema(
    {
        "subject_id": "BIGINT",
        "part": "VARCHAR",
        "name": "VARCHAR",
        "name_key": "VARCHAR",
        "valid_from_on": "DATE",
        "valid_to_on": "DATE",
        "row_id": "BIGINT",
    }
)
TABLES = {"subjects": SUBJECTS, "identifiers": IDENTIFIERS, "names": NAMES}


@dataclass(frozen=True)
class RegistryFiles:
    """The files that these admissions added to the registry."""

    layout: Layout
    admissions: Sequence[Admission]

    def files(self, table: str) -> list[Path]:
        """Return the files of `subjects`, `identifiers` or `names`, in order of admission."""
        found = []
        for a in self.admissions:
            if not registers(a):
                continue
            path = self.layout.links(a.dataset, a.batch_id, a.revision) / f"{table}.parquet"
            if path.exists():
                found.append(path)
        return found

    def outnumbers(self, rows: int) -> bool:
        """Tell whether these admissions registered more than so many rows can touch, so that looking up costs less."""
        return sum(a.accepted for a in self.admissions if registers(a)) > WORTH * rows

    def attach(self, session: Session, prefix: str = "registry") -> None:
        """Take as inputs <prefix>_subjects (all versions), <prefix>_identifiers and <prefix>_names."""
        for table, schema in TABLES.items():
            session.files(f"{prefix}_{table}", self.files(table), schema)


@dataclass(frozen=True)
class Registry:
    """The registry at one moment."""

    layout: Layout
    accounts: Accounts

    def files(self, dataset: str | None = None) -> RegistryFiles:
        """Return all files, or those of one data set, which adds again what others had added: each can be taken away.

        Asks for the whole registry; see `outnumbers`.
        """
        return RegistryFiles(self.layout, self.accounts.registering(dataset))

    def outnumbers(self, rows: int) -> bool:
        """Return whether a batch of so many rows can touch but a part of it, so that looking each up costs less."""
        return self.accounts.registered() > WORTH * rows

    def identifiers_of(self, parts: Sequence[Path], work: Path) -> list[Path]:
        """Return files with all identifiers, or where these standard rows are few, one below `work` with their USCCs.

        Of the latter only those that a subject bears are in it.
        """
        if not self.outnumbers(sum(pq.read_metadata(part).num_rows for part in parts)):
            return self.files().files("identifiers")
        given = [pq.read_table(p, columns=["uscc"])["uscc"] for p in parts if "uscc" in pq.read_schema(p).names]
        usccs = {uscc for column in given for uscc in column.drop_null().unique().to_pylist()}
        with caught_up(self.layout) as state:
            known = lookups.known(state, "uscc", usccs)
        rows = {"identifier_type": pa.repeat("uscc", len(known)), "identifier_value": pa.array(known, pa.string())}
        path = work / "identifiers.parquet"
        pq.write_table(pa.table(rows), path)
        return [path]

    def founded(self) -> int:
        """Return how many subjects there are; the next one gets this number plus one."""
        return self.accounts.founded()
