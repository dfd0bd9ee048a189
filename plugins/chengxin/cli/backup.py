"""`backup` and `restore`: a copy of the home, and the way back from it."""

import sys
from dataclasses import asdict, replace
from pathlib import Path

import click

from chengxin.cli import homes
from chengxin.cli.context import FAILED, Context, as_json_option, pass_home, show_json
from chengxin.cli.group import main
from chengxin.cli.terminal import echo
from chengxin.home import Home
from chengxin.store.remote import scopes


@main.command(name="backup")
@click.argument("target", metavar="目录", type=click.Path(file_okay=False, path_type=Path))
@as_json_option
@pass_home
def backup_command(context: Context, target: Path, as_json: bool) -> None:
    """备份数据目录；使用中也可以，再次备份只补新的。"""
    from chengxin.operations.backup import copy

    home = context.given.here(scopes.EVERYTHING).settings.home
    if target.resolve().is_relative_to(home) or home.is_relative_to(target.resolve()):
        raise click.UsageError("备份的目录不能在数据目录之内，也不能包含它")
    done = copy(context.given.here(scopes.EVERYTHING).layout, target.resolve())
    if as_json:
        show_json(asdict(done))
    else:
        echo(f"已备份到入库日志第 {done.order} 条：本次复制 {done.files:,} 个文件、{done.bytes:,} 字节。")
        echo("请用 chengxin restore --check 核验这份备份。")


@main.command(name="restore")
@click.argument("source", metavar="目录", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="只核验备份：日志是否相承、批次与入库时是否相同、来文和快照是否完好")
@as_json_option
@click.pass_obj
def restore_command(context: Context, source: Path, check: bool, as_json: bool) -> None:
    """核验备份；不加 --check 时，核验无误即恢复到空的数据目录。"""
    from chengxin.operations.backup import copy, problems

    given = context.given
    copied = Home(replace(given.settings, home=source.resolve(), origin=None), given.clock)
    if not check and (given.settings.origin is not None or homes.is_home(given.settings.home)):
        raise click.UsageError(
            "只能恢复到本机的空目录：请先移走现有的数据目录（对象存储用 chengxin home copy），或用 --home 另指一个"
        )
    found = problems(copied)
    done = None if check or found else copy(copied.layout, given.settings.home)
    if as_json:
        show_json({"problems": found, "restored": asdict(done) if done else None})
    else:
        for problem in found:
            echo(f"✗ {problem}")
        echo(f"核验了备份，{len(found)} 个问题" if found or check else "核验无误，已恢复；请运行 chengxin verify")
    sys.exit(FAILED if found else 0)
