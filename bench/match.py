"""How long one question of GET /match takes without HTTP, on invented names: `python bench/match.py [names]`."""

import random
import sys
import time

import numpy as np

from chengxin.identity.by_name.frequencies import Frequencies
from chengxin.identity.by_name.index import Index, Names, Segment
from chengxin.identity.by_name.registry_index import RegistryIndex, base_of
from chengxin.identity.by_name.training.corruption import Corruption
from chengxin.identity.by_name.training.invention import invented
from chengxin.sharing.http.match import Asked, candidates_of

QUESTIONS = 2000


def index_of(names: list[str]) -> RegistryIndex:
    """Return the index of these names, each of a subject of its own, as the registry's would be."""
    taken = Names.of(names)
    base = base_of(len(names))
    frequencies = Frequencies.of(taken.parts.take(slice(0, base)))
    segments = (Segment.of(taken.parts, frequencies),)
    index = Index(taken, frequencies, segments, np.arange(len(names)))
    letters = [name.encode() for name in names]
    ends = np.cumsum([len(text) for text in letters])
    return RegistryIndex(index, base, np.zeros(len(names), np.int64), ends, np.frombuffer(b"".join(letters), np.uint8))


def main() -> None:
    """Ask corrupted and strange names and print the quantiles."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    names = list(dict.fromkeys(invented(count, 42)))
    index = index_of(names)
    drawn, corruption = random.Random(1), Corruption(names, 5)  # noqa: S311  a sample
    asked = [corruption.corrupt(drawn.choice(names)) for _ in range(QUESTIONS // 2)] + invented(QUESTIONS // 2, 99)
    wall, cpu = [], []
    for name in asked[:50] + asked:
        began, used = time.perf_counter(), time.process_time()
        candidates_of(Asked(name, 4301, 0.5), index, lambda *_: True)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    for label, times in (("wall", wall[50:]), ("cpu", cpu[50:])):
        quantiles = np.quantile(np.array(times) * 1000, (0.5, 0.9, 0.99))
        print(
            f"{len(names):,} names, {label}: p50 {quantiles[0]:.1f} ms, p90 {quantiles[1]:.1f}, p99 {quantiles[2]:.1f}"
        )


if __name__ == "__main__":
    main()
