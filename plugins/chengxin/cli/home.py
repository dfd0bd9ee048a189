"""`home copy`: take a home from a folder into an object store."""

from dataclasses import asdict
from pathlib import Path

import click
from rich.progress import Progress

from chengxin.cli.context import Context, as_json_option, show_json
from chengxin.cli.group import main
from chengxin.cli.terminal import echo
from chengxin.records.journal import refuse_outdated
from chengxin.settings import Settings
from chengxin.store.layout import Layout
from chengxin.store.remote.moving import copy_home


@main.group(name="home")
def home_group() -> None:
    """数据目录。"""


@home_group.command(name="copy")
@click.argument("source", metavar="目录", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("target", metavar="s3://存储桶/前缀")
@as_json_option
@click.pass_obj
def copy_command(context: Context, source: Path, target: str, as_json: bool) -> None:
    """把本机的数据目录复制到对象存储：逐个核对，全部到齐才生效，中断后可重跑。"""
    settings = Settings.from_environment(home=target, contracts=context.given.settings.contracts)
    if settings.origin is None:
        raise click.UsageError("目标应形如 s3://存储桶/前缀")
    refuse_outdated(Layout(source.resolve()))
    with Progress(console=context.console, transient=True, disable=as_json) as bar:
        task = bar.add_task("复制并核对", total=None)
        done = copy_home(
            source.resolve(), settings, context.given.clock, lambda n, of: bar.update(task, completed=n, total=of)
        )
    if as_json:
        show_json(asdict(done))
        return
    if done.done_before:
        echo(f"此前已复制完毕：{done.files:,} 个文件与 {target} 相同。")
        return
    kept = f"（其中 {done.kept:,} 个此前已传到）" if done.kept else ""
    echo(f"已复制 {done.files:,} 个文件、{done.bytes:,} 字节{kept}，逐个读回核对无误。")
    echo(f"此后用 CHENGXIN_HOME={target}；{source} 未作改动，请勿再在其上运行任务。")
