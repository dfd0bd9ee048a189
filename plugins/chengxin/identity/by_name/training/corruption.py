"""Names as departments write them: one to three errors each, drawn from a seed.

A wrong character is drawn as often as it is usual in names: rare ones would give typing errors away.
"""

import random
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import numpy as np

from chengxin.identity.by_name.characters import characters, like_shape
from chengxin.identity.by_name.places import places
from chengxin.identity.by_name.training.vocabulary import words
from chengxin.identity.by_name.words import words as name_words

_ERRORS = {"typing": 46, "region": 16, "form": 14, "bracket": 4, "note": 6, "cut": 6, "traditional": 2,
           "moved_region": 3, "digit": 2, "form_typing": 2}  # fmt: skip
_TYPING = {"sound": 36, "shape": 26, "dropped": 12, "doubled": 5, "inserted": 6, "exchanged": 5, "any": 10}
_HOW_MANY = {1: 72, 2: 23, 3: 5}
_USUAL, _INSERTED = 2500, 800  # characters, of those most usual
_DIGITS = dict(zip("一二三四五六七八九", "123456789", strict=True))

Kind = TypeVar("Kind", str, int)


@cache
def _traditional() -> dict[str, str]:
    found: dict[str, str] = {}
    for code, simplified in characters().simplified.items():
        found.setdefault(simplified, chr(code))
    return found


class Corruption:
    """Errors as they happen in names like those of a corpus."""

    def __init__(self, corpus: Sequence[str], seed: int) -> None:
        """Learn which characters are usual."""
        self.draw = random.Random(seed)  # noqa: S311  # the same in every run
        counts = Counter(c for name in corpus for c in name if "\u4e00" <= c <= "\u9fff")
        usual = [c for c, _ in counts.most_common(_USUAL)]
        self.weight = {c: n**0.75 for c, n in counts.items()}
        self.usual = usual[:_INSERTED]
        codes = np.array([ord(c) for c in usual], np.uint16)
        sounds = characters().sounds[codes]
        self.sound = {
            c: [usual[o] for o in np.flatnonzero((sounds == sounds[row, 0]).any(axis=1)) if o != row]
            for row, c in enumerate(usual)
            if sounds[row, 0]
        }
        shapes = ((c, like_shape(np.full(len(codes), ord(c), np.uint16), codes)) for c in usual)
        self.shape = {c: [usual[o] for o in np.flatnonzero(alike) if usual[o] != c] for c, alike in shapes}

    def corrupt(self, name: str) -> str:
        """Return a name with one to three errors."""
        for _ in range(self._kind(_HOW_MANY)):
            name = self._error(name)
        return name

    def _kind(self, shares: dict[Kind, int]) -> Kind:
        return self.draw.choices(list(shares), list(shares.values()))[0]

    def _pick(self, among: Sequence[str]) -> str:
        return self.draw.choices(among, [self.weight.get(c, 1) for c in among])[0]

    def _error(self, name: str) -> str:
        regions, middle, form = split(name)
        match self._kind(_ERRORS):
            case "typing":
                middle = self._typing(middle)
            case "region":
                regions = self._region(regions)
            case "form":
                form = self._form(form)
            case "bracket":
                form += self.draw.choice(words()["bracketed"])
            case "note":
                said = self.draw.choice(middle) + self._pick(self.usual)
                said += self._pick(self.usual) if self.draw.random() < 0.5 else ""
                form += self.draw.choice(words()["notes"]).format(said)
            case "cut":
                middle = self._cut(middle)
            case "traditional":
                middle = "".join(_traditional().get(c, c) for c in middle)
            case "moved_region" if regions:
                return f"{middle}({regions[-1].rstrip('省市')}){form}"
            case "digit":
                found = next((c for c in _DIGITS if c in middle), "")
                middle = middle.replace(found, _DIGITS[found]) if found else middle
            case "form_typing" if len(form) > 2:
                at = self.draw.randrange(len(form))
                dropped, wrong = form[:at] + form[at + 1 :], form[:at] + self._pick(self.usual) + form[at + 1 :]
                form = self.draw.choice([dropped, form[: at + 1] + form[at:], wrong])
        return "".join(regions) + middle + form

    def _typing(self, text: str) -> str:
        at = self.draw.randrange(len(text))
        before, character, after = text[:at], text[at], text[at + 1 :]
        kind = self._kind(_TYPING)
        if kind == "sound" and self.sound.get(character):
            return before + self._pick(self.sound[character]) + after
        if kind in {"sound", "shape"} and self.shape.get(character):
            return before + self._pick(self.shape[character]) + after
        if kind == "dropped" and len(text) > 3:
            return before + after
        if kind == "doubled":
            return before + character + text[at:]
        if kind == "inserted":
            return before + self._pick(self.usual) + text[at:]
        if kind == "exchanged" and after and character != after[0]:
            return before + after[0] + character + after[1:]
        return before + self._pick(self.usual) + after

    def _region(self, regions: list[str]) -> list[str]:
        if not regions:
            return [self.draw.choice(["湖南", "湖南省", "中国"])]
        kind = self.draw.random()
        if kind < 0.35:
            return regions[1:] if len(regions) > 1 or self.draw.random() < 0.6 else regions
        at = self.draw.randrange(len(regions))
        if kind < 0.6:
            word = regions[at]
            short = word[-1] in "省市县区" and len(word) > 2
            longer = word + self.draw.choices("市县省", [60, 24, 16])[0]
            return [*regions[:at], word[:-1] if short else longer, *regions[at + 1 :]]
        if kind < 0.8:
            return regions[1:] if regions[0].startswith("湖南") else [self.draw.choice(["湖南省", "湖南"]), *regions]
        return [*regions[:-1], self._typing(regions[-1])] if kind < 0.9 else [regions[at]]

    def _form(self, form: str) -> str:
        if form in {"有限责任公司", "有限公司", "股份有限公司"}:
            if self.draw.random() < 0.8:
                return str(self.draw.choice(words()["limited_as"]))
            return "有限责任公司" if form == "有限公司" else "有限公司"
        if form:
            return self.draw.choice(["", form + "(普通合伙)", form + "有限公司", "有限公司", form[:-1]])
        return str(self.draw.choice(words()["missing_form"]))

    def _cut(self, text: str) -> str:
        if len(text) <= 4:
            return text
        kind = self.draw.random()
        if kind < 0.4:
            return text[: self.draw.randrange(max(3, len(text) - 3), len(text))]
        if kind < 0.7:
            at = self.draw.randrange(2, len(text) - 1)
            return text[:at] + text[at + self.draw.randrange(1, 3) :]
        return text[:2] + str(self.draw.choice(words()["inserted_trades"])) + text[2:]


def split(name: str) -> tuple[list[str], str, str]:
    """Return at most three region words at the head of a name, its middle, and its legal form."""
    regions: list[str] = []
    known, forms = places().words, name_words().forms
    while len(regions) < 3:
        word = next((name[:size] for size in range(8, 1, -1) if name[:size] in known and len(name) - size >= 4), None)
        if word is None:
            break
        regions.append(word)
        name = name[len(word) :]
    form = next((name[-size:] for size in range(12, 0, -1) if name[-size:] in forms and len(name) - size >= 2), "")
    return regions, name.removesuffix(form), form


def recombined(names: Sequence[str], count: int, seed: int) -> list[str]:
    """Return names made of the parts of others: region, trade name and rest of three of them."""
    draw = random.Random(seed)  # noqa: S311
    parts = [split(name.replace("(", "").replace(")", "")) for name in names]
    good = [p for p in parts if p[0] and 3 <= len(p[1]) <= 9 and "公司" not in p[1]]
    known, found = set(names), dict[str, None]()
    while len(found) < count:
        region, trade_name, rest = (draw.choice(good) for _ in range(3))
        replaced = 2 if len(rest[1]) > 3 else 1
        name = "".join(region[0]) + trade_name[1][:2] + rest[1][replaced:] + rest[2]
        if name not in known:
            found[name] = None
    return list(found)
