"""Words of administrative divisions at the head of a name: whole or short, of today or abolished."""

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from chengxin.identity.by_name.hashes import Hashes, Ints, Mask, mix, text_hash
from chengxin.model.regions import Region, regions

_LEVELS = {"province": 1, "prefecture": 2, "county": 3}
_KIND = re.compile(
    r"(?:特别行政区|壮族自治区|回族自治区|维吾尔自治区|自治区|(?:[\u4e00-\u9fff]{1,3}族)*自治[州县旗]|地区|林区|矿区|省|市|区|县|盟|旗)$"
)
_SIEVE = 44  # bits of a hash that the sieve before the search does not look at


@dataclass(frozen=True)
class Places:
    """What each word says, in the order of the hashes.

    level: 1 province, 2 prefecture, 3 county; province, prefecture: their two and four digits, 0 where several fit;
    county: a number of the short word, so that 甲县 and 甲市 are the same county.
    """

    words: dict[str, int]
    hashes: Hashes
    lengths: tuple[int, ...]
    level: Ints
    province: Ints
    prefecture: Ints
    county: Ints
    sieve: Mask

    def find(self, hashes: Hashes) -> Ints:
        """Return the places of the words with these hashes, -1 where there is none."""
        found = np.full(len(hashes), -1, np.int64)
        likely = np.flatnonzero(self.sieve[mix(hashes) >> np.uint64(_SIEVE)])
        place = np.minimum(np.searchsorted(self.hashes, hashes[likely]), len(self.hashes) - 1)
        equal = self.hashes[place] == hashes[likely]
        found[likely[equal]] = place[equal]
        return found


def short_form(name: str) -> str:
    """Return the name of a division without its kind: 甲 of 甲市, 乙 of 乙县."""
    for _ in range(3):
        short = _KIND.sub("", name)
        if len(short) < 2 or short == name:
            break
        name = short
    return name


@cache
def places() -> Places:
    """Return all words of the provinces and of Hunan's divisions, those of today and those that were."""
    spoken: dict[str, list[Region]] = {}
    for region in regions():
        if region.name and region.name != "市辖区" and region.level in _LEVELS:
            for word in dict.fromkeys((region.name, short_form(region.name))):
                spoken.setdefault(word, []).append(region)
    meanings = {text_hash(word): _meaning(bearers) for word, bearers in spoken.items()}
    order = sorted(meanings)
    hashes = np.array(order, np.uint64)
    level, province, prefecture, county = np.array([meanings[h] for h in order], np.int64).T
    sieve = np.zeros(1 << (64 - _SIEVE), np.bool_)
    sieve[mix(hashes) >> np.uint64(_SIEVE)] = True
    number = {h: place for place, h in enumerate(order)}
    where = {word: number[text_hash(word)] for word in spoken}
    lengths = tuple(sorted({len(word) for word in spoken}, reverse=True))
    return Places(where, hashes, lengths, level, province, prefecture, county, sieve)


def _meaning(bearers: list[Region]) -> tuple[int, int, int, int]:
    """Return level, province, prefecture and county of a word: the highest level counts, names in use come first."""
    level = min(_LEVELS[r.level] for r in bearers)
    bearers = [r for r in bearers if _LEVELS[r.level] == level]
    bearers = [r for r in bearers if r.valid_to is None and not r.successor] or bearers
    provinces, prefectures = ({r.code[:digits] for r in bearers} for digits in (2, 4))
    province = int(provinces.pop()) if len(provinces) == 1 else 0
    prefecture = int(prefectures.pop()) if level > 1 and len(prefectures) == 1 else 0
    county = text_hash(short_form(bearers[0].name)) >> 33 if level == 3 else 0
    return level, province, prefecture, county
