"""What an alert can be about. Each kind has a row in docs/operators/alerts.md; texts are for operators, in Chinese."""

import hashlib
from dataclasses import dataclass

from chengxin.contracts.models import Contract
from chengxin.operations.alerts.holds import Hold

FEW = 3  # findings that are named


@dataclass(frozen=True)
class Kind:
    """One kind of trouble: its name, and what to press."""

    name: str
    press: str


KINDS = {
    "held": Kind(
        "批次暂缓",
        "看该批次校验报告：数据有误，请部门更正重报；确认无误，放行（页面或 chengxin release）；合同有误，改后触发流程",
    ),
    "overdue": Kind("报送逾期", "先看报送目录、接口或前置机有无半成品和报错；没有的，联系该部门催报"),
    "source": Kind("来源不可用", "联系该部门核实接口、前置机或服务器；恢复后清除（Clear）该任务，或等下次定时运行"),
    "failed": Kind("任务失败", "打开该任务的日志，按错误说明处理后清除（Clear）该任务；表单填错的，重新触发"),
    "aside": Kind(
        "批次搁置",
        "多次处理失败，不再自动重试：来文有误的，请部门更正重报；程序有误的，升级后重试（chengxin retry 数据集 批次）",
    ),
    "disk": Kind("磁盘已满", "腾出空间（chengxin tidy 可清理残留和过期快照）；任务会自己再试，已停的清除（Clear）即可"),
    "damaged": Kind("来文损坏", "从备份恢复所列批次的来文，然后清除（Clear）housekeeping 的 rehash 任务"),
    "unpublished": Kind("发布失败", "看 snapshot 的 publish 任务日志，处理后清除（Clear）；读者仍读到上一快照"),
    "broken": Kind("账目不平", "不要重试：保留 drafts/ 与任务日志，交开发人员核查；读者仍读到上一快照"),
    "approval": Kind("等待审批", "在“待办操作”（Required Actions）页核对后选择：发布、不含所选来源发布、不发布"),
    "contracts": Kind("合同不能用", "按所列说明修改合同文件；改好后自动恢复"),
    "unkeyed": Kind("开放层缺自然人", "生成密钥并设为 CHENGXIN_TOKEN_KEY（openssl rand -hex 32），再触发流程 snapshot"),
    "unclassed": Kind(
        "公示类别不明",
        "看处罚类别列：写法新的，补入 model/lawful_terms.yaml 的 penalty_words；空着的，请部门补报",
    ),
    "acts": Kind(
        "修复、撤回、异议待办",
        "看 docs/operators/acts.md：确认用 chengxin acts confirm，答复用 chengxin answer-objection",
    ),
    "receipts": Kind(
        "撤回通知逾期未回执",
        "联系该接收方：删除所列记录后提交回执（POST /v1/withdrawals/序号/receipt）；清单见“依法共享”页",
    ),
    "imprecise": Kind(
        "按名称关联已停用",
        "看抽查出错的关联（chengxin identity review），查明原因后用 chengxin identity resume 恢复",
    ),
    "waiting": Kind("未关联增多", "打开未关联页：主体登记来源是否迟报，来文的代码列是否变了"),
}


@dataclass(frozen=True)
class Cause:
    """One cause of trouble, whichever run met it.

    about: the data set, DAG or file concerned ("" = everything). reason: what tells causes of one kind apart. title,
    department: of `about`, for people. text: what happened, without a personal value. item: the batch it concerns,
    where one cause may concern several. page: where to look, a path of Airflow's address.
    """

    kind: str
    about: str
    text: str
    reason: str = ""
    title: str = ""
    department: str = ""
    item: str = ""
    page: str = ""

    @property
    def id(self) -> str:
        """Return what names this cause: of kind, about and reason only, fit for a file name."""
        digest = hashlib.sha256(f"{self.about}\n{self.reason}".encode()).hexdigest()[:10]
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in self.about)[:60]
        return "-".join(part for part in (self.kind, plain, digest) if part)


def of_contract(kind: str, contract: Contract, text: str, **more: str) -> Cause:
    """Return a cause that concerns a data set."""
    return Cause(kind, contract.id, text, title=contract.title, department=contract.department.name, **more)


def held_cause(contract: Contract, hold: Hold) -> Cause:
    """Return the cause of a held batch; batches held for the same rules are one."""
    text = f"整批暂缓：{'；'.join(hold.why[:FEW]) or '未通过校验'}。{hold.remedy()}"
    page = f"/chengxin/batches/{contract.id}/{hold.batch_id}"
    return of_contract("held", contract, text, reason="、".join(hold.rules), item=hold.batch_id, page=page)


def overdue_cause(contract: Contract, message: str) -> Cause:
    """Return the cause of an overdue delivery, the same from wherever it is noticed."""
    return of_contract("overdue", contract, message, page=f"/chengxin/catalogue/{contract.id}")


def waiting_cause(contract: Contract, message: str) -> Cause:
    """Return the cause that clearly more rows wait for their subject than before."""
    return of_contract("waiting", contract, message, page="/chengxin/waiting")


def unclassed_cause(contract: Contract, records: int, unknown: int) -> Cause:
    """Return the cause that many records of a data set are of no class of publicity that is known."""
    text = f"{records} 条负面信息中有 {unknown} 条看不出公示类别，暂按一年公示"
    return of_contract("unclassed", contract, text, page=f"/chengxin/catalogue/{contract.id}")


def case_cause(number: int, text: str) -> Cause:
    """Return the cause that a legal act waits for a person."""
    return Cause("acts", f"act-{number}", text, title="修复、撤回、异议")


def receipts_cause(holder: str, text: str) -> Cause:
    """Return the cause that a recipient has not answered notices of withdrawal in time."""
    return Cause("receipts", holder, text, title=holder, page="/chengxin/sharing")


def imprecise_cause(right: int, answers: int) -> Cause:
    """Return the cause that the rule name_like stopped by itself."""
    text = f"抽查 {answers} 个自动关联，只有 {right} 个正确，按相近名称关联已自动停用，直到有人恢复"
    return Cause("imprecise", "name_like", text, title="统一标识")


def contract_cause(path: str, message: str) -> Cause:
    """Return the cause that a contract file cannot be used."""
    return Cause("contracts", path, f"{path}：{message}")
