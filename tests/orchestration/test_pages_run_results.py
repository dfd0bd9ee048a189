"""What a press is told when its run has ended, from what the tasks of the run left."""

from typing import Any

import pytest

from chengxin.orchestration.pages.run_results import words_of

ACCOUNT = {"received": 262, "accepted": 240, "quarantined": 3, "duplicate": 10, "unlinked": 9}
ENTERED = "入库 1 个批次： 收到 262 行 = 入库 240 + 疑问 3 + 重复 10 + 未关联 9。"


def told(*said: dict[str, Any], partly: bool = False) -> str:
    return " ".join(words.render(str) for words in words_of(said, partly=partly))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (({"action": "replay", "checked": 8, "passed": 0},), "重新检查 8 行：0 行通过，8 行仍退回。"),
        (({"action": "replay", "checked": 0, "passed": 0},), "没有待更正的疑问数据，无可重放。"),
        (({"action": "release", "batch": "b"}, {"batch": "b", **ACCOUNT}), f"已放行。 {ENTERED}"),
        (({"action": "release", "batch": "b"},), "该批次此前已入库，未作改动。"),
        (({"action": "close", "batch": "b", "changed": 2, "already": 1},), "办结 2 行。 另有 1 行本来就是如此。"),
        (({"action": "reopen", "batch": "b", "changed": 2, "already": 0},), "2 行重新列为待更正。"),
        (({"action": "new", "found": 0},), "来源处没有新的报送。"),
        (({"action": "new", "found": 1}, {"batch": "b", **ACCOUNT}), f"收到 1 份新报送。 {ENTERED}"),
        (({"action": "new", "found": 1}, {"batch": "b", "held": True}), "收到 1 份新报送。 1 个批次暂缓，未入库。"),
        (
            ({"action": "new", "found": 2}, {"batch": "b", **ACCOUNT}, {"batch": "c", "failed": "错"}),
            f"收到 2 份新报送。 {ENTERED}",
        ),
    ],
)
def test_what_was_asked_and_what_came_of_it(said, words):
    assert told(*said) == words


def test_a_run_that_failed_tells_what_it_did_all_the_same():
    assert told({"action": "new", "found": 2}, {"batch": "b", **ACCOUNT}, partly=True) == ENTERED
    assert told({"action": "release", "batch": "b"}, partly=True) == ""


def test_accounts_of_several_batches_are_added_up():
    two = told({"action": "new", "found": 2}, {"batch": "a", **ACCOUNT}, {"batch": "b", **ACCOUNT})
    assert "入库 2 个批次： 收到 524 行 = 入库 480 + 疑问 6 + 重复 20 + 未关联 18。" in two
