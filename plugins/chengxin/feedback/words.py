"""The sentences of an answer: Chinese, for a clerk who knows the own table and nothing of our rules."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple, Self

import pyarrow as pa

from chengxin.contracts.corrections import STEM
from chengxin.contracts.models import Contract
from chengxin.identity.by_code import OTHERWISE_NAMED, SHARED_CODE
from chengxin.model.codelists import codelists
from chengxin.model.elements import Element, elements
from chengxin.model.rules import row_words, rules

REFUSED, WAITING, UNTAKEN, OVERTAKEN = STEM, "待关联", "未采用的值", "被取代"
SAME_NUMBER, MISNAMED, CORRECTED = "主键相同", "名称不符", "已更正"
SEVERITY = {"critical": "严重", "warning": "提醒", "info": "提示"}
OUTCOME = {
    "accept": "已接收入库。",
    "warn": "已接收入库，但有需要留意的情况（见“校验意见”）。",
    "hold": "整批暂缓，本批数据尚未入库（原因见“校验意见”）。",
}
SUPERSEDED = (
    "已接收并留存备查，但没有改变任何记录：本批到达时，平台已收到更新的一期全量（{by}），以更新的一期为准。"
    "确需以本批为准的，请按最新日期重新报送全量。"
)
#: Rules of rows that wait because of who their code belongs to.
CODE_KNOWN = {OTHERWISE_NAMED: "link.otherwise_named", SHARED_CODE: "link.shared_code"}
#: (code given, the other subject of the row is meant) -> the rule of rows that wait.
WAITS = {
    (True, False): "link.unknown_code",
    (False, False): "link.name_only",
    (True, True): "link.related_unknown_code",
    (False, True): "link.related_name_only",
}
# Whether a code was given -> what to do while it may still find its subject by itself.
WAIT = {
    True: "请等待：登记部门的主体信息到达后自动关联，不必重报；到 {day} 仍未关联的，再请核对",
    False: "请先等待至 {day}；能补填统一社会信用代码（自然人补填证件号码）的，可以补填后重新报送",
}
SUGGESTED = "。主体库中叫这个名称的只有一个主体，其统一社会信用代码是 {code}，请核对是否就是它"
OVERTAKEN_BY, CORRECTED_BY = "record.overtaken", "record.corrected"
#: Whether the number names the record -> the rules of two rows of one subject, and of two subjects.
SAME_NUMBER_AS = {
    False: ("record.same_number", "record.same_number"),
    True: ("record.replaced", "record.number_reused"),
}
#: Of two rows of one number: of two subjects in exchanged roles, and of one subject.
ALIKE_AS = ("record.exchanged", "record.twin")
#: What stands in {subject} of two rows of one subject, and of two subjects.
SUBJECTS = ("主体相同而关键字段不同", "而主体不同")
MISNAMED_AS = ("subject.named_otherwise", "subject.same_named", "subject.name_unknown")
HOW_TO_MEND = """\
1. 打开“需更正”表（xlsx 或 csv，内容相同）。每行是一条未被采用的记录：前几列说明问题和更正办法，其后是贵单位报送的原文；
   xlsx 中有误的单元格标红，批注写明原因，代码列可以下拉选择。
2. {again}
   也可以直接在表中更正，保存后放回{back}：不论来文原是什么格式都收，文件名以“需更正”开头即可；
   前几列照原样留着（据此核销），只交其中几行也可以。请同时更正源系统，否则下次还会报错。
3. 更正后的记录请保留原来的主键（没有主键的保留名称和文号等关键字段），平台据此认出它是哪一条的更正，并更新本回执。
4. 表中以单引号 ' 开头的单元格是防护措施（防止被当作公式，或长号码被改成科学计数法），直接报送即可，平台会自动去掉。"""
MEND_BY = "更正期限：{day}（送达之日起 {n} 个工作日内；考评更正及时率时按此计算）。"
# What is different from the answer before -> its words.
SINCE = {
    "let_in": "整批由暂缓转为采用",
    "settled": "新核销 {n} 条",
    "moved": "又报来仍有误、转到新批次 {n} 条",
    "reopened": "新列为疑问 {n} 条",
    "linked": "新关联 {n} 条",
}
AGAIN = {
    "incremental": "在源系统中更正，然后只报送更正后的记录，或重新报送整份文件均可；已采用的记录重复报送不会重复入库。",
    "full": "在源系统中更正，并在下一期全量文件中报送。",
}
HOW_FULL = (
    "本数据集为全量报送：请在下一期全量文件中更正，或把更正好的“需更正”表放回；"
    "不要另外只报送更正的几条，否则其余记录会被视为撤回。"
)
HOW_HELD = (
    "请按“校验意见”核对后重新报送整批数据；属于数据约定需要修订的，请与平台联系，修订后平台会自动重新处理，不必重报。"
)
HOW_SETTLED = "无需处理：本批各条都已由其他批次更正，不必再报。"
UNREAD = "收到 0 条：来文中没有能读出的记录（来文打不开或读不出时，其中的条数不详）"
HOW_UNTAKEN = (
    "有 {n} 个值看不懂或不存在，未采用（所在记录已入库），逐个列在“未采用的值”表中；"
    "请在源系统中更正后重新报送这些记录。"
)
HOW_OVERTAKEN = (
    "有 {n} 条记录在这份来文中不止一次出现、内容不同，只采用了最后一行，其余各行列在“被取代”表中；请核对以哪一行为准。"
)
HOW_SAME_NUMBER = (
    "有 {n} 条记录的主键（没有主键的：文号）与另一条记录相同，而主体或关键字段不同，或写法不同而多半是同一条，"
    "列在“主键相同”表中；"
    "请按表中的办法逐条核对。"
)
HOW_MISNAMED = "有 {n} 条记录的名称、注册号与所填代码登记的主体不符，已按代码入库，列在“名称不符”表中；请逐条核对。"
HOW_NO_RECORDS = "其中合计、说明等不是记录的行，下次删去即可，不必重报。"
HOW_WARNED = "请看“校验意见”中的 {n} 条提醒，与源系统核对；有缺失或错误的更正后重新报送，核对无误的不必再报。"
HOW_DOUBTED = "不必重新报送；“本批各类问题”列出了已采用但需留意的值（{n} 处），请抽查核对，有误的更正后重新报送。"
NOTHING = "无需处理。"
#: Findings whose remedy is in another sentence.
SAID_ELSEWHERE = frozenset(
    {"quarantine.share", "quarantine.all", "record.same_number", "record.number_reused", *MISNAMED_AS, *ALIKE_AS}
)


@dataclass(frozen=True)
class OwnWords:
    """What a department calls things: element -> header; element -> what it writes -> standard code."""

    headers: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """Take them from a contract; of headers those that a clerk knows: an interface's field names are none."""
        return cls({c.element: c.source for c in contract.columns if not c.source.isascii()}, contract.codes)


OURS = OwnWords()
# What findings say to operators -> what it is to a department. In order.
_TO_DEPARTMENTS = (
    (r"请(?:在|核对)合同 [^，；。]*，或请提供部门", "请贵单位"),
    (r"，或核对合同 [^，；。]*", ""),
    (r"；如[^；。]*合同[^；。]*", ""),
    (r"，或由平台在合同 [^，；。]*", "；数据约定需要修订的，请与平台联系"),
    (r"请向提供部门核实", "请核实"),
    (r"请与提供部门核对", "请核对"),
    (r"请其重报", "请重新报送"),
    (r"用 chengxin release 放行并写明理由", "请书面告知平台，由平台核实后放行"),
    (r"请提供部门", "请贵单位"),
)
_MOST_CHOICES = 12


class RowWords(NamedTuple):
    """The words of a rule for one row of an admitted batch. before, after: around the place of another row."""

    rule: str
    before: str
    after: str
    remedy: str


def of_row(rule: str, *, number: str = "", subject: str = "") -> RowWords:
    """Return the words of a rule for one row."""
    problem, remedy = row_words(rule)
    before, _, after = problem.replace("{number}", number).replace("{subject}", subject).partition("{place}")
    return RowWords(rule, before, after, remedy)


def day(text: str) -> str:
    """Return an ISO date as people write it."""
    at = date.fromisoformat(text)
    return f"{at.year}年{at.month}月{at.day}日"


def for_department(message: str, rule: str = "", own: OwnWords = OURS) -> str:
    """Return the message of a finding in words for the department itself: fields by its own headers."""
    for told, said in _TO_DEPARTMENTS:
        message = re.sub(told, said, message)
    parts = rule.split(".")
    about = (e for e in own.headers if any(part == e or part.startswith(f"{e}_") for part in parts))
    headers = {elements()[e].title: own.headers[e] for e in about if e in elements()}
    if not headers:
        return message
    titles = "|".join(map(re.escape, sorted(headers, key=len, reverse=True)))
    return re.sub(titles, lambda found: headers[found[0]], message)


def explained(reasons: Iterable[tuple[str, str]], own: OwnWords = OURS) -> pa.Table:
    """Return rule, element, problem, remedy of these (rule, element), in the department's own words."""
    found = [(rule, element, *sentences(rule, element, own)) for rule, element in reasons]
    names = ("rule", "element", "problem", "remedy")
    return pa.table({n: pa.array([row[i] for row in found], pa.string()) for i, n in enumerate(names)})


def sentences(rule: str, element: str = "", own: OwnWords = OURS) -> tuple[str, str]:
    """Return what is wrong and how to correct it; the element gives the name of the field and what may stand in it."""
    known = elements().get(element)
    title = own.headers.get(element) or (known.title if known else "该项")
    words = rules()[rule]
    choices = _choices(known, own.codes.get(element, {})) if known and rule == "code.unknown" else ""
    return words.zh.format(title=title), words.mend_zh.format(title=title) + choices


def _choices(element: Element, own: Mapping[str, str]) -> str:
    """List what a code column may hold: in the words of the contract where it translates, else of the code list."""
    listed = codelists().get(element.codelist or "", {})
    shown = [f"{sent}（{listed[code].name}）" for sent, code in own.items() if code in listed]
    shown = shown or [f"{code.code}（{code.name}）" for code in listed.values()]
    more = "等" if len(shown) > _MOST_CHOICES else ""
    return f"。可填：{'、'.join(shown[:_MOST_CHOICES])}{more}" if shown else ""
