"""The commands. Each reads its arguments, calls the pipeline and renders; nothing is decided here."""

import getpass
import sys
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import click

from chengxin.cli.context import FAILED, HELD, Context, as_json_option, pass_home, pass_new_home, show_json
from chengxin.cli.group import contracts_group, main
from chengxin.cli.terminal import Console, echo
from chengxin.contracts import recipients
from chengxin.contracts.loader import load
from chengxin.store.remote import scopes


@contracts_group.command(name="lint")
@as_json_option
@click.pass_obj
def lint_command(context: Context, as_json: bool) -> None:
    """检查全部合同。"""
    from chengxin.cli.inspect import lint_suites
    from chengxin.contracts.lint import lint

    loaded = load(context.given.settings.contracts)
    problems = [*loaded.problems, *lint(loaded.contracts, context.given.settings.expectations)]
    problems += recipients.load(context.given.settings.recipients, loaded.contracts).problems
    found = [{"path": p.path, "message": p.message} for p in problems]
    found += lint_suites(context.given.settings, loaded.contracts)
    if as_json:
        show_json({"contracts": len(loaded.contracts), "problems": found})
    else:
        for problem in found:
            echo(f"✗ {problem['path']}：{problem['message']}")
        echo(f"{len(loaded.contracts)} 份合同，{len(found)} 个问题")
    sys.exit(FAILED if found else 0)


@main.command(name="run")
@click.argument("datasets", nargs=-1)
@as_json_option
@pass_new_home
def run_command(context: Context, datasets: tuple[str, ...], as_json: bool) -> None:
    """发现并处理全部新报送，有变化即发布。"""
    from chengxin.cli.demo import demo_sources
    from chengxin.cli.work import run_datasets

    known = context.contracts()
    if not known:
        raise click.UsageError("没有一份可用的合同，什么也没有处理；请更正上面列出的合同后重跑")
    unknown = [d for d in datasets if d not in known]
    if unknown:
        raise click.UsageError(f"没有名为 {'、'.join(unknown)} 的数据集；可用：{'、'.join(known) or '（无）'}")
    with demo_sources(context, known):
        result = run_datasets(context, known, datasets or tuple(known))
    finish(context, result, as_json)


@main.command(name="ingest")
@click.argument("dataset")
@click.option(
    "--file", "files", multiple=True, required=True, type=click.Path(exists=True, dir_okay=False), help="来文"
)
@click.argument("more", nargs=-1, type=click.Path(exists=True, dir_okay=False))
@click.option("--no-publish", is_flag=True, help="只入库，不发布")
@as_json_option
@pass_new_home
def ingest_command(
    context: Context, *, dataset: str, files: tuple[str, ...], more: tuple[str, ...], no_publish: bool, as_json: bool
) -> None:
    """处理指定文件。"""
    from chengxin.cli.work import ingest_files

    context.contract(dataset)
    finish(context, ingest_files(context, dataset, [Path(f) for f in files + more], publish=not no_publish), as_json)


@main.command(name="publish")
@click.option("--approve-as", "by", metavar="姓名", help="批准已放行的批次；须不是放行人，姓名和意见写入快照清单")
@click.option("--reason", default="", help="与 --approve-as 同用：批准的意见，请勿写个人信息")
@as_json_option
@pass_home
def publish_command(context: Context, by: str | None, reason: str, as_json: bool) -> None:
    """补关联并发布。

    放行的批次须由另一人批准后才发布；在此之前，只发布在它之前入库的。
    """
    from chengxin.cli.work import approval_of, settle

    contracts = context.contracts()
    finish(context, settle(context, contracts, approval=approval_of(context, contracts, by, reason)), as_json)


@main.command(name="release")
@click.argument("dataset")
@click.argument("batch_id")
@click.option("--reason", required=True, help="为何放行、如何核实；写入校验结论和入库日志，请勿写个人信息")
@click.option("--by", help="由谁放行，缺省为当前用户")
@click.option("--no-publish", is_flag=True, help="只入库，不发布")
@as_json_option
@pass_home
def release_command(
    context: Context, *, dataset: str, batch_id: str, reason: str, by: str | None, no_publish: bool, as_json: bool
) -> None:
    """放行暂停（hold）的批次。

    放行后尚不发布：须由另一人批准，见 publish --approve-as。
    """
    from chengxin.cli.work import release_batch

    if not reason.strip():
        raise click.UsageError("--reason 不能为空：请写明为何放行、如何核实")
    contract = context.contract(dataset)
    context.batch(contract, batch_id)
    said = (reason.strip(), (by or "").strip() or getpass.getuser())
    finish(context, release_batch(context, contract, batch_id, *said, publish=not no_publish), as_json)


@main.command(name="serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="监听的地址")
@click.option("--port", type=click.IntRange(1, 65535), help="监听的端口；缺省 8090，已被占用时用其后第一个空闲的")
@click.option("--behind", default="", help="反向代理转来的路径前缀，如 /data")
@click.pass_obj
def serve_command(context: Context, host: str, port: int | None, behind: str) -> None:
    """以只读接口提供已发布的快照。"""
    from chengxin.cli.server import serve

    serve(context, host, port, behind)


def finish(context: Context, result: dict[str, Any], as_json: bool, *, demo: bool = False) -> None:
    """Print the outcome of a run and leave with its exit code.

    demo: a held batch belongs to the show; a run without a snapshot has failed.
    """
    show_outcome(context, result, as_json)
    if result.get("failures") or (demo and result["snapshot"] is None):
        sys.exit(FAILED)
    held = result.get("awaiting") or any(b["verdict"] == "hold" for b in result["batches"])
    sys.exit(HELD if not demo and held else 0)


def show_outcome(context: Context, result: dict[str, Any], as_json: bool) -> None:
    """Print the outcome of a run; failures, and what the open tier lacks, go to stderr."""
    from chengxin.cli.render import summary
    from chengxin.publishing.open_tier.derivation import withheld

    for failure in result.get("failures", []):
        echo(f"错误：{failure}", err=True)
    if as_json:
        show_json({key: value for key, value in result.items() if key != "failures"})
    else:
        summary(context.home, Console(), result)
    if told := withheld(context.home):
        echo(f"提醒：{told}", err=True)


@main.command(name="status")
@as_json_option
@pass_home
def status_command(context: Context, as_json: bool) -> None:
    """各数据集现状。"""
    from chengxin.cli.inspect import status
    from chengxin.cli.render import show_status

    result = status(context.home, context.contracts())
    show_json(result) if as_json else show_status(Console(), result)


@main.command(name="report")
@click.argument("dataset")
@click.argument("batch")
@click.option("-o", "--output", type=click.File("w", "utf-8"), default="-", help="写入的 HTML 文件；缺省写到标准输出")
@pass_home
def report_command(context: Context, dataset: str, batch: str, output: IO[str]) -> None:
    """一个批次的校验报告（HTML）。"""
    from chengxin.quality import evidence

    page = evidence.read_page(context.home.here(scopes.FACTS).layout.validation(dataset, batch))
    if page is None:
        raise click.UsageError(
            f"没有数据集 {dataset} 批次 {batch} 的校验报告：批次号见 chengxin status，或该批次尚未校验"
        )
    output.write(page)


@main.command(name="verify")
@click.argument("snapshot", required=False)
@as_json_option
@pass_home
def verify_command(context: Context, snapshot: str | None, as_json: bool) -> None:
    """核验快照与来文。"""
    from chengxin.cli.inspect import verify

    with context.given.changing("verify", scopes.FACTS) as home:
        lost = home.anew(f"published/*/snapshots/{snapshot}/*" if snapshot else "*")
        result = verify(home, snapshot)
        result["problems"] = lost + result["problems"]
    if as_json:
        show_json(result)
    else:
        for problem in result["problems"]:
            echo(f"✗ {problem}")
        echo(f"核验了 {result['checked']} 项，{len(result['problems'])} 个问题")
    sys.exit(FAILED if result["problems"] else 0)


class Quarantine(click.Group):
    """`quarantine DATASET` shows, as ever; `quarantine close DATASET` settles."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what is no command's name for options and data set of `show`, in whatever order they stand."""
        asks = {"-h", "--help"} & set(args)
        return super().parse_args(ctx, args if not args or asks or args[0] in self.commands else ["show", *args])


@main.group(name="quarantine", cls=Quarantine)
def quarantine_group() -> None:
    """疑问数据：查看、导出、重放；人工办结用 quarantine close。"""


@quarantine_group.command(name="close")
@click.argument("dataset")
@click.option("--batch", "batch_id", required=True, help="批次号")
@click.option("--rows", "rows", multiple=True, required=True, help="来文中的行号，如 12,15-18；有多个文件的：文件名:12")
@click.option("--reason", required=True, help="为何不必再更正、如何核实；写入回执和办结记录，请勿写个人信息")
@click.option("--by", "by", help="由谁办结，缺省为当前用户")
@click.option("--reopen", is_flag=True, help="撤销办结，重新列为待更正")
@as_json_option
@pass_home
def quarantine_close_command(
    context: Context,
    *,
    dataset: str,
    batch_id: str,
    rows: tuple[str, ...],
    reason: str,
    by: str | None,
    reopen: bool,
    as_json: bool,
) -> None:
    """人工办结疑问数据，或撤销。"""
    from chengxin.cli import quarantine
    from chengxin.cli.render import show_closed

    if not reason.strip():
        raise click.UsageError("--reason 不能为空：请写明为何办结、如何核实")
    contract = context.contract(dataset)
    context.batch(contract, batch_id)
    result = quarantine.close(
        context, contract, batch_id, rows, by=by or getpass.getuser(), reason=reason, reopen=reopen
    )
    show_json(result) if as_json else show_closed(Console(), result)


@quarantine_group.command(name="show")
@click.argument("dataset")
@click.option("--batch", "batch_id", help="批次号，缺省为全部批次")
@click.option("--limit", default=100, show_default=True, help="最多显示多少行；0 = 全部")
@click.option("--raw", is_flag=True, help="同时显示原文（可能含个人信息，请勿外传）")
@click.option(
    "--export",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="导出为 .csv .jsonl .parquet，含原文",
)
@click.option("--replay", "again", is_flag=True, help="合同修订后，把现在能通过的疑问记录重新入库")
@as_json_option
@pass_home
def quarantine_command(
    context: Context,
    *,
    dataset: str,
    batch_id: str | None,
    limit: int,
    raw: bool,
    target: Path | None,
    again: bool,
    as_json: bool,
) -> None:
    """疑问数据：原因、更正情况，导出，重放。"""
    from chengxin.cli import quarantine
    from chengxin.cli.render import show_export, show_quarantine, show_replays

    contract = context.contract(dataset)
    context.batch(contract, batch_id)
    if again and target:
        raise click.UsageError("--export 与 --replay 不能同时使用")
    if again:
        result = quarantine.replay(context, contract, batch_id)
        if not as_json:
            show_replays(Console(), result.pop("replays"))
        finish(context, result, as_json)
    elif target:
        result = quarantine.export(context.home, contract, batch_id, target)
        show_json(result) if as_json else show_export(Console(), result)
    else:
        result = quarantine.quarantine(context.home, contract, batch_id, limit, raw=raw)
        show_json(result) if as_json else show_quarantine(Console(), result)


@main.command(name="feedback")
@click.argument("dataset")
@click.option("--batch", "batch_id", help="批次号，缺省为全部批次")
@click.option("--again", is_flag=True, help="再送一次（须指明批次）；编号不变，接收方可据此识别")
@as_json_option
@pass_home
def feedback_command(context: Context, dataset: str, batch_id: str | None, again: bool, as_json: bool) -> None:
    """给报送部门的反馈：回执与送达情况，未送达的补送。"""
    from chengxin.cli.feedback import feedback
    from chengxin.cli.render import show_feedback

    if again and not batch_id:
        raise click.UsageError("--again 须同时用 --batch 指明批次")
    contract = context.contract(dataset)
    result = feedback(context, contract, context.batch(contract, batch_id), again=again)
    show_json(result) if as_json else show_feedback(Console(), result)
    sys.exit(FAILED if any(a["problem"] for a in result["answers"]) else 0)


@main.command(name="show")
@click.argument("subject")
@click.option("--tier", default="government", show_default=True, type=click.Choice(["government", "open"]))
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="这一天终了时已发布的记录（年-月-日），缺省为现在")
@click.option("--values", is_flag=True, help="显示个人信息（姓名、证件号码、电话等）；谁、何时、看了谁，都会记录")
@as_json_option
@pass_home
def show_command(
    context: Context, *, subject: str, tier: str, as_of: datetime | None, values: bool, as_json: bool
) -> None:
    """按主体编号、标识或名称查看信用档案：概况和按日期排列的记录。"""
    from chengxin.cli.card import masked, show_cards
    from chengxin.cli.inspect import show
    from chengxin.records import accesses

    found = show(context.home, subject, tier, as_of.date() if as_of else None)
    if values and found["subjects"]:
        ids = [one["subject_id"] for one in found["subjects"]]
        with context.given.changing("access", scopes.ACCESSES) as here:
            accesses.enter(
                here.layout,
                at=context.given.clock.now(),
                by=getpass.getuser(),
                what=f"show --values --tier {tier}",
                subjects=ids,
                snapshot=found["snapshot"],
            )
    elif not values:
        found["subjects"] = [masked(one) for one in found["subjects"]]
    show_json(found) if as_json else show_cards(Console(), found, context.contracts())
    sys.exit(0 if found["subjects"] else FAILED)


@main.command(name="demo-data")
@click.option("--seed", default=20261123, show_default=True)
@pass_new_home
def demo_data_command(context: Context, seed: int) -> None:
    """只生成演示报送。"""
    from chengxin.cli.demo import make_all

    for line in make_all(context, seed):
        echo(line)


@main.command(name="demo")
@click.option("--seed", default=20261123, show_default=True)
@click.option("--airflow", is_flag=True, help="经由内嵌的 Airflow 运行，结束后页面保持可用，直到 Ctrl-C")
@click.option("--once", is_flag=True, help="与 --airflow 合用：发布后即结束")
@click.option("--ask", is_flag=True, help="与 --airflow 合用：审批留给您在页面上作答，不自动作答")
@as_json_option
@pass_new_home
def demo_command(context: Context, *, seed: int, airflow: bool, once: bool, ask: bool, as_json: bool) -> None:
    """主任务演示：两轮报送，全流程，发布快照。"""
    from chengxin.cli.demo import run_demo

    if not airflow:
        if once or ask:
            raise click.UsageError("--once 和 --ask 须与 --airflow 合用")
        finish(context, run_demo(context, seed, quiet=as_json), as_json, demo=True)
    from chengxin.cli.embedded import Mode, run_embedded

    mode = Mode(seed, once=once, ask=ask, quiet=as_json)
    result = run_embedded(context, mode, lambda done: show_outcome(context, done, as_json))
    sys.exit(FAILED if result["failures"] or result["snapshot"] is None else 0)
