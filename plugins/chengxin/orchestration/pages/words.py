"""The English of the pages. The Chinese text is the key, so the templates read as the pages do.

Only what pages alone say is here; texts that commands print too have their English in the catalogue of the package.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from chengxin import language
from chengxin.model.english import texts

language.add(texts)


@cache
def _words() -> dict[str, str]:
    text = files("chengxin.orchestration.pages").joinpath("english.yaml").read_text("utf-8")
    return dict(yaml.safe_load(text))


def english(text: str) -> str:
    """Return the English of a text of the pages; a text of the data (a department's name) stays as it is."""
    return said if (said := _words().get(text)) is not None else language.english(text)


def in_words(rules: Iterable[Any]) -> list[dict[str, Any]]:
    """Return rows of the index that name a rule, with its words in both languages."""
    from chengxin.operations.index.rows import reason

    return [{**dict(r), "zh": (w := reason(r["rule"], "", "")).zh, "en": w.en} for r in rules]
