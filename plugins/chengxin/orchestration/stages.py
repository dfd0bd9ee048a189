"""One function a task: fetch by id, call the pipeline once, hand on ids and counts.

The pipeline is imported inside the functions: it pulls in Arrow, DuckDB and GX, and a DAG file is parsed by every task.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from chengxin.contracts.models import Contract
from chengxin.errors import ContractError, SourceUnavailable
from chengxin.facts import COUNTS, as_json
from chengxin.home import Home
from chengxin.orchestration import alerts, answers, connections, forms, lineage, metrics, review_text
from chengxin.orchestration.outcomes import normal_end
from chengxin.orchestration.paths import PREFIX, base_path
from chengxin.settings import Settings

log = logging.getLogger(__name__)
T = TypeVar("T")
Say = Callable[[dict[str, Any]], None]
ANNOUNCED = "announced"
UNREVIEWED = "“核对”（review）没有给出结果，多半是被标记为成功：不发布。请清除（Clear）该任务，重新核对"
SEEN = tuple(COUNTS)


def contracts() -> dict[str, Contract]:
    """Return all usable contracts, for tasks that look at every data set."""
    from chengxin.contracts import loader

    loaded = loader.load(Settings.from_environment().contracts)
    if not loaded.problems:  # their DAG is gone with the last of them, so no task of it settles the alert
        alerts.settle_contracts([])
    return loaded.contracts


def discover(
    contract: Contract,
    params: Mapping[str, Any] | None = None,
    by: str | None = None,
    say: Say = lambda _: None,
) -> list[dict[str, Any]]:
    """Return what is to be fetched, as JSON deliveries: what the source offers and we have not, or what the form asks.

    params: as of forms.ingest_form. by: who started the run. A replay is landed here, a release entered; the run then
    takes the batch in. say: receives what was done, for the page from which the run was started (pages/run_results.py).
    """
    from chengxin import pipeline

    connections.provide(contract)
    home, asked = Home.from_environment(), dict(params or {})
    action = asked.get("action", forms.NEW)
    if action == forms.REPLAY:
        done = pipeline.replay(home, contract, asked.get("batch"))
        for one in done:
            became = f"成为批次 {one.batch.batch_id}" if one.batch else "未成批次"
            log.info("%s：%d 行中 %d 行现在能通过，%s", one.batch_id, one.checked, one.passed, became)
        say({"action": action, "checked": sum(r.checked for r in done), "passed": sum(r.passed for r in done)})
        return []
    if action == forms.RELEASE:
        batch_id, reason, who = forms.asked_release(asked, by)
        landed = pipeline.batch(home, contract.id, batch_id)
        verdict = pipeline.release(home, contract, landed, reason, who)
        log.info("%s：校验结论 %s", batch_id, verdict.status)
        say({"action": action, "batch": batch_id})
        return []
    if action in {forms.CLOSE, forms.REOPEN}:
        batch_id, rows, who, reason = forms.asked_rows(asked, by)
        landed = pipeline.batch(home, contract.id, batch_id)
        reopen = action == forms.REOPEN
        told = pipeline.close(home, contract, landed, rows, by=who, reason=reason, reopen=reopen)
        log.info("%s：%s %d 行，%d 行本已如此", batch_id, "撤销办结" if reopen else "办结", told.changed, told.already)
        say({"action": action, "batch": batch_id, "changed": told.changed, "already": told.already})
        return []
    if action == forms.FILE:
        if not asked.get("file"):
            raise ContractError("请在表单中填写要接收的文件（收件箱内的路径）")
        say({"action": action, "found": 1})
        return [as_json(pipeline.given(home, contract, asked["file"]))]
    since = forms.asked_since(asked) if action == forms.SINCE else None
    found = [as_json(delivery) for delivery in for_one_run("报送", pipeline.discover(home, contract, since))]
    say({"action": action, "found": len(found)})
    return found


@metrics.timed
def land(contract: Contract, delivery: Mapping[str, Any]) -> str:
    """Fetch one delivery and return its batch id."""
    from chengxin import pipeline
    from chengxin.connectors.locators import delivery_of

    connections.provide(contract)
    offered = delivery_of(delivery)
    batch = pipeline.land(Home.from_environment(), contract, offered)
    if batch.delivery != offered.name:
        log.info("来文 %s 的内容与已收到的 %s 相同，不另成批次（%s）", offered.name, batch.delivery, batch.batch_id)
    alerts.arrived(contract)
    lineage.landed(contract, batch)
    return batch.batch_id


def for_one_run(what: str, found: Sequence[T]) -> Sequence[T]:
    """Keep the first ones, as many as Airflow maps over (`core.max_map_length`): it fails a task that gives it more."""
    from airflow.sdk import conf

    most = conf.getint("core", "max_map_length", fallback=1024)
    if len(found) > most:
        log.warning(
            "有 %d 个%s待处理，本次运行只处理前 %d 个，其余留待下次运行；可立即再次触发", len(found), what, most
        )
    return found[:most]


def ingest(contract: Contract, batch_id: str) -> dict[str, Any] | None:
    """Take one batch through all its stages; return its admission as JSON, None where it is held."""
    from chengxin.records import journal

    known = journal.accounts(Home.from_environment().opened().layout).account(contract.id, batch_id)
    if known:  # an earlier try of the task did it
        alerts.admitted(contract, batch_id)
        return dict(as_json(known))
    standardise(contract, batch_id)
    validate(contract, batch_id)
    return admit(contract, batch_id)


@metrics.timed
def standardise(contract: Contract, batch_id: str) -> None:
    """Standardise one batch."""
    from chengxin import pipeline

    home = Home.from_environment()
    done = pipeline.standardise(home, contract, pipeline.batch(home, contract.id, batch_id))
    log.info("%s: 收到 %d 行，规范 %d 行，疑问 %d 行", batch_id, done.received, done.passed, done.quarantined)
    lineage.standardised(contract, done)


@metrics.timed
def validate(contract: Contract, batch_id: str) -> None:
    """Judge one batch. A hold is a verdict, which `admit` finds."""
    from chengxin import pipeline

    home = Home.from_environment()
    batch = pipeline.batch(home, contract.id, batch_id)
    verdict = pipeline.validate(home, contract, batch)
    for finding in verdict.findings:
        log.warning("%s: [%s] %s %s", batch_id, finding.severity, finding.rule, finding.message)
    log.info("%s: 校验结论 %s", batch_id, verdict.status)
    lineage.validated(contract, verdict)


@metrics.timed
def admit(contract: Contract, batch_id: str) -> dict[str, Any] | None:
    """Link and account for one batch; return its admission as JSON, None where it is held."""
    from chengxin import pipeline

    home = Home.from_environment()
    batch = pipeline.batch(home, contract.id, batch_id)
    admission = pipeline.admit(home, contract, batch)
    if admission is None:
        log.warning("%s: 批次暂缓入库（hold），不参与发布；原因见该批次的校验报告", batch_id)
        alerts.held(contract, batch_id)
        metrics.batch_ended(contract, "hold", pipeline.counts_of(home, contract, batch))
        return None
    log.info(
        "%s: 收到 %d = 入库 %d + 疑问 %d + 重复 %d + 未关联 %d",
        batch_id,
        admission.received,
        admission.accepted,
        admission.quarantined,
        admission.duplicate,
        admission.unlinked,
    )
    alerts.admitted(contract, batch_id)
    lineage.admitted(contract, admission)
    account = dict(as_json(admission))
    metrics.batch_ended(contract, admission.verdict, account)
    return account


def answer(contracts: Mapping[str, Contract]) -> list[str]:
    """Answer the departments; return the ids of what was sent. What cannot be sent fails the task, which is retried."""
    from chengxin import pipeline

    home = Home.from_environment()
    for contract in contracts.values():
        connections.provide(contract)
    failures, done = pipeline.Failures(home), []
    for _, contract in sorted(contracts.items()):
        with failures.of(contract, "反馈"):
            done += pipeline.answer(home, contract)
    problems = failures.said + [f"{a.id}：{a.problem}" for a in done if a.problem]
    if problems:
        failures.tell()
        raise SourceUnavailable("反馈未送达：" + "；".join(problems))
    return [a.id for a in done]


def retry_waiting(contracts: Mapping[str, Contract]) -> list[str]:
    """Link waiting records again; return the ids of the batches that gained by it.

    One batch that fails is an alert; it keeps neither the others nor the publication waiting.
    """
    from chengxin import pipeline

    home = Home.from_environment()
    failures = pipeline.Failures(home)
    gained = pipeline.retry_waiting(home, dict(contracts), failures)
    for said in failures.said:
        log.error("%s", said)
    failures.tell()
    return [admission.batch_id for admission in gained]


def review(contracts: Mapping[str, Contract]) -> dict[str, Any]:
    """Return what a person must see before publishing, as JSON with its text; ask: whether anybody has to be asked.

    CHENGXIN_APPROVAL=never: nobody is asked (unattended trials); a released batch then waits to be approved otherwise.
    """
    from chengxin import pipeline

    home = Home.from_environment()
    if not home.settings.approval.asks:
        return {"ask": False}
    found = pipeline.review(home, dict(contracts))
    if found is None:
        return {"ask": False}
    text = review_text.markdown(as_json(found), base_path() + PREFIX)
    return {
        "ask": True,
        "text": review_text.rejections(found.rejected) + text,
        "doubts": len(found.doubts),
        "held": found.held(),
        "choices": found.choices(),
        "proposed": found.proposed(),
        "upto": found.upto,
        "releasers": found.releasers(),
        "second": home.settings.approval.twice or bool(found.releasers()),
    }


def ask_or_publish(found: Mapping[str, Any] | None) -> str:
    """Return the task that comes after `review`. Raise ContractError where that returned nothing: it was marked."""
    if not found:
        raise ContractError(UNREVIEWED)
    return "approve" if found["ask"] else "publish"


def publish(
    contracts: Mapping[str, Contract],
    found: Mapping[str, Any] | None,
    said: Mapping[str, Any] | None,
    second: Mapping[str, Any] | None,
    told: Any,
) -> dict[str, Any]:
    """Publish a snapshot and return its reference as JSON. When nothing changed, or a person refuses, end skipped.

    found: what `review` returned; said, second: what people answered, None where nobody was asked. told: the state of
    the asset that announces snapshots. A snapshot that was not announced (the task died after its commit,
    or somebody published from the command line) is returned although nothing changed. Raise ContractError where
    somebody had to answer and nobody did.
    """
    from chengxin import pipeline

    if not found:
        raise ContractError(UNREVIEWED)
    approval = None
    if found["ask"]:
        fields, other = answers.both_of(found, said, second)
        approval = pipeline.Approval(**fields, second=pipeline.Opinion(**other) if other else None)
    if approval and approval.decision == answers.REJECT:
        pipeline.reject(Home.from_environment(), approval)
        normal_end(f"审批意见为“不发布”：{approval.reason or '无人作答'}")
    snapshot = pipeline.publish(Home.from_environment(), dict(contracts), approval)
    if snapshot is None:
        snapshot = pipeline.current(Home.from_environment())
        if snapshot is None or told.get(ANNOUNCED) == snapshot.id:
            normal_end("没有变化，不发布新快照")
        log.info("没有变化；快照 %s 此前未及通知下游，现予通知", snapshot.id)
    else:
        if approval:
            alerts.seen(approval.held, approval.by)
        metrics.published()
        log.info("已发布快照 %s", snapshot.id)
    told.set(ANNOUNCED, snapshot.id)
    lineage.published(Home.from_environment().opened())
    return dict(as_json(snapshot))
