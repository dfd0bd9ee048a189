"""A name taken apart: administrative region, core (trade name and trade), legal form, note. All in numpy, 10 µs a name.

The core is what distinguishes. Trade name and trade stay together in it: what weighs is how rare their characters are.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from chengxin.identity.by_name.characters import characters
from chengxin.identity.by_name.hashes import Codes, Hashes, Ints, matrix, prefixes, substrings, text_hash
from chengxin.identity.by_name.places import Places, places
from chengxin.identity.by_name.words import FORMS, words

#: Characters of a core that are compared, and of a name that are looked at.
CORE, NAME = 24, 40
_BRACKETS = {ord(a): "(" for a in "[{〔【〈《"} | {ord(a): ")" for a in "]}〕】〉》"}
_DROPPED, _STRANGE = re.compile(r"[^\w()]|_"), re.compile(r"[^\u4e00-\u9fff]")
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
_ONLY_FORM = re.compile(r"^(?:公司|有限|责任|厂|店|司)+$")
_KIND_OF_PLACE = [ord(c) for c in "市省县"]
_FACTORY, _PARTNERSHIP = FORMS.index("factory"), FORMS.index("partnership")


@dataclass(frozen=True)
class Parts:
    """Names, one row each. start, end: where the core stands in the normal form; place numbers as in `Places`.

    note: a hash of what stands in brackets and is neither region nor form; 0 = nothing. whole: one of the name as
    `shorten` returns it.
    """

    core: Codes
    length: Ints
    start: Ints
    end: Ints
    province: Ints
    prefecture: Ints
    county: Ints
    form: Ints
    note: Ints
    whole: Hashes

    def __len__(self) -> int:
        return len(self.length)

    def take(self, rows: slice | Ints) -> "Parts":
        """Return some of the names."""
        return Parts(*(getattr(self, field.name)[rows] for field in fields(self)))

    def text(self, row: int) -> str:
        """Return a core as text."""
        return "".join(map(chr, self.core[row, : self.length[row]]))


def joined(several: Sequence[Parts]) -> Parts:
    """Return the names of several, one behind the other."""
    return Parts(*(np.concatenate([getattr(part, field.name) for part in several]) for field in fields(Parts)))


def normal_form(name: str) -> str:
    """Return a name in half width, upper case, simplified characters, with one kind of brackets and no other marks."""
    if _STRANGE.search(name):
        name = _DROPPED.sub("", unicodedata.normalize("NFKC", name).upper().translate(_BRACKETS))
    return name.translate(characters().simplified)


@dataclass(frozen=True)
class _Told:
    """What brackets say of a name, and the name without them."""

    name: str
    form: int = 0
    note: str = ""
    regions: tuple[int, ...] = ()


def _without_brackets(name: str) -> _Told:
    if "(" not in name and ")" not in name:
        return _Told(_without_inner_form(name))
    form, note, found = 0, "", list[int]()
    for content in _IN_BRACKETS.findall(name):
        if content in words().in_brackets:
            form = words().in_brackets[content]
        elif content in places().words:
            found.append(places().words[content])
        elif content:
            note += content
    rest = _IN_BRACKETS.sub("", name)
    if len(rest) < 2:
        rest = name
    opened = rest.find("(")
    if opened >= 4:  # never closed: what follows is a note
        rest, note = rest[:opened], note + rest[opened + 1 :]
    return _Told(_without_inner_form(rest.replace("(", "").replace(")", "")), form, note, tuple(found))


def _without_inner_form(name: str) -> str:
    if not (0 < name.find("公司") < len(name) - 2 or "有限责任" in name):
        return name
    inner = words().inner
    found = inner.search(name)
    if found is None or found.start() < 2 or _ONLY_FORM.match(name[found.end() :]):
        return name
    return name[: found.start()] + inner.sub("", name[found.end() :])


def shorten(name: str) -> str:
    """Return what is taken apart: the normal form without brackets and without a legal form in the middle."""
    return _without_brackets(normal_form(name)).name


def parse(names: Sequence[str]) -> Parts:
    """Take names apart."""
    told = [_without_brackets(normal_form(name)) for name in names]
    codes, length = matrix([t.name for t in told], NAME)
    hashes = prefixes(codes)
    region = _Region(places(), *(np.zeros(len(told), np.int64) for _ in range(4)))
    start = _cut_regions(region, codes, hashes, length)
    for place in range(max((len(t.regions) for t in told), default=0)):
        rows = [row for row, t in enumerate(told) if len(t.regions) > place]
        region.add(np.array(rows), np.array([told[row].regions[place] for row in rows]))
    end, form = _cut_form(hashes, start, length)
    bracketed = np.array([t.form for t in told], np.int64)
    form = np.where((bracketed > 0) & ((form == 0) | (bracketed == _PARTNERSHIP)), bracketed, form)
    short = end - start < 2
    start, end = np.where(short, 0, start), np.where(short, length, end)
    size = np.minimum(end - start, CORE)
    place = np.minimum(start[:, None] + np.arange(CORE), NAME - 1)
    core = np.where(np.arange(CORE) < size[:, None], np.take_along_axis(codes, place, axis=1), 0).astype(np.uint16)
    note = np.array([text_hash(t.note) >> 1 for t in told], np.int64)
    whole = hashes[np.arange(len(told)), length]
    return Parts(core, size, start, end, region.province, region.prefecture, region.county, form, note, whole)


@dataclass(frozen=True)
class _Region:
    """What the words found so far say of each name's place."""

    words: Places
    level: Ints
    province: Ints
    prefecture: Ints
    county: Ints

    def add(self, rows: Ints, word: Ints) -> None:
        """Let words say where names are; what stands before is not contradicted."""
        province, prefecture = self.words.province[word], self.words.prefecture[word]
        level = self.words.level[word]
        self.province[rows] = np.where(self.province[rows] == 0, province, self.province[rows])
        fits = (prefecture > 0) & ((self.province[rows] == 0) | (prefecture // 100 == self.province[rows]))
        self.prefecture[rows] = np.where((self.prefecture[rows] == 0) & fits, prefecture, self.prefecture[rows])
        county = (level == 3) & (self.county[rows] == 0)
        self.county[rows] = np.where(county, self.words.county[word], self.county[rows])
        self.level[rows] = np.maximum(self.level[rows], level)


def _cut_regions(region: _Region, codes: Codes, hashes: Hashes, length: Ints) -> Ints:
    """Return where names go on behind at most three region words of descending levels; the longest word counts."""
    start = np.zeros(len(length), np.int64)
    for _ in range(3):
        left = np.ones(len(length), np.bool_)
        for size in region.words.lengths:
            rows = np.flatnonzero(left & (length - start >= size + 3) & (region.level < 3))
            if not len(rows):
                continue
            word = region.words.find(substrings(hashes, rows, start[rows], start[rows] + size))
            rows, word = rows[word >= 0], word[word >= 0]
            lower = region.words.level[word] > region.level[rows]
            rows, word = rows[lower], word[lower]
            if not len(rows):
                continue
            region.add(rows, word)
            start[rows] += size
            left[rows] = False
        if left.all():
            break
        # a lone 市 behind a short form was a part of it
        rows = np.flatnonzero(~left & (length - start >= 3))
        start[rows[np.isin(codes[rows, start[rows]], _KIND_OF_PLACE)]] += 1
    return start


@cache
def _forms() -> tuple[Hashes, Ints, Ints, tuple[int, ...]]:
    """Return hashes of the words of legal forms, in order, with class and characters cut; and the lengths there are."""
    found = sorted((text_hash(word), *what) for word, what in words().forms.items())
    hashes, form, cut = zip(*found, strict=True)
    lengths = tuple(sorted({len(word) for word in words().forms}, reverse=True))
    return np.array(hashes, np.uint64), np.array(form, np.int64), np.array(cut, np.int64), lengths


def _cut_form(hashes: Hashes, start: Ints, length: Ints) -> tuple[Ints, Ints]:
    """Return where cores end, and the class of the legal form; a second one (公司 before 有限公司) is cut as well."""
    known, classes, cut, lengths = _forms()
    end, form = length.copy(), np.zeros(len(length), np.int64)
    for again in (False, True):
        left = form > 0 if again else np.ones(len(length), np.bool_)
        for size in lengths:
            rows = np.flatnonzero(left & (end - start >= size + 1 + again))
            if not len(rows):
                continue
            asked = substrings(hashes, rows, end[rows] - size, end[rows])
            place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
            equal = known[place] == asked
            if again:
                equal &= classes[place] <= _FACTORY
            rows, place = rows[equal], place[equal]
            if not again:
                form[rows] = classes[place]
            end[rows] -= cut[place]
            left[rows] = False
    return end, form
