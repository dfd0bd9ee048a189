"""`state build` and `state check`: what the journal adds up to, kept so that a batch need not read it all again."""

import sys
import time

from chengxin.cli.context import FAILED, Context, as_json_option, pass_home, show_json
from chengxin.cli.group import main
from chengxin.cli.terminal import echo


@main.group(name="state")
def state_group() -> None:
    """状态库：由入库日志推算，随时可删，自动重建。"""


@state_group.command(name="build")
@as_json_option
@pass_home
def build_command(context: Context, as_json: bool) -> None:
    """把状态库补到入库日志末尾；没有即新建，中断后可重跑。"""
    from chengxin.records import journal
    from chengxin.state.database import caught_up

    layout, begun = context.home.layout, time.monotonic()
    journal.check(layout)
    with caught_up(layout) as state:
        rows = {t: state.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("subjects", "versions")}
        admissions = state.execute("SELECT count(*) FROM admissions").fetchone()[0]
    if as_json:
        show_json({"admissions": admissions, **rows})
        return
    seconds = time.monotonic() - begun
    echo(f"状态库已到入库日志末尾：{admissions:,} 次入库、{rows['versions']:,} 个记录版本，用时 {seconds:.1f} 秒。")


@state_group.command(name="check")
@as_json_option
@pass_home
def check_command(context: Context, as_json: bool) -> None:
    """另建一份状态库逐表比较。退出码 1：有不同。"""
    from chengxin.state.database import differing
    from chengxin.store.scratch import scratch

    layout = context.home.layout
    with scratch(layout.work) as work:
        tables = differing(layout, work)
    if as_json:
        show_json({"differing": tables})
    elif tables:
        echo(f"✗ 状态库与入库日志不符：{'、'.join(tables)}。请删除 {layout.state} 后重跑 chengxin state build")
    else:
        echo("状态库与入库日志相符。")
    sys.exit(FAILED if tables else 0)
