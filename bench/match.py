"""The index of registered names and what is asked of it, on invented names: `python bench/match.py [names] [folder]`.

Prints time, memory and size of the index as linking builds it; names a second for a batch of misspelled ones; one
question of GET /match without HTTP; and, where rapidfuzz is installed, names a second when each is compared with all.
"""

import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from chengxin.identity.by_name import model, registry_index
from chengxin.identity.by_name.index import Names
from chengxin.identity.by_name.linkage import score
from chengxin.identity.by_name.registered_rows import Rows
from chengxin.identity.by_name.registry_index import RegistryIndex
from chengxin.identity.by_name.training.corruption import Corruption
from chengxin.identity.by_name.training.invention import invented
from chengxin.sharing.http.match import Asked, candidates_of

QUESTIONS = 2000
BATCH = 20_000
EXHAUSTIVE = 20  # names that are compared with all
AT_ONCE = 50_000


def rows_of(count: int) -> Iterator[Rows]:
    """Give invented names, each of a subject of its own."""
    nothing = np.zeros((3, 0), np.int64)
    for number, first in enumerate(range(0, count, AT_ONCE)):
        names = invented(min(AT_ONCE, count - first), 1000 + number)
        subject = np.arange(first, first + len(names))
        place = np.full(len(names), 4301)
        found = np.ones(len(names), np.bool_)
        yield Rows(names, subject, place, np.full(len(names), number), subject, found, nothing)


def built(folder: Path, count: int) -> RegistryIndex:
    """Build the index as linking does and print what it takes; inventing the names does not count."""
    builder = registry_index._Builder(folder, registry_index._Manifest(registry_index._fingerprint()))
    used = 0.0
    for rows in rows_of(count):
        begun = time.process_time()
        builder.add(rows)
        used += time.process_time() - begun
    begun = time.process_time()
    index = registry_index._read(folder, builder.commit(count, ""))
    used += time.process_time() - begun
    size = sum(p.stat().st_size for p in folder.iterdir()) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(index):,} names: index built in {used:.0f} CPU s ({used / len(index) * 1e6:.1f} us a name)")
    print(f"  {size:,.0f} MiB of files, peak of the process {peak:,.0f} MiB")
    return index


def asked_of(index: RegistryIndex, count: int) -> list[str]:
    """Return misspelled registered names and strange ones, half and half."""
    drawn = random.Random(1)  # noqa: S311  a sample
    known = [index.text(drawn.randrange(len(index))) for _ in range(count // 2)]
    corruption = Corruption(known, 5)
    return [corruption.corrupt(name) for name in known] + invented(count - len(known), 99)


def batch(index: RegistryIndex) -> None:
    """Print how many names of a batch are asked in a second."""
    names = asked_of(index, BATCH)
    score(Names.of(names[:100]), index.index, model.shipped())
    begun = time.process_time()
    score(Names.of(names, np.full(len(names), 4301)), index.index, model.shipped())
    print(f"  a batch of {len(names):,}: {len(names) / (time.process_time() - begun):,.0f} names a CPU second")


def questions(index: RegistryIndex) -> None:
    """Print how long one question takes."""
    asked = asked_of(index, QUESTIONS)
    wall, cpu = [], []
    for name in asked[:50] + asked:
        began, used = time.perf_counter(), time.process_time()
        candidates_of(Asked(name, 4301, 0.5), index, lambda *_: True)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    for label, times in (("wall", wall[50:]), ("cpu", cpu[50:])):
        p50, p90, p99 = np.quantile(np.array(times) * 1000, (0.5, 0.9, 0.99))
        print(f"  one question, {label}: p50 {p50:.1f} ms, p90 {p90:.1f}, p99 {p99:.1f}")


def exhaustive(index: RegistryIndex) -> None:
    """Print how many names a second rapidfuzz compares with all, where it is installed."""
    try:
        from rapidfuzz import process
        from rapidfuzz.distance import Levenshtein
    except ImportError:
        print("  rapidfuzz is not installed: nothing to compare with")
        return
    pool = [index.text(number) for number in range(len(index))]
    distance: Callable[..., object] = Levenshtein.normalized_similarity
    begun = time.process_time()
    for name in asked_of(index, EXHAUSTIVE):
        process.extract(name, pool, scorer=distance, limit=5)
    print(f"  rapidfuzz against all: {EXHAUSTIVE / (time.process_time() - begun):,.2f} names a CPU second")


def main() -> None:
    """Build, ask, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    folder = Path(tempfile.mkdtemp(dir=sys.argv[2] if len(sys.argv) > 2 else None))
    try:
        index = built(folder, count)
        batch(index)
        questions(index)
        exhaustive(index)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
