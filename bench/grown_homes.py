"""Synthesise homes that have grown: many batches over many data sets, many registered subjects.

    python bench/grown_homes.py FOLDER --batches 30000 --subjects 100000 [--datasets 20]

Prints the folder of a home, FOLDER/<name>, with home/ and contracts/; reuses it when it is there. The register and some
small deliveries are ingested by the pipeline; these batches are then multiplied: what names a batch (receipt, verdict,
summary, entry of the journal) and its links, with record ids and digests of their own, are written with the functions
that the pipeline writes them with; the rest is hard-linked. The state is built as the home's own batches would have.
"""

import argparse
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import generate
import invent

if TYPE_CHECKING:
    from chengxin.engine.session import Session
    from chengxin.facts import Admission
    from chengxin.home import Home
    from chengxin.store.journal import Head

HERE = Path(__file__).resolve().parent
CONTRACTS = HERE / "contracts" / "bench"
PIECE = 1_000_000  # subjects of one delivery of the register
TEMPLATES, TEMPLATE_ROWS = 20, 20  # small deliveries that are multiplied, and their rows
EVERY, REGISTERING = 20, 7  # one batch in so many brings changes of the register
START, STEP = datetime(2026, 2, 1, tzinfo=UTC), timedelta(minutes=10)  # of the batches; no row is dated later
LINKS = 1000  # hard links to one file: a file system has a limit, and homes are copied by links again
RECORDS = 1 << 40  # records of small deliveries are numbered from here
ORDERS, DIGESTS = {"batch_order", "adm_order"}, {"payload", "twin", "near"}
OWN = {"record_id", *ORDERS, *DIGESTS}


def small_delivery(path: Path, number: int, rows: int, subjects: int) -> None:
    """Write a file of penalties about some of the registered subjects; another number, other records."""
    records = np.arange(RECORDS + number * rows, RECORDS + (number + 1) * rows, dtype=np.uint64)
    some, who = np.unique(invent.pick(records, 22, subjects), return_inverse=True)
    world = generate.World(invent.numbered(some.astype(np.uint64)), len(some))
    lines = generate.penalties(world, records, np.zeros(rows, bool), who)
    generate.write(generate.HEADER, iter([lines]), Path(os.devnull), path)


def small_change(path: Path, number: int, rows: int) -> None:
    """Write a file of the register that repeats some subjects, with their capital changed."""
    lines = next(generate.registry_lines(number * rows, (number + 1) * rows))
    changed = pc.replace_substring_regex(lines, r",\d+,(\d{4}-)", rf",{3000 + number},\1")
    changed = pc.replace_substring(changed, ",2020-01-01 ", ",2021-01-01 ")
    generate.write(generate.REGISTRY_HEADER, iter([changed]), path)


def contracts(folder: Path, datasets: int) -> Path:
    """Write the bench's contracts, and those of so many data sets in all that are like its penalties."""
    folder.mkdir()
    for path in CONTRACTS.iterdir():
        shutil.copy(path, folder)
    penalty = (CONTRACTS / "bench_penalty.yaml").read_text("utf-8")
    for name in names(datasets)[1:]:
        text = penalty.replace("id: bench_penalty", f"id: {name}").replace("bench/penalty", f"bench/{name}")
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    return folder


def names(datasets: int) -> list[str]:
    """Return the ids of the data sets that penalties come in."""
    return ["bench_penalty", *(f"grown_{n:03d}" for n in range(1, datasets - 1))]


def copy(home: Path, target: Path) -> None:
    """Copy a home by hard links. Files that change in place (databases, locks) become files of their own."""
    in_place = (".db", "-wal", "-shm", ".lock", ".mark", ".sqlite")

    def link(source: str, path: str) -> None:
        if source.endswith(in_place):
            shutil.copy2(source, path)
        else:
            os.link(source, path)

    shutil.copytree(home, target, copy_function=link)


@dataclass(frozen=True)
class Template:
    """A small batch as the pipeline left it."""

    admission: "Admission"
    landed: Path
    batch: Path

    @cached_property
    def links(self) -> Path:
        """Its links folder, below its own."""
        return next(self.batch.glob("links-*")).relative_to(self.batch)

    @cached_property
    def tables(self) -> dict[Path, tuple[pa.Table, str]]:
        """The tables of its links folder with something of its own in them, and how they are compressed."""
        found = {}
        for path in sorted((self.batch / self.links).glob("*.parquet")):
            table = pq.read_table(path)
            if len(table) and OWN.intersection(table.column_names):
                packed = pq.read_metadata(path).row_group(0).column(0).compression.lower()
                found[path.relative_to(self.batch)] = (table, packed)
        return found

    @cached_property
    def documents(self) -> dict[Path, Any]:
        """Its JSON documents that name the batch."""
        read = {path.relative_to(self.batch): json.loads(path.read_bytes()) for path in self.batch.rglob("*.json")}
        return {path: body for path, body in read.items() if isinstance(body, dict) and "batch_id" in body}

    @cached_property
    def others(self) -> list[Path]:
        """All its other files: nothing in them is a batch's own."""
        files = (path.relative_to(self.batch) for path in self.batch.rglob("*") if path.is_file())
        return [path for path in files if path not in self.tables and path not in self.documents]

    @cached_property
    def registers(self) -> bool:
        """Tell whether it adds to the registry."""
        return (self.batch / self.links / "subjects.parquet").exists()


@dataclass
class Multiplied:
    """Writes batches like the templates into a home. subjects: subject_id, part, subject_type of whom they name.

    head: where the home's journal ends.
    """

    home: "Home"
    templates: list[Template]
    subjects: pa.Table
    datasets: list[str]
    session: "Session"
    head: "Head"
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    copies: dict[Path, tuple[Path, int]] = field(default_factory=dict)

    def write(self, order: int) -> None:
        """Write the batch of this place in the journal."""
        from chengxin.records import journal
        from chengxin.store.atomic import sha256_file, write_json

        registers = order % EVERY == REGISTERING
        fitting = [t for t in self.templates if t.registers == registers]
        template = fitting[(order // EVERY if registers else order) % len(fitting)]
        receipt = json.loads((template.landed / "receipt.json").read_bytes())
        at, (landed_file,) = START + order * STEP, receipt["files"]
        digest = hashlib.sha256(f"{receipt['payload_sha256']} {order}".encode()).hexdigest()
        dataset = template.admission.dataset if registers else self.datasets[order % len(self.datasets)]
        batch_id, file = f"{dataset}-{at:%Y%m%d}-{digest[:12]}", f"{order}.csv"
        own = {"dataset": dataset, "batch_id": batch_id}
        layout = self.home.layout
        target, landed = layout.batch(dataset, batch_id), layout.landing(dataset, batch_id)
        for path, body in template.documents.items():
            write_json(target / path, body | {name: own[name] for name in own if name in body})
        for path, (table, packed) in template.tables.items():
            self._write_table(target / path, table, order, packed, registers=registers)
        for path in template.others:
            self._link(template.batch / path, target / path)
        self._link(template.landed / "payload" / landed_file["name"], landed / "payload" / file)
        times = dict.fromkeys(("received_at", "as_of"), at.isoformat())
        files = [{**landed_file, "name": file}]
        locator = receipt["locator"] | {"arrived": at.isoformat()}
        body = receipt | own | times | {"files": files, "locator": locator, "delivery": file}
        write_json(landed / "receipt.json", body | {"origin": f"file_drop:{file}"})
        entry = {"fingerprint": f"{order}", "path": f"/{file}", "batch_id": batch_id}
        self.seen.setdefault(dataset, {})[file] = entry
        seals = {
            name: kept if name.startswith("standard/") else sha256_file(target / name)
            for name, kept in template.admission.seals.items()
        }
        new = {**own, **times, "known_from": at.isoformat(), "order": order, "files": (file,), "seals": seals}
        self.head = journal.admit(layout, replace(template.admission, **new), self.head)

    def remember(self) -> None:
        """Note for each data set which deliveries landed, as landing does."""
        from chengxin.connectors.landing import SEEN
        from chengxin.store.atomic import write_json

        for dataset, seen in self.seen.items():
            write_json(self.home.layout.landing(dataset, "") / SEEN, seen)

    def _write_table(self, path: Path, table: pa.Table, order: int, packed: str, *, registers: bool) -> None:
        from chengxin.engine.step import Step

        path.parent.mkdir(parents=True, exist_ok=True)
        self.session.rows("multiplied", self._renumbered(table, order, registers=registers))
        self.session.write(Step("written", ("multiplied",), "SELECT * FROM multiplied"), path, packed)

    def _renumbered(self, table: pa.Table, order: int, *, registers: bool) -> pa.Table:
        """Give a links table places, digests and, where it does not register, records and subjects of its own."""
        new: dict[str, pa.Array] = {}
        for name in table.column_names:
            if name in ORDERS:
                new[name] = pa.array(np.full(len(table), order, np.int32))
            elif name in DIGESTS:
                (own,) = invent.noise(np.array([order], np.uint64), 100)
                new[name] = pc.bit_wise_xor(table[name], pa.scalar(int(own), pa.uint64()))
            elif name == "record_id" and not registers:
                ids = table[name].to_pylist()
                new[name] = pa.array([i and hashlib.md5(f"{i}{order}".encode()).hexdigest() for i in ids], pa.string())  # noqa: S324
        if "waiting" in table.column_names and not registers:
            numbers = np.arange(order * len(table), (order + 1) * len(table), dtype=np.uint64)
            drawn = self.subjects.take(pa.array(invent.pick(numbers, 101, len(self.subjects))))
            for name in self.subjects.column_names:
                new[name] = pc.if_else(table["waiting"], table[name], drawn[name])
        for name, column in new.items():
            table = table.set_column(table.schema.get_field_index(name), name, column)
        return table

    def _link(self, source: Path, target: Path) -> None:
        """Hard-link a file; after so many links, a copy of it."""
        target.parent.mkdir(parents=True, exist_ok=True)
        now, links = self.copies.get(source, (source, 0))
        if now == source or links >= LINKS:
            shutil.copyfile(source, target)
            now, links = target, 0
        else:
            os.link(now, target)
        self.copies[source] = (now, links + 1)


@dataclass(frozen=True)
class Homes:
    """The homes below a folder, each made once."""

    folder: Path
    templates: int = TEMPLATES

    def registered(self, subjects: int) -> Path:
        """Return a home with a register of so many subjects, delivered in pieces."""

        def make(home: Path) -> None:
            for start in range(0, subjects, PIECE):
                file = home.parent / "registry.csv"
                lines = generate.registry_lines(start, min(start + PIECE, subjects))
                generate.write(generate.REGISTRY_HEADER, lines, file)
                ingest(home, {"bench_registry": [file]})
                file.unlink()

        return self._made(f"registered-{subjects}", make)

    def sampled(self, subjects: int) -> Path:
        """Return a home into which small deliveries were ingested, to be multiplied."""

        def make(home: Path) -> None:
            copy(self.registered(subjects) / "home", home)
            files: dict[str, list[Path]] = {"bench_penalty": [], "bench_registry": []}
            for n in range(self.templates):
                files["bench_penalty"].append(home.parent / f"penalty-{n}.csv")
                small_delivery(files["bench_penalty"][-1], n, TEMPLATE_ROWS, subjects)
            for n in range(max(self.templates // 4, 1)):
                files["bench_registry"].append(home.parent / f"change-{n}.csv")
                small_change(files["bench_registry"][-1], n, TEMPLATE_ROWS)
            ingest(home, files)

        return self._made(f"sampled-{subjects}", make)

    def grown(self, batches: int, subjects: int, datasets: int) -> Path:
        """Return a home of so many batches, the register among them, over so many data sets."""

        def make(home: Path) -> None:
            copy(self.registered(subjects) / "home", home)
            multiply(self.sampled(min(subjects, 100_000)) / "home", home, batches, datasets)

        return self._made(f"grown-{batches}-{subjects}-{datasets}", make, datasets)

    def _made(self, name: str, make: Any, datasets: int = 2) -> Path:
        target, building = self.folder / name, self.folder / f"building-{name}"
        if not target.exists():
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir(parents=True)
            contracts(building / "contracts", datasets)
            make(building / "home")
            building.rename(target)
        return target


def ingest(folder: Path, files: Mapping[str, list[Path]]) -> None:
    """Land and admit files in one process, as of the hour before the multiplied batches."""
    from chengxin import pipeline
    from chengxin.connectors.files.drop import file_delivery
    from chengxin.contracts.loader import load
    from chengxin.home import Home

    before = START - timedelta(hours=1)
    os.environ["CHENGXIN_NOW"] = before.isoformat()
    home = Home.from_environment(home=folder, contracts=folder.parent / "contracts")
    loaded = load(home.settings.contracts).contracts
    for dataset, paths in files.items():
        for path in paths:
            os.utime(path, (before.timestamp(), before.timestamp()))
            batch = pipeline.land(home, loaded[dataset], file_delivery(home, loaded[dataset], path))
            account = pipeline.ingest(home, loaded[dataset], batch)
            if not account["accepted"]:
                raise RuntimeError(f"{path.name}: nothing of it was accepted: {account}")


def multiply(sampled: Path, grown: Path, batches: int, datasets: int) -> None:
    """Fill a home up to so many batches with such as the sampled home's small ones."""
    from chengxin.engine.session import session
    from chengxin.home import Home
    from chengxin.records import journal
    from chengxin.state.database import caught_up
    from chengxin.store.layout import Layout

    os.fsync = lambda _: None  # type: ignore[assignment]  # a home of measurements need not outlive a power cut
    source, home = Layout(sampled), Home.from_environment(home=grown, contracts=grown.parent / "contracts")
    templates = list(_templates(source))
    known = journal.admissions(source)[0]
    registry = source.links(known.dataset, known.batch_id, 0) / "subjects.parquet"
    subjects = pq.read_table(registry, columns=["subject_id", "part", "subject_type"]).combine_chunks()
    with session(home.layout.work, home.resources) as steps:
        head = journal.accounts(home.layout).head
        written = Multiplied(home, templates, subjects, names(datasets), steps, head)
        for order in range(written.head.order + 1, batches):
            written.write(order)
    written.remember()
    journal.accounts(home.layout)
    with caught_up(home.layout):  # as the home's own batches would have left it
        pass


def _templates(layout: Any) -> Iterator[Template]:
    from chengxin.records import journal

    for a in journal.admissions(layout):
        if a.received <= TEMPLATE_ROWS:
            yield Template(a, layout.landing(a.dataset, a.batch_id), layout.batch(a.dataset, a.batch_id))


def main() -> None:
    """Parse the arguments and make the home."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--subjects", type=int, required=True)
    parser.add_argument("--datasets", type=int, default=20)
    parser.add_argument("--templates", type=int, default=TEMPLATES)
    args = parser.parse_args()
    print(Homes(args.folder, args.templates).grown(args.batches, args.subjects, args.datasets))


if __name__ == "__main__":
    main()
