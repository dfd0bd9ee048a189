"""What the commands print with: texts in the language of the run, tables in one style, click's own sentences too."""

import gettext
import re
import time
from importlib.resources import files
from typing import Any

import click
import rich.console
import rich.progress
import rich.table
from rich.box import SIMPLE_HEAD

from chengxin import language
from chengxin.settings import put

_LIBRARY = "messages"  # the domain that click asks
_SECONDS = 10.0  # between two lines where there is no terminal


def speak(wanted: language.Language) -> None:
    """Let this process print in a language, the sentences of click included."""
    language.choose(wanted)
    if wanted == "en":
        language.add(_words_of_the_model)
    gettext.bindtextdomain(_LIBRARY, str(files("chengxin.cli") / "locale"))
    put({"LANGUAGE": "zh_CN" if wanted == "zh" else "en"})


def _words_of_the_model() -> dict[str, str]:
    from chengxin.model.english import texts

    return texts()


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text in the language of the run."""
    click.echo(language.localise(text), err=err, nl=nl)


class Console(rich.console.Console):
    """Prints texts in the language of the run; anything else as rich does."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; see rich."""
        super().print(*map(_localise, objects), **options)


class Steps(rich.progress.Progress):
    """What a long command is at: one changing line on a terminal, elsewhere a line now and then."""

    def __init__(self, console: rich.console.Console) -> None:
        super().__init__(
            rich.progress.SpinnerColumn(),
            rich.progress.TextColumn("{task.description}"),
            rich.progress.TextColumn("{task.completed}/{task.total}"),
            rich.progress.TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._printed_at = time.monotonic()

    def update(self, task_id: rich.progress.TaskID, *arguments: Any, **options: Any) -> None:
        """Change a task; see rich."""
        description = _localise(options.get("description"))
        super().update(task_id, *arguments, **({**options, "description": description} if description else options))
        if self.disable and description and time.monotonic() - self._printed_at > _SECONDS:
            self._printed_at = time.monotonic()
            task = self._tasks[task_id]
            self.console.print(f"  {task.completed:.0f}/{task.total or '?'} {description}", highlight=False)


class Table(rich.table.Table):
    """A table in the style of all commands; title, heads and cells in the language of the run."""

    def __init__(self, title: str | None = None) -> None:
        super().__init__(title=_localise(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)

    def add_column(self, header: Any = "", *arguments: Any, **options: Any) -> None:
        """Add a column; see rich."""
        super().add_column(_localise(header), *arguments, **options)

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row; see rich."""
        super().add_row(*map(_localise, cells), **options)


def _localise(value: Any) -> Any:
    return language.localise(value) if isinstance(value, str) else value


class HelpText(click.HelpFormatter):
    """Writes help in the language of the run."""

    def write_text(self, text: str) -> None:
        """Write a paragraph."""
        super().write_text(language.localise(text))

    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
        """Write a list of options or commands; what click adds in brackets is click's to translate."""
        super().write_dl([(_words(name), _meaning(text)) for name, text in rows], col_max, col_spacing)


def _words(name: str) -> str:
    return " ".join(language.localise(word) for word in name.split(" "))


def _meaning(text: str) -> str:
    found = re.fullmatch(r"(.*?)(  \[[^\]]*\])?", text, re.DOTALL)
    return language.localise(found[1]) + (found[2] or "") if found else text


click.Context.formatter_class = HelpText
