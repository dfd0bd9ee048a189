"""What people see: tables in Chinese. No personal value is shown but where a command was asked for it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
from rich.markup import escape

from chengxin import language
from chengxin.cli.terminal import Console, Table
from chengxin.connectors.receivers import outbox
from chengxin.contracts.loader import load
from chengxin.feedback.words import sentences
from chengxin.home import Home
from chengxin.model.kinds import kinds
from chengxin.operations.alerts.holds import hold_of
from chengxin.store.layout import Layout
from chengxin.store.lock import Holder

COUNTS = (
    ("received", "收到"),
    ("accepted", "入库"),
    ("quarantined", "疑问"),
    ("duplicate", "重复"),
    ("unlinked", "未关联"),
)
TIERS = {"government": "政务共享层", "authorised": "授权层", "open": "开放层"}
SUBJECT_TABLES = {
    "subject": "主体",
    "subject_identifier": "主体标识",
    "subject_name": "主体名称",
    "subject_supersession": "主体合并",
    "credit_record": "信用记录总表",
}
VERDICTS = {"accept": "[green]✓[/]", "warn": "[yellow]![/]", "hold": "[red]✗[/]"}


def summary(home: Home, console: Console, result: dict[str, Any]) -> None:
    """Show what a run did: counts per department, why rows were refused, where the Parquet lies and how to open it."""
    if not result["batches"] and not result["snapshot"]:
        console.print("没有新的报送，数据集没有变化。")
        _awaiting(console, result.get("awaiting", []))
        return
    titles = {c.id: (c.department.name, c.title) for c in load(home.settings.contracts).contracts.values()}
    _batches(console, result["batches"], titles)
    _reasons(home, console, result["batches"])
    _held(home, console, result["batches"])
    waiting = sum(b.get("unlinked", 0) for b in result["batches"])
    if waiting and not any(b.get("accepted") for b in result["batches"]):
        console.print(
            f"{waiting} 行没有错，但主体库中还没有这些主体，先等待："
            "请接入登记类数据集（如企业名单），到达后自动入库。\n",
            highlight=False,
            soft_wrap=True,
        )
    if result["batches"] and outbox(home).is_dir():
        console.print(f"反馈部门的回执与“需更正”表：{outbox(home)}\n", highlight=False, soft_wrap=True)
    _snapshot(console, result["snapshot"])
    _awaiting(console, result.get("awaiting", []))


def _awaiting(console: Console, awaiting: list[dict[str, Any]]) -> None:
    for one in awaiting:
        said = one["released"]
        console.print(f"[yellow]待批准[/] {one['batch_id']}：", highlight=False, end="")
        console.print(f"{said['by']} 已放行（{said['reason']}），须由另一人批准后发布：", highlight=False, markup=False)
    if awaiting:
        text = "  chengxin publish --approve-as 姓名 --reason 意见；在此之前，其后入库的一并等候"
        console.print(text, highlight=False, soft_wrap=True)


def _batches(console: Console, batches: list[dict[str, Any]], titles: dict[str, tuple[str, str]]) -> None:
    table = Table("各部门报送 (收到 = 入库 + 疑问 + 重复 + 未关联)")
    table.add_column("部门 / 数据集", overflow="fold", min_width=22)
    for label in ("批次", *(label for _, label in COUNTS)):
        table.add_column(label, justify="right", no_wrap=True)
    table.add_column("结论", no_wrap=True)
    rows: dict[str, list[dict[str, Any]]] = {}
    for batch in batches:
        rows.setdefault(batch["dataset"], []).append(batch)
    shown = ""
    for dataset in sorted(rows, key=lambda d: (titles.get(d, ("", d))[0], d)):
        department, title = titles.get(dataset, ("", dataset))
        if department != shown:
            shown = department
            table.add_row(f"[bold]{department}[/]")
        mine = rows[dataset]
        verdicts = Counter(b["verdict"] for b in mine)
        words = " ".join(f"{VERDICTS[v]}{verdicts[v]}" for v in VERDICTS if verdicts[v])
        table.add_row(f"  {title}", str(len(mine)), *(f"{sum(b[c] for b in mine):,}" for c, _ in COUNTS), words)
    table.add_section()
    table.add_row("合计", str(len(batches)), *(f"{sum(b[c] for b in batches):,}" for c, _ in COUNTS), "")
    console.print(table)
    console.print("结论：[green]✓[/] 通过  [yellow]![/] 提醒（入库，请留意）  [red]✗[/] 整批暂缓（其各行计入疑问）")


def _reasons(home: Home, console: Console, batches: list[dict[str, Any]]) -> None:
    counted = _errors(batches, home.layout)
    if not counted:
        return
    table = Table("主要问题 (逐行记录在案，可反馈报送部门)")
    table.add_column("次数", justify="right", no_wrap=True)
    table.add_column("问题与处理", overflow="fold")
    told: Counter[tuple[str, str, str]] = Counter()  # several fields may share a sentence
    for (rule, element), n in counted.items():
        told[(*sentences(rule, element), rule)] += n
    for (problem, remedy, rule), n in told.most_common(8):
        table.add_row(f"{n:,}", f"{problem}：{remedy} [dim]{rule}[/]")
    console.print(table)


def _errors(batches: list[dict[str, Any]], layout: Layout) -> Counter[tuple[str, str]]:
    """Count the errors in these batches by rule and element."""
    counted: Counter[tuple[str, str]] = Counter()
    for batch in batches:
        for part in layout.standard(batch["dataset"], batch["batch_id"]).glob("issues-*.parquet"):
            found = pq.read_table(part, columns=["rule", "element"], filters=[("level", "=", "error")])
            for one in found.group_by(["rule", "element"]).aggregate([([], "count_all")]).to_pylist():
                counted[one["rule"], one["element"]] += one["count_all"]
    return counted


def _held(home: Home, console: Console, batches: list[dict[str, Any]]) -> None:
    for batch in batches:
        if batch["verdict"] == "hold":
            layout = home.layout
            hold = hold_of(layout, batch["dataset"], batch["batch_id"])
            console.print(f"[red]暂缓[/] {hold.batch_id}：", highlight=False, end="")
            # they may hold names of files as they were sent
            console.print("；".join(hold.why), highlight=False, markup=False, soft_wrap=True)
            console.print(f"  处理：{hold.remedy()}", highlight=False, markup=False, soft_wrap=True)
            told = f"chengxin report {hold.dataset} {hold.batch_id}"
            console.print(f"  校验报告：{told}", highlight=False, soft_wrap=True)


def _snapshot(console: Console, snapshot: dict[str, Any] | None) -> None:
    if not snapshot:
        console.print("没有变化，不发布新快照。")
        return
    table = Table(f"快照 {snapshot['id']}")
    table.add_column("表")
    for tier in snapshot["tiers"]:
        table.add_column(TIERS.get(tier, tier), justify="right")
    titles = {k.id: k.title for k in kinds().values()} | SUBJECT_TABLES
    for name in sorted({t for tier in snapshot["tiers"].values() for t in tier["tables"]}):
        counts = (f"{t['tables'][name]:,}" if name in t["tables"] else "–" for t in snapshot["tiers"].values())
        table.add_row(f"{name}  [dim]{titles.get(name, '')}[/]", *counts)
    console.print(table)
    for tier, ref in snapshot["tiers"].items():
        console.print(f"{TIERS.get(tier, tier)}：{ref['path']}", highlight=False, soft_wrap=True)
    path = snapshot["tiers"]["government"]["path"]
    console.print("打开：", highlight=False)
    for line in (
        f'python -c "import duckdb; print(duckdb.sql(\\"FROM \'{path}/credit_record/*.parquet\' LIMIT 5\\"))"',
        f"python -c \"import polars as pl; print(pl.read_parquet('{path}/subject/*.parquet'))\"",
    ):
        console.print(f"  {line}", highlight=False, soft_wrap=True, markup=False)


def show_status(console: Console, result: dict[str, Any]) -> None:
    """Show the state of every data set and the current snapshots."""
    table = Table("数据集现状")
    table.add_column("部门 / 数据集", overflow="fold")
    for label in ("批次", *(label for _, label in COUNTS)):
        table.add_column(label, justify="right", overflow="fold", no_wrap=language.chosen() == "zh")
    table.add_column("最近接收", justify="right", overflow="fold", no_wrap=True)
    shown = ""
    for row in sorted(result["datasets"], key=lambda r: (r["department"], r["dataset"])):
        if row["department"] != shown:
            shown = row["department"]
            table.add_row(f"[bold]{shown}[/]")
        last = (row["last_received_at"] or "从未")[:10]
        table.add_row(f"  {row['title']}", str(row["batches"]), *(f"{row[c]:,}" for c, _ in COUNTS), last)
    console.print(table)
    for row in result["datasets"]:
        for line in _remarks(row):
            console.print(line, highlight=False, soft_wrap=True)
    for tier, now in result["snapshots"].items():
        console.print(f"{TIERS[tier]}：{now['id'] if now else '尚未发布'}", highlight=False)
    if result["withheld"]:
        console.print(f"[yellow]开放层[/] {result['withheld']}", highlight=False, soft_wrap=True)
    for one in result["locks"]:
        console.print(f"[yellow]占用[/] {Holder(**one)}占用“{one['lock']}”锁", highlight=False, soft_wrap=True)


def _remarks(row: dict[str, Any]) -> Iterator[str]:
    """Return what a person should know of a data set, a line each."""
    dataset = row["dataset"]
    yield from (f"[red]暂缓[/] {batch_id}" for batch_id in row["held"])
    for aside in row["aside"]:
        text = f"[red]搁置[/] {aside['batch_id']}：{aside['tries']} 次失败，{escape(aside['said'])}"
        yield f"{text}；处理后运行 chengxin retry {dataset} {aside['batch_id']}"
    if row["problem"]:
        yield f"[red]有误[/] {dataset}：{escape(row['problem'])}"
    yield from (f"[yellow]序号不连续[/] {dataset}：{gap}" for gap in row["gaps"])
    if row["closed"]:
        yield f"[dim]{dataset}：疑问数据中 {row['closed']:,} 行经人工办结[/]"
    waiting = row["pending"] - len(row["held"]) - len(row["aside"])
    if waiting > 0:
        yield f"[yellow]待处理[/] {dataset}：{waiting} 个批次"


def show_quarantine(console: Console, result: dict[str, Any]) -> None:
    """Show refused rows with place and reasons, batch by batch."""
    console.print(f"{result['title']}：疑问数据 {result['total']:,} 行，待更正 {result['open']:,} 行", highlight=False)
    for batch in result["batches"]:
        by = "；".join(f"{n:,} 行由 {b} 更正" for b, n in batch["mended"].items())
        overtaken = f"{batch['overtaken']:,} 行已被新的全量取代" if batch["overtaken"] else ""
        again = f"{batch['again']:,} 行又报来、仍有误" if batch["again"] else ""
        closed = "；".join(f"{n:,} 行人工办结（{reason}）" for reason, n in batch["closed"].items())
        more = "；".join(t for t in (by, again, overtaken, closed) if t)
        console.print(
            f"  {batch['batch_id']}：{batch['refused']:,} 行，待更正 {batch['open']:,} 行{'；' + more if more else ''}",
            highlight=False,
            soft_wrap=True,
        )
    shown = None
    for row in result["rows"]:
        if row["batch_id"] != shown:
            shown = row["batch_id"]
            console.print(f"\n[bold]{shown}[/]", highlight=False)
        place = f"{row['file']} 第 {row['row']} 行" if row["row"] else "整批暂缓"
        place += "（已更正）" if row.get("mended_by") else ""
        place += f"（人工办结：{row['closed']}）" if row.get("closed") else ""
        for reason in row["reasons"]:
            column = f"【{reason['column']}】" if reason.get("column") else ""
            console.print(f"  {place} {column}{reason['zh']}", highlight=False, markup=False, soft_wrap=True)
        if "raw" in row:
            console.print(f"    原文：{row['raw']}", highlight=False, markup=False, soft_wrap=True)
    if result["total"] > len(result["rows"]):
        console.print(f"\n只显示前 {len(result['rows'])} 行；--limit 0 显示全部")


def show_export(console: Console, result: dict[str, Any]) -> None:
    """Describe where the refused rows were written."""
    console.print(
        f"已导出 {result['rows']:,} 行疑问数据：{'、'.join(result['files'])}", highlight=False, soft_wrap=True
    )
    console.print("文件含报送原文，可能有个人信息，只可交给报送部门。", highlight=False)


def show_closed(console: Console, result: dict[str, Any]) -> None:
    """Describe what was settled by hand, or waits again."""
    did, so = ("重新列为待更正", "本来就待更正") if result["reopened"] else ("办结", "此前已办结")
    already = f"；{result['already']:,} 行{so}" if result["already"] else ""
    console.print(
        f"{result['batch_id']}：{did} {result['changed']:,} 行{already}。"
        f"疑问 {result['total']:,} 行，待更正 {result['open']:,} 行。",
        highlight=False,
        soft_wrap=True,
    )


def show_replays(console: Console, replays: list[dict[str, Any]]) -> None:
    """Describe which rows were replayed."""
    if not replays:
        console.print("没有待更正的疑问数据，无可重放。")
    for one in replays:
        became = f"，成为批次 {one['replay']}" if one["replay"] else ""
        counted = f"重新检查 {one['checked']:,} 行，{one['passed']:,} 行可用{became}"
        console.print(f"{one['batch_id']}：{counted}，仍退回 {one['checked'] - one['passed']:,} 行", highlight=False)


def show_feedback(console: Console, result: dict[str, Any]) -> None:
    """Show the answers to the batches of a data set."""
    for answer in result["answers"]:
        where = f"已送达：{answer['sent']}" if answer["sent"] else "[red]未送达[/]，下次运行时再送"
        console.print(f"[bold]{answer['id']}[/] {answer['delivery']}", highlight=False, soft_wrap=True)
        console.print(f"  {answer['summary']}", highlight=False, soft_wrap=True)
        console.print(f"  {answer['advice']}", highlight=False, soft_wrap=True)
        console.print(f"  {where}", highlight=False, soft_wrap=True)
        if answer["problem"]:
            console.print(f"  [red]{answer['problem']}[/]", highlight=False, soft_wrap=True)
    if not result["answers"]:
        console.print("还没有反馈；批次处理完毕后生成。")
