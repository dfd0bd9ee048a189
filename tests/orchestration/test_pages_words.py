"""Every text of the pages has its English, and every English text is still of use."""

import ast
import re
from itertools import chain

import yaml

from airflow_home import PROJECT
from chengxin.operations.alerts.causes import KINDS

PAGES = PROJECT / "plugins" / "chengxin" / "orchestration" / "pages"
CHINESE = re.compile("[\u4e00-\u9fff]")
OWN = yaml.safe_load((PAGES / "english.yaml").read_text("utf-8"))
WORDS = yaml.safe_load((PAGES.parents[1] / "english.yaml").read_text("utf-8")) | OWN
TEMPLATES = {path.name: path.read_text("utf-8") for path in sorted((PAGES / "templates").glob("*.j2"))}


def asked() -> set[str]:
    """Return the Chinese literals inside t(...) and inside template expressions that are handed to it."""
    inside = chain.from_iterable(re.findall(r"\{[{%].*?[%}]\}", text, re.DOTALL) for text in TEMPLATES.values())
    return {text for part in inside for text in re.findall(r"[\"']([^\"']*)[\"']", part) if CHINESE.search(text)}


def test_every_chinese_text_of_a_template_has_its_english():
    levels = {"优", "良", "中", "差", "中文", "、", "迟"}
    assert sorted(asked() - WORDS.keys() - levels) == []


def phrases() -> set[str]:
    """Return the Chinese literals of the modules whose texts the templates hand to t(...), docstrings left out."""
    found = set()
    for name in ("actions", "needs", "overview_page", "run_results"):
        for node in ast.walk(ast.parse((PAGES / f"{name}.py").read_text("utf-8"))):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                found.discard(node.value.value)
            for inner in ast.iter_child_nodes(node) if not isinstance(node, ast.Expr) else ():
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and CHINESE.search(inner.value):
                    found.add(inner.value)
    return {text for text in found if " (" not in text}  # what a refusal says brings its English along


def test_every_text_that_the_pages_compose_has_its_english():
    assert sorted(phrases() - WORDS.keys() - {"、", "信用中心"}) == []


def test_no_template_says_something_past_the_translation():
    bare = {
        name: CHINESE.findall(re.sub(r"\{[{%].*?[%}]\}", "", text, flags=re.DOTALL)) for name, text in TEMPLATES.items()
    }
    assert {name: found for name, found in bare.items() if found} == {}


def test_every_kind_of_alert_and_what_to_press_has_its_english():
    assert [text for kind in KINDS.values() for text in (kind.name, kind.press) if text not in WORDS] == []


def test_no_text_has_two_english_ones():
    lines = (PAGES / "english.yaml").read_text("utf-8").splitlines()
    keys = [line.split(": ")[0].strip('"') for line in lines if ": " in line and not line.startswith(("#", " "))]
    assert len(keys) == len(OWN) == len(set(keys))
