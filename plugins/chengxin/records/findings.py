"""What only linking can tell of a delivery, written into its verdict and its report before the account is entered."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of, plan_of
from chengxin.facts import Admission, Finding, Verdict, as_json
from chengxin.identity.batch_links import Outcome
from chengxin.identity.conflicts import name_conflicts, near_duplicates, unmatched_deletions
from chengxin.identity.conflicts.shared_numbers import told
from chengxin.quality import report
from chengxin.records import protected
from chengxin.store import atomic
from chengxin.store.layout import Layout

BESIDE, REPLACED, REUSED = "record.same_number", "record.replaced", "record.number_reused"
TWIN, EXCHANGED = "record.twin", "record.exchanged"
MISNAMED, SAME_NAMED, UNKNOWN_NAME = "subject.named_otherwise", "subject.same_named", "subject.name_unknown"
MISSED = "deletion.missed"
OTHER_LIST = "full.other_list"
_OURS = {protected.SPARED, protected.WITHHELD, BESIDE, REPLACED, REUSED, MISNAMED, SAME_NAMED, MISSED, OTHER_LIST}
_OURS |= {TWIN, EXCHANGED, UNKNOWN_NAME}
_FEW = 20  # records; of fewer, most may well be replaced
_SHOWN = 5  # rows that are named in a sentence


def noted(
    layout: Layout,
    contract: Contract,
    before: Admission,
    outcome: Outcome,
    links: Sequence[Path],
    everything: Sequence[Admission],
) -> Admission:
    """Enter what was found into the verdict; done again, it is said once. Return the account with it.

    links: the links folders of all revisions of the batch. everything: the journal.
    """
    found = [
        *protected.findings(outcome),
        *_other_list(contract, before, outcome, everything),
        *_same_number(contract, *told(links)),
        *_alike(contract, *near_duplicates.told(links)),
        *_misnamed(links),
        *_missed(contract, links),
    ]
    if not found and len(links) == 1:
        return before
    folder = layout.validation(before.dataset, before.batch_id)
    path, page = folder / "verdict.json", folder / "report.html"
    said = Verdict.from_json(atomic.read_json(path))
    if len(links) > 1:  # rows that waited say nothing of what was withdrawn
        found += [f for f in said.findings if f.rule in {protected.SPARED, protected.WITHHELD, OTHER_LIST}]
    others = [f for f in said.findings if f.rule not in _OURS]
    status = "warn" if any(f.severity == "warning" for f in found) else said.status
    atomic.write_json(path, as_json(replace(said, status=status, findings=(*others, *found))))
    atomic.write_bytes(page, report.admitted(page.read_text("utf-8"), status, found).encode())
    return replace(before, verdict=status)


def _other_list(
    contract: Contract, before: Admission, outcome: Outcome, everything: Sequence[Admission]
) -> list[Finding]:
    """Say that a full delivery lacks most records of the one before, though it may have as many rows.

    It is another list, or its keys are written otherwise.
    """
    earlier = [a for a in everything if a.dataset == contract.id and a.batch_id != before.batch_id and a.mode == "full"]
    held = earlier[-1].accepted + earlier[-1].duplicate if earlier else 0
    limit = contract.quality.shrink.hold
    if before.mode != "full" or held < _FEW or limit >= 1 or outcome.withdrawn <= held * limit:
        return []
    message = (
        f"全量交付撤下 {outcome.withdrawn} 条记录，上一次全量有 {held} 条：多半不是同一份清单，或关键字段换了写法。"
        "请与提供部门核实：报错了的，请其重报；确属如此的，不必处理"
    )
    return [Finding(OTHER_LIST, "warning", message, str(outcome.withdrawn), outcome.withdrawn)]


def _misnamed(links: Sequence[Path]) -> list[Finding]:
    """Say how many rows bear a name that their code speaks against."""
    told = Counter(name_conflicts.rows_of(links).values())
    cases = (
        (
            name_conflicts.OTHER,
            MISNAMED,
            "有 {} 行的统一社会信用代码登记的是一个主体，名称却是主体库中另一主体的：已按代码关联。"
            "请提供部门对照营业执照核对代码和名称，填错的更正后重报；各行位置见反馈“名称不符”表",
        ),
        (
            name_conflicts.SAME,
            SAME_NAMED,
            "有 {} 行的名称和注册号与另一个统一社会信用代码的主体完全相同：两个代码中可能有一个填错，"
            "均已按代码登记。请提供部门对照营业执照核对代码，填错的更正后重报；各行位置见反馈“名称不符”表",
        ),
        (
            name_conflicts.UNKNOWN,
            UNKNOWN_NAME,
            "有 {} 行的名称与所填代码登记的主体的现名、曾用名都不符：可能整行抄错，或代码填成了别人的，已按代码关联。"
            "请提供部门对照营业执照核对代码和名称，填错的更正后重报；各行位置见反馈“名称不符”表",
        ),
    )
    return [
        Finding(rule, "warning", message.format(told[why]), str(told[why]), told[why])
        for why, rule, message in cases
        if told[why]
    ]


def _missed(contract: Contract, links: Sequence[Path]) -> list[Finding]:
    """Say which deletions found no record, and one that each may mean."""
    rows = unmatched_deletions.rows_of(links)
    if not rows:
        return []
    headers = {c.element: c.source for c in contract.columns}
    key = "".join(f"“{headers[element]}”" for element in plan_of(contract).kind.key if element in headers)
    places = [
        f"{r['source_file']} 第 {r['source_row']} 行"
        f"（可能指 {r['other_batch']} 批次 {r['other_file']} 第 {r['other_row']} 行）"
        for r in rows[:_SHOWN]
    ] + ["……"] * (len(rows) > _SHOWN)
    message = (
        f"有 {len(rows)} 行删除（数据状态 2）没有找到要删除的记录，该记录仍然有效：{'；'.join(places)}。"
        f"删除凭主体和关键字段{key}找记录，这些行的关键字段为空，或与原记录不同。请提供部门按原记录填写后重报这些删除"
    )
    return [Finding(MISSED, "warning", message, str(len(rows)), len(rows))]


def _alike(contract: Contract, rows: int, exchanged: int) -> list[Finding]:
    """Say that rows made second records of what is held already: written otherwise, or with exchanged roles."""
    found, twins = [], rows - exchanged
    if twins:
        message = (
            f"有 {twins} 行与另一条记录（此前收到的、其他渠道报送的，或本批中的）主体、日期和号码相同，只是补零、标点、"
            "机关写法或主键不同：多半是同一条记录换了写法，现两条都保留。请提供部门统一写法；确属重复的，"
            "将多出的一条以数据状态 2（删除）报送一次；各行与另一条的位置见反馈“主键相同”表"
        )
        found.append(Finding(TWIN, "warning", message, str(twins), twins))
    if exchanged:
        one, other = (role.title for role in kind_of(contract).roles.values())
        message = (
            f"有 {exchanged} 行与此前收到的记录号码相同，而{one}与{other}对调：多半是两栏填反，现两条都保留。"
            "请提供部门核对；填反的一条以数据状态 2（删除）报送一次；各行与另一条的位置见反馈“主键相同”表"
        )
        found.append(Finding(EXCHANGED, "warning", message, str(exchanged), exchanged))
    return found


def number_of(contract: Contract) -> str:
    """Return the header of what should name one record: the source's own key, else the kind's number."""
    wanted = ("source_record_id", *kind_of(contract).one_number)
    headers = {c.element: c.source for c in contract.columns}
    return next((headers[e] for e in wanted if e in headers), "")


def _same_number(contract: Contract, one: int, other: int) -> list[Finding]:
    """Say that rows bear the source's number of other records: of the same subject (one), of another one (other)."""
    header = number_of(contract)
    if contract.delivery.versions_by == "key":
        rows = one + other
        message = (
            f"有 {rows} 行的“{header}”与另一条记录（此前收到的，或本批中的）相同，而主体或关键字段不同："
            "两条都保留，未作取代。属于更正的，请提供部门将错误的一条以数据状态 2（删除）"
            "报送一次；各行与另一条的位置见反馈“主键相同”表"
        )
        return [Finding(BESIDE, "warning", message, str(rows), rows)] if rows else []
    found = []
    if one:
        message = f"有 {one} 行按“{header}”取代了关键字段不同的原记录，各行与原记录的位置见反馈“主键相同”表"
        found.append(Finding(REPLACED, "info", message, str(one), one))
    if other:
        message = (
            f"有 {other} 行的“{header}”原属另一主体的记录，已按数据合同取代原记录；不是更正而是主键挪作他用的，"
            "请提供部门换用新的主键重报，并重报原记录（见反馈“主键相同”表）"
        )
        found.append(Finding(REUSED, "warning", message, str(other), other))
    return found
