"""Write the bench's deliveries: a registry, a dirty penalty file in GB18030 with its UTF-8 twin, and a 1 % delta.

    python bench/generate.py --rows 1000000

build/bench/<rows>/ then holds registry.csv, penalty.gb18030.csv, penalty.utf8.csv, delta.gb18030.csv, delta.utf8.csv
and facts.json (what was put in). The folder is reused when facts.json is there. Record l is a pure function of l, so
the files are the same on every machine and a chunk is all that is held in memory.
"""

import argparse
import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

import invent
from invent import Column, Enterprises, chance, joined, noise, pick, strings, words

BUILD = Path(__file__).resolve().parents[1] / "build" / "bench"
CHUNK = 250_000
STRANGERS = 0.03  # subjects that are not in the registry
DUPLICATES, CORRECTIONS = 0.02, 0.01
DELTA, DELTA_PREFECTURE = 0.01, "4306"
HEADER = (
    "行政处罚决定书文号,行政相对人名称,统一社会信用代码,法定代表人,法定代表人证件号码,处罚类别,罚款金额（万元）,"
    "处罚决定日期,公示截止期,处罚机关,行政区划代码,数据更新时间"
)
REGISTRY_HEADER = (
    "统一社会信用代码,企业名称,法定代表人,法定代表人证件号码,行政区划代码,注册资本（万元）,成立日期,登记状态,更新时间"
)
DATE_FORMS = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y年%m月%d日", "%Y.%m.%d")
AUTHORITIES = ("市场监督管理局", "生态环境局", "应急管理局", "交通运输局")
AUTHORITY_MARKS = ("市监", "环", "应急", "交")
CLASSES = ("罚款", "警告", "罚款;没收违法所得", "责令停产停业")
WIDE = {**{c: c + 0xFEE0 for c in range(0x21, 0x7F)}, 0x20: 0x3000}


@dataclass(frozen=True)
class World:
    """The registry plus as many enterprises again as strangers need; the first `registered` are in the registry."""

    people: Enterprises
    registered: int

    @classmethod
    def of(cls, rows: int) -> "World":
        """Invent the world of a bench of so many rows."""
        registered = max(rows // 10, 20)
        return cls(invent.enterprises(registered + max(registered // 20, 5)), registered)

    def subjects(self, records: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return each record's enterprise."""
        strangers = self.registered + pick(records, 20, len(self.people) - self.registered)
        return np.where(chance(records, 21, STRANGERS), strangers, pick(records, 22, self.registered))


def mess(column: Column, where: NDArray[np.bool_], how: Callable[[str], str]) -> Column:
    """Replace the values at `where` by how(value); meant for a few percent of the rows."""
    some = pa.array([how(v) for v in column.filter(pa.array(where)).to_pylist()], pa.string())
    return pc.replace_with_mask(column, pa.array(where), some)


def _dates(days: NDArray[np.int64], form: NDArray[np.int64]) -> Column:
    """Return days (since 2020-01-01, below 4,000) in one of the five forms, one in 300 impossible."""
    every = (np.datetime64("2020-01-01") + np.arange(4000)).astype(object)
    texts = [d.strftime(f) for f in DATE_FORMS for d in every] + ["2024-02-30"] * 4000
    return words(texts, form * 4000 + days)


def _forms(records: NDArray[np.uint64], salt: int) -> NDArray[np.int64]:
    return np.where(chance(records, salt, 1 / 300), 5, pick(records, salt + 1, 5))


def _amounts(records: NDArray[np.uint64], version: NDArray[np.bool_]) -> Column:
    """Return fines as people type them; a bare number is 万元. A correction has another fine."""
    texts = []
    for k in range(40_000):
        yuan = (k + 1) * 100
        forms = (
            f"{yuan / 10000:g}",
            f'"{yuan:,}元"',
            f'"￥{yuan:,}.00元"',
            f"{yuan / 10000:g}万元",
            f"{yuan / 10000:.6f}",
        )
        texts.append(forms[k * 7 % 5])
    drawn = pick(records, 30, 40_000)
    fines = words(texts, np.where(version, (drawn + 1) % 40_000, drawn))
    return mess(fines, chance(records, 31, 0.003), lambda _: "详见决定书")


def _codes(records: NDArray[np.uint64], codes: NDArray[np.uint8]) -> Column:
    """Return USCC text: 1.5 % wrong check, 0.5 % short, some lower case, wide or with blanks."""
    codes = codes.copy()
    wrong = chance(records, 40, 0.015)
    letters = np.frombuffer(invent.ALPHABET.encode(), np.uint8)
    place = np.searchsorted(letters, codes[wrong, 17])
    codes[wrong, 17] = letters[(place + 1 + pick(records[wrong], 41, 30)) % 31]
    column = mess(strings(codes), chance(records, 42, 0.005), lambda v: v[:-1])
    column = mess(column, chance(records, 43, 0.02), str.lower)
    column = mess(column, chance(records, 44, 0.01), lambda v: v.translate(WIDE))
    return mess(column, chance(records, 45, 0.01), lambda v: f"{v}\u3000")


def _documents(records: NDArray[np.uint64], ids: NDArray[np.uint8]) -> Column:
    """Return resident ids: 0.8 % wrong check, 2 % of the first generation (15 digits), some wide, lower or empty."""
    ids = ids.copy()
    wrong = chance(records, 50, 0.008)
    ids[wrong, 17] = np.where(ids[wrong, 17] == ord("1"), ord("2"), ord("1"))
    column = mess(strings(ids), chance(records, 51, 0.02), lambda v: v[:6] + v[8:17])
    column = mess(column, chance(records, 52, 0.01), lambda v: v.translate(WIDE))
    column = mess(column, chance(records, 53, 0.02), str.lower)
    return mess(column, chance(records, 54, 0.01), lambda _: "")


def _subject_names(records: NDArray[np.uint64], names: Column) -> Column:
    half = chance(records, 60, 0.3) & pc.match_substring(names, "（").to_numpy(zero_copy_only=False)
    names = mess(names, half, lambda v: v.replace("（", "(").replace("）", ")"))
    names = mess(names, chance(records, 61, 0.01), lambda v: f"\u3000{v} ")
    return mess(names, chance(records, 62, 0.005), lambda v: f"{v[:3]} {v[3:]}")


def penalties(world: World, records: NDArray[np.uint64], version: NDArray[np.bool_], who: NDArray[np.int64]) -> Column:
    """Return the CSV lines of records; version marks corrections: the same key, a later time, another fine."""
    people, subject = world.people, pa.array(who)
    office = invent.PREFECTURE_OF_REGION[people.region[who]] * 4 + pick(records, 70, 4)
    offices = [(p, a) for p in invent.PREFECTURES for a in range(4)]
    day = pick(records, 71, 2200)
    year, serial = words([str(2020 + d // 366) for d in range(2200)], day), pa.array(records.astype(np.int64))
    marks = words([f"{p[0]}{AUTHORITY_MARKS[a]}罚" for p, a in offices], office)
    bracket = pick(records, 72, 3)
    decision_no = joined(
        marks,
        words(["〔", "[", "（"], bracket),
        year,
        words(["〕", "]", "）"], bracket),
        serial.cast(pa.string()),
        "号",
    )
    updated = np.minimum(day + 1 + pick(records, 73, 20) + 30 * version, 3999)
    days = [str(d) for d in np.datetime64("2020-01-01") + np.arange(4000)]
    seconds = [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86_400)]
    fields = [
        decision_no,
        _subject_names(records, people.name.take(subject)),
        _codes(records, people.uscc[who]),
        people.legal_rep.take(subject),
        _documents(records, people.legal_rep_id[who]),
        words(list(CLASSES), pick(records, 74, 4)),
        _amounts(records, version),
        _dates(day, _forms(records, 75)),
        _dates(np.minimum(day + 365 * (1 + pick(records, 77, 3)), 3999), pick(records, 78, 5)),
        words([f"{p}{AUTHORITIES[a]}" for p, a in offices], office),
        words(invent.REGIONS, people.region[who]),
        joined(words(days, updated), " ", words(seconds, pick(records, 79, 86_400))),
    ]
    return pc.binary_join_element_wise(*fields, ",")


def drawn(start: int, stop: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return which record stands at each place of the main file, and whether it is the corrected version.

    2 % of the places repeat an earlier record, 1 % correct one; all others hold the record of their own number.
    """
    place = np.arange(start, stop, dtype=np.uint64)
    again = chance(place, 80, DUPLICATES) & (place > 0)
    corrected = chance(place, 81, CORRECTIONS) & ~again & (place > 0)
    record = np.where(again | corrected, noise(place, 82) % np.maximum(place, np.uint64(1)), place)
    while True:  # a repeated place may itself be a repeat: step back to one that holds its own record
        moved = (place != record) & (chance(record, 80, DUPLICATES) | chance(record, 81, CORRECTIONS)) & (record > 0)
        if not moved.any():
            return record, corrected
        record = np.where(moved, record - np.uint64(1), record)


def main_lines(world: World, rows: int) -> Iterator[Column]:
    """Yield the lines of the main file chunk by chunk."""
    for start in range(0, rows, CHUNK):
        records, version = drawn(start, min(start + CHUNK, rows))
        yield penalties(world, records, version, world.subjects(records))


def delta_lines(world: World, rows: int) -> Iterator[Column]:
    """Yield the lines of a 1 % delivery on enterprises of one prefecture; one in 20 corrects an old record."""
    members = [r[:4] == DELTA_PREFECTURE for r in invent.REGIONS]
    local = np.flatnonzero(np.array(members)[world.people.region[: world.registered]])
    wanted = max(int(rows * DELTA), 1)
    old, _ = drawn(0, min(rows, wanted * 8))
    old = old[np.isin(world.subjects(old), local)][: wanted // 20]
    new = np.arange(rows, rows + wanted - len(old), dtype=np.uint64)
    who = np.concatenate([world.subjects(old), local[pick(new, 90, len(local))]])
    records, version = np.concatenate([old, new]), np.arange(wanted) < len(old)
    for start in range(0, wanted, CHUNK):
        cut = slice(start, start + CHUNK)
        yield penalties(world, records[cut], version[cut], who[cut])


def spread_lines(world: World, rows: int) -> Iterator[Column]:
    """Yield the lines of a 1 % delivery of new records on enterprises of all prefectures."""
    first, wanted = 2 * rows, max(int(rows * DELTA), 1)
    for start in range(first, first + wanted, CHUNK):
        new = np.arange(start, min(start + CHUNK, first + wanted), dtype=np.uint64)
        yield penalties(world, new, np.zeros(len(new), bool), pick(new, 90, world.registered))


def registry_lines(start: int, stop: int) -> Iterator[Column]:
    """Yield the lines of a registry file about the enterprises of these numbers."""
    days = [str(d) for d in np.datetime64("1990-01-01") + np.arange(10_000)]
    for first in range(start, stop, CHUNK):
        e = np.arange(first, min(first + CHUNK, stop), dtype=np.uint64)
        people = invent.numbered(e)
        fields = [
            strings(people.uscc),
            people.name,
            people.legal_rep,
            strings(people.legal_rep_id),
            words(invent.REGIONS, people.region),
            (pa.array(pick(e, 91, 2000)).cast(pa.string())),
            words(days, pick(e, 92, 10_000)),
            words(["存续", "吊销", "注销"], np.where(chance(e, 93, 0.9), 0, 1 + pick(e, 94, 2))),
            words([f"2020-01-01 {h:02d}:00:00" for h in range(24)], pick(e, 95, 24)),
        ]
        yield pc.binary_join_element_wise(*fields, ",")


def write(header: str, chunks: Iterator[Column], utf8: Path, gb18030: Path | None = None) -> int:
    """Write lines as UTF-8 and, where asked, again as GB18030. Return the number of lines without the header."""
    rows = -1
    with utf8.open("wb") as out, (gb18030 or Path(os.devnull)).open("wb") as other:
        for lines in itertools.chain([pa.array([header])], chunks):
            rows += len(lines)
            block = pc.binary_join_element_wise(lines, "", "\n")
            offsets = np.frombuffer(block.buffers()[1], np.int32)
            data = memoryview(block.buffers()[2])[: offsets[len(block)]]
            out.write(data)
            if gb18030:
                other.write(str(data, "utf-8").encode("gb18030"))
    return rows


def generate(rows: int) -> Path:
    """Make the files of a bench of `rows` records, or find them made. Return their folder."""
    folder = BUILD / str(rows)
    if (folder / "facts.json").exists() and (folder / "spread.gb18030.csv").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    world = World.of(rows)
    facts = {
        "rows": rows,
        "registry": write(REGISTRY_HEADER, registry_lines(0, world.registered), folder / "registry.csv"),
        "main": write(HEADER, main_lines(world, rows), folder / "penalty.utf8.csv", folder / "penalty.gb18030.csv"),
        "delta": write(HEADER, delta_lines(world, rows), folder / "delta.utf8.csv", folder / "delta.gb18030.csv"),
        "spread": write(HEADER, spread_lines(world, rows), folder / "spread.utf8.csv", folder / "spread.gb18030.csv"),
    }
    facts |= {p.name: p.stat().st_size for p in sorted(folder.glob("*.csv"))}
    (folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    print(generate(parser.parse_args().rows))
