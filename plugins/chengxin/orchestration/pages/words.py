"""The English of the pages. The Chinese text is the key, so the templates read as the pages do.

Only what pages alone say is here; texts that commands print too have their English in the catalogue of the package.
"""

from functools import cache
from importlib.resources import files

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
