"""`alerts`: what is open, and closing by hand what Chengxin cannot see is settled."""

import sys
from datetime import datetime

import click

from chengxin.cli.context import HELD, Context, as_json_option, pass_home, show_json
from chengxin.cli.group import main
from chengxin.cli.terminal import echo
from chengxin.clock import SHANGHAI
from chengxin.operations.alerts.book import Book, Entry
from chengxin.operations.alerts.causes import KINDS
from chengxin.store.remote import scopes


@main.command(name="alerts")
@click.option("--close", "closed", metavar="编号", help="关闭一条告警（如部门确认不再更正）")
@click.option("--by", default="", help="与 --close 同用：由谁处理")
@as_json_option
@pass_home
def alerts_command(context: Context, closed: str | None, by: str, as_json: bool) -> None:
    """未处理的告警：什么事、哪个部门、怎么办；有则退出码为 3。"""
    from chengxin.operations.alerts.notices import deliver
    from chengxin.pipeline.troubles import DERIVED, open_troubles

    book, kind = Book(context.home.layout), (closed or "").partition("-")[0]
    if kind in DERIVED:
        name, press = KINDS[kind].name, KINDS[kind].press
        raise click.UsageError(f"“{name}”由数据目录得出，情况解除即自动关闭，不能手工关闭。处理：{press}")
    if closed:
        with context.home.changing("alerts", scopes.alerts()) as here:
            if not book.close(lambda entry: entry.id == closed, context.given.clock.now(), by or "值班人员"):
                raise click.UsageError(f"没有编号为 {closed} 的未处理告警")
            deliver(here)
    loaded = context.loaded()
    found = open_troubles(context.home, loaded.contracts, loaded.problems)
    if as_json:
        show_json({"open": [_facts(entry) for entry in found]})
    else:
        for entry in found:
            echo(_line(entry))
        echo(f"共 {len(found)} 条未处理的告警" if found else "没有未处理的告警。")
    sys.exit(HELD if found else 0)


def _facts(entry: Entry) -> dict[str, object]:
    kind = KINDS[entry.cause.kind]
    return {**entry.as_json(), "name": kind.name, "press": kind.press}


def _line(entry: Entry) -> str:
    cause, kind = entry.cause, KINDS[entry.cause.kind]
    since = datetime.fromisoformat(entry.opened_at).astimezone(SHANGHAI)
    named = "｜".join(part for part in (kind.name, cause.department, cause.title or cause.about) if part)
    head = f"✗ {named}（{since:%Y-%m-%d %H:%M} 起，{entry.times} 次）"
    return "\n  ".join([head, cause.text, f"处理：{kind.press}", f"编号：{entry.id}"])
