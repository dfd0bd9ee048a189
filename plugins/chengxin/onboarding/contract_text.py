"""A draft as the YAML that a person edits: what was found as comments, what must be decided as 待办."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from chengxin.contracts.models import UNDECIDED
from chengxin.model.elements import elements
from chengxin.onboarding.draft import Draft
from chengxin.onboarding.matches import Match, percent

_SHARES = "无条件 | 有条件（另写 condition）| 不予；未定之前按最严的 不予 填写"
_WIDE = 110


def as_yaml(draft: Draft) -> str:
    """Return the draft as YAML text with comments, Chinese. It holds no value of the sample."""
    body = draft.body
    lines = [*_head(draft), f"format: {body['format']}", f"id: {body['id']}  # 与文件名相同；<领域>_<事项>"]
    lines.append(f"title: {_text(body['title'])}  # 请核对：给人看的名称")
    department = body["department"]
    todo = "" if department["name"] != UNDECIDED else "  # 待办：部门登记代码与名称；一个代码在全部合同中只有一个名称"
    lines.append(f"department: {_flow(department)}{todo}")
    lines.append(f"domain: {body['domain']}  # 与所在目录相同")
    if "region" in body:
        lines.append(f"region: '{body['region']}'  # 取自部门代码；地名按它所在的省理解")
    lines += _kind(draft)
    lines.append(f"basis: {_flow(body['basis'])}  # 待办：法定依据和共享属性无法推断。share：{_SHARES}")
    lines += _delivery(draft)
    lines += _file(body["file"])
    lines += _columns(draft)
    lines += _codes(draft)
    lines += _ignored(draft)
    lines += _quality(draft)
    lines += _examples(body.get("examples", ()))
    return "\n".join(lines) + "\n"


def _head(draft: Draft) -> list[str]:
    sample, undecided = draft.sample, draft.undecided
    seen = f"{'全部' if sample.whole else '抽样'} {sample.table.num_rows:,} 行"
    lines = [
        f"# 草稿：由 chengxin contracts draft 根据 {_one_line(sample.name)} 起草（{seen}）。",
        "# 百分数是样本中通过该类校验的非空值的比例。请逐行核对，处理全部“待办”和“待定”，再运行：",
        "#   chengxin contracts try <本文件> <来文>    看会得到什么，不入库",
        "#   chengxin contracts lint                  全部合同，“待定”未决时不通过",
    ]
    lines += [f"# 注意：{_one_line(note)}" for note in (*sample.notes, *draft.notes)]
    if sample.damaged:
        lines.append(f"# 注意：样本中有 {sample.damaged} 行读不成记录（列数不符、编码损坏等），将入疑问数据")
    if undecided:
        lines.append(f"# 待办：{len(undecided)} 列尚未决定，见下面的 ignored")
    return lines


def _kind(draft: Draft) -> list[str]:
    lines = []
    if not draft.clear:
        lines.append(
            "# 待办：没有一种记录种类明显符合，请按 docs/reference/kinds.md 选定后用 --kind 重新起草。最接近的是："
        )
    elif draft.kind_doubts:
        lines.append(f"# 请核对 kind：{'、'.join(draft.kind_doubts)}；不对的，用 --kind 重新起草。")
    for rank, proposal in enumerate(draft.proposals[:3], 1):
        words = "；".join(proposal.reasons)
        lines.append(
            f"#   {rank}. {proposal.kind.id} {proposal.kind.title}（{proposal.score:.1f} 分）：{_one_line(words)}"
        )
    lines.append(f"kind: {draft.body['kind']}  # {draft.chosen.kind.title if draft.clear else '待办：选定'}")
    return lines + [f"# 待办：{_one_line(words)}" for words in draft.lacks]


def _delivery(draft: Draft) -> list[str]:
    delivery = draft.body["delivery"]
    lines = ["delivery:"]
    if "connector" in delivery:
        lines.append(f"  connector: {delivery['connector']}")
    lines.append(f"  options: {_flow(delivery['options'])}")
    lines.append("  mode: incremental  # 待办：核对，全量清单（下一期没有即撤下）写 full")
    lines.append("  cadence: monthly  # 待办：核对，hourly daily weekly monthly quarterly yearly irregular")
    return lines


def _file(file: Mapping[str, Any]) -> list[str]:
    fields = file.get("fields", ())
    if not fields:
        return [f"file: {_flow(file)}"]
    lines = ["file:", *(f"  {key}: {_text(value)}" for key, value in file.items() if key != "fields"), "  fields:"]
    for field in fields:
        unsure = (
            "  # 待办：起止位置没有把握，按接口说明改好，并换上列名" if field["source"].startswith(UNDECIDED) else ""
        )
        lines.append(f"  - {_flow(field)}{unsure}")
    return lines


def _columns(draft: Draft) -> list[str]:
    entries = {column["source"]: column for column in draft.body["columns"]}
    lines = ["columns:" if entries else "columns: []  # 待办：没有一列能对应"]
    matched = [m for m in draft.chosen.matches if m.element]
    written = {m.header: f"  - {_flow(entries[m.header])}" for m in matched}
    width = min(max((_width(text) for text in written.values()), default=0), 84)
    for match in matched:
        text = written[match.header]
        lines.append(f"{text}{' ' * max(1, width - _width(text) + 1)} # {_remark(match, draft)}")
    return lines


def _remark(match: Match, draft: Draft) -> str:
    assert match.element is not None
    said = [match.element.title]
    if match.passing is not None:
        said.append(f"{percent(match.passing)} 通过校验")
    said += [why for why in match.why.split("；") if why not in {"列名", "已有合同同名列"}]
    unit = draft.units.get(match.element.id)
    if unit and unit[0] == UNDECIDED:
        said.append(f"待办：单位未写明，请问清是元还是万元{unit[1]}")
    if not match.sure:
        said.append("请核对")
    return "；".join(said)


def _codes(draft: Draft) -> list[str]:
    if not draft.body["codes"]:
        return []
    lines = ["codes:  # 待办：按来源的代码说明把“待定”改成标准代码（docs/reference/codelists.md）；数字的含义各家不同"]
    lines += [f"  {name}: {_flow(words)}" for name, words in draft.body["codes"].items()]
    return lines


def _ignored(draft: Draft) -> list[str]:
    if not draft.undecided:
        return []
    lines = [
        "ignored:",
        "  # 待办：以下各列尚未决定：移到 columns 并写上数据元，或把“待定”改成不归集的理由。",
    ]
    for match in draft.undecided:
        hints = "、".join(f"{name}（{elements()[name].title}）" for name in match.hints)
        said = _one_line(match.why) + (f"；可能是 {hints}" if hints else "")
        lines.append(f"  {_flow_key(match.header)}: {UNDECIDED}  # {said}")
    return lines


def _quality(draft: Draft) -> list[str]:
    quality = draft.body.get("quality")
    if not quality:
        return []
    lines = [
        "quality:",
        f"  quarantined: {_flow(quality['quarantined'])}  # 样本中 {percent(draft.refused)} 的行会成为疑问数据",
    ]
    if quality["fill"]:
        lines.append(f"  fill: {_flow(quality['fill'])}  # 样本填充率的八成；低于它整批暂停")
    return lines


def _examples(examples: Iterable[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    for example in examples:
        lines += [f"  - note: {_text(example['note'])}", *_wrapped("    row: ", example["row"])]
        expect = dict(example["expect"])
        lines += ["    expect:", f"      state: {expect.pop('state')}"]
        for key, value in expect.items():
            lines += _wrapped(f"      {key}: ", value)
    return ["examples:  # 各值均为虚构，形状与样本相同；切勿换成真实的值", *lines] if lines else []


def _wrapped(start: str, value: Mapping[str, Any] | list[str]) -> list[str]:
    """Return a flow mapping or list, broken into lines at its commas."""
    parts = (
        [f"{_flow_key(k)}: {_text(v)}" for k, v in value.items()]
        if isinstance(value, Mapping)
        else [*map(_text, value)]
    )
    opening, closing = ("{", "}") if isinstance(value, Mapping) else ("[", "]")
    lines, line = [], start + opening
    for n, part in enumerate(parts):
        piece = part + ("," if n + 1 < len(parts) else closing)
        if _width(line) + _width(piece) > _WIDE and line.strip() not in {"", start.strip() + opening}:
            lines.append(line.rstrip())
            line = " " * (len(start) + 1)
        line += piece + " "
    return [*lines, line.rstrip()] if parts else [start + opening + closing]


def _flow(value: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{_flow_key(k)}: {_text(v)}" for k, v in value.items()) + "}"


def _flow_key(text: str) -> str:
    return _text(text)


def _text(value: Any) -> str:
    """Write a value as YAML that is safe inside braces: quoted where it must be, never broken over lines."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return _flow(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    style = '"' if re.search(r"[\x00-\x1f\x85\u2028\u2029]", str(value)) else None  # a header may hold a line break
    dumped = yaml.safe_dump([str(value)], default_flow_style=True, default_style=style, allow_unicode=True, width=10**6)
    return dumped.strip()[1:-1]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _width(text: str) -> int:
    """Return how many columns a text takes on a screen; Chinese characters take two."""
    return sum(2 if ord(c) > 0x2E7F else 1 for c in text)
