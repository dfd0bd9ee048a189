"""`identity`: the model that links by name, how often it errs, why it linked a name, and how a link is taken back."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chengxin.cli.context import FAILED, Context, as_json_option, pass_home, show_json
from chengxin.cli.group import main
from chengxin.cli.terminal import Table, echo

if TYPE_CHECKING:
    from chengxin.identity.by_name.evaluation import Evaluation, Layer
    from chengxin.identity.name_evidence import Answer

_INVENTED = "invented"
_KINDS = {
    "same": "字号行业相同", "same_sound": "同音", "like_shape": "形近", "like_sound": "近音",
    "other_character": "另一字",
    "one_more_here": "多一字", "one_more_there": "少一字", "exchanged": "两字颠倒", "two_alike": "两字音形相近",
    "two_other": "差两处", "several_more_here": "多几字", "several_more_there": "少几字", "distance_three": "差三处",
    "far": "差别大", "no_match": "无共同处", "no_answer": "登记库中没有",
}  # fmt: skip


@main.group(name="identity")
def identity_group() -> None:
    """统一标识：按名称关联的模型。"""


@identity_group.command(name="train")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="写到此文件；缺省为程序所带的模型")
def train_command(out: Path | None) -> None:
    """用虚构名称训练按名称关联的模型：同一程序得到逐字节相同的结果，约两分钟。"""
    from chengxin.identity.by_name import model
    from chengxin.identity.by_name.training.course import train
    from chengxin.store.atomic import write_bytes

    path = out or model.PATH
    write_bytes(path, train().text().encode())
    echo(f"已写入 {path}（{path.stat().st_size / 1024:.1f} KB）。")


@identity_group.command(name="evaluate")
@click.option(
    "--on",
    metavar="invented|DIR",
    default=_INVENTED,
    show_default=True,
    help="invented 虚构名称，或含 pool.csv、queries.csv、truth.csv 的目录",
)
@click.option("--explain", type=click.IntRange(0), default=0, help="另外解释这么多个最接近分界的关联")
@as_json_option
@click.pass_obj
def evaluate_command(context: Context, on: str, explain: int, as_json: bool) -> None:
    """对照已知答案检验按名称关联。退出码 1：准确率低于 0.998、召回低于 0.95 或有人名被关联。"""
    from chengxin.identity.by_name import model
    from chengxin.identity.by_name.evaluation import evaluate, read
    from chengxin.identity.by_name.training.lists import invented_lists

    lists = invented_lists() if on == _INVENTED else read(Path(on))
    found, explained = evaluate(*lists, model.shipped(), explain=explain)
    if as_json:
        rates = {"precision": found.total.precision, "recall": found.recall(found.total)}
        show_json(asdict(found) | rates | {"explained": explained})
    else:
        _show(context, found, explained)
    sys.exit(0 if found.is_sufficient else FAILED)


_STATES = {"linked": "已关联", "review": "待核对", "waits": "未关联"}


@identity_group.command(name="explain")
@click.argument("dataset")
@click.argument("batch_id")
@click.option("--all", "everything", is_flag=True, help="连同没有自动关联的名称")
@as_json_option
@pass_home
def explain_command(context: Context, dataset: str, batch_id: str, everything: bool, as_json: bool) -> None:
    """一批中按相近名称关联的：关联到谁，哪些一致，哪些不同，各有多重。"""
    found = [a for a in answers_of(context, dataset, batch_id) if everything or a.state == "linked"]
    if as_json:
        show_json({"answers": [asdict(answer) for answer in found]})
        return
    for answer in found:
        cut = "没有可靠的分界" if answer.cut is None else f"分界 {answer.cut}"
        echo(f"{_STATES[answer.state]}，主体 {answer.subject_id}，{cut}，有答案的比例约 {answer.share:.0%}")
        said = f"{answer.sent} → {answer.registered}" if answer.explanation is None else answer.explanation.text()
        click.echo(f"  {said}")
    echo(f"共 {len(found)} 个名称" if found else "没有按相近名称关联的行。")


def answers_of(context: Context, dataset: str, batch_id: str) -> Iterator["Answer"]:
    """Give what linking by name answered in a batch; end with a usage error where there is none of this id."""
    from chengxin.identity.name_evidence import answers
    from chengxin.records import journal

    context.batch(context.contract(dataset), batch_id)
    account = journal.accounts(context.home.layout).account(dataset, batch_id)
    revisions = range(account.revision + 1 if account else 0)
    return answers([context.home.layout.links(dataset, batch_id, r) for r in revisions])


def _show(context: Context, found: "Evaluation", explained: Sequence[str]) -> None:
    echo(f"模型 {found.model}，查询 {found.queries:,} 个，其中有答案 {found.answerable:,} 个")
    echo(f"登记名 {found.names:,} 个，{found.firms:,} 户")
    table = Table()
    for label in ("层", "连上", "错", "准确率", "召回"):
        table.add_column(label, justify="left" if label == "层" else "right", no_wrap=True)
    for label, layer in (("名称一致", found.exact), ("名称相近", found.alike), ("合计", found.total)):
        table.add_row(label, *_figures(found, layer))
    context.console.print(table)
    right = found.review.linked - found.review.wrong
    echo(f"复核 {found.review.linked:,} 个，其中对 {right:,} 个")
    if found.cut is None:
        echo("没有可靠的分界：名称相近的都不自动关联")
    else:
        echo(f"分界 {found.cut}，诱饵估计错 {found.decoys_wrong:.1f} 个，实际 {found.alike.wrong} 个")
    echo(f"有答案的比例估计 {found.share:.3f}")
    kinds = Table("差异种类")
    for label in ("差异", "查询", "连上", "错"):
        kinds.add_column(label, justify="left" if label == "差异" else "right", no_wrap=True)
    for kind, *counts in found.kinds:
        kinds.add_row(_KINDS[kind], *(f"{n:,}" for n in counts))
    context.console.print(kinds)
    bins = Table("可靠性")
    for label in ("后验概率", "名称", "预计对", "实际对"):
        bins.add_column(label, justify="right", no_wrap=True)
    for low, high, names, expected, real in found.reliability:
        bins.add_row(f"{low}–{high}", f"{names:,}", f"{expected:.3f}", f"{real:.3f}")
    context.console.print(bins)
    echo(f"分块召回 {found.blocking:.3f}，人名误入 {found.persons} 个")
    echo(f"速度 {found.rate:,.0f} 名/秒/核，内存峰值 {found.memory_mib:,} MiB")
    for text in explained:
        click.echo(text)


def _figures(found: "Evaluation", layer: "Layer") -> tuple[str, str, str, str]:
    return f"{layer.linked:,}", f"{layer.wrong:,}", f"{layer.precision:.4f}", f"{found.recall(layer):.3f}"
