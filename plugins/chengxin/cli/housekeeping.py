"""`overdue`, `tidy` and `scorecard`: what an operator looks after day by day and month by month."""

import sys
from dataclasses import asdict, replace
from typing import Any

import click

from chengxin.cli.context import FAILED, HELD, Context, as_json_option, pass_home, show_json
from chengxin.cli.group import main
from chengxin.cli.terminal import Console, Table, echo
from chengxin.errors import ContractError
from chengxin.model.assessment import assessment
from chengxin.store.remote import scopes

_TIERS = {"government": "政务共享层", "authorised": "授权层", "open": "开放层"}
_COLOURS = {"优": "green", "良": "cyan", "中": "yellow", "差": "red"}


@main.command(name="overdue")
@as_json_option
@pass_home
def overdue_command(context: Context, as_json: bool) -> None:
    """逾期未到的报送：哪个部门、逾期几个工作日、怎么办；有则退出码为 3。"""
    from chengxin.operations.housekeeping import overdue

    found = overdue(context.home, context.contracts())
    if as_json:
        show_json({"today": context.given.clock.today().isoformat(), "overdue": [asdict(o) for o in found]})
    else:
        for one in found:
            echo(one.message)
        echo(f"共 {len(found)} 个数据集逾期" if found else "没有逾期的报送。")
    sys.exit(HELD if found else 0)


@main.command(name="tidy")
@click.option("--all", "everything", is_flag=True, help="复核全部来文，而不只是今天的一份")
@click.option("--days", type=click.IntRange(min=1), help="保留最近几天的快照（缺省按 CHENGXIN_KEEP_DAYS）")
@click.option("--expire", is_flag=True, help="真的删除过期快照；不加则只列出")
@as_json_option
@pass_home
def tidy_command(context: Context, everything: bool, days: int | None, expire: bool, as_json: bool) -> None:
    """清理残留、分批复核来文与状态库、列出（或删除）过期快照。"""
    from chengxin import pipeline
    from chengxin.operations.housekeeping import check_state, rehash
    from chengxin.publishing.retention import expire as expire_snapshots

    clock = context.given.clock
    retention = context.given.settings.retention
    retention = replace(retention, days=days) if days else retention
    removed = pipeline.tidy(context.given) + context.given.sweep()
    with context.given.changing("rehash", scopes.RECEIPTS) as home:
        checked = rehash(home, everything=everything)
    with context.given.changing("expire", scopes.WITHOUT_PAYLOAD) as home:
        expired = expire_snapshots(
            home.layout, retention, clock, dry_run=not expire, linked=home.settings.origin is None
        )
    differing = check_state(context.given.here(scopes.UNPUBLISHED))
    if as_json:
        show_json({"removed": removed, "rehash": asdict(checked), "state": differing, "expiry": asdict(expired)})
    else:
        echo(f"清理了 {removed} 个残留")
        echo(f"复核了 {checked.batches} 个批次（共 {checked.total} 个，{checked.bytes:,} 字节）")
        for problem in (*checked.problems, *differing):
            echo(f"✗ {problem}")
        for tier, name in expired.snapshots:
            echo(f"{'已删除' if expired.done else '将删除'} {_TIERS[tier]}快照 {name}")
        echo(
            f"快照：保留 {expired.kept} 个，{'已删除' if expired.done else '可删除'} {len(expired.snapshots)} 个，"
            f"{'释放' if expired.done else '可释放'} {expired.freed:,} 字节"
            + ("；加 --expire 才会删除" if expired.snapshots and not expired.done else "")
        )
    sys.exit(FAILED if checked.problems or differing else 0)


@main.command(name="scorecard")
@click.argument("month", required=False)
@click.option("--issue", "final", is_flag=True, help="定稿：写入 scorecards/<年月>/，以后不再改变")
@click.option("--department", default="", help="只看一个部门（代码），并列出各数据集的迟报和缺报")
@as_json_option
@pass_home
def scorecard_command(context: Context, month: str | None, final: bool, department: str, as_json: bool) -> None:
    """报送绩效考评：各部门、各市州的得分、等次和趋势。

    MONTH 是六位年月，如 202610；缺省为本月（草稿），加 --issue 时为上月。已定稿的月份显示定稿。
    """
    from chengxin.operations.scorecards import scorecard

    today = context.given.clock.today()
    wanted = month or (scorecard.month_before(today) if final else f"{today:%Y%m}")
    if final:
        with context.given.changing("scorecard", scopes.UNPUBLISHED) as home:
            done = scorecard.issue(home, context.contracts(), wanted)
        if done is None:
            raise ContractError(f"截至 {wanted} 尚无任何报送，没有可考评的内容")
        echo(f"{'已定稿' if done.fresh else '此前已定稿，未作改动'}：{done.folder}", err=True)
        body = done.body
    else:
        known = scorecard.issued(context.home.layout, wanted)
        body = known or scorecard.draft(context.home, context.contracts(), wanted)
    if department and department not in {d["code"] for d in body["departments"]}:
        codes = "、".join(d["code"] for d in body["departments"])
        raise click.UsageError(f"没有代码为 {department} 的部门；可用：{codes or '（无）'}")
    show_json(_only(body, department)) if as_json else _show(Console(), _only(body, department))


def _only(body: dict[str, Any], department: str) -> dict[str, Any]:
    """Leave one department in a scorecard; all when none is named."""
    if not department:
        return body
    return {
        **body,
        "departments": [d for d in body["departments"] if d["code"] == department],
        "prefectures": [],
        "datasets": [d for d in body["datasets"] if d["department"] == department],
    }


def _show(console: Console, body: dict[str, Any]) -> None:
    from chengxin.operations.scorecards.page import remarks

    state = "已定稿" if body["state"] == "issued" else "草稿"
    console.print(
        f"[bold]报送绩效考评 {body['month']}[/]（{body['first']} 至 {body['through']}，{state}）", highlight=False
    )
    for remark in remarks(body):
        console.print(f"[yellow]{remark}[/]", highlight=False)
    for scope, title in (("departments", "各部门"), ("prefectures", "各市州")):
        if body[scope]:
            console.print(_table(title, body[scope]))
    if len(body["departments"]) == 1:
        console.print(_measures(body["departments"][0]))
        _details(console, body["datasets"])
    console.print("“—”为本月没有可考评的内容，权重由其他各项分担；分子和分母见 --department 或 --json。")


def _table(title: str, entries: list[dict[str, Any]]) -> Table:
    table = Table(title)
    table.add_column("名称", overflow="fold")
    for label in ("等次", "总分", "趋势", *(m.short for m in assessment().measures.values())):
        table.add_column(label, justify="right", no_wrap=True)
    for one in entries:
        trend, points = one["trend"], [_points(m["points"]) for m in one["measures"]]
        moved = f"{trend['direction']}{trend['change']:+.1f}" if trend["direction"] else "—"
        level = f"[{_COLOURS.get(one['level'], 'dim')}]{one['level']}[/]"
        table.add_row(one["name"], level, _points(one["score"]), moved, *points)
    return table


def _measures(one: dict[str, Any]) -> Table:
    known = assessment().measures
    table = Table()
    for label in ("指标", "得分", "权重", "分子", "分母"):
        table.add_column(label, justify="left" if label == "指标" else "right", overflow="fold")
    for m in one["measures"]:
        cells = (_points(m["points"]), str(m["weight"]), f"{m['numerator']:,}", f"{m['denominator']:,}")
        table.add_row(f"{known[m['measure']].title}\n[dim]{known[m['measure']].denominator}[/]", *cells)
    return table


def _points(value: float | None) -> str:
    return "—" if value is None else f"{value:.1f}"


def _details(console: Console, datasets: list[dict[str, Any]]) -> None:
    for one in datasets:
        late = [f"期限 {x['due']}，{x['arrived'] or '未'}到，迟 {x['days']} 个工作日" for x in one["late"]]
        missing = [f"缺报 {'、'.join(one['missing'])}"] if one["missing"] else []
        if late or missing:
            console.print(f"{one['name']}（{one['code']}）：" + "；".join(late + missing), highlight=False)
