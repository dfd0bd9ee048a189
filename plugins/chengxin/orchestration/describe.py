"""What a contract's DAG says of itself, in Chinese, from the contract alone."""

from chengxin.contracts.models import Contract
from chengxin.model.elements import ElementType
from chengxin.model.regions import name_of

CADENCES = {
    "hourly": "每小时",
    "daily": "每日",
    "weekly": "每周",
    "monthly": "每月",
    "quarterly": "每季",
    "yearly": "每年",
    "irregular": "不定期",
}
CONNECTORS = {"file_drop": "文件投递", "http_api": "接口", "database": "数据库表"}
MODES = {"full": "全量（下次未出现即撤回）", "incremental": "增量"}

TYPES: dict[ElementType, str] = {
    "text": "文本",
    "name": "名称",
    "uscc": "统一社会信用代码",
    "org_code": "组织机构代码",
    "reg_no": "工商注册号",
    "tax_no": "纳税人识别号",
    "person_doc": "证件号码",
    "loan_card_no": "中征码",
    "document_no": "文号",
    "code": "代码（有码表）",
    "region": "行政区划代码",
    "date": "日期",
    "instant": "日期和时间",
    "money": "金额（折合元）",
    "integer": "整数",
    "decimal": "小数",
    "year": "年份",
    "phone": "电话",
    "flag": "是/否",
}


def dag_tags(contract: Contract) -> list[str]:
    """Return what a DAG is found by: department, kind of record, region, domain."""
    return [contract.department.name, contract.kind, region_tag(contract.region), contract.domain]


def region_tag(code: str) -> str:
    """Return a region as a tag: its code and its name where we know it."""
    return " ".join(part for part in (code, name_of(code)) if part)


def dag_text(contract: Contract) -> str:
    """Return the DAG's Markdown page: who delivers what, on which basis, how, and which column becomes what."""
    delivery, basis = contract.delivery, contract.basis
    share = f"{basis.share}共享" + (f"（{basis.condition}）" if basis.condition else "")
    facts = {
        "数据集": f"`{contract.id}`",
        "来源部门": f"{contract.department.name}（`{contract.department.code}`，区划 {contract.region}）",
        "记录类型": f"`{contract.kind}`",
        "依据": basis.legal,
        "共享属性": share,
        "送达": f"{CONNECTORS[delivery.connector]}，{MODES[delivery.mode]}，{CADENCES[delivery.cadence]}"
        f"；逾期 {delivery.late_after} 个工作日视为迟报",
        "文件": f"{contract.file.format}，{contract.file.encoding}",
    }
    rows = [
        f"| {column.source} | `{column.element}` | {'可缺' if column.optional else ''} |" for column in contract.columns
    ]
    rows += [f"| {source} | （不采集） | {reason} |" for source, reason in contract.ignored.items()]
    return "\n".join(
        [
            f"### {contract.title}",
            "",
            *[f"- **{name}**：{value}" for name, value in facts.items()],
            "",
            "| 来源字段 | 数据元 | 说明 |",
            "| --- | --- | --- |",
            *rows,
        ]
    )
