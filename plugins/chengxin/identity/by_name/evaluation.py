"""How well names are linked where the right answers are known: a table of figures, as people and programs read it."""

import csv
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.cleaning.kernels.names import name_key
from chengxin.errors import ContractError
from chengxin.identity.by_name.differences import KINDS
from chengxin.identity.by_name.explanation import explain as words
from chengxin.identity.by_name.explanation import nearest
from chengxin.identity.by_name.features import compare
from chengxin.identity.by_name.hashes import Ints
from chengxin.identity.by_name.index import Index, Names, Pairs
from chengxin.identity.by_name.linkage import Linkage, link, score
from chengxin.identity.by_name.model import Model
from chengxin.identity.by_name.words import may_be_person
from chengxin.model.regions import code_of_name, prefecture_of

#: What `chengxin identity evaluate` demands.
PRECISION, RECALL = 0.998, 0.95
_HOUSEHOLD = "92"  # the first two characters of a household's USCC: its name may hold a person's
_BINS = (0.5, 0.7, 0.9, 0.98, 0.995, 1.0)
_COLUMNS = {"pool": ("code", "name"), "queries": ("query_id", "name"), "truth": ("query_id", "code")}


@dataclass(frozen=True)
class Registered:
    """One name of a firm. code: whose. prefecture: four digits of its own region, 0 unknown."""

    code: str
    name: str = field(repr=False)
    former: bool = False
    prefecture: int = 0
    legal_rep: str = field(default="", repr=False)


@dataclass(frozen=True)
class Query:
    """One name that is asked. code: the right answer, empty where there is none. person: a natural person's name."""

    name: str = field(repr=False)
    code: str = ""
    prefecture: int = 0
    legal_rep: str = field(default="", repr=False)
    person: bool = False


@dataclass(frozen=True)
class Layer:
    """Links of one rule, and how many of them are wrong."""

    linked: int = 0
    wrong: int = 0

    @property
    def precision(self) -> float:
        """Return the share of right links."""
        return 1.0 if not self.linked else 1 - self.wrong / self.linked


@dataclass(frozen=True)
class Evaluation:
    """The figures. answerable: queries that have an answer. persons: names of persons that were linked.

    kinds: of how the name asked differs from the right one, queries, linked, wrong. reliability: lower and upper
    posterior, names, expected and real share of right ones. blocking: share of the names not equal to a registered one
    whose right answer was compared at all. rate: names a CPU second.
    """

    model: str
    queries: int
    answerable: int
    names: int
    firms: int
    exact: Layer
    alike: Layer
    review: Layer
    persons: int
    cut: float | None
    decoys_wrong: float
    share: float
    blocking: float
    rate: float
    memory_mib: int
    kinds: tuple[tuple[str, int, int, int], ...]
    reliability: tuple[tuple[float, float, int, float, float], ...]

    @property
    def total(self) -> Layer:
        """Return the links of both rules."""
        return Layer(self.exact.linked + self.alike.linked, self.exact.wrong + self.alike.wrong)

    def recall(self, layer: Layer) -> float:
        """Return the share of the answerable queries that a layer answers rightly."""
        return (layer.linked - layer.wrong) / max(self.answerable, 1)

    @property
    def is_sufficient(self) -> bool:
        """Return whether links are right and frequent enough, and no person was linked."""
        return self.total.precision >= PRECISION and self.recall(self.total) >= RECALL and not self.persons


def read(folder: Path) -> tuple[list[Registered], list[Query]]:
    """Read the three files of a folder. Regions are six digits or a name.

    pool.csv: code, name, former, and region, legal_rep where known; queries.csv: query_id, name, region, legal_rep;
    truth.csv: query_id, code. Raise ContractError where they do not fit.
    """
    pool, queries, truth = (_rows(folder, name) for name in _COLUMNS)
    answers = {row["query_id"]: row["code"] for row in truth}
    return (
        [
            Registered(row["code"], row["name"], row.get("former") in {"1", "true", "True"}, *_of_row(row))
            for row in pool
            if row["name"]
        ],
        [Query(row["name"], answers.get(row["query_id"], ""), *_of_row(row)) for row in queries if row["name"]],
    )


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    path = folder / f"{name}.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError):
        raise ContractError(f"读不到 {path.name}（应为 UTF-8 的 CSV）") from None
    if rows and not {*_COLUMNS[name]} <= rows[0].keys():
        raise ContractError(f"{path.name} 缺少列 {'、'.join({*_COLUMNS[name]} - rows[0].keys())}")
    return rows


def _of_row(row: dict[str, str]) -> tuple[int, str]:
    stated = row.get("region") or ""
    code = stated if stated.isdigit() else code_of_name(stated) if stated else None
    return int(prefecture_of(code)) if code else 0, row.get("legal_rep") or ""


def evaluate(
    pool: Sequence[Registered], queries: Sequence[Query], model: Model, *, explain: int = 0
) -> tuple[Evaluation, list[str]]:
    """Link the queries to the pool, exact names first, and compare with the right answers.

    explain: how many links, of those nearest to the cut, are explained in words.
    """
    pool = [r for r in pool if not r.code.startswith(_HOUSEHOLD)]
    codes = {code: number for number, code in enumerate(dict.fromkeys(r.code for r in pool))}
    right = np.array([codes.get(q.code, -1) for q in queries], np.int64)
    subject = np.array([codes[r.code] for r in pool], np.int64)
    exact = _exact(pool, subject, queries)
    rest = [row for row, q in enumerate(queries) if exact[row] < 0 and not may_be_person(q.name)]
    index = Index.of(_names(pool), subject)
    names, asked = [queries[row].name for row in rest], _names([queries[row] for row in rest])
    begun = time.process_time()
    score(_names([queries[row] for row in rest]), index, model)
    rate = len(rest) / max(time.process_time() - begun, 1e-9)
    found = link(names, asked, index, model=model, seed="evaluation", sure=int((exact >= 0).sum()))
    by_name = np.full(len(queries), -1)
    by_name[rest] = np.where(found.linked, found.subject, -1)
    person = np.array([q.person for q in queries], np.bool_)
    truth = right[rest]
    pairs, blocking = _right_pairs(asked, index, model, truth)
    figures = Evaluation(
        model=model.id,
        queries=len(queries),
        answerable=int((right >= 0).sum()),
        names=len(pool),
        firms=len(codes),
        exact=_layer(exact >= 0, exact, right),
        alike=_layer(by_name >= 0, by_name, right),
        review=_layer(found.in_review, found.subject, truth),
        persons=int((person & ((exact >= 0) | (by_name >= 0))).sum()),
        cut=found.cut.posterior,
        decoys_wrong=found.cut.wrong,
        share=found.share,
        blocking=blocking,
        rate=rate,
        memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        kinds=_by_kind(asked, index, pairs, found, truth),
        reliability=_reliability(found, truth),
    )
    told = [
        words(
            (names[row], pool[found.registered[row]].name),
            asked.take(slice(row, row + 1)),
            index,
            int(found.registered[row]),
            model=model,
            share=found.share,
        )
        for row in nearest(found.posterior, found.cut.posterior)[:explain].tolist()
    ]
    return figures, [explanation.text() for explanation in told]


def _layer(linked: npt.NDArray[np.bool_], subject: Ints, right: Ints) -> Layer:
    return Layer(int(linked.sum()), int((linked & (subject != right)).sum()))


def _names(rows: Sequence[Registered] | Sequence[Query]) -> Names:
    prefectures = np.array([row.prefecture for row in rows], np.int64)
    return Names.of([row.name for row in rows], prefectures, [row.legal_rep for row in rows])


def _exact(pool: Sequence[Registered], subject: Ints, queries: Sequence[Query]) -> Ints:
    """Return the subject that alone has exactly the name of each query, else -1."""
    bearers: dict[str, set[int]] = {}
    for key, owner in zip(name_key(pa.array([r.name for r in pool])).to_pylist(), subject.tolist(), strict=True):
        bearers.setdefault(key, set()).add(owner)
    keys = name_key(pa.array([q.name for q in queries])).to_pylist()
    found = [
        bearers.get(key, set()) if not may_be_person(q.name) else set() for key, q in zip(keys, queries, strict=True)
    ]
    return np.array([min(owners) if len(owners) == 1 else -1 for owners in found], np.int64)


def _right_pairs(asked: Names, index: Index, model: Model, truth: Ints) -> tuple[Pairs, float]:
    """Return each name asked with a name of its right answer, and the share of those that were compared."""
    pairs = index.candidates(asked, bucket=model.bucket, keep=model.keep)
    right = pairs.take(index.subject[pairs.registered] == truth[pairs.asked])
    place = np.full(int(index.subject.max(initial=-1)) + 2, -1)
    place[index.subject[::-1]] = np.arange(len(index.subject))[::-1]
    registered = np.where(truth >= 0, place[truth], -1)
    registered[right.asked[::-1]] = right.registered[::-1]
    answerable = np.flatnonzero(registered >= 0)
    return Pairs(answerable, registered[answerable]), len(np.unique(right.asked)) / max(len(answerable), 1)


def _by_kind(
    asked: Names, index: Index, pairs: Pairs, found: Linkage, truth: Ints
) -> tuple[tuple[str, int, int, int], ...]:
    """Count queries, links and wrong links by how the name asked differs from the right one."""
    compared = compare(asked, index, pairs)
    kind = np.full(len(asked), len(KINDS) - 1)
    kind[compared.pairs.asked] = compared.aspects["kind"]
    rows: list[tuple[str, npt.NDArray[np.bool_]]] = [
        (name, (truth >= 0) & (kind == number)) for number, name in enumerate(KINDS)
    ]
    rows.append(("no_answer", truth < 0))
    wrong = found.linked & (found.subject != truth)
    return tuple(
        (name, int(k.sum()), int((k & found.linked).sum()), int((k & wrong).sum())) for name, k in rows if k.any()
    )


def _reliability(found: Linkage, truth: Ints) -> tuple[tuple[float, float, int, float, float], ...]:
    """Return for bins of the posterior how many are right by it and how many are."""
    told = []
    for low, high in pairwise(_BINS):
        within = (found.posterior >= low) & ((found.posterior < high) | (high == 1))
        if within.any():
            right = float((found.subject[within] == truth[within]).mean())
            told.append((low, high, int(within.sum()), float(found.posterior[within].mean()), right))
    return tuple(told)
