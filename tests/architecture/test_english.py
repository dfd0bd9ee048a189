"""The English catalogue is whole, of use and consistent: what the command line may print has its English."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from chengxin import language

PACKAGE = Path(language.__file__).parent
CATALOGUE: dict[str, str] = yaml.safe_load((PACKAGE / "english.yaml").read_text("utf-8"))
CHINESE = re.compile("[\u4e00-\u9fff]")
HOLE = re.compile(r"\{(\d+)\}")
BETWEEN = re.compile(r"\{\d+\}|[。；，：、（）“”『』「」【】]|\s+")
#: What is raised for readers over HTTP, who are answered in both languages at once.
OVER_HTTP = ("orchestration/pages/", "sharing/http/")


def template(node: ast.AST) -> str | None:
    """Return a text of the source as a key: what is filled in stands as {0}, {1}."""
    if isinstance(node, ast.JoinedStr):
        places = iter(range(len(node.values)))
        return "".join(str(v.value) if isinstance(v, ast.Constant) else f"{{{next(places)}}}" for v in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def texts(root: ast.AST) -> Iterator[str]:
    """Yield the texts below a node, without docstrings and without the pieces of what is yielded as a whole."""
    if isinstance(root, ast.Expr) and isinstance(root.value, ast.Constant):
        return
    if (text := template(root)) is not None:
        yield text
    for child in [] if isinstance(root, ast.Constant) else ast.iter_child_nodes(root):
        if not (isinstance(root, ast.JoinedStr) and isinstance(child, ast.Constant)):
            yield from texts(child)


@cache
def sources() -> dict[str, ast.Module]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8")) for path in paths}


def without_key(found: Iterator[str]) -> list[str]:
    return sorted({text.strip() for text in found if CHINESE.search(text)} - CATALOGUE.keys())


def test_all_texts_of_the_commands_have_their_english() -> None:
    assert without_key(t for name, tree in sources().items() if name.startswith("cli/") for t in texts(tree)) == []


def test_all_raised_sentences_have_their_english() -> None:
    trees = [tree for name, tree in sources().items() if not name.startswith(OVER_HTTP)]
    raised = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    assert without_key(t for node in raised for t in texts(node)) == []


def test_every_key_is_still_of_use() -> None:
    nodes = [node for tree in sources().values() for node in ast.walk(tree)]  # help stands in docstrings
    written = "\n".join(t for node in nodes if (t := template(node)) and CHINESE.search(t))
    written += "\n".join(path.read_text("utf-8") for path in sorted((PACKAGE / "model").rglob("*.yaml")))
    clauses = {key: [c for c in BETWEEN.split(key) if CHINESE.search(c)] for key in CATALOGUE}
    assert [key for key, parts in clauses.items() if not all(part in written for part in parts)] == []


def test_a_text_and_its_english_have_the_same_places() -> None:
    places = [(key, set(HOLE.findall(key)), set(HOLE.findall(said))) for key, said in CATALOGUE.items()]
    assert [key for key, chinese, english in places if chinese != english] == []


def test_no_key_would_take_any_text() -> None:
    bare = [key for key in CATALOGUE if HOLE.search(key) and not re.search(r"\w", HOLE.sub("", key))]
    assert bare == ["{0}："]  # of a text that ends so


def test_the_catalogue_is_sorted_and_has_no_key_twice() -> None:
    lines = (PACKAGE / "english.yaml").read_text("utf-8").splitlines()[1:]
    keys = [yaml.safe_load(f"{{{line}}}").popitem()[0] for line in lines]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("key", [key for key in sorted(CATALOGUE) if not HOLE.search(key)][::25])
def test_a_text_of_the_catalogue_is_translated(key: str) -> None:
    assert language.english(key) == CATALOGUE[key]
