"""`contracts draft` and `contracts try`: from a never-seen file to a contract that a person has decided on."""

import re
import sys
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from chengxin.cli.context import HELD, Context, as_json_option, show_json
from chengxin.cli.group import contracts_group
from chengxin.cli.terminal import Console, Table, echo
from chengxin.contracts.loader import load, parse_contract
from chengxin.contracts.models import Contract
from chengxin.errors import ContractError

_VERDICTS = {"accept": "[green]通过[/]", "warn": "[yellow]通过，但有提示[/]", "hold": "[red]整批暂停[/]"}
_ID = re.compile(r"[a-z][a-z0-9_]{1,62}")


@contracts_group.command(name="draft")
@click.argument("source")
@click.option("--id", "dataset", default="", help="数据集代码，如 tax_arrears；缺省取输出文件名，否则按记录种类")
@click.option("--title", default="", help="数据集名称")
@click.option("--kind", default="", help="记录种类；缺省按各列推断")
@click.option("--department", default="", metavar="代码:名称", help="报送部门，如 430000-SW:某某税务局")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="写入的文件（不覆盖已有文件）；缺省显示在屏幕上")
@click.pass_obj
def draft_command(
    context: Context, *, source: str, dataset: str, title: str, kind: str, department: str, output: str | None
) -> None:
    """看一份样本，起草合同，由人修改。

    SOURCE 是文件（各种格式及压缩包）、http(s) 网址，或 connection:连接名/表名。
    """
    from chengxin.onboarding.contract_text import as_yaml
    from chengxin.onboarding.draft import Wishes, draft
    from chengxin.onboarding.sample import look_at

    target = Path(output) if output else None
    if target and target.exists():
        raise click.UsageError(f"{target} 已存在，不覆盖；请换一个文件名或先移走它")
    if target and not dataset:
        if target.suffix != ".yaml" or not _ID.fullmatch(target.stem):
            raise click.UsageError("输出文件名应为 <数据集代码>.yaml，代码由小写字母、数字和下划线组成")
        dataset = target.stem
    if dataset and not _ID.fullmatch(dataset):
        raise click.UsageError("--id 应由小写字母、数字和下划线组成，以字母开头")
    if not source.startswith(("http://", "https://", "connection:")) and not Path(source).is_file():
        raise click.UsageError(f"没有文件 {source}；网址以 http(s):// 开头，数据库表写 connection:连接名/表名")
    folder = target.resolve().parent.name if target else ""
    known = load(context.given.settings.contracts).contracts
    wishes = Wishes(dataset, title, kind, folder if _is_domain(folder, dataset) else "", _department(department))
    found = draft(look_at(source), known, wishes)
    text = as_yaml(found)
    if target is None:
        echo(text, nl=False)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        target.chmod(0o666 & ~context.mask)
    _tell(found, target, Console(stderr=True))


def _is_domain(folder: str, dataset: str) -> bool:
    return bool(_ID.fullmatch(folder)) and dataset.startswith(f"{folder}_")


def _department(given: str) -> tuple[str, str] | None:
    if not given:
        return None
    code, colon, name = given.replace("：", ":").partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z0-9._-]{2,32}", code.strip()) or not name.strip():
        raise click.UsageError("--department 应写成 代码:名称，如 430000-SW:某某税务局")
    return code.strip(), name.strip()


def _tell(found: Any, target: Path | None, console: Console) -> None:
    """Sum up on stderr what was found, so that stdout stays the contract."""
    columns = found.chosen.matches
    sure = sum(m.element is not None and m.sure for m in columns)
    check = sum(m.element is not None and not m.sure for m in columns)
    console.print("记录种类：", highlight=False)
    for rank, proposal in enumerate(found.proposals[:3], 1):
        kind, why = proposal.kind, "；".join(proposal.reasons)
        words = f"  {rank}. {kind.id} {kind.title}（{proposal.score:.1f} 分）：{why}"
        console.print(words, highlight=False, markup=False, soft_wrap=True)
    if not found.clear:
        console.print("[red]没有一种明显符合：请选定后用 --kind 重新起草[/]")
    elif found.kind_doubts:
        console.print(f"[yellow]请核对记录种类：{'、'.join(found.kind_doubts)}[/]", highlight=False)
    console.print(
        f"{len(columns)} 列：已对应 {sure}，已对应待核对 {check}，待定 {len(found.undecided)}", highlight=False
    )
    if target:
        console.print(
            f"已写入 {target}；请处理其中的“待办”和“待定”，再运行 chengxin contracts try",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


@contracts_group.command(name="try")
@click.argument("contract")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@as_json_option
@click.pass_obj
def try_command(context: Context, contract: str, file: str, as_json: bool) -> None:
    """用一份来文试一试合同，不入库。

    CONTRACT 是合同文件，或合同目录中的数据集代码。退出码：0 可以入库，3 会整批暂停，2 用法或合同有误。
    """
    from chengxin.onboarding.trial import attempt

    chosen = _chosen(context, contract)
    try:
        trial = attempt(context.given, chosen, Path(file))
    except ContractError as error:
        raise click.UsageError(str(error)) from error
    open_points = _open_points(chosen)
    if as_json:
        show_json(_as_plain(chosen, trial, open_points))
    else:
        _show(Console(), chosen, trial, open_points)
    sys.exit(HELD if trial.held else 0)


def _chosen(context: Context, given: str) -> Contract:
    path = Path(given)
    if not path.is_file():
        return context.contract(given)
    found, problems = parse_contract(path)
    if found is None:
        raise click.UsageError("合同有误：" + "；".join(problems))
    return found


def _open_points(contract: Contract) -> list[str]:
    from chengxin.contracts.lint import lint_contract

    return list(lint_contract(contract))


def _as_plain(contract: Contract, trial: Any, open_points: list[str]) -> dict[str, Any]:
    counts, verdict = trial.counts, trial.verdict
    return {
        "dataset": contract.id,
        "received": counts.received,
        "passed": counts.passed,
        "quarantined": counts.quarantined,
        "mismatch": counts.mismatch,
        "reasons": [{"zh": words, "rows": n} for words, n in trial.reasons],
        "warnings": [{"zh": words, "rows": n} for words, n in trial.warnings],
        "rows": list(trial.rows),
        "verdict": verdict.status,
        "findings": [{"severity": f.severity, "zh": f.message} for f in verdict.findings],
        "undecided": open_points,
        "seconds": trial.seconds,
    }


def _show(console: Console, contract: Contract, trial: Any, open_points: list[str]) -> None:
    counts = trial.counts
    console.print(f"[bold]{contract.title}[/]（{contract.id}）试运行，没有入库", highlight=False)
    console.print(
        f"收到 {counts.received:,} 行 = 可用 {counts.passed:,} + 疑问 {counts.quarantined:,}", highlight=False
    )
    if counts.mismatch:
        console.print(f"[red]来文与合同不符[/]：{counts.mismatch}", highlight=False, soft_wrap=True)
    _list(console, "疑问的原因（一行可有几个）", trial.reasons)
    _list(console, "可用的行中的提示", trial.warnings)
    if trial.rows:
        console.print("前几行（已遮盖个人信息）：", highlight=False)
        table = Table()
        table.add_column("列")
        for n in range(len(trial.rows)):
            table.add_column(f"第 {n + 1} 行", overflow="fold")
        for header in trial.rows[0]:
            table.add_row(Text(header), *(Text(row[header]) for row in trial.rows))
        console.print(table)
    for point in open_points:
        console.print(f"待办：{point}", highlight=False, markup=False, soft_wrap=True)
    if open_points:
        console.print("[yellow]待办处理完（contracts lint 通过）之前，不要投入使用[/]", highlight=False)
    console.print(f"结论：{_VERDICTS[trial.verdict.status]}（{trial.seconds:g} 秒）", highlight=False)
    for found in trial.verdict.findings:
        console.print(f"  {found.message}", highlight=False, markup=False, soft_wrap=True)


def _list(console: Console, title: str, entries: tuple[tuple[str, int], ...]) -> None:
    if entries:
        console.print(f"{title}：", highlight=False)
    for words, n in entries[:15]:
        console.print(f"  {n:>8,}  {words}", highlight=False, markup=False, soft_wrap=True)
    if len(entries) > 15:
        console.print(f"  另有 {len(entries) - 15} 种，见 --json")
