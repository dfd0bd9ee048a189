"""What the model sees of a candidate pair: 29 small integers, each an aspect of the pair or two aspects crossed.

All are integers until the one sum of weights, so a pair has the same features on every machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from chengxin.identity.by_name.differences import FAIRLY_NEAR, KIND, KINDS, NEAR, Cores
from chengxin.identity.by_name.hashes import Ints, bigrams
from chengxin.identity.by_name.index import Index, Names, Pairs
from chengxin.identity.by_name.parts import CORE
from chengxin.identity.by_name.words import FORMS, words

#: Aspects and how many values each has. *_here: of the name asked.
ASPECTS = {
    "kind": len(KINDS), "same": 2, "length": 5, "place": 6, "width": 4,
    "rare_here": 9, "rare_there": 9, "rare_both": 11, "same_core": 6, "bigram_here": 6, "bigram_there": 6,
    "marks": 4, "region": 11, "own_region": 4, "form": 10, "legal_rep": 3, "note": 4,
    "rivals": 6, "near": 4, "far_rivals": 6,
}  # fmt: skip
#: Features by name, and the families under which a link is explained.
FEATURES: dict[str, dict[str, tuple[str, ...]]] = {
    "spelling": {"difference": ("kind", "length"), "window": ("place", "width")},
    "rarity": {
        "rare_here": ("rare_here",), "rare_there": ("rare_there",), "rare_both": ("rare_both",),
        "same_core": ("same_core", "same"), "kind_rare_here": ("kind", "rare_here"),
        "kind_rare_there": ("kind", "rare_there"), "kind_rare_both": ("kind", "rare_both"),
        "rare_here_there": ("rare_here", "rare_there"), "rare_both_here": ("rare_both", "rare_here"),
        "rare_both_there": ("rare_both", "rare_there"), "bigrams": ("bigram_here", "bigram_there"),
        "kind_bigram_here": ("kind", "bigram_here"), "kind_bigram_there": ("kind", "bigram_there"),
    },
    "marks": {"marks": ("marks",)},
    "region": {
        "region": ("region", "same"), "kind_region": ("kind", "region"), "region_form": ("region", "form"),
        "own_region": ("own_region",), "kind_own_region": ("kind", "own_region"),
    },
    "form": {"form": ("form", "same"), "kind_form": ("kind", "form")},
    "legal_rep": {"legal_rep": ("legal_rep",), "kind_legal_rep": ("kind", "legal_rep")},
    "note": {"note": ("note",)},
    "rivals": {"rivals": ("rivals", "near"), "far_rivals": ("far_rivals",), "kind_rivals": ("kind", "rivals")},
}  # fmt: skip
CROSSED = {name: aspects for family in FEATURES.values() for name, aspects in family.items()}
FAMILY = {name: family for family, features in FEATURES.items() for name in features}
SIZES = {name: int(np.prod([ASPECTS[aspect] for aspect in aspects])) for name, aspects in CROSSED.items()}
#: Relations of regions and of legal forms, as the model numbers them.
REGIONS = ("none", "only_there", "only_here", "compatible", "province", "prefecture", "county", "other_county",
           "other_county_near", "other_prefecture", "other_province")  # fmt: skip
FORM_RELATIONS = ("same", "missing_here", "missing_there", "limited_company", "companies", "branch", "company_factory",
                  "trades", "cooperative", "other")  # fmt: skip
_FEW = 100  # pairs that are compared at once whatever their lengths: to begin anew costs more
_LENGTHS = (6, 8, 11, 16, CORE)  # pairs are compared by length: short names not over the width of long ones
_RARE, _RARE_BOTH = (0, 3, 5, 7, 9, 12, 16, 24), (6, 9, 12, 15, 18, 21, 25, 30, 36, 44)
_ABSENT = 1 << 30

Aspects = Mapping[str, Ints]


@dataclass(frozen=True)
class Compared:
    """Candidate pairs that are left after comparing, with their aspects."""

    pairs: Pairs
    aspects: dict[str, Ints]

    def features(self) -> npt.NDArray[np.int16]:
        """Return the 29 features, one row a pair, in the order of CROSSED."""
        columns = []
        for aspects in CROSSED.values():
            value = self.aspects[aspects[0]]
            for aspect in aspects[1:]:
                value = value * ASPECTS[aspect] + self.aspects[aspect]
            columns.append(value)
        return np.stack(columns, axis=1).astype(np.int16)


def aspects_of(features: Sequence[int]) -> dict[str, int]:
    """Return the aspects of one pair, from its features."""
    seen = dict[str, int]()
    for value, aspects in zip(features, CROSSED.values(), strict=True):
        for aspect in reversed(aspects):
            value, seen[aspect] = divmod(value, ASPECTS[aspect])
    return seen


def compare(asked: Names, index: Index, pairs: Pairs) -> Compared:
    """Compare candidate pairs; those that have too little in common are dropped."""
    longest = np.maximum(asked.parts.length[pairs.asked], index.names.parts.length[pairs.registered])
    group = np.searchsorted(_LENGTHS, longest)
    kept, found = [], list[dict[str, Ints]]()
    if len(group) <= _FEW:
        group = np.full_like(group, group.max(initial=0))
    for number in np.unique(group).tolist() or [0]:
        width, rows = _LENGTHS[number], np.flatnonzero(group == number)
        here, there = pairs.take(rows).asked, pairs.take(rows).registered
        cores = Cores.of(
            asked.parts.core[here, :width],
            index.names.parts.core[there, :width],
            asked.parts.length[here],
            index.names.parts.length[there],
        )
        kind = cores.kinds()
        notes, others = asked.parts.note[here], index.names.parts.note[there]
        contrary = (notes > 0) & (others > 0) & (notes != others)  # 某某(东线)公司 is not 某某(西线)公司
        left = np.flatnonzero((kind != KIND["no_match"]) & ~contrary)
        kept.append(rows[left])
        found.append(_of_cores(cores.take(left), kind[left], index))
    order = np.argsort(np.concatenate(kept), kind="stable")
    aspects = {name: np.concatenate([f[name] for f in found])[order] for name in found[0]}
    pairs = pairs.take(np.concatenate(kept)[order])
    aspects |= _of_names(asked, index, pairs) | _rivals(pairs, aspects["kind"])
    own = aspects["same"] if index.asked is not None else 0  # of names with this core, the one asked is none
    aspects["same_core"] = _bins(index.same_core(pairs.registered) - own, (1, 2, 4, 10, 30))
    return Compared(pairs, aspects)


def _bins(values: npt.NDArray[np.generic], edges: tuple[int, ...]) -> Ints:
    return np.searchsorted(np.array(edges), values, side="left").astype(np.int64)


def _of_cores(cores: Cores, kind: Ints, index: Index) -> dict[str, Ints]:
    same = kind == KIND["same"]
    width = np.minimum(np.maximum(cores.window_here, cores.window_there), 3)
    here, there, both, marks = _presence(cores, index)
    bigram_here = _bins(_rarest(cores, index, of_asked=True), (0, 1, 4, 20, 100))
    bigram_there = _bins(_rarest(cores, index, of_asked=False) - 1, (0, 1, 4, 20, 100))
    return {
        "kind": kind,
        "same": same.astype(np.int64),
        "length": _bins(np.minimum(cores.length_here, cores.length_there), (2, 3, 4, 6)),
        "place": np.where(same, 0, np.minimum(cores.before + 1, 5)),
        "width": width,
        "rare_here": _bins(here, _RARE),
        "rare_there": _bins(there, _RARE),
        "rare_both": _bins(both, _RARE_BOTH),
        "marks": marks,
        "bigram_here": np.where(same, 5, bigram_here),
        "bigram_there": np.where(same, 5, bigram_there),
    }


@cache
def _marks() -> Ints:
    """Return for each character which classes of marks it is of, as bits."""
    mark = np.zeros(65536, np.int64)
    for bit, characters in enumerate(words().marks):
        mark[[ord(c) for c in characters]] = 1 << bit
    return mark


def _presence(cores: Cores, index: Index) -> tuple[npt.NDArray[np.float64], ...]:
    """Return the rarity of characters only here, only there and in both, and what the single marks say."""
    sums, classes = np.zeros((3, len(cores.before))), np.zeros((2, len(cores.before)), np.int64)
    mark = _marks()
    for side, (own, other) in enumerate(((cores.here, cores.there), (cores.there, cores.here))):
        rarity = (index.frequencies if side else index.of_asked).rarity
        for place in range(int(cores.length_here.max() if side == 0 else cores.length_there.max()) if len(own) else 0):
            character = own[:, place]
            met, there = (other == character[:, None]).any(axis=1), character != 0
            sums[side] += np.where(there & ~met, rarity[character], 0)
            classes[side] |= np.where(met, 0, mark[character])
            if side == 0:
                sums[2] += np.where(there & met, rarity[character], 0)
    here, there = classes
    both = np.where(here & there, 3, 2)  # another number, or a number here and a direction there
    return *sums, np.where((here > 0) & (there > 0), both, ((here > 0) | (there > 0)).astype(np.int64))


def _rarest(cores: Cores, index: Index, *, of_asked: bool) -> Ints:
    """Return in how many names the rarest bigram stands that touches the window."""
    core, length, window = (
        (cores.here, cores.length_here, cores.window_here)
        if of_asked
        else (cores.there, cores.length_there, cores.window_there)
    )
    frequencies = index.of_asked if of_asked else index.frequencies
    rarest = np.full(len(core), _ABSENT, np.int64)
    for place in (cores.before - 1, cores.before, cores.before + window - 1):
        within = (place >= 0) & (place + 1 < length) & (place >= cores.before - 1) & (place < cores.before + window)
        rows = np.flatnonzero(within)
        pair = np.stack([core[rows, place[rows]], core[rows, place[rows] + 1]], axis=1)
        rarest[rows] = np.minimum(rarest[rows], frequencies.bigram(bigrams(pair)[:, 0]))
    return rarest


def _of_names(asked: Names, index: Index, pairs: Pairs) -> dict[str, Ints]:
    here, there = asked.take(pairs.asked), index.names.take(pairs.registered)
    given = np.flatnonzero(here.legal_rep)
    legal_rep = np.zeros(len(pairs), np.uint64)
    legal_rep[given] = index.legal_reps(pairs.registered[given])
    known = (here.prefecture > 0) & (there.prefecture > 0)
    province = np.where(here.prefecture // 100 == there.prefecture // 100, 2, 3)
    return {
        "region": _regions(here, there),
        "form": _FORM_RELATION[here.parts.form, there.parts.form],
        "legal_rep": np.where(legal_rep > 0, np.where(here.legal_rep == legal_rep, 1, 2), 0),
        "own_region": np.where(known, np.where(here.prefecture == there.prefecture, 1, province), 0),
        "note": (here.parts.note > 0) + 2 * (there.parts.note > 0).astype(np.int64),
    }


def _regions(asked: Names, registered: Names) -> Ints:
    """Return how the regions that the names state relate, as REGIONS numbers it."""
    here, there = asked.parts, registered.parts
    any_here = (here.province > 0) | (here.prefecture > 0) | (here.county > 0)
    any_there = (there.province > 0) | (there.prefecture > 0) | (there.county > 0)
    both = any_here & any_there
    same_prefecture = (here.prefecture > 0) & (here.prefecture == there.prefecture)
    same_county = (here.county > 0) & (here.county == there.county)
    other_county = (here.county > 0) & (there.county > 0) & ~same_county
    prefectures = (here.prefecture > 0) & (there.prefecture > 0) & ~same_prefecture
    provinces = (here.province > 0) & (there.province > 0)
    told = (  # what comes later is more certain
        ("only_there", any_there & ~any_here),
        ("only_here", any_here & ~any_there),
        ("compatible", both),
        ("province", both & provinces & (here.province == there.province)),
        ("prefecture", both & same_prefecture),
        ("county", both & same_county),
        ("other_county", both & other_county),
        ("other_county_near", both & other_county & same_prefecture),
        ("other_prefecture", both & prefectures & ~same_county),
        ("other_province", both & provinces & (here.province != there.province)),
    )
    relation = np.zeros(len(asked), np.int64)
    for name, rows in told:
        relation[rows] = REGIONS.index(name)
    return relation


def _rivals(pairs: Pairs, kind: Ints) -> dict[str, Ints]:
    """Count the other near candidates that each name asked has."""
    names = int(pairs.asked.max()) + 1 if len(pairs) else 0
    near, fairly = NEAR[kind].astype(np.int64), FAIRLY_NEAR[kind].astype(np.int64)
    others, far = (np.bincount(pairs.asked, f, names).astype(np.int64)[pairs.asked] - f for f in (near, fairly))
    alike = np.isin(kind, [KIND[k] for k in ("same_sound", "like_shape", "like_sound", "exchanged")])
    one = np.isin(kind, [KIND[k] for k in ("other_character", "one_more_here", "one_more_there")])
    return {
        "rivals": _bins(others, (0, 1, 2, 4, 8)),
        "near": np.where(kind == KIND["same"], 0, np.where(alike, 1, np.where(one, 2, 3))),
        "far_rivals": _bins(far, (0, 1, 3, 6, 9)),
    }


def _relate_forms() -> Ints:
    companies = {"limited", "stock", "company", "group"}

    def related(here: str, there: str) -> str:
        both = {here, there}
        rules = (
            ("same", len(both) == 1),
            ("missing_here", not here),
            ("missing_there", not there),
            ("limited_company", both == {"limited", "company"}),
            ("companies", both <= companies),
            ("branch", "branch" in both),
            ("company_factory", both <= companies | {"factory"}),
            ("trades", both <= {"factory", "shop", "institution", "partnership"}),
            ("cooperative", "cooperative" in both),
        )
        return next((name for name, holds in rules if holds), "other")

    return np.array([[FORM_RELATIONS.index(related(here, there)) for there in FORMS] for here in FORMS])


_FORM_RELATION = _relate_forms()
