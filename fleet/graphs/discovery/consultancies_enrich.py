"""consultancies_enrich: what a consultancy does, in which sectors, and whether it could sell beside us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.kit.prompts import Prompt, answer_object, text, texts
from fleet.kit.serve import served
from fleet.kit.study import JUDGING, Study, StudyInput, StudyOutput, StudyState, build_study, findings_schema

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

JUDGE = Prompt(
    name="consultancies_enrich.judge",
    instruction=f"""Judge what the company is: "consultancy" when it advises or builds for clients, "product_company" when it sells a product of its own.
    {JUDGING}""",
    schema=findings_schema(
        ("consultancy", "product_company"),
        ("service", "sector", "client", "technology", "partner", "product"),
    ),
)
PARTNER = Prompt(
    name="consultancies_enrich.weigh_partnership",
    instruction="""From the findings, say which of its services the offer (any software when none is given) would go with, and what to propose.""",
    schema=answer_object(fits_with=texts(5, 200), proposal=text(400)),
)


class ConsultancyInput(StudyInput, total=False):
    offer: dict[str, Any]


class ConsultancyOutput(StudyOutput, total=False):
    fits_with: list[str]
    proposal: str


class ConsultancyState(ConsultancyOutput, StudyState, total=False):
    offer: dict[str, Any]


STUDY = Study(
    name="consultancies_enrich",
    judge=JUDGE,
    pages=("/services", "/clients", "/partners"),
    query="{name} consultancy services clients partners",
    follow_ups={"consultancy": PARTNER},
    state=ConsultancyState,
    input=ConsultancyInput,
    output=ConsultancyOutput,
    extra=("offer",),
)


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    return build_study(STUDY, checkpointer)


graph = served(build_graph)
