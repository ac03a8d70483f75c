"""pricing: what a company charges, as far as it says so in public; else what to ask its sales people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.kit.prompts import Prompt, answer_object, choice, text, texts
from fleet.kit.serve import served
from fleet.kit.study import JUDGING, Study, StudyInput, StudyOutput, StudyState, build_study, findings_schema

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

JUDGE = Prompt(
    name="pricing.judge",
    instruction=f"""Judge how the company prices: "public" when amounts are shown, "on_request" when one has to ask.
    {JUDGING}""",
    schema=findings_schema(("public", "on_request"), ("plan", "price", "trial", "custom")),
)
PLANS = Prompt(
    name="pricing.list_plans",
    instruction="""From the findings alone, list the plans with the price as it is written ("" when none is shown) and its period.""",
    schema=answer_object(
        plans={
            "type": "array",
            "items": answer_object(
                name=text(80),
                price=text(80, min_length=0),
                period=choice("month", "year", "once", "use", "unsaid"),
            ),
            "maxItems": 12,
        }
    ),
)
PREPARE = Prompt(
    name="pricing.prepare",
    instruction="""Prices are on request. List the questions that would make the price clear, and what the findings say drives it.""",
    schema=answer_object(questions=texts(6, 200), drivers=texts(6, 200)),
)


class PricingOutput(StudyOutput, total=False):
    plans: list[dict[str, str]]
    questions: list[str]
    drivers: list[str]


class PricingState(PricingOutput, StudyState, total=False):
    """Input, output and evidence in one."""


STUDY = Study(
    name="pricing",
    judge=JUDGE,
    pages=("/pricing", "/plans"),
    query="{name} pricing plans",
    follow_ups={"public": PLANS, "on_request": PREPARE},
    state=PricingState,
    input=StudyInput,
    output=PricingOutput,
)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    return build_study(STUDY, checkpointer)


graph = served(build_graph)
