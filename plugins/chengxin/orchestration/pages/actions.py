"""What a reader may start from a page. Our routes only read: a dialog asks Airflow's own API for a run of a DAG.

So Airflow checks session, permission and form by itself, and the run with its author stands in its audit log.
"""

from dataclasses import dataclass, field
from typing import Any

from chengxin.operations.alerts.holds import Hold
from chengxin.orchestration import forms
from chengxin.orchestration.identity_review import DAG_ID as IDENTITY_DAG
from chengxin.orchestration.ingest import dag_id
from chengxin.orchestration.legal_acts import CONFIRM, PROPOSE
from chengxin.orchestration.legal_acts import DAG_ID as ACTS_DAG
from chengxin.orchestration.snapshot import DAG_ID as SNAPSHOT_DAG


@dataclass(frozen=True)
class Action:
    """One button with its dialog. conf: what the run is told, as in the DAG's form; reason, rows: it must be told.

    fields: what else it must be told, (name in the form, label, type of the input, pattern).

    Where `rows` are asked for, the buttons beside the rows open the same dialog with the row, and its batch, filled in.
    """

    name: str
    title: str
    text: str
    dag: str
    conf: dict[str, str] = field(default_factory=dict)
    reason: bool = False
    rows: bool = False
    fields: tuple[tuple[str, str, str, str], ...] = ()


def replay(dataset: str, batch_id: str | None = None) -> Action:
    """Try refused rows again under the present contract: those of one batch, or of the whole data set."""
    text = "用现行合同重新检查本批次的疑问数据" if batch_id else "用现行合同重新检查本数据集全部批次的疑问数据"
    conf = {"action": forms.REPLAY, **({"batch": batch_id} if batch_id else {})}
    return Action("replay", "重放疑问数据", text, dag_id(dataset), conf)


def release(dataset: str, batch_id: str) -> Action:
    """Let a held batch in."""
    text = "把本批次放行入库；理由写入校验结论与快照清单"
    return Action("release", "放行", text, dag_id(dataset), {"action": forms.RELEASE, "batch": batch_id}, reason=True)


def look(dataset: str) -> Action:
    """Look now whether a late delivery has come."""
    text = "立即到来源处查找新的报送，找到的随即接收、校验、入库"
    return Action("look", "立即查找", text, dag_id(dataset), {"action": forms.NEW})


def retry(dataset: str) -> Action:
    """Run the DAG of a data set once more: what failed, or has no outcome yet, is taken up where it stands."""
    text = "再运行一次：已完成的步骤不重做，未完成的批次接着处理；运行成功后，有关的告警自动关闭"
    return Action("retry", "重试", text, dag_id(dataset), {"action": forms.NEW})


def publish() -> Action:
    """Start a publication."""
    return Action("publish", "发布", "立即发布已入库的批次；有存疑的，先送审批", SNAPSHOT_DAG)


def judge() -> Action:
    """Enter the answers that were given on the page, which fills them in."""
    return Action("judge", "提交回答", "记下本页的回答，随即为等待的行补关联", IDENTITY_DAG)


def propose() -> Action:
    """Propose to withdraw a record."""
    text = "记录随即不再提供；另一人确认后从全部快照中撤下"
    fields = (
        ("record", "记录编号（record_id，勿填证件号码）", "text", "[0-9a-f]{32}"),
        ("document", "文书号", "text", ".{2,100}"),
        ("day", "文书日期", "date", ""),
    )
    return Action("propose", "提出撤回", text, ACTS_DAG, {"action": PROPOSE}, fields=fields)


def confirm(number: int = 0) -> Action:
    """Confirm a withdrawal that another person proposed. number: 0 where the buttons beside the rows name it."""
    text = "核对文书后确认：记录从全部快照中撤下，得到过它的接收方收到通知"
    return Action("confirm", "确认撤回", text, ACTS_DAG, {"action": CONFIRM, "number": str(number)})


def close(dataset: str, batch_id: str = "") -> Action:
    """Settle refused rows that need no correction any more. batch_id: '' where the buttons beside the rows name it."""
    text = "逐行办结核实后不必再更正的疑问数据；收到的条数不变，理由写入给部门的回执"
    conf = {"action": forms.CLOSE, "batch": batch_id}
    return Action("close", "办结疑问数据", text, dag_id(dataset), conf, reason=True, rows=True)


def reopen(dataset: str, batch_id: str) -> Action:
    """Let settled rows wait again."""
    text = "把已办结的疑问数据重新列为待更正"
    conf = {"action": forms.REOPEN, "batch": batch_id}
    return Action("reopen", "撤销办结", text, dag_id(dataset), conf, reason=True, rows=True)


def of_batch(row: Any, hold: Hold | None, *, settled: bool = False) -> list[Action]:
    """Return what may be started about one batch: a held one is released; refused rows are replayed, or settled.

    hold: why it is held; None where it is not. settled: whether some of its refused rows were settled by hand.
    """
    if hold:
        return [release(row["dataset"], row["batch_id"])] if hold.releasable else []
    if not row["quarantined"] or row["state"] != "admitted":
        return []
    name = (row["dataset"], row["batch_id"])
    return [replay(*name), close(*name), *([reopen(*name)] if settled else [])]
