"""The English of titles, codes and rules, which stands beside the Chinese in the model's own files."""

import re
from itertools import count

from chengxin.model.codelists import codelists
from chengxin.model.elements import elements
from chengxin.model.kinds import kinds
from chengxin.model.rules import batch_rules, rules

_HOLE = re.compile(r"\{(\w+)\}")
_CHINESE = re.compile("[\u4e00-\u9fff]")


def texts() -> dict[str, str]:
    """Return Chinese text, or template with {0}, {1}, to English."""
    words = {code.name: code.name_en for codes in codelists().values() for code in codes.values()}
    words |= {one.title: one.title_en for group in (elements(), kinds()) for one in group.values()}
    for rule in (*rules().values(), *batch_rules().values()):
        pairs = ((rule.zh, rule.en), (rule.mend_zh, rule.mend_en))
        words |= dict(_numbered(*pair) for pair in pairs if _CHINESE.search(_HOLE.sub("", pair[0])))
    return words


def _numbered(zh: str, en: str) -> tuple[str, str]:
    """Return a pair of sentences with their named places numbered in the order of the Chinese one."""
    numbers = count()
    places = {name: f"{{{next(numbers)}}}" for name in dict.fromkeys(_HOLE.findall(zh))}
    one, other = (_HOLE.sub(lambda hole: places[hole[1]], text) for text in (zh, en))
    return one, other
