"""The tasks that ask people before a doubtful publication: Airflow's own, with a form made of what is in doubt."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException, ParamValidationError

from chengxin.orchestration import answers, review_text
from chengxin.orchestration.answers import AGAIN, LEAST, OPTIONS, PUBLISH, REJECT, SECOND, WITHOUT
from chengxin.orchestration.outcomes import AnswerInvalid

ASKS = 50  # how often an answer may be invalid until the task fails for good
ASKED = "asked"
# A process that died while it asked asks again soon, however many answers were none: pauses that grow are for sources.
SOON: dict[str, Any] = {"retries": ASKS, "retry_delay": timedelta(seconds=10), "retry_exponential_backoff": 0}
TITLE = {"title": "意见（必填）", "description": "写入快照清单，请勿写个人信息", "maxLength": 500}
# A task whose parameter has no valid default does not even start: so the form that people see is made when it asks.
NOT_YET = Param(None, type=["null", "string"], **TITLE)
REASON: dict[str, Any] = {"type": "string", "minLength": LEAST, **TITLE}
LEFT_OUT: dict[str, Any] = {
    "type": ["array", "null"],
    "items": {"type": "string"},
    "title": "不发布的来源",
    "description": f"仅用于“{WITHOUT}”：所选数据集保持上一快照的内容",
}


class _Asks(HITLOperator):  # type: ignore[misc]  # the provider has no types
    """Asks with an opinion that has to be written; an answer that cannot count is said to be none, and asked again.

    A task that asks again, after such an answer or because it was cleared, shows what it showed first: Airflow keeps
    the question of a task as it was written once, whoever may answer included.
    """

    body: Any

    def execute(self, context: Any) -> Any:
        """Ask with an empty opinion."""
        self.params["reason"] = Param("", **REASON)
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Take the answer, or raise AnswerInvalid, after which the question is asked anew."""
        try:
            said = super().execute_complete(context, event)
            self.check(context, said)
        except (ValueError, ParamValidationError, AnswerInvalid) as error:
            wrong = str(error) if isinstance(error, AnswerInvalid) else "填写的内容不符合表单"
            context["task_state_store"].set(AGAIN, wrong)
            raise AnswerInvalid(wrong) from error
        context["task_state_store"].delete(AGAIN)
        return said

    @abstractmethod
    def check(self, context: Any, said: Mapping[str, Any]) -> None:
        """Raise AnswerInvalid where the answer cannot count."""

    def validate_params_input(self, params_input: Mapping[str, Any]) -> None:
        """Let an answer leave fields out, as one given through the API may; which have to be there, `check` knows."""
        known = dict.fromkeys(self.params)
        super().validate_params_input({**known, **params_input})


class AskBeforePublishing(_Asks):
    """Ask 发布, 不含所选来源发布 or 不发布; nobody answers in time = 不发布. The question is what `review` returned."""

    def __init__(self, *, hours: float, **more: Any) -> None:
        super().__init__(
            subject="请审批：发布快照（{{ ti.xcom_pull(task_ids='review')['doubts'] }} 项存疑）",
            body="{{ ti.xcom_pull(task_ids='review')['text'] }}",
            options=OPTIONS,
            defaults=REJECT,
            params={"reason": NOT_YET, "without": Param([], examples=[], **LEFT_OUT)},
            response_timeout=timedelta(hours=hours),
            **SOON,
            **more,
        )

    def execute(self, context: Any) -> Any:
        """Offer the sources of this question; without any that may be left out, that answer is not offered."""
        found = context["ti"].xcom_pull(task_ids="review")
        if context["task_state_store"].get(ASKED) is None:
            context["task_state_store"].set(ASKED, {name: value for name, value in found.items() if name != "text"})
        choices = {"examples": list(found["choices"]), "values_display": found["choices"]}
        self.params["without"] = Param(found["proposed"], **LEFT_OUT, **choices)
        self.options = OPTIONS if found["choices"] else [PUBLISH, REJECT]
        self.assigned_users = answers.assignees(())
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Return the answer, and with it what was asked: that counts, whatever a review that was cleared says now."""
        said = super().execute_complete(context, event)
        return {**said, "asked": context["task_state_store"].get(ASKED)}

    def check(self, context: Any, said: Mapping[str, Any]) -> None:
        """Refuse an answer without an opinion, or that leaves out nothing."""
        answers.check(said, (), context["task_state_store"].get(ASKED)["choices"])


class AskAnother(_Asks):
    """Ask somebody else whether what the first one approved may be published; skipped where one is enough."""

    def __init__(self, *, hours: float, **more: Any) -> None:
        super().__init__(
            subject="请复核：发布快照（须由放行人和首位审批人以外的人）",
            body="{{ (ti.xcom_pull(task_ids='review') or {}).get('text', '') }}",
            options=SECOND,
            defaults=REJECT,
            params={"reason": NOT_YET},
            response_timeout=timedelta(hours=hours),
            **SOON,
            **more,
        )

    def execute(self, context: Any) -> Any:
        """Ask everybody who may answer but those who have had their say; Airflow's API lets no other answer."""
        found, first = self._before(context)
        if not answers.needs_second(found, first):
            raise AirflowSkipException("无须第二人复核")
        self.assigned_users = answers.assignees(answers.excluded_of(found, first))
        said: str = review_text.first_opinion(answers.approval_fields(found, first))
        self.body = f"{said}{self.body}"
        return super().execute(context)

    def check(self, context: Any, said: Mapping[str, Any]) -> None:
        """Refuse the first person, whoever released a batch, and an answer without an opinion."""
        answers.check(said, answers.excluded_of(*self._before(context)))

    def _before(self, context: Any) -> tuple[Any, Any]:
        """Return what the first person was asked, and the answer."""
        first = context["ti"].xcom_pull(task_ids="approve") or {}
        return first.get("asked"), first
