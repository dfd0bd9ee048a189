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
_NARROW = r"((?:[^；\n（）]|（[^；\n（）]*）)*?)"
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_JOINTS = {"；": "; ", "｜": " | ", "、": ", ", "，": ", "}  # several texts in one line stand between these
_MARKS = ("✗", "✓")
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


def localise(text: str) -> str:
    """Return a text in the language of this process."""
    return english(text) if chosen() == "en" else text


@lru_cache(maxsize=4096)
def english(text: str) -> str:
    """Return the English of a text; a text of the data (a department's name), or one without a key, as it is."""
    core = text.strip()
    if not core or not _CHINESE.search(text):
        return text.replace("、", ", ").replace("：", ": ")
    if (whole := _whole(core)) is not None:
        return text.replace(core, whole, 1)
    if "\n" in core:
        return "\n".join(map(english, text.split("\n")))
    if core[0] in _MARKS:
        return text.replace(core[1:], english(core[1:]), 1)
    return text.replace(core, _of_parts(core), 1)


def _whole(core: str) -> str | None:
    """Return the English of a text that has a key, or a template that no list of sentences fills; else None."""
    known = _catalogue()
    if core in known.texts:
        return known.texts[core]
    if (said := known.texts.get(core + "。")) is not None:
        return said.removesuffix(".")
    if core.endswith("。") and (said := _whole(core[:-1])) is not None:
        return f"{said}."
    near = (template for template in known.templates if template.landmark in core)
    return next((t.fill(found.groups()) for t in near if (found := t.narrow.fullmatch(core))), None)


def _of_parts(core: str) -> str:
    """Return the English of a line made of sentences, of clauses, or of a template that several of them fill."""
    near = [template for template in _catalogue().templates if template.landmark in core]
    wide = [(template, found) for template in near if (found := template.wide.fullmatch(core))]
    sentences = re.findall(r"[^。]+。?", core)
    if len(sentences) > 1:
        whole = next((template.fill(found.groups()) for template, found in wide if template.of_sentences), None)
        return whole or " ".join(map(_sentence, sentences))
    head, _, rest = core.partition("：")
    if rest and (said := _whole(rest)) is not None:
        if frame := _catalogue().texts.get(head + "：{0}"):
            return frame.replace("{0}", said)
        if not _CHINESE.search(head):  # the place, then what is wrong there
            return f"{head}: {said}"
    clauses = [_whole(clause) for clause in core.split("；")]
    if None not in clauses:
        return "; ".join(map(str, clauses))
    for template, found in wide:
        return template.fill(found.groups())
    if core.endswith("。"):
        return _sentence(core)
    joint = next((joint for joint in _JOINTS if joint in core), None)
    if joint is None:
        return core
    parts = core.split(joint)
    words = [english(part) for part in parts]
    return core if words == parts else _JOINTS[joint].join(words)  # a value of the data keeps its own commas


def _sentence(text: str) -> str:
    """Return the English of one sentence; a text without a key keeps its stop."""
    if (said := _whole(text)) is not None:
        return said
    said = english(text.removesuffix("。"))
    return text if said in text else f"{said}." if text.endswith("。") else said


@dataclass(frozen=True)
class _Template:
    """narrow: what is filled in is of one line, holds no list of sentences and closes its brackets; wide: anything.

    of_sentences: it is several sentences itself.
    """

    narrow: re.Pattern[str]
    wide: re.Pattern[str]
    landmark: str
    places: tuple[str, ...]
    english: str
    of_sentences: bool

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
    narrow, wide = (re.compile(hole.join(map(re.escape, texts)), re.DOTALL) for hole in (_NARROW, "(.*?)"))
    return _Template(narrow, wide, max(texts, key=len), places, said, "。" in key[:-1])
