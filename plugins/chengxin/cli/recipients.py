"""`recipients`: who is granted what of the government tier, and the tokens by which they read it."""

import getpass
import sys
from dataclasses import asdict

import click

from chengxin import pipeline
from chengxin.cli.context import FAILED, HELD, Context, as_json_option, pass_home, show_json
from chengxin.cli.group import main
from chengxin.cli.terminal import Console, Table, echo
from chengxin.clock import SHANGHAI


@main.group(name="recipients")
def recipients_group() -> None:
    """接收方：按授权得到政务共享层的一部分。"""


@recipients_group.command(name="list")
@as_json_option
@pass_home
def list_command(context: Context, as_json: bool) -> None:
    """全部接收方：授权是否有效、令牌何时到期。"""
    found = pipeline.recipients(context.given, context.contracts())
    if as_json:
        show_json(
            [
                {
                    "id": one.recipient.id,
                    "title": one.recipient.title,
                    "tier": one.tier,
                    "from": one.recipient.valid.since.isoformat(),
                    "to": one.recipient.valid.to.isoformat(),
                    "holds": one.holds,
                    "tokens": [{"number": t.number, "until": t.expires_at.isoformat()} for t in one.tokens],
                }
                for one in found
            ]
        )
        return
    table = Table()
    for head in ("接收方", "名称", "有效期", "授权", "令牌（到期）"):
        table.add_column(head)
    for one in found:
        until = "、".join(f"{t.number}（{t.expires_at.astimezone(SHANGHAI):%Y-%m-%d}）" for t in one.tokens)
        valid = one.recipient.valid
        state = "有效" if one.holds else "不在有效期"
        table.add_row(one.recipient.id, one.recipient.title, f"{valid.since} 至 {valid.to}", state, until or "（无）")
    Console().print(table)


@recipients_group.command(name="notices")
@click.argument("recipient", required=False)
@as_json_option
@pass_home
def notices_command(context: Context, recipient: str | None, as_json: bool) -> None:
    """撤回通知和回执；有逾期未回执的，退出码为 3。"""
    from chengxin.records.withdrawal_notices import STATES

    today = context.given.clock.today()
    found = [n for n in pipeline.renew_notices(context.given) if recipient in (None, n.holder)]
    if as_json:
        show_json([{**asdict(n), "state": n.state(today)} for n in found])
    else:
        for n in found:
            state = f"{STATES[n.state(today)]} {n.received[:10]}".strip()
            echo(f"第 {n.number} 号 {n.holder} {n.kind} {n.record_id}：{n.day} 通知，应于 {n.due} 前回执，{state}")
        echo(f"共 {len(found)} 件通知")
    sys.exit(HELD if any(n.state(today) in {"overdue", "suspended"} for n in found) else 0)


@recipients_group.command(name="apply")
@pass_home
def apply_command(context: Context) -> None:
    """按现行声明更新各接收方所得；发布和每小时的巡检也会更新。"""
    changed = pipeline.apply_recipients(context.given, context.contracts())
    echo(f"已更新：{'、'.join(changed)}" if changed else "没有变化。")


@recipients_group.command(name="token")
@click.argument("recipient")
@click.option("--days", type=click.IntRange(1, 3660), default=365, show_default=True, help="有效天数")
@pass_home
def token_command(context: Context, recipient: str, days: int) -> None:
    """发一个新令牌；只显示这一次，已有的令牌继续有效，以便更换。"""
    token, text = pipeline.issue_token(context.given, context.contracts(), recipient, getpass.getuser(), days)
    at = f"{token.expires_at.astimezone(SHANGHAI):%Y-%m-%d}"
    echo(f"令牌 {token.number}，有效至 {at}，只显示这一次：", err=True)
    echo(text)


@recipients_group.command(name="rotate")
@click.argument("recipient")
@pass_home
def rotate_command(context: Context, recipient: str) -> None:
    """更换自然人及其记录的代号；一段时间内另附新旧代号对照表（translated_record、translated_subject）。"""
    epoch = pipeline.rotate(context.given, context.contracts(), recipient, getpass.getuser())
    echo(f"{recipient} 的代号已更换，现为第 {epoch.number} 期。")


@recipients_group.command(name="identify")
@click.argument("recipient")
@click.argument("number")
@as_json_option
@pass_home
def identify_command(context: Context, recipient: str, number: str, as_json: bool) -> None:
    """接收方所说的代号是哪一条记录、哪一个主体：以前各期的代号也可查。"""
    found = pipeline.identify(context.given, recipient, number)
    if as_json:
        show_json(found)
    else:
        for one in found:
            echo(f"{one['kind']} {one['record_id']} 主体 {one['subject_id']}")
        echo(f"共 {len(found)} 条记录")
    sys.exit(0 if found else FAILED)


@recipients_group.command(name="revoke")
@click.argument("recipient")
@click.option("--token", "number", type=int, help="只撤销这个编号的令牌；缺省撤销全部")
@pass_home
def revoke_command(context: Context, recipient: str, number: int | None) -> None:
    """撤销令牌：下一次请求即被拒绝。"""
    gone = pipeline.revoke_tokens(context.given, context.contracts(), recipient, getpass.getuser(), number)
    echo(f"已撤销 {len(gone)} 个令牌。")
    sys.exit(0 if gone else FAILED)
