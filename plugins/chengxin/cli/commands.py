"""The commands. Each reads its arguments, calls the pipeline and renders; nothing is decided here."""

import difflib
import errno
import functools
import getpass
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
from rich.logging import RichHandler

from chengxin import __version__, language
from chengxin.cli import homes, terminal
from chengxin.cli.terminal import Console, echo
from chengxin.clock import Clock
from chengxin.contracts.loader import Loaded, load
from chengxin.contracts.models import Contract
from chengxin.errors import ChengxinError, failed_write
from chengxin.settings import Settings
from chengxin.store import lock, privacy, remote
from chengxin.store.layout import Layout
from chengxin.store.memory import expect_short_life
from chengxin.store.remote import scopes

log = logging.getLogger(__name__)
HELD, FAILED, USAGE, STOPPED = 3, 1, 2, 130


@dataclass(frozen=True)
class Context:
    """What every command is given. mask: for files that are no part of a home and others may read."""

    given: Settings
    clock: Clock
    console: Console
    mask: int

    @cached_property
    def settings(self) -> Settings:
        """Return settings whose home can be read: from an object store as it was when first asked for.

        Raise HomeOutdated where the home is of another format.
        """
        from chengxin.records.journal import refuse_outdated

        found = remote.here(self.given, scopes.WITHOUT_PAYLOAD)
        refuse_outdated(Layout(found.home))
        return found

    def batch(self, contract: Contract, batch_id: str | None) -> str | None:
        """Return a batch's id as given, None for all, or end with a usage error that names the newest ones."""
        from chengxin.connectors import landing

        known = [b.batch_id for b in landing.batches(self.settings, contract.id)]
        if batch_id is None or batch_id in known:
            return batch_id
        near = difflib.get_close_matches(batch_id, known, 3, 0.5) or known[-3:]
        there = f"相近的有：{'、'.join(near)}" if near else "该数据集还没有批次"
        raise click.UsageError(f"数据集 {contract.id} 没有名为 {batch_id} 的批次；{there}")

    def loaded(self) -> Loaded:
        """Return all contracts, those that cannot be used with their problems."""
        return load(self.given.contracts)

    def contracts(self) -> dict[str, Contract]:
        """Return the usable contracts, by id; problems of the others are shown on stderr."""
        loaded = self.loaded()
        for problem in loaded.problems:
            echo(f"合同有误 {problem.path}：{problem.message}", err=True)
        return loaded.contracts

    def contract(self, dataset: str) -> Contract:
        """Return one contract or end with a usage error that names the known ones."""
        known = self.contracts()
        if dataset not in known:
            raise click.UsageError(f"没有名为 {dataset} 的数据集；可用：{'、'.join(known) or '（无）'}")
        return known[dataset]


class Commands(click.Group):
    """Chooses the language of the run and turns what went wrong into one sentence and an exit code."""

    def main(self, args: Sequence[str] | None = None, *given: Any, **options: Any) -> Any:
        """Run a command line."""
        words = sys.argv[1:] if args is None else list(args)
        terminal.speak(language.wanted(words, os.environ))
        try:
            code = super().main(words, *given, **{**options, "standalone_mode": False})
        except click.ClickException as error:
            if context := getattr(error, "ctx", None):
                click.echo(context.get_usage(), err=True)
            echo(f"错误：{error.format_message()}", err=True)
            code = error.exit_code
        except click.Abort:
            echo("已中断。已完成的部分不会丢失，可以重新运行同一命令。", err=True)
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
            echo(f"错误：{_sentence(error, ctx.obj.given.home if ctx.obj else '')}", err=True)
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
@click.option("--lang", type=click.Choice(["zh", "en"]), help="输出的语言：zh 中文（缺省），en 英文；缺省按 LANG")
@click.option("--verbose", "-v", is_flag=True, help="显示日志")
@click.pass_context
def main(ctx: click.Context, home: str | None, contracts: str | None, lang: str | None, verbose: bool) -> None:
    """诚信湖南：把各部门报送的信用信息变成一份可信、可追溯的数据集。"""
    # Spawned workers and Airflow read the same home.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
    expect_short_life()
    mask = privacy.keep_private()
    lock.command.set(f"chengxin {ctx.invoked_subcommand}")
    console = Console(stderr=True)
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)])
    try:
        settings = Settings.from_environment(home=home, contracts=contracts)
    except OSError as error:
        raise click.UsageError(language.told(str(error.strerror))) from None
    ctx.obj = Context(settings, Clock.from_environment(), console, mask)


def pass_home(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand the context to a command that needs a home that exists."""

    @click.pass_obj
    def checked(context: Context, /, **given: Any) -> Any:
        if not homes.is_home(context.settings.home):
            raise click.UsageError(homes.missing(context.given))
        return command(context, **given)

    return functools.update_wrapper(checked, command)


def pass_new_home(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand the context to a command that makes a home if need be, and says so."""

    @click.pass_obj
    def told(context: Context, /, **given: Any) -> Any:
        if not homes.is_home(context.settings.home):
            echo(f"新建数据目录 {context.given.shown(context.given.home)}", err=True)
        return command(context, **given)

    return functools.update_wrapper(told, command)


def as_json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="输出 JSON，供程序使用")(command)


def show_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    echo(json.dumps(value, ensure_ascii=False, indent=1))


@main.group(name="contracts")
def contracts_group() -> None:
    """数据合同。"""


@contracts_group.command(name="lint")
@as_json_option
@click.pass_obj
def lint_command(context: Context, as_json: bool) -> None:
    """检查全部合同。"""
    from chengxin.cli.inspect import lint_suites
    from chengxin.contracts.lint import lint

    loaded = load(context.given.contracts)
    problems = [*loaded.problems, *lint(loaded.contracts, context.given.expectations)]
    found = [{"path": p.path, "message": p.message} for p in problems]
    found += lint_suites(context.given, loaded.contracts)
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
    context: Context, dataset: str, files: tuple[str, ...], more: tuple[str, ...], no_publish: bool, as_json: bool
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
    context: Context, dataset: str, batch_id: str, reason: str, by: str | None, no_publish: bool, as_json: bool
) -> None:
    """放行暂停（hold）的批次。

    放行后尚不发布：须由另一人批准，见 publish --approve-as。
    """
    from chengxin.cli.work import release_batch

    if not reason.strip():
        raise click.UsageError("--reason 不能为空：请写明为何放行、由谁核实")
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
        summary(Console(), result, context.settings)
    if told := withheld(context.settings):
        echo(f"提醒：{told}", err=True)


@main.command(name="status")
@as_json_option
@pass_home
def status_command(context: Context, as_json: bool) -> None:
    """各数据集现状。"""
    from chengxin.cli.inspect import status
    from chengxin.cli.render import show_status

    result = status(context.settings, context.contracts())
    show_json(result) if as_json else show_status(Console(), result)


@main.command(name="verify")
@click.argument("snapshot", required=False)
@as_json_option
@pass_home
def verify_command(context: Context, snapshot: str | None, as_json: bool) -> None:
    """核验快照与来文。"""
    from chengxin.cli.inspect import verify

    with remote.changing(context.given, "verify", scopes.FACTS) as settings:
        lost = remote.anew(settings, f"published/*/snapshots/{snapshot}/*" if snapshot else "*")
        result = verify(settings, snapshot)
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
        result = quarantine.export(context.settings, contract, batch_id, target)
        show_json(result) if as_json else show_export(Console(), result)
    else:
        result = quarantine.quarantine(context.settings, contract, batch_id, limit, raw=raw)
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
@click.option("--values", is_flag=True, help="显示个人信息（姓名、证件号码、电话等）；谁、何时、看了谁，都会记录")
@as_json_option
@pass_home
def show_command(context: Context, subject: str, tier: str, values: bool, as_json: bool) -> None:
    """按主体编号、标识或名称查看信用档案：概况和按日期排列的记录。"""
    from chengxin.cli.card import masked, show_cards
    from chengxin.cli.inspect import show
    from chengxin.records import accesses

    found = show(context.settings, subject, tier)
    if values and found["subjects"]:
        ids = [one["subject_id"] for one in found["subjects"]]
        with remote.changing(context.given, "access", scopes.ACCESSES) as here:
            accesses.enter(
                Layout(here.home),
                at=context.clock.now(),
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
def demo_command(context: Context, seed: int, airflow: bool, once: bool, ask: bool, as_json: bool) -> None:
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
