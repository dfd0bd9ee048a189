"""Legal acts on published records: `repair`, `withdraw`, `object`, `answer-objection`, `lift`, and the group `acts`."""

import getpass
import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from chengxin.cli.context import FAILED, HELD, Context, as_json_option, pass_home, show_json
from chengxin.cli.group import main
from chengxin.cli.terminal import echo

if TYPE_CHECKING:
    from chengxin.records.acts import ActName, Case

_DAY = click.DateTime(["%Y-%m-%d"])
_OUTCOMES = "rejected 不成立，corrected 已由部门更正，upheld 成立，记录撤下"


def _document(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--by", help="由谁录入，缺省为当前用户")(command)
    return click.option("--document", required=True, help="法律文书的文号")(command)


def _target(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a record and its act."""
    for option in (
        click.option("--day", required=True, type=_DAY, help="文书日期"),
        click.option("--authority", default="", help="与 --number 同用：作出决定的机关"),
        click.option("--number", default="", help="与 --subject 同用：决定文书号"),
        click.option("--subject", "identifier", default="", help="主体标识，如统一社会信用代码"),
        click.option("--record", "record_id", default="", help="记录编号（record_id）"),
    ):
        command = option(command)
    return _document(command)


@main.command(name="repair")
@_target
@as_json_option
@pass_home
def repair_command(context: Context, *, as_json: bool, **given: Any) -> None:
    """录入信用修复：记录立即不再提供，随后从全部快照中撤下。"""
    _enter(context, "repair", as_json, given)


@main.command(name="withdraw")
@_target
@as_json_option
@pass_home
def withdraw_command(context: Context, *, as_json: bool, **given: Any) -> None:
    """提出撤回：记录立即不再提供；另一人确认（acts confirm）后从全部快照中撤下。"""
    _enter(context, "withdrawal", as_json, given)


@main.command(name="object")
@_target
@as_json_option
@pass_home
def object_command(context: Context, *, as_json: bool, **given: Any) -> None:
    """录入异议：答复之前记录不在开放层，政务层标明异议。"""
    _enter(context, "objection", as_json, given)


def _enter(context: Context, act: "ActName", as_json: bool, given: dict[str, Any]) -> None:
    from chengxin.pipeline import acts

    by, document, day = given.pop("by"), given.pop("document"), given.pop("day")
    if bool(given["record_id"]) == bool(given["identifier"] and given["number"]):
        raise click.UsageError("请用 --record 写明记录编号，或用 --subject 和 --number 写明主体标识和决定文书号")
    target = acts.Target(**given)
    _finish(
        acts.enter(context.given, act, target, by=by or getpass.getuser(), document=document, day=_day(day)), as_json
    )


@main.command(name="answer-objection")
@click.argument("number", type=int)
@click.option("--outcome", required=True, type=click.Choice(["rejected", "corrected", "upheld"]), help=_OUTCOMES)
@click.option("--day", required=True, type=_DAY, help="文书日期")
@_document
@as_json_option
@pass_home
def answer_command(context: Context, *, number: int, as_json: bool, **given: Any) -> None:
    """答复异议；认定成立须由录入异议以外的人。"""
    from chengxin.pipeline import acts

    given["day"] = _day(given["day"])
    given["by"] = given["by"] or getpass.getuser()
    _finish(acts.answer(context.given, number, **given), as_json)


@main.command(name="lift")
@click.argument("number", type=int)
@_document
@as_json_option
@pass_home
def lift_command(context: Context, *, number: int, document: str, by: str | None, as_json: bool) -> None:
    """解除修复、撤回或异议：记录在下次发布时恢复。"""
    from chengxin.pipeline import acts

    _finish(acts.lift(context.given, number, by=by or getpass.getuser(), document=document), as_json)


@main.group(name="acts")
def acts_group() -> None:
    """修复、撤回、异议：查看、确认。"""


@acts_group.command(name="list")
@as_json_option
@pass_home
def list_command(context: Context, as_json: bool) -> None:
    """列出待办的修复、撤回、异议；有则退出码为 3。"""
    from chengxin.records import acts

    found = list(acts.open_cases(acts.read(context.home.layout)))
    if as_json:
        show_json({"open": [_facts(case) for case in found]})
    else:
        for case in found:
            echo(_line(case))
        echo(f"共 {len(found)} 件待办" if found else "没有待办的修复、撤回或异议。")
    sys.exit(HELD if found else 0)


@acts_group.command(name="confirm")
@click.argument("number", type=int)
@click.option("--record", "records", multiple=True, help="对应多条记录时，确认是哪一条；缺省为全部")
@click.option("--by", help="由谁录入，缺省为当前用户")
@as_json_option
@pass_home
def confirm_command(context: Context, *, number: int, records: tuple[str, ...], by: str | None, as_json: bool) -> None:
    """确认撤回（须为另一人），或确认对应的是哪些记录。"""
    from chengxin.pipeline import acts

    _finish(acts.confirm(context.given, number, records, by=by or getpass.getuser()), as_json)


@acts_group.command(name="reissue")
@as_json_option
@pass_home
def reissue_command(context: Context, as_json: bool) -> None:
    """重新签发含有已撤下记录的全部快照；发布时自动执行。"""
    from chengxin.pipeline import acts

    gone = acts.reissue(context.given)
    if as_json:
        show_json({"gone": gone})
    else:
        echo(f"重新签发或删除了 {sum(map(len, gone.values()))} 个快照")


@acts_group.command(name="sweep")
@as_json_option
@pass_home
def sweep_command(context: Context, as_json: bool) -> None:
    """逐个读取 published/ 下的文件，核对没有已撤下的记录；有则退出码为 1。"""
    from chengxin.pipeline import acts

    found = acts.sweep(context.given)
    if as_json:
        show_json({"removed": found.acts, "files": found.files, "left": found.left})
    else:
        for name, rows in found.left.items():
            echo(f"✗ {name}：{rows} 处")
        echo(f"已撤下 {found.acts} 条记录；读取 {found.files} 个文件，发现 {sum(found.left.values())} 处")
    sys.exit(FAILED if found.left else 0)


def _day(given: datetime) -> Any:
    return given.date()


def _finish(case: "Case", as_json: bool) -> None:
    """Show a case and end with its exit code: 3 where a person has to do something more."""
    if as_json:
        show_json(_facts(case))
    else:
        echo(_line(case))
    sys.exit(HELD if case.state in {"proposed", "waiting"} else 0)


def _facts(case: "Case") -> dict[str, Any]:
    act = case.act
    facts = {"number": act.id, "act": act.act, "document": act.document, "day": act.day, "by": act.by}
    return {**facts, "state": case.state, "records": [r.record_id for r in case.records]}


def _line(case: "Case") -> str:
    from chengxin.records.acts import NAMES, STATES

    act = case.act
    head = f"第 {act.id} 号{NAMES[act.act]}（{act.document}，{act.day}）：{STATES[case.state]}"
    return "\n  ".join([head, *(f"{r.kind} {r.record_id}" for r in case.records)])
