"""The command `chengxin`: its own options, the language of the run, and what an error becomes."""

import errno
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.logging import RichHandler

from chengxin import __version__, language
from chengxin.cli import INTERRUPTED, STOPPED, terminal
from chengxin.cli.context import FAILED, Context
from chengxin.cli.terminal import Console, echo
from chengxin.errors import ChengxinError, ContractError, failed_write
from chengxin.home import Home
from chengxin.settings import environment, put_default
from chengxin.store import lock, privacy
from chengxin.store.memory import expect_short_life

log = logging.getLogger(__name__)


class Commands(click.Group):
    """Chooses the language of the run and turns what went wrong into one sentence and an exit code."""

    def main(self, args: Sequence[str] | None = None, *given: Any, **options: Any) -> Any:
        """Run a command line."""
        words = sys.argv[1:] if args is None else list(args)
        terminal.speak(language.wanted(words, environment()))
        try:
            code = super().main(words, *given, **{**options, "standalone_mode": False})
        except click.ClickException as error:
            if context := getattr(error, "ctx", None):
                click.echo(context.get_usage(), err=True)
            echo(f"错误：{error.format_message()}", err=True)
            code = error.exit_code
        except (click.Abort, KeyboardInterrupt):  # the second one: pressed again while the first was handled
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, lambda *_: os._exit(STOPPED))  # pressed again while the process ends
            echo(INTERRUPTED, err=True)
            code = STOPPED
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a bug shows its trace with `--verbose` only, because values of rows may stand in it."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except ChengxinError as error:
            echo(f"错误：{error}", err=True)
        except Exception as error:
            if _pipe_closed(error):
                raise
            if ctx.params.get("verbose"):
                log.exception("")
            echo(f"错误：{_sentence(error, ctx.obj.given.settings.home if ctx.obj else '')}", err=True)
        return ctx.exit(FAILED)


def _pipe_closed(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EPIPE


def _sentence(error: Exception, home: str | Path) -> str:
    if isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"没有权限或只读，不能写入或读取 {error.filename or '数据目录'}；请检查目录的权限和所有者"
    if told := failed_write(error, home):
        return told
    if isinstance(error, OSError) and error.filename:
        return f"读写 {error.filename} 失败（{error.strerror}）；请检查磁盘和权限后重跑"
    place = traceback.extract_tb(error.__traceback__)[-1]
    at = f"{type(error).__name__}，{Path(place.filename).name} 第 {place.lineno} 行"
    return f"程序内部错误（{at}）；加 --verbose 重跑可看到详情，请连同详情报告给开发者"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="chengxin", message="%(prog)s %(version)s", help="显示版本")
@click.option(
    "--home", type=click.Path(file_okay=False), help="数据目录，或 s3://存储桶/前缀 (CHENGXIN_HOME，缺省 build/home)"
)
@click.option(
    "--contracts", type=click.Path(file_okay=False), help="合同目录 (CHENGXIN_CONTRACTS，缺省 dags/contracts)"
)
@click.option(
    "--lang",
    type=click.Choice(["zh", "en"]),
    expose_value=False,
    help="输出的语言：zh 中文（缺省），en 英文；缺省按 LANG",
)
@click.option("--verbose", "-v", is_flag=True, help="显示日志")
@click.pass_context
def main(ctx: click.Context, home: str | None, contracts: str | None, verbose: bool) -> None:
    """诚信湖南：把各部门报送的信用信息变成一份可信、可追溯的数据集。"""
    # Spawned workers and Airflow read the same home.
    put_default({"GX_ANALYTICS_ENABLED": "False"})
    expect_short_life()
    mask = privacy.keep_private()
    lock.command.set(f"chengxin {ctx.invoked_subcommand}")
    console = Console(stderr=True)
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)])
    try:
        given = Home.from_environment(home=home, contracts=contracts)
    except OSError as error:
        raise click.UsageError(language.localise(str(error.strerror))) from None
    except ContractError as error:
        raise click.UsageError(language.localise(str(error))) from None
    ctx.obj = Context(given, console, mask)


@main.group(name="contracts")
def contracts_group() -> None:
    """数据合同。"""
