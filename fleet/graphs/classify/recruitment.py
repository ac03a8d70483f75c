"""classify_recruitment: does a company recruit for others, lend staff, sell hiring software, or hire for itself alone?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from fleet.kit.evidence import stands_in
from fleet.kit.llm import Answer, ask
from fleet.kit.prompts import Prompt, answer_object, choice, share, text, texts
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

LABELS = ("agency", "staffing", "platform", "employer", "none")

LABEL = Prompt(
    name="classify_recruitment.label",
    instruction="""Label what the text shows of the company and recruitment:
    agency: finds people whom its clients then employ (search, headhunting, RPO). staffing: employs people itself and lends
    them (temporary work, contractors). platform: sells software or a marketplace for hiring. employer: hires for itself
    alone. none: the text is not about hiring. `evidence` is one short quote, word for word ("" for none).""",
    schema=answer_object(label=choice(*LABELS), confidence=share(), evidence=text(300, min_length=0)),
)
FOCUS = Prompt(
    name="classify_recruitment.focus",
    instruction="""List the sectors and the kinds of roles the recruiter works for, each as it stands in the text; empty lists
    when the text names none.""",
    schema=answer_object(sectors=texts(6, 80), roles=texts(6, 80)),
)


class RecruitmentInput(TypedDict, total=False):
    text: str
    company: dict[str, Any]


class RecruitmentOutput(ModelFacts, total=False):
    #: agency, staffing, platform, employer, none, or unproven when the model's quote does not stand in the text.
    label: str
    confidence: float
    evidence: str
    sectors: list[str]
    roles: list[str]


class RecruitmentState(RecruitmentOutput, total=False):
    text: str
    company: dict[str, Any]


async def judge(given: str, company: dict[str, Any]) -> tuple[dict[str, Any], Answer]:
    """Label, confidence and evidence of one text; the quote has to stand in it. Raises LangGraphError."""
    answer = await ask(LABEL, text=given, company=company)
    data = answer.data
    if data["label"] != "none" and not stands_in(data["evidence"], given):
        data = {"label": "unproven", "confidence": 0.0, "evidence": ""}
    return data, answer


async def label(state: RecruitmentState) -> Update:
    data, answer = await judge(state.get("text") or "", state.get("company") or {})
    return {**data, **answer.facts()}


def after_labelling(state: RecruitmentState) -> Literal["find_focus", "__end__"]:
    return "find_focus" if state["label"] in ("agency", "staffing") else "__end__"


async def find_focus(state: RecruitmentState) -> Update:
    """What a recruiter recruits for; a sector or role that the text does not name is dropped."""
    given = state.get("text") or ""
    answer = await ask(FOCUS, text=given, label=state["label"])
    named = {key: [one for one in found if stands_in(one, given)] for key, found in answer.data.items()}
    return {**named, **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(RecruitmentState, input_schema=RecruitmentInput, output_schema=RecruitmentOutput)
    graph.add_node("label", label)
    graph.add_node("find_focus", find_focus)
    graph.add_edge(START, "label")
    graph.add_conditional_edges("label", after_labelling, ["find_focus", END])
    graph.add_edge("find_focus", END)
    return graph.compile(checkpointer=checkpointer, name="classify_recruitment")


graph = served(build_graph)
