"""Who may answer the question before a publication, which answers count, and what becomes of them.

Only an answer publishes: a task that was marked as successful or skipped gave none, and fails what comes after.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from chengxin.errors import ContractError
from chengxin.orchestration.outcomes import AnswerInvalid
from chengxin.settings import Settings

PUBLISH, WITHOUT, REJECT = "发布", "不含所选来源发布", "不发布"
OPTIONS = [PUBLISH, WITHOUT, REJECT]
SECOND = [PUBLISH, REJECT]
APPROVERS = "CHENGXIN_APPROVERS"
AGAIN = "invalid"  # where the state of a task keeps why the last answer did not count
LEAST = 2  # characters of an opinion
NOBODY = "没有人作答（任务 {} 被标记为成功或跳过）：不发布。请清除（Clear）该任务，重新作答"


def approvers() -> list[dict[str, str]]:
    """Return who may answer, as Airflow's HITLUser; none = whoever Airflow lets answer."""
    pairs = (one.partition(":") for one in Settings.from_environment().approval.approvers)
    return [{"id": number.strip(), "name": (name or number).strip()} for number, _, name in pairs]


def assignees(excluded: Collection[str]) -> list[dict[str, str]] | None:
    """Return the approvers but for some, by id or name; None where none are declared.

    Raise ContractError where nobody is left: to Airflow an empty list means everybody.
    """
    declared = approvers()
    left = [one for one in declared if not {one["id"], one["name"]} & set(excluded)]
    if declared and not left:
        raise ContractError(
            f"{APPROVERS} 中除 {'、'.join(sorted(excluded))} 外没有别人，无人可以复核；"
            "请增加审批人后清除（Clear）本任务"
        )
    return left or None


def check(said: Mapping[str, Any], excluded: Collection[str], choices: Collection[str] = ()) -> None:
    """Raise AnswerInvalid where an answer cannot count. choices: the data sets that may be left out.

    That nobody answered in time is no answer of anybody, and always counts.
    """
    user = said.get("responded_by_user")
    if not user:
        return
    mine = {str(user.get("id")), str(user.get("name"))} & set(excluded)
    if mine:
        raise AnswerInvalid(f"{user.get('name')} 是放行人或首位审批人，须由另一人复核")
    typed = said.get("params_input") or {}
    if len(str(typed.get("reason") or "").strip()) < LEAST:
        raise AnswerInvalid(f"没有写明意见（至少 {LEAST} 个字）")
    if said["chosen_options"] == [WITHOUT] and not set(typed.get("without") or ()) & set(choices):
        raise AnswerInvalid(f"选了“{WITHOUT}”却没有选来源")


def approval_fields(found: Mapping[str, Any], said: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the fields of an approval from the first answer; found: what was asked, as of stages.review.

    Raise ContractError where nobody answered, AnswerInvalid where the answer cannot count.
    """
    if not said or said.get("chosen_options") not in [[option] for option in OPTIONS]:
        raise ContractError(NOBODY.format("approve"))
    (decision,) = said["chosen_options"]
    user, at = said.get("responded_by_user") or {}, said.get("responded_at")
    if decision != REJECT and not user:
        raise ContractError(NOBODY.format("approve"))
    check(said, (), found["choices"])
    typed = said.get("params_input") or {}
    left_out = sorted(set(typed.get("without") or ()) & set(found["choices"])) if decision == WITHOUT else []
    return {
        "decision": decision,
        "reason": str(typed.get("reason") or "").strip(),
        "by": user.get("name") or user.get("id") or "",
        "at": (at if isinstance(at, datetime) else datetime.now(UTC)).isoformat(),
        "without": tuple(left_out),
        "held": tuple(found["held"]),
        "upto": found["upto"],
    }


def excluded_of(found: Mapping[str, Any], first: Mapping[str, Any]) -> set[str]:
    """Return whom the second question is not for, by id or name: the first to answer, and who released a batch."""
    user = first.get("responded_by_user") or {}
    return {*found["releasers"], str(user.get("id") or ""), str(user.get("name") or "")} - {""}


def needs_second(found: Mapping[str, Any] | None, first: Mapping[str, Any] | None) -> bool:
    """Return whether a second person has to answer: what the first one refused, or nobody answered, needs none."""
    return bool(found and found.get("second") and first and first.get("chosen_options") != [REJECT])


def both_of(
    found: Mapping[str, Any], first: Mapping[str, Any] | None, second: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, str] | None]:
    """Return the fields of an approval from both answers, and those of the second opinion.

    found: what `review` returned; what the first answer says was asked goes before it. A second person who refuses has
    refused it. Raise as approval_fields.
    """
    found = (first or {}).get("asked") or found
    fields = approval_fields(found, first)
    if not needs_second(found, first):
        return fields, None
    assert first is not None
    if not second:
        raise ContractError(NOBODY.format("second"))
    check(second, excluded_of(found, first))
    other = approval_fields({**found, "choices": {}}, second)
    if other["decision"] == REJECT:
        return {**fields, **{name: other[name] for name in ("decision", "reason", "by", "at")}, "without": ()}, None
    return fields, {name: other[name] for name in ("by", "reason", "at")}
