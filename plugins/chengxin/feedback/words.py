"""The sentences of an answer: Chinese, for a clerk who knows the own table and nothing of our rules."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Self

import pyarrow as pa

from chengxin.contracts.corrections import STEM
from chengxin.contracts.models import Contract
from chengxin.identity.by_code import OTHERWISE_NAMED, SHARED_CODE
from chengxin.model.codelists import codelists
from chengxin.model.elements import Element, elements
from chengxin.model.rules import rules

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
# Why a row waits: id, what is wrong, what to do.
CODE_KNOWN = {
    OTHERWISE_NAMED: (
        "link.otherwise_named",
        "所填证件号码登记在另一个姓名之下，不能确定是哪一个主体",
        "请对照身份证件核对姓名和证件号码后重新报送该记录；个体工商户请填写其统一社会信用代码，不要只填经营者的证件号码",
    ),
    SHARED_CODE: (
        "link.shared_code",
        "所填代码、证件号码在主体库中登记在不止一个主体之下，不能确定是哪一个",
        "请对照营业执照核对代码，补填统一社会信用代码后重新报送该记录",
    ),
}
# (code given, the other subject of the row is meant) -> the same
WAITS = {
    (True, False): (
        "link.unknown_code",
        "主体库中还没有所填代码、证件号码对应的主体",
        "请核对代码、证件号码是否填错；确认无误的不必重报，待登记部门的主体信息到达后自动关联",
    ),
    (False, False): (
        "link.name_only",
        "该记录没有可用的代码或证件号码，仅凭名称不能确定是哪一个主体",
        "请补填统一社会信用代码（自然人补填证件号码）后重新报送该记录",
    ),
    (True, True): (
        "link.related_unknown_code",
        "主体库中还没有关联方（如被担保人）所填代码、证件号码对应的主体",
        "请核对关联方的代码、证件号码；确认无误的不必重报，待登记部门的主体信息到达后自动关联",
    ),
    (False, True): (
        "link.related_name_only",
        "关联方（如被担保人）没有可用的代码或证件号码，仅凭名称不能确定是哪一个主体",
        "请补填关联方的统一社会信用代码（自然人补填证件号码）后重新报送该记录",
    ),
}
# Whether a code was given -> what to do while it may still find its subject by itself.
WAIT = {
    True: "请等待：登记部门的主体信息到达后自动关联，不必重报；到 {day} 仍未关联的，再请核对",
    False: "请先等待至 {day}；能补填统一社会信用代码（自然人补填证件号码）的，可以补填后重新报送",
}
SUGGESTED = "。主体库中叫这个名称的只有一个主体，其统一社会信用代码是 {code}，请核对是否就是它"
# id, what is wrong before and after the place of the row that is shown, what to do
OVERTAKEN_BY = (
    "record.overtaken",
    "同一份来文中，",
    " 行是同一条记录（主体和主键相同）而内容不同，采用了该行，本行未公布",
    "请核对以哪一行为准；本行正确的请重新报送本行，两行是不同记录的请补全文号、机关、日期、所属期等关键字段",
)
# id, what became of it before, between and after batch and place of the other, what to do
CORRECTED_BY = (
    "record.corrected",
    "本行曾因主体不明等待关联；同一条记录此后由批次 ",
    " 更正后报来并已采用，以该行为准，本行不再等待",
    "不用处理；两行是不同记录的，请换用不同的主键（没有主键的补全文号、机关、日期等关键字段）重新报送本行",
)
# (the number names the record, both are of one subject) -> id, what is wrong after the place of the other, what to do
_STANDS = (
    "属于更正的，请将错误的一条以数据状态 2（删除）报送一次（全量报送的，下一期不再报送它）；"
    "本来就是两条记录的，请核对主键、文号是否重用"
)
SAME_NUMBER_AS = {
    (False, True): ("record.same_number", " 相同，主体相同而关键字段不同：两条都保留，未作取代", _STANDS),
    (False, False): ("record.same_number", " 相同，而主体不同：两条都保留，未作取代", _STANDS),
    (True, True): (
        "record.replaced",
        " 相同，关键字段不同：已用本条取代原记录",
        "属于更正的不用处理；原记录仍应保留的，请换用新的主键重报",
    ),
    (True, False): (
        "record.number_reused",
        " 相同，而主体不同：已用本条取代原记录",
        "属于更正的不用处理；不是更正而是主键挪作他用的，请为本条换用新的主键重报，并重报原记录",
    ),
}
# exchanged roles -> id, what is wrong after the place of the other, what to do
ALIKE_AS = {
    False: (
        "record.twin",
        " 主体、日期和号码相同，只是补零、标点、机关写法或主键不同：多半是同一条记录，两条都保留",
        "确属重复的，请统一写法，并将多出的一条以数据状态 2（删除）报送一次（全量报送的，下一期不再报送它）；"
        "另一条由其他渠道报送的，也请按统一的写法重报；本来就是两条记录的不用处理",
    ),
    True: (
        "record.exchanged",
        " 号码相同，而两个主体的角色对调：两条都保留",
        "填反的一条请以数据状态 2（删除）报送一次；两条都对的不用处理",
    ),
}
NAMED_OTHERWISE = (
    "subject.named_otherwise",
    "所填统一社会信用代码登记的主体不叫这个名称，而主体库中另有一个主体叫这个名称：已按代码关联",
    "请对照营业执照核对代码和名称；代码填错的，以数据状态 2（删除）报送一次本行，再报送更正后的记录；名称填错的，"
    "更正后重新报送",
)
SAME_NAMED = (
    "subject.same_named",
    "另一个统一社会信用代码的主体有同样的名称和注册号：两个代码中可能有一个填错，已按所填代码登记",
    "请对照营业执照核对统一社会信用代码；代码填错的，以数据状态 2（删除）报送一次填错的一行，再报送更正后的记录",
)
NAME_UNKNOWN = (
    "subject.name_unknown",
    "所填代码登记的主体，现名、曾用名都不是这个名称：可能整行抄错，或代码填成了别人的；已按代码关联",
    "请对照营业执照核对代码和名称；代码填错的，以数据状态 2（删除）报送一次本行，再报送更正后的记录；名称填错的，"
    "更正后重新报送；确已更名而登记信息尚未更新的不必处理",
)
HOW_TO_MEND = """\
1. 打开“需更正”表（xlsx 或 csv，内容相同）。每行是一条未被采用的记录：前几列说明问题和更正办法，其后是贵单位报送的原文；
   xlsx 中有误的单元格标红，批注写明原因，代码列可以下拉选择。
2. {again}
   也可以直接在表中更正，保存后放回{back}：不论来文原是什么格式都收，文件名以“需更正”开头即可；
   前几列照原样留着（据此核销），只交其中几行也可以。请同时更正源系统，否则下次还会报错。
3. 更正后的记录请保留原来的主键（没有主键的保留名称和文号等关键字段），平台据此认出它是哪一条的更正，并更新本回执。
4. 表中以单引号 ' 开头的单元格是防护措施（防止被当作公式，或长号码被改成科学计数法），直接报送即可，平台会自动去掉。"""
MEND_BY = "更正期限：{day}（送达之日起 {n} 个工作日内；考评更正及时率时按此计算）。"
# What is different from the answer before -> how it is said.
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
#: Findings for which another sentence says what to do.
SAID_ELSEWHERE = frozenset(
    {"quarantine.share", "quarantine.all", "record.same_number", "record.number_reused"}
    | {NAMED_OTHERWISE[0], SAME_NAMED[0], NAME_UNKNOWN[0]}
    | {rule for rule, _, _ in ALIKE_AS.values()}
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


def day(text: str) -> str:
    """Return an ISO date as people write it."""
    at = date.fromisoformat(text)
    return f"{at.year}年{at.month}月{at.day}日"


def for_department(message: str, rule: str = "", own: OwnWords = OURS) -> str:
    """Return the message of a finding as it is said to the department itself: fields by its own headers."""
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
    """Return what is wrong and how to mend it; the element gives the name of the field and what may stand in it."""
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
