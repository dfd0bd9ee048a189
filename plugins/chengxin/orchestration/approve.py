"""The task that asks a person before a doubtful publication: Airflow's own, with a form made of what is in doubt."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param

from chengxin.orchestration.review_text import OPTIONS, PUBLISH, REJECT, WITHOUT

HOURS = "CHENGXIN_APPROVAL_HOURS"
# A task whose parameter has no valid default does not even start; so the form begins with the least one can say.
REASON = Param(
    "已阅", type="string", minLength=2, maxLength=500, title="意见", description="写入快照清单，请勿写个人信息"
)
LEFT_OUT: dict[str, Any] = {
    "type": ["array", "null"],
    "items": {"type": "string"},
    "title": "不发布的来源",
    "description": f"仅用于“{WITHOUT}”：所选数据集保持上一快照的内容",
}


class AskBeforePublishing(HITLOperator):  # type: ignore[misc]  # the provider has no types
    """Ask 发布, 不含所选来源发布 or 不发布; nobody answers in time = 不发布. The question is what `review` returned."""

    def __init__(self, *, hours: float, **more: Any) -> None:
        super().__init__(
            subject="请审批：发布快照（{{ ti.xcom_pull(task_ids='review')['doubts'] }} 项存疑）",
            body="{{ ti.xcom_pull(task_ids='review')['text'] }}",
            options=OPTIONS,
            defaults=REJECT,
            params={"reason": REASON, "without": Param([], examples=[], **LEFT_OUT)},
            response_timeout=timedelta(hours=hours),
            **more,
        )

    def execute(self, context: Any) -> Any:
        """Offer the sources of this question; without any that may be left out, that answer is not offered."""
        found = context["ti"].xcom_pull(task_ids="review")
        choices = {"examples": list(found["choices"]), "values_display": found["choices"]}
        self.params["without"] = Param(found["proposed"], **LEFT_OUT, **choices)
        self.options = OPTIONS if found["choices"] else [PUBLISH, REJECT]
        return super().execute(context)

    def validate_params_input(self, params_input: Mapping[str, Any]) -> None:
        """Let an answer leave fields out, as one given through the API may: they stay as proposed."""
        super().validate_params_input({**self.params.dump(), **params_input})
