"""What the demo says of its rounds."""

from typing import Any

from chengxin.cli import demo


def batch(n: int, **more: Any) -> dict[str, Any]:
    counts = dict.fromkeys(("accepted", "quarantined", "duplicate", "unlinked"), 0)
    return {"dataset": "test", "batch_id": f"test-{n}", "received": 10, "verdict": "accept", **counts, **more}


def test_a_round_separates_new_batches_from_late_linked_ones() -> None:
    done = {"batches": [batch(1), batch(2), batch(3, verdict="hold")], "snapshot": {"id": "s2"}}
    line = demo.round_line(2, done, earlier={"test-1"})
    assert line == "第 2 轮：收到 2 个批次，20 行，另有 1 个早先的批次补关联，暂缓 test-3，快照 s2"
    assert demo.round_line(1, {"batches": [], "snapshot": None}, earlier=()) == (
        "第 1 轮：收到 0 个批次，0 行，没有变化，不发布"
    )
