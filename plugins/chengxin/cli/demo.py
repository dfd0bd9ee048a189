"""The demo: two rounds of invented deliveries through the whole pipeline."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chengxin.contracts.models import Contract
from chengxin.demo import DemoServer, made_sources, make_demo
from chengxin.settings import put, put_default

if TYPE_CHECKING:
    from chengxin.cli.context import Context

ROUNDS = (1, 2)


def make_all(context: "Context", seed: int) -> list[str]:
    """Write the deliveries of both rounds and return where they lie, in words."""
    contracts = context.contracts()
    lines = []
    for number in ROUNDS:
        sources = make_demo(context.home, contracts.values(), seed=seed, round=number)
        lines.append(
            f"第 {number} 轮演示报送已生成：{context.home.settings.home / 'inbox'}，{sum(sources.rows.values()):,} 行"
        )
    return lines


@contextmanager
def demo_sources(context: "Context", contracts: Mapping[str, Contract]) -> Iterator[None]:
    """Let the demo's interface and database answer while a command runs over a home that the demo made.

    What the environment configures already stays. Any other home: nothing happens.
    """
    sources = made_sources(context.home.settings.home, contracts.values())
    if sources is None:
        yield
        return
    with DemoServer(sources) as server:
        put_default(server.environment)
        yield


def run_demo(context: "Context", seed: int, *, quiet: bool) -> dict[str, Any]:
    """Make and process both rounds; return all batches and the last snapshot."""
    if not quiet:
        context.console.print("演示开始：两轮报送，全流程……", highlight=False)
    from chengxin.cli.work import run_datasets  # seconds of imports, after the first line

    # the demo's own inbox, wherever that of the environment is
    settings = replace(context.given.settings, inbox=None)
    context = replace(context, given=replace(context.given, settings=settings))
    contracts = context.contracts()
    batches: dict[str, dict[str, Any]] = {}
    result: dict[str, Any] = {}
    failures: list[str] = []
    for number in ROUNDS:
        if not quiet:
            context.console.print(f"第 {number} 轮：生成演示报送，然后处理……", highlight=False)
        sources = make_demo(context.home, contracts.values(), seed=seed, round=number)
        with DemoServer(sources) as server:
            put(server.environment)
            done = run_datasets(context, contracts, tuple(contracts))
        if not quiet:
            context.console.print(round_line(number, done, earlier=batches.keys()), highlight=False, soft_wrap=True)
        batches |= {b["batch_id"]: b for b in done["batches"]}
        failures += done["failures"]
        result["snapshot"] = done["snapshot"] or result.get("snapshot")
    card = issue_scorecard(context, contracts)
    if card and not quiet:
        context.console.print(card, highlight=False, soft_wrap=True)
    return {"batches": list(batches.values()), "snapshot": result["snapshot"], "failures": failures}


def issue_scorecard(context: "Context", contracts: Mapping[str, Contract]) -> str:
    """Issue the scorecard of the month before and tell of it in a line; nothing where it was issued already."""
    from chengxin.model.assessment import assessment
    from chengxin.operations.scorecards import scorecard
    from chengxin.store.remote import scopes

    month = scorecard.month_before(context.given.clock.today())
    with context.given.changing("scorecard", scopes.UNPUBLISHED) as home:
        done = scorecard.issue(home, contracts, month)
    if done is None or not done.fresh:
        return ""
    levels = Counter(entry["level"] for entry in done.body["departments"])
    told = "，".join(f"{level.title} {levels[level.title]}" for level in assessment().levels if levels[level.title])
    return f"{month[:4]} 年 {int(month[4:])} 月的绩效考评已定稿（部门数）：{told}"


def round_line(number: int, done: dict[str, Any], earlier: Collection[str]) -> str:
    """Tell a round in one line. earlier: batches of the rounds before, some of which found subjects of theirs now."""
    new = [b for b in done["batches"] if b["batch_id"] not in earlier]
    again = len(done["batches"]) - len(new)
    held = [b["batch_id"] for b in done["batches"] if b["verdict"] == "hold"]
    words = f"第 {number} 轮：收到 {len(new)} 个批次，{sum(b['received'] for b in new):,} 行"
    words += f"，另有 {again} 个早先的批次补关联" if again else ""
    words += f"，暂缓 {'、'.join(held)}" if held else ""
    return words + (f"，快照 {done['snapshot']['id']}" if done["snapshot"] else "，没有变化，不发布")
