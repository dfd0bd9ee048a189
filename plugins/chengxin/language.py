"""The language of a run: Chinese, or English by a catalogue whose keys are the Chinese texts.

Texts are written in Chinese where they are made. A key is a whole text, or a template with `{0}`, `{1}` for what is
filled in; `english` finds the template that a finished text came from and translates what was filled in as well.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal

import yaml

Language = Literal["zh", "en"]
_HOLE = re.compile(r"\{(\d+)\}")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_JOINTS = ("\n", "；", "、", "，")  # several texts in one line stand between these
_chosen: list[Language] = ["zh"]
_sources: list[Callable[[], Mapping[str, str]]] = []


def choose(language: Language) -> None:
    """Set the language of this process."""
    _chosen[:] = [language]


def chosen() -> Language:
    """Return the language of this process; Chinese unless another was chosen."""
    return _chosen[0]


def add(source: Callable[[], Mapping[str, str]]) -> None:
    """Add Chinese texts that have their English elsewhere; the function is called when English is first asked for."""
    _sources.append(source)
    _catalogue.cache_clear()
    english.cache_clear()


def wanted(arguments: Sequence[str], environment: Mapping[str, str]) -> Language:
    """Return the language that a command line asks for: `--lang`, else LC_ALL, LC_MESSAGES or LANG, else Chinese."""
    for before, argument in zip(("", *arguments), arguments, strict=False):
        if argument.startswith("--lang=") or before == "--lang":
            return "en" if argument.removeprefix("--lang=") == "en" else "zh"
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), "")
    return "en" if locale.startswith("en") else "zh"


def told(text: str) -> str:
    """Return a text in the language of this process."""
    return english(text) if chosen() == "en" else text


@lru_cache(maxsize=4096)
def english(text: str) -> str:
    """Return the English of a text; a text of the data (a department's name), or one without a key, as it is."""
    known = _catalogue()
    core = text.strip()
    if core in known.texts:
        return text.replace(core, known.texts[core], 1) if core else text
    if not _CHINESE.search(text):
        return text.replace("、", ", ")
    near = [template for template in known.templates if template.landmark in core]
    for template in near:
        if found := template.narrow.fullmatch(core):
            return text.replace(core, template.fill(found.groups()), 1)
    sentences = re.findall(r"[^。]+。?", core)
    if len(sentences) > 1 and all(_sentence(part) != part for part in sentences):
        return text.replace(core, " ".join(map(_sentence, sentences)), 1)
    parts = core.split("；")
    if len(parts) > 1 and all(english(part) != part for part in parts):
        return text.replace(core, "; ".join(map(english, parts)), 1)
    for template in near:
        if found := template.wide.fullmatch(core):
            return text.replace(core, template.fill(found.groups()), 1)
    for joint in _JOINTS:
        if joint in text:
            return (joint if joint == "\n" else {"；": "; "}.get(joint, ", ")).join(map(english, text.split(joint)))
    return text


def _sentence(text: str) -> str:
    """Return the English of a sentence whose key may lack its full stop."""
    if (said := english(text)) != text or not text.endswith("。"):
        return said
    said = english(text[:-1])
    return said + "." if said != text[:-1] else text


@dataclass(frozen=True)
class _Template:
    """narrow: what is filled in holds no list of sentences; wide: it may."""

    narrow: re.Pattern[str]
    wide: re.Pattern[str]
    landmark: str
    places: tuple[str, ...]
    english: str

    def fill(self, texts: Sequence[str]) -> str:
        """Return the English with what was filled in, translated as well."""
        filled = dict(zip(self.places, map(english, texts), strict=True))
        return _HOLE.sub(lambda hole: filled[hole[1]], self.english)


@dataclass(frozen=True)
class _Catalogue:
    texts: dict[str, str]
    templates: tuple[_Template, ...]


@cache
def _catalogue() -> _Catalogue:
    body: dict[str, str] = yaml.load(
        files("chengxin").joinpath("english.yaml").read_text("utf-8"), Loader=yaml.CSafeLoader
    )
    for source in _sources:
        body = {**source(), **body}
    holed = sorted((key for key in body if _HOLE.search(key)), key=lambda key: -len(_HOLE.sub("", key)))
    return _Catalogue(body, tuple(_template(key, body[key]) for key in holed))


def _template(key: str, said: str) -> _Template:
    pieces = _HOLE.split(key)  # text, place, text, place, ..., text
    texts, places = pieces[::2], tuple(pieces[1::2])
    narrow, wide = (re.compile(hole.join(map(re.escape, texts)), re.DOTALL) for hole in ("([^；]*?)", "(.*?)"))
    return _Template(narrow, wide, max(texts, key=len), places, said)
