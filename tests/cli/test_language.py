"""One language a run: Chinese unless English is asked for, the sentences of click included."""

import gettext
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from pipeline_runs import told

from chengxin import language
from chengxin.model.english import texts

language.add(texts)  # as a run does that speaks English

PACKAGE = Path(language.__file__).parent
CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, "zh"),
        ([], {"LANG": "C.UTF-8"}, "zh"),
        ([], {"LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "en_US.UTF-8"}, "en"),
        ([], {"LANG": "en_US.UTF-8", "LC_ALL": "zh_CN.UTF-8"}, "zh"),
        (["--lang", "en"], {"LANG": "zh_CN.UTF-8"}, "en"),
        (["--lang=zh"], {"LANG": "en_GB.UTF-8"}, "zh"),
    ],
)
def test_the_option_wins_over_the_locale(arguments: list[str], environment: dict[str, str], expected: str) -> None:
    assert language.wanted(arguments, environment) == expected


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["quarantine", "close", "--help"], ["nothing"]])
def test_a_run_speaks_one_language(words: list[str], tmp_path: Path) -> None:
    chinese, english = (told(["--lang", lang, *words], tmp_path) for lang in ("zh", "en"))
    shown = english.stdout + english.stderr
    assert not CHINESE.search(shown), shown
    for heading in ("Usage", "Options", "Commands", "Error", "Show this", "No such"):
        assert heading not in chinese.stdout + chinese.stderr


def test_templates_are_found_again_in_finished_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    made = language._Catalogue(
        {"暂缓": "held", "有 {0} 行，{1}": "{1}: {0} rows", "有 {0} 行": "{0} rows"},
        tuple(map(language._template, ("有 {0} 行，{1}", "有 {0} 行"), ("{1}: {0} rows", "{0} rows"))),
    )
    monkeypatch.setattr(language, "_catalogue", lambda: made)
    language.english.cache_clear()
    try:
        assert language.english("有 12 行") == "12 rows"
        assert language.english("  有 12 行，暂缓") == "  held: 12 rows"
        assert language.english("有 1 行；有 2 行") == "1 rows; 2 rows"
        assert language.english("某某部门") == "某某部门"  # a text of the data stays
        assert language.english("日用百货、五金产品，零售") == "日用百货、五金产品，零售"
    finally:
        language.english.cache_clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "错误：没有名为 q 的批次（数据集 x）；请核对批次号",
            "Error: no batch is called q (data set x); check the batch ID",
        ),
        ("✗ demo/z.yaml：basis：缺少必填项", "✗ demo/z.yaml: basis: required"),
        (
            "整批暂缓：本次交付没有数据行。没有变化，不发布新快照。",
            "The batch is held: the delivery has no rows. No change",
        ),
        ("某甲（一）（2026-12-01 起，1 次）", "某甲（一）"),
        ("✗ 某甲（一）（2026-12-01 起，1 次）\n  已删除", "✗ 某甲（一） (since 2026-12-01, 1 times)\n  deleted"),
        ("某市公安局。", "某市公安局。"),
    ],
)
def test_lines_of_several_texts_are_translated(text: str, expected: str) -> None:
    assert language.english(text).startswith(expected)


def test_clicks_sentences_are_compiled_from_their_source() -> None:
    folder = PACKAGE / "cli" / "locale" / "zh_CN" / "LC_MESSAGES"
    with (folder / "messages.po").open("rb") as source, (folder / "messages.mo").open("rb") as compiled:
        said, made = read_po(source), gettext.GNUTranslations(compiled)
    for message in filter(lambda message: message.id, said):
        one, *many = message.id if isinstance(message.id, tuple) else (message.id,)
        shown = made.ngettext(one, many[0], 2) if many else made.gettext(one)
        assert shown == (message.string[0] if many else message.string)
