"""`identity review`, `answer`, `undo`, `resume`: clerical review of links by name, and what people say."""

import getpass
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from chengxin.cli.context import FAILED, HELD, Context, as_json_option, pass_home, show_json
from chengxin.cli.identity import answers_of, identity_group
from chengxin.cli.terminal import echo
from chengxin.errors import JudgementRefused

if TYPE_CHECKING:
    from chengxin.identity.clerical_review import Case
    from chengxin.identity.ledger import Judgement
    from chengxin.identity.precision import Precision

_SAYS = {"same": "是同一家", "different": "不是同一家", "unsure": "无法判断"}


def _by(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--by", help="由谁判断，缺省为当前用户")(command)


def _person(by: str | None) -> str:
    return (by or "").strip() or getpass.getuser()


@identity_group.command(name="review")
@click.option("--status", is_flag=True, help="只看待核对的个数和抽查测得的准确率；规则已停用的退出码为 3")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="最多列出这么多个名称")
@as_json_option
@pass_home
def review_command(context: Context, *, status: bool, limit: int, as_json: bool) -> None:
    """待人工核对的名称：候选主体，哪些一致、哪些不同；重要的在前。抽查的自动关联也在其中。"""
    from chengxin.pipeline import judgements

    found = judgements.queue(context.home)
    shown = [] if status else found.cases[:limit]
    if as_json:
        show_json(
            {"waiting": len(found.cases), "precision": _figures(found.precision), "cases": list(map(_json, shown))}
        )
    else:
        for case in shown:
            _show(case)
        echo(f"待核对 {len(found.cases):,} 个名称，其中须两人核对 {sum(c.is_heavy for c in found.cases):,} 个")
        _show_precision(found.precision)
    if status and found.precision.is_stopped:
        sys.exit(HELD)


def _json(case: "Case") -> dict[str, Any]:
    pairs = [
        {
            **asdict(p),
            "proposal": p.proposal and {"id": p.proposal.id, "outcome": p.proposal.outcome, "by": p.proposal.author},
        }
        for p in case.pairs
    ]
    return {
        "id": case.id,
        "sent": case.sent,
        "region": case.region,
        "rows": case.rows,
        "batches": case.batches,
        "heavy": case.is_heavy,
        "sample": case.is_linked,
        "pairs": pairs,
    }


def _figures(precision: "Precision") -> dict[str, Any]:
    return {**asdict(precision), "share": precision.share, "interval": precision.interval}


def _show(case: "Case") -> None:
    marks = [word for word, there in (("须两人核对", case.is_heavy), ("抽查", case.is_linked)) if there]
    datasets = "、".join(dict.fromkeys(dataset for dataset, _ in case.batches))
    echo(f"{case.id} {case.sent}，{case.rows:,} 行，{datasets} {' '.join(marks)}")
    for pair in case.pairs:
        why = case.explain(pair)
        click.echo(f"  {pair.id}  {why.text() if why else pair.registered}")
        if pair.proposal:
            echo(f"    {pair.proposal.author} 提出：{_SAYS[pair.proposal.outcome]}，待另一人确认")


def _show_precision(found: "Precision") -> None:
    if found.share is None:
        echo("抽查的自动关联尚无答案")
    else:
        low, high = found.interval
        echo(f"抽查 {found.answers:,} 个自动关联，{found.right:,} 个正确")
        echo(f"准确率 {found.share:.4f}，95% 区间 {low:.4f} 至 {high:.4f}")
    if found.is_stopped:
        echo("准确率过低，按相近名称关联已自动停用；查明原因后用 chengxin identity resume 恢复")


@identity_group.command(name="answer")
@click.argument("number")
@click.argument("outcome", type=click.Choice(["same", "different", "unsure"]))
@click.option("--reason", help="如何核实；写入判断，请勿写个人信息")
@_by
@pass_home
def answer_command(context: Context, *, number: str, outcome: Any, reason: str | None, by: str | None) -> None:
    """核对一个候选（编号见 identity review）；名称的编号表示它的全部候选。须两人核对的，另一人照样再答一次。"""
    from chengxin.pipeline import judgements

    said = [judgements.Answer(about=number, outcome=outcome)]
    _tell(judgements.answer(context.given, said, by=_person(by), reason=reason or judgements.REASON))


def _tell(done: "Sequence[Judgement | JudgementRefused]") -> None:
    """Describe what became of answers; end with a code of failure where one was refused."""
    for one in done:
        if isinstance(one, JudgementRefused):
            echo(f"错误：{one}", err=True)
        elif one.confirms is not None:
            echo(f"第 {one.id} 号判断：确认第 {one.confirms} 号。下次运行时生效。")
        elif one.needs_second:
            echo(f"第 {one.id} 号判断：{_SAYS[one.outcome]}，待另一人确认后生效。")
        else:
            echo(f"第 {one.id} 号判断：{_SAYS[one.outcome]}。下次运行时生效。")
    if any(isinstance(one, JudgementRefused) for one in done):
        sys.exit(FAILED)


@identity_group.command(name="twins")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="最多列出这么多对主体")
@as_json_option
@pass_home
def twins_command(context: Context, *, limit: int, as_json: bool) -> None:
    """可能是同一家的两个主体：名称和法定代表人相同，至少一个没有统一社会信用代码。是否同一家总由人决定。"""
    from chengxin.pipeline import judgements

    found = judgements.twins(context.home, limit)
    if as_json:
        show_json({"twins": [asdict(one) for one in found]})
        return
    for one in found:
        click.echo(f"{one.first}  {one.second}  {one.name}")
    echo(f"共 {len(found)} 对；确是同一家的：chengxin identity merge")


@identity_group.command(name="merge")
@click.argument("first", type=int)
@click.argument("second", type=int)
@click.option("--reason", required=True, help="如何核实；写入判断，请勿写个人信息")
@_by
@pass_home
def merge_command(context: Context, *, first: int, second: int, reason: str, by: str | None) -> None:
    """两个主体是同一家：另一人照样再说一次后，下次发布都归在编号小的之下。关联和账目都不变。"""
    from chengxin.pipeline import judgements

    if twice := judgements.shared(context.home, (first, second)):
        echo(f"有 {twice:,} 个决定（文号、机关相同）两个主体都有，合并后仍各是一条记录，请核对是否重复。", err=True)
    _tell([judgements.merge(context.given, (first, second), by=_person(by), reason=reason)])


@identity_group.command(name="split")
@click.argument("subject", type=int)
@click.option("--reason", required=True, help="如何核实；写入判断，请勿写个人信息")
@_by
@pass_home
def split_command(context: Context, *, subject: int, reason: str, by: str | None) -> None:
    """撤销一个主体的合并：下次发布恢复如前。"""
    from chengxin.pipeline import judgements

    for entry in judgements.split(context.given, subject, by=_person(by), reason=reason):
        echo(f"第 {entry.id} 号判断：撤销第 {entry.undoes} 号。下次运行时生效。")


@identity_group.command(name="resume")
@click.option("--reason", required=True, help="查明了什么；写入判断，请勿写个人信息")
@_by
@pass_home
def resume_command(context: Context, *, reason: str, by: str | None) -> None:
    """恢复因准确率过低而自动停用的按相近名称关联；抽查从头计数。"""
    from chengxin.pipeline import judgements

    if not reason.strip():
        raise click.UsageError("--reason 不能为空：请写明查明了什么")
    entry = judgements.resume(context.given, by=_person(by), reason=reason)
    echo(f"第 {entry.id} 号判断：按相近名称关联已恢复。下次运行时生效。")


@identity_group.command(name="undo")
@click.argument("what", nargs=-1, required=True, metavar="N | DATASET BATCH NAME")
@click.option("--reason", required=True, help="为何不是同一家、如何核实；写入判断，请勿写个人信息")
@_by
@pass_home
def undo_command(context: Context, *, what: tuple[str, ...], reason: str, by: str | None) -> None:
    """撤销第 N 号判断，或撤回一批中一个按相近名称的关联：此名称不再是该主体。下次运行时相应的行重新关联。"""
    from chengxin.pipeline import judgements

    if not reason.strip():
        raise click.UsageError("--reason 不能为空：请写明为何不是同一家、如何核实")
    if len(what) == 1 and what[0].isdecimal():
        entry = judgements.undo(context.given, int(what[0]), by=_person(by), reason=reason.strip())
        echo(f"第 {entry.id} 号判断：撤销第 {entry.undoes} 号。下次运行时生效。")
        return
    if len(what) != 3:
        raise click.UsageError("请写判断的序号，或数据集、批次和名称")
    _take_back(context, what, reason.strip(), _person(by))


def _take_back(context: Context, what: Sequence[str], reason: str, by: str) -> None:
    """Enter that a name which was linked automatically is not the subject's, whatever rows state beside it."""
    from chengxin.identity import ledger
    from chengxin.store.remote import scopes

    dataset, batch_id, name = what
    linked = [a for a in answers_of(context, dataset, batch_id) if a.state == "linked" and name in (a.sent, a.name_key)]
    if not linked:
        raise click.UsageError("这一批没有按相近名称关联此名称；写法须与来文相同，见 chengxin identity explain")
    said = [
        ledger.Said(subject_id=subject, part=ledger.NAME, value=key, outcome="different", reason=reason)
        for key, subject in dict.fromkeys((a.name_key, a.subject_id) for a in linked)
    ]
    with context.given.changing("judge", scopes.UNPUBLISHED) as home:
        _tell(ledger.judge_all(home.layout, said, at=home.clock.now(), author=by))
